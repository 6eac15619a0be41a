"""A computer that sleeps: a gap in the stream of a live device, and true times after it."""

import time
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, DeviceCounter, Reading, StreamInfo, concat
from rxstream import operators as ops
from rxstream.data.clock import HostClock, host_clock, host_time, now_ns
from rxstream.errors import DeviceLostError, ParameterError
from rxstream.testing import run_operator

MS, SECOND = 10**6, 10**9
START = 1_700_000_000 * SECOND
ASLEEP = 3600 * SECOND


class Sleeper(HostClock):
    """A host that can sleep: one of its clocks stands still then."""

    def __init__(self) -> None:
        self.boot, self.mono = 50 * SECOND, 40 * SECOND
        super().__init__(
            monotonic=lambda: self.boot,
            realtime=lambda: self.boot - 50 * SECOND + START,
            awake=lambda: self.mono,
        )

    def go(self, ns: int) -> None:
        self.boot += ns
        self.mono += ns

    def sleep(self, ns: int) -> None:
        self.boot += ns


def info(rate: float | None, **more: Any) -> StreamInfo:
    return StreamInfo("x", rate, (), np.dtype(np.int64), **more)


COUNTED = {"counter": DeviceCounter(32)}
STREAMS = {
    "arrival": (info(1000.0), {}),
    "arrival, irregular": (info(None), {}),
    "counted": (info(1000.0, **COUNTED), {}),
    "driver": (info(1000.0, device_clock="host"), {"stamp": "one"}),
    "adapter": (info(1000.0, device_clock="host"), {"stamp": "each"}),
    "adapter, irregular": (info(None, device_clock="host"), {"stamp": "each"}),
    "own clock": (info(1000.0), {"stamp": "own"}),
    "own clock, irregular": (info(None), {"stamp": "own each"}),
}
# What the device does while the computer sleeps: samples that it takes, and where its counter goes
# on from; what is known of the loss, if it counts.
MEANWHILE = {
    "runs on": (3_600_000, None, 3_600_000),
    "sleeps too": (0, None, 0),
    "begins anew": (0, 0, None),
}


def play(
    stream: StreamInfo, how: dict[str, Any], meanwhile: str, mode: Any = "corrected", **device: Any
) -> tuple[list[Chunk[Any]], Device]:
    """Return the chunks of 60 s, with an hour of sleep after 30 s."""
    clock, source, rng = Sleeper(), Manual(stream), np.random.default_rng(3)
    missed, anew, _ = MEANWHILE[meanwhile]
    got: list[Chunk[Any]] = []
    own = clock.now() - 7 * SECOND
    count = 0
    with Device(source, clock=clock, timestamps=mode, **device) as opened:
        opened.subscribe(got.append, scheduler=ImmediateScheduler())
        for k in range(600):
            clock.go(100 * MS)
            if k == 300:
                clock.sleep(ASLEEP)
                count = count + missed if anew is None else anew
                if meanwhile == "begins anew":
                    own = clock.now() - SECOND
            count += 100
            taken = clock.now() - np.arange(99, -1, -1) * MS
            evidence: dict[str, Any] = {}
            if stream.counter is not None:
                evidence["counter"] = count
            stamp = how.get("stamp")
            if stamp is not None:
                evidence["device_time"] = {
                    "one": int(taken[0]), "each": taken,
                    "own": int(taken[0]) - own, "own each": taken - own,
                }[stamp]  # fmt: skip
            late = int(rng.exponential(2e5))
            clock.go(late)
            source.emit(Reading(np.arange(100 * k, 100 * k + 100), **evidence))
            clock.go(-late)
    return got, opened


@pytest.mark.parametrize("mode", ["corrected", "arrival"])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("name", STREAMS)
def test_a_sleep_is_a_gap(name: str, meanwhile: str, mode: Any) -> None:
    stream, how = STREAMS[name]
    got, device = play(stream, how, meanwhile, mode)
    (gap,) = [gap for chunk in got for gap in chunk.gaps]
    assert gap.reason == "suspended"
    assert gap.lost == (MEANWHILE[meanwhile][2] if stream.counter else None)
    assert gap.duration == pytest.approx(3600, abs=0.5)
    whole = concat(got)
    assert len(whole) == 60_000
    assert (np.diff(whole.time) > 0).all()
    # irregular samples that come without stamps have the time at which they came
    arrived = stream.rate is None and (mode == "arrival" or not how)
    arrived = arrived and stream.device_clock == "own"
    true = START + np.arange(60_000) * MS + MS
    true[30_000:] += ASLEEP
    error = np.abs(whole.time - true)
    assert np.median(error) < (60 if arrived else 1) * MS
    assert error.max() < 101 * MS
    assert device.stats().flow.lost == (gap.lost or 0)


