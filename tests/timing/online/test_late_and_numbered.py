"""Numbered streams that are late already: what the next numbers claim is no reset."""

import numpy as np
import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing import correct_arrays

S = 1_000_000_000
COUNTERS = [DeviceCounter(32), DeviceCounter(64), DeviceCounter(32, 1e6, "ticks")]


def _found(taken, came, n, rate, spec, online):
    samples = np.rint(taken * rate).astype(np.int64)
    counter = samples if spec.kind == "samples" else np.rint(taken * 1e6).astype(np.int64)
    return correct_arrays(
        n, S + np.rint(np.maximum.accumulate(came) * S).astype(np.int64), rate,
        counter=counter, counter_spec=spec, online=online,
    )  # fmt: skip


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("spec", COUNTERS, ids=str)
@pytest.mark.parametrize("late", [0.6, 3.9, 8.9])
def test_what_waits_behind_a_late_first_chunk_is_no_restart(late, spec, online):
    """Each block that waited was a restart."""
    taken = np.arange(1, 41.0)
    came = taken + 5e-3
    came[0] += late
    found = _found(taken, came, 1000, 1000.0, spec, online)
    assert found.events == ()
    assert np.abs((found.last - S) / S - taken)[10:].max() < 10e-3


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("spec", COUNTERS, ids=str)
@pytest.mark.parametrize("chunks", [40, 60, 150])
def test_what_is_lost_in_a_stall_is_counted(chunks, spec, online):
    """More than half a second was a restart, of unknown size and at a wrong time."""
    kept = np.delete(np.arange(1, 3000), np.arange(1000, 1000 + chunks))
    taken = kept / 100
    came = taken + np.random.default_rng(0).exponential(1e-3, len(kept))
    came[900:1200] = np.maximum(came[900:1200], 12 + np.arange(300) * 1e-4)
    found = _found(taken, came, 10, 1000.0, spec, online)
    assert [(event.kind, event.first, event.samples) for event in found.events] == [
        ("gap", 1000, 10 * chunks)
    ]
    assert np.abs((found.last - S) / S - taken)[1000:].max() < 1e-3


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("at", [1, 2, 1000, 1100])
def test_a_counter_that_begins_anew_is_a_restart_also_in_a_stall(at, online):
    taken = np.arange(1, 2001) / 100
    came = taken + np.random.default_rng(0).exponential(1e-3, len(taken))
    if at > 900:
        came[900:1200] = np.maximum(came[900:1200], 12 + np.arange(300) * 1e-4)
    counter = np.rint(taken * 1000).astype(np.int64) + 50_000
    counter[at:] -= counter[at]
    found = correct_arrays(
        10, S + np.rint(np.maximum.accumulate(came) * S).astype(np.int64), 1000.0,
        counter=counter, counter_spec=DeviceCounter(32), online=online,
    )  # fmt: skip
    assert ("restart", at) in [(event.kind, event.first) for event in found.events]
