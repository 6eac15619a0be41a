"""Device.stats: rate, jitter, losses, and how each subscriber keeps up."""

import threading
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from fakes import INFO, MS, Manual, eventually, ramp
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, Gap, Reading, StreamInfo
from rxstream import operators as ops
from rxstream.acquisition.stamper import Timestamps
from rxstream.acquisition.stats import Stats
from rxstream.data.axis import Evidence
from rxstream.data.clock import HostClock, now_ns
from rxstream.data.flow import Meter
from rxstream.devices.simulated import Delay, Simulated
from rxstream.errors import DeviceLostError
from rxstream.testing import run_operator
from rxstream.window.log import Log

pytestmark = pytest.mark.real


def modelled(chunk: Chunk, state: str = "locked") -> Chunk:
    """Return a chunk as a clock model has stamped it."""
    (grid,) = chunk.axis.parts()
    grid.evidence = Evidence(chunk.end, len(chunk), state=state)
    return chunk


def stats_of(chunks: list[Chunk]) -> Stats:
    meter = Meter()
    for chunk in chunks:
        meter.push(modelled(chunk))
    return Stats.of("x", "open", "locked", meter.flow(), Log(10**9, 10**6, "x"))


def test_counts_and_rate() -> None:
    gap = Gap(100 * MS, 150 * MS, 50, "dropped")
    flow = stats_of([ramp(0, 100), ramp(150, 100, gap)]).flow
    assert (flow.chunks, flow.samples, flow.lost, flow.gaps) == (2, 200, 50, 1)
    assert (flow.nominal, flow.rate, flow.ppm) == (1000.0, None, None)  # too soon to say


def test_the_rate_of_events_is_known_at_once() -> None:
    info = StreamInfo("keys", dtype=np.dtype(np.int64))
    flow = stats_of([Chunk.stamped(np.arange(10), range(1, 11), info, start=0, end=10**9)]).flow
    assert (flow.nominal, flow.rate, flow.ppm) == (None, 10.0, None)


POLLED = StreamInfo("polled", dtype=np.dtype(np.int64))


def given(info: StreamInfo, readings: list[Reading], timestamps: Timestamps = "corrected") -> Stats:
    """Return the statistics of a device that has given readings, with their own arrivals."""
    source = Manual(info)
    with Device(source, timestamps=timestamps) as device:
        for reading in readings:
            source.emit(reading)
        return device.stats()


def every_100_ms(n: int = 1, **evidence: int) -> list[Reading]:
    """Return 11 readings of ``n`` samples in a second."""
    first = now_ns()
    return [Reading(np.arange(n), arrival=first + 100 * MS * k, **evidence) for k in range(11)]


@pytest.mark.parametrize(("n", "rate"), [(1, 10.0), (3, 30.0)])
def test_as_many_events_as_distances_make_the_rate(n: int, rate: float) -> None:
    readings = every_100_ms(n)
    assert given(POLLED, readings[:1]).flow.rate is None
    assert given(POLLED, readings).flow.rate == pytest.approx(rate, rel=1e-6)


def test_the_first_event_after_a_gap_ends_no_distance() -> None:
    readings = every_100_ms()
    readings[5] = replace(readings[5], lost=1)
    stats = given(POLLED, readings)
    assert (stats.flow.lost, stats.flow.rate) == (1, pytest.approx(10.0, rel=1e-6))


def test_what_was_watched_before_the_first_event_counts() -> None:
    readings = every_100_ms()
    before = Reading(np.arange(0), arrival=(readings[0].arrival or 0) - 900 * MS)
    assert given(POLLED, [before, *readings]).flow.rate == pytest.approx(11 / 1.9, rel=1e-6)


def test_the_first_reading_by_arrival_is_as_long_as_stated() -> None:
    info = replace(POLLED, rate=100.0)
    readings = every_100_ms(9)
    assert given(info, readings[:1], "arrival").flow.rate is None
    assert given(info, readings, "arrival").flow.rate == pytest.approx(90.0, rel=1e-6)


@pytest.mark.parametrize("rate", [None, 10.0])
def test_times_of_arrival_show_no_jitter(rate: float | None) -> None:
    stats = given(replace(POLLED, rate=rate), every_100_ms(), "arrival")
    assert (stats.flow.jitter_p50, stats.flow.jitter_p99, stats.flow.delay) == (None, None, None)
    assert "jitter unknown; no clock model" in str(stats)


