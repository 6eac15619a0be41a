"""Devices that answer when they are asked: exact bounds on a schedule that does not drift."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import MS, Manual
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, Reading, StreamInfo, concat, poll
from rxstream.acquisition.polling import _Asked
from rxstream.acquisition.turns import Turns
from rxstream.data.clock import now_ns
from rxstream.errors import EndOfStream, ParameterError

START, SECOND = 10**18, 10**9
INFO = StreamInfo("volts", None, (), np.dtype(np.int64))


class Clock:
    """Time that passes when somebody waits, and by as much longer as the test says."""

    def __init__(self) -> None:
        self.now = START
        self.late = 0

    def read(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e9) + self.late


def asked(clock: Clock, read: Any, every: int, stop: threading.Event | None = None) -> _Asked:
    stop = stop or threading.Event()
    turns = Turns(every, stop, now=clock.read, wait=clock.wait)
    return _Asked(read, turns, stop, clock.read)


def stamped(readings: list[Any], info: StreamInfo = INFO) -> Chunk[Any]:
    """Return what a device makes of readings, whose samples are when they were taken."""
    source, chunks = Manual(info), list[Chunk[Any]]()
    with Device(source, history=10**6) as device:
        device.subscribe(chunks.append, scheduler=ImmediateScheduler())
        for reading in readings:
            source.emit(reading)
        assert list(device.faults) == []
    return concat(chunks)


def polled(seconds: int, seed: int) -> list[Reading]:
    """Return the readings of a device asked at 20 Hz, each time up to 30 ms late."""
    rng, clock = np.random.default_rng(seed), Clock()

    def read() -> Any:
        clock.now += 10_000
        taken = clock.now
        clock.now += int(rng.integers(0, 20_000))
        return np.array([taken])

    ask, readings = asked(clock, read, 50 * MS), list[Reading]()
    for _ in range(20 * seconds):
        clock.late = int(rng.integers(0, 30 * MS))
        reading = ask()
        assert reading is not None
        assert reading.bounds is not None
        readings.append(Reading(reading.data, bounds=reading.bounds, arrival=clock.now))
        assert reading.lost is None
    return readings


@pytest.mark.parametrize("seed", range(3))
def test_at_20_hz_with_30_ms_of_random_delay(seed: int) -> None:
    whole = stamped(polled(300, seed))
    error = whole.time - whole.data
    assert np.abs(error).max() < 0.02 * MS
    assert whole.gaps == ()
    uncertainty = [chunk.uncertainty for chunk in whole.axis.parts()]
    assert (np.abs(error) <= uncertainty).all()
    # the last one is where it would be if none had been late
    assert 0 <= whole.data[-1] - (START + (300 * 20 - 1) * 50 * MS) < 31 * MS


def with_a_rate(seed: int) -> Chunk[Any]:
    """Return what becomes of readings with bounds where a rate is stated all the same."""
    info = StreamInfo("volts", 20.0, (), np.dtype(np.int64))
    source, chunks = Manual(info), list[Chunk[Any]]()
    with Device(source, history=10**6) as device:
        device.subscribe(chunks.append, scheduler=ImmediateScheduler())
        for reading in polled(120, seed):
            source.emit(reading)
    return concat(chunks)


@pytest.mark.parametrize("seed", range(6))
def test_a_rate_that_is_stated_all_the_same_does_no_harm_to_the_times(seed: int) -> None:
    whole = with_a_rate(seed)
    assert np.abs(whole.time - whole.data).max() < 0.03 * MS
    assert [gap for gap in whole.gaps if gap.reason == "overlap"] == []
    assert (np.diff(whole.time) > 0).all()


def test_a_rate_that_is_stated_all_the_same_makes_no_losses() -> None:
    assert [with_a_rate(seed).lost for seed in range(6)] == [0] * 6


def test_turns_that_are_missed_are_skipped_and_counted() -> None:
    clock = Clock()
    slow = iter([0, 0, 40, 70, 260, 0, 0, 0])

    def read() -> Any:
        clock.now += next(slow) * MS
        return np.array([clock.now])

    ask, turns, lost = asked(clock, read, 50 * MS), [], []
    for _ in range(8):
        reading = ask()
        assert reading is not None
        assert reading.bounds is not None
        turns.append((reading.bounds[0] - START) / MS)
        lost.append((reading.lost, reading.reason) if reading.lost else 0)
    # the one of 200 ms is late by 20, those of 250 to 400 are missed, that of 450 is late by 30
    assert turns == [0, 50, 100, 150, 220, 480, 500, 550]
    assert lost == [0, 0, 0, 0, 0, (4, "overrun"), 0, 0]


def test_skipped_turns_are_a_gap() -> None:
    clock = Clock()
    slow = iter([0, 260, 0, 0])

    def read() -> Any:
        taken = clock.now
        clock.now += next(slow) * MS
        return Reading(np.array([taken]), bounds=(taken, taken), arrival=clock.now)

    ask = asked(clock, read, 50 * MS)
    whole = stamped([ask() for _ in range(4)])
    (gap,) = whole.gaps
    assert (gap.lost, gap.reason) == (4, "overrun")
    np.testing.assert_array_equal(whole.time, whole.data)
    assert whole.index + len(whole) + whole.lost == 8


def test_evidence_of_the_reading_stays() -> None:
    clock, given = Clock(), []

    def read() -> Any:
        return given[-1]

    ask = asked(clock, read, MS)
    for reading in (
        Reading(np.zeros(1), bounds=(1, 2)),
        Reading(np.zeros(1), device_time=5),
        Reading(np.zeros(1), counter=3),
        None,
    ):
        given.append(reading)
        clock.now += 10
        out = ask()
        if reading is None:
            assert out is None
            continue
        assert out is not None
        assert (out.device_time, out.counter) == (reading.device_time, reading.counter)
        if reading.counter is None:
            assert out.bounds == reading.bounds
        else:
            assert out.bounds == (clock.now, clock.now)


def test_turns_skipped_before_no_answer_are_told_with_the_next_one() -> None:
    clock = Clock()
    answers = iter([np.zeros(1), None, np.zeros(1)])
    slow = iter([170, 0, 0])

    def read() -> Any:
        clock.now += next(slow) * MS
        return next(answers)

    ask = asked(clock, read, 50 * MS)
    lost = [None if reading is None else reading.lost for reading in (ask(), ask(), ask())]
    assert lost == [None, None, 2]


@pytest.mark.parametrize("every", [0, -1.0, float("nan"), "1 s", 1e12])
def test_a_turn_takes_a_time(every: Any) -> None:
    with pytest.raises(ParameterError, match=r"every must be > 0 seconds"):
        poll(lambda: None, print, print, name="x", every=every)


@pytest.mark.real
def test_it_closes_at_once_however_long_it_is_to_the_next_turn() -> None:
    got: list[Any] = []
    first = threading.Event()

    def emit(reading: Any) -> None:
        got.append(reading)
        first.set()

    close = poll(lambda: np.zeros(1), emit, print, name="slow", every=3600.0)
    assert first.wait(10)
    before = now_ns()
    close()
    assert now_ns() - before < SECOND
    assert len(got) == 1


@pytest.mark.real
def test_a_real_one_is_right_to_its_uncertainty() -> None:
    """20 Hz, with up to 30 ms before the question is put; on a busy machine too."""
    rng, done = np.random.default_rng(4), threading.Event()
    count, pause = iter(range(60)), threading.Event()

    def read() -> Reading:
        if next(count, None) is None:
            raise EndOfStream
        pause.wait(rng.uniform(0, 0.03))
        before = now_ns()
        taken = now_ns()
        return Reading(np.array([taken]), bounds=(before, now_ns()))

    class Volts:
        info, live = INFO, True

        def open(self, emit: Any, fail: Any) -> Any:
            return poll(read, emit, fail, name="volts", every=0.05)

    chunks: list[Chunk[Any]] = []
    device = Device(Volts(), history=60)
    device.subscribe(chunks.append, on_completed=done.set)
    with device:
        assert done.wait(60)
    whole = concat(chunks)
    assert len(whole) == 60
    error = np.abs(whole.time - whole.data)
    assert (error <= [part.uncertainty + 1 for part in whole.axis.parts()]).all()
    assert np.median(error) < 0.1 * MS
    # only what the machine could not do is missing
    assert all(gap.reason == "overrun" for gap in whole.gaps)
    turns = (whole.data - whole.data[0]) / (50 * MS)
    assert round(float(turns[-1])) <= 59 + whole.lost + 1
