"""Camera: files, image files, live TCP by ffmpeg, MJPEG over HTTP, and what goes wrong."""

import datetime as dt
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_taker import WAIT, Taker, fails, times
from videos import (
    HEIGHT,
    WIDTH,
    HttpFile,
    LiveTcp,
    MjpegHttp,
    StalledTcp,
    coded,
    make_raw_mjpeg,
    make_sequence,
    make_video,
    number_of,
)

from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.camera import Camera
from rxstream.devices.camera.clocks import ContainerClock
from rxstream.errors import (
    DeviceLostError,
    DeviceNotFoundError,
    FormatError,
    OverrunError,
    ParameterError,
)

pytestmark = pytest.mark.real

MS = 1_000_000
START = 1_700_000_000_000_000_000


def read_all(camera: Camera) -> list[Reading]:
    with Taker().open(camera) as taker:
        return taker.all()


def numbers(readings: list[Reading]) -> np.ndarray:
    return np.array([number_of(data) for reading in readings for data in reading.data])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return make_video(tmp_path_factory.mktemp("video") / "clip.avi", 60, 30.0)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds: long enough not to begin again in a test."""
    return make_video(tmp_path_factory.mktemp("video") / "film.avi", 300, 30.0)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv"])
def test_a_file_gives_every_frame_once_at_its_time(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / f"clip{suffix}", 60, 25.0)
    with Taker().open(Camera(path, pace="max", start=START)) as taker:
        readings = taker.all()
    assert taker.info.rate == 25.0
    assert taker.info.shape == (HEIGHT, WIDTH, 3)
    assert taker.info.channels == ("b", "g", "r")
    assert numbers(readings).tolist() == list(range(60))
    assert np.abs(times(readings) - START - np.arange(60) * 40 * MS).max() < MS
    assert all(reading.data.shape == (1, HEIGHT, WIDTH, 3) for reading in readings)


def test_start_is_any_time_and_by_default_the_opening(clip: Path) -> None:
    when = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    assert times(read_all(Camera(clip, pace="max", start=when)))[0] == when.timestamp() * 1e9
    before = now_ns()
    first = times(read_all(Camera(f"file://{clip}", pace="max")))[0]
    assert before < first < now_ns()


def test_a_file_is_paced_like_a_camera(clip: Path) -> None:
    with Taker().open(Camera(clip)) as taker:
        rows = [taker.readings.get(timeout=WAIT) for _ in range(60)]
        taker.errors.get(timeout=WAIT)
    late = np.array([at for at, _ in rows]) - times([reading for _, reading in rows])
    assert late.min() > 0  # none before its time
    assert rows[-1][0] - rows[0][0] > 1.9e9


def test_close_does_not_wait_for_the_pace(film: Path) -> None:
    with Taker().open(Camera(film, rate=0.01)) as taker:
        taker.take(1)
        before = now_ns()
    assert now_ns() - before < 400 * MS
    assert taker.errors.empty()


def test_a_given_rate_overrides_the_file(clip: Path) -> None:
    with Taker().open(Camera(clip, rate=240.0, pace="max", start=START)) as taker:
        readings = taker.all()
    assert taker.info.rate == 240.0
    assert np.abs(times(readings) - START - np.arange(60) * 1e9 / 240).max() <= 1


@pytest.mark.parametrize("color", ["bgr", "rgb", "gray"])
def test_colors(clip: Path, tmp_path: Path, color: Any) -> None:
    pattern = make_sequence(tmp_path, range(2))
    for source in (clip, pattern):
        with Taker().open(Camera(source, color=color, pace="max")) as taker:
            data = taker.all()[1].data[0]
        assert number_of(data) == 1
        assert data.dtype == np.uint8
        red = data[170:210, 10:70].mean(axis=(0, 1))
        if color == "gray":
            assert taker.info.shape == data.shape == (HEIGHT, WIDTH)
            assert taker.info.channels == ()
        else:
            assert taker.info.channels == tuple(color)
            assert int(np.argmax(red)) == color.index("r")


def test_a_bare_stream_has_the_given_rate_or_arrival(tmp_path: Path) -> None:
    path = make_raw_mjpeg(tmp_path / "bare.mjpeg", 30)
    with Taker().open(Camera(path, rate=30.0, pace="max", start=START)) as taker:
        readings = taker.all()
    assert numbers(readings).tolist() == list(range(30))
    assert np.abs(times(readings) - START - np.arange(30) * 1e9 / 30).max() <= 1
    before = now_ns()
    with Taker().open(Camera(path)) as taker:
        readings = taker.all()
    assert taker.info.rate is None  # not the 25 that FFmpeg invents
    assert before < times(readings)[0] <= times(readings)[-1] < now_ns()


def test_a_file_that_is_cut_off_is_reported(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    with Taker().open(Camera(path, pace="max")) as taker:
        error = taker.errors.get(timeout=WAIT)
        readings = taker.all()
    assert isinstance(error, OverrunError)
    assert f"cut.avi ends after {len(readings)} of 60 frames" in str(error)
    whole = len(readings) - 1  # FFmpeg gives what it has of the last one
    assert numbers(readings)[:whole].tolist() == list(range(whole))


def test_a_file_cut_out_of_a_longer_one_lacks_nothing(clip: Path, tmp_path: Path) -> None:
    # Matroska counts its length from 0 on, where no frame is
    path = tmp_path / "later.mkv"
    command = ["ffmpeg", "-loglevel", "error", "-itsoffset", "5", "-i", clip, "-c", "copy", path]
    subprocess.run(command, check=True, timeout=60)
    readings = read_all(Camera(path, start=START, pace="max"))
    assert numbers(readings).tolist() == list(range(60))
    assert times(readings)[0] == START


# -- image files -----------------------------------------------------------------------------


def test_image_files_begin_anywhere_and_report_their_holes(tmp_path: Path) -> None:
    pattern = make_sequence(tmp_path, [107, 108, 109, 112, 113, 114])
    (tmp_path / "p_0113.png").write_bytes(b"no image")
    (tmp_path / "p_0113.png.bak").write_bytes(coded(3))
    with Taker().open(Camera(pattern, rate=10.0, pace="max", start=START)) as taker:
        readings = taker.all()
    assert taker.info.rate == 10.0
    assert numbers(readings).tolist() == [107, 108, 109, 112, 114]
    assert [reading.lost for reading in readings] == [None, None, None, 2, 1]
    assert ((times(readings) - START) // (100 * MS)).tolist() == [0, 1, 2, 5, 7]


def test_image_files_without_rate_have_the_time_of_arrival(tmp_path: Path) -> None:
    pattern = make_sequence(tmp_path, range(5), "p%d.jpg")
    before = now_ns()
    with Taker().open(Camera(pattern)) as taker:
        readings = taker.all()
    assert taker.info.rate is None
    assert before < times(readings)[0] <= times(readings)[-1] < now_ns()


def test_a_last_frame_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    pattern = make_sequence(tmp_path, range(3))
    (tmp_path / "p_0002.png").write_bytes(b"")
    with Taker().open(Camera(pattern)) as taker:
        error = taker.errors.get(timeout=WAIT)
        assert len(taker.all()) == 2
    assert isinstance(error, OverrunError)
    assert "lacks its last 1 frames" in str(error)


# -- live -------------------------------------------------------------------------------------


def test_live_tcp_has_the_times_of_the_container(film: Path) -> None:
    with LiveTcp(film) as server, Taker().open(Camera(server.url)) as taker:
        readings = taker.take(80)
    number = numbers(readings)
    assert taker.info.rate == 30.0
    assert (np.diff(number) == 1).all()  # every frame once, from the first on
    assert number[0] == 0
    container = np.rint(number * 1000 / 30) * MS  # Matroska counts milliseconds
    error = times(readings) - container
    assert np.diff(error).max() < MS  # even, but where a frame came with less delay than all before
    assert np.ptp(error) < ContainerClock.EARLY
    assert all(len(reading.data) == 1 for reading in readings[1:])
    arrival = np.array([reading.arrival for reading in readings])
    delay = arrival - [np.asarray(reading.device_time)[-1] for reading in readings]
    assert delay.min() >= 0


def test_http_mjpeg_is_stamped_on_arrival() -> None:
    with MjpegHttp(rate=30.0) as server, Taker().open(Camera(server.url)) as taker:
        readings = taker.take(50)
    number = numbers(readings)
    assert (np.diff(number) == 1).all()
    assert taker.info.rate is None  # FFmpeg says 25
    assert (times(readings) == [reading.arrival for reading in readings]).all()
    assert (times(readings) >= np.array(server.sent)[number]).all()


def test_a_recording_over_http_is_a_recording(clip: Path, film: Path) -> None:
    with HttpFile(clip) as server:
        readings = read_all(Camera(server.url, pace="max", start=START))
    assert numbers(readings).tolist() == list(range(60))
    assert np.abs(times(readings) - START - np.arange(60) * 1e9 / 30).max() < MS
    with (
        HttpFile(film, film.stat().st_size // 2) as server,
        Taker().open(Camera(server.url, pace="max")) as taker,
    ):
        error = taker.errors.get(timeout=WAIT)
    assert isinstance(error, DeviceLostError)  # a file would be damaged; this was cut off


def test_unplugging_is_noticed_at_once(film: Path) -> None:
    with LiveTcp(film) as server, Taker().open(Camera(server.url)) as taker:
        taker.take(3)
        before = now_ns()
        server.unplug()
        error = taker.errors.get(timeout=WAIT)
    assert isinstance(error, DeviceLostError)
    assert server.url in str(error)
    assert now_ns() - before < 2e9


def test_unplugging_while_it_finds_its_time_loses_nothing(film: Path) -> None:
    with LiveTcp(film) as server, Taker().open(Camera(server.url)) as taker:
        server.unplug()  # less than 0.3 s after the first frame
        taker.errors.get(timeout=WAIT)
        number = numbers(taker.rest())
    assert number.tolist() == list(range(len(number)))
    assert len(number) >= 1


def test_a_stream_that_stalls_is_lost_after_its_timeout(film: Path) -> None:
    with LiveTcp(film) as server, Taker().open(Camera(server.url, timeout=1.0)) as taker:
        taker.take(3)
        server.freeze()
        before = now_ns()
        error = taker.errors.get(timeout=WAIT)
    assert isinstance(error, DeviceLostError)
    assert 0.5e9 < now_ns() - before < 5e9


def test_closing_does_not_wait_for_a_stream_that_stalls(film: Path) -> None:
    with LiveTcp(film) as server:
        with Taker().open(Camera(server.url, timeout=3.0)) as taker:
            taker.take(3)
            server.freeze()
            before = now_ns()
        assert now_ns() - before < 2e9  # although the driver cannot be interrupted
        count = taker.readings.qsize()
        for thread in threading.enumerate():
            if thread.name == "rxstream-camera":
                thread.join(WAIT)
        assert taker.readings.qsize() == count  # and not a word after close
        assert taker.errors.empty()


# -- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"source": -1}, "-1"),
        ({"source": ""}, "''"),
        ({"source": True}, "True"),
        ({"source": 1.5}, "1.5"),
        ({"color": "yuv"}, "yuv"),
        ({"pace": "slow"}, "slow"),
        ({"size": (0, 480)}, r"size .* \(0, 480\)"),
        ({"size": (640, 1.5)}, r"size .* 1.5"),
        ({"rate": 0.0}, "rate .* 0.0"),
        ({"rate": -30}, "-30"),
        ({"timeout": 0}, "timeout .* 0"),
        ({"backend": 5}, "backend must be a name .* not 5"),
        ({"source": "a.avi", "start": 1.5}, "1.5"),
        ({"source": "a.avi", "start": dt.datetime(2024, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"source": "a.avi", "size": (640, 480)}, "a.avi has its own"),
        ({"start": START}, "for recordings"),
        ({"pace": "max"}, "for recordings"),
    ],
)
def test_bad_options(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        Camera(**options)


def test_files_that_are_not_there_or_no_video(tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_bytes(b"Dear Sir or Madam, " * 100)
    (tmp_path / "empty.avi").touch()
    whole = make_video(tmp_path / "whole.mp4", 30)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:5000])
    fails(Camera(tmp_path / "no.mp4"), DeviceNotFoundError, r"there is no file .*no\.mp4")
    fails(Camera(tmp_path), FormatError, "is a folder")
    os.mkfifo(tmp_path / "pipe.mp4")
    fails(Camera(tmp_path / "pipe.mp4"), FormatError, r"pipe\.mp4' is no file; .* for a URL")
    fails(Camera(text), FormatError, r"letter\.mp4' \(1900 bytes\) is no video")
    fails(Camera(tmp_path / "empty.avi"), FormatError, r"empty\.avi' \(0 bytes\)")
    fails(Camera(tmp_path / "cut.mp4"), FormatError, "cut off while recording")
    fails(Camera(tmp_path / "x_%03d.png"), DeviceNotFoundError, "no file is called")
    fails(Camera(tmp_path / "x_%d_%d.png"), ParameterError, "exactly one number")
    (tmp_path / "x_001.png").write_bytes(b"no image")
    fails(Camera(tmp_path / "x_%03d.png"), FormatError, "no frame that OpenCV can decode")
    fails(Camera(whole, backend="betamax"), ParameterError, "no backend 'betamax'; it has .*ffmpeg")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.avi"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    fails(Camera(path), DeviceNotFoundError, "may not read")


def test_urls_that_do_not_answer_or_send_no_video() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"http://user:secret@127.0.0.1:{port}/video"
    with pytest.raises(DeviceNotFoundError, match=r"does not answer .*refused") as raised:
        Camera(url).open(lambda _: None, lambda _: None)
    assert "secret" not in str(raised.value)
    assert "secret" not in str(Camera(url).info)
    fails(Camera("http://no.such.host.invalid/x"), DeviceNotFoundError, "does not answer")
    fails(Camera("udp://127.0.0.1:0", timeout=0.2), DeviceNotFoundError, "cannot be opened")
    fails(Camera("http://127.0.0.1:x/"), DeviceNotFoundError, "cannot be opened")
    with StalledTcp(b"HTTP/1.0 404 Not Found\r\n\r\n") as server:
        web = server.url.replace("tcp:", "http:")
        fails(Camera(web, timeout=0.5), FormatError, "answers, but sent no video")
    with StalledTcp(b"") as server:
        before = now_ns()
        fails(Camera(server.url, timeout=0.5), FormatError, r"within 0\.5 s")
        assert now_ns() - before < 5e9


def test_start_and_pace_are_not_for_live_streams() -> None:
    with MjpegHttp(rate=100.0) as server:
        fails(Camera(server.url, pace="max"), ParameterError, "is live")
        fails(Camera(server.url, start=START), ParameterError, "is live")


def test_a_missing_camera() -> None:
    fails(Camera(97), DeviceNotFoundError, "there is no camera 97")
    fails(Camera("/dev/video98"), DeviceNotFoundError, "there is no camera /dev/video98")


def test_opencv_and_ffmpeg_write_nothing_besides(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_bytes(b"Dear Sir or Madam, " * 100)
    whole = make_video(tmp_path / "whole.mp4", 30).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:5000])
    make_sequence(tmp_path, [1])
    program = (  # in a process of its own: FFmpeg asks only once how much it may say
        "import sys\n"
        "from rxstream.devices.camera import Camera\n"
        "for source in (97, *sys.argv[1:]):\n"
        "    try:\n"
        "        Camera(source).open(print, print)\n"
        "    except (OSError, ValueError) as error:\n"
        "        print(type(error).__name__)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
    command = [sys.executable, "-c", program, "letter.mp4", "cut.mp4", "no_%d.png", url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == [
        "DeviceNotFoundError", "FormatError", "FormatError", "DeviceNotFoundError",
        "DeviceNotFoundError",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENCV_FFMPEG_LOGLEVEL", "8"),
        ("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;udp"),
    ],
)
def test_the_environment_and_the_log_level_are_left_as_they_were(
    name: str, value: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    log = getattr(cv2.utils, "logging", cv2)  # at the top of OpenCV before 4.13
    before = log.getLogLevel()
    monkeypatch.delenv(name, raising=False)
    read_all(Camera(clip, pace="max"))
    assert name not in os.environ
    monkeypatch.setenv(name, value)
    read_all(Camera(clip, pace="max"))
    assert os.environ[name] == value
    assert log.getLogLevel() == before


def test_without_opencv(monkeypatch: pytest.MonkeyPatch, clip: Path) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    fails(Camera(clip), ImportError, r"rxstream\[video\]")
    assert Camera(clip).info == StreamInfo("camera", dtype=np.uint8, device_clock="host")
