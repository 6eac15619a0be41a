"""Each setting of the clock model does what it says."""

import numpy as np
import pytest

from rxstream.timing import correct_arrays

S = 1_000_000_000
STEP = 0.01


def arrivals(taken, seed=0, scale=0.5e-3):
    late = np.random.default_rng(seed).exponential(scale, len(taken))
    return np.maximum.accumulate(np.rint((10 + taken + late) * S).astype(np.int64))


def errors(taken, **settings):
    found = correct_arrays(480, arrivals(taken), 48_000.0, **settings)
    return np.abs(found.last - np.rint((10 + taken) * S)) / 1e3, found  # [µs]


def test_a_known_skew_helps_until_it_is_found():
    taken = np.arange(1, 301) * STEP * 1.002
    given, _ = errors(taken, skew=2e-3)
    default, _ = errors(taken)
    assert np.median(given[20:100]) < np.median(default[20:100]) / 3


def test_a_clock_that_drifts_as_told_is_followed_and_covered():
    at = np.arange(1, 6001) * STEP
    taken = at + 1e-7 * at**2  # 0.2 ppm more each second
    given, found = errors(taken, drift=2e-7)
    default, _ = errors(taken)
    assert np.mean(given[500:] <= found.uncertainty[500:] / 1e3) > 0.95
    assert np.percentile(given[500:], 95) < np.percentile(default[500:], 95) / 2


def test_a_long_memory_is_sharper():
    taken = np.arange(1, 12_001) * STEP * (1 + 4e-5)
    long, _ = errors(taken)
    short, found = errors(taken, window=(1.0, 2.0))
    assert np.percentile(long[3000:], 95) < np.percentile(short[3000:], 95) / 2
    assert np.mean(short[3000:] <= found.uncertainty[3000:] / 1e3) > 0.95


def test_who_accepts_more_false_losses_hears_sooner():
    taken = np.arange(1, 4001) * STEP
    taken[3000:] += 0.005  # of any size: only a run of late chunks shows it
    decided = []
    for p_false in (1e-12, 1e-4):
        _, found = errors(taken, p_false=p_false)
        (event,) = found.events
        decided.append(event.last)
    strict, lax = decided
    assert 3000 < lax < strict


@pytest.mark.parametrize(("restart_gap", "kind"), [(1.0, "restart"), (5.0, "gap")])
def test_how_long_an_outage_makes_a_restart(restart_gap, kind):
    taken = np.arange(1, 4001) * STEP
    taken[3000:] += 3.0
    for quantum in (480, None):
        _, found = errors(taken, quantum=quantum, restart_gap=restart_gap)
        assert [event.kind for event in found.events] == [kind]
        if kind == "gap":
            assert found.events[0].samples == pytest.approx(144_000, abs=0 if quantum else 50)
