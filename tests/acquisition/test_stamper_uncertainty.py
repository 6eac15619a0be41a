"""How uncertain times are said to be, where no clock model made them."""

import pickle
from math import isnan
from typing import Any

import numpy as np
import pytest

from rxstream import Chunk, Reading, StreamInfo, concat
from rxstream import operators as ops
from rxstream.acquisition.stamper import Stamper
from rxstream.devices.can.clock import BusClock
from rxstream.testing import assert_same, run_operator

START = 10**18


def stamp(info: StreamInfo, mode: Any = "corrected", **evidence: Any) -> Chunk[Any]:
    data = np.arange(3.0)
    data.flags.writeable = False
    chunk = Stamper(info, mode).stamp(Reading(data, **evidence), data, START)
    assert chunk is not None
    return chunk


def info(rate: float | None = None, **more: Any) -> StreamInfo:
    return StreamInfo("x", rate, (), np.dtype(float), **more)


UNKNOWN = {
    "on arrival": stamp(info()),
    "on arrival, regular": stamp(info(100.0), "arrival"),
    "of an interface": stamp(info(device_clock="host"), device_time=START + np.arange(3)),
    "of a camera": stamp(info(30.0, device_clock="host"), device_time=START + np.arange(3)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_nobody_knows_it_is_nan_and_stays_so(name: str) -> None:
    chunk = UNKNOWN[name]
    assert isnan(chunk.uncertainty)
    again = chunk[:1] + chunk[1:]
    assert isnan(again.uncertainty)
    assert again == chunk
    assert isnan(pickle.loads(pickle.dumps(chunk)).uncertainty)
    assert "nan" not in repr(chunk)
    flows = run_operator(ops.meter(every=10.0), [chunk])
    assert isnan(flows[0].uncertainty)
    assert_same(flows, run_operator(ops.meter(every=10.0), [chunk]))


def test_one_unknown_part_makes_the_whole_unknown() -> None:
    unknown = stamp(info(100.0), "arrival")
    before, after = (
        Chunk.regular(unknown.data, unknown.info, start=t, uncertainty=5.0)
        for t in (unknown.start - 30_000_000, unknown.end)
    )
    whole = concat([before, unknown[:1], unknown[1:], after])
    assert isnan(whole.uncertainty)
    assert [part.count for part in whole.axis.parts()] == [3, 3, 3]  # a grid grows together again
    assert (whole[:3].uncertainty, whole[6:].uncertainty) == (5.0, 5.0)
    fine = concat(run_operator(ops.resample(1000.0), [whole]))
    assert isnan(fine.uncertainty)


def test_bounds_tell_how_good_stamps_are() -> None:
    given = stamp(
        info(device_clock="host"), device_time=START + np.arange(3), bounds=(START - 70, START + 30)
    )
    assert given.uncertainty == 50.0


def test_where_there_is_no_room_times_are_as_uncertain_as_they_are_late() -> None:
    stamper = Stamper(info(), live=True)
    data = np.zeros(1, info().dtype)
    # until here nothing was to come any more
    stamper.stamp(Reading(data[:0]), data[:0], START + 1000)
    reading = Reading(data, bounds=(START, START + 1200))
    chunk = stamper.stamp(reading, data, START + 1200)
    assert chunk is not None
    assert chunk.time.tolist() == [START + 1000]
    # in the middle, give or take 600
    assert chunk.uncertainty == 600 + 400


def test_an_adapter_tied_to_the_host_clock_reports_its_uncertainty() -> None:
    rng, bus = np.random.default_rng(0), BusClock("pcan", "device")
    taken = np.cumsum(rng.exponential(2e6, 4000)).astype(np.int64)
    arrival = np.maximum.accumulate(taken + rng.exponential(5e5, 4000).astype(np.int64))
    inside = []
    for k in range(0, 4000, 4):
        part = slice(k, k + 4)
        times = bus.push(taken[part] * (1 - 60e-6) / 1e9, START + arrival[part])
        inside.append(np.abs(times - START - taken[part]).max() <= bus.half_width)
    assert 0 < bus.half_width < 200_000
    assert np.mean(inside[100:]) > 0.9
    assert isnan(BusClock("socketcan", "arrival").half_width)