def test_a_second_correction_keeps_the_sleep() -> None:
    got, _ = play(*STREAMS["counted"], "runs on")
    again = run_operator(ops.timestamp_correct(), got)
    assert [c.gaps for c in again] == [c.gaps for c in got]
    np.testing.assert_array_equal(concat(again).time, concat(got).time)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_counter_that_turned_over_in_the_sleep_says_nothing(bits: int) -> None:
    stream = info(1000.0, counter=DeviceCounter(bits))
    clock, source = Sleeper(), Manual(stream)
    got: list[Chunk[Any]] = []
    with Device(source, clock=clock) as device:
        device.subscribe(got.append, scheduler=ImmediateScheduler())
        for k in range(20):
            clock.go(100 * MS)
            if k == 10:
                clock.sleep(ASLEEP)
            source.emit(Reading(np.arange(100), counter=100 * k % (1 << bits)))
    assert [(g.reason, g.lost) for c in got for g in c.gaps] == [("suspended", None)]


def test_what_the_device_says_it_lost_in_the_sleep_counts() -> None:
    clock, source = Sleeper(), Manual(info(None))
    got: list[Chunk[Any]] = []
    with Device(source, clock=clock) as device:
        device.subscribe(got.append, scheduler=ImmediateScheduler())
        for k in range(4):
            clock.go(100 * MS)
            if k == 2:
                clock.sleep(ASLEEP)
            source.emit(Reading(np.arange(1), lost=42 if k == 2 else None))
    assert [(g.reason, g.lost) for c in got for g in c.gaps] == [("suspended", 42)]


def test_a_silent_stream_tells_of_the_sleep_in_its_heartbeat() -> None:
    clock, source = Sleeper(), Manual(info(None))
    got: list[Chunk[Any]] = []
    with Device(source, clock=clock) as device:
        device.subscribe(got.append, scheduler=ImmediateScheduler())
        for k in range(6):
            clock.go(200 * MS)
            if k == 3:
                clock.sleep(ASLEEP)
            source.emit(Reading(np.arange(k in (0, 5))))
        whole = device.between(START, START + 2 * ASLEEP)
    assert [(g.reason, g.lost) for g in whole.gaps] == [("suspended", None)]
    assert whole.gaps[0].duration == pytest.approx(3600.2)


def test_a_recording_does_not_sleep() -> None:
    clock, source = Sleeper(), Manual(info(None, device_clock="host"), live=False)
    with Device(source, clock=clock) as device:
        for k in range(4):
            clock.go(100 * MS)
            clock.sleep(ASLEEP if k == 2 else 0)
            source.emit(Reading(np.arange(1), device_time=START + k * MS))
        whole = device.between(0, 2 * START)
    assert whole.gaps == ()
    assert whole.time.tolist() == [START + k * MS for k in range(4)]


def test_a_device_that_is_lost_in_the_sleep_says_that_the_computer_slept() -> None:
    clock, source = Sleeper(), Manual(info(1000.0))
    got: list[Chunk[Any]] = []
    with Device(source, clock=clock, reconnect=0.001) as device:
        device.subscribe(got.append, scheduler=ImmediateScheduler())
        for k in range(40):
            clock.go(100 * MS)
            if k == 20:
                clock.sleep(ASLEEP)
                source.opening.clear()
                source.fail(DeviceLostError("gone in the sleep"))
                assert source.opening.wait(10)
            source.emit(np.arange(100))
        # what came before it counted as open again is taken by another thread
        assert eventually(lambda: len(got) == 40)
    gaps = [gap for chunk in got for gap in chunk.gaps]
    assert [(gap.reason, gap.lost) for gap in gaps] == [("suspended", None)]


# -- clocks -------------------------------------------------------------------------------------


def test_the_host_clock_counts_sleep_and_its_stamps_are_mapped() -> None:
    clock = Sleeper()
    assert clock.now() == START
    before = clock.slept()
    clock.go(SECOND)
    clock.sleep(ASLEEP)
    assert clock.slept() - before == ASLEEP
    assert clock.now() == START + SECOND + ASLEEP
    assert clock.from_monotonic(clock.mono - 5) == clock.now() - 5
    assert clock.from_realtime(START + SECOND + ASLEEP - 5) == clock.now() - 5
    assert clock.from_clock(77, lambda: 100) == clock.now() - 23


def test_without_a_clock_that_counts_sleep_nothing_is_told() -> None:
    clock = HostClock(lambda: 5, lambda: 10**18)
    assert clock.slept() == 0
    assert clock.from_monotonic(3) == 10**18 - 2


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux has it")
def test_the_clock_of_this_process_is_boottime() -> None:
    slept = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    assert abs(host_clock.slept() - slept) < SECOND
    before = now_ns()
    passed = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert 0 <= host_time(passed, lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)) - before < 1e9


@pytest.mark.parametrize("clock", ["time", "monotonic", "perf_counter"])
def test_stamps_of_pythons_clocks_are_mapped(clock: str) -> None:
    nanoseconds = getattr(time, f"{clock}_ns")
    before = now_ns()
    whole, seconds = nanoseconds(), getattr(time, clock)()
    after = now_ns()
    # the machine may be busy between the readings that tie two clocks
    assert before - 5 * MS <= host_time(whole, nanoseconds) <= after + 5 * MS
    assert before - 5 * MS <= host_time(seconds, nanoseconds) <= after + 5 * MS


@pytest.mark.parametrize("wrong", [None, "1", float("nan"), float("inf"), True, 1e30])
def test_what_is_no_stamp_is_named(wrong: Any) -> None:
    with pytest.raises(ParameterError, match="stamp of a clock"):
        host_time(wrong, time.monotonic_ns)
