"""stream2py's plugins, part by part: what each can do, by the devices here. Named after its parts.

That the plugins themselves run unchanged is tested in ``tests/stream2py/test_plugins.py``.
"""

import json
import re
import struct
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from counterparts import free_port
from fakes import eventually
from plc_servers import S7Controller
from ptys import PtyLine, pty_line
from pulse import RATE, PrivatePulse, noise
from videos import frame, make_video, numbers_of

from rxstream import Chunk, Device, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.authoring import now_ns
from rxstream.data.concat import concat
from rxstream.devices import S7, Audio, Camera, Health, Ingest, Keyboard, MediaSound
from rxstream.devices.ingest import Raw
from rxstream.devices.keyboard import typed
from rxstream.devices.messages import Json
from rxstream.errors import ChunkError, DeviceNotFoundError, ParameterError

pytestmark = pytest.mark.real

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    with PrivatePulse() as daemon:
        yield daemon


def is_pulse(about: dict[str, Any]) -> bool:
    return bool(about["name"] == "pulse")


def everything(source: Any) -> Chunk[Any]:
    """Return all samples of a source that ends."""
    device = Device(source)
    reader = device.reader()
    with device:
        chunks = [chunk for chunk in reader if len(chunk)]
    return concat(chunks)


# -- audiostream2py: PyAudioSourceReader --------------------------------------------------------


def test_audio_rate_width_channels_and_frames_per_buffer(pulse: PrivatePulse) -> None:
    widths = {"int16": 2, "int24": 4, "int32": 4, "float32": 4}
    for name, width in widths.items():
        source = Audio(device="pulse", rate=44_100, channels=2, dtype=name, blocksize=1024)
        assert source.info.dtype.itemsize == width
        with Device(source) as mic, mic.reader() as reader:
            chunk = reader.read(1024, timeout=20)
        assert (chunk.rate, chunk.shape) == (44_100, (1024, 2))


@pytest.mark.parametrize("device", ["pulse", re.compile("^pul"), is_pulse])
def test_audio_input_device_by_name_regex_or_callable(pulse: PrivatePulse, device: Any) -> None:
    with Device(Audio(device=device)) as mic, mic.reader() as reader:
        assert len(reader.read(480, timeout=20)) == 480


def test_audio_list_recording_devices_and_input_device_index(pulse: PrivatePulse) -> None:
    found = {info.name: info.options["device"] for info in Audio.discover()}
    with Device(Audio(device=found["pulse"])) as mic, mic.reader() as reader:
        assert len(reader.read(480, timeout=20)) == 480


def test_audio_format_is_checked_at_init() -> None:
    for wrong in ({"rate": 0}, {"channels": 0}, {"dtype": "int12"}):
        with pytest.raises(ParameterError, match="Audio: "):
            Audio(**wrong)


def test_audio_no_such_device_lists_those_there_are(pulse: PrivatePulse) -> None:
    with pytest.raises(DeviceNotFoundError, match="pulse"):
        Device(Audio(device="no such microphone")).open()


def test_audio_timestamps_of_what_was_played(pulse: PrivatePulse) -> None:
    sound = noise(0.3)
    with Device(Audio(device="pulse", dtype="int16"), history=30) as mic:
        before = now_ns()
        pulse.play(sound)
        after = now_ns()
        assert eventually(lambda: np.count_nonzero(mic.last(30).data) >= len(sound) - 500)
        heard = mic.last(30)
    begin = int(np.flatnonzero(heard.data[:, 0])[0])
    assert before - SECOND // 10 <= heard.time[begin] <= after


