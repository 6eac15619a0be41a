"""stream2py's core, part by part: what each part can do, done here. Named after its parts."""

import datetime as dt
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from counterparts import WebServer
from fakes import eventually
from reactivex import operators as rxops
from reactivex.disposable import Disposable

from rxstream import Chunk, Device, StreamInfo, sinks
from rxstream import operators as ops
from rxstream.authoring import now_ns, source, source_from_functions
from rxstream.devices import Function, Http, Iterable, Playback
from rxstream.devices.messages import Text
from rxstream.errors import (
    ChunkError,
    DeviceLostError,
    LagError,
    ParameterError,
)

pytestmark = pytest.mark.real

INT = StreamInfo("count", dtype=np.dtype(int))
SECOND = 1_000_000_000
TIMES = np.arange(100) * 10  # [ns]


def numbers(n: int = 100) -> Device:
    """Return a device of the numbers from 0, sample k at 10 k ns."""
    return Device(Playback(np.arange(n), np.arange(n) * 10, speed=math.inf))


@pytest.fixture
def played() -> Iterator[Device]:
    """Give a device that has played 100 numbers, and is still open."""
    device = numbers()
    with device:
        assert device.wait(10)
        yield device


# -- SourceReader, StreamSource, Source ---------------------------------------------------------

CALLS: list[str] = []


@source(dtype=int, extra=lambda options: {"stop": options.stop}, device_clock="host")
def Counting(stop: int = 5) -> Iterator[Any]:
    """Numbers that come one by one, and None between them."""
    CALLS.append("open")
    try:
        yield
        for k in range(stop):
            yield k, now_ns()
            yield
        while True:
            threading.Event().wait(0.01)
            yield
    finally:
        CALLS.append("close")


def test_source_reader_open_read_close_info_key_and_closed() -> None:
    CALLS.clear()
    device = Device(Counting(3))
    assert device.state == "closed"
    before = now_ns()
    with device.reader() as reader, device:
        chunk = reader.read(3, timeout=10)
        assert device.state == "open"
        assert device.info.extra == {"stop": 3}
    assert CALLS == ["open", "close"]
    assert device.state == "closed"
    assert chunk.data.tolist() == [0, 1, 2]
    # the key is the time: int [ns] UTC, strictly increasing
    assert before <= chunk.time[0] < chunk.time[1] < chunk.time[2] <= now_ns()
    with pytest.raises(TypeError):
        device.info.extra["stop"] = 4  # type: ignore[index]


def test_source_reader_none_is_nothing_yet() -> None:
    device = Device(Counting(1))
    beats: list[Chunk[Any]] = []
    device.pipe(ops.map_data(np.copy)).with_heartbeats().subscribe(beats.append)
    with device:
        assert eventually(lambda: sum(not len(beat) for beat in beats) >= 2)


def test_source_reader_iteration() -> None:
    device = numbers(20)
    reader = device.reader()
    with device:
        assert [value for chunk in reader for value in chunk.data] == [*range(20)]


def test_stream_source_opens_with_its_first_reader_and_closes_with_its_last() -> None:
    CALLS.clear()
    device = Device(Counting(10_000))

    def opened() -> Disposable:
        device.open()
        return Disposable(device.close)

    shared = rx.using(opened, lambda _: device).pipe(rxops.share())
    seen: list[list[int]] = [[], []]
    one = shared.subscribe(lambda chunk: seen[0].extend(chunk.data.tolist()))
    two = shared.subscribe(lambda chunk: seen[1].extend(chunk.data.tolist()))
    assert eventually(lambda: all(len(got) > 5 for got in seen))
    one.dispose()
    assert device.state == "open"
    two.dispose()
    assert device.state == "closed"
    assert CALLS == ["open", "close"]
    # and it can be opened again
    three = shared.subscribe(lambda chunk: None)
    assert device.state == "open"
    three.dispose()
    assert CALLS == ["open", "close"] * 2


def test_stream_source_configure_buffer_and_read_size() -> None:
    device = Device(numbers(100).source, history=50e-9, max_bytes=1 << 20)
    with device.reader() as reader, device:
        assert [len(reader.read(30, timeout=10)) for _ in range(3)] == [30, 30, 30]
        assert len(reader.read(30, timeout=10)) == 10  # fewer only at the end: that is strict_n
        assert len(device.last(1)) <= 100


