"""Recordings of streams without a steady clock, or with delays unlike most others."""

from pathlib import Path

import numpy as np
import pytest

from rxstream.timing.online.model import ClockModel
from rxstream.timing.recorded import first_pass
from rxstream.timing.recorded.arrays import correct_arrays

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
S = 1_000_000_000


@pytest.fixture
def streams(monkeypatch):
    """The streams of the benchmark."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("timing.unsteady")


# Each was worse than arrival, or not covered, when the second pass took the last slope of the first
# for certain, looked at no whole recording for its uncertainty, and believed in each change of the
# delay.
STREAMS = [
    ("thin tails", 23), ("thin tails", 103), ("thin tails", 1095), ("normal jitter", 18),
    ("normal jitter", 47), ("normal jitter", 50), ("random walk", 110), ("random walk", 3062),
    ("software-paced", 36), ("software-paced", 1004), ("wrong rate", 81), ("bursts", 5),
    ("bursts", 23), ("bursts", 44),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "seed"), STREAMS)
def test_times_are_no_worse_than_arrival_and_covered(kind, seed, streams):
    trace = streams.unsteady(seed, kind)
    found = correct_arrays(trace.count, trace.arrival, trace.rate, online=False)
    lost = sum(event.samples or 0 for event in found.events if event.kind == "gap")
    verdict = streams.judge(trace, found.last, found.uncertainty, lost)
    assert verdict.lost == verdict.late == 0
    assert verdict.ratio <= 1.1
    assert verdict.covered >= 0.95


def test_the_slope_of_thin_delays_is_that_of_all_lowest_points():
    off = []
    taken = 10 + np.arange(1, 4501) / 30 * (1 + 40e-6)
    for seed in range(6):
        delay = 12e-3 + 2e-3 * np.random.default_rng(seed).standard_normal(4500)
        arrival = np.maximum.accumulate(np.rint((taken + delay) * S).astype(np.int64))
        found = correct_arrays(1, arrival, 30.0, online=False)
        off.append(np.polyfit(taken, found.last / S, 1)[0] - 1)
    # By the points that the line rests on it is known to 12 ppm.
    assert np.sqrt(np.mean(np.square(off))) < 8e-6


@pytest.mark.parametrize(("kind", "seed"), [("thin tails", 99), ("normal jitter", 3106)])
def test_a_change_of_the_delay_within_the_uncertainty_is_none(kind, seed, streams):
    trace = streams.unsteady(seed, kind)
    found = correct_arrays(trace.count, trace.arrival, trace.rate, online=False)
    assert not found.events


def test_a_change_of_the_delay_is_as_large_as_it_was(traces):
    trace = traces.regular(5, seconds=200, step=-1e-3, floor=3e-3, stalls=None)
    found = correct_arrays(
        trace.count, trace.arrival, trace.rate, quantum=trace.quantum, online=False
    )
    (event,) = found.events
    assert event.kind == "latency"
    assert event.delay == pytest.approx(-1e6, abs=20e3)


def test_it_begins_again_as_soon_as_another_rate_is_found(monkeypatch):
    """Not when all chunks have been looked at with the wrong one."""
    pushed = []

    class Counted(ClockModel):
        def push(self, *args, **named):
            pushed.append(args)
            return super().push(*args, **named)

    monkeypatch.setattr(first_pass, "ClockModel", Counted)
    rng = np.random.default_rng(0)
    taken = 10 + np.arange(6000) * 0.0108
    arrival = np.rint((taken + rng.exponential(1e-4, 6000)) * S).astype(np.int64)
    found = correct_arrays(1, arrival, 100.0, online=False)
    (event,) = found.events
    assert event.kind == "rate"
    assert event.rate == pytest.approx(1 / 0.0108, rel=1e-3)
    assert event.first == 0
    assert 6000 < len(pushed) < 6500
    assert np.quantile(np.abs(found.last / S - taken), 0.95) < 5e-6
