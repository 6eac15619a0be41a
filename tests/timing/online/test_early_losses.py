"""Losses before the test of the rate has its verdict: steps by whole chunks are no wandering."""

import numpy as np
import pytest
from campaign import few

from rxstream.devices import Simulated
from rxstream.devices.simulated import Drops
from rxstream.timing import correct_arrays


@pytest.mark.parametrize("seed", range(4))
def test_a_block_lost_in_the_second_second_is_found_and_so_are_later_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number = np.arange(10, 60_001, 10)
    lost = (number == 1210) | ((number > 5000) & (number < 59_000) & (number % 5000 == 0))
    came = number * 1_000_000 + 1e6 + rng.exponential(5e5, len(number))
    found = correct_arrays(10, came[~lost].astype(np.int64), 1000.0, online=True)
    assert [event.kind for event in found.events] == ["gap"] * int(lost.sum())
    assert {event.samples for event in found.events} == {10}


@pytest.mark.parametrize(("rate", "seconds"), [(1000.0, 60.0), (100.0, 60.0), (10.0, 300.0)])
def test_what_a_simulated_device_loses_is_found(rate: float, seconds: float) -> None:
    lost = found = 0
    for seed in few(range(16), 6):
        source = Simulated(rate=rate, ppm=80.0, seed=seed, drops=Drops(20.0), signal="zeros")
        readings = list(source.readings(seconds))
        counts = np.array([len(reading.data) for reading in readings])
        arrivals = np.array([reading.arrival for reading in readings], np.int64)
        events = correct_arrays(counts, arrivals, rate, online=True).events
        assert not [event for event in events if event.kind in ("rate", "unsteady")]
        found += sum(e.samples or 0 for e in events if e.kind in ("gap", "overlap"))
        lost += sum(loss.samples for loss in source.truth.lost)
    assert 0.98 * lost <= found <= lost
