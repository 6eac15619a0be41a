"""When a frame was taken: the rule for live streams, on made-up arrivals."""

import logging
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxstream.data.clock import HostClock
from rxstream.devices.camera.clocks import (
    ArrivalClock,
    ContainerClock,
    Frame,
    FrameClock,
    RecordedClock,
)

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
DATA = np.zeros((2, 2, 3), np.uint8)


def run(clock: FrameClock, positions: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """Return the times [ns] of frames at positions [ms] that arrive at [ns]."""
    timed = []
    for position, arrival in zip(positions, arrivals, strict=True):
        timed += clock.push(Frame(DATA, float(position), int(arrival)))
    timed += clock.flush()
    assert len(timed) == len(positions)
    np.testing.assert_array_equal([frame.position for frame, _ in timed], positions)
    times = np.array([time for _, time in timed])
    assert (np.diff(times) > 0).all()
    return times


def delays(n: int, seed: int = 0, mean: float = 8.0) -> np.ndarray:
    """Return delays [ns] as a network makes them: a floor, and an exponential tail."""
    return (2e6 + np.random.default_rng(seed).exponential(mean * 1e6, n)).astype(np.int64)


def in_order(arrivals: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(arrivals)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([5.0, 15.0, 25.0, 30.0, 60.0]),
    burst=st.floats(0.0, 2.0),
)
def test_a_right_container_is_followed_to_the_nanosecond(
    seed: int, rate: float, burst: float
) -> None:
    n = round(12 * rate)
    position = np.arange(n) * 1000 / rate
    taken = T0 + np.rint(position * 1e6).astype(np.int64)
    # what was taken while the stream was opened comes at once
    arrival = in_order(np.maximum(taken + delays(n, seed), T0 + round(burst * 1e9)))
    clock = ContainerClock("test")
    times = run(clock, position, arrival)
    assert clock.trusted
    error = (times - taken) / MS
    assert (times <= arrival).all()
    assert np.diff(error).max() < 0.9  # the anchor rises at most 0.2 ms/s
    assert 2.0 <= error[-1] < 30.0  # the floor is the delay that nobody can see


@pytest.mark.parametrize("true_rate", [10.0, 24.0, 30.0, 60.0])
def test_an_invented_rate_is_found_out(true_rate: float, caplog: pytest.LogCaptureFixture) -> None:
    n = round(20 * true_rate)
    taken = T0 + np.rint(np.arange(n) * 1e9 / true_rate).astype(np.int64)
    arrival = in_order(taken + delays(n))
    clock = ContainerClock("door")
    with caplog.at_level(logging.WARNING):
        times = run(clock, np.arange(n) * 40.0, arrival)
    assert not clock.trusted
    assert "door: the times of the container are not right" in caplog.text
    error = np.abs(times - arrival)
    slip = abs(1 - true_rate / 25)  # seconds in a second
    assert error.max() < max(0.5, 5 * slip) * 1e9  # until it was found out
    assert error[3 * n // 4 :].max() < 100  # afterwards; equal arrivals differ by 1 ns


def test_a_true_25_that_loses_frames_is_found_out() -> None:
    kept = np.flatnonzero(np.random.default_rng(1).random(1000) > 0.03)
    taken = T0 + kept * 40 * MS
    clock = ContainerClock("test")  # the positions go on as if nothing had been lost
    run(clock, np.arange(len(kept)) * 40.0, in_order(taken + delays(len(kept))))
    assert not clock.trusted


@pytest.mark.parametrize("wrong", [math.nan, -1.0, 0.0, 200.0])
def test_positions_that_stand_still_or_go_back_are_not_believed(wrong: float) -> None:
    n = 100
    position = np.arange(n) * 33.0
    position[50:] = wrong
    arrival = T0 + np.arange(n) * 33 * MS
    clock = ContainerClock("test")
    timed = [t for p, a in zip(position, arrival, strict=True)
             for t in clock.push(Frame(DATA, float(p), int(a)))]  # fmt: skip
    assert not clock.trusted
    assert [time for _, time in timed[50:]] == list(arrival[50:])


def test_a_stall_and_the_burst_after_it_change_nothing() -> None:
    n = 600
    taken = T0 + np.arange(n) * 33 * MS
    arrival = taken + delays(n, mean=2.0)
    arrival[200:290] = np.maximum(arrival[200:290], arrival[290])  # three seconds without one
    clock = ContainerClock("test")
    times = run(clock, np.arange(n) * 33.0, in_order(arrival))
    assert clock.trusted
    assert np.ptp(times - taken) < 2 * MS


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_a_slow_drift_is_followed(ppm: float) -> None:
    rate, n = 5.0, 5 * 3600
    position = np.arange(n) * 1000 / rate
    taken = T0 + np.rint(position * 1e6 * (1 + ppm * 1e-6)).astype(np.int64)  # 360 ms in an hour
    clock = ContainerClock("test")
    times = run(clock, position, in_order(taken + delays(n, mean=3.0)))
    assert clock.trusted
    assert np.abs((times - taken)[n // 10 :]).max() < 8 * MS


def test_a_stream_that_ends_at_once_gives_what_it_had() -> None:
    clock = ContainerClock("test")
    assert clock.push(Frame(DATA, 0.0, T0)) == ()
    assert [time for _, time in clock.flush()] == [T0]


def test_frames_are_held_back_within_bounds() -> None:
    clock = ContainerClock("test")
    big = np.lib.stride_tricks.as_strided(DATA, (6000, 8000, 3), (0, 0, 0))
    held = 0
    while not clock.push(Frame(big, held * 1.0, T0 + held * MS)):
        held += 1
    assert held == 0


def test_a_recording_begins_at_its_start() -> None:
    position = np.array([0.0, 33.4, 33.4, 100.0])
    times = run(RecordedClock(T0), position, np.zeros(4))
    assert (times - T0).tolist() == [0, 33_400_000, 33_400_001, 100 * MS]


def test_recordings_joined_keep_their_distances(caplog: pytest.LogCaptureFixture) -> None:
    once = np.arange(50) * 40.0
    # again from the beginning; then five frames hours ahead, and on
    position = np.concatenate([once, once, 9.8e6 + once[:5], 2040.0 + once])
    times = run(RecordedClock(T0, "a.ts"), position, np.zeros(len(position)))
    steps = np.diff(times)
    assert (steps[:99] == 40 * MS).all()
    assert (steps[100:] == 40 * MS).all()
    (record,) = caplog.records
    assert "a.ts: the time 0 s comes after 1.96 s" in record.getMessage()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e300, -1e300, 9.3e12])
def test_a_frame_without_a_position_comes_one_frame_later(
    wrong: float, caplog: pytest.LogCaptureFixture
) -> None:
    position = np.arange(20) * 40.0
    position[[7, 12]] = wrong
    times = run(RecordedClock(T0), position, np.zeros(20))
    assert (times - T0).tolist() == [40 * MS * k for k in range(20)]
    assert len(caplog.records) == 1


def test_a_camera_has_the_stamp_of_the_kernel() -> None:
    clock = HostClock(monotonic=lambda: 0, realtime=lambda: T0)
    arrival = T0 + np.array([5000, 5033, 5066, 5099]) * MS
    # two stamps of the monotonic clock; one of another clock; one from the future
    position = np.array([4990.0, 5023.0, 17.0, 5200.0])
    times = run(ArrivalClock(stamped=True, clock=clock), position, arrival)
    assert (times - T0).tolist() == [4990 * MS, 5023 * MS, 5066 * MS, 5099 * MS]
    assert (run(ArrivalClock(clock=clock), position, arrival) == arrival).all()


@pytest.mark.parametrize("rate", [30.0, 4.0])
def test_the_first_frame_of_rtsp_has_the_time_of_the_second(rate: float) -> None:
    n = 100
    position = np.maximum(0, np.arange(n) - 1) * 1000 / rate
    taken = T0 + np.rint(np.arange(n) * 1e9 / rate).astype(np.int64)
    clock = ContainerClock("test")
    timed = [t for p, a in zip(position, taken, strict=True)
             for t in clock.push(Frame(DATA, float(p), int(a)))]  # fmt: skip
    assert clock.trusted
    assert np.abs(np.array([time for _, time in timed]) - taken).max() <= 1