def test_quick_source_reader_only_read_is_needed() -> None:
    values = iter([None, 1.0, None, 2.0])
    device = Device(Function(lambda: next(values, None), every=0.005))
    with device.reader() as reader, device:
        assert reader.read(2, timeout=10).data.tolist() == [1.0, 2.0]


def test_quick_source_reader_is_valid_data() -> None:
    def read() -> Iterator[int]:
        yield from (k for k in range(10) if k % 3)

    device = Device(Iterable(read, INT))
    reader = device.reader()
    with device:
        assert [value for chunk in reader for value in chunk.data] == [1, 2, 4, 5, 7, 8]


# -- StreamBuffer -------------------------------------------------------------------------------


def test_stream_buffer_start_stop_is_running_join_readers() -> None:
    device = numbers()
    one, two = device.reader(), device.reader()
    device.open()
    assert device.wait(10)  # join
    device.close()
    assert device.state == "closed"  # is_running
    for reader in (one, two):  # each has a cursor of its own
        assert [value for chunk in reader for value in chunk.data] == [*range(100)]


def test_stream_buffer_reads_the_device_in_one_thread_however_many_readers() -> None:
    threads: set[int] = set()

    def read() -> Iterator[int]:
        for k in range(50):
            threads.add(threading.get_ident())
            yield k

    device = Device(Iterable(read, INT))
    readers = [device.reader() for _ in range(5)]
    with device:
        for reader in readers:
            assert sum(map(len, reader)) == 50
    assert len(threads) <= 2  # it is opened in the caller's


def test_stream_buffer_maxlen() -> None:
    """A window of time and of bytes, and not of items."""
    with Device(Playback(np.arange(10_000), rate=1000.0, speed=math.inf), history=2.0) as device:
        assert device.wait(10)
        assert eventually(lambda: len(device.last(60)) < 10_000)
        assert len(device.last(2)) == 2000


def test_stream_buffer_auto_drop_false_is_lossless_for_files() -> None:
    device = Device(Playback(np.arange(100_000), rate=1000.0, speed=math.inf), history=1.0)
    slow = threading.Event()
    got: list[int] = []

    def take(chunk: Chunk[Any]) -> None:
        slow.wait(0.002)
        got.extend(chunk.data.tolist())
        assert not chunk.gaps

    device.subscribe(take)
    with device:
        assert device.wait(30)
    assert eventually(lambda: len(got) == 100_000)
    assert got == [*range(100_000)]


def test_stream_buffer_source_reader_info() -> None:
    device = Device(Counting(7))
    assert device.info.extra["stop"] == 7


# -- BufferReader -------------------------------------------------------------------------------


def test_buffer_reader_read_n_and_blocking() -> None:
    values = threading.Event()

    def read() -> Iterator[int | None]:
        while not values.wait(0.01):
            yield None
        yield from range(5)

    device = Device(Iterable(read, INT))
    with device.reader() as reader, device:
        with pytest.raises(TimeoutError):
            reader.read(5, timeout=0.05)
        values.set()
        assert reader.read(2, timeout=10).data.tolist() == [0, 1]
        assert reader.read(3, timeout=10).data.tolist() == [2, 3, 4]
        assert reader.read(1, timeout=10) is None  # it is over


def test_buffer_reader_range_by_key(played: Device) -> None:
    chunk = played.between(200, 251)  # the end is not included: by one ns it is
    assert chunk.data.tolist() == [20, 21, 22, 23, 24, 25]
    assert chunk.data[::2].tolist() == [20, 22, 24]  # step


def test_buffer_reader_range_start_le_and_stop_ge(played: Device) -> None:
    start, stop = played.at(204).time[0], 251
    assert played.between(start, stop).data.tolist() == [20, 21, 22, 23, 24, 25]


def test_buffer_reader_range_outside_of_the_buffer_is_empty(played: Device) -> None:
    assert len(played.between(-50, 0)) == 0
    assert len(played.between(5000, 6000)) == 0


