"""One opening of a device: from the driver's thread into the window, with its faults survived."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.faults import Fault, Faults
from rxstream.acquisition.stamper import Stamper, Timestamps, clock_settings
from rxstream.data.clock import Duration, HostClock, to_span
from rxstream.data.flow import Meter
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceError,
    DeviceLostError,
    EndOfStream,
    OverrunError,
    ParameterError,
    RxStreamError,
)
from rxstream.window.subject import TimeWindowSubject

__all__ = ["Backoff", "Close", "Connection", "Emit", "Fail", "Source"]

Emit: TypeAlias = "Callable[[Reading | NDArray[Any]], None]"
"""Takes an array ``(n, *shape)`` or a `Reading`; copies it at once, never blocks on a reader."""

Fail: TypeAlias = Callable[[Exception], None]
"""Takes an error: `OverrunError` is survived and told, `EndOfStream` completes the stream."""

Close: TypeAlias = Callable[[], None]
"""Stops the hardware; when it has returned, nothing more is emitted."""


@runtime_checkable
class Source(Protocol):
    """What the author of a device writes, once; a frozen dataclass of options will do."""

    @property
    def info(self) -> StreamInfo:
        """What is known before the first sample; must not touch the hardware."""
        ...

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Start the hardware; call ``emit`` from one thread; return how to stop it.

        What is known only once it is open goes into the `StreamInfo` returned beside; such a
        source emits nothing before it returns.
        """
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each try to open a lost device again.

    Attributes
    ----------
    first, most
        Seconds [s] before the first try, and at most.
    factor
        By which the wait grows.
    tries
        How many, or None for as long as the device is open.
    """

    first: float = 0.1
    most: float = 5.0
    factor: float = 2.0
    tries: int | None = None

    def __post_init__(self) -> None:
        to_span(self.first, "Backoff.first")
        to_span(self.most, "Backoff.most")
        if self.factor < 1:
            msg = f"Backoff.factor must be >= 1, not {self.factor!r}"
            raise ParameterError(msg)

    @classmethod
    def of(cls, value: "Backoff | Duration | bool | None") -> "Backoff | None":
        """Return a backoff for ``True`` (the default one), seconds (a fixed wait), or None."""
        if value is None or isinstance(value, Backoff):
            return value
        if isinstance(value, bool):
            return cls() if value else None
        wait = to_span(value, "reconnect") / 1e9
        return cls(first=wait, most=wait, factor=1.0)


class Connection:
    """Runs a source from open to close; written to by the source's thread alone."""

    def __init__(
        self,
        source: Source,
        info: StreamInfo,
        subject: TimeWindowSubject,
        faults: Faults,
        *,
        timestamps: Timestamps,
        path_delay: float,
        backoff: Backoff | None,
        clock: HostClock,
        max_bytes: int,
    ) -> None:
        self._source, self.info, self.subject, self._faults = source, info, subject, faults
        self._timestamps, self._path_delay, self._backoff = timestamps, path_delay, backoff
        self._clock, self._max_bytes = clock, max_bytes
        self._stamper: Stamper | None = None
        self._slabs: SlabStore[Any] | None = None
        self.meter = Meter()
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._opening = 0  # which opening of the source may emit
        self._close: Close | None = None
        self._helper: threading.Thread | None = None
        # while `open` is under way: what the source's thread says already, with its arrival
        self._early: list[tuple[Reading | Exception, int]] | None = None
        self._turn = threading.RLock()  # held while that is taken; what comes next waits for it
        self._catching_up = False
        self._shut = threading.Event()
        self.state = "closed"

    @property
    def clock_state(self) -> str:
        """What the clock model says of itself."""
        return self._stamper.state if self._stamper else "warming"

    def open(self) -> int:
        """Open the hardware; raise what it raises. Return what `start` needs."""
        return self._open_source()

    def start(self, number: int) -> None:
        """Take what the source's thread said while its `open` was not back yet."""
        self._catch_up(number)

    def close(self) -> None:
        """Stop the hardware and complete the stream; nothing is emitted afterwards."""
        self._closing.set()
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

    def _open_source(self) -> int:
        with self._guard:
            self._opening += 1
            number = self._opening
            self._early = []
        try:
            result = self._source.open(partial(self._emit, number), partial(self._fail, number))
        except BaseException:
            with self._guard:
                self._opening += 1
                self._early = None
            raise
        close, info = result if isinstance(result, tuple) else (result, None)
        if info is not None:
            self.info = info
        with self._guard:
            self._close = close
            self.state = "open"
        return number

    def _catch_up(self, number: int) -> None:
        with self._turn:
            with self._guard:
                self._catching_up = True
                early, self._early = self._early or [], None
            for said, arrival in early:
                if number != self._opening or self._closing.is_set():
                    break
                if isinstance(said, Exception):
                    self._take_failure(number, said)
                else:
                    self._take(number, said, arrival)
            self._catching_up = False

    def _wait_for_turn(self) -> None:
        """Let what was said before go first; the source may be held here as in `append`."""
        with self._turn:
            pass

    def _close_source(self) -> None:
        with self._guard:
            close, self._close = self._close, None
        if close is not None:
            close()
        with self._guard:
            self._opening += 1  # whatever a careless source still says is not heard

    # -- what the source says -----------------------------------------------------------------

    def _emit(self, number: int, reading: Reading | NDArray[Any]) -> None:
        arrival = self._clock.now()
        if number != self._opening or self._closing.is_set():
            return
        if not isinstance(reading, Reading):
            reading = Reading(reading)
        if self._early is not None and self._say_early(_copied(reading), arrival):
            return
        if self._catching_up:
            self._wait_for_turn()
        self._take(number, reading, arrival)

    def _say_early(self, said: Reading | Exception, arrival: int) -> bool:
        with self._guard:
            if self._early is None:
                return False
            self._early.append((said, arrival))
            return True

    def _take(self, number: int, reading: Reading, arrival: int) -> None:
        try:
            self._store(reading, arrival if reading.arrival is None else reading.arrival)
        except Exception as error:  # noqa: BLE001 - in a driver's callback nobody could catch it
            self._take_failure(number, error)

    def _store(self, reading: Reading, arrival: int) -> None:
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
        slabs.trim(slabs.stop)  # the views in the window keep what is still needed
        if stamper.found:
            found, stamper.found = stamper.found, []
            for event in found:
                self._tell(event)
        if chunk is not None:
            self.meter.push(chunk)
            self.subject.on_next(chunk)

    def _tell(self, fault: Fault) -> None:
        self._faults.on_next(fault)

    def _prepare(self, n: int) -> tuple[SlabStore[Any], Stamper]:
        """Make the store: slabs of 1/64 of the window, so that little is held beyond it."""
        info = self.info
        most = max(1, self._max_bytes // 32 // max(1, info.sample_bytes))
        wanted = 64 * max(n, 1)
        if info.rate is not None:
            wanted = int(info.rate * self.subject.log.span / 64e9)
        self._slabs = SlabStore[Any](info.shape, info.dtype, slab=max(n, min(wanted, most)))
        self._stamper = Stamper(info, self._timestamps, clock_settings(info, self._path_delay))
        return self._slabs, self._stamper

    def _fail(self, number: int, error: Exception) -> None:
        if self._early is not None and self._say_early(error, 0):
            return
        if self._catching_up:
            self._wait_for_turn()
        self._take_failure(number, error)

    def _take_failure(self, number: int, error: Exception) -> None:
        if number != self._opening or self._closing.is_set():
            return
        if isinstance(error, OverrunError):
            if self._stamper is not None:
                self._stamper.overrun()
            self._tell(error)
            return
        with self._guard:
            if number != self._opening:
                return
            self._opening += 1
        # The source may be calling from its own thread or a driver's callback, where it cannot
        # be closed; so another thread takes over.
        run = partial(self._after_end, error)
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
            told = DeviceLostError(f"{self.info.name}: {type(error).__name__}: {error}")
            told.__cause__ = error
            error = told
        self._tell(error)
        self.subject.on_error(error)

    def _after_end(self, _error: Exception) -> None:
        self._close_source()

    def _reconnect(self, error: DeviceError, backoff: Backoff) -> None:
        self._tell(error)
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
