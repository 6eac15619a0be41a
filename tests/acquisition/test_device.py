"""Device: life, faults, reconnect, sessions, times, looking back."""

import asyncio
import datetime as dt
import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, Manual, eventually
from reactivex import Observable
from reactivex.scheduler import ImmediateScheduler

from rxstream import Backoff, Chunk, Device, DeviceCounter, Gap, Reading, StreamInfo, concat
from rxstream.data.clock import HostClock, now_ns
from rxstream.errors import (
    ChunkError,
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    OverrunError,
    ParameterError,
    SubscriberError,
)

pytestmark = pytest.mark.real

here = ImmediateScheduler()
EVENTS = StreamInfo("events", dtype=np.dtype(np.int64), device_clock="host")


class HandClock(HostClock):
    """A host clock moved by the test."""

    def __init__(self) -> None:
        self.t = 10**18
        super().__init__(lambda: self.t, lambda: self.t)


def collect(device: Observable[Chunk[Any]]) -> list[Chunk[Any]]:
    got: list[Chunk[Any]] = []
    device.subscribe(got.append, lambda error: None, scheduler=here)
    return got


def feed(source: Manual, start: int, n: int, arrival: int, **evidence: Any) -> None:
    data = np.arange(start, start + n, dtype=np.int64)
    source.emit(Reading(data, arrival=arrival, **evidence))


def test_open_subscribe_close() -> None:
    source = Manual()
    device = Device(source)
    got = collect(device)  # before open: it waits
    assert device.state == "closed"
    with device:
        assert device.state == "open"
        t0 = now_ns()
        for k in range(10):
            feed(source, 10 * k, 10, t0 + (k + 1) * 10 * MS)
    assert source.closed == 1
    assert device.state == "closed"
    assert np.array_equal(concat(got).data, np.arange(100))
    assert [c.index for c in got] == list(range(0, 100, 10))
    assert all(a.end == b.start for a, b in itertools.pairwise(got))
    device.close()  # twice does no harm
    assert source.closed == 1


def test_a_driver_may_use_its_buffer_again() -> None:
    source = Manual()
    with Device(source) as device:
        got = collect(device)
        buffer = np.zeros(10, np.int64)
        for k in range(3):
            buffer[:] = k
            source.emit(buffer)
    assert [int(c.data[0]) for c in got] == [0, 1, 2]
    assert not got[0].data.flags.writeable


def test_times_are_arrival_minus_length() -> None:
    source, clock = Manual(), HandClock()
    with Device(source, clock=clock) as device:
        got = collect(device)
        t0 = clock.now()
        for k in range(100):
            feed(source, 10 * k, 10, t0 + (k + 1) * 10 * MS)
    # the last sample was taken when it arrived: one period before the end of the chunk's span
    assert abs(got[-1].time[-1] - (t0 + 1000 * MS)) < 20_000
    assert (np.diff(concat(got).time) > 0).all()


@pytest.mark.parametrize("timestamps", ["corrected", "arrival"])
def test_equal_and_backward_arrivals_never_turn_time_back(timestamps: Any) -> None:
    source = Manual()
    with Device(source, timestamps=timestamps) as device:
        got = collect(device)
        t = 10**18
        for k, step in enumerate([10, 10, 0, 0, -50, 200, 0, 0, 0, 10]):
            t += step * MS
            feed(source, 10 * k, 10, t)
    times = concat(got).time
    assert len(times) == 100
    assert (np.diff(times) > 0).all()


def test_equal_and_backward_device_stamps_are_made_monotone_and_told() -> None:
    source = Manual(EVENTS)
    with Device(source) as device:
        got = collect(device)
        t = 10**18
        feed(source, 0, 3, t, device_time=np.array([t, t, t], np.int64))
        feed(source, 3, 2, t + 5, device_time=np.array([t - 50 * MS, t + 5], np.int64))
    joined = concat(got)
    assert (np.diff(joined.time) > 0).all()
    assert joined.time.tolist() == [t, t + 1, t + 2, t + 3, t + 5]
    assert got[1].gap is not None
    assert got[1].gap.reason == "overlap"
    assert got[1].gap.lost == 0


