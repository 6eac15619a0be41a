"""Counters so short that chunks may be late by more than a turn of theirs."""

import numpy as np
import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.recorded.arrays import correct_arrays

S = 1_000_000_000
RATE, SIZE, TURN = 100.0, 8000, 2.56


def _taken():
    return 10 + np.arange(1, SIZE + 1) / RATE * (1 + 20e-6)


def _ns(seconds, seed=0):
    late = np.random.default_rng(seed).exponential(5e-4, len(seconds))
    return np.maximum.accumulate(np.rint((seconds + late) * S).astype(np.int64))


def _drained(taken, held, speed):
    """Return arrivals that stall for a time [s], and then come faster by a factor."""
    came, begin = taken.copy(), len(taken) // 2
    at = taken[begin] + held
    for k in range(begin, len(taken)):
        came[k] = max(taken[k], at)
        at = came[k] + 1 / RATE / speed
    return came


def _late_for_20_s(taken, held):
    begin = taken[len(taken) // 2]
    return np.where((taken >= begin) & (taken < begin + 20), taken + held, taken)


def _in_bursts(taken, held):
    return np.ceil(taken / held) * held


LATE = [
    *[pytest.param(lambda t, h, s=s: _drained(t, h, s), id=f"x{s}") for s in (1e3, 10, 1.5, 1.2)],
    _late_for_20_s, _in_bursts,
]  # fmt: skip


def _lost(found):
    return sum(e.samples or 0 for e in found.events if e.kind in ("gap", "overlap"))


@pytest.mark.parametrize("turns", [0.9, 1.1, 1.6, 3.3])
@pytest.mark.parametrize("late", LATE)
def test_what_is_in_time_again_has_lost_no_turn(late, turns):
    """Each turn was a loss of 256 samples, and some were not taken back."""
    taken = _taken()
    arrival = _ns(late(taken, turns * TURN))
    found, wide = (
        correct_arrays(
            1, arrival, RATE, counter=np.arange(SIZE) % (1 << bits),
            counter_spec=DeviceCounter(bits), online=False,
        )
        for bits in (8, 32)
    )  # fmt: skip
    assert {event.kind for event in found.events}.isdisjoint({"gap", "overlap", "restart"})
    # It is as good as a counter that never wraps.
    assert (found.last == wide.last).all()
    assert found.events == wide.events


@pytest.mark.parametrize("lost", [100, 256, 300, 512, 1100])
def test_what_stays_late_has_lost_turns(lost):
    kept = np.delete(np.arange(SIZE), np.arange(4000, 4000 + lost))
    arrival, counter = _ns(_taken()[kept]), kept % 256
    found = correct_arrays(
        1, arrival, RATE, counter=counter, counter_spec=DeviceCounter(8), online=False
    )
    (event,) = found.events
    assert (event.kind, event.first, event.samples) == ("gap", 4000, lost)
    assert np.abs(found.last / S - _taken()[kept]).max() < 100e-6


def test_losses_and_lateness_are_kept_apart():
    """Two turns are lost, and what comes behind is late by another two."""
    kept = np.delete(np.arange(SIZE), np.arange(4000, 4512))
    came = _taken()[kept]
    held = came[4000] + 2.2 * TURN
    came[4000:] = np.maximum(came[4000:], held)
    found = correct_arrays(
        1, _ns(came), RATE, counter=kept % 256, counter_spec=DeviceCounter(8), online=False
    )
    assert [(event.kind, event.first, event.samples) for event in found.events] == [
        ("gap", 4000, 512)
    ]


@pytest.mark.parametrize("after", [1, 30])
def test_lateness_at_the_end_is_no_loss_where_chunks_have_waited(after):
    taken = _taken()[: 4000 + after + 1]
    came = np.maximum(taken, np.where(np.arange(len(taken)) < 4000, 0, taken[4000] + 1.3 * TURN))
    found = correct_arrays(
        1, _ns(came), RATE, counter=np.arange(len(came)) % 256, counter_spec=DeviceCounter(8),
        online=False,
    )  # fmt: skip
    assert _lost(found) == 0


def test_a_wrong_rate_loses_no_turns():
    taken = 10 + np.arange(1, SIZE + 1) / RATE * 1.008
    came = np.where(np.arange(SIZE) % 1000 < 90, np.ceil(taken / 0.9) * 0.9, taken)
    found = correct_arrays(
        1, _ns(came), RATE, counter=np.arange(SIZE) % 256, counter_spec=DeviceCounter(8),
        online=False,
    )  # fmt: skip
    assert _lost(found) == 0


def test_ticks_are_counted_as_well():
    taken = _taken()
    ticks = np.floor(taken * 1e3).astype(np.int64) % (1 << 12)
    arrival = _ns(_drained(taken, 1.4 * 4.096, 1.5))
    found = correct_arrays(
        1, arrival, RATE, counter=ticks, counter_spec=DeviceCounter(12, 1e3, "ticks"), online=False
    )
    assert _lost(found) == 0
