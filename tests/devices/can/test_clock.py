"""Stamps of CAN interfaces on the host clock, in virtual time."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rxstream.data.clock import HostClock
from rxstream.devices.can.clock import BusClock

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND
AHEAD = 3 * SECOND  # the wall clock was set since the host clock was tied to it


def clock() -> HostClock:
    """Return a host clock whose wall clock has been set ahead by 3 s."""
    steps = iter([EPOCH] * 3)
    return HostClock(monotonic=lambda: 0, realtime=lambda: next(steps, EPOCH + AHEAD))


def late(n: int, seed: int = 0) -> NDArray[np.int64]:
    """Return delays as a serial line has them: 1 ms, and exponential of 3 ms above it."""
    rng = np.random.default_rng(seed)
    return (1e6 + rng.exponential(3e6, n)).astype(np.int64)


def run(
    bus: BusClock, true: NDArray[np.int64], own: NDArray[np.float64], batch: int = 5
) -> NDArray[np.int64]:
    arrivals = np.maximum.accumulate(true + late(len(true)))
    parts = [
        bus.push(own[i : i + batch], arrivals[i : i + batch]) for i in range(0, len(true), batch)
    ]
    return np.concatenate(parts)


def test_stamps_of_the_wall_clock_are_taken_and_its_steps_are_not() -> None:
    bus = BusClock("socketcan", clock=clock())
    true = EPOCH + np.arange(0, 10 * SECOND, SECOND // 100)
    times = run(bus, true, (true + AHEAD) / 1e9)
    assert bus.kind == "host"
    assert np.abs(times - true).max() < 500  # what a float of seconds can hold


def test_a_stamp_is_never_after_its_arrival() -> None:
    bus = BusClock("socketcan", clock=clock())
    arrivals = np.array([EPOCH], np.int64)
    assert bus.push(np.array([(EPOCH + AHEAD) / 1e9 + 0.01]), arrivals).tolist() == [EPOCH]


ZEROS: dict[str, Callable[[NDArray[np.int64]], NDArray[np.float64]]] = {
    "its own": lambda true: (true - EPOCH) / 1e9 + 17.25,
    "tied when it was opened": lambda true: (true + AHEAD) / 1e9,
}


@pytest.mark.parametrize("zero", ZEROS)
@pytest.mark.parametrize("interface", ["pcan", "kvaser", "vector", "serial"])
def test_a_clock_that_drifts_is_followed(zero: str, interface: str) -> None:
    """Half an hour at 150 ppm is 270 ms: python-can's own stamps would be that wrong."""
    bus = BusClock(interface, clock=clock())
    true = EPOCH + np.arange(0, 1800 * SECOND, SECOND // 10)
    own = ZEROS[zero](EPOCH + ((true - EPOCH) * (1 + 150e-6)).astype(np.int64))
    times = run(bus, true, own)
    assert bus.kind == "device"
    error = (times - true)[600:] - 1_000_000  # the least delay cannot be seen; after a minute
    assert np.abs(np.median(error)) < 500_000
    assert np.abs(error).max() < 3_000_000


def test_an_adapter_that_is_reset_begins_anew() -> None:
    bus = BusClock("serial", clock=clock())
    true = EPOCH + np.arange(0, 60 * SECOND, SECOND // 50)
    own = (true - EPOCH) / 1e9 + 100.0
    own[1502:] -= own[1502] - 0.25  # in the midst of a batch
    times = run(bus, true, own)
    error = np.abs(times - true)[100:] / 1e6
    assert np.quantile(error, 0.9) < 5.0  # [ms]
    assert error.max() < 50.0


def test_an_interface_without_stamps() -> None:
    bus = BusClock("neovi", clock=clock())
    arrivals = np.array([EPOCH, EPOCH + 5], np.int64)
    assert bus.push(np.zeros(2), arrivals).tolist() == arrivals.tolist()
    assert bus.kind == "arrival"


def test_what_cannot_be_the_wall_clock_is_not_taken_for_it() -> None:
    bus = BusClock("virtual", clock=clock())  # with preserve_timestamps, of an old recording
    bus.push(np.array([12.5]), np.array([EPOCH]))
    assert bus.kind == "device"


def test_the_user_knows_better() -> None:
    arrivals = np.array([EPOCH + SECOND], np.int64)
    stamps = np.array([(EPOCH + AHEAD) / 1e9])
    for kind, expected in (("host", EPOCH), ("arrival", EPOCH + SECOND)):
        bus = BusClock("pcan", kind, clock=clock())  # type: ignore[arg-type]
        assert bus.push(stamps, arrivals).tolist() == [expected]


def test_when_silence_is_certain() -> None:
    assert BusClock("socketcan", "host").quiet(EPOCH) == EPOCH
    assert BusClock("pcan", "device").quiet(EPOCH) == EPOCH - SECOND // 2


WRONG_STAMPS = {
    "nan": float("nan"),
    "infinite": float("inf"),
    "beyond int64": 1e11,
    "a day ahead": lambda own: own + 86_400.0,
    "a day back": lambda own: own - 86_400.0,
}


@pytest.mark.parametrize("wrong", WRONG_STAMPS)
@pytest.mark.parametrize("interface", ["socketcan", "pcan"])
@pytest.mark.parametrize("batch", [1, 5])
def test_a_wrong_stamp_leaves_the_others_as_they_are(
    wrong: str, interface: str, batch: int
) -> None:
    true = EPOCH + np.arange(0, 60 * SECOND, SECOND // 50)
    own, value = (true + AHEAD) / 1e9, WRONG_STAMPS[wrong]
    usual = run(BusClock(interface, clock=clock()), true, own, batch)
    bad, bus = own.copy(), BusClock(interface, clock=clock())
    places = [700, 1203, 1709, 2111]
    for i in places:
        bad[i] = value(own[i]) if callable(value) else value
    times = run(bus, true, bad, batch)
    arrivals = np.maximum.accumulate(true + late(len(true)))
    others = np.setdiff1d(np.arange(len(true)), places)
    assert np.abs(times - usual)[others].max() < 1_000_000
    assert (times <= arrivals).all()
    # a stamp of the wall clock that lies back is left to who sees the whole stream
    if not (interface == "socketcan" and wrong == "a day back"):
        assert (np.abs(times - true)[places] <= np.abs(arrivals - true)[places]).all()
        assert len(bus.reports.new) == 1


@pytest.mark.parametrize("interface", ["socketcan", "pcan"])
def test_a_first_stamp_that_is_none_decides_nothing(interface: str) -> None:
    true = EPOCH + np.arange(0, 10 * SECOND, SECOND // 100)
    own = (true + AHEAD) / 1e9
    usual = BusClock(interface, clock=clock())
    run(usual, true, own)
    own[:7] = np.nan
    bus = BusClock(interface, clock=clock())
    times = run(bus, true, own)
    assert bus.kind == usual.kind
    assert np.abs(times - true)[100:].max() < 6_000_000
