"""Recordings whose counter stays where it is, or goes to and fro: it is set aside, as live."""

import numpy as np
import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.recorded.stuck import stuck_counter

S = 1_000_000_000
SIZE = 2000


def _stream(rate, n, seed=0):
    """Return true times [s] and arrivals [ns] of chunks of ``n`` samples."""
    taken = 10 + np.arange(1, SIZE + 1) * n / rate * (1 + 20e-6)
    late = np.random.default_rng(seed).exponential(5e-4, SIZE)
    return taken, np.maximum.accumulate(np.rint((taken + late) * S).astype(np.int64))


def _counts(kind, taken, n):
    """Return the specification and the numbers of a counter that counts."""
    if kind == "samples":
        return DeviceCounter(32), np.arange(1, SIZE + 1) * n
    return DeviceCounter(32, 1e6, "ticks"), np.floor(taken * 1e6).astype(np.int64)


def _ever(good):
    return np.full(SIZE, 5), 0


def _from_the_middle(good):
    return np.minimum(good, good[SIZE // 2]), SIZE // 2 + 1


def _for_a_while(good):
    stuck = good.copy()
    stuck[800:1300] = good[800]
    return stuck, 801


def _goes_on_behind(good):
    """It stands still for a while, and then goes on from there."""
    stuck = good.copy()
    stuck[800:] = np.maximum(good[800], good[800:] - (good[1300] - good[800]))
    return stuck, 801


def _to_and_fro(good):
    stuck = good.copy()
    stuck[1000:] = good[1000] + np.arange(1000) % 2
    return stuck, 1001


FAULTS = [_ever, _from_the_middle, _for_a_while, _goes_on_behind, _to_and_fro]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["samples", "ticks"])
@pytest.mark.parametrize(("rate", "n"), [(100.0, 1), (48_000.0, 480)])
@pytest.mark.parametrize("is_declared", [True, False])
def test_it_is_set_aside_with_one_event(fault, kind, rate, n, is_declared):
    taken, arrival = _stream(rate, n)
    spec, good = _counts(kind, taken, n)
    counter, since = fault(good)
    found = correct_arrays(
        n, arrival, rate, counter=counter, counter_spec=spec if is_declared else None, online=False
    )
    (event,) = found.events
    assert (event.kind, event.samples, event.correction) == ("counter", None, 0)
    assert abs(event.first - since) <= 2
    # It went wrong by seconds.
    error = np.abs(found.last / S - taken)
    assert error.max() < 100e-6
    assert np.mean(error <= found.uncertainty / S) > 0.95
    assert (np.diff(found.last) > 0).all()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["samples", "ticks"])
def test_online_it_is_set_aside_once_it_is_seen(fault, kind):
    taken, arrival = _stream(100.0, 1)
    spec, good = _counts(kind, taken, 1)
    counter, since = fault(good)
    given = {"counter": counter, "counter_spec": spec}
    found = correct_arrays(1, arrival, 100.0, **given)
    (event,) = [event for event in found.events if event.kind == "counter"]
    assert abs(event.first - since) <= 2
    seen = event.last
    assert seen - since == pytest.approx(8 if kind == "samples" else 100, abs=8)
    assert all(event.last <= seen for event in found.events)
    assert np.abs(found.last / S - taken)[seen + 200 :].max() < 100e-6
    # What comes later changes nothing before it.
    for end in (seen, seen + 1, seen + 50):
        part = correct_arrays(1, arrival[:end], 100.0, counter=counter[:end], counter_spec=spec)
        assert (part.last == found.last[:end]).all()


def test_losses_are_counted_until_it_sticks_and_found_behind():
    taken, arrival = _stream(100.0, 1)
    kept = np.ones(SIZE, bool)
    kept[500:503] = kept[1500:1550] = False
    counter = np.minimum(np.arange(SIZE), 1000)[kept]
    found = correct_arrays(
        1, arrival[kept], 100.0, counter=counter, counter_spec=DeviceCounter(32), quantum=1,
        online=False,
    )  # fmt: skip
    assert [(event.kind, event.samples) for event in found.events] == [
        ("gap", 3), ("counter", None), ("gap", 50),
    ]  # fmt: skip
    assert np.abs(found.last / S - taken[kept]).max() < 100e-6


@pytest.mark.parametrize("online", [True, False])
def test_without_a_rate_times_are_those_of_arrival(online):
    taken, arrival = _stream(100.0, 1)
    ticks = np.floor(np.minimum(taken, 15) * 1e6).astype(np.int64)
    found = correct_arrays(
        1, arrival, None, counter=ticks, counter_spec=DeviceCounter(32, 1e6, "ticks"), online=online
    )
    assert found.events[-1].kind == "counter"
    behind = slice(found.events[-1].last, None)
    assert (found.last[behind] == arrival[behind]).all()


def test_the_event_says_what_became_of_it():
    _, arrival = _stream(100.0, 1)
    counter = np.minimum(np.arange(SIZE), 1000)
    found = correct_arrays(1, arrival, 100.0, counter=counter, counter_spec=DeviceCounter(32))
    assert str(found.events[-1]) == (
        "from chunk 1001 on its counter stays where it is, or goes to and fro; from chunk 1008 on "
        "it is set aside"
    )


def test_what_repeats_itself_may_count():
    one, often = np.ones(60, np.int64), np.arange(60) * S // 100
    whole_turn = np.full(60, 255)
    assert stuck_counter(whole_turn, 256 * one, often, DeviceCounter(8)) is None
    assert stuck_counter(np.arange(60) % 2, one, often, DeviceCounter(1)) is None
    # Ticks of 0.2 s.
    coarse, slow = np.arange(60) // 20, DeviceCounter(16, 5.0, "ticks")
    assert stuck_counter(coarse, one, often, slow) is None
    assert stuck_counter(coarse, one, often * 10, slow).since == 1
    assert stuck_counter(one[:0], one[:0], often[:0], slow) is None
