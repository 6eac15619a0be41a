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


def _follow(came, counter, n, rate, *, bits=8, scale=5e-4, seed=0):
    late = np.random.default_rng(seed).exponential(scale, len(came))
    arrival = np.maximum.accumulate(np.rint((came + late) * S).astype(np.int64))
    model = ClockModel(ClockSettings(rate, counter=DeviceCounter(bits)))
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


@pytest.mark.parametrize("seed", [2, 4, 8])
@pytest.mark.parametrize(
    ("rate", "n", "bits", "turns", "scale"),
    [(50.0, 1, 8, 3.51, 4e-4), (100.0, 1, 8, 2.5, 1e-3), (1000.0, 4, 16, 1.5, 1e-3)],
)
def test_a_chunk_early_by_a_little_takes_no_turn_back(rate, n, bits, turns, scale, seed):
    """A turn that was lost was taken back with the next chunk that came less late than usual."""
    kept = np.arange(1, 1201) * n
    lost = int(turns * (1 << bits) / n) * n
    kept[600:] += lost
    taken = 10 + kept / rate
    stamps = _follow(taken, kept % (1 << bits), n, rate, bits=bits, scale=scale, seed=seed)
    events = [event for stamp in stamps for event in stamp.events if event.kind != "latency"]
    assert [(event.kind, event.first, event.samples) for event in events] == [("gap", 600, lost)]
    error = np.array([stamp.last for stamp in stamps]) / S - taken
    assert np.abs(error[600:]).max() < 10 * scale
