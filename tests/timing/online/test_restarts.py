"""A device that begins anew: at any time, and more than once."""

import numpy as np
import pytest

from rxstream.timing import correct_arrays
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

S = 1_000_000_000


@pytest.mark.parametrize("quantum", [480, None])
@pytest.mark.parametrize(
    "outages",
    [{5: 3.0}, {190: 3.0}, {260: 3.0, 265: 2.0}, {3000: 3.0, 3003: 5.0}, {3000: 0.02, 3003: 4.0}],
    ids=str,
)
def test_an_outage_is_seen_also_before_delays_are_known(outages, quantum):
    rng = np.random.default_rng(0)
    taken = 10 + np.arange(1, 4001) * 0.01 * (1 + 4e-5)
    for chunk, seconds in outages.items():
        taken[chunk:] += seconds
    arrival = np.rint((taken + rng.exponential(0.5e-3, 4000)) * S).astype(np.int64)
    arrival = np.maximum.accumulate(arrival)
    for online in (True, False):
        found = correct_arrays(480, arrival, 48_000.0, quantum=quantum, online=online)
        error = np.abs(found.last - taken * S)
        assert error[max(outages) + 20 :].max() < 1_000_000  # [ns]
        assert {event.kind for event in found.events} <= {"restart", "gap"}


def test_a_stall_is_no_restart():
    """What waited comes at once, and then it is on time again."""
    arrival = np.arange(1, 1001) * 10_000_000
    for late in (20, 150, 600):
        arrival[late : late + 300] = np.maximum(arrival[late : late + 300], (late + 300) * 10**7)
    found = correct_arrays(480, arrival + S, 48_000.0, quantum=480)
    assert {event.kind for event in found.events} == set()


def test_after_a_restart_no_chunk_is_stretched():
    """Chunks of 10 ms that come 80 ms late on average: the first one's lateness is not known."""
    rng = np.random.default_rng(5)
    model, ends = ClockModel(ClockSettings(rate=8000.0)), []
    arrivals = np.maximum.accumulate(np.arange(400) * 0.01 + rng.exponential(0.08, 400))
    for k, arrival in enumerate(arrivals.tolist()):
        if k == 200:
            model.restart()
        ends.append(model.push(80, round(arrival * 1e9)).last)
    after = np.diff(ends[200:])
    assert after.max() < 16e6


@pytest.mark.parametrize(
    ("lost", "kinds"), [(480, {"gap"}), (960, {"gap"}), (150_000, {"restart"})]
)
def test_lower_bounds_prove_losses_and_restarts(lost, kinds):
    rng = np.random.default_rng(0)
    sent = np.cumsum(np.full(4000, 480))
    sent[2000:] += lost
    taken = 10 + sent / 48_000 * (1 + 3e-5)
    arrival = np.rint((taken + rng.exponential(0.5e-3, 4000)) * S).astype(np.int64)
    arrival = np.maximum.accumulate(arrival)
    lower = np.rint((taken - rng.uniform(0, 5e-3, 4000)) * S).astype(np.int64)
    for online in (True, False):
        found = correct_arrays(480, arrival, 48_000.0, quantum=480, lower=lower, online=online)
        assert {event.kind for event in found.events} == kinds
        reported = sum(event.samples or 0 for event in found.events)
        assert reported == (lost if kinds == {"gap"} else 0)
        error = np.abs(found.last - taken * S)
        assert error[2100:].max() < 3_000_000  # [ns]; bounds are 5 ms apart


def test_own_stamps_out_of_order_are_noise():
    rng = np.random.default_rng(1)
    model, late = ClockModel(ClockSettings(None)), rng.exponential(5e5, 1000)
    for k in range(1000):
        own = k * 10_000_000 - (10_050_000 if k == 500 else 0)
        stamp = model.push(1, S + k * 10_000_000 + int(late[k]), device_time=own)
        assert not stamp.reason
        assert not stamp.events
        if k > 100 and k != 500:
            assert abs(stamp.last - S - k * 10_000_000) < 100_000


def test_own_stamps_may_come_later_than_the_first_samples():
    model, whys = ClockModel(ClockSettings(100.0)), []
    for k in range(300):
        own = None if k < 20 else k * 10_000_000 + 12_345
        whys.append(model.push(1, S + k * 10_000_000, device_time=own).reason)
    assert whys[20] == "restart"
    assert set(whys[:20] + whys[21:]) == {None}


def test_what_was_far_too_late_before_a_restart_says_nothing_after_it():
    model, whys = ClockModel(ClockSettings(100.0)), []
    for k in range(34):
        if k == 30:
            model.restart()
        late = 0 if k < 29 else 3 if k < 31 else 5  # what comes after k = 31 waits behind it [s]
        whys.append(model.push(1, S + min(k, 31) * 10_000_000 + late * S).reason)
    assert whys[30] == "restart"
    assert set(whys[:30] + whys[31:]) == {None}


@pytest.mark.parametrize("lost", [1, 4])
def test_lower_bounds_prove_whole_samples(lost):
    """Of samples that a program takes up to 0.9 periods late none is lost; whole ones are."""
    rng = np.random.default_rng(2)
    turns = np.arange(2000)
    turns[1000:] += lost
    taken = 10 + 0.05 * turns + rng.uniform(0, 0.045, 2000)
    taken[1000] = 10 + 0.05 * turns[1000] + 0.045
    high = np.rint((taken + rng.uniform(0, 2e-5, 2000)) * S).astype(np.int64)
    low = np.rint(taken * S).astype(np.int64) - 1
    for losses in (slice(0, 1000), slice(0, 2000)):
        found = correct_arrays(
            1, high[losses], 20.0, lower=low[losses], upper=high[losses], online=True
        )
        reported = sum(event.samples or 0 for event in found.events if event.kind == "gap")
        assert reported == (0 if losses.stop == 1000 else lost)


@pytest.mark.parametrize("rate", [2.0, 10.0, 100.0])
def test_an_outage_is_seen_where_no_clock_gives_the_times(rate):
    rng = np.random.default_rng(4)
    size = round(max(100 * rate, 400))
    taken = np.cumsum(1 / rate + rng.exponential(0.07 / rate, size))
    for at, seconds in ((size // 2, 5.0), (3 * size // 4, 30.0)):
        taken[at:] += seconds
    arrival = np.rint((10 + taken) * S).astype(np.int64)
    model = ClockModel(ClockSettings(rate))
    stamps = [model.push(1, at) for at in arrival.tolist()]
    restarts = [(e.first, e.last) for s in stamps for e in s.events if e.kind == "restart"]
    assert restarts == [(at, at + 1) for at in (size // 2, 3 * size // 4)]
    for found in (at for _, at in restarts):
        assert (stamps[found].reason, stamps[found].lost) == ("restart", None)
    after = stamps[size // 2 :]
    assert {stamp.state for stamp in after} == {"arrival"}
    assert [stamp.last for stamp in after] == arrival[size // 2 :].tolist()


def test_a_stall_is_no_restart_where_no_clock_gives_the_times():
    """A clock of 1.5 times the stated rate: what waited in a stall comes at once."""
    arrival = np.arange(1, 4001) * 10_000_000
    for late in (2000, 3000):
        arrival[late : late + 300] = np.maximum(arrival[late : late + 300], (late + 300) * 10**7)
    found = correct_arrays(1, arrival + S, 150.0, online=True)
    assert [event.kind for event in found.events] == ["unsteady"]
