"""Readers of stream2py, unchanged, behind `from_stream2py`; its plugins: tests/stream2py."""

import pickle
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from stream2py import SourceReader
from stream2py.examples import source_reader, stream_source
from stream2py_readers import OUT, Blocking, Broken, Counter, Numbers, SameKeys, all_of, none_ends

from rxstream import Backoff, Chunk, Device, StreamInfo, sinks
from rxstream import operators as ops
from rxstream.authoring import now_ns
from rxstream.data.concat import concat
from rxstream.devices.stream2py import (
    AUDIO,
    from_stream2py,
)
from rxstream.errors import (
    ChunkError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    ParameterError,
    StampError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "stream2py.md"
INT = StreamInfo("counter", None, (), np.dtype(np.int64))


def number(item: Any, reader: Any) -> int:
    return int(item[1])


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


def test_a_key_beyond_all_times_is_set_aside() -> None:
    class Far(Counter):
        def key(self, data: int) -> Any:
            return 2**80

    device = Device(from_stream2py(partial(Far, 5), key="us"))
    with device.reader() as reader, device:
        assert len(reader.read(3, timeout=20)) == 3
        assert [type(fault) for fault in device.faults] == [StampError]


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
