"""Readers of stream2py and of its plugins, unchanged, behind `from_stream2py`."""

import io
import os
import pickle
import pty
import re
import subprocess
import sys
import termios
import textwrap
import threading
import time
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from plc_servers import S7Controller
from pulse import RATE, PrivatePulse, noise
from stream2py import SourceReader
from stream2py.examples import source_reader, stream_source
from stream2py_readers import (
    OUT,
    Blocking,
    Broken,
    Counter,
    Numbers,
    SameKeys,
    microphone_reader,
    plugin,
    wav_reader,
)  # fmt: skip
from videos import HEIGHT, WIDTH, MjpegHttp, numbers_of

from rxstream import Backoff, Chunk, Device, StreamInfo, sinks
from rxstream import operators as ops
from rxstream.authoring import now_ns
from rxstream.data.concat import concat
from rxstream.devices.stream2py import (
    AUDIO,
    HEALTH,
    PLC,
    REQUEST,
    VIDEO,
    VIDEO_FILE,
    WAV,
    from_stream2py,
)
from rxstream.errors import (
    ChunkError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "stream2py.md"
INT = StreamInfo("counter", None, (), np.dtype(np.int64))


def none_ends(item: Any, reader: Any) -> bool:
    return item is None


def number(item: Any, reader: Any) -> int:
    return int(item[1])


def all_of(source: Any) -> list[Chunk[Any]]:
    """Return the chunks of a source that ends."""
    device = Device(source)
    reader = device.reader()
    with device:
        chunks = list(reader)
    return [chunk for chunk in chunks if len(chunk)]


def items_of(source: Any) -> list[Any]:
    return [item for chunk in all_of(source) for item in chunk.data.tolist()]


@pytest.fixture
def plugged() -> Iterator[None]:
    OUT.clear()
    yield
    OUT.clear()


# -- any reader ---------------------------------------------------------------------------------


def test_a_reader_keeps_the_rules(plugged: None) -> None:
    info = StreamInfo("numbers", None, (), np.dtype(np.int64))
    check_source(
        lambda: from_stream2py(Numbers, number, info=info, key="us"),
        unplug=OUT.set, plug=OUT.clear,
    )  # fmt: skip


def test_a_reader_without_times_keeps_the_rules(plugged: None) -> None:
    info = StreamInfo("numbers", None, (), np.dtype(np.int64))
    check_source(lambda: from_stream2py(Numbers, number, info=info))


@pytest.mark.parametrize("module", [source_reader, stream_source])
def test_the_seeds_own_examples_are_read_whole(module: Any) -> None:
    make = partial(module.SimpleCounterString, start=0, stop=50)
    source = from_stream2py(make, ends=none_ends, live=False)
    assert items_of(source) == [f"s{k}" for k in range(50)]


def test_what_a_reader_says_of_itself_is_kept() -> None:
    device = Device(from_stream2py(partial(Counter, 3), ends=none_ends, live=False))
    with device:
        device.wait(10)
    assert device.info.extra == {"stop": 3}


def test_numbers_need_no_conversion() -> None:
    chunks = all_of(from_stream2py(partial(Counter, 5000), info=INT, ends=none_ends, live=False))
    assert np.array_equal(np.concatenate([chunk.data for chunk in chunks]), np.arange(5000))


def squared(item: int, reader: Any) -> Any:
    return {"n": item, "square": item**2}


def test_values_that_come_fast_are_taken_together() -> None:
    info = StreamInfo("squares", dtype=np.dtype([("n", "i8"), ("square", "i8")]))
    source = from_stream2py(partial(Counter, 3000), squared, info=info, ends=none_ends, live=False)
    chunks = all_of(source)
    data = concat(chunks).data
    assert data["n"].tolist() == [*range(3000)]
    assert np.array_equal(data["square"], data["n"] ** 2)
    assert len(chunks) < 3000
    assert (np.diff(concat(chunks).time) > 0).all()


def test_a_value_that_does_not_fit_is_named_after_those_before_it() -> None:
    def odd(item: int, reader: Any) -> Any:
        return "seven" if item == 700 else item

    got: list[int] = []
    errors: list[Exception] = []
    device = Device(from_stream2py(partial(Counter, 1000), odd, info=INT, live=False))
    device.subscribe(lambda chunk: got.extend(chunk.data.tolist()), errors.append)
    with device:
        assert eventually(lambda: errors)
    assert got == [*range(700)]
    assert isinstance(errors[0], ChunkError)
    assert "'seven' does not fit int64" in str(errors[0])


class Lossy(SourceReader):
    """A microphone of 8 kHz that leaves out half a second after three; as the base class has it."""

    sleep_time_on_read_none_s = 0.003
    info = {"rate": 8000, "channels": 1, "width": 2, "frames_per_buffer": 80}  # noqa: RUF012

    def open(self) -> None:
        self._begun, self._next = time.monotonic(), 0

    def close(self) -> None:
        pass

    def key(self, data: tuple[Any, ...]) -> Any:
        return data[1]

    def read(self) -> tuple[Any, ...] | None:
        if time.monotonic() < self._begun + (self._next + 1) * 0.01:
            return None
        if self._next == 300:
            self._next = 350
        self._next += 1
        return 0, 0, np.full(80, self._next, "<i2").tobytes(), 80, {}, 0


def test_sound_that_a_reader_lost_is_found() -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(from_stream2py(Lossy, AUDIO))
    device.subscribe(chunks.append)
    with device:
        assert eventually(lambda: any(chunk.gaps for chunk in chunks), 20)
    (lost,) = [gap.lost for chunk in chunks for gap in chunk.gaps]
    assert abs(lost - 4000) <= 80


def test_a_reader_that_raises_is_lost_after_its_last_item() -> None:
    errors: list[Exception] = []
    got: list[int] = []
    device = Device(from_stream2py(partial(Broken, 300), live=False))
    device.subscribe(lambda chunk: got.extend(chunk.data.tolist()), on_error=errors.append)
    with device:
        assert eventually(lambda: errors)
    assert got == list(range(300))
    assert isinstance(errors[0], DeviceLostError)
    assert "OSError: unplugged" in str(errors[0])


def test_each_opening_gets_a_new_reader() -> None:
    device = Device(
        from_stream2py(partial(Broken, 20), info=INT),
        reconnect=Backoff(first=0.02, most=0.02),
    )
    got: list[int] = []
    gaps: list[str] = []
    device.subscribe(lambda chunk: (got.extend(chunk.data.tolist()),
                                    gaps.extend(gap.reason for gap in chunk.gaps)))  # fmt: skip
    with device:
        assert eventually(lambda: len(got) >= 60)
    assert got[:60] == [*range(20)] * 3
    assert gaps[:2] == ["disconnect", "disconnect"]


def test_equal_keys_stay_strictly_increasing() -> None:
    source = from_stream2py(partial(SameKeys, 2000), key="us", ends=none_ends)
    chunks = all_of(source)
    times = np.concatenate([chunk.time for chunk in chunks])
    assert [x for chunk in chunks for x in chunk.data] == [*range(2000)]
    assert (np.diff(times) > 0).all()
    assert (np.diff(times) == 1).any()  # there were equal ones


def test_keys_of_the_wall_clock_are_times(plugged: None) -> None:
    before = now_ns()
    with Device(from_stream2py(Numbers, key="us")) as device, device.reader() as reader:
        chunk = reader.read(20, timeout=10)
    assert before - 1000 <= chunk.time[0] <= chunk.time[-1] <= now_ns()
    keys = np.array([item[0] for item in chunk.data]) * 1000
    # both clocks tick alike, and an item is read after its key was taken
    assert np.abs((chunk.time - chunk.time[0]) - (keys - keys[0])).max() < 1_000_000


def test_a_key_that_is_no_time_is_named() -> None:
    class Named(Counter):
        def key(self, data: int) -> Any:
            return f"s{data}"

    device = Device(from_stream2py(partial(Named, 5), key="us"))
    errors: list[Exception] = []
    device.subscribe(lambda _: None, on_error=errors.append)
    with device:
        assert eventually(lambda: errors)
    assert isinstance(errors[0], ParameterError)
    assert "'s0' is no time; leave out key=" in str(errors[0])


def test_a_read_that_blocks_holds_up_neither_its_items_nor_closing() -> None:
    device = Device(from_stream2py(partial(Blocking, 3)))
    beats: list[Chunk[Any]] = []
    device.pipe(ops.map_data(np.copy)).with_heartbeats().subscribe(beats.append)
    with device.reader() as reader, device:
        assert reader.read(3, timeout=10).data.tolist() == [0, 1, 2]
        before = now_ns()
        assert eventually(lambda: beats[-1].end > before)
        assert not len(beats[-1])


def test_a_read_that_never_returns_is_an_error_of_close() -> None:
    let_go = threading.Event()

    class Hung(Counter):
        def read(self) -> int | None:
            let_go.wait(60)
            return None

    device = Device(from_stream2py(partial(Hung, 1)))
    device.open()
    try:
        with pytest.raises(DeviceError, match="its read goes on after close"):
            device.close()
    finally:
        let_go.set()


# -- what is refused ----------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"make": Counter(5)}, "make must be a function that returns a reader, as lambda"),
    ({"to_reading": 5}, "to_reading must be a Conversion or a function, not 5"),
    ({"to_reading": number}, "to_reading needs info="),
    ({"info": "int"}, "info must be a StreamInfo, not 'int'"),
    ({"key": "min"}, "key must be"),
    ({"ends": 3}, "ends must be a function of an item and its reader"),
    ({"live": 1}, "live must be True or False, not 1"),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_wrong_option_is_refused_where_it_is_written(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        from_stream2py(**{"make": partial(Counter, 5)} | wrong)


def test_what_is_no_reader_is_refused() -> None:
    with pytest.raises(ParameterError, match="it has no open, read, key, close"):
        Device(from_stream2py(object)).open()


def test_absent_hardware_is_not_found(plugged: None) -> None:
    OUT.set()
    with pytest.raises(DeviceNotFoundError, match="no such device"):
        Device(from_stream2py(Numbers)).open()


def test_sources_are_plain_values() -> None:
    make = partial(Counter, 5)
    one = from_stream2py(make, AUDIO)
    again = pickle.loads(pickle.dumps(one))
    assert again.conversion == one.conversion
    assert hash(again.conversion) == hash(one.conversion)
    assert one == from_stream2py(make, AUDIO)
    assert one != from_stream2py(make, AUDIO, live=False)


def test_objects_are_refused_by_files(tmp_path: Path) -> None:
    source = from_stream2py(partial(Counter, 5), ends=none_ends, live=False)
    chunk = all_of(source)[0]
    for sink in (sinks.csv(tmp_path / "x.csv"), sinks.wav(tmp_path / "x.wav")):
        with pytest.raises(ChunkError, match=r"Python objects .*; make numbers or text"), sink:
            sink.on_next(chunk)


# -- the seed's plugins -------------------------------------------------------------------------


def wav_file(data: np.ndarray, width: int = 2, rate: int = 44_100) -> bytes:
    """Return a WAV of int samples ``(n, channels)``."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(data.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        raw = data.tobytes()
        if width == 3:
            raw = np.frombuffer(raw, np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        file.writeframes(raw)
    return out.getvalue()


@pytest.mark.parametrize(("width", "dtype"), [(1, "u1"), (2, "<i2"), (3, "<i4"), (4, "<i4")])
def test_the_wav_reader_is_bit_equal_and_ends(width: int, dtype: str) -> None:
    reader = wav_reader()
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(width)
    sound = rng.integers(limits.min, limits.max, (44_100 + 7, 2), dtype, endpoint=True)
    if width == 3:
        sound &= ~np.int32(255)
    file = wav_file(sound, width)
    start = 1_700_000_000_000_000  # [µs]
    make = partial(reader, file, start_date=start)
    chunk = concat(all_of(from_stream2py(make, WAV, live=False)))
    assert chunk.data.dtype == np.dtype(dtype)
    assert np.array_equal(chunk.data, sound)
    assert chunk.info.rate == 44_100.0
    assert not chunk.gaps
    # its keys are floats of µs, of which those of our days have steps of 0.25
    want = start * 1000 + np.rint(np.arange(len(sound)) * 1e9 / 44_100).astype(np.int64)
    assert np.abs(chunk.time - want).max() <= 5000
    assert chunk.info.extra["n_frames"] == len(sound)


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    microphone_reader()
    with PrivatePulse() as daemon:
        yield daemon


def test_the_microphone_reader_hears_what_is_played(pulse: PrivatePulse) -> None:
    reader = microphone_reader()
    make = partial(reader, rate=RATE, width=2, channels=1, input_device="^pulse$", verbose=False)
    sound = noise(0.5)
    with Device(from_stream2py(make, AUDIO), history=30) as device:
        pulse.play(sound)

        def heard() -> np.ndarray:
            all_heard = device.last(30).data[:, 0]
            return all_heard[np.flatnonzero(all_heard)[:1].sum() :]

        assert eventually(lambda: len(heard()) >= len(sound) and heard()[0])
        found = heard()
    assert np.array_equal(found[: len(sound)], sound)
    assert device.info.rate == RATE


def test_the_video_reader_reads_a_file(tmp_path: Path) -> None:
    reader, cv2 = plugin("videostream2py").VideoCapture, plugin("cv2")
    path = str(tmp_path / "v.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for k in range(10):
        writer.write(np.full((48, 64, 3), k * 20, np.uint8))
    writer.release()
    chunk = concat(all_of(from_stream2py(partial(reader, path), VIDEO_FILE, live=False)))
    assert np.abs(chunk.data.mean(axis=(1, 2, 3)) - np.arange(10) * 20).max() < 3
    assert np.diff(chunk.time).tolist() == [40_000_000] * 9  # the seed says 692 µs for them all
    assert chunk.info.extra["fps"] == 25


def test_the_video_reader_reads_a_network_camera_until_it_is_gone() -> None:
    reader = plugin("videostream2py").VideoCapture
    errors: list[Exception] = []
    with MjpegHttp(30.0, 20) as server:
        device = Device(from_stream2py(partial(reader, server.url), VIDEO))
        device.subscribe(lambda _: None, errors.append)
        with device.reader() as frames, device:
            chunk = frames.read(5, timeout=20)
            now = now_ns()
            assert eventually(lambda: errors, 30)
    assert chunk.shape[1:] == (HEIGHT, WIDTH, 3)
    assert numbers_of(chunk.data) == [*range(5)]
    assert (np.diff(chunk.time) > 0).all()
    assert chunk.time[-1] <= now
    assert isinstance(errors[0], DeviceLostError)
    assert "no frame of 'http://" in str(errors[0])


def test_the_video_reader_without_a_file_is_not_found(tmp_path: Path) -> None:
    reader = plugin("videostream2py").VideoCapture
    source = from_stream2py(partial(reader, str(tmp_path / "none.avi")), VIDEO_FILE, live=False)
    with pytest.raises(DeviceNotFoundError, match="error opening video stream or file"):
        Device(source).open()


def test_the_health_reader_has_a_field_for_each_leaf() -> None:
    reader = plugin("pchealthstream2py.pchealth").StatusInfoReader
    source = from_stream2py(partial(reader, read_interval_ms=20), HEALTH)
    before = now_ns()
    with Device(source) as device, device.reader() as values:
        chunk = values.read(3, timeout=20)
    assert (chunk.data["memory.total"] > 1e6).all()
    assert ((chunk.data["memory.used_percents"] > 0) & (chunk.data["disk.used"] <= 100)).all()
    assert np.isnan(chunk.data["network.download"]).all()
    assert chunk.info.extra["units"]["memory.used_percents"] == "%"
    assert before - 1000 <= chunk.time[0] <= now_ns()


KEYS = """
    from keyboardstream2py import KeyboardInputSourceReader
    from rxstream import Device
    from rxstream.devices.keyboard import typed
    from rxstream.devices.stream2py import KEYBOARD, from_stream2py

    device = Device(from_stream2py(KeyboardInputSourceReader, KEYBOARD))
    with device.reader() as reader, device:
        while True:
            print(typed(reader.read(1, timeout=60)), flush=True)
"""


def test_the_keyboard_reader_reads_a_terminal() -> None:
    plugin("keyboardstream2py")
    main, terminal = pty.openpty()
    command = [sys.executable, "-c", textwrap.dedent(KEYS)]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            for key in "hello!":
                # it makes the terminal raw anew for each key, and drops what was typed before
                assert eventually(lambda: not termios.tcgetattr(terminal)[3] & termios.ICANON, 60)
                os.write(main, key.encode())
                assert program.stdout.readline() == f"{key}\n"
        finally:
            program.kill()
            os.close(main)
            os.close(terminal)


def test_the_plc_reader_reads_a_controller() -> None:
    plc, util = plugin("plcstream2py.plc"), plugin("snap7.util")
    items = [
        plc.PlcDataItem(plc.S7AreaDB, plc.S7WLByte, 1, 0, 4, "count", util.get_dint, (0,)),
        plc.PlcDataItem(plc.S7AreaDB, plc.S7WLBit, 1, 8 * 8, 1, "on", util.get_bool, (0, 0)),
    ]
    with S7Controller() as controller:
        controller.data[8] = 1
        make = partial(
            plc.PlcReader, "127.0.0.1", items_to_read=items, rack=0, slot=1,
            tcp_port=controller.port, sleep_time=0.02,
        )  # fmt: skip
        device = Device(from_stream2py(make, PLC))
        with device, device.reader() as reader:
            chunk = reader.read(5, timeout=20)
        assert chunk.data.dtype == [("count", "i8"), ("on", "?")]
        assert (np.diff(chunk.data["count"]) > 0).all()
        assert chunk.data["on"].all()
        assert (np.diff(chunk.time) > 0).all()


def test_the_request_reader_reads_a_body() -> None:
    reader = plugin("flaskstream2py").FlaskRequestReader
    flask = plugin("flask")
    app = flask.Flask("test")
    got: list[bytes] = []

    @app.route("/", methods=["POST"])
    def take() -> str:
        source = from_stream2py(reader, REQUEST, live=False)
        got.append(b"".join(chunk.data.tobytes() for chunk in all_of(source)))
        return "thanks"

    body = np.random.default_rng(3).bytes(100_001)
    answer = app.test_client().post("/", data=body)
    assert answer.text == "thanks"
    assert got == [body]


def test_a_quick_source_reader_needs_only_read() -> None:
    from stream2py.source_reader import QuickSourceReader

    class Three(QuickSourceReader):  # type: ignore[misc]
        values: Iterator[int] = iter(())

        def open(self) -> None:
            super().open()
            self.values = iter("abc")

        def read(self) -> Any:
            return next(self.values)

    assert issubclass(Three, SourceReader)
    assert items_of(from_stream2py(Three, live=False)) == ["a", "b", "c"]


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), {"__name__": "page"})
    assert capsys.readouterr().out == "[2 3 4]\n"
