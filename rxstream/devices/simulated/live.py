"""A simulated device in real time: its thread, its plug, and what happens when it is pulled."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rxstream.acquisition.device import Close, Emit, Fail
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
    """A reading and when it gets to the host."""

    at: int
    """Offset from sample 0 [ns]."""
    first: int
    """Number of its first sample."""
    reading: Reading


@dataclass(frozen=True)
class Schedule:
    """What a twin does, as its plug needs to know it.

    Attributes
    ----------
    name
        Of the twin.
    unplugs
        From ... to, offsets [ns], in order.
    end
        Offset [ns] at which the stream is over, or None.
    arrivals
        ``arrivals(first, opened, start)``: what arrives from sample ``first`` on of a device that
        was opened at the offset ``opened`` [ns]; sample 0 is at host time ``start`` [ns].
    """

    name: str
    unplugs: tuple[tuple[int, int], ...]
    end: int | None
    arrivals: Callable[[int, int, int], Iterator[Arrival]]

    def is_out(self, offset: int) -> bool:
        """Return whether it is unplugged at an offset [ns]."""
        return any(start <= offset < end for start, end in self.unplugs)

    def next_cut(self, offset: int) -> tuple[int | None, bool]:
        """Return when the stream after an offset [ns] stops, and whether that is its end."""
        cut = next((start for start, _ in self.unplugs if start > offset), None)
        if self.end is not None and (cut is None or self.end <= cut):
            return self.end, True
        return cut, False


class PlugState:
    """The one thing about a twin that changes: open or not, plugged in or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: _Run | None = None  # while it is open
        self._plugged, self._lost = True, False
        self._world: Truth | None = None
        self.truth: Truth | None = None

    def pull(self) -> None:
        """Unplug."""
        with self._lock:
            self._plugged = False
            if self._run is not None:
                self._run.stop(pulled=True)

    def push(self) -> None:
        """PlugState in again."""
        with self._lock:
            self._plugged = True

    def open(
        self, script: Schedule, make_truth: Callable[[int], Truth], emit: Emit, fail: Fail
    ) -> Close:
        """Start the thread; see `Source.open`."""
        with self._lock:
            if self._run is not None:
                msg = f"{script.name} is open already; close it first, or make another one"
                raise DeviceBusyError(msg)
            now = host_clock.now()
            world = self._world if self._lost else None
            if not self._plugged:
                msg = f"{script.name} is unplugged; replug() it first"
                raise DeviceNotFoundError(msg)
            if world is not None and script.is_out(now - world.start):
                msg = f"{script.name} is unplugged; by its schedule it comes back later"
                raise DeviceNotFoundError(msg)
            first = world.find(now) if world is not None else 0
            self._world = self.truth = world or make_truth(now)
            self._lost = False
            run = self._run = _Run(self, script, self._world, first, now, emit, fail)
        run.thread.start()
        return run.close

    def left(self, *, lost: bool) -> None:
        """Take note that the thread ends."""
        with self._lock:
            self._run, self._lost = None, lost


class _Run:
    """What the thread does, from one opening to its end."""

    def __init__(
        self,
        plug: PlugState,
        script: Schedule,
        world: Truth,
        first: int,
        now: int,
        emit: Emit,
        fail: Fail,
    ) -> None:
        self._plug, self._script, self._world = plug, script, world
        self._first, self._opened = first, now - world.start
        self._emit, self._fail = emit, fail
        self._wake = threading.Event()
        self._closed = self._pulled = False
        self.thread = threading.Thread(target=self._go, name=f"rxstream-{script.name}", daemon=True)

    def stop(self, *, pulled: bool) -> None:
        """Let the thread end: the plug was pulled, or somebody closes."""
        if pulled:
            self._pulled = True
        else:
            self._closed = True
        self._wake.set()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.stop(pulled=False)
        if self.thread is not threading.current_thread():
            self.thread.join()

    def _go(self) -> None:
        error: Exception | None = None
        try:
            error = self._play()
        except Exception as raised:  # noqa: BLE001 - a signal function may raise anything
            error = raised
        self._plug.left(lost=isinstance(error, DeviceLostError))
        if error is not None and not self._closed:
            self._fail(error)

    def _play(self) -> Exception | None:
        name, world = self._script.name, self._world
        cut, is_end = self._script.next_cut(self._opened)
        for at, first, reading in self._script.arrivals(self._first, self._opened, world.start):
            if (cut is not None and at >= cut) or not self._wait(at):
                break
            world.note(first, len(reading.data))
            if reading.lost:
                self._fail(OverrunError(f"{name}: {reading.lost} samples were lost"))
            self._emit(reading)
        if cut is not None:
            self._wait(cut)
        if self._closed:
            return None
        if is_end and not self._pulled:
            return EndOfStream(f"{name} is over")
        return DeviceLostError(f"{name} was unplugged")

    def _wait(self, offset: int) -> bool:
        """Wait until an offset [ns]; return False if somebody closes or pulls the plug."""
        left = self._world.start + offset - host_clock.now()
        if left > 0:
            self._wake.wait(left / 1e9)
        return not self._wake.is_set()
