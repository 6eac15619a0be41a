"""What becomes of odd evidence: counters that begin anew, decisions that come late."""

from typing import Any

import numpy as np
import pytest
from fakes import MS
from numpy.typing import NDArray

from rxstream import Chunk, DeviceCounter, Reading, StreamInfo
from rxstream import operators as ops
from rxstream.acquisition.stamper import Stamper
from rxstream.testing import run_operator
from rxstream.timing import ClockEvent

START = 10**18


def stamped(
    info: StreamInfo, seconds: NDArray[np.float64], mode: Any = "corrected"
) -> tuple[list[Chunk[Any]], list[ClockEvent]]:
    """Return what becomes of blocks of ``info.quantum`` samples that arrive so."""
    stamper, size = Stamper(info, mode), info.quantum or 1
    samples = np.zeros(size, np.int64)
    chunks = [
        stamper.stamp(Reading(samples), samples, START + round(s * 1e9)) for s in seconds.tolist()
    ]
    return [chunk for chunk in chunks if chunk is not None], stamper.found


@pytest.mark.parametrize("rate", [1000.0, None])
@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("mode", ["arrival", "corrected"])
def test_a_counter_that_begins_anew_is_no_loss(rate: float | None, bits: int, mode: Any) -> None:
    stamper = Stamper(StreamInfo("x", rate, (), np.dtype(int), counter=DeviceCounter(bits)), mode)
    gaps, samples = [], np.arange(10)
    counters = [*range(5000, 5100, 10), *range(0, 50, 10), *range(70, 100, 10)]
    for k, counter in enumerate(counters):
        late = 20 * MS if k >= 15 else 0
        arrival = START + k * 10 * MS + late
        chunk = stamper.stamp(Reading(samples, counter=counter), samples, arrival)
        assert chunk is not None
        gaps += chunk.gaps
    assert [(gap.reason, gap.lost) for gap in gaps] == [("restart", None), ("dropped", 20)]
    assert chunk.index == 190


@pytest.mark.parametrize("rate", [1000.0, None])
def test_a_reading_without_its_counter_is_no_loss(rate: float | None) -> None:
    info = StreamInfo("x", rate, (), np.dtype(int), counter=DeviceCounter(8))
    stamper, gaps, samples = Stamper(info, "arrival"), [], np.arange(10)
    for k in range(60):
        counter = None if k in (20, 21, 40) else 10 * (k + (k >= 40)) % 256
        chunk = stamper.stamp(Reading(samples, counter=counter), samples, START + k * 10 * MS)
        assert chunk is not None
        gaps += chunk.gaps
    assert [(gap.reason, gap.lost) for gap in gaps] == [("dropped", 10)]


@pytest.mark.parametrize("mode", ["arrival", "corrected"])
def test_after_a_disconnect_samples_are_not_spread_over_the_hole(mode: Any) -> None:
    stamper = Stamper(StreamInfo("x", 1000.0, (), np.dtype(int)), mode)
    samples = np.arange(10)
    for k in range(3):
        stamper.stamp(Reading(samples), samples, START + k * 10 * MS)
    stamper.restart("disconnect")
    chunk = stamper.stamp(Reading(samples), samples, START + 5020 * MS)
    assert chunk is not None
    assert chunk.duration == pytest.approx(0.01, rel=0.1)
    (gap,) = chunk.gaps
    assert (gap.reason, gap.lost) == ("disconnect", pytest.approx(4990, abs=10))
    assert chunk.index == 30 + chunk.lost


