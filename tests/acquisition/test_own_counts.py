"""Clocks and counters of devices that are coarse, off, or none: what is lost, and when it was."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from campaign import few
from numpy.typing import NDArray

from rxstream import Chunk, DeviceCounter, Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper
from rxstream.errors import StampError
from rxstream.timing.stamp import ClockEvent

START, SECOND, MS = 10**18, 10**9, 10**6
Times = NDArray[np.int64]


@dataclass
class Outcome:
    """What became of a stream whose chunks end at ``taken`` [ns]."""

    chunks: list[Chunk[Any]]
    events: list[ClockEvent]
    reports: list[str]
    taken: Times

    @property
    def lost(self) -> int:
        return sum(gap.lost or 0 for chunk in self.chunks for gap in chunk.gaps)

    @property
    def reasons(self) -> list[str]:
        return [gap.reason for chunk in self.chunks for gap in chunk.gaps]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def errors(self, since: float) -> Times:
        """Return how far the last samples are off [ns], from so many seconds on."""
        last = np.array([chunk.time[-1] for chunk in self.chunks])
        errors: Times = np.abs(last - self.taken)[self.taken - START > since * SECOND]
        return errors

    def covered(self, since: float) -> float:
        """Return the share of the errors that the uncertainty holds."""
        errors = self.errors(since)
        held = np.array([np.max(chunk.uncertainty) for chunk in self.chunks])[-len(errors) :]
        return float((errors <= held).mean())


def run(
    taken: Times, arrival: Times, rate: float, n: int = 1, *, clock: Any = "own",
    counter: DeviceCounter | None = None, counts: list[int] | None = None, **evidence: Any,
) -> Outcome:  # fmt: skip
    """Stamp readings of ``n`` samples each; ``evidence`` holds one value for each of them."""
    info = StreamInfo("x", rate, (), np.dtype(np.int64), counter=counter, device_clock=clock)
    stamper, chunks, data = Stamper(info, live=True), [], np.zeros(n, np.int64)
    data.flags.writeable = False
    newest = together = 0
    if counts is not None:
        evidence["counter"] = counts
    for k, at in enumerate(arrival.tolist()):
        given = {name: values[k] for name, values in evidence.items()}
        chunk = stamper.stamp(Reading(data, **given), data, at)
        assert chunk is not None
        # those that come at once lie a nanosecond apart
        newest, together = max(newest, at), together + n if at <= newest else n
        assert chunk.time[-1] < newest + together
        chunks.append(chunk)
    events = [found for found in stamper.found if isinstance(found, ClockEvent)]
    reports = [str(found) for found in stamper.found if isinstance(found, StampError)]
    return Outcome(chunks, events, reports, taken)


def every(seconds: float, count: int) -> Times:
    return START + np.round(np.arange(1, count + 1) * seconds * SECOND).astype(np.int64)


def came(taken: Times, mean: float, seed: int = 0) -> Times:
    """Return arrivals with exponential delays [s]."""
    delay = np.random.default_rng(seed).exponential(mean, len(taken))
    arrival: Times = np.maximum.accumulate(taken + np.round(delay * SECOND).astype(np.int64))
    return arrival


# -- another rate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [960.0, 985.0, 1015.0, 1200.0, 500.0])
@pytest.mark.parametrize("n", [1, 7, 100])
def test_another_rate_by_an_exact_clock_is_no_loss(rate: float, n: int) -> None:
    taken = every(n / rate, 12_000 // n)
    first = (taken - round((n - 1) / rate * SECOND) - START).tolist()
    found = run(taken, came(taken, 1e-3), 1000.0, n, device_time=first)
    assert found.lost == 0
    assert found.reasons == []
    if n == 100:  # long enough for a verdict on the clock itself
        (event,) = found.events
        assert (event.kind, event.stated) == ("rate", 1000.0)
        assert event.rate == pytest.approx(rate, rel=1e-4)
        assert found.errors(3).max() < 5 * MS
        # the samples of a chunk lie as far apart as they came
        assert np.diff(found.chunks[-1].time).mean() == pytest.approx(SECOND / rate, rel=1e-3)


def test_another_rate_by_ticks_is_no_loss() -> None:
    taken = every(100 / 990, 600)
    ticks = ((taken - START) // 1000 + 77) % (1 << 32)
    found = run(
        taken, came(taken, 1e-3), 1000.0, 100, clock="host",
        counter=DeviceCounter(32, 1e6, "ticks"), counts=ticks.tolist(),
    )  # fmt: skip
    assert (found.lost, found.kinds) == (0, ["rate"])
    assert found.events[0].rate == pytest.approx(990, rel=1e-4)


def test_a_clock_that_runs_fast_is_followed() -> None:
    """Its samples come as stated, so there is nothing to report."""
    taken = every(0.01, 6000)
    fast = ((taken - START) * 1.04).astype(np.int64).tolist()
    found = run(taken, came(taken, 1e-3), 100.0, device_time=fast)
    assert (found.lost, found.reasons, found.events) == (0, [], [])
    assert np.percentile(found.errors(10), 95) < 0.1 * MS
    assert found.chunks[-1].uncertainty < 0.1 * MS


# -- coarse clocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", few(range(4)))
@pytest.mark.parametrize(
    ("rate", "tick"),
    [(100, 20.0), (100, 15.6), (100, 12.0), (100, 9.0), (100, 9.9), (1000, 1.0), (1000, 4.0),
     (1000, 15.625), (2000, 1.0), (2000, 15.6)],
)  # fmt: skip
def test_a_coarse_clock_loses_nothing(rate: int, tick: float, seed: int) -> None:
    phase = np.random.default_rng(seed).integers(0, round(tick * MS))
    taken = every(1 / rate * (1 + 1e-5), 6000)
    step = round(tick * MS)
    own = ((taken - START + phase) // step * step).tolist()
    found = run(taken, came(taken, 1e-4, seed), float(rate), device_time=own)
    assert (found.lost, found.reasons) == (0, [])
    assert found.covered(2) > 0.95


@pytest.mark.parametrize("seed", few(range(6), 2))
@pytest.mark.parametrize("jitter", [0.5, 9.0, 12.0, 40.0])
def test_stamps_that_scatter_lose_nothing(jitter: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    taken = every(0.01, 6000)
    own = taken - START + (rng.uniform(0, jitter, 6000) * MS).astype(np.int64)
    own = np.maximum.accumulate(own)
    found = run(taken, came(taken, 1e-4, seed), 100.0, device_time=own.tolist())
    assert (found.lost, found.reasons) == (0, [])
    assert found.covered(2) > 0.95


@pytest.mark.parametrize("clock", ["own", "ticks"])
@pytest.mark.parametrize("n", [1, 10])
@pytest.mark.parametrize("lost", [1, 3, 50])
@pytest.mark.parametrize("at", [3, 200])
def test_whole_samples_lost_are_found_and_counted(clock: str, n: int, lost: int, at: int) -> None:
    number = np.arange(1, 401) * n
    number[at:] += lost
    taken = every(0.01, int(number[-1]))[number - 1]
    own = taken - (n - 1) * 10 * MS - START
    arrival = came(taken, 1e-3)
    if clock == "own":
        found = run(taken, arrival, 100.0, n, device_time=own.tolist())
    else:
        spec, ticks = DeviceCounter(32, 1e6, "ticks"), (taken - START) // 1000
        found = run(taken, arrival, 100.0, n, clock="host", counter=spec, counts=ticks.tolist())
    assert (found.lost, found.reasons) == (lost, ["dropped"])
    where = next(k for k, chunk in enumerate(found.chunks) if chunk.gaps)
    # what may be a beat of coarse stamps is left to the arrivals
    beats = clock == "own" and lost == 1 < n
    assert at <= where <= (at if at > 4 and not beats else at + 4)


def test_a_clock_of_another_rate_shows_losses_as_well() -> None:
    number = np.arange(1, 1201) * 10
    number[700:] += 3
    taken = every(1 / 960, int(number[-1]))[number - 1]
    own = taken - round(9 / 960 * SECOND) - START
    found = run(taken, came(taken, 1e-4), 1000.0, 10, device_time=own.tolist())
    assert (found.lost, found.reasons) == (3, ["dropped"])
    assert "rate" in found.kinds


def test_a_stamp_that_was_late_once_takes_its_loss_back() -> None:
    taken = every(0.01, 400)
    own = taken - START
    own[200] += 50 * MS
    found = run(taken, came(taken, 1e-4), 100.0, device_time=own.tolist())
    assert found.lost <= 5
    assert found.chunks[-1].next_index - len(found.chunks) == found.lost
    assert found.errors(3).max() <= 50 * MS
    assert found.errors(3)[-1] < MS


# -- stamps for each sample -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5])
def test_stamps_of_each_sample_of_a_regular_stream_are_its_clock(n: int) -> None:
    number = np.arange(1, 601) * n
    number[300:] += 5
    every_one = every(0.01, int(number[-1]))
    taken = every_one[number - 1]
    each = [every_one[k - n : k] - START for k in number]
    one = [int(stamps[0]) for stamps in each]
    arrival = came(taken, 3e-3)
    found = run(taken, arrival, 100.0, n, device_time=each)
    single = run(taken, arrival, 100.0, n, device_time=one)
    assert (found.lost, found.reasons) == (5, ["dropped"])
    for a, b in zip(found.chunks, single.chunks, strict=True):
        assert np.abs(a.time - b.time).max() <= 2


# -- what is no clock -----------------------------------------------------------------------------


def test_after_stamps_in_another_unit_times_are_as_without() -> None:
    taken = every(0.01, 3000)
    arrival = came(taken, 1e-3)
    micros = ((taken - START) // 1000).tolist()
    found = run(taken, arrival, 100.0, device_time=micros)
    assert (found.lost, found.reasons, found.events) == (0, [], [])
    (report,) = found.reports
    assert "give a clock that moves" in report
    assert np.percentile(found.errors(5), 95) < 0.1 * MS


@pytest.mark.parametrize("kind", ["samples", "ticks"])
@pytest.mark.parametrize("values", [(5,), (100, 101), (0, 1 << 31)])
def test_a_counter_that_does_not_count_is_set_aside(kind: Any, values: tuple[int, ...]) -> None:
    taken = every(0.01, 3000)
    arrival = came(taken, 5e-4)
    counter = DeviceCounter(32, 1e6 if kind == "ticks" else None, kind)
    counts = [values[k % len(values)] for k in range(3000)]
    found = run(taken, arrival, 100.0, clock="host", counter=counter, counts=counts)
    (report,) = found.reports
    assert "stays at 5" in report if len(values) == 1 else "goes to and fro" in report
    assert len(found.reasons) <= (8 if kind == "samples" else 110)
    assert found.lost == 0
    assert np.percentile(found.errors(5), 95) < 0.1 * MS


def test_a_counter_that_is_back_after_a_whole_turn_counts() -> None:
    taken = every(2.56, 60)
    found = run(
        taken, came(taken, 1e-3), 100.0, 256, clock="host", counter=DeviceCounter(8),
        counts=[255] * 60,
    )  # fmt: skip
    assert (found.reports, found.lost, found.reasons) == ([], 0, [])


@pytest.mark.parametrize("rate", [100.0, 10.0])
@pytest.mark.parametrize("by", [1, 5])
def test_one_number_too_high_moves_nothing(rate: float, by: int) -> None:
    taken = every(1 / rate, 3000)
    counts = np.arange(3000)
    counts[1500] += by
    found = run(
        taken, came(taken, 0.05 / rate), rate, clock="host", counter=DeviceCounter(32),
        counts=counts.tolist(),
    )  # fmt: skip
    assert (found.lost, found.reasons, found.events) == (0, [], [])
    assert np.percentile(found.errors(1600 / rate), 95) < 1e-2 * SECOND / rate


@pytest.mark.parametrize("held", [2.0, 2.6, 3.1, 5.0, 5.3, 7.7, 10.2])
def test_a_backlog_takes_back_the_turns_of_a_counter(held: float) -> None:
    taken = every(0.01, 4000)
    arrival, until = came(taken, 5e-4), START + round((20 + held) * SECOND)
    arrival = np.where((arrival >= START + 20 * SECOND) & (arrival < until), until, arrival)
    found = run(
        taken, arrival, 100.0, clock="host", counter=DeviceCounter(8),
        counts=(np.arange(4000) % 256).tolist(),
    )  # fmt: skip
    back = -sum(e.samples or 0 for e in found.events if e.kind == "overlap")
    assert set(found.kinds) <= {"overlap"}
    assert set(found.reasons) <= {"dropped", "overlap"}
    # the samples that came are those that were taken
    assert back <= found.lost <= 256 * 3
    assert found.errors(20 + held).max() < 2 * MS


@pytest.mark.parametrize("lost", [130, 300, 500, 530, 1030])
def test_what_is_lost_in_a_pause_is_counted_in_whole_turns(lost: int) -> None:
    number = np.arange(4000)
    number[2000:] += lost
    taken = START + (number + 1) * 10 * MS
    found = run(
        taken, came(taken, 5e-4), 100.0, clock="host", counter=DeviceCounter(8),
        counts=(number % 256).tolist(),
    )  # fmt: skip
    assert (found.lost, found.reasons) == (lost, ["dropped"])
    assert found.errors(5).max() < 5 * MS


# -- after their arrival --------------------------------------------------------------------------


@pytest.mark.parametrize("length", [50, 1000])
def test_stamps_of_the_end_of_a_block_are_reported_and_taken_for_it(length: int) -> None:
    end = every(length / 1000, 100)
    info = StreamInfo("x", 1000.0, (), np.dtype(np.int64), device_clock="host")
    stamper, data = Stamper(info, live=True), np.zeros(length, np.int64)
    data.flags.writeable = False
    late = []
    for k, at in enumerate((end + MS).tolist()):
        chunk = stamper.stamp(Reading(data, device_time=int(end[k])), data, at)
        assert chunk is not None
        late.append(int(chunk.time[-1]) - at)
    (report,) = map(str, stamper.found)
    assert "device_time is that of the first" in report
    # sure at once, or after 8 blocks
    assert max(late[12 if length == 50 else 0 :]) <= 0


def test_bounds_after_the_arrival_move_no_time_there() -> None:
    rng = np.random.default_rng(0)
    arrival = START + np.cumsum(np.round((0.1 + rng.exponential(0.01, 600)) * SECOND)).astype(int)
    bounds = [(at + 900_000, at + 2_000_000) for at in arrival.tolist()]
    run(arrival, arrival, 10.0, clock="host", bounds=bounds)


@pytest.mark.parametrize("back", [2, 100, 900])
def test_an_arrival_that_goes_back_is_reported_and_set_aside(back: int) -> None:
    taken = every(0.01, 500)
    arrival = taken + MS
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64))
    stamper, data, errors = Stamper(info, live=True), np.zeros(1, np.int64), []
    data.flags.writeable = False
    said = arrival.copy()
    said[300] = arrival[299] - back * MS
    for k, at in enumerate(arrival.tolist()):
        chunk = stamper.stamp(Reading(data, arrival=int(said[k])), data, at)
        assert chunk is not None
        assert not chunk.gaps
        errors.append(abs(int(chunk.time[0]) - int(taken[k])))
    (report,) = map(str, stamper.found)
    assert f"goes back by {back * MS / SECOND:.6g} s" in report
    assert max(errors) <= MS


@pytest.mark.parametrize("seed", range(3))
def test_a_coarse_clock_with_bounds_may_go_back(seed: int) -> None:
    """Some readings come without a stamp: the next one is the same as before them."""
    rng = np.random.default_rng(seed)
    arrival = np.sort(every(0.01, 300) + (rng.exponential(1, 300) * MS).astype(np.int64))
    stamps = [k // 10 * 100 * MS if rng.random() < 0.7 else None for k in range(300)]
    bounds = [
        (at - int(rng.uniform(1, 5) * MS), at - int(rng.uniform(0, 1) * MS))
        for at in arrival.tolist()
    ]
    found = run(arrival, arrival, 100.0, device_time=stamps, bounds=bounds)
    assert found.lost == 0
    for chunk, (low, high) in zip(found.chunks, bounds, strict=True):
        assert low <= chunk.time[-1] <= high + 1
