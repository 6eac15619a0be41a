"""Clocks of devices that are set, stand still, or count in another unit; stamps out of order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from stamped_streams import DAY, KINDS, MS, SECOND, START, Kind, Outcome, own_clock, run

from rxstream import Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper
from rxstream.errors import StampError

READINGS = 300
OWN = [kind for kind in KINDS if kind.clock == "own"]
HOST = [kind for kind in KINDS if kind.clock == "host"]


def right(kind: Kind) -> NDArray[np.int64]:
    truth = run(kind, READINGS, {}, live=True).truth
    shown: NDArray[np.int64] = truth if kind.clock == "host" else own_clock(truth)
    return shown


def set_by(kind: Kind, by: int, at: int) -> Outcome:
    """Stamp a stream whose clock is set by so much [ns] at a reading."""
    stamps, n = right(kind), kind.samples
    return run(
        kind, READINGS, {i: int(stamps[i]) + by for i in range(at * n, READINGS * n)}, live=True
    )


# -- set ----------------------------------------------------------------------------------------


BACK = [15, 50, 100, 300, 480, 499, 501, 520, 900, 50_000]
# One that does not go back from reading to reading looks like a longer delay.
SEEN = [(kind, back) for kind in OWN for back in BACK if back > 12 * kind.samples]


@pytest.mark.parametrize("at", [20, 100])
@pytest.mark.parametrize(("kind", "back"), SEEN, ids=str)
def test_a_clock_set_back_is_followed_and_reported_once(kind: Kind, back: int, at: int) -> None:
    n = kind.samples
    found = set_by(kind, -back * MS, at)
    found.check_laws()
    late = np.maximum(found.arrival - found.truth, 0)
    # no worse than arrival while it is open, right from then on
    assert (np.abs(found.errors) <= late + 5 * MS).all()
    assert np.abs(found.errors[(at + 60) * n :]).max() < 5 * MS
    assert (found.times <= found.arrival + n).all()
    if not kind.regular:
        assert [gap for chunk in found.chunks for gap in chunk.gaps] == []
    (said,) = [str(report) for report in found.reports if "set back" in str(report)]
    assert float(said.split("set back by ")[1].split()[0]) == pytest.approx(back / 1e3, abs=0.005)


def test_a_clock_that_begins_anew_is_followed() -> None:
    """A reboot soon after the start, when its time is less than half a second."""
    kind = Kind("own", False, 1, True)
    stamps = right(kind)
    stamps -= stamps[0]
    again = {i: int(stamps[i] - (stamps[20] if i >= 20 else 0)) for i in range(READINGS)}
    found = run(kind, READINGS, again, live=True)
    assert np.abs(found.errors[25:]).max() < 5 * MS
    assert len(found.reports) == 1


@pytest.mark.parametrize("ahead", [50, 100, 300, 499, 900, 50_000])
@pytest.mark.parametrize("kind", OWN, ids=str)
def test_a_clock_set_forward_puts_no_time_after_its_arrival(kind: Kind, ahead: int) -> None:
    found = set_by(kind, ahead * MS, 220)
    if ahead > 100 or not kind.regular:  # a step of a regular clock so small is a loss
        found.check_laws()
    assert (found.times <= found.arrival + kind.samples).all()
    late = np.maximum(found.arrival - found.truth, 0)
    assert (np.abs(found.errors) <= late + 5 * MS)[222 * kind.samples :].all()


@pytest.mark.parametrize("forward", [False, True])
def test_a_clock_set_twice_is_followed_twice(forward: bool) -> None:
    kind = Kind("own", False, 1, True)
    stamps = right(kind)
    second = 500 if forward else -200
    moved = {i: -200 * MS if i < 200 else (second - 200) * MS for i in range(100, READINGS)}
    found = run(kind, READINGS, {i: int(stamps[i]) + by for i, by in moved.items()}, live=True)
    assert (np.abs(found.errors) <= found.arrival - found.truth + 5 * MS).all()
    assert len(found.reports) == 1


@given(
    back=st.integers(5, 2000), jitter=st.floats(0.1, 20), period=st.integers(5, 100),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_whatever_the_delays(back: int, jitter: float, period: int, seed: int) -> None:
    """A clock that surely goes back, by more than the delays scatter, is followed."""
    back += 3 * period + round(20 * jitter)
    rng, count = np.random.default_rng(seed), 300
    truth = START + np.cumsum(rng.uniform(0.5, 1.5, count) * period * MS).astype(np.int64)
    delay = (MS * (1 + rng.exponential(jitter, count))).astype(np.int64)
    arrival = np.maximum.accumulate(truth + delay)
    own = truth - START
    own[150:] -= back * MS
    times, reports = stamped(own, arrival)
    assert (times <= arrival + count).all()
    assert (np.abs(times - truth) <= arrival - truth + 5 * MS + 3 * MS * jitter).all()
    assert ["set back" in report for report in reports] == [True]


def stamped(
    own: NDArray[np.int64], arrival: NDArray[np.int64], clock: Any = "own"
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the times of an irregular stream of single samples, and what was reported."""
    info = StreamInfo("x", None, (), np.dtype(np.int64), device_clock=clock)
    stamper, times, data = Stamper(info, live=True), [], np.zeros(1, np.int64)
    data.flags.writeable = False
    for stamp, at in zip(own.tolist(), arrival.tolist(), strict=True):
        chunk = stamper.stamp(Reading(data, device_time=stamp), data, at)
        assert chunk is not None
        times.append(int(chunk.time[0]))
    return np.array(times), [str(f) for f in stamper.found if isinstance(f, StampError)]


