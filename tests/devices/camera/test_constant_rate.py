"""Frames without stamps, in virtual time, against when they were taken."""

from math import isnan
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from numpy.typing import NDArray

from rxstream.data.stream_info import Reading
from rxstream.devices.camera.clocks import ArrivalClock, Frame
from rxstream.devices.camera.reader import CameraReader

T0 = 1_700_000_000_000_000_000
DATA = np.zeros((2, 2, 3), np.uint8)


def arrivals(taken: NDArray[np.float64], seed: int = 0) -> NDArray[np.int64]:
    """Return when frames taken at [s] come: 15 ms later, and a tail of 10 ms."""
    rng = np.random.default_rng(seed)
    late = 0.015 + 8e-3 * rng.lognormal(0.0, 0.5, len(taken))
    return np.asarray(np.maximum.accumulate(T0 + np.rint((taken + late) * 1e9).astype(np.int64)))


def stamped(
    arrival: NDArray[np.int64], rate: float | None = 30.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times [ns] and their half width [ns]."""
    clock = ArrivalClock(rate=rate)
    times, half_widths = [], []
    for t in arrival.tolist():
        times += [time for _, time in clock.push(Frame(DATA, 0.0, t))]
        half_widths.append(clock.half_width)
    assert (np.diff(times) > 0).all()
    return np.array(times), np.array(half_widths)


@pytest.mark.parametrize("rate", [30.0, 29.97, 29.8])
def test_at_an_even_rate_delays_are_taken_out(rate: float) -> None:
    taken = np.arange(2000) / rate
    arrival = arrivals(taken)
    times, half_widths = stamped(arrival)
    known = ~np.isnan(half_widths)
    assert known[400:].all()
    assert not known[:80].any()  # first it is proved
    error = (times - T0) / 1e9 - taken
    spread = np.percentile(np.abs(error - np.median(error))[known], 95)
    naive = (arrival - T0) / 1e9 - taken
    assert spread < 2e-3
    assert np.percentile(np.abs(naive - np.median(naive)), 95) > 5 * spread
    floor = naive.min()
    assert np.mean(np.abs(error - floor)[known] * 1e9 <= half_widths[known]) > 0.95


@pytest.mark.parametrize("rate", [7.5, 15.0, 25.0, 29.0, 31.0, 60.0])
def test_a_rate_that_is_not_true_is_not_believed(rate: float) -> None:
    arrival = arrivals(np.arange(1000) / rate)
    times, half_widths = stamped(arrival)
    assert np.isnan(half_widths).all()
    np.testing.assert_array_less(times - arrival, 1000)


def test_where_the_light_halves_the_rate_arrivals_count_until_it_is_back() -> None:
    taken = np.cumsum(np.repeat([1 / 30, 1 / 15, 1 / 30], 600))
    times, half_widths = stamped(arrivals(taken))
    known = ~np.isnan(half_widths)
    assert known[400:600].all()
    assert not known[610:1200].any()
    assert known[1600:].all()
    error = (times - T0) / 1e9 - taken
    for part in (slice(400, 600), slice(1600, None)):
        assert np.percentile(np.abs(error[part] - np.median(error[part])), 95) < 3e-3
    assert (error[610:1200] > 0.015).all()


def test_without_a_rate_there_is_only_arrival() -> None:
    arrival = arrivals(np.arange(300) / 30)
    times, half_widths = stamped(arrival, None)
    np.testing.assert_array_equal(times, arrival)
    assert np.isnan(half_widths).all()


class FrameList:
    """A camera that cannot be had here: frames that have arrived already."""

    recorded = False

    def __init__(self, arrival: NDArray[np.int64]) -> None:
        self.left = [Frame(DATA, 0.0, t) for t in arrival.tolist()]

    def read(self) -> Frame | None:
        return self.left.pop(0) if self.left else None

    def missing(self) -> str:
        return ""

    def release(self) -> None:
        pass


def test_the_uncertainty_goes_with_the_frame() -> None:
    camera: Any = FrameList(arrivals(np.arange(300) / 30))
    clock, readings, errors = ArrivalClock(rate=30.0), list[Any](), list[Exception]()
    first = camera.read()
    close = CameraReader(camera, first, clock, readings.append, errors.append, "x").start()
    assert eventually(lambda: len(errors) == 1)  # the camera has no more
    close()
    assert all(isinstance(reading, Reading) for reading in readings)
    assert readings[0].bounds is None
    last = readings[-1]
    assert not isnan(clock.half_width)
    assert last.bounds == (
        last.device_time[0] - round(clock.half_width), last.device_time[0] + round(clock.half_width)
    )  # fmt: skip