def test_what_the_device_says_it_lost_is_a_gap() -> None:
    source, clock = Manual(), HandClock()
    with Device(source, clock=clock) as device:
        got = collect(device)
        t = clock.now()
        feed(source, 0, 10, t)
        feed(source, 15, 10, t + 15 * MS, lost=5, reason="overrun")
    gap = got[1].gap
    assert gap is not None
    assert (gap.lost, gap.reason) == (5, "overrun")
    assert (gap.start, gap.end) == (got[0].end, got[1].start)
    assert got[1].index == 15


def test_counters_are_understood() -> None:
    info = StreamInfo("seq", 1000.0, dtype=np.dtype(np.int64), counter=DeviceCounter(8))
    source = Manual(info)
    with Device(source) as device:
        got = collect(device)
        t = 10**18
        count = 0
        for k in range(60):
            if k == 40:
                count += 7
            count += 10
            feed(source, count - 10, 10, t + count * MS, counter=(count - 1) % 256)
    joined = concat(got)
    assert joined.lost == 7
    assert [gap.reason for gap in joined.gaps] == ["dropped"]
    assert got[40].index == 407
    assert np.array_equal(joined[400:].data, np.arange(407, 607))


def test_an_overrun_is_survived_and_told() -> None:
    source = Manual()
    faults: list[Exception] = []
    with Device(source) as device:
        device.faults.subscribe(faults.append)
        got = collect(device)
        feed(source, 0, 10, 10**18)
        source.fail(OverrunError("lost some"))
        feed(source, 13, 10, 10**18 + 13 * MS, lost=3)
        assert device.state == "open"
    assert isinstance(faults[0], OverrunError)
    assert got[1].gap is not None
    assert got[1].gap.reason == "overrun"
    assert got[1].gap.lost == 3


def test_a_source_error_reaches_every_subscriber() -> None:
    source = Manual()
    with Device(source) as device:
        errors: list[Exception] = []
        for _ in range(2):
            device.subscribe(lambda _: None, errors.append)
        feed(source, 0, 10, 10**18)
        source.fail(OSError("unplugged"))
        assert device.wait(10)
        assert device.state == "failed"
    assert len(errors) == 2
    assert isinstance(errors[0], DeviceLostError)
    assert "ramp" in str(errors[0])
    assert "unplugged" in str(errors[0])
    assert source.closed == 1


def test_the_end_of_a_file_completes() -> None:
    source = Manual(live=False)
    with Device(source) as device:
        done = threading.Event()
        device.subscribe(lambda _: None, on_completed=done.set)
        feed(source, 0, 10, 10**18)
        source.fail(EndOfStream())
        assert device.wait(10)
        assert done.is_set()
        assert device.state == "ended"
        assert len(device.last(1)) == 10


def test_a_reading_of_the_wrong_shape_is_an_error_that_names_it() -> None:
    source = Manual()
    with Device(source) as device:
        errors: list[Exception] = []
        device.subscribe(lambda _: None, errors.append, scheduler=here)
        source.emit(np.zeros((10, 2), np.float32))
    assert isinstance(errors[0], ChunkError)
    assert "float32 of shape (10, 2)" in str(errors[0])
    assert "int64" in str(errors[0])


def test_reconnect_goes_on_with_a_gap_of_the_right_length() -> None:
    source, clock = Manual(), HandClock()
    device = Device(source, reconnect=0.01, clock=clock)
    faults: list[Exception] = []
    device.faults.subscribe(faults.append)
    with device:
        got = collect(device)
        t = clock.now()
        for k in range(5):
            feed(source, 10 * k, 10, t + (k + 1) * 10 * MS)
        source.opening.clear()
        source.refuse = DeviceNotFoundError("not there yet")
        old_emit = source.emit
        source.fail(DeviceLostError("pulled out"))
        assert eventually(lambda: source.closed == 1)
        old_emit(np.zeros(10, np.int64))  # a careless driver goes on: not heard
        source.refuse = None
        assert source.opening.wait(10)
        assert eventually(lambda: device.state == "open")
        feed(source, 900, 10, t + 560 * MS)
    assert len(got) == 6
    gap = got[5].gap
    assert gap is not None
    assert gap.reason == "disconnect"
    assert gap.duration == pytest.approx(0.5, abs=0.002)
    assert gap.lost == pytest.approx(500, abs=2)
    assert got[5].index == 50 + gap.lost
    assert gap.start == got[4].end
    assert source.opened == 2
    assert any(isinstance(f, DeviceLostError) for f in faults)


