"""Images of network cameras: a server of our own, and ffmpeg."""

import itertools
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import WebServer, free_port
from fakes import eventually
from image_servers import FfmpegServer, ImageServer, image, number_of

from rxstream import Backoff, Chunk, Device
from rxstream.devices import Http
from rxstream.devices.http import Jpeg
from rxstream.errors import DeviceNotFoundError, MissingExtraError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "http.md"
QUICK = Backoff(first=0.02, most=0.1)


def numbers(chunks: list[Chunk[Any]]) -> list[int]:
    return [number_of(frame) for chunk in chunks for frame in chunk.data]


@pytest.mark.parametrize(
    "server", [ImageServer(), ImageServer('"--frame"', length=False), ImageServer(stamps=True)]
)
def test_a_stream_of_images_keeps_the_rules(server: ImageServer) -> None:
    images = itertools.cycle([image(number) for number in range(64)])
    with server:
        check_source(
            lambda: Http(f"{server.url}/stream", Jpeg()), feed=lambda: server.send(next(images)),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: Http(f"http://127.0.0.1:{free_port()}/", Jpeg()),
        )  # fmt: skip


def test_images_that_are_asked_for_keep_the_rules() -> None:
    with ImageServer() as server:
        check_source(
            lambda: Http(f"{server.url}/snapshot", Jpeg("gray"), every=0.05),
            unplug=server.unplug, plug=server.plug,
        )  # fmt: skip


def test_a_camera_is_switched_off_and_on() -> None:
    chunks: list[Chunk[Any]] = []
    lost = threading.Event()
    with ImageServer(stamps=True) as server:
        device = Device(Http(f"{server.url}/stream", Jpeg()), reconnect=QUICK)
        device.subscribe(chunks.append)
        device.faults.subscribe(lambda _: lost.set())
        with device:
            assert (device.info.shape, device.info.channels) == ((48, 64, 3), ("b", "g", "r"))
            server.send(*map(image, range(1, 51)))
            assert eventually(lambda: numbers(chunks) == list(range(51)))
            server.unplug()
            assert lost.wait(20)
            server.plug()
            assert eventually(lambda: len(numbers(chunks)) == 52)
            server.send(image(60), image(61)[:-200], image(62)[:-200], image(63))
            assert eventually(lambda: len(numbers(chunks)) == 54)
    assert numbers(chunks) == [*range(51), 0, 60, 63]
    gaps = [(at.gap.reason, at.gap.lost) for chunk in chunks for at in chunk.gap_positions]
    assert gaps == [("disconnect", None), ("dropped", 2)]
    times = np.concatenate([chunk.time for chunk in chunks])
    assert (np.diff(times) > 0).all()


def test_a_camera_with_another_size_comes_back_with_it() -> None:
    chunks: list[Chunk[Any]] = []
    with ImageServer() as server:
        device = Device(Http(f"{server.url}/stream", Jpeg()), reconnect=QUICK)
        device.subscribe(chunks.append)
        faults: list[str] = []
        device.faults.subscribe(lambda fault: faults.append(str(fault)))
        with device:
            assert eventually(lambda: server.listeners)
            server.send(image(1, (32, 24)))
            assert eventually(lambda: len(numbers(chunks)) == 2)
    assert "its frames were (48, 64, 3) and are (24, 32, 3) now" in faults[0]


def test_ffmpeg_is_killed_and_comes_back() -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs ffmpeg (apt-get install ffmpeg)")
    server = FfmpegServer(ffmpeg)
    chunks: list[Chunk[Any]] = []
    lost = threading.Event()
    server.plug()
    try:
        server.wait()
        device = Device(Http(server.url, Jpeg("rgb")), reconnect=QUICK)
        device.subscribe(chunks.append)
        device.faults.subscribe(lambda _: lost.set())
        with device:
            assert device.info.shape == (120, 160, 3)
            assert eventually(lambda: sum(map(len, chunks)) >= 25)
            server.kill()
            assert lost.wait(20)
            before = sum(map(len, chunks))
            server.plug()
            assert eventually(lambda: sum(map(len, chunks)) >= before + 25)
    finally:
        server.kill()
    gaps = [at.gap.reason for chunk in chunks for at in chunk.gap_positions]
    assert gaps == ["disconnect"]
    # its test image has red, green and blue bars
    red = chunks[0].data[0].reshape(-1, 3)
    assert {tuple(row) for row in (red > 128).tolist()} >= {
        (True, False, False), (False, True, False), (False, False, True),
    }  # fmt: skip


def test_what_sends_no_images_is_said() -> None:
    with WebServer() as server:
        with pytest.raises(DeviceNotFoundError, match=r"no multipart of images; .* give every="):
            Device(Http(f"{server.url}/lines", Jpeg())).open()
        server.sent.append("no image")
        with pytest.raises(DeviceNotFoundError, match=r"answers no JPEG image, but b'no image'"):
            Device(Http(f"{server.url}/now", Jpeg(), every=1)).open()
    with ImageServer() as cameras:
        with pytest.raises(DeviceNotFoundError, match=r"multipart/x-mixed-replace.* give Jpeg\(\)"):
            Device(Http(f"{cameras.url}/stream")).open()
        with pytest.raises(DeviceNotFoundError, match=r"sends no image \(a part has \d+ bytes"):
            Device(Http(f"{cameras.url}/stream", Jpeg(), max_bytes=100)).open()


def test_wrong_options_are_named() -> None:
    for options in ({"body": "events"}, {"event": "x"}):
        with pytest.raises(ParameterError, match=r"leave them out for Jpeg\(\)"):
            Http("http://a", Jpeg(), **options)  # type: ignore[arg-type]


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with ImageServer() as server, pytest.raises(MissingExtraError, match=r"rxstream\[video"):
        Device(Http(f"{server.url}/stream", Jpeg())).open()


def test_the_lines_of_the_page_on_cameras_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with ImageServer() as server:
        exec(blocks[1].replace("http://camera.local/stream", f"{server.url}/stream"), {})
    assert "(48, 64, 3)" in capsys.readouterr().out
