"""Recordings in which all chunks waited for a while, and then came at once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rxstream import DeviceCounter
from rxstream.timing import correct_arrays

START = 10**18


def stalled(
    rate: float, n: int, stall: float, every: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return when last samples were taken [s], and arrivals [ns], of 400 s with a stall [s].

    What waited comes one after the other, ``every`` part of a chunk.
    """
    rng = np.random.default_rng(0)
    count = int(400 * rate / n)
    taken = np.arange(1, count + 1) * n / rate * (1 + 3e-5)
    came = taken + rng.exponential(1e-3, count)
    begin = count // 2
    held = taken[begin] + stall + np.arange(count - begin) * every * n / rate
    came[begin:] = np.maximum(came[begin:], held)
    came = np.maximum.accumulate(came)
    return taken, START + np.rint(came * 1e9).astype(np.int64)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("every", [0.0, 0.02])
@pytest.mark.parametrize("stall", [3.0, 15.0, 25.0, 60.0])
@pytest.mark.parametrize(("rate", "n"), [(40.0, 1), (100.0, 10), (1.0, 1)])
def test_what_waited_is_as_sure_as_the_rest(
    rate: float, n: int, stall: float, every: float, counted: bool
) -> None:
    taken, arrival = stalled(rate, n, stall, every)
    counter = np.arange(1, len(taken) + 1) * n if counted else None
    spec = DeviceCounter(32) if counted else None
    found = correct_arrays(n, arrival, rate, counter=counter, counter_spec=spec, online=False)
    error = np.abs((found.last - START) * 1e-9 - taken)
    # the arrivals are late by all of the stall
    assert error.max() < 2e-3
    assert {event.kind for event in found.events} <= {"latency"}
    if stall < 60:
        assert error.max() < 1e-4
        assert np.mean(error * 1e9 <= found.uncertainty) > 0.95