def test_reconnect_gives_up_after_its_tries() -> None:
    source = Manual()
    with Device(source, reconnect=Backoff(first=0.001, most=0.002, tries=3)) as device:
        errors: list[Exception] = []
        device.subscribe(lambda _: None, errors.append, scheduler=here)
        source.refuse = DeviceBusyError("held by another program")
        source.fail(DeviceLostError("gone"))
        assert device.wait(10)
    assert isinstance(errors[0], DeviceBusyError)


def test_closing_while_lost_ends_the_tries() -> None:
    source = Manual()
    device = Device(source, reconnect=30.0).open()
    source.fail(DeviceLostError("gone"))
    assert device.state == "lost"
    device.close()
    assert source.opened == 1


def test_a_reopened_device_is_a_new_session() -> None:
    source = Manual()
    device = Device(source)
    with device:
        feed(source, 0, 10, 10**18)
    assert len(device.last(10)) == 10  # still there to look at
    late = collect(device)  # waits for the next opening
    with device:
        assert len(device.last(10)) == 0
        rewound: list[Chunk[Any]] = []
        device.rewind(10).subscribe(rewound.append, scheduler=here)
        feed(source, 500, 10, 10**18 + 500 * MS)
    for got in (late, rewound):
        assert [c.index for c in got] == [0]
        assert got[0].data[0] == 500
        assert got[0].gap is None


def test_open_errors_are_raised_where_open_is_called() -> None:
    source = Manual(refuse=DeviceBusyError("mic: held by another program"))
    device = Device(source)
    with pytest.raises(DeviceBusyError, match="another program"):
        device.open()
    assert device.state == "closed"
    source.refuse = None
    with device:
        assert device.state == "open"


def test_close_is_quick_and_leaves_no_thread() -> None:
    """Under 0.2 s with subscribers on threads; the best of five, as the machine may be busy."""
    took = []
    for _ in range(5):
        source = Manual()
        device = Device(source).open()
        for _ in range(3):
            device.subscribe(lambda _: None)
        for k in range(10):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        begin = time.perf_counter()
        device.close()
        took.append(time.perf_counter() - begin)
        assert [t for t in threading.enumerate() if t.name.startswith("rxstream-")] == []
    assert min(took) < 0.2


def test_close_waits_for_who_has_not_had_everything() -> None:
    source = Manual()
    got: list[int] = []
    pause = threading.Event()
    with Device(source) as device:
        device.subscribe(lambda c: (pause.wait(0.005), got.append(c.index)))
        for k in range(40):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
    assert len(got) == 40


def test_close_names_who_is_later_than_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    device = Device(source).open()
    release = threading.Event()
    device.on_lag("gap", name="store").subscribe(lambda _: release.wait(10))
    feed(source, 0, 10, 10**18)
    feed(source, 10, 10, 10**18 + 10 * MS)
    device.close(drain=0.01)
    assert "store" in caplog.text
    release.set()


def test_a_subscriber_may_close_the_device() -> None:
    source = Manual()
    device = Device(source).open()
    closed = threading.Event()
    device.subscribe(lambda _: (device.close(), closed.set()))
    feed(source, 0, 10, 10**18)
    assert closed.wait(10)