def test_buffer_reader_head_tail_and_peek(played: Device) -> None:
    held = played.last(1)
    assert (held.data[0], held.data[-1]) == (0, 99)
    assert played.at(10**15).data.tolist() == [99]
    assert np.array_equal(played.last(1).data, held.data)  # nobody's cursor has moved


def test_buffer_reader_only_new_items() -> None:
    device = numbers()
    reader = device.reader()
    with device:
        assert device.wait(10)
        assert len(reader.read(60, timeout=10)) == 60
        assert reader.read(timeout=10).data[0] == 60


def test_buffer_reader_iteration_waits_and_ends_when_stopped() -> None:
    device = Device(Counting(3))
    reader = device.reader()
    got: list[int] = []
    thread = threading.Thread(
        target=lambda: got.extend(value for chunk in reader for value in chunk.data.tolist())
    )
    thread.start()
    with device:
        assert eventually(lambda: got == [0, 1, 2])
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()


def test_buffer_reader_last_item_and_last_key(played: Device) -> None:
    with played.reader(rewind=1) as reader:
        chunk = reader.read(5, timeout=10)
    assert (chunk.data[-1], chunk.time[-1], chunk.next_index) == (4, 40, 5)


def test_buffer_reader_context_manager_with_onclose() -> None:
    closed: list[str] = []
    device = numbers(3)
    with ExitStack() as stack:
        stack.callback(closed.append, "closed")
        reader = stack.enter_context(device.reader())
        stack.enter_context(device)
        assert reader.read(3, timeout=10) is not None
    assert closed == ["closed"]
    assert reader.read(1) is None


# -- SortedDeque --------------------------------------------------------------------------------


def test_sorted_deque_find_le_lt_ge_gt(played: Device) -> None:
    assert played.at(205).data.tolist() == [20]  # le
    assert played.at(200).data.tolist() == [20]
    assert played.at(200 - 1).data.tolist() == [19]  # lt
    chunk = played.last(1)
    assert chunk.data[np.searchsorted(chunk.time, 205)] == 21  # ge
    assert chunk.data[np.searchsorted(chunk.time, 200, "right")] == 21  # gt
    with pytest.raises(ChunkError, match="no sample at or before"):
        played.at(-1)


def test_sorted_deque_range_by_key_or_index_with_step(played: Device) -> None:
    chunk = played.last(1)
    assert chunk[10:20].data.tolist() == [*range(10, 20)]
    assert chunk.data[10:20:3].tolist() == [10, 13, 16, 19]


def test_sorted_deque_append_is_strictly_increasing() -> None:
    device = Device(Playback(np.arange(5), [7, 7, 7, 8, 20], speed=math.inf))
    with device.reader() as reader, device:
        assert reader.read(5, timeout=10).time.tolist() == [7, 8, 9, 10, 20]


# -- simply.mk_stream_buffer --------------------------------------------------------------------


