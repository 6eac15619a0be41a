"""Device(Camera(...)): every frame once, the newest at once, unplugged and plugged in again."""

import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import free_port
from fakes import eventually
from reactivex.scheduler import ImmediateScheduler
from rtsp import RtspCamera
from videos import LiveTcp, MjpegHttp, make_sequence, make_video, number_of

from rxstream import Chunk, Device, concat
from rxstream import operators as ops
from rxstream.data.clock import now_ns
from rxstream.devices.camera import Camera
from rxstream.devices.camera.clocks import ContainerClock
from rxstream.errors import DeviceLostError, FormatError, OverrunError, RxStreamError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

WAIT = 20.0  # [s]; far more than any of these needs
MS = 1_000_000
START = 1_700_000_000_000_000_000
PAGE = Path(__file__).parents[3] / "docs" / "devices" / "camera.md"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds: long enough not to begin again in a test."""
    return make_video(tmp_path_factory.mktemp("video") / "film.avi", 300, 30.0)


def numbers(chunk: Chunk[Any]) -> list[int]:
    return [number_of(data) for data in chunk.data]


class Slow:
    """Subscribes, and takes its time for each frame; it begins and ends with an event."""

    def __init__(self, span: float, look: Callable[[Chunk[Any]], object], count: int) -> None:
        self._span, self._look, self._left = span, look, count
        self.results: list[object] = []
        self.done = threading.Event()

    def __call__(self, chunk: Chunk[Any]) -> None:
        if self.done.is_set():
            return
        self.results.append(self._look(chunk))
        self._left -= 1
        if not self._left:
            self.done.set()
        self.done.wait(self._span)


def test_a_file_every_frame_once_at_its_time(film: Path) -> None:
    device = Device(Camera(film, pace="max", start=START))
    got: list[Chunk[Any]] = []
    device.subscribe(got.append)
    with device:
        assert device.wait(WAIT)
    whole = concat(got)
    assert numbers(whole) == list(range(300))
    assert np.abs(whole.time - START - np.arange(300) * 1e9 / 30).max() < MS
    assert whole.gaps == ()
    assert [len(chunk) for chunk in got] == [1] * 300
    assert whole.info.shape == (240, 320, 3)


def test_a_file_waits_for_a_slow_reader(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.avi", 60)
    device = Device(Camera(clip, pace="max"), max_bytes=1_000_000)  # four frames
    slow = Slow(0.01, numbers, 60)
    device.subscribe(slow)
    with device:
        assert slow.done.wait(WAIT)
    assert slow.results == [[number] for number in range(60)]


def test_live_every_frame_once_at_the_time_of_the_container(film: Path) -> None:
    got: list[Chunk[Any]] = []
    with LiveTcp(film) as server:
        device = Device(Camera(server.url))
        device.subscribe(got.append)
        with device, device.reader(rewind=30) as reader:
            assert reader.read(75, timeout=WAIT) is not None
            assert device.info.rate == 30.0
    whole = concat(got)
    number = np.array(numbers(whole))
    assert number.tolist() == list(range(len(number)))
    assert len(number) >= 75
    assert whole.gaps == ()
    error = whole.time - np.rint(number * 1000 / 30) * MS
    assert np.diff(error).max() < MS  # even, but where a frame came with less delay than all before
    assert np.ptp(error) < ContainerClock.EARLY
    assert list(device.faults) == []


def test_an_rtsp_camera_that_is_cut_and_comes_back(film: Path) -> None:
    got: list[Chunk[Any]] = []
    with RtspCamera(film) as server:
        device = Device(Camera(server.url), reconnect=0.05)
        device.subscribe(got.append)
        with device:
            assert eventually(lambda: sum(map(len, [*got])) >= 40)
            server.unplug()
            assert eventually(lambda: list(device.faults))
            before = sum(map(len, [*got]))
            server.replug()
            assert eventually(lambda: sum(map(len, [*got])) >= before + 20)
        assert device.info.shape == (240, 320, 3)
        assert device.info.extra["codec"].lower() in ("h264", "avc1")
        assert "secret" not in f"{device.info.extra} {device.faults[0]}"
    whole = concat(got)
    (at,) = whole.gap_positions
    assert at.gap.reason == "disconnect"
    # the server begins again with its film
    for part, times in zip(
        np.split(np.array(numbers(whole)), [at.position]),
        np.split(whole.time, [at.position]), strict=True,
    ):  # fmt: skip
        assert part.tolist() == list(range(part[0], part[0] + len(part)))
        assert np.ptp(times - part * (1e9 / 30)) < ContainerClock.EARLY


def test_an_rtsp_camera_keeps_the_rules(film: Path) -> None:
    with RtspCamera(film) as server:
        check_source(
            lambda: Camera(server.url), unplug=server.unplug, plug=server.replug,
            absent=lambda: Camera(f"rtsp://127.0.0.1:{free_port()}/door"),
        )  # fmt: skip


def test_http_mjpeg_has_the_times_of_arrival() -> None:
    with MjpegHttp(rate=20.0) as server, Device(Camera(server.url)) as device:
        with device.reader(rewind=30) as reader:
            whole = reader.read(30, timeout=WAIT)
        assert whole is not None
    assert whole.time.tolist() == [item.arrival for item in whole.evidence]
    assert (whole.time >= np.array(server.sent)[numbers(whole)]).all()
    assert device.info.rate is None


@pytest.mark.parametrize("serve", [lambda _: MjpegHttp(rate=30.0), LiveTcp])
def test_a_slow_reader_of_the_latest_never_has_an_old_frame(
    serve: Callable[[Path], MjpegHttp | LiveTcp], film: Path
) -> None:
    """Whenever it comes back it gets the newest that the device has, however slow all is."""
    newest, came, done = [-1], threading.Condition(), threading.Event()
    taken: list[tuple[int, int]] = []  # a frame, and the newest one when the reader is free again

    def last(chunk: Chunk[Any]) -> int:
        # those that were held back at first come as one chunk
        return chunk.index + len(chunk) - 1

    def note(chunk: Chunk[Any]) -> None:
        with came:
            newest[0] = last(chunk)
            came.notify_all()

    def take(chunk: Chunk[Any]) -> None:
        if done.is_set():
            return
        number = last(chunk)
        with came:
            assert came.wait_for(lambda: newest[0] >= number + 4, WAIT)
            taken.append((number, newest[0]))
        if len(taken) == 8:
            done.set()

    with serve(film) as server, Device(Camera(server.url)) as device:
        device.subscribe(note, scheduler=ImmediateScheduler())
        device.pipe(ops.latest()).subscribe(take)
        assert done.wait(WAIT)
    for (_, free), (number, _) in pairwise(taken):
        assert number >= free


def test_unplugged_is_an_error(film: Path) -> None:
    errors: list[Exception] = []
    with LiveTcp(film) as server:
        device = Device(Camera(server.url))
        ended = threading.Event()
        got: list[Chunk[Any]] = []

        def on_error(error: Exception) -> None:
            errors.append(error)
            ended.set()

        device.subscribe(got.append, on_error)
        with device:
            assert eventually(lambda: len(got) > 5)
            server.unplug()
            assert ended.wait(WAIT)
            assert device.state == "failed"
    assert [type(error) for error in errors] == [DeviceLostError]
    whole = concat(got)
    assert numbers(whole) == list(range(len(whole)))


def test_unplugged_and_plugged_in_again_is_a_gap(film: Path) -> None:
    faults: list[RxStreamError] = []
    got: list[Chunk[Any]] = []
    with LiveTcp(film) as server:
        device = Device(Camera(server.url), reconnect=0.05)
        device.faults.subscribe(faults.append)
        device.subscribe(got.append)
        with device:
            assert eventually(lambda: len(got) > 5)
            server.unplug()
            assert eventually(lambda: faults)
            lost_at = now_ns()
            server.replug()
            assert eventually(lambda: any(chunk.gap for chunk in list(got)))
            found_at = now_ns()
            assert device.state == "open"
    assert [type(fault) for fault in faults] == [DeviceLostError]
    whole = concat(got)
    (gap,) = whole.gaps
    assert gap.reason == "disconnect"
    assert gap.end < found_at
    assert gap.start < lost_at
    at = next(i for i, chunk in enumerate(got) if chunk.gap)
    before = numbers(concat(got[:at]))
    assert before == list(range(len(before)))
    assert numbers(got[at])[0] == 0  # the server begins again


def test_holes_between_image_files_are_gaps(tmp_path: Path) -> None:
    pattern = make_sequence(tmp_path, [1, 2, 5, 6])
    device = Device(Camera(pattern, rate=10.0, pace="max", start=START))
    got: list[Chunk[Any]] = []
    device.subscribe(got.append)
    with device:
        assert device.wait(WAIT)
    whole = concat(got)
    (gap,) = whole.gaps
    assert (gap.lost, gap.reason, got[2].index) == (2, "dropped", 4)
    assert (whole.time - START).tolist() == [0, 100 * MS, 400 * MS, 500 * MS]


def test_a_damaged_file_is_reported_and_ends_well(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(film.read_bytes()[: film.stat().st_size // 4])
    device = Device(Camera(path, pace="max"))
    faults: list[RxStreamError] = []
    completed = threading.Event()
    device.faults.subscribe(faults.append)
    device.subscribe(lambda _: None, on_completed=completed.set)
    with device:
        assert completed.wait(WAIT)
        assert device.state == "ended"
    assert [type(fault) for fault in faults] == [OverrunError]


def test_a_file_that_is_no_video_fails_to_open(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    device = Device(Camera(tmp_path / "letter.mp4"))
    with pytest.raises(FormatError, match=r"letter\.mp4"):
        device.open()
    assert device.state == "closed"


def test_live_or_not() -> None:
    assert Camera(0).live
    assert Camera("/dev/video0").live
    assert Camera("rtsp://example.org/door").live
    assert not Camera("clip.mp4").live
    assert not Camera("clip_%03d.png").live


def test_the_page_runs(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    # a file instead of the camera that the machines of the tests have not
    exec(block.replace("Camera(0)", f"Camera({str(film)!r})"), {})
    assert "(240, 320, 3) (10, 240, 320, 3)" in capsys.readouterr().out
