"""Arrivals on a busy computer: all chunks are late for up to half a second, and none is lost."""

from pathlib import Path

import numpy as np
import pytest

from rxstream.timing import correct_arrays

# Three of eight simulated devices of `benchmarks/eight_devices.py`, 48 kHz in blocks of 480, for
# two minutes, on two cores with 13 other processes: steps of the arrivals [µs]. In the second and
# third all blocks are later than 30 ms for 0.6 s, and then on time again.
ARRIVALS = np.load(Path(__file__).with_name("busy_host.npz"))


@pytest.mark.parametrize("name", ARRIVALS.files)
def test_what_is_late_for_a_while_is_not_lost(name: str) -> None:
    arrival = 100_000_000_000 + 1000 * np.cumsum(ARRIVALS[name].astype(np.int64))
    found = correct_arrays(480, arrival, 48_000.0, online=True)
    assert [event for event in found.events if event.kind in ("gap", "overlap", "restart")] == []


@pytest.mark.parametrize("name", ARRIVALS.files)
def test_a_block_that_is_lost_there_is_found(name: str) -> None:
    steps = np.delete(ARRIVALS[name].astype(np.int64), slice(6000, 6010))
    steps[6000] += 100_000
    arrival = 100_000_000_000 + 1000 * np.cumsum(steps)
    found = correct_arrays(480, arrival, 48_000.0, online=True)
    gaps = [event for event in found.events if event.kind == "gap"]
    assert len(gaps) == 1
    assert abs(gaps[0].first - 6000) < 30
    assert gaps[0].samples == pytest.approx(4800, abs=200)
