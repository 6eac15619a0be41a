"""The uncertainty covers the error in 95 of 100 chunks."""

import numpy as np
import pytest
from campaign import few

pytestmark = pytest.mark.slow


def covered(run):
    width = np.array([stamp.uncertainty for stamp in run.stamps])[-len(run.errors()) :] / 1e3
    return np.mean(np.abs(run.errors()) <= width)


@pytest.mark.parametrize("name", ["a_audio", "a2_audio_adc", "c_can32", "d_vib_route"])
def test_over_several_seeds(name, traces, follow):
    each = [covered(follow(traces.TRACES[name](seed))) for seed in few((4, 6, 7, 9), 2)]
    assert np.mean(each) >= 0.95
    assert min(each) >= 0.85


def test_losses_of_any_size_widen_no_interval_for_good(follow, traces):
    """Each is known to 0.1 ms or so: by as much what came before it lies off the line."""
    run = follow(traces.g2_drop_any(0))
    width = np.median([stamp.uncertainty for stamp in run.stamps]) / 1e3
    assert covered(run) >= 0.95
    assert width < 3 * run.p95()


def test_a_delay_that_changes_again_and_again(follow, traces):
    """At each change the clock goes on where the line was: what that was off adds up."""
    rng = np.random.default_rng(0)
    trace = traces.regular(0, rate=25_600.0, size=2560, seconds=1800, stalls=None)
    taken = 10 + np.arange(1, len(trace.count) + 1) * 0.1 * (1 + 4e-5)
    delay = rng.exponential(0.5e-3, len(taken)) + 4e-3 * (taken // 90 % 2)
    arrival = np.maximum.accumulate(np.rint((taken + delay) * 1e9).astype(np.int64))
    truth = np.rint(taken * 1e9).astype(np.int64)
    run = follow(traces.replace(trace, arrival=arrival, truth=truth, floor=0.0))
    assert {event.kind for event in run.events} == {"latency"}
    assert covered(run) >= 0.95
