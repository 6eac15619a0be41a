"""True time from end to end: a device with a wrong clock, through Device, against the truth."""

from typing import Any

import numpy as np
import pytest
from fakes import MS, Manual, eventually
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, DeviceCounter, Reading, StreamInfo, concat
from rxstream.acquisition.faults import Fault
from rxstream.data.clock import HostClock
from rxstream.devices import Simulated
from rxstream.devices.simulated import Delay, Drops, Stalls
from rxstream.errors import DeviceLostError
from rxstream.timing import ClockEvent

pytestmark = pytest.mark.real

START = 10**18


class Replayed(Manual):
    """Readings of a simulated device in virtual time, pushed by the test."""

    def __init__(self, device: Simulated) -> None:
        super().__init__(device.info)
        self.device = device

    def play(self, seconds: float, start: int = START) -> None:
        for reading in self.device.readings(seconds, start=start):
            self.emit(reading)


def collect(device: Device) -> list[Chunk[Any]]:
    got: list[Chunk[Any]] = []
    device.subscribe(got.append, scheduler=ImmediateScheduler())
    return got


def simulated(**options: Any) -> Simulated:
    base: dict[str, Any] = {
        "rate": 48_000.0, "signal": "ramp", "dtype": np.int64, "ppm": 80.0,
        "delay": Delay(0.0013, 0.0005), "stalls": Stalls(10.0, 0.03),
    }  # fmt: skip
    return Simulated(**base | options)


def errors(chunks: list[Chunk[Any]], source: Simulated) -> np.ndarray[Any, Any]:
    """Return the errors [ns] of the last sample of each chunk."""
    index = np.array([int(c.data[-1]) for c in chunks])
    times = np.array([c.axis.at(len(c) - 1) for c in chunks])
    return times - source.truth.time(index)


def test_a_clock_that_is_80_ppm_off_is_followed_to_microseconds() -> None:
    source = simulated()
    player = Replayed(source)
    with Device(player, path_delay=0.0013) as device:
        got = collect(device)
        player.play(120)
    error = np.abs(errors(got[500:], source))
    assert np.percentile(error, 95) < 10_000  # [ns]; arrivals are off by 1 to 30 ms
    naive = [
        abs((c.arrival or 0) - 1_300_000 - int(source.truth.time([c.data[-1]])[0]))
        for c in got[500:]
    ]
    assert np.percentile(naive, 95) > 50 * np.percentile(error, 95)
    assert sum(c.lost for c in got) == 0
    inside = error <= np.array([c.uncertainty for c in got[500:]])
    assert inside.mean() >= 0.95


def test_losses_are_found_sized_and_told_where_they_were() -> None:
    source = simulated(drops=Drops(every=7.0, least=2, most=6))
    player = Replayed(source)
    faults: list[Fault] = []
    with Device(player, path_delay=0.0013) as device:
        device.faults.subscribe(faults.append)
        got = collect(device)
        player.play(90)
    reported = [gap.lost for c in got for gap in c.gaps]
    true = [lost.samples for lost in source.truth.lost if lost.first > 48_000]
    assert reported[-len(true) :] == true  # one in the first second may be reported before them
    assert len(reported) <= len(true) + 1
    events = [fault for fault in faults if isinstance(fault, ClockEvent) and fault.kind == "gap"]
    assert len(true) <= len(events) <= len(reported)
    # a decision takes some chunks; the event names the times that were wrong, and by how much
    for event in events:
        assert 0 < event.last - event.first <= 2.1 * 48_000
        samples = event.samples or 0
        assert event.correction == pytest.approx(samples / 48_000 * 1e9, rel=0.05)
        assert "ms" in str(event)


def test_counters_make_losses_certain() -> None:
    source = simulated(
        drops=Drops(every=1.0, unit="samples", least=5, most=900), counter=DeviceCounter(16)
    )
    player = Replayed(source)
    with Device(player, path_delay=0.0013) as device:
        got = collect(device)
        player.play(60)
    joined = concat(got)
    assert [gap.lost for gap in joined.gaps] == [
        lost.samples for lost in source.truth.lost if lost.first < joined.data[-1]
    ]
    assert joined.index + len(joined) + joined.lost == joined.data[-1] + 1
    assert np.percentile(np.abs(errors(got[500:], source)), 95) < 20_000


