"""Opening, closing, ending: a device, its threads and its process when these overlap."""

import gc
import itertools
import logging
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, Manual, eventually
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, Reading, StreamInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceLostError, EndOfStream, OverrunError, RxStreamError

pytestmark = pytest.mark.real

here = ImmediateScheduler()


class File(Manual):
    """Reads 10 samples at a time, quickly; more than a window before `open` is back."""

    def __init__(self, readings: int) -> None:
        super().__init__(live=False)
        self.readings, self.read = readings, 0

    def open(self, emit: Emit, fail: Fail) -> Close:
        numbers = itertools.count()
        first, tick = threading.Event(), threading.Event()

        def read() -> Any:
            k = next(numbers)
            if k == self.readings:
                raise EndOfStream
            if k == 30:
                first.set()
            self.read = k + 1
            tick.wait(0.0001)
            return Reading(np.arange(10 * k, 10 * k + 10), arrival=10**18 + 10 * k * MS)

        close = poll(read, emit, fail, name="file")
        assert first.wait(10)
        return close


def test_a_quick_file_is_held_by_its_slowest_reader_from_the_start() -> None:
    """It was read into memory as long as `open` was catching up with it."""
    source, tick = File(1000), threading.Event()
    seen: list[tuple[int, int]] = []

    def take(chunk: Chunk[Any]) -> None:
        tick.wait(0.001)
        seen.append((chunk.index // 10, source.read))

    device = Device(source, history=0.1)
    device.subscribe(take)
    with device:
        assert device.wait(20)
    assert [k for k, _ in seen] == list(range(1000))
    assert max(read - k for k, read in seen) < 300  # the window, a batch, and what came early


def test_who_takes_what_came_before_open_was_back_may_use_the_device() -> None:
    source = File(50)
    device = Device(source, history=0.02)
    late: list[Any] = []

    def take(_chunk: Chunk[Any]) -> None:
        if not late:
            late.append(device.subscribe(lambda _: None))

    device.subscribe(take)
    thread = threading.Thread(target=device.open, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert late
    device.close()


def test_the_past_is_delivered_without_holding_the_device() -> None:
    source, others = Manual(), list[Any]()
    with Device(source) as device:
        source.emit(np.arange(10))

        def take(_chunk: Chunk[Any]) -> None:
            other = threading.Thread(target=lambda: others.append(device.reader()), daemon=True)
            other.start()
            other.join(10)

        device.rewind(1).subscribe(take, scheduler=here)
        assert len(others) == 1


def test_what_comes_before_open_is_back_is_copied_whole() -> None:
    info = StreamInfo("keys", dtype=np.dtype(np.int64), device_clock="host")

    class Hasty(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            stamps = np.array([10**18], np.int64)
            for k in range(3):
                emit(Reading(np.array([k]), device_time=stamps, arrival=10**18 + 50))
                stamps += 10
            return super().open(emit, fail)

    device = Device(Hasty(info))
    got: list[Chunk[Any]] = []
    device.subscribe(got.append, scheduler=here)
    with device:
        pass
    assert [int(c.time[0]) - 10**18 for c in got] == [0, 10, 20]
    stamps = [c.evidence[0].device_time for c in got]
    assert [int(s[0]) - 10**18 for s in stamps if isinstance(s, np.ndarray)] == [0, 10, 20]


def test_evidence_does_not_change_with_the_drivers_buffer() -> None:
    source = Manual(StreamInfo("keys", dtype=np.dtype(np.int64), device_clock="host"))
    got: list[Chunk[Any]] = []
    with Device(source) as device:
        device.subscribe(got.append, scheduler=here)
        stamps = np.array([10**18], np.int64)
        source.emit(Reading(np.array([1]), device_time=stamps))
        stamps += 10
    kept = got[0].evidence[0].device_time
    assert isinstance(kept, np.ndarray)
    assert kept.tolist() == [10**18]


def test_opening_waits_until_it_is_closed() -> None:
    """Two openings of one device at a time would be `DeviceBusyError`, or worse."""
    closing, go_on = threading.Event(), threading.Event()
    events: list[str] = []

    class Slow(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            events.append("open")

            def close() -> None:
                closing.set()
                go_on.wait(10)
                events.append("closed")

            return close

    device = Device(Slow()).open()
    closer = threading.Thread(target=device.close)
    closer.start()
    assert closing.wait(10)
    opener = threading.Thread(target=device.open)
    opener.start()
    opener.join(0.05)
    go_on.set()
    opener.join(10)
    closer.join(10)
    assert events == ["open", "closed", "open"]
    assert device.state == "open"
    device.close()


def test_every_subscriber_of_faults_is_told(caplog: pytest.LogCaptureFixture) -> None:
    source, faults = Manual(), list[RxStreamError]()
    with Device(source) as device, caplog.at_level(logging.ERROR):
        device.faults.subscribe(lambda _: 1 / 0)
        device.faults.subscribe(faults.append)
        source.fail(OverrunError("lost some"))
    assert [str(fault) for fault in faults] == ["lost some"]
    assert "ZeroDivisionError" in caplog.text


def test_a_closed_device_is_collected_with_its_subscribers() -> None:
    source = Manual()
    device = Device(source, reconnect=True)
    for scheduler in (None, here):
        device.pipe().subscribe(lambda _, d=device: None, scheduler=scheduler)  # type: ignore[misc]
        device.rewind(1).subscribe(lambda _: None, scheduler=scheduler)
    device.faults.subscribe(print)
    reader = device.reader()
    with device:
        source.emit(np.arange(10))
        device.subscribe(lambda _: None)
        device.last(1)
    chunk = device.last(1)
    gone = weakref.ref(device)
    source.emit = source.fail = lambda _: None
    del device, reader
    assert eventually(lambda: (gc.collect(), gone())[1] is None)
    assert len(chunk) == 10  # a view stays


def test_closing_while_it_reconnects_ends_open_and_closed() -> None:
    """A try to open that is under way when `close` comes is closed too."""
    trying, go_on = threading.Event(), threading.Event()

    class SlowToReopen(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            close = super().open(emit, fail)
            if self.opened == 2:
                trying.set()
                go_on.wait(10)
            return close

    source = SlowToReopen(INFO)
    device = Device(source, reconnect=0.001).open()
    source.fail(DeviceLostError("unplugged"))
    assert trying.wait(10)
    closer = threading.Thread(target=device.close)
    closer.start()
    closer.join(0.05)
    go_on.set()
    closer.join(10)
    assert (source.opened, source.closed) == (2, 2)
    assert device.state == "closed"
