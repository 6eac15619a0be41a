"""Device: times, gaps and counters of what a source emits, and heartbeats."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import MS, HandClock, Manual, collect, eventually, feed
from reactivex.scheduler import ImmediateScheduler

from rxstream import Device, DeviceCounter, Gap, Reading, StreamInfo, concat
from rxstream.errors import (
    ChunkError,
    DeviceLostError,
    EndOfStream,
    OverrunError,
)

pytestmark = pytest.mark.real

here = ImmediateScheduler()
EVENTS = StreamInfo("events", dtype=np.dtype(np.int64), device_clock="host")


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


@pytest.mark.parametrize("info", [EVENTS, Manual().info])
def test_what_was_lost_without_a_number_is_a_gap_but_not_before_the_first_sample(
    info: StreamInfo,
) -> None:
    source, clock = Manual(info), HandClock()
    with Device(source, clock=clock) as device:
        got = collect(device)
        t = clock.now()
        feed(source, 0, 10, t, reason="overrun")
        feed(source, 10, 10, t + 10 * MS)
        feed(source, 20, 10, t + 300 * MS, reason="overrun")
        feed(source, 30, 10, t + 310 * MS)
    assert [chunk.gap is None for chunk in got] == [True, True, False, True]
    assert got[2].gap is not None
    assert (got[2].gap.lost, got[2].gap.reason) == (None, "overrun")


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


def test_a_reading_of_the_wrong_shape_is_an_error_that_names_it() -> None:
    source = Manual()
    with Device(source) as device:
        errors: list[Exception] = []
        device.subscribe(lambda _: None, errors.append, scheduler=here)
        source.emit(np.zeros((10, 2), np.float32))
    assert isinstance(errors[0], ChunkError)
    assert "float32 of shape (10, 2)" in str(errors[0])
    assert "int64" in str(errors[0])


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
        for k in (0, 50, 50, 90):
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


def test_a_heartbeat_of_before_the_return_does_not_end_the_gap() -> None:
    """A source whose samples come late, as by the batch, knows nothing of the outage."""
    source, t, none = Manual(EVENTS), 10**18, np.empty(0, np.int64)

    def beat(now: int, delay: int = 100 * MS) -> None:
        source.emit(Reading(none, arrival=now, bounds=(now - delay, now)))

    with Device(source, reconnect=0.001) as device:
        got = collect(device.with_heartbeats())
        feed(source, 0, 1, t, device_time=np.array([t], np.int64))
        source.opening.clear()
        source.fail(DeviceLostError("unplugged"))
        assert source.opening.wait(10)
        assert eventually(lambda: device.state == "open")
        for k in (80, 150, 170, 190, 210):
            beat(t + k * MS)
        feed(source, 1, 1, t + 300 * MS, device_time=np.array([t + 250 * MS], np.int64))
    assert got[1].gap == Gap(t + 1, t + 90 * MS, None, "disconnect")
    assert [(c.start - t, len(c), c.gap is None) for c in got[1:]] == [
        (90 * MS, 0, False), (90 * MS, 0, True), (110 * MS, 1, True),
    ]  # fmt: skip


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