def test_a_raising_subscriber_is_on_faults(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    faults: list[Exception] = []
    with Device(source) as device:
        device.faults.subscribe(faults.append)
        other = collect(device)
        device.subscribe(lambda _: 1 / 0)
        feed(source, 0, 10, 10**18)
        feed(source, 10, 10, 10**18 + 10 * MS)
        assert eventually(lambda: faults)
    assert isinstance(faults[0], SubscriberError)
    assert len(other) == 2
    assert "ZeroDivisionError" in caplog.text


def test_who_listens_to_faults_must_not_become_one(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    with Device(source) as device:
        got = collect(device)
        device.faults.subscribe(lambda _: 1 / 0)
        source.fail(OverrunError("lost some"))
        feed(source, 0, 10, 10**18)
        device.subscribe(lambda _: 1 / 0)
        feed(source, 10, 10, 10**18 + 10 * MS)
        assert eventually(lambda: caplog.text.count("a subscriber of faults raised") == 2)
        feed(source, 20, 10, 10**18 + 20 * MS)
        assert device.state == "open"
    assert len(got) == 3


def test_looking_back_by_every_kind_of_time() -> None:
    source, clock = Manual(), HandClock()
    with Device(source, clock=clock, timestamps="arrival") as device:
        assert len(device.last(1)) == 0
        t = clock.now()
        for k in range(10):
            feed(source, 10 * k, 10, t + (k + 1) * 10 * MS)
        assert device.last(dt.timedelta(milliseconds=15)).data.tolist() == list(range(85, 100))
        whole = device.between(t, t + 100 * MS)
        x = dt.datetime.fromtimestamp(t / 1e9, dt.UTC) + dt.timedelta(milliseconds=20)
        y = np.datetime64(t + 40 * MS, "ns")
        part = device.between(x, y)
        assert abs(len(part) - 20) <= 1
        assert device.between(t, x) + part + device.between(y, t + 100 * MS) == whole
        assert device.at(t + 55 * MS).data.tolist() == [55]
        with pytest.raises(ParameterError, match="time zone"):
            device.between(dt.datetime(2026, 1, 1), y)  # noqa: DTZ001 - that is the point


def test_the_reader_pulls() -> None:
    source = Manual()
    with Device(source) as device:
        feed(source, 0, 100, 10**18)
        with device.reader(rewind=0.05) as reader:
            first = reader.read(30, timeout=5)
            assert first is not None
            assert len(first) == 30
            rest = reader.read(timeout=5)
            assert rest is not None
            assert concat([first, rest]).data.tolist() == list(range(50, 100))
            with pytest.raises(TimeoutError, match="ramp"):
                reader.read(10, timeout=0.01)
            feed(source, 100, 7, 10**18 + 107 * MS)
            with pytest.raises(TimeoutError):
                reader.read(10, timeout=0.01)
            feed(source, 107, 7, 10**18 + 114 * MS)
            more = reader.read(10, timeout=5)
            assert more is not None
            assert more.data.tolist() == list(range(100, 110))  # what came before is kept
            source.fail(EndOfStream())
            end = reader.read(10, timeout=5)
            assert end is not None
            assert end.data.tolist() == list(range(110, 114))
            assert reader.read(10, timeout=5) is None


def test_the_reader_raises_what_the_stream_raises() -> None:
    source = Manual()
    with Device(source) as device, device.reader() as reader:
        source.fail(DeviceLostError("gone"))
        with pytest.raises(DeviceLostError):
            reader.read(1, timeout=5)


def test_async_for() -> None:
    source = Manual()

    async def run() -> list[int]:
        got: list[int] = []
        with Device(source) as device:
            loop = asyncio.get_running_loop()

            def produce() -> None:
                for k in range(20):
                    feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
                source.fail(EndOfStream())

            iterator = device.__aiter__()
            task = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            work = loop.run_in_executor(None, produce)
            got.append((await task).index)
            async for chunk in iterator:
                got.append(chunk.index)
            await work
        return got

    assert asyncio.run(run()) == list(range(0, 200, 10))


def test_heartbeats_of_a_silent_stream() -> None:
    source = Manual(EVENTS)
    with Device(source) as device:
        got = collect(device.with_heartbeats())
        t = 10**18
        feed(source, 0, 1, t, device_time=np.array([t], np.int64))
        source.emit(Reading(np.empty(0, np.int64), arrival=t + 50 * MS))
    assert [len(c) for c in got] == [1, 0]
    assert got[1].end == t + 50 * MS


def test_a_stream_that_is_silent_from_the_start_is_seen_alive() -> None:
    """Whoever joins it must know that nothing is to come from before."""
    source = Manual(EVENTS)
    none, t = np.empty(0, np.int64), 10**18
    with Device(source) as device:
        got = collect(device.with_heartbeats())
        for k in (0, 50, 50, 40, 90):
            source.emit(Reading(none, arrival=t + k * MS))
        feed(source, 0, 1, t + 100 * MS, device_time=np.array([t + 95 * MS], np.int64))
    assert [(c.start - t, c.end - t, len(c)) for c in got] == [
        (0, 0, 0), (0, 50 * MS, 0), (50 * MS, 90 * MS, 0), (90 * MS, 95 * MS + 1, 1),
    ]  # fmt: skip
    assert concat(got).index == 0


def test_a_heartbeat_after_a_disconnect_tells_the_gap() -> None:
    source, t = Manual(EVENTS), 10**18
    with Device(source, reconnect=0.001) as device:
        got = collect(device.with_heartbeats())
        feed(source, 0, 1, t, device_time=np.array([t], np.int64))
        source.opening.clear()
        source.fail(DeviceLostError("unplugged"))
        assert source.opening.wait(10)
        assert eventually(lambda: device.state == "open")
        source.emit(Reading(np.empty(0, np.int64), arrival=t + 50 * MS))
        feed(source, 1, 1, t + 70 * MS, device_time=np.array([t + 60 * MS], np.int64))
    assert got[1].gap == Gap(t + 1, t + 50 * MS, None, "disconnect")
    assert [(c.start - t, c.gap is None) for c in got[1:]] == [(50 * MS, False), (50 * MS, True)]


def test_what_is_known_only_after_opening() -> None:
    true_info = StreamInfo("ramp", rate=500.0, dtype=np.dtype(np.int64))

    class Late(Manual):
        def open(self, emit: Any, fail: Any) -> Any:
            return super().open(emit, fail), true_info

    source = Late()
    with Device(source) as device:
        assert device.info.rate == 500.0
        got = collect(device)
        feed(source, 0, 10, 10**18)
    assert got[0].info is true_info


def test_what_comes_before_open_is_back_is_not_lost() -> None:
    """A source's thread may be quicker than its `open`: emit, reuse the buffer, and fail."""
    true_info = StreamInfo("ramp", rate=500.0, dtype=np.dtype(np.int64))

    class Hasty(Manual):
        def open(self, emit: Any, fail: Any) -> Any:
            close = super().open(emit, fail)
            buffer = np.zeros(10, np.int64)

            def run() -> None:
                for k in range(3):
                    buffer[:] = k
                    emit(buffer)
                fail(EndOfStream())

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            return close, true_info

    source = Hasty()
    device = Device(source)
    got = collect(device)
    with device:
        assert device.wait(10)
        assert device.state == "ended"
    assert [int(c.data[0]) for c in got] == [0, 1, 2]
    assert got[0].info is true_info
    assert source.closed == 1


def test_closing_frees_a_source_that_is_held_by_a_blocking_subscriber() -> None:
    source = Manual(live=False)
    release, at_first = threading.Event(), threading.Event()
    device = Device(source, history=0.02).open()
    got: list[int] = []
    device.subscribe(lambda c: (at_first.set(), release.wait(10), got.append(c.index)))
    held = threading.Event()

    def produce() -> None:
        for k in range(20):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        held.set()

    thread = threading.Thread(target=produce)
    thread.start()
    assert at_first.wait(10)
    assert not held.wait(0.05)
    device.close(drain=0)
    assert held.wait(10)
    thread.join()
    release.set()
    assert eventually(lambda: got and got == list(range(0, 10 * len(got), 10)))


def test_a_file_waits_for_its_slowest_reader() -> None:
    source = Manual(live=False)
    with Device(source, history=0.1) as device:
        got: list[int] = []
        pause = threading.Event()
        device.subscribe(lambda c: (pause.wait(0.001), got.append(c.index)))
        for k in range(100):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        source.fail(EndOfStream())
        assert device.wait(10)
    assert got == list(range(0, 1000, 10))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Device(Manual(), history=-5), "history must be > 0 .* -5"),
        (lambda: Device(Manual(), history="long"), "seconds or a timedelta"),  # type: ignore[arg-type]
        (lambda: Device(object()), "no source"),  # type: ignore[arg-type]
        (lambda: Device(Manual(), timestamps="true"), "'corrected' or 'arrival'"),  # type: ignore[arg-type]
        (lambda: Device(Manual(), max_bytes=0), "max_bytes"),
        (lambda: Device(Manual(), reconnect=-1), "reconnect"),
        (lambda: Backoff(factor=0.5), "factor"),
        (lambda: Device(Manual(), history=5).rewind(6), "history of ramp is 5 s"),
        (lambda: Device(Manual()).last(-1), "last must be >= 0"),
        (lambda: Device(Manual()).reader(policy="drop"), "policy"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_info_is_that_of_the_source() -> None:
    assert Device(Manual()).info is INFO