def test_audio_fill_error_with_ones_keeps_time_continuous() -> None:
    info = StreamInfo("mic", 1000.0, (), np.dtype(np.int16))
    before = Chunk.regular(np.zeros(10, np.int16), info, start=0)
    gap = Gap(10_000_000, 15_000_000, 5, "overrun")
    after = Chunk.regular(np.zeros(10, np.int16), info, start=15_000_000, index=15, gap=gap)
    from reactivex import from_iterable

    got: list[Chunk[Any]] = []
    from_iterable([before, after]).pipe(ops.fill_gaps(1)).subscribe(got.append)
    chunk = concat(got)
    assert chunk.data.tolist() == [0] * 10 + [1] * 5 + [0] * 10
    assert np.diff(chunk.time).tolist() == [1_000_000] * 24


# -- audiostream2py: AudioSegment, AudioBufferReader --------------------------------------------

MIC = StreamInfo("mic", 1000.0, (2,), np.dtype(np.int16))


def segment(start: int = 0, n: int = 100, gap: Gap | None = None) -> Chunk[Any]:
    data = np.arange(start, start + n, dtype=np.int16).repeat(2).reshape(-1, 2)
    return Chunk.regular(data, MIC, start=start * 1_000_000, index=start, gap=gap)


def same(one: Chunk[Any], other: Chunk[Any]) -> bool:
    return bool(
        np.array_equal(one.data, other.data) and np.array_equal(one.time, other.time)
        and (one.start, one.end, one.index) == (other.start, other.end, other.index)
    )  # fmt: skip


def test_audio_segment_start_end_duration_rate_and_frame_count() -> None:
    chunk = segment()
    assert (chunk.start, chunk.end, len(chunk)) == (0, 100_000_000, 100)
    assert (chunk.duration, chunk.rate, chunk.data[0].nbytes) == (0.1, 1000.0, 4)
    assert len(chunk[:0]) == 0  # empty()


@pytest.mark.parametrize(("a", "b", "c"), [(0, 30, 100), (10, 11, 12), (5, 50, 99), (7, 7, 8)])
def test_audio_segment_slices_join_exactly(a: int, b: int, c: int) -> None:
    chunk = segment()
    assert same(chunk[a:b] + chunk[b:c], chunk[a:c])


def test_audio_segment_refuses_what_is_not_contiguous() -> None:
    with pytest.raises(ChunkError):
        _ = segment(50) + segment(0)
    with pytest.raises(ChunkError):
        _ = segment() + segment(100).with_data(np.zeros((100, 3), np.int16))


def test_audio_segment_flags_of_the_whole_survive_cuts() -> None:
    lost = Gap(100_000_000, 150_000_000, 50, "overrun")
    whole = segment() + segment(150, gap=lost)
    assert [gap.reason for gap in whole[90:110].gaps] == ["overrun"]
    assert not whole[:90].gaps


def test_audio_buffer_reader_gives_one_joined_trimmed_segment(pulse: PrivatePulse) -> None:
    with Device(Audio(device="pulse", dtype="int16"), history=30) as mic:
        with mic.reader() as reader:
            reader.read(RATE // 4, timeout=20)
        held = mic.last(30)
        t0, t1 = int(held.time[1000]), int(held.time[9000])
        assert same(mic.between(t0, t1), held[1000:9000])
        assert mic.at(t0).time[0] == t0
        # OverlapsPastError: the chunk says from when on there is something
        assert mic.between(t0 - 60 * SECOND, t1).covered_from >= held.start


# -- audiostream2py: WavFileSourceReader --------------------------------------------------------


def test_wav_file_same_pipeline_on_file_or_microphone(tmp_path: Path) -> None:
    path, sound = tmp_path / "a.wav", noise(0.5)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())
    chunk = everything(MediaSound(path, dtype="int16", start=0, pace="max"))
    assert np.array_equal(chunk.data[:, 0], sound)
    assert (chunk.rate, chunk.start) == (RATE, 0)
    assert abs(chunk.end - 500_000_000) <= 1000


# -- videostream2py -----------------------------------------------------------------------------


def test_video_capture_of_a_file_by_its_times_and_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    make_video(path, 10, 25.0)
    chunk = everything(Camera(path, pace="max", start=0))
    assert numbers_of(chunk.data) == [*range(10)]
    assert chunk.time.tolist() == [k * 40_000_000 for k in range(10)]


