"""Recordings whose rate changes: each part has its own line."""

import numpy as np
import pytest
from campaign import few

from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.recorded.turns import turn_of

pytestmark = pytest.mark.slow

S = 1_000_000_000


def arrivals(periods, seed=0, lost=()):
    """Return true times and arrivals [ns] of samples, without those lost."""
    taken = np.delete(10 + np.cumsum(periods), list(lost))
    late = np.random.default_rng(seed).exponential(0.05 * periods[0], len(taken))
    return np.rint(taken * S), np.maximum.accumulate(np.rint((taken + late) * S).astype(np.int64))


def parts(rate, *changes):
    """Return the periods [s] of 150 s at a rate, and at each of so many times that rate."""
    return np.concatenate([np.full(int(150 * rate * by), 1 / rate / by) for by in (1, *changes)])


def check(taken, arrival, found, lost=0):
    error, plain = np.abs(found.last - taken), arrival - taken
    assert np.quantile(error, 0.95) <= 1.1 * np.quantile(plain, 0.95)
    assert np.mean(error <= found.uncertainty) >= 0.95
    assert (found.last <= arrival + 1).all()
    assert (np.diff(found.last) > 0).all()
    assert sum(event.samples or 0 for event in found.events if event.kind == "gap") <= lost


@pytest.mark.parametrize("rate", few([8.0, 25.0, 100.0, 200.0], 3))
@pytest.mark.parametrize("by", [0.985, 0.995, 1.005, 1.015, 1.1])
def test_each_part_has_its_own_rate(rate, by):
    taken, arrival = arrivals(parts(rate, by))
    found = correct_arrays(1, arrival, rate, online=False)
    check(taken, arrival, found)
    (event,) = [event for event in found.events if event.kind != "latency"]
    assert event.kind == "rate"
    assert event.rate == pytest.approx(by * rate, rel=3e-4)
    assert event.stated == rate
    assert event.first / rate == pytest.approx(150, abs=10)
    # The line of its rate, not the arrival: all but the turn is a hundred times as good.
    error = np.abs(found.last - taken)
    assert np.median(error) < 0.01 * np.median(arrival - taken)


@pytest.mark.parametrize("by", [(1.005, 1.0, 0.995), (0.985, 1.0, 1.015)])
def test_a_rate_may_change_several_times(by):
    taken, arrival = arrivals(parts(25.0, *by))
    found = correct_arrays(1, arrival, 25.0, online=False)
    check(taken, arrival, found)
    assert [event.kind for event in found.events] == ["rate"] * 3
    assert [event.rate for event in found.events] == pytest.approx([25 * f for f in by], rel=1e-3)


@pytest.mark.parametrize("rate", [25.0, 100.0])
@pytest.mark.parametrize("by", [0.5, 0.8, 2.0])
def test_a_rate_beyond_any_clock_is_no_worse_than_arrival(rate, by):
    taken, arrival = arrivals(parts(rate, by))
    check(taken, arrival, correct_arrays(1, arrival, rate, online=False))


@pytest.mark.parametrize("seed", range(6))
def test_a_loop_that_states_ten_times_its_rate_is_no_worse_than_arrival(seed):
    """Lateness that grows by most of each turn is no scatter of arrivals."""
    turns = 1 + np.random.default_rng(seed).exponential(0.03, 120)
    arrival = np.rint((10 + np.cumsum(turns)) * S).astype(np.int64)
    found = correct_arrays(1, arrival, 10.0, online=False)
    error = arrival - found.last
    assert (error >= 0).all()
    assert error.max() < 0.1 * S
    # They were known to 80 s.
    assert found.uncertainty.max() < S


@pytest.mark.parametrize("rate", [25.0, 100.0])
@pytest.mark.parametrize("by", [0.985, 1.005, 1.03])
def test_a_rate_may_change_slowly(rate, by):
    factor = np.interp(np.arange(int(300 * rate)) / rate, [90, 250], [1.0, by])
    taken, arrival = arrivals(1 / rate / factor)
    check(taken, arrival, correct_arrays(1, arrival, rate, online=False))


@pytest.mark.parametrize("rate", [25.0, 100.0])
def test_samples_may_be_lost_as_well(rate):
    begins = np.arange(20, 290, 45) * int(rate)
    lost = [begin + k for begin in begins for k in range(7)]
    taken, arrival = arrivals(parts(rate, 1.015), lost=lost)
    found = correct_arrays(1, arrival, rate, online=False)
    check(taken, arrival, found, len(lost))


def test_without_a_change_there_is_no_turn():
    x = np.arange(3000) / 100
    late = np.random.default_rng(0).exponential(1e-3, 3000)
    assert turn_of(x, late) is None
    assert turn_of(x[:5], late[:5]) is None
    # A loss is no turn of the slope.
    turn = turn_of(x, late + 0.05 * (x > 20))
    assert turn.change < 1e-4
    assert abs(turn.at - 2000) <= turn.near


@pytest.mark.parametrize(("n", "at"), [(300, 10), (1000, 30), (4000, 10), (4000, 150)])
def test_a_loss_that_was_found_is_no_other_rate(n, at):
    """A step inside of one of the blocks that are compared looks like a slope of some of them."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        lost = np.where(np.arange(n) >= at, 0.2, 0.0)
        taken = 100 + np.arange(1, n + 1) * 0.1 + lost
        came = np.rint((taken + rng.exponential(2e-3, n)) * 1e9).astype(np.int64)
        found = correct_arrays(100, came, 1000.0, online=False)
        (event,) = found.events
        assert (event.kind, event.samples, event.first) == ("gap", 200, at)
        assert np.quantile(np.abs(found.last / 1e9 - taken), 0.95) < 1e-3


@pytest.mark.parametrize("stall", [1, 7, 30])
@pytest.mark.parametrize("end", [5, 10, 40])
def test_chunks_that_waited_at_the_end_are_no_other_rate(stall, end):
    rng = np.random.default_rng(3)
    came = 100 + np.arange(1, 401) * 0.1 + rng.exponential(2e-3, 400)
    held = came[-end] + stall
    came = np.maximum.accumulate(
        np.where(np.arange(400) >= 400 - end, np.maximum(came, held), came)
    )
    found = correct_arrays(1, np.rint(came * 1e9).astype(np.int64), 10.0, online=False)
    assert (np.diff(found.last) > 0).all()
