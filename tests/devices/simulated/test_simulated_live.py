"""Simulated in real time: its thread, its plug, its end; and in a Device."""

import dataclasses
import queue
import threading

import numpy as np
import pytest
from simulated_ramp import ramp, samples

from rxstream import Device, DeviceCounter, Reading
from rxstream.data.clock import host_clock
from rxstream.devices.simulated import Delay, Drops, Simulated
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    OverrunError,
)

pytestmark = pytest.mark.real

WAIT = 20.0  # [s]; far more than any of these needs


class Sink:
    """Takes what a source says, and when."""

    def __init__(self) -> None:
        self.readings: queue.Queue[tuple[int, Reading]] = queue.Queue()
        self.errors: queue.Queue[Exception] = queue.Queue()

    def emit(self, reading: Reading) -> None:
        self.readings.put((host_clock.now(), reading))

    def take(self, count: int) -> list[tuple[int, Reading]]:
        return [self.readings.get(timeout=WAIT) for _ in range(count)]

    def error(self) -> Exception:
        return self.errors.get(timeout=WAIT)

    def open(self, sim: Simulated):
        return sim.open(self.emit, self.errors.put)


def threads_of(name: str) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == f"rxstream-{name}"]


# -- live -------------------------------------------------------------------------------------


def test_live_and_virtual_give_the_same_readings():
    sim = ramp(2000.0, drops=Drops(0.05), counter=DeviceCounter(16), stamps="own", seed=1)
    sink = Sink()
    close = sink.open(sim)
    got = sink.take(20)
    live = sim.truth
    close()
    for (_, a), b in zip(got, sim.readings(), strict=False):
        np.testing.assert_array_equal(a.data, b.data)
        assert (a.counter, a.device_time, a.lost, a.arrival) == (
            b.counter, b.device_time, b.lost, None,
        )  # fmt: skip
    virtual = sim.truth.lost
    assert virtual
    assert live.lost[: len(virtual)] == virtual


def test_live_readings_come_no_earlier_than_they_can():
    sim, sink = ramp(delay=Delay(0.03, 0.001)), Sink()
    before = host_clock.now()
    close = sink.open(sim)
    got = sink.take(20)
    close()
    assert before <= sim.truth.start <= host_clock.now()
    late = [at - sim.truth.time(reading.data[-1])[0] for at, reading in got]
    assert min(late) >= 30e6


def test_closing_stops_it_at_once_and_twice():
    sim, sink = ramp(0.01, name="slow-device", blocksize=1), Sink()
    close = sink.open(sim)
    sink.take(1)
    before = host_clock.now()
    close()
    assert host_clock.now() - before < 50e9  # the next sample would come after 100 s
    close()
    assert not threads_of("slow-device")
    assert sink.errors.empty()


def test_closing_from_its_own_thread():
    sim, closed = ramp(name="self-closer"), threading.Event()
    opened, closes = threading.Event(), []

    def emit(_reading: Reading) -> None:
        opened.wait(WAIT)
        closes[0]()
        closed.set()

    closes.append(sim.open(emit, pytest.fail))
    opened.set()
    assert closed.wait(WAIT)
    closes[0]()
    assert not threads_of("self-closer")


def test_reopened_after_a_close_it_begins_anew():
    sim, sink = ramp(), Sink()
    for _ in range(2):
        close = sink.open(sim)
        (_, reading), _ = sink.take(2)
        close()
        assert reading.data[0] == 0
        sink.readings.queue.clear()


def test_only_one_can_open_it():
    sim, sink = ramp(), Sink()
    close = sink.open(sim)
    with pytest.raises(DeviceBusyError, match="simulated is open already"):
        sink.open(sim)
    close()
    sink.open(sim)()


def test_it_ends_after_its_duration_with_every_sample():
    """The last block is a short one, and comes later than the end of the stream."""
    sim, sink = ramp(duration=0.105, delay=Delay(0.02, 0.0)), Sink()
    close = sink.open(sim)
    assert isinstance(sink.error(), EndOfStream)
    close()
    live = samples([reading for _, reading in sink.readings.queue])
    np.testing.assert_array_equal(live, np.arange(105))
    np.testing.assert_array_equal(samples(list(sim.readings())), np.arange(105))


