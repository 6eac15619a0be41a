"""Devices that no clock of the stated rate paces, through `Device`: no loss, times of arrival."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import MS, Manual
from numpy.typing import NDArray
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, Reading, StreamInfo
from rxstream import operators as ops
from rxstream.data.flow import Flow
from rxstream.testing import run_operator
from rxstream.timing import ClockEvent, ClockModel, ClockSettings, Stamp

START = 10**18
Ints = NDArray[np.int64]


def paced_by_sleep(rate: float, seconds: float, seed: int = 0) -> Ints:
    """Return when a loop that reads and sleeps takes its samples [ns]."""
    rng = np.random.default_rng(seed)
    steps = 1 / rate + rng.exponential(0.07 / rate, round(seconds * rate))
    return START + np.cumsum(np.round(steps * 1e9)).astype(np.int64)


def steady(rate: float, seconds: float) -> Ints:
    steps = np.arange(round(seconds * rate)) / rate * 1e9
    return START + np.round(steps).astype(np.int64)


def through_device(
    rate: float, arrivals: Sequence[int], n: int = 1
) -> tuple[list[Chunk[Any]], list[Any], Any]:
    """Return chunks, faults and statistics of a device whose readings of ``n`` arrive so."""
    source = Manual(StreamInfo("loop", rate, (), np.dtype(np.int64)))
    chunks: list[Chunk[Any]] = []
    with Device(source, history=10**6) as device:
        device.subscribe(chunks.append, scheduler=ImmediateScheduler())
        for k, arrival in enumerate(arrivals):
            source.emit(Reading(np.arange(n * k, n * k + n), arrival=arrival))
        stats = device.stats()
        faults = list(device.faults)
    return chunks, faults, stats


def by_model(rate: float, arrivals: Sequence[int], n: int = 1) -> list[Stamp]:
    model = ClockModel(ClockSettings(rate=rate))
    return [model.push(n, arrival) for arrival in arrivals]


@pytest.mark.parametrize("n", [1, 10])
@pytest.mark.parametrize("rate", [10.0, 100.0])
def test_times_are_those_of_the_model(rate: float, n: int) -> None:
    arrivals = (paced_by_sleep(rate, 60) + 20_000).tolist()
    chunks, faults, stats = through_device(rate * n, arrivals, n)
    stamps = by_model(rate * n, arrivals, n)
    assert len(chunks) == len(stamps)
    by_arrival = [k for k, stamp in enumerate(stamps) if stamp.state == "arrival"]
    assert len(by_arrival) > 0.85 * len(stamps)
    for k in by_arrival:
        assert chunks[k].time[-1] == arrivals[k]
        assert chunks[k].time[0] == stamps[k].first
        assert chunks[k].uncertainty == stamps[k].uncertainty
    assert sum(chunk.lost for chunk in chunks) == 0
    assert all(chunk.start == before.end for before, chunk in pairwise(chunks))
    assert stats.clock == stats.flow.state == "arrival"
    assert stats.flow.rate == pytest.approx(rate * n / 1.07, rel=0.02)
    assert (stats.flow.jitter_p50, stats.flow.delay) == (None, None)  # it would be that of a line
    (fault,) = faults
    assert isinstance(fault, ClockEvent)
    assert (fault.kind, fault.stream, fault.stated) == ("unsteady", "loop", rate * n)
    # the sample with which it was found
    (found,) = (k for k, stamp in enumerate(stamps) if stamp.events)
    assert fault.first == fault.last == found * n
    assert f"from sample {found * n} on times are those of arrival" in str(fault)
    assert "rate=None" in str(fault)


def test_a_loop_that_is_held_up_in_its_first_seconds_loses_nothing() -> None:
    for seed in (1, 43, 87, 92, 109):
        rng = np.random.default_rng(seed)
        rate = float(rng.choice([10, 100, 1000]))
        steps = 1 / rate + rng.exponential(rng.choice([0.1e-3, 0.3e-3]), round(12 * rate))
        held = rng.random(len(steps)) < 1 / rate / rng.uniform(0.3, 3)
        steps[held] += rng.exponential(10e-3, held.sum())
        arrivals = START + np.cumsum(np.round(steps * 1e9)).astype(np.int64)
        assert sum(stamp.lost or 0 for stamp in by_model(rate, arrivals.tolist())) == 0


def test_an_outage_without_a_clock_is_a_restart() -> None:
    arrivals = paced_by_sleep(10.0, 60)
    arrivals[400:] += 5000 * MS
    chunks, faults, stats = through_device(10.0, arrivals.tolist())
    assert [fault.kind for fault in faults] == ["unsteady", "restart"]
    gaps = [(k, gap.reason, gap.lost) for k, chunk in enumerate(chunks) for gap in chunk.gaps]
    assert gaps == [(401, "restart", None)]
    assert [chunk.time[-1] for chunk in chunks[100:]] == arrivals[100:].tolist()
    assert stats.clock == "arrival"


def test_another_rate_is_named_once() -> None:
    rng = np.random.default_rng(1)
    taken = steady(9.1, 120)
    arrivals = np.maximum.accumulate(taken + (rng.exponential(2, len(taken)) * MS).astype(int))
    chunks, faults, _ = through_device(10.0, arrivals.tolist())
    (fault,) = faults
    assert fault.kind == "rate"
    assert fault.rate == pytest.approx(9.1, rel=1e-3)
    assert str(fault).startswith(f"loop: samples come at {fault.rate:.5g} Hz, info says 10 Hz")
    assert f"from sample {fault.last} on" in str(fault)
    assert sum(chunk.lost for chunk in chunks) == 0
    late = np.array([chunk.time[0] for chunk in chunks]) - taken
    assert np.percentile(np.abs(late[200:]), 95) < 1 * MS


def test_a_stream_that_behaves_again_is_told_once() -> None:
    first = paced_by_sleep(20.0, 60)
    then = first[-1] + steady(20.0, 240)[1:] - START
    chunks, faults, stats = through_device(20.0, np.concatenate((first, then)).tolist())
    assert [fault.kind for fault in faults] == ["unsteady", "steady"]
    assert "a steady rate again, from sample" in str(faults[1])
    assert stats.clock == "locked"
    assert sum(chunk.lost for chunk in chunks) == 0


def test_the_operator_does_the_same_as_the_device() -> None:
    arrivals = (paced_by_sleep(10.0, 60) + 20_000).tolist()
    chunks, _, _ = through_device(10.0, arrivals)
    again = run_operator(ops.timestamp_correct(), chunks)
    for one, other in zip(chunks, again, strict=True):
        np.testing.assert_array_equal(one.time, other.time)
        assert (one.start, one.end) == (other.start, other.end)


def test_jitter_and_rate_of_single_samples_are_measured() -> None:
    """Chunks end when they arrive: the statistics are of the samples in them."""
    rng = np.random.default_rng(2)
    taken = steady(50.0 * (1 + 1e-3), 60)
    arrivals = np.maximum.accumulate(taken + (rng.exponential(3, len(taken)) * MS).astype(int))
    chunks, _, stats = through_device(50.0, arrivals.tolist())
    flow: Flow = stats.flow
    assert flow.ppm == pytest.approx(1000, abs=100)
    assert flow.jitter_p50 == pytest.approx(3e-3 * np.log(2), rel=0.2)
    assert flow.delay is not None
    assert 0 <= flow.delay < 1e-3
    assert all(chunk.end <= arrival + 1 for chunk, arrival in zip(chunks, arrivals, strict=True))