def test_unplugged_and_plugged_in_again() -> None:
    source = simulated(ppm=80.0, unplugs=((20.0, 2.5),))
    player = Replayed(source)
    device = Device(player, reconnect=0.001, path_delay=0.0013)
    with device:
        got = collect(device)
        before = None
        for reading in source.readings(60, start=START):
            arrival = reading.arrival or 0
            if before is not None and arrival - before > 10**9:
                player.opening.clear()
                player.fail(DeviceLostError("unplugged"))
                assert player.opening.wait(10)
            before = arrival
            player.emit(reading)
    gaps = [gap for c in got for gap in c.gaps]
    assert [gap.reason for gap in gaps] == ["disconnect"]
    true = sum(lost.samples for lost in source.truth.lost)
    assert gaps[0].lost == pytest.approx(true, abs=0.05 * 48_000)
    settled = [c for c in got if c.start < START + 19 * 10**9 or c.start > START + 26 * 10**9][500:]
    assert np.percentile(np.abs(errors(settled, source)), 95) < 20_000


class Stepped(HostClock):
    """A host whose wall clock is stepped by NTP, and which sleeps once."""

    def __init__(self) -> None:
        self.mono, self.real = 0, START
        super().__init__(lambda: self.mono, lambda: self.real)

    def go(self, ns: int) -> None:
        self.mono += ns
        self.real += ns


def test_a_late_return_is_in_the_uncertainty_until_times_are_right_again() -> None:
    """The first block after a re-plug comes 60 ms late: times catch up, numbers stay whole."""
    info = StreamInfo("x", 8000.0, (), np.dtype(np.int64), counter=DeviceCounter(32))
    source, taken = Manual(info), list[int]()

    def emit(first: int, late: float) -> None:
        taken.append(START + (first + 79) * 125_000)
        arrival = taken[-1] + round(late * 1e9)
        source.emit(Reading(np.arange(first, first + 80), counter=first + 79, arrival=arrival))

    with Device(source, reconnect=0.001) as device:
        got = collect(device)
        for k in range(200):
            emit(80 * k, k % 7 * 1e-4)
        source.opening.clear()
        source.fail(DeviceLostError("unplugged"))
        assert source.opening.wait(10)
        first = 20_000
        for k in range(60):
            emit(first, max(0, 0.06 - 0.01 * k) + k % 7 * 1e-4)
            first += 80 + 240 * (k in (5, 30))
        assert eventually(lambda: len(got) == 260)
    back = got[200:]
    error = np.array([c.axis.at(79) - t for c, t in zip(back, taken[200:], strict=True)])
    uncertainty = np.array([c.uncertainty for c in back])
    assert error[4] > 15 * MS  # those that waited come at once
    assert (np.abs(error[6:]) <= uncertainty[6:] + 0.1 * MS).all()
    assert np.abs(error[-20:]).max() < 0.1 * MS
    assert uncertainty[-20:].max() < MS
    gaps = [gap for c in back for gap in c.gaps]
    assert [gap.lost for gap in gaps[1:]] == [240, 240]
    assert gaps[1].duration < 10 * MS  # of 30 ms: what came before it lies too late
    whole = concat(got)
    assert (np.diff(whole.time) > 0).all()
    assert len(whole) + sum(gap.lost or 0 for gap in gaps) == back[-1].index + 80


def test_an_ntp_step_does_not_tear_a_stream() -> None:
    clock, source = Stepped(), Manual()
    with Device(source, clock=clock) as device:
        got = collect(device)
        for k in range(1000):
            clock.go(10 * MS)
            if k == 400:
                clock.real += 350 * MS
            if k == 700:
                clock.real -= 80 * MS
            source.emit(np.arange(10 * k, 10 * k + 10))
    joined = concat(got)
    assert joined.gaps == ()
    steps = np.diff(joined.time)
    assert steps.min() > 900_000
    assert steps.max() < 1_100_000