def test_simply_mk_stream_buffer_a_source_from_plain_functions(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("to be\nor not\nto be\n")
    info = StreamInfo("lines", dtype=np.dtype("U80"))

    def read(file: Any) -> str:
        return next(file).rstrip("\n")  # StopIteration is the end

    device = Device(source_from_functions(path.open, read, lambda file: file.close(), info))
    with device.reader() as reader, device:
        assert reader.read(3, timeout=10).data.tolist() == ["to be", "or not", "to be"]
        assert reader.read(1, timeout=10) is None


# -- sources.http.HTTPResponseReader ------------------------------------------------------------


def test_http_response_reader_reads_a_response_that_goes_on() -> None:
    server = WebServer()
    server.plug()
    try:
        device = Device(Http(f"{server.url}/lines", Text()))
        with device.reader() as reader, device:
            server.send("one", "two")
            chunk = reader.read(2, timeout=20)
            assert [text for (text,) in map(np.atleast_1d, chunk.data)] == ["one", "two"]
            assert abs(chunk.time[-1] - now_ns()) < 60 * SECOND
    finally:
        server.unplug()


# -- util.ContextualizeCall ---------------------------------------------------------------------


def test_contextualize_call_a_callable_with_its_enter_and_exit() -> None:
    seen: list[str] = []
    with sinks.callback(
        lambda chunk: seen.append(f"{len(chunk)} samples"), finish=lambda: seen.append("left")
    ) as sink:
        device = numbers(4)
        device.subscribe(sink)
        with device:
            assert sink.wait(10)
    assert seen == ["4 samples", "left"]


# -- exceptions ---------------------------------------------------------------------------------


def test_exceptions_stream_not_started() -> None:
    closed = Device(Counting())
    assert len(closed.last(1)) == 0  # nothing yet is no error ...
    with closed.reader() as reader, pytest.raises(TimeoutError):
        reader.read(1, timeout=0.05)  # ... and a reader waits until it is opened
    closed.open().close()


def test_exceptions_stream_already_stopped() -> None:
    device = numbers(3)
    with device:
        assert device.wait(10)
    device.close()  # twice does no harm
    with device.reader() as reader, device:  # and a closed one is opened again
        assert reader.read(3, timeout=10).data.tolist() == [0, 1, 2]


def test_exceptions_buffer_overflow() -> None:
    info = StreamInfo("n", 1000.0, dtype=np.dtype(int))
    blocks = np.arange(20_000).reshape(-1, 100)
    device = Device(Iterable(lambda: iter(blocks), info), history=1.0)
    errors: list[Exception] = []
    go = threading.Event()
    device.pipe(ops.on_lag("error")).subscribe(lambda _: go.wait(10), errors.append)
    with device:
        assert eventually(lambda: device.wait(0.1) or device.last(1).next_index >= 20_000, 30)
        go.set()
        assert eventually(lambda: errors)
    assert isinstance(errors[0], LagError)


def test_exceptions_no_data_available(played: Device) -> None:
    with pytest.raises(ChunkError, match="no sample at or before"):
        played.at(-5)


def test_exceptions_invalid_data() -> None:
    device = Device(Iterable(["no number"], INT))
    errors: list[Exception] = []
    device.subscribe(lambda _: None, errors.append)
    with device:
        assert eventually(lambda: errors)
    assert isinstance(errors[0], ChunkError)


def test_exceptions_configuration() -> None:
    with pytest.raises(ParameterError, match="history"):
        Device(Counting(), history=-1)


# -- what stream2py promises, and has not -------------------------------------------------------


def test_promised_units_of_intervals_datetime_and_index(played: Device) -> None:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    chunk = played.between(epoch, np.datetime64(200, "ns"))
    assert chunk.data.tolist() == [*range(20)]
    held = played.last(1)
    assert held[5 - held.index : 9 - held.index].data.tolist() == [5, 6, 7, 8]


def test_promised_push_delivery() -> None:
    got: list[int] = []
    device = numbers(30)
    device.subscribe(lambda chunk: got.extend(chunk.data.tolist()))
    with device:
        assert device.wait(10)
    assert got == [*range(30)]


def test_promised_restart_after_an_exception_of_read() -> None:
    turns: list[int] = []

    def read() -> Iterator[int]:
        turns.append(1)
        yield from range(3)
        raise OSError("unplugged")

    device = Device(Iterable(read, INT, live=True), reconnect=0.01)
    chunks: list[Chunk[Any]] = []
    device.subscribe(chunks.append)
    with device:
        assert eventually(lambda: len(turns) >= 3 and len(chunks) >= 7)
    assert "disconnect" in [gap.reason for chunk in chunks for gap in chunk.gaps]


def test_promised_an_exception_of_read_is_no_clean_end() -> None:
    def read() -> Iterator[int]:
        yield 1
        raise OSError("unplugged")

    device = Device(Iterable(read, INT, live=True))
    errors: list[Exception] = []
    device.subscribe(lambda _: None, errors.append)
    with device:
        assert eventually(lambda: errors)
    assert isinstance(errors[0], DeviceLostError)


def test_promised_data_flow_statistics(played: Device) -> None:
    stats = played.stats()
    assert (stats.flow.samples, stats.flow.lost) == (100, 0)
    assert stats.nbytes > 0


def test_promised_storing_with_precise_timestamps(tmp_path: Path) -> None:
    device = numbers(3)
    sink = sinks.csv(tmp_path / "n.csv")
    device.subscribe(sink)
    with device:
        assert sink.wait(10)
    assert (tmp_path / "n.csv").read_text().splitlines() == [
        "time_ns,lost,playback", "0,0,0", "10,0,1", "20,0,2",
    ]  # fmt: skip