def test_a_delay_that_changes_is_told_and_moves_no_times() -> None:
    rng = np.random.default_rng(1)
    delay = rng.exponential(0.5e-3, 3000) + np.repeat([4e-3, 0, 6e-3], 1000)
    taken = np.arange(1, 3001) * 0.1
    info = StreamInfo("net", 25600.0, (), np.dtype(int), quantum=2560)
    chunks, found = stamped(info, taken + delay)
    assert [event.kind for event in found] == ["latency", "latency"]
    fell, rose = found
    assert fell.delay == pytest.approx(-4e6, abs=5e5)
    assert "fell by" in str(fell)
    assert rose.delay == pytest.approx(6e6, abs=5e5)
    assert "times stay right" in str(rose)
    assert rose.correction == 0
    ends = np.array([chunk.end for chunk in chunks[rose.first // 2560 : rose.last // 2560]])
    true = taken[rose.first // 2560 : rose.last // 2560]
    assert np.abs((ends - START) / 1e9 - true).mean() < 0.5e-3


def test_a_loss_that_was_none_is_taken_back() -> None:
    rng = np.random.default_rng(11)
    seconds = np.arange(600) / 30 + rng.exponential(2e-3, 600)
    seconds[400:408] += 0.0333  # late by just one frame, for a while
    chunks, found = stamped(StreamInfo("cam", 30.0, (), np.dtype(int), quantum=1), seconds)
    gaps = [(gap.reason, gap.lost) for chunk in chunks for gap in chunk.gaps]
    assert gaps == [("dropped", 1), ("overlap", 0)]
    assert [(event.kind, event.samples) for event in found] == [("gap", 1), ("overlap", -1)]
    assert "an earlier gap was none" in str(found[1])
    assert chunks[-1].index == 600  # numbers that are out stay


def test_the_size_of_an_unplugging_is_no_evidence() -> None:
    """It was made from times: a second correction finds the clock anew, as the first did."""
    info = StreamInfo("mic", 48_000.0, (), np.dtype(int), quantum=480)
    stamper, samples, rng = Stamper(info), np.zeros(480, int), np.random.default_rng(2)
    chunks = []
    for k in range(4000):
        if k == 2000:
            stamper.restart("disconnect")
        away = 7.3 if k >= 2000 else 0.0
        late = max(0.0, 0.05 - 0.01 * (k - 2000)) if k >= 2000 else 0.0
        arrival = k * 0.01 + away + late + rng.exponential(2e-4)
        chunk = stamper.stamp(Reading(samples), samples, START + round(arrival * 1e9))
        assert chunk is not None
        chunks.append(chunk)
    again = run_operator(ops.timestamp_correct(), chunks)
    assert [c.gaps for c in again] == [c.gaps for c in chunks]
    np.testing.assert_array_equal([c.time for c in again], [c.time for c in chunks])


def of_driver(
    rate: float, size: int, stamps: NDArray[np.float64], arrivals: NDArray[np.float64]
) -> list[Chunk[Any]]:
    """Return what becomes of blocks of ``size`` samples that a live driver stamps so [s]."""
    info = StreamInfo("x", rate, (), np.dtype(np.int64), device_clock="host")
    stamper, samples = Stamper(info, live=True), np.zeros(size, np.int64)
    chunks = []
    for stamp, arrival in zip(stamps.tolist(), arrivals.tolist(), strict=True):
        now = START + round(arrival * 1e9)
        reading = Reading(samples, device_time=START + round(stamp * 1e9), arrival=now)
        chunks.append(stamper.stamp(reading, samples, now))
    assert stamper.found == []
    return [chunk for chunk in chunks if chunk is not None]


@pytest.mark.parametrize(("rate", "size"), [(48e3, 480), (1000.0, 10), (20.0, 1)])
def test_stamps_made_of_the_time_of_reading_put_no_sample_after_its_arrival(
    rate: float, size: int
) -> None:
    rng = np.random.default_rng(5)
    taken = (np.arange(1, 1001) * size - 1) / rate  # the last sample of each block
    arrivals = taken + rng.normal(5e-3, 1e-3, 1000).clip(0)
    got = of_driver(rate, size, arrivals - (size - 1) / rate, arrivals)
    last = np.array([chunk.time[-1] - START for chunk in got]) * 1e-9
    assert (last <= arrivals + 1e-9).all()
    # the least delay is no error; a line through the middle would be 3 ms off, and hardly covered
    off = (last - taken - (arrivals - taken).min())[100:]
    assert -1e-6 < np.median(off) < 1e-3
    assert np.mean(off * 1e9 <= [np.max(chunk.uncertainty) for chunk in got[100:]]) > 0.95


def test_a_sample_with_a_stamp_of_its_own_is_not_taken_for_the_end_of_a_block() -> None:
    rng = np.random.default_rng(6)
    taken = np.arange(1, 601) / 20.0
    got = of_driver(20.0, 1, taken + rng.normal(0, 2e-4, 600), taken + 1e-3)
    off = np.array([chunk.time[0] - START for chunk in got]) * 1e-9 - taken
    assert np.abs(off[100:]).max() < 2e-4
    assert max(np.max(chunk.uncertainty) for chunk in got[100:]) < 2e6


@pytest.mark.parametrize("rate", [1.0, 100.0])
def test_a_sample_stamped_on_arrival_was_taken_then_and_not_a_period_before(rate: float) -> None:
    rng = np.random.default_rng(7)
    arrivals = np.arange(1, 200) / rate + rng.uniform(0, 0.9 / rate, 199)
    got, _ = stamped(StreamInfo("x", rate, (), np.dtype(int)), arrivals, "arrival")
    times = [int(chunk.time[0]) - START for chunk in got]
    assert times == np.rint(arrivals * 1e9).astype(int).tolist()
    assert not any(chunk.gap for chunk in got)


@pytest.mark.parametrize(("rate", "step"), [(100.0, 1e-3), (20.0, 1e-3), (1.0, 1.0)])
def test_the_uncertainty_of_rounded_stamps_is_what_they_are_rounded_to(
    rate: float, step: float
) -> None:
    rng = np.random.default_rng(8)
    taken = np.arange(1, 1001) / rate * (1 + 5e-5)
    arrivals = taken + 2 * step + rng.exponential(1e-3, 1000)
    got = of_driver(rate, 1, np.floor(taken / step) * step, arrivals)
    off = np.array([chunk.time[0] - START for chunk in got]) - taken * 1e9
    assert np.mean(np.abs(off) <= [np.max(chunk.uncertainty) for chunk in got]) > 0.95


def test_a_crystal_that_is_off_lowers_no_line_for_long() -> None:
    rng = np.random.default_rng(9)
    taken = (np.arange(1, 1501) * 480 - 1) / 48e3 * (1 + 3e-4)
    got = of_driver(48e3, 480, taken - 479 / 48e3 + rng.normal(0, 2e-4, 1500), taken + 2e-3)
    off = np.array([chunk.time[-1] - START for chunk in got]) - taken * 1e9
    assert np.percentile(np.abs(off), 95) < 4e5
    assert np.mean(np.abs(off) <= [np.max(chunk.uncertainty) for chunk in got]) > 0.95