def test_bounds_and_stamps_show_delays() -> None:
    readings = every_100_ms()
    for k, reading in enumerate(readings):
        arrival = reading.arrival or 0
        readings[k] = replace(reading, bounds=(arrival - (4 + k % 3) * MS, arrival))
    flow = given(POLLED, readings).flow
    assert (flow.delay, flow.jitter_p50) == (pytest.approx(2e-3), pytest.approx(5e-4, rel=1e-3))
    stamps = [
        replace(reading, device_time=reading.bounds[0]) for reading in readings if reading.bounds
    ]
    flow = given(replace(POLLED, device_clock="host"), stamps).flow
    assert (flow.delay, flow.jitter_p50) == (pytest.approx(4e-3), pytest.approx(1e-3, rel=1e-3))


def test_the_text_says_what_is_known() -> None:
    assert str(Device(Manual(POLLED), name="x").stats()) == (
        "x (closed): 0 samples, 0 lost\n  window 0 of 60 s, 0 MB"
    )
    one = str(given(POLLED, every_100_ms()[:1]))
    assert one.splitlines()[:2] == [
        "polled (open): 1 sample, 0 lost", "  jitter unknown; no clock model",
    ]  # fmt: skip
    assert "  window 0 of 60 s" in one
    assert "11 samples at 10 /s, 0 lost" in str(given(POLLED, every_100_ms()))
    assert "clock warming" in str(given(replace(POLLED, rate=10.0), every_100_ms()))
    unsteady = given(POLLED, every_100_ms())
    assert "jitter unknown; no steady rate, times of arrival" in str(
        replace(unsteady, clock="arrival")
    )


def test_nothing_has_come() -> None:
    stats = stats_of([])
    flow = stats.flow
    assert (flow.samples, flow.rate, flow.ppm, flow.jitter_p99) == (0, None, None, None)
    assert isnan(flow.uncertainty)
    assert "0 samples" in str(stats)


def test_the_first_two_seconds_do_not_count_for_the_rate() -> None:
    wrong = Chunk.regular(np.arange(2000), INFO, start=0, period=1.02e6)  # 2 % too slow
    right = [
        Chunk.regular(np.arange(1000), INFO, start=2040 * MS + k * 1000 * MS, index=2000 + 1000 * k)
        for k in range(3)
    ]
    assert stats_of([wrong, *right]).flow.rate == 1000.0
    assert stats_of([wrong, *right]).flow.samples == 5000


def test_after_a_disconnect_the_rate_settles_anew() -> None:
    first = [ramp(k * 1000, 1000) for k in range(4)]
    gap = Gap(4000 * MS, 5000 * MS, 1000, "disconnect")
    again = Chunk.regular(
        np.arange(2000), INFO, start=5000 * MS, index=5000, gap=gap, period=1.02e6
    )
    last = [ramp(k * 1000, 1000) for k in range(8, 10)]
    flow = stats_of([*first, again, *last]).flow
    assert flow.rate == 1000.0
    assert (flow.samples, flow.lost) == (8000, 1000)


def test_a_slow_subscriber_is_seen_and_named() -> None:
    source, go, seen = Manual(), threading.Event(), threading.Event()

    def wait(_chunk: Chunk) -> None:
        seen.set()
        go.wait(10)

    with Device(source, name="mic", timestamps="arrival") as device:
        slow = device.pipe(ops.on_lag("gap", name="slow")).subscribe(wait)
        fast = device.pipe(ops.latest(name="fast")).subscribe(lambda _: None)
        source.emit(np.arange(100))
        assert seen.wait(10)
        for k in range(1, 6):
            source.emit(Reading(np.arange(100) + 100 * k))
        assert eventually(lambda: device.stats().subscribers[1].behind == 0)
        one, two = device.stats().subscribers
        assert (one.name, one.policy, one.behind, one.delivered) == ("slow", "gap", 5, 1)
        assert one.lag > 0.0
        assert two.lag == 0.0
        assert "slow" in str(device.stats())
        go.set()
        assert eventually(lambda: device.stats().subscribers[0].behind == 0)
        stats = device.stats()
        slow.dispose()
        fast.dispose()
    assert (stats.name, stats.state, stats.flow.chunks, stats.flow.samples) == (
        "mic",
        "open",
        6,
        600,
    )
    assert stats.nbytes >= 6 * 800
    assert stats.held > 0.1
    after = device.stats()
    assert (after.state, after.clock, after.flow.samples, after.subscribers) == (
        "closed", "closed", 600, (),
    )  # fmt: skip


def test_stats_of_a_device_that_was_never_open() -> None:
    stats = Device(Manual()).stats()
    assert (stats.state, stats.flow.samples, stats.held, stats.subscribers) == (
        "closed",
        0,
        0.0,
        (),
    )