def test_a_host_that_slept_leaves_a_gap_not_a_tear() -> None:
    """The monotonic clock stands still in suspend on Linux; some devices go on meanwhile."""
    clock, source = Stepped(), Manual()
    with Device(source, clock=clock) as device:
        got = collect(device)
        for k in range(1000):
            clock.go(10 * MS)
            if k == 500:
                clock.go(30_000 * MS)  # on a clock that counts suspend, half a minute is missing
            source.emit(np.arange(10 * k, 10 * k + 10))
    joined = concat(got)
    assert (np.diff(joined.time) > 0).all()
    assert len(joined.gaps) == 1
    assert joined.gaps[0].duration == pytest.approx(30.0, abs=0.05)
    assert len(joined) == 10_000


def test_a_clock_that_slept_with_the_device_notices_nothing() -> None:
    clock, source = Stepped(), Manual()
    with Device(source, clock=clock) as device:
        got = collect(device)
        for k in range(1000):
            clock.go(10 * MS)
            if k == 500:
                clock.real += 30_000 * MS  # the wall clock went on, ours and the device did not
            source.emit(np.arange(10 * k, 10 * k + 10))
    assert concat(got).gaps == ()


def test_evidence_stays_with_the_samples() -> None:
    source = Manual()
    with Device(source) as device:
        got = collect(device)
        for k in range(5):
            data = np.arange(10 * k, 10 * k + 10)
            source.emit(
                Reading(data, arrival=START + k * 10 * MS, bounds=(START, START + k * 10 * MS))
            )
    evidence = concat(got)[15:35].evidence
    assert [item.arrival for item in evidence] == [START + k * 10 * MS for k in (1, 2, 3)]
    assert all(item.samples == 10 for item in evidence)


@pytest.mark.parametrize("block", [1, 16])
def test_events_with_a_clock_of_their_own_are_followed(block: int) -> None:
    """Each event's stamp is mapped by the line; arrivals are late by up to 30 ms."""
    source = Simulated(
        rate=100.0, irregular=True, stamps="own", ppm=80.0, signal="ramp", dtype=np.int64,
        delay=Delay(0.0013, 0.0005), stalls=Stalls(5.0, 0.03), blocksize=block,
    )  # fmt: skip
    player = Replayed(source)
    with Device(player, path_delay=0.0013) as device:
        got = collect(device)
        player.play(120)
        state = device.stats().clock
    settled = concat([c for c in got if c.start > START + 5 * 10**9])
    error = np.abs(settled.time - source.truth.time(settled.data))
    assert np.percentile(error, 95) < 200_000  # [ns]
    assert state == "locked"
    late = [c for c in got[-len(got) // 2 :] if len(c)]
    assert np.mean([
        abs(c.axis.at(len(c) - 1) - source.truth.time(c.data[-1:])[0]) <= c.uncertainty
        for c in late
    ]) > 0.9  # fmt: skip
    whole = concat(got)
    assert (np.diff(whole.time) > 0).all()


def test_events_with_a_timer_are_followed() -> None:
    """A 32-bit counter of microseconds, as CAN adapters have, that wraps."""
    rng = np.random.default_rng(3)
    info = StreamInfo("can", None, (), np.int64, counter=DeviceCounter(32, 1e6, "ticks"))
    taken = START + np.cumsum(rng.exponential(5e6, 20_000)).astype(np.int64)
    source = Manual(info)
    with Device(source, path_delay=0.001) as device:
        got = collect(device)
        for k, t in enumerate(taken):
            ticks = (4_290_000_000 + round((t - START) * (1 - 50e-6) / 1000)) % (1 << 32)
            arrival = int(t + 1_000_000 + rng.gamma(1.0, 500_000.0))
            source.emit(Reading(np.array([k]), counter=ticks, arrival=arrival))
    error = np.abs(concat(got[2000:]).time - taken[2000:])
    assert np.percentile(error, 95) < 60_000  # [ns]; arrivals are off by 0.5 ms and more


def test_numbers_of_events_are_no_clock() -> None:
    info = StreamInfo("can", None, (), np.int64, counter=DeviceCounter(8))
    source = Manual(info)
    with Device(source) as device:
        got = collect(device)
        for k in (0, 1, 4):
            source.emit(Reading(np.array([k]), counter=k, arrival=START + k * MS))
    assert [int(c.time[0]) for c in got] == [START, START + MS, START + 4 * MS]
    assert got[2].lost == 2
    assert device.stats().flow.lost == 2
