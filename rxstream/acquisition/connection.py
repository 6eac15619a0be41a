"""One opening of a device: from the driver's thread into the window, with its faults survived."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.faults import Fault, Faults
from rxstream.acquisition.source import Close, Source
from rxstream.acquisition.stamper import Stamper, Timestamps, clock_settings
from rxstream.data.clock import HostClock
from rxstream.data.flow import Meter
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceError,
    DeviceLostError,
    EndOfStream,
    OverrunError,
    RxStreamError,
)
from rxstream.window.subject import TimeWindowSubject

__all__ = ["Connection", "named"]

# Slabs in a window: so little of it is held beyond the history. Of the bytes allowed a slab takes
# a 32nd at most, as one is filled while the oldest is not free yet.
_SLABS = 64
_BYTES_PER_SLAB = 32


def named(info: StreamInfo, name: str) -> StreamInfo:
    """Return a description under the name of the device."""
    return info if info.name == name else replace(info, name=name)


class Connection:
    """Runs a source from open to close; written to by the source's thread alone.

    The thread of a source may emit before its `open` has returned. Such readings are copied and
    kept with their arrival until the device counts as open, for the subscribers that get them may
    use the device. Meanwhile the source goes on. When the kept ones are processed it waits, so that
    no reading overtakes another and a file is held by its slowest reader::

        thread of Device.open  | open() ---------> returns | start(): a, b     |
        thread of the source   |      emit a  emit b       | emit c (waits)  c | emit d
        _early                 | []   [a]     [a, b]       | None              | None
        _catching_up           | False                     | True              | False

    ``_guard`` protects ``_early``, ``_accepted`` and the helper; nothing foreign is called while it
    is held. ``_turn`` is held during `start`: c waits for it. It is an RLock, since a subscriber
    that gets a may make the source emit in the same thread.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        subject: TimeWindowSubject,
        faults: Faults,
        *,
        timestamps: Timestamps,
        path_delay: int,
        backoff: Backoff | None,
        clock: HostClock,
        max_bytes: int,
    ) -> None:
        self._source, self._name, self.subject, self._faults = source, name, subject, faults
        self.info = named(source.info, name)
        self._timestamps, self._path_delay, self._backoff = timestamps, path_delay, backoff
        self._clock, self._max_bytes = clock, max_bytes
        self._stamper: Stamper | None = None
        self._slabs: SlabStore[Any] | None = None
        self.meter = Meter()
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._openings = 0
        self._accepted = 0  # number of the opening that may emit; 0: none
        self._close: Close | None = None
        self._helper: threading.Thread | None = None
        self._early: list[tuple[Reading | Exception, int]] | None = None
        self._turn = threading.RLock()
        self._catching_up = False
        self._shut = threading.Event()
        self.state = "closed"

    @property
    def clock_state(self) -> str:
        """State of the clock model."""
        return self._stamper.state if self._stamper else "warming"

    def open(self) -> int:
        """Open the hardware; raise what it raises. Return what `start` needs."""
        return self._open_source()

    def start(self, number: int) -> None:
        """Process readings that arrived before `open` returned."""
        self._catch_up(number)

    def close(self) -> None:
        """Stop the hardware and complete the stream; nothing is emitted afterwards."""
        self._closing.set()
        self._accept(0)
        self.subject.log.release()  # the source's thread may be held by a blocking subscriber
        try:
            self._close_source()
            with self._guard:
                helper = self._helper
            if helper is not None and helper is not threading.current_thread():
                helper.join()
            self._close_source()  # a reconnect may have been under way
        finally:
            if self.state != "failed":
                self.state = "closed"
            self._shut.set()
            self.subject.on_completed()

    def wait_shut(self, timeout: float) -> bool:
        """Wait until `close` has freed the hardware [s]."""
        return self._shut.wait(timeout)

    def _accept(self, number: int) -> None:
        """Let only this opening emit; none from `close` on."""
        with self._guard:
            self._accepted = 0 if self._closing.is_set() else number

    def _open_source(self) -> int:
        self._openings = number = self._openings + 1
        with self._guard:
            self._early = []
        self._accept(number)
        try:
            result = self._source.open(partial(self._emit, number), partial(self._fail, number))
        except BaseException:
            self._accept(0)
            self._early = None
            raise
        close, info = result if isinstance(result, tuple) else (result, None)
        if info is not None:
            self.info = named(info, self._name)
        with self._guard:
            self._close = close
            self.state = "open"
        return number

    def _catch_up(self, number: int) -> None:
        with self._turn:
            with self._guard:
                self._catching_up = True
                early, self._early = self._early or [], None
            for item, arrival in early:
                if number != self._accepted:
                    break
                if isinstance(item, Exception):
                    self._ingest_failure(number, item)
                else:
                    self._ingest(number, item, arrival)
            self._catching_up = False

    def _wait_for_turn(self) -> None:
        """Let what came early go first; the source may be held here as in `_append`."""
        with self._turn:
            pass

    def _close_source(self) -> None:
        with self._guard:
            close, self._close = self._close, None
        if close is not None:
            close()
        self._accept(0)  # whatever a careless source still emits is ignored

    # -- the source's side --------------------------------------------------------------------

    def _emit(self, number: int, reading: Reading | NDArray[Any]) -> None:
        arrival = self._clock.now()
        if number != self._accepted:
            return
        if not isinstance(reading, Reading):
            reading = Reading(reading)
        if self._early is not None and self._put_early(_copied(reading), arrival):
            return
        if self._catching_up:
            self._wait_for_turn()
        self._ingest(number, reading, arrival)

    def _put_early(self, item: Reading | Exception, arrival: int) -> bool:
        """Keep what comes before `open` is back; False if that has just been processed."""
        with self._guard:
            if self._early is None:
                return False
            self._early.append((item, arrival))
            return True

    def _ingest(self, number: int, reading: Reading, arrival: int) -> None:
        try:
            self._append(reading, arrival if reading.arrival is None else reading.arrival)
        except Exception as error:  # noqa: BLE001 - in a driver's callback nobody could catch it
            self._ingest_failure(number, error)

    def _append(self, reading: Reading, arrival: int) -> None:
        """Copy a reading into the store, stamp it, and append the chunk to the window."""
        info, data = self.info, np.asarray(reading.data)
        if data.dtype != info.dtype or data.shape[1:] != info.shape or data.ndim == 0:
            msg = (
                f"{info.name}: the source gave {data.shape} {data.dtype}, "
                f"its info says (n, *{info.shape}) {info.dtype}"
            )
            raise ChunkError(msg)
        slabs, stamper = self._slabs, self._stamper
        if slabs is None or stamper is None:
            slabs, stamper = self._prepare(len(data))
        chunk = stamper.stamp(reading, slabs.append(data), arrival)
        if slabs.start < slabs.newest_start:
            slabs.trim(slabs.newest_start)  # the views in the window keep what is still needed
        if stamper.found:
            found, stamper.found = stamper.found, []
            for event in found:
                self._report(event)
        if chunk is not None:
            # counted first: a subscriber that has a chunk finds it in the statistics
            self.meter.push(chunk)
            self.subject.on_next(chunk)

    def _report(self, fault: Fault) -> None:
        self._faults.on_next(fault)

    def _prepare(self, n: int) -> tuple[SlabStore[Any], Stamper]:
        """Make the store and the stamper for readings of about ``n`` samples."""
        info = self.info
        most = max(1, self._max_bytes // _BYTES_PER_SLAB // max(1, info.sample_bytes))
        wanted = _SLABS * max(n, 1)
        if info.rate is not None:
            wanted = int(info.rate * self.subject.log.span / (_SLABS * 1e9))
        self._slabs = SlabStore[Any](info.shape, info.dtype, slab=max(n, min(wanted, most)))
        settings = clock_settings(info, self._path_delay / 1e9)
        self._stamper = Stamper(info, self._timestamps, settings)
        return self._slabs, self._stamper

    def _fail(self, number: int, error: Exception) -> None:
        if self._early is not None and self._put_early(error, 0):
            return
        if self._catching_up:
            self._wait_for_turn()
        self._ingest_failure(number, error)

    def _ingest_failure(self, number: int, error: Exception) -> None:
        if number != self._accepted:
            return
        if isinstance(error, OverrunError):
            if self._stamper is not None:
                self._stamper.overrun()
            self._report(error)
            return
        with self._guard:
            if number != self._accepted:  # another thread has just reported the same
                return
            self._accepted = 0
        # The source may be calling from its own thread or a driver's callback, where it cannot
        # be closed; so another thread takes over.
        run: Callable[[], None] = self._close_source
        if self._backoff is not None and isinstance(error, DeviceError):
            self.state = "lost"
            run = partial(self._reconnect, error, self._backoff)
        else:
            self._end(error)
        helper = threading.Thread(
            target=run, name=f"rxstream-{self.info.name}-supervisor", daemon=True
        )
        with self._guard:  # who sees it may join it
            helper.start()
            self._helper = helper

    def _end(self, error: Exception) -> None:
        if isinstance(error, EndOfStream):
            self.state = "ended"
            self.subject.on_completed()
            return
        self.state = "failed"
        if not isinstance(error, RxStreamError):
            lost = DeviceLostError(f"{self.info.name}: {type(error).__name__}: {error}")
            lost.__cause__ = error
            error = lost
        self._report(error)
        self.subject.on_error(error)

    def _reconnect(self, error: DeviceError, backoff: Backoff) -> None:
        self._report(error)
        self._close_source()
        if self._stamper is not None:
            self._stamper.restart("disconnect")
        wait, tries = backoff.first, 0
        while not self._closing.wait(wait):
            try:
                number = self._open_source()
            except Exception as failed:  # noqa: BLE001 - any failure to open is a failed try
                tries += 1
                wait = min(wait * backoff.factor, backoff.most)
                if backoff.tries is not None and tries >= backoff.tries:
                    self._end(failed)
                    return
                continue
            self._catch_up(number)
            return


def _copied(reading: Reading) -> Reading:
    """Return a reading that keeps nothing of the driver's own."""
    stamps = reading.device_time
    return replace(
        reading,
        data=np.array(reading.data),
        device_time=stamps.copy() if isinstance(stamps, np.ndarray) else stamps,
    )
