"""Offset and drift between two devices from events both saw."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.errors import ParameterError
from rxstream.timing.calibrate import calibrate_latency

S = 1_000_000_000


def _events(rng, count=60, seconds=600.0):
    return np.sort(rng.uniform(0, seconds, count)) + 1.7e9


def _ns(t):
    return np.rint(np.asarray(t) * 1e9).astype(np.int64)


@given(st.integers(0, 10_000), st.floats(-0.9, 0.9), st.floats(-100e-6, 100e-6))
def test_offset_and_drift_are_found_although_some_events_are_missing(seed, offset, drift):
    rng = np.random.default_rng(seed)
    events = _events(rng)
    a = events[rng.random(60) > 0.15]
    b = events[rng.random(60) > 0.15]
    b = np.append(b, rng.uniform(events[0], events[-1], 5))
    b = np.sort(b + offset + drift * (b - events[0]) + rng.normal(0, 1e-3, len(b)))
    found = calibrate_latency(_ns(a), _ns(b), jitter=0.08)
    true = offset + drift * (found.middle / 1e9 - events[0])
    assert found.offset == pytest.approx(true, abs=1e-3)
    assert found.drift == pytest.approx(drift, abs=8e-6)
    assert found.uncertainty < 2e-3
    assert len(found.pairs) >= 30


def test_the_uncertainty_covers_the_error():
    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        events = _events(rng)
        found = calibrate_latency(_ns(events), _ns(events + 0.04 + rng.normal(0, 2e-3, 60)))
        inside += abs(found.offset - 0.04) <= found.uncertainty
    assert inside >= 85


def test_times_of_one_become_those_of_the_other():
    a = np.array([10, 25, 31, 50, 90]) * S
    b = a + 40_000_000 + (a - a[0]) // 50_000
    found = calibrate_latency(a, b)
    assert np.abs(found.to_a(b) - a).max() <= 2
    assert found.pairs.tolist() == [[i, i] for i in range(5)]


def test_a_single_event_gives_an_offset_without_certainty():
    found = calibrate_latency([5 * S], [5 * S - 20_000_000])
    assert (found.offset, found.drift, found.uncertainty) == (-0.02, 0.0, math.inf)


@pytest.mark.parametrize(
    ("a", "b", "options", "text"),
    [
        ([], [1], {}, "a must be"),
        ([1.5], [1], {}, "a must be"),
        ([1, 2], [2, 1], {}, "times of b do not rise"),
        ([0], [10 * S], {}, "larger tolerance"),
        ([0], [1], {"jitter": 0}, "jitter must be > 0"),
    ],
)
def test_bad_events_are_refused(a, b, options, text):
    with pytest.raises(ParameterError, match=text):
        calibrate_latency(a, b, **options)