def test_a_new_session_counts_anew() -> None:
    device, source = Device(Manual(), timestamps="arrival"), None
    source = device.source
    with device:
        source.emit(np.arange(100))
        assert device.stats().flow.samples == 100
    with device:
        assert device.stats().flow.samples == 0


def test_the_meter_does_not_measure_while_the_clock_model_warms_up() -> None:
    wrong = Chunk.regular(np.arange(2000), INFO, start=0, period=1.02e6)  # 2 % too slow
    right = Chunk.regular(np.arange(2000, 4000), INFO, start=2040 * MS, index=2000)
    flows = run_operator(
        ops.meter(every=1.9), [modelled(wrong, "warming"), modelled(right), ramp(4040, 1000)]
    )
    assert [flow.state for flow in flows] == ["warming", "locked", "raw"]
    assert [flow.ppm for flow in flows] == [None, 0.0, 0.0]
    assert [flow.samples for flow in flows] == [2000, 4000, 5000]


def test_what_went_through_no_clock_model_is_measured_at_once() -> None:
    (flow,) = run_operator(ops.meter(every=10), [ramp(0, 100)])
    assert (flow.rate, flow.state) == (1000.0, "raw")


def test_the_meter_reports_the_state_of_the_clock_model() -> None:
    simulated = Simulated(rate=1000.0, delay=Delay(0.001, 0.0002))
    source, states = Manual(simulated.info), list[str]()
    with Device(source) as device:
        device.pipe(ops.meter(every=0.5)).subscribe(
            lambda flow: states.append(flow.state), scheduler=ImmediateScheduler()
        )
        for reading in simulated.readings(20, start=10**18):
            source.emit(reading)
        assert device.stats().clock == states[-1] == "locked"
    assert states[0] == "warming"


def test_ppm_of_a_device_that_is_too_fast() -> None:
    simulated = Simulated(rate=1000.0, ppm=20_000.0, delay=Delay(0.001, 0.0002))
    source = Manual(simulated.info)
    with Device(source) as device:
        for reading in simulated.readings(600, start=10**18):
            source.emit(reading)
        flow = device.stats().flow
    assert flow.ppm is not None
    assert abs(flow.ppm - 20_000) < 8000
    assert flow.jitter_p50 is not None


# -- silence --------------------------------------------------------------------------------------


class HandClock(HostClock):
    """A clock that the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 10**18

    def now(self) -> int:
        return self.time


EVENTS = StreamInfo("events", dtype=np.dtype(np.int64), device_clock="host")


def play(source: Manual, clock: HandClock, pauses: list[int]) -> None:
    """Let a sample come after each pause [ms]."""
    for pause in pauses:
        clock.time += pause * MS
        source.emit(Reading(np.arange(1), device_time=clock.time))


@pytest.mark.parametrize(
    ("info", "pauses", "idle", "silent"),
    [
        (INFO, [], 1900, None),  # it may take a while to begin
        (INFO, [], 6000, 6.0),
        (INFO, [1000] * 5, 9900, None),  # it sends once in a second
        (INFO, [1000] * 5, 10_100, 10.1),
        (INFO, [10] * 5, 6000, 6.0),
        (EVENTS, [], 60_000, None),  # nobody has pressed a key
        (EVENTS, [100, 300, 3000, 100] * 5, 60_000, None),
        (EVENTS, [100, 110] * 10, 6000, 6.0),  # asked on a schedule
    ],
)
def test_unusual_silence_is_told(
    info: StreamInfo, pauses: list[int], idle: int, silent: float | None
) -> None:
    clock, source = HandClock(), Manual(info)
    with Device(source, clock=clock) as device:
        play(source, clock, pauses)
        assert device.stats().silent is None
        clock.time += idle * MS
        stats = device.stats()
        assert stats.silent == (None if silent is None else pytest.approx(silent))
        told = "" if silent is None else f", silent for {silent:.0f} s"
        assert f"{info.name} (open{told}): " in str(stats)
        play(source, clock, [0])
        assert device.stats().silent is None


def test_silence_ends_with_a_loss_and_begins_with_the_return() -> None:
    clock, source = HandClock(), Manual()
    with Device(source, clock=clock, reconnect=0.001) as device:
        clock.time += 6000 * MS
        source.fail(DeviceLostError("gone"))
        assert eventually(lambda: device.state == "open" and source.opened == 2)
        assert device.stats().silent is None
        clock.time += 6000 * MS
        assert device.stats().silent == pytest.approx(6.0)
    assert device.stats().silent is None


def test_a_file_that_waits_for_its_reader_is_not_silent() -> None:
    clock = HandClock()
    with Device(Manual(live=False), clock=clock) as device:
        clock.time += 60_000 * MS
        assert device.stats().silent is None
