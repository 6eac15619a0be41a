"""Stamps that cannot be: set aside, reported once, and without effect on what comes after."""

from typing import Any

import numpy as np
import pytest
from fakes import Manual
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import ImmediateScheduler
from stamped_streams import DAY, KINDS, MS, PERIOD, SECOND, START, Kind, own_clock, run

from rxstream import Chunk, Device, Reading, StreamInfo
from rxstream.acquisition.faults import Fault
from rxstream.data.clock import HostClock
from rxstream.errors import StampError

READINGS = 60
# What a stamp is instead of the right one, by the right one.
WRONG: dict[str, Any] = {
    "a day ahead": lambda stamp: stamp + DAY,
    "an hour ahead": lambda stamp: stamp + DAY // 24,
    "the largest int64": lambda stamp: (1 << 63) - 1,
    "beyond int64": lambda stamp: (1 << 63) + 5,
    "a day back": lambda stamp: stamp - DAY,
    "nothing": lambda stamp: 0,
    "the smallest int64": lambda stamp: -(1 << 63),
}


def right_stamp(kind: Kind, sample: int) -> int:
    truth = np.array([START + sample * PERIOD])
    return int(truth[0] if kind.clock == "host" else own_clock(truth)[0])


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_wrong_stamp_of_a_live_device_changes_no_other_time(kind: Kind, wrong: str) -> None:
    n = kind.samples
    # the first of a reading, one in the middle, the last, and a whole reading
    readings = {20: range(1), 27: range(n // 2, n // 2 + 1), 34: range(n - 1, n), 41: range(n)}
    samples = [r * n + i for r, part in readings.items() for i in part]
    stamped = [i for i in samples if not kind.single or i % n == 0]
    bad = {i: WRONG[wrong](right_stamp(kind, i)) for i in stamped}
    usual, found = (run(kind, READINGS, these, live=True) for these in ({}, bad))
    found.check_laws()
    assert [gap for chunk in found.chunks for gap in chunk.gaps] == []
    others = np.ones(len(found.truth), bool)
    others[[i for r in readings for i in range(r * n, r * n + n)] if kind.single else stamped] = 0
    others[: 5 * n] = 0
    # of a stream with a line through many readings, the others move the line a little
    close = 0 if kind.clock == "host" and not (kind.regular and kind.single) else MS
    assert np.abs(found.times - usual.times)[others].max() <= close
    # no worse than arrival
    late = found.arrival - found.truth
    worse = np.abs(found.errors) - np.maximum(late, 0)
    assert worse[~others][5 * n :].max() <= close + n
    assert len(found.reports) == 1
    value = min(max(bad[stamped[0]], -(1 << 62)), 1 << 62)
    assert any(str(v) in str(found.reports[0]) for v in (value, bad[stamped[0]]))


# Nothing shows that the last stamp of a reading is ahead before it is out.
IN_RECORDING = [(w, p) for w in WRONG for p in ("first", "middle", "last")]
IN_RECORDING = [(w, p) for w, p in IN_RECORDING if not (p == "last" and "ahead" in w)]


@pytest.mark.parametrize(("wrong", "place"), IN_RECORDING)
def test_a_wrong_stamp_in_a_recording_lies_between_its_neighbours(wrong: str, place: str) -> None:
    kind = Kind("host", False, 5, False)
    samples = [r * 5 + {"first": 0, "middle": 2, "last": 4}[place] for r in (20, 41)]
    bad = {i: WRONG[wrong](right_stamp(kind, i)) for i in samples}
    found = run(kind, READINGS, bad, live=False)
    found.check_laws()
    others = np.ones(len(found.truth), bool)
    others[samples] = False
    assert (found.errors[others] == 0).all()
    assert np.abs(found.errors[samples]).max() < 1.5 * PERIOD
    assert [gap for chunk in found.chunks for gap in chunk.gaps] == []
    assert len(found.reports) == 1


def test_a_lone_stamp_ahead_in_a_recording_moves_what_follows_and_keeps_its_distances() -> None:
    """One sample a reading: when the next comes, the wrong one is out."""
    kind = Kind("host", False, 1, False)
    found = run(kind, READINGS, {20: right_stamp(kind, 20) + DAY}, live=False)
    found.check_laws()
    steps, true = np.diff(found.times), np.diff(found.truth)
    assert (steps[21:] == true[21:]).all()
    assert [gap.reason for chunk in found.chunks for gap in chunk.gaps] == ["overlap"]
    assert "set back" in str(found.reports[0])


@pytest.mark.parametrize("samples", [1, 5])
def test_two_recordings_joined_keep_their_distances(samples: int) -> None:
    kind = Kind("host", False, samples, False)
    half = 400 // samples * samples
    truth = run(kind, 800 // samples, {}, live=False).truth
    again = {half + i: int(truth[i]) for i in range(half)}
    found = run(kind, 800 // samples, again, live=False)
    assert (np.diff(found.times) > 0).all()
    np.testing.assert_array_equal(np.diff(found.times)[half:], np.diff(truth)[: half - 1])
    gaps = [gap for chunk in found.chunks for gap in chunk.gaps]
    assert [(gap.reason, gap.lost) for gap in gaps] == [("overlap", 0)]


@pytest.mark.parametrize("live", [True, False])
def test_stamps_that_go_back_a_little_overlap_once(live: bool) -> None:
    kind = Kind("host", False, 1, False)
    back = {i: right_stamp(kind, i) - SECOND // 5 for i in range(30, READINGS)}
    found = run(kind, READINGS, back, live=live)
    assert (np.diff(found.times) > 0).all()
    gaps = [gap for chunk in found.chunks for gap in chunk.gaps]
    assert [(gap.reason, gap.lost) for gap in gaps] == [("overlap", 0)]
    assert (found.times[55:] - [back[i] for i in range(55, READINGS)] == 0).all()
    assert found.reports == []


@pytest.mark.parametrize("kind", [k for k in KINDS if k.clock == "own"], ids=str)
def test_a_clock_of_its_own_that_is_set_is_followed(kind: Kind) -> None:
    n = kind.samples
    set_back = {i: right_stamp(kind, i) - 50 * SECOND for i in range(30 * n, READINGS * n)}
    found = run(kind, READINGS, set_back, live=True)
    assert (np.diff(found.times) > 0).all()
    assert ["set back by 50 s" in str(report) for report in found.reports] == [True]
    assert np.abs(found.errors[35 * n :]).max() < 5 * MS


def test_an_adapter_set_back_for_good_is_stamped_by_arrival() -> None:
    kind = Kind("host", False, 1, False)
    found = run(
        kind, READINGS, {i: right_stamp(kind, i) - DAY for i in range(30, READINGS)}, live=True
    )
    found.check_laws()
    assert (np.abs(found.errors) <= found.arrival - found.truth).all()
    assert len(found.reports) == 1


@pytest.mark.parametrize("kind", [k for k in KINDS if k.clock == "host"], ids=str)
def test_a_stamp_just_after_its_arrival_is_noise(kind: Kind) -> None:
    ahead = {20 * kind.samples: right_stamp(kind, 20 * kind.samples) + 0}
    found = run(
        kind, READINGS, ahead, live=True,
        change=lambda reading, k: reading if k != 25 else _last_moved(reading, kind),
    )  # fmt: skip
    found.check_laws()
    assert found.reports == []
    if kind.single and kind.regular:
        return
    assert (found.times <= found.arrival + kind.samples).all()


def _last_moved(reading: Reading, kind: Kind) -> Reading:
    """Return a reading whose last stamp is 0.2 ms after its arrival at the latest."""
    stamps: Any = reading.device_time
    if kind.single:
        return reading
    moved = stamps.copy()
    moved[-1] += 700_000
    return Reading(reading.data, device_time=moved)


stray = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.integers(START - 100 * SECOND, START + 100 * SECOND),
)


@given(
    kind=st.sampled_from([k for k in KINDS if k.clock == "host" and not k.regular]),
    bad=st.dictionaries(st.integers(0, 119), stray, max_size=12),
)
def test_any_stamps_of_a_live_device_leave_the_others_right(
    kind: Kind, bad: dict[int, int]
) -> None:
    if not kind.single and any(v >= 1 << 63 for v in bad.values()):
        bad = {i: max(v, 0) for i, v in bad.items()}  # of one unsigned array
    found = run(kind, 120 // kind.samples, bad, live=True)
    found.check_laws()
    assert all(gap.reason == "overlap" and gap.lost == 0 for c in found.chunks for gap in c.gaps)
    # None lies after its arrival, but for the nanoseconds that keep samples apart. A stamp may lie
    # ahead and before its arrival: only samples that arrived with it can be touched.
    assert (found.times <= found.arrival + 120).all()
    touched = {i // kind.samples for i in bad}
    right = [i for i in range(120) if i // kind.samples not in touched]
    error = np.abs(found.errors[right])
    assert not len(error) or error.max() <= 120


@given(
    kind=st.sampled_from([k for k in KINDS if k.clock == "host"]),
    bad=st.dictionaries(st.integers(0, 119), stray, max_size=12),
    live=st.booleans(),
)
def test_any_stamps_keep_samples_in_order_and_whole(
    kind: Kind, bad: dict[int, int], live: bool
) -> None:
    if not kind.single and any(v >= 1 << 63 for v in bad.values()):
        bad = {i: max(v, 0) for i, v in bad.items()}
    found = run(kind, 120 // kind.samples, bad, live=live)
    assert (np.diff(found.times) > 0).all()
    assert len(found.times) == 120
    assert len({str(report) for report in found.reports}) == len(found.reports) <= 4


@given(
    kind=st.sampled_from([k for k in KINDS if k.clock == "own"]),
    numbers=st.lists(st.integers(10, 55), max_size=5, unique=True),
    jump=st.one_of(
        st.integers(3 * SECOND, 1 << 61), st.integers(-(1 << 61), -3 * SECOND)
    ),
)  # fmt: skip
def test_lone_stamps_of_an_own_clock_leave_the_others_right(
    kind: Kind, numbers: list[int], jump: int
) -> None:
    numbers = [k for k in numbers if k - 1 not in numbers]
    bad = {k * kind.samples: right_stamp(kind, k * kind.samples) + jump for k in numbers}
    usual, found = (run(kind, READINGS, these, live=True) for these in ({}, bad))
    found.check_laws()
    assert [gap for chunk in found.chunks for gap in chunk.gaps] == []
    others = np.ones(len(found.truth), bool)
    others[list(bad)] = False
    if kind.single:
        others[[i + k for i in bad for k in range(kind.samples)]] = False
    assert np.abs(found.times - usual.times)[others].max() < MS
    assert (np.abs(found.errors) <= np.abs(found.arrival - found.truth) + 5 * MS).all()
    assert len(found.reports) == bool(numbers)


# -- arrival ------------------------------------------------------------------------------------


class HandClock(HostClock):
    """A host clock moved by the test."""

    def __init__(self) -> None:
        self.t = START
        super().__init__(lambda: self.t, lambda: self.t)


ARRIVALS: dict[str, Any] = {
    "a day ahead": DAY,
    "beyond int64": 1 << 70,
    "a day back": -DAY,
    "nothing": -START,
}


@pytest.mark.parametrize("rate", [None, 100.0])
@pytest.mark.parametrize("wrong", ARRIVALS)
@pytest.mark.parametrize("mode", ["corrected", "arrival"])
def test_a_wrong_arrival_given_by_the_source_changes_nothing_else(
    rate: float | None, wrong: str, mode: Any
) -> None:
    times = []
    for moved in (0, ARRIVALS[wrong]):
        clock = HandClock()
        source = Manual(StreamInfo("x", rate, (), np.dtype(int)))
        faults: list[Fault] = []
        with Device(source, clock=clock, timestamps=mode) as device:
            device.faults.subscribe(faults.append, scheduler=ImmediateScheduler())
            got = collect(device)
            for k in range(60):
                clock.t = START + k * PERIOD
                arrival = clock.t + (moved if k in (20, 40) else 0)
                source.emit(Reading(np.array([k]), arrival=arrival))
            reported = [fault for fault in device.faults if isinstance(fault, StampError)]
        assert [gap for chunk in got for gap in chunk.gaps] == []
        times.append(np.concatenate([chunk.time for chunk in got]))
        assert len(reported) == bool(moved)
        assert all(str(START + 20 * PERIOD + moved) in str(fault) for fault in reported)
    assert np.abs(times[0] - times[1]).max() < MS


def collect(device: Device) -> list[Chunk[Any]]:
    got: list[Chunk[Any]] = []
    device.subscribe(got.append, scheduler=ImmediateScheduler())
    return got


@pytest.mark.parametrize("live", [True, False])
def test_bounds_after_arrival_are_set_aside(live: bool) -> None:
    kind = Kind("host", False, 1, True)

    def bounded(reading: Reading, k: int) -> Reading:
        low = START + k * PERIOD + (DAY if k == 30 and live else 0)
        return Reading(reading.data, bounds=(low, low + MS))

    found = run(kind, READINGS, {}, live=live, change=bounded)
    found.check_laws()
    assert np.abs(found.errors).max() < PERIOD
    assert len(found.reports) == live


def test_a_heartbeat_in_the_future_holds_up_nothing() -> None:
    source = Manual(StreamInfo("x", None, (), np.dtype(int)))
    clock = HandClock()
    with Device(source, clock=clock) as device:
        got = collect(device)
        for k in range(10):
            clock.t = START + k * PERIOD
            source.emit(Reading(np.arange(1)))
            if k == 5:
                source.emit(Reading(np.arange(0), bounds=(START + DAY, START + DAY)))
                assert [type(fault) for fault in device.faults] == [StampError]
    times = np.concatenate([chunk.time for chunk in got])
    np.testing.assert_array_less(np.abs(times - START - np.arange(10) * PERIOD), 10)


# -- through a device ---------------------------------------------------------------------------


def test_a_device_reports_a_wrong_stamp_and_goes_on() -> None:
    source, clock = (
        Manual(StreamInfo("x", None, (), np.dtype(int), device_clock="host")),
        HandClock(),
    )
    with Device(source, clock=clock) as device:
        got = collect(device)
        for k in range(100):
            clock.t = START + k * PERIOD + MS
            wrong = DAY if k % 10 == 5 else 0
            source.emit(Reading(np.array([k]), device_time=START + k * PERIOD + wrong))
        assert device.state == "open"
        (fault,) = device.faults
    assert isinstance(fault, StampError)
    assert str(START + 5 * PERIOD + DAY) in str(fault)
    assert len(device.between(START, START + 60 * SECOND)) == 100
    times = np.concatenate([chunk.time for chunk in got])
    assert (times - START - np.arange(100) * PERIOD <= MS).all()