def test_unplugged_by_its_schedule():
    sim, sink = ramp(unplugs=((0.05, 0.4),)), Sink()
    close = sink.open(sim)
    assert isinstance(sink.error(), DeviceLostError)
    assert host_clock.now() - sim.truth.start >= 50_000_000
    with pytest.raises(DeviceNotFoundError, match="unplugged"):
        sink.open(sim)
    close()
    before = sink.readings.queue[-1][1].data[-1] if sink.readings.queue else -1
    sink.readings.queue.clear()
    back = threading.Event()
    while True:
        try:
            close = sink.open(sim)
            break
        except DeviceNotFoundError:
            back.wait(0.05)
    opened = host_clock.now() - sim.truth.start
    assert opened >= 450_000_000
    ((_, reading),) = sink.take(1)
    close()
    first = int(reading.data[0])
    assert 450 <= first <= opened / 1e6 + 1
    assert sim.truth.lost == [(before + 1, first - before - 1)]
    assert sink.errors.empty()


def test_unplugged_by_hand():
    sim, sink = ramp(name="pulled"), Sink()
    close = sink.open(sim)
    sink.take(2)
    sim.unplug()
    assert isinstance(sink.error(), DeviceLostError)
    close()
    assert not threads_of("pulled")
    with pytest.raises(DeviceNotFoundError, match=r"replug\(\)"):
        sink.open(sim)
    sim.replug()
    sink.readings.queue.clear()
    close = sink.open(sim)
    ((_, reading),) = sink.take(1)
    close()
    assert reading.data[0] > 20
    assert reading.data[0] == sum(sim.truth.lost[-1])
    assert sim.truth.lost[0].first >= 20


def test_a_quick_pull_is_noticed():
    sim, sink = ramp(duration=30.0), Sink()
    close = sink.open(sim)
    sim.unplug()
    sim.replug()
    assert isinstance(sink.error(), DeviceLostError)
    close()


def test_a_signal_that_raises_is_reported():
    def signal(index):
        if index[-1] > 100:
            raise ZeroDivisionError
        return index

    sim, sink = Simulated(rate=1000, signal=signal, dtype=np.int64), Sink()
    close = sink.open(sim)
    assert isinstance(sink.error(), ZeroDivisionError)
    close()
    sink.open(dataclasses.replace(sim, signal="ramp"))()


def test_copies_have_a_plug_of_their_own():
    sim, sink = ramp(), Sink()
    close = sink.open(sim)
    sink.open(dataclasses.replace(sim, seed=1))()
    close()
    assert sim == ramp()


# -- in a Device ------------------------------------------------------------------------------


def test_a_device_gets_every_sample_with_nearly_true_times():
    sim = ramp(ppm=50.0, delay=Delay(0.002, 0.001))
    device = Device(sim, path_delay=0.002)
    # a reader that is made later may miss the first
    with device.reader() as reader, device:
        chunk = reader.read(500, timeout=WAIT)
    np.testing.assert_array_equal(chunk.data, np.arange(500))
    true = sim.truth.time(chunk.data)
    arrivals = np.repeat(*np.transpose([(item.arrival, item.samples) for item in chunk.evidence]))
    assert np.median(np.abs(chunk.time - true)) < np.median(arrivals[:500] - true)


def test_a_device_reports_losses():
    sim, faults = ramp(drops=Drops(0.05, reported=True), counter=DeviceCounter(32), seed=3), []
    device = Device(sim)
    device.faults.subscribe(faults.append)
    with device.reader() as reader, device:
        chunk = reader.read(300, timeout=WAIT)
    assert any(isinstance(fault, OverrunError) for fault in faults)
    assert chunk.lost >= 10
    assert [gap.lost for gap in chunk.gaps] == [n for _, n in sim.truth.lost][: len(chunk.gaps)]


def test_a_device_reconnects():
    sim = ramp(unplugs=((0.2, 0.3),))
    device = Device(sim, reconnect=0.05)
    with device.reader() as reader, device:
        chunk = reader.read(600, timeout=WAIT)
    (gap,) = [gap for gap in chunk.gaps if gap.reason == "disconnect"]
    ((first, count),) = sim.truth.lost
    assert first <= 200
    assert gap.duration > 0.25
    assert gap.lost == pytest.approx(count, abs=150)  # a loaded machine is late
