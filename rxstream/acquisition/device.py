"""A device: a hot, rewindable Observable of chunks with an open/close life."""

import logging
import threading
from typing import Self

from reactivex import Observable, abc

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.connection import Connection, named
from rxstream.acquisition.faults import Fault, Faults
from rxstream.acquisition.shutdown import close_at_exit, forget_at_exit
from rxstream.acquisition.source import Source, is_live
from rxstream.acquisition.stamper import Timestamps
from rxstream.acquisition.stats import Stats
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, HostClock, Time, host_clock, to_span
from rxstream.data.flow import Meter
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, DeviceBusyError, ParameterError, SubscriberError
from rxstream.steps.pull import release_own_readers
from rxstream.validation import check_choice, checked_name
from rxstream.window.log import Log
from rxstream.window.reader import Reader
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition
from rxstream.window.subject import DEFAULT_BYTES, DEFAULT_HISTORY, TimeWindowSubject, check_bytes
from rxstream.window.worker import log_report

__all__ = ["Device"]

_logger = logging.getLogger(__name__)

# Wait of `open` for a `close` under way in another thread [s]. Drivers take up to a few seconds;
# after this one is taken to hang.
_CLOSE_TIMEOUT = 30.0


class Device(Rewindable):
    """A `Source` made hot: one opening, many subscribers, the last seconds kept.

    Parameters
    ----------
    source
        The device to open, e.g. ``Audio(rate=48_000)``.
    name
        Name of the device and its stream; by default the source's own.
    history
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less.
    timestamps
        ``"corrected"``: through the clock model; ``"arrival"``: arrival minus length.
    path_delay
        Known least delay from a sample to its arrival [s]; it does not show in the data.
    reconnect
        When the device is lost, open it again: ``True``, a fixed wait [s], or a `Backoff`. The
        stream goes on with a ``Gap(reason="disconnect")``. None: the loss is an error.
    clock
        Clock that gives the time of arrival.

    Raises
    ------
    ParameterError
        If a value cannot work.

    Examples
    --------
    >>> from rxstream.devices.simulated import Simulated
    >>> with Device(Simulated(rate=1000.0), history=5) as device, device.reader() as reader:
    ...     len(reader.read(200, timeout=10))
    200
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str | None = None,
        history: Duration = DEFAULT_HISTORY,
        max_bytes: int = DEFAULT_BYTES,
        timestamps: Timestamps = "corrected",
        path_delay: Duration = 0.0,
        reconnect: Backoff | Duration | bool | None = None,
        clock: HostClock = host_clock,
    ) -> None:
        _check_source(source)
        check_choice(timestamps, Timestamps, "timestamps")
        check_bytes(max_bytes)
        self.source = source
        self.name = checked_name(name, "Device: name") if name else source.info.name
        self._history = to_span(history, "history")
        self._max_bytes, self._timestamps = max_bytes, timestamps
        self._path_delay = to_span(path_delay, "path_delay", zero=True)
        self._backoff = Backoff.of(reconnect)
        self._clock = clock
        self._guard = threading.RLock()
        self._connection: Connection | None = None
        self._meter = Meter()
        self._faults = Faults(self.name)
        self._closing: Connection | None = None  # the last one to be closed
        self._subject = self._next = self._new_subject()
        # a file is read as fast as its slowest reader takes it; a live device waits for nobody
        self._start = StartPosition(policy="gap" if is_live(source) else "block")
        super().__init__()

    def _new_subject(self) -> TimeWindowSubject:
        return TimeWindowSubject(
            self._history / 1e9,
            max_bytes=self._max_bytes,
            name=self.name,
            report=self.report_fault,
        )

    def report_fault(self, error: SubscriberError) -> None:
        """Report what a subscriber raised: to the logging module and on `faults`."""
        log_report(error)
        self._faults.on_next(error)

    # -- life ---------------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        connection = self._connection
        return connection.info if connection else named(self.source.info, self.name)

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``lost`` (and being re-opened), ``failed``, ``ended`` (a file)."""
        # not a Literal: jedi fails on a property of that type, and completes nothing then
        return self._connection.state if self._connection else "closed"

    def open(self) -> Self:
        """Open the hardware; do nothing if it is open.

        A device that was closed begins a new stream: its old chunks do not come again.

        Raises
        ------
        DeviceError
            What the source raises, e.g. `DeviceNotFoundError`, `DeviceBusyError`.
        """
        closing = self._closing
        if closing is not None and not closing.wait_shut(_CLOSE_TIMEOUT):
            msg = f"{self.name} is still being closed, for more than {_CLOSE_TIMEOUT:g} s"
            raise DeviceBusyError(msg)
        with self._guard:
            if self._connection is not None:
                return self
            subject = self._next
            connection = Connection(
                self.source, self.name, subject, self._faults,
                timestamps=self._timestamps, path_delay=self._path_delay, backoff=self._backoff,
                clock=self._clock, max_bytes=self._max_bytes,
            )  # fmt: skip
            number = connection.open()
            self._connection, self._subject, self._meter = connection, subject, connection.meter
            close_at_exit(self)
        connection.start(number)  # may wait for a subscriber, and that one for our guard
        return self

    def close(self, drain: Duration = 5.0) -> None:
        """Close the hardware and complete the stream; safe to call twice.

        Parameters
        ----------
        drain
            Longest wait for subscribers that have not had everything yet [s]. Later ones still
            get the rest, on their own threads; a warning names them.
        """
        wait = to_span(drain, "drain", zero=True) / 1e9
        with self._guard:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            self._next = self._new_subject()
            self._closing = connection
        connection.close()
        forget_at_exit(self)
        release_own_readers()
        for late in connection.subject.drain(wait):
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

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def faults(self) -> Observable[Fault]:
        """Faults that the stream survived: overruns, disconnects, subscribers that raised."""
        return self._faults

    def stats(self) -> Stats:
        """Return its flow and how each subscriber keeps up; after `close`, as it was."""
        connection = self._connection
        clock = connection.clock_state if connection else "closed"
        return Stats.of(self.name, self.state, clock, self._meter.flow(), self._subject.log)

    def __repr__(self) -> str:
        rate, held = self.info.rate, self.log.held
        stream = "" if rate is None else f", {rate:.6g} Hz"
        kept = f"{held:.3g} s of {self._history / 1e9:g} s kept"
        return f"<Device {self.name}: {self.state}{stream}, {kept}>"

    # -- subscribing --------------------------------------------------------------------------

    @property
    def log(self) -> Log:
        """The log of the opening under way, or of the last one."""
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
            return self._next if self._connection is None else self._subject

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


def _check_source(source: object) -> None:
    if isinstance(source, type):
        remedy = f"make one: {source.__name__}()"
    elif isinstance(source, str):
        remedy = f"open it by its name: rxstream.open({source!r})"
    elif not isinstance(source, Source):
        remedy = "it needs `info` and `open(emit, fail)`"
    else:
        return
    msg = f"{source!r} is no source; {remedy}"
    raise ParameterError(msg)
