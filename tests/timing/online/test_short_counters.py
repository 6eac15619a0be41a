"""Counters so short that chunks may be late by more than a turn of theirs, live."""

import numpy as np
import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

S = 1_000_000_000


def _drained(taken, held, speed):
    """Return arrivals [s] that stall for a time [s], and then come faster by a factor."""
    came, begin, period = taken.copy(), len(taken) // 2, taken[1] - taken[0]
    at = taken[begin] + held
    for k in range(begin, len(taken)):
        came[k] = max(taken[k], at)
        at = came[k] + period / speed
    return came


def _follow(came, counter, n, rate):
    late = np.random.default_rng(0).exponential(5e-4, len(came))
    arrival = np.maximum.accumulate(np.rint((came + late) * S).astype(np.int64))
    model = ClockModel(ClockSettings(rate, counter=DeviceCounter(8)))
    return [
        model.push(n, a, counter=c)
        for a, c in zip(arrival.tolist(), counter.tolist(), strict=True)
    ]  # fmt: skip


def _lost(stamps):
    """Return the samples found missing, less those that were none."""
    events = [event for stamp in stamps for event in stamp.events]
    return sum(e.samples or 0 for e in events if e.kind in ("gap", "overlap"))


@pytest.mark.parametrize(("rate", "n"), [(100.0, 1), (1000.0, 10)])
@pytest.mark.parametrize("turns", [1.1, 1.6])
@pytest.mark.parametrize("speed", [1e3, 10, 3, 1.5, 1.2])
def test_a_turn_is_taken_back_however_fast_the_backlog_comes(rate, n, turns, speed):
    """One that came less than twice as fast as it was taken kept a loss of 256 samples."""
    turn = 256 / rate
    size = int(40 * turn * rate / n)
    taken = 10 + np.arange(1, size + 1) * n / rate * (1 + 20e-6)
    stamps = _follow(_drained(taken, turns * turn, speed), np.arange(size) * n % 256, n, rate)
    assert _lost(stamps) == 0
    assert abs(stamps[-1].last / S - taken[-1]) < 5e-3


@pytest.mark.parametrize("lost", [256, 300, 512, 1100])
def test_a_loss_in_a_pause_is_kept(lost):
    kept = np.delete(np.arange(8000), np.arange(4000, 4000 + lost))
    taken = 10 + kept / 100.0 * (1 + 20e-6)
    stamps = _follow(taken, kept % 256, 1, 100.0)
    assert [stamp.lost for stamp in stamps if stamp.lost] == [lost]
    assert _lost(stamps) == lost
    error = np.array([stamp.last for stamp in stamps]) / S - taken
    assert np.abs(error[1000:]).max() < 100e-6