# -- out of order -------------------------------------------------------------------------------


@pytest.mark.parametrize("polled", [20, 50, 100, 300])
@pytest.mark.parametrize("stall", [0, 200])
def test_channels_out_of_order_are_no_clock_that_was_set(polled: int, stall: int) -> None:
    """One channel comes at once, the other is asked every so often [ms]; all may stall."""
    rng = np.random.default_rng(polled)
    first = np.arange(2000) * 10 * MS + rng.integers(0, 3 * MS, 2000)
    second = np.arange(2000) * 10 * MS + rng.integers(0, 3 * MS, 2000) + 5 * MS
    asked = (second // (polled * MS) + 1) * polled * MS
    own = np.concatenate([first, second])
    arrival = np.concatenate([first, asked]) + rng.exponential(MS, 4000).astype(np.int64)
    if stall:  # once a second nothing comes
        part = arrival % SECOND
        arrival += np.where(part < stall * MS, stall * MS - part, 0)
    order = np.lexsort((own, np.arange(4000) >= 2000, arrival))
    own, arrival = own[order], START + arrival[order]
    times, reports = stamped(own, arrival)
    assert reports == []
    assert (times <= arrival + 4000).all()
    in_time = (arrival - START - own) < 5 * MS
    # those in order are right, but where one of arrival came right before
    assert np.median(np.abs(times - START - own)[in_time]) < 2 * MS


def test_a_delay_that_grows_while_stamps_are_out_of_order_is_no_set_clock() -> None:
    rng, count = np.random.default_rng(3), 1000
    truth = np.arange(count) * 10 * MS
    own = truth.copy()
    own[7::9], own[8::9] = truth[8::9][: len(own[7::9])], truth[7::9][: len(own[8::9])]
    delay = rng.exponential(MS, count).astype(np.int64) + np.where(truth > 5 * SECOND, 60 * MS, 0)
    times, reports = stamped(own, START + np.maximum.accumulate(truth + delay))
    assert reports == []
    assert np.percentile(np.abs(times - START - truth)[700:], 90) < 12 * MS


# -- stand still, of another unit, old ----------------------------------------------------------


@pytest.mark.parametrize("kind", HOST + OWN, ids=str)
def test_a_clock_that_stands_still_is_left_for_arrival(kind: Kind) -> None:
    n, stamps = kind.samples, right(kind)
    found = run(kind, READINGS, {i: int(stamps[20 * n]) for i in range(20 * n, READINGS * n)},
                live=True)  # fmt: skip
    found.check_laws()
    (report,) = found.reports
    assert "stays at" in str(report) or "went on by 0 while" in str(report)
    last = found.errors[-20 * n :]
    assert (np.abs(last) <= np.maximum(found.arrival - found.truth, 0)[-20 * n :] + 15 * MS).all()


def test_stamps_always_the_same_take_arrival() -> None:
    arrival = START + np.arange(400) * 20 * MS
    stamps = np.full(400, START - 100 * SECOND)
    times, reports = stamped(stamps, arrival, "host")
    assert [f"stays at {START - 100 * SECOND}" in report for report in reports] == [True]
    assert np.abs(times - arrival)[60:].max() == 0


def test_a_clock_that_stood_still_is_followed_when_it_goes_on() -> None:
    arrival = START + np.arange(900) * 20 * MS
    own = (arrival - START) // 1
    own[200:500] = own[200]
    own[500:] -= own[500] - own[499]
    times, reports = stamped(own, arrival)
    assert len(reports) == 1
    assert np.abs(times - arrival)[320:].max() < 5 * MS


def test_a_long_stall_is_no_clock_that_stands_still() -> None:
    """All that waited comes one by one at its end."""
    truth = np.arange(3000) * 10 * MS
    arrival = -(-truth // (3 * SECOND)) * 3 * SECOND + MS
    _, reports = stamped(truth, START + arrival)
    assert reports == []


UNITS: dict[str, tuple[Any, str]] = {
    "seconds": (lambda stamp: stamp // 10**9, "seems to be in seconds; give nanoseconds"),
    "milliseconds": (lambda stamp: stamp // 10**6, "seems to be in milliseconds; give nano"),
    "microseconds": (lambda stamp: stamp // 10**3, "seems to be in microseconds; give nano"),
    "a zero of its own": (lambda stamp: stamp - START, 'say device_clock="own"'),
    "nothing": (lambda stamp: 0, 'say device_clock="own"'),
    "beyond int64": (lambda stamp: (1 << 63) + 5, str((1 << 63) + 5)),
    "an hour back": (lambda stamp: stamp - DAY // 24, "s before its arrival"),
    "an hour ahead": (lambda stamp: stamp + DAY // 24, "s after its arrival"),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", HOST, ids=str)
def test_stamps_that_are_no_host_times_say_why_and_take_arrival(kind: Kind, unit: str) -> None:
    change, said = UNITS[unit]
    bad = {i: change(stamp) for i, stamp in enumerate(right(kind).tolist())}
    found = run(kind, READINGS, bad, live=True)
    found.check_laws()
    (report,) = found.reports
    assert said in str(report)
    assert (found.times <= found.arrival + kind.samples).all()
    assert (found.arrival - found.times).max() < 60 * MS


def test_stamps_minutes_old_are_kept() -> None:
    """A device that sends what it has stored."""
    arrival = START + np.arange(100) * 20 * MS
    times, reports = stamped(arrival - 300 * SECOND, arrival, "host")
    assert reports == []
    np.testing.assert_array_equal(times, arrival - 300 * SECOND)


@pytest.mark.parametrize("unit", [10**3, 10**6])
def test_own_stamps_of_another_unit_say_so(unit: int) -> None:
    arrival = START + np.arange(400) * 20 * MS
    times, reports = stamped((arrival - START) // unit, arrival)
    assert ["give a clock that moves, in nanoseconds" in report for report in reports] == [True]
    assert np.abs(times - arrival)[120:].max() < 5 * MS


def test_a_recording_set_back_without_end_stays_within_int64() -> None:
    kind = Kind("host", False, 1, True)
    found = run(kind, 60, {13: -28_246_969} | dict.fromkeys(range(14, 40, 2), 0), live=False)
    assert (np.diff(found.times) > 0).all()
    assert len(found.times) == 60


def test_samples_of_one_own_stamp_do_not_lie_after_their_arrival() -> None:
    info = StreamInfo("x", None, (), np.dtype(np.int64))
    stamper, data = Stamper(info, live=True), np.zeros(2, np.int64)
    data.flags.writeable = False
    for arrival in (START, START + MS):
        chunk = stamper.stamp(Reading(data, device_time=arrival - START), data, arrival)
        assert chunk is not None
        assert chunk.time[-1] <= max(arrival, START + 1)
