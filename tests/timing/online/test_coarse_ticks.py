"""Ticks of a device that are coarser than the delays of its chunks, on a stream with a rate."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rxstream import DeviceCounter
from rxstream.timing import ClockModel, ClockSettings, CorrectedTimes, Stamp, correct_arrays

START = 10**18
# Chunks until the clock is known.
KNOWN = 32

Stream = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def stream(
    rate: float, n: int, hz: float, mean: float, differ: float = 0.0, lost: int = 0, seed: int = 0
) -> Stream:
    """Return when last samples were taken [s], the arrivals [ns] and the ticks, of 6000 chunks.

    The clock of the ticks differs from that of the samples by a fraction. Samples get lost in the
    middle.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(1, 6001) * n - 1.0
    number[3000:] += lost
    taken = number / rate * (1 + 3e-5)
    arrival = np.maximum.accumulate(taken + rng.exponential(mean, len(taken)))
    ticks = np.floor(taken * hz * (1 + differ) + rng.random()).astype(np.int64)
    return taken, START + np.rint(arrival * 1e9).astype(np.int64), ticks


def live(arrival: NDArray[np.int64], ticks: NDArray[np.int64], rate: float, n: int, hz: float,
         *, own: bool = False) -> list[Stamp]:  # fmt: skip
    """Return what a model says, of ticks or of stamps of the device's own clock."""
    if own:
        model = ClockModel(ClockSettings(rate=rate))
        stamps = (ticks * round(1e9 / hz)).tolist()
        pairs = zip(arrival.tolist(), stamps, strict=True)
        return [model.push(n, at, device_time=(own, own)) for at, own in pairs]
    model = ClockModel(ClockSettings(rate=rate, counter=DeviceCounter(32, hz, "ticks")))
    pairs = zip(arrival.tolist(), ticks.tolist(), strict=True)
    return [model.push(n, at, counter=tick) for at, tick in pairs]


def recorded(stream: Stream, rate: float, n: int, hz: float) -> CorrectedTimes:
    spec = DeviceCounter(32, hz, "ticks")
    return correct_arrays(
        n, stream[1], rate, counter=stream[2], counter_spec=spec, online=False
    )  # fmt: skip


def check(taken: NDArray[np.float64], last: Any, uncertainty: Any, mean: float) -> None:
    """Errors are a part of the delays, not of a tick; they are covered, from the first chunk on."""
    error = np.abs((np.asarray(last) - START) * 1e-9 - taken)
    assert np.percentile(error[2 * KNOWN :], 95) < mean / 4
    assert np.mean(error * 1e9 <= np.asarray(uncertainty)) > 0.95


STREAMS = [
    (100.0, 1, 64.0), (100.0, 1, 18.2), (25.0, 1, 18.2), (100.0, 1, 50.0), (100.0, 3, 77.0),
    (1000.0, 10, 64.0), (48e3, 480, 64.0), (48e3, 480, 1000.0), (10.0, 1, 5.0),
]  # fmt: skip


@pytest.mark.parametrize("mean", [3e-4, 2e-3])
@pytest.mark.parametrize(("rate", "n", "hz"), STREAMS)
def test_times_are_as_good_as_the_delays_and_not_as_ticks(
    rate: float, n: int, hz: float, mean: float
) -> None:
    made = taken, arrival, ticks = stream(rate, n, hz, mean)
    found = live(arrival, ticks, rate, n, hz)
    assert not any(stamp.lost or stamp.reason for stamp in found)
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], mean)
    times = recorded(made, rate, n, hz)
    check(taken, times.last, times.uncertainty, mean)


@pytest.mark.parametrize("differ", [1e-4, -1e-4, 4e-4])
@pytest.mark.parametrize("hz", [64.0, 100.0])
def test_ticks_of_another_crystal_neither_move_nor_lose_samples(hz: float, differ: float) -> None:
    made = taken, arrival, ticks = stream(100.0, 1, hz, 1e-3, differ)
    found = live(arrival, ticks, 100.0, 1, hz)
    assert not any(stamp.lost or stamp.reason for stamp in found)
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], 1e-3)
    times = recorded(made, 100.0, 1, hz)
    check(taken, times.last, times.uncertainty, 1e-3)


@pytest.mark.parametrize("later", [3e-3, 1e-2])
def test_a_delay_that_grows_by_less_than_a_tick_loses_nothing(later: float) -> None:
    taken, arrival, ticks = stream(1000.0, 10, 64.0, 3e-4)
    arrival[3000:] += round(later * 1e9)
    found = live(arrival, ticks, 1000.0, 10, 64.0)
    assert not any(stamp.lost or stamp.reason for stamp in found)
    assert [event.kind for stamp in found for event in stamp.events] == ["latency"]
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], 3e-4)


def test_fine_ticks_are_not_taken_for_coarse_ones_while_their_steps_are_alike() -> None:
    taken, arrival, ticks = stream(1000.0, 100, 1e6, 3e-4, 5e-4)
    found = live(arrival, ticks, 1000.0, 100, 1e6)
    assert not any(stamp.lost or stamp.events for stamp in found)
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], 3e-4)


def test_a_reading_without_its_ticks_loses_nothing() -> None:
    taken, arrival, ticks = stream(8000.0, 100, 100.0, 1e-3)
    model = ClockModel(ClockSettings(rate=8000.0, counter=DeviceCounter(32, 100.0, "ticks")))
    found = [
        model.push(100, at, counter=None if k % 100 == 50 else tick)
        for k, (at, tick) in enumerate(zip(arrival.tolist(), ticks.tolist(), strict=True))
    ]
    assert not any(stamp.lost or stamp.reason for stamp in found)
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], 1e-3)


@pytest.mark.parametrize("hz", [64.0, 1000.0])
def test_stamps_of_an_own_clock_may_be_coarse(hz: float) -> None:
    """Some 15.6 ms and 1 ms, as those of many systems and sensors."""
    taken, arrival, ticks = stream(1000.0, 10, hz, 3e-4, 3e-5)
    found = live(arrival, ticks, 1000.0, 10, hz, own=True)
    assert not any(stamp.lost or stamp.reason for stamp in found)
    check(taken, [stamp.last for stamp in found], [stamp.uncertainty for stamp in found], 3e-4)


@pytest.mark.parametrize("lost", [1, 3, 20])
def test_a_loss_that_ticks_hide_is_found_by_arrivals(lost: int) -> None:
    made = taken, arrival, ticks = stream(100.0, 1, 64.0, 1e-3, lost=lost)
    found = live(arrival, ticks, 100.0, 1, 64.0)
    where = [k for k, stamp in enumerate(found) if stamp.lost]
    assert sum(found[k].lost for k in where) == lost
    assert 3000 <= where[0] <= where[-1] < 3030
    events = [event for stamp in found for event in stamp.events]
    assert [event.kind for event in events] == ["gap"] * len(where)
    assert all(abs(event.first - 3000) <= 1 for event in events)
    times = recorded(made, 100.0, 1, 64.0)
    check(taken, times.last, times.uncertainty, 1e-3)


def test_a_clock_whose_samples_come_at_another_rate_gives_the_times() -> None:
    """Samples that come 5 % faster than stated: ticks show it, and time goes on by them."""
    taken, arrival, ticks = stream(105.0, 1, 64.0, 1e-3)
    found = live(arrival, ticks, 100.0, 1, 64.0)
    assert sum(stamp.lost or 0 for stamp in found) == 0
    last = (np.array([stamp.last for stamp in found]) - START) * 1e-9
    assert np.abs(last - taken)[1000:].max() < 2 / 64
