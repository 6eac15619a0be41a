"""A simulated device in real time: its thread and its plug."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import host_clock
from rxstream.data.stream_info import Reading
from rxstream.devices.simulated.delivery import Truth
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    OverrunError,
)

__all__ = ["Arrival", "PlugState", "Schedule"]


class Arrival(NamedTuple):
    """A reading and the time at which it arrives."""

    at: int
    """Offset from sample 0 [ns]."""
    first: int
    """Number of its first sample."""
    reading: Reading


@dataclass(frozen=True)
class Schedule:
    """Course of a simulated device; offsets count from sample 0.

    Attributes
    ----------
    name
        Name of the device.
    unplugs
        Intervals without the plug, offsets [ns], in order.
    end
        Offset of the end of the stream [ns], or None.
    arrivals
        ``arrivals(first, opened, start)``: the readings from sample ``first`` on of a device that
        was opened at the offset ``opened`` [ns]; sample 0 is at host time ``start`` [ns]. They
        hold all samples up to the end, and may arrive after it.
    """

    name: str
    unplugs: tuple[tuple[int, int], ...]
    end: int | None
    arrivals: Callable[[int, int, int], Iterator[Arrival]]

    def is_out(self, offset: int) -> bool:
        """Whether it is unplugged at an offset [ns]."""
        return any(start <= offset < end for start, end in self.unplugs)

    def next_unplug(self, offset: int) -> int | None:
        """Return when the plug is pulled after an offset [ns]; None if the stream ends before."""
        at = next((start for start, _ in self.unplugs if start > offset), None)
        return None if at is None or (self.end is not None and self.end <= at) else at


class PlugState:
    """The mutable state of a simulated device: open or closed, plugged in or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # while it is open
        self._playback: _Playback | None = None
        self._plugged, self._lost = True, False
        # of the last opening; `truth` may be that of virtual time
        self._opened: Truth | None = None
        self.truth: Truth | None = None

    def __reduce__(self) -> tuple[type["PlugState"], tuple[()]]:
        # a copy is a device of its own: closed, and plugged in
        return PlugState, ()

    def pull(self) -> None:
        """Unplug."""
        with self._lock:
            self._plugged = False
            if self._playback is not None:
                self._playback.stop(pulled=True)

    def push(self) -> None:
        """Plug in again."""
        with self._lock:
            self._plugged = True

    def open(
        self, schedule: Schedule, make_truth: Callable[[int], Truth], emit: Emit, fail: Fail
    ) -> Close:
        """Start the thread; see `Source.open`."""
        with self._lock:
            if self._playback is not None:
                msg = f"{schedule.name} is open already; close it first, or make another one"
                raise DeviceBusyError(msg)
            now = host_clock.now()
            # only after an unplug the samples go on; after a plain close they begin anew
            truth = self._opened if self._lost else None
            if not self._plugged:
                msg = f"{schedule.name} is unplugged; replug() it first"
                raise DeviceNotFoundError(msg)
            if truth is not None and schedule.is_out(now - truth.start):
                msg = f"{schedule.name} is unplugged; by its schedule it comes back later"
                raise DeviceNotFoundError(msg)
            first = truth.find(now) if truth is not None else 0
            truth = self._opened = self.truth = truth or make_truth(now)
            self._lost = False
            playback = self._playback = _Playback(self, schedule, truth, first, now, emit, fail)
        playback.thread.start()
        return playback.close

    def note_end(self, *, lost: bool) -> None:
        """Take note that the thread has ended."""
        with self._lock:
            self._playback, self._lost = None, lost


class _Playback:
    """The thread of one opening."""

    def __init__(
        self,
        plug: PlugState,
        schedule: Schedule,
        truth: Truth,
        first: int,
        now: int,
        emit: Emit,
        fail: Fail,
    ) -> None:
        self._plug, self._schedule, self._truth = plug, schedule, truth
        self._first, self._opened = first, now - truth.start
        self._emit, self._fail = emit, fail
        self._wake = threading.Event()
        self._closed = self._pulled = False
        self.thread = threading.Thread(
            target=self._work, name=f"rxstream-{schedule.name}", daemon=True
        )

    def stop(self, *, pulled: bool) -> None:
        """End the thread: the plug was pulled, or the device is closed."""
        if pulled:
            self._pulled = True
        else:
            self._closed = True
        self._wake.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self.stop(pulled=False)
        if self.thread is not threading.current_thread():
            self.thread.join()

    def _work(self) -> None:
        error: Exception | None = None
        try:
            error = self._play()
        except Exception as raised:  # noqa: BLE001 - a signal function may raise anything
            error = raised
        self._plug.note_end(lost=isinstance(error, DeviceLostError))
        if error is not None and not self._closed:
            self._fail(error)

    def _play(self) -> Exception | None:
        name, truth = self._schedule.name, self._truth
        unplug = self._schedule.next_unplug(self._opened)
        for at, first, reading in self._schedule.arrivals(self._first, self._opened, truth.start):
            if (unplug is not None and at >= unplug) or not self._wait(at):
                break
            truth.note(first, len(reading.data))
            if reading.lost:
                self._fail(OverrunError(f"{name}: {reading.lost} samples were lost"))
            self._emit(reading)
        over = self._schedule.end if unplug is None else unplug
        if over is not None:
            self._wait(over)
        if self._closed:
            return None
        if unplug is None and not self._pulled:
            return EndOfStream(f"{name} is over")
        return DeviceLostError(f"{name} was unplugged")

    def _wait(self, offset: int) -> bool:
        """Wait until an offset [ns]; return False if the device is closed or unplugged."""
        left = self._truth.start + offset - host_clock.now()
        if left > 0:
            self._wake.wait(left / 1e9)
        return not self._wake.is_set()
