"""Recordings of streams so slow that a window of the second pass holds one chunk, or none."""

import numpy as np
import pytest

from rxstream.timing.recorded import smoothing
from rxstream.timing.recorded.arrays import correct_arrays

S = 1_000_000_000


def _all_knots(xs, begin, length, span, places):
    """Return the knots of all windows, however many there are."""
    number = int(np.ceil(length * smoothing._KNOTS / span)) + 1
    return begin + np.linspace(0, length, number)


def _arrivals(rate, size, seed=0):
    rng = np.random.default_rng(seed)
    taken = 100 + np.arange(1, size + 1) / rate * (1 + 20e-6)
    late = rng.exponential(2e-3, size) + (np.arange(size) >= size // 2) * 3 / rate
    return np.maximum.accumulate(np.rint((taken + late) * S).astype(np.int64))


def _results(rate, arrival):
    for options in ({}, {"quantum": 1}, {"lower": arrival - S // 100}):
        found = correct_arrays(1, arrival, rate, online=False, **options)
        yield found.first.tolist(), found.last.tolist(), found.uncertainty.tolist(), found.events


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001, 0.00005])
@pytest.mark.parametrize("size", [2, 5, 100])
def test_what_no_chunk_needs_changes_nothing(rate, size, monkeypatch):
    arrival = _arrivals(rate, size)
    found = list(_results(rate, arrival))
    monkeypatch.setattr(smoothing, "_knots", _all_knots)
    assert list(_results(rate, arrival)) == found


def test_many_chunks_among_long_pauses_change_nothing(monkeypatch):
    """Windows of many chunks and windows of none, side by side."""
    rng = np.random.default_rng(0)
    taken = np.concatenate([100 + k * 40_000 + np.arange(1, 60) * 20.0 for k in range(4)])
    arrival = np.rint((taken + rng.exponential(2e-3, len(taken))) * S).astype(np.int64)
    given = {"counter": np.floor(taken * 1e3).astype(np.int64), "online": False}
    found = correct_arrays(1, arrival, 0.05, **given)
    monkeypatch.setattr(smoothing, "_knots", _all_knots)
    again = correct_arrays(1, arrival, 0.05, **given)
    assert again.last.tolist() == found.last.tolist()
    assert again.uncertainty.tolist() == found.uncertainty.tolist()


def test_the_windows_are_no_more_than_the_chunks_need(monkeypatch):
    windows = []

    class Counted(smoothing._Window):
        def __new__(cls, *fields):
            windows.append(fields)
            return super().__new__(cls, *fields)

    monkeypatch.setattr(smoothing, "_Window", Counted)
    # At 1 mHz there were 13 for each.
    correct_arrays(1, _arrivals(0.001, 500), 0.001, online=False)
    assert 0 < len(windows) < 2000


def test_a_few_chunks_of_a_century_are_corrected():
    """It took more windows than fit into memory."""
    rate = 1 / (365.25 * 86_400)
    arrival = np.arange(-20, 40) * round(S / rate)
    found = correct_arrays(1, arrival, rate, online=False)
    assert np.abs(found.last - arrival).max() < 0.01 * S / rate


def test_a_last_slope_unlike_all_others_adds_up_no_falls_of_the_delay():
    """A poller every 0.3 s: each chunk has waited for whole steps, and the last line is steep."""
    rng = np.random.default_rng(8)
    taken = np.arange(1, 801) * 4 * (1 + 90e-6)
    came = np.maximum.accumulate(taken + np.ceil(rng.exponential(1.0, 800)) * 0.3)
    arrival = 10**18 + np.rint(came * S).astype(np.int64)
    found = correct_arrays(1, arrival, 0.25, online=False)
    error = np.abs((found.last - 10**18) / S - taken - 0.3)
    # Falls added up to 14 s.
    assert np.quantile(error, 0.95) < 0.32 < np.quantile(came - taken - 0.3, 0.95)
    assert sum(event.delay for event in found.events) > -0.7 * S
