"""A device: a hot, rewindable Observable of chunks with an open/close life."""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Literal, Self

from reactivex import Observable, abc

from rxstream.acquisition.connection import Backoff, Close, Connection, Emit, Fail, Source
from rxstream.acquisition.faults import Fault, Faults
from rxstream.acquisition.stamper import Timestamps
from rxstream.acquisition.stats import Stats
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, HostClock, Time, host_clock, to_span
from rxstream.data.flow import Meter
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceBusyError,
    ParameterError,
    SubscriberError,
)
from rxstream.window.log import Log
from rxstream.window.reader import Reader, iterate_async
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition
from rxstream.window.subject import DEFAULT_BYTES, TimeWindowSubject, check_bytes
from rxstream.window.worker import log_report

__all__ = ["Backoff", "Close", "Device", "Emit", "Fail", "Source"]

_logger = logging.getLogger(__name__)
_STILL_CLOSING = 30.0  # how long to wait for a driver that is being closed [s]
_open: "weakref.WeakSet[Device]" = weakref.WeakSet()


class Device(Rewindable):
    """A `Source` made hot: one opening, many subscribers, the last seconds kept.

    Parameters
    ----------
    source
        What to open, e.g. ``Audio(rate=48_000)``.
    name
        Another name than the source's own.
    history
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less.
    timestamps
        ``"corrected"``: through the clock model; ``"arrival"``: arrival minus length.
    path_delay
        What the device's path is known to delay every sample [s]; nobody can see it from stamps.
    reconnect
        When the device is lost, open it again: ``True``, a fixed wait [s], or a `Backoff`. The
        stream goes on with a ``Gap(reason="disconnect")``. None: the loss is an error.

    Examples
    --------
    >>> from rxstream.devices.simulated import Simulated
    >>> with Device(Simulated(rate=1000.0), history=5) as twin, twin.reader() as reader:
    ...     len(reader.read(200, timeout=10))
    200
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str | None = None,
        history: Duration = 60.0,
        max_bytes: int = DEFAULT_BYTES,
        timestamps: Timestamps = "corrected",
        path_delay: float = 0.0,
        reconnect: Backoff | Duration | bool | None = None,
        clock: HostClock = host_clock,
    ) -> None:
        if not isinstance(source, Source):
            msg = f"{source!r} is no source: it needs `info` and `open(emit, fail)`"
            raise ParameterError(msg)
        if timestamps not in ("corrected", "arrival"):
            msg = f"timestamps must be 'corrected' or 'arrival', not {timestamps!r}"
            raise ParameterError(msg)
        check_bytes(max_bytes)
        self.source = source
        self.name = name or source.info.name
        self._history = to_span(history, "history")
        self._max_bytes, self._timestamps = max_bytes, timestamps
        self._path_delay = path_delay
        self._backoff = Backoff.of(reconnect)
        self._clock = clock
        self._guard = threading.RLock()
        self._session: Connection | None = None
        self._meter = Meter()
        self._faults = Faults(self.name)
        self._closing: Connection | None = None  # the last one to be closed
        self._subject = self._next = self._new_subject()
        # a file is read as fast as its slowest reader takes it; a live device waits for nobody
        self._start = StartPosition(policy="gap" if getattr(source, "live", True) else "block")
        super().__init__()

    def _new_subject(self) -> TimeWindowSubject:
        return TimeWindowSubject(
            self._history / 1e9, max_bytes=self._max_bytes, name=self.name, report=self._report
        )

    def _report(self, error: SubscriberError) -> None:
        log_report(error)
        self._faults.on_next(error)

    # -- life ---------------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """What is known of the stream."""
        return self._session.info if self._session else self.source.info

    @property
    def state(self) -> Literal["closed", "open", "lost", "failed", "ended"]:
        """``closed``, ``open``, ``lost`` (and being re-opened), ``failed``, ``ended`` (a file)."""
        return self._session.state if self._session else "closed"  # type: ignore[return-value]

    def open(self) -> Self:
        """Open the hardware; do nothing if it is open.

        A device that was closed begins a new session: its old chunks do not come again.

        Raises
        ------
        DeviceError
            What the source raises, e.g. `DeviceNotFoundError`, `DeviceBusyError`.
        """
        closing = self._closing
        if closing is not None and not closing.wait_shut(_STILL_CLOSING):
            msg = f"{self.name} is still being closed, for more than {_STILL_CLOSING:g} s"
            raise DeviceBusyError(msg)
        with self._guard:
            if self._session is not None:
                return self
            subject = self._next
            session = Connection(
                self.source, self.source.info, subject, self._faults,
                timestamps=self._timestamps, path_delay=self._path_delay, backoff=self._backoff,
                clock=self._clock, max_bytes=self._max_bytes,
            )  # fmt: skip
            number = session.open()
            self._session, self._subject, self._meter = session, subject, session.meter
            _open.add(self)
        session.start(number)  # may wait for a subscriber, and that one for our guard
        return self

    def close(self, drain: Duration = 5.0) -> None:
        """Close the hardware and complete the stream; safe to call twice.

        Parameters
        ----------
        drain
            How long to wait for subscribers that have not had everything yet [s]. Whoever is
            later still gets the rest, on its own thread; a warning names it.
        """
        wait = to_span(drain, "drain", zero=True) / 1e9
        with self._guard:
            session, self._session = self._session, None
            if session is None:
                return
            self._next = self._new_subject()
            self._closing = session
        session.close()
        _open.discard(self)
        for late in session.subject.drain(wait):
            _logger.warning(
                "%s: closed, but subscriber %s is still busy, with %d chunks to go",
                self.name, late.cursor.name, late.behind,
            )  # fmt: skip

    def wait(self, timeout: Duration | None = None) -> bool:
        """Wait until the stream has ended (a file, an error) and every subscriber had it all.

        Returns
        -------
        ended
            False if it did not end within ``timeout`` [s].
        """
        span = None if timeout is None else to_span(timeout, "timeout", zero=True)
        return self._subject.wait(span)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def faults(self) -> Observable[Fault]:
        """What it survived: overruns, disconnects, subscribers that raised; the stream goes on."""
        return self._faults

    def stats(self) -> Stats:
        """Return how it flows and how each subscriber keeps up; after `close`, how it was."""
        session = self._session
        clock = session.clock_state if session else "closed"
        return Stats.of(self.name, self.state, clock, self._meter.flow(), self._subject.log)

    # -- subscribing --------------------------------------------------------------------------

    @property
    def log(self) -> Log:
        """The log of the session that is open, or was last."""
        return self._subject.log

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on; before `open`, wait for it."""
        return self._next_or_current().attach(observer, scheduler, start)

    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start; before `open`, it waits for it."""
        return self._next_or_current().attach_reader(start)

    def _next_or_current(self) -> TimeWindowSubject:
        with self._guard:
            return self._next if self._session is None else self._subject

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return iterate_async(self._next_or_current().log, self._start.policy)

    # -- looking back -------------------------------------------------------------------------

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``; empty if nothing has come yet.

        Raises
        ------
        ParameterError
            If ``t1`` is before ``t0``.
        """
        try:
            return super().between(t0, t1)
        except ChunkError:
            if self.log.newest() is not None:
                raise
        return Chunk.empty(self.info, self._clock.now())


@atexit.register
def _close_all() -> None:
    """Close what is open when the program ends: its last chunks reach files and drivers are freed.

    The threads of subscribers still run then; later they would die in the middle of something.
    """
    for device in list(_open):
        device.close()


if hasattr(os, "register_at_fork"):  # a child has neither our threads nor our hardware
    os.register_at_fork(after_in_child=_open.clear)