def test_video_capture_info_width_height_fps(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    make_video(path, 3, 25.0)
    device = Device(Camera(path, pace="max"))
    with device:
        assert device.wait(20)
    assert device.info.shape == frame(0).shape
    assert device.info.rate == 25.0


def test_video_capture_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"none\.avi"):
        Device(Camera(tmp_path / "none.avi")).open()


# -- keyboardstream2py --------------------------------------------------------------------------


@pytest.fixture
def line() -> Iterator[PtyLine]:
    with pty_line() as found:
        yield found


def test_keyboard_each_key_with_its_time_and_escape(line: PtyLine) -> None:
    device = Device(Keyboard(line.path))
    with device.reader() as reader, device:
        before = now_ns()
        line.write(b"hi\x1b")
        chunk = reader.read(3, timeout=20)
    assert chunk.data["key"].tolist() == ["h", "i", "esc"]
    assert typed(chunk) == "hi"
    assert before <= chunk.time[0] < chunk.time[1] <= now_ns()
    assert chunk.index == 0


# -- plcstream2py -------------------------------------------------------------------------------


def test_plc_many_named_variables_in_one_poll() -> None:
    items = {
        "bool": "DB1.DBX10.2", "byte": "DB1.DBB11", "int": "DB1.DBW12:INT",
        "dword": "DB1.DBD14:DWORD", "real": "DB1.DBD18:REAL", "string": "DB1:30:STRING[10]",
    }  # fmt: skip
    with S7Controller() as plc:
        plc.data[10:22] = struct.pack(">BBhIf", 4, 200, -5, 7, 1.5)
        plc.data[30:36] = b"\x0a\x04Seed"
        device = Device(S7("127.0.0.1", items, 0.02, port=plc.port))
        with device.reader() as reader, device:
            chunk = reader.read(3, timeout=20)
    assert chunk.data[-1].tolist() == (True, 200, -5, 7, 1.5, "Seed")
    # one time a poll, and how well it is known
    assert (np.diff(chunk.time) > 0).all()
    assert 0 < chunk.uncertainty < SECOND


# -- pchealthstream2py --------------------------------------------------------------------------


def test_health_memory_disk_cpu_and_a_unit_on_every_leaf() -> None:
    device = Device(Health(every=0.02))
    with device.reader() as reader, device:
        chunk = reader.read(3, timeout=20)
    units = device.info.extra["units"]
    assert set(units) == set(chunk.dtype.names)
    assert (units["memory_used"], units["cpu"], units["temperature"]) == ("B", "%", "°C")
    assert (chunk.data["memory_used"] > 1e6).all()
    assert (chunk.data["memory"] > 0).all()


# -- flaskstream2py -----------------------------------------------------------------------------


def post(port: int, path: str, body: bytes, kind: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_flask_the_body_of_a_post_is_a_stream() -> None:
    port = free_port()
    device = Device(Ingest("/edge", Raw("u1"), port=port))
    body = np.random.default_rng(1).bytes(5000)
    with device.reader() as reader, device:
        assert post(port, "/edge", body, "application/octet-stream") == {"samples": 5000}
        assert reader.read(5000, timeout=20).data.tobytes() == body


def test_flask_an_edge_device_sends_rows() -> None:
    port = free_port()
    device = Device(Ingest("/roof", Json([("celsius", "f4")]), port=port))
    with device.reader() as reader, device:
        post(port, "/roof", b'[{"celsius": 20.5}, {"celsius": 21}]', "application/json")
        assert reader.read(2, timeout=20).data["celsius"].tolist() == [20.5, 21.0]


def test_the_frames_of_opencv_are_in_bgr(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    make_video(path, 2, 25.0)
    shown = cv2.VideoCapture(str(path)).read()[1]
    assert np.array_equal(everything(Camera(path, pace="max")).data[0], shown)
