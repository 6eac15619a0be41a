"""A device: a hot, rewindable Observable of chunks with an open/close life."""

import threading
import time
import weakref
from contextlib import suppress
from typing import Self

from reactivex import abc

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.blocks import Blocks
from rxstream.acquisition.connection import DRIVER_TIMEOUT, Connection
from rxstream.acquisition.faults import Faults
from rxstream.acquisition.forks import forget_in_child
from rxstream.acquisition.ingest import named
from rxstream.acquisition.shutdown import close_at_exit, forget_at_exit
from rxstream.acquisition.source import Source, check_source, check_stalled, is_live
from rxstream.acquisition.stamper import Timestamps
from rxstream.acquisition.stats import Stats
from rxstream.acquisition.waiting import WaitingNotice
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, HostClock, Time, host_clock, to_span
from rxstream.data.flow import Meter
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceBusyError,
    DeviceClosedError,
    DeviceError,
    ParameterError,
    RxStreamError,
)
from rxstream.printable import error_line, get_logger, shown
from rxstream.steps.delivery import current_delivery
from rxstream.steps.observers import is_ending
from rxstream.steps.pull import release_own_readers
from rxstream.validation import check_choice, checked_name
from rxstream.window.log import Log
from rxstream.window.reader import Reader
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition
from rxstream.window.subject import DEFAULT_BYTES, DEFAULT_HISTORY, TimeWindowSubject, check_bytes
from rxstream.window.worker import SubscriberWorker, log_report

__all__ = ["Device"]

_logger = get_logger(__name__)

# Wait of `open` for a driver that opens or closes elsewhere [s]. Drivers take up to a few seconds;
# after this one is taken to hang.
_TURN_TIMEOUT = 30.0

# Wait of `open` for a call that was given up already [s].
_GIVEN_UP_TIMEOUT = 2.0

# How often `close` looks what it waits for [s].
_LOOK = 0.05


class Device(Blocks, Rewindable):
    """A `Source` made hot: one opening, many subscribers, the last seconds kept.

    ``with`` and ``async with`` open it; of blocks inside each other the outermost closes it.

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
        ``"corrected"``: through the clock model; ``"arrival"``: a sample when it came, a block so
        that it ends then.
    path_delay
        Known least delay from a sample to its arrival [s]; it does not show in the data.
    reconnect
        When the device is lost, by whatever its driver raises, open it again: ``True``, a fixed
        wait [s], or a `Backoff`. The stream goes on with a ``Gap(reason="disconnect")``. None: the
        loss is an error. Each loss is logged, and `error` says why. A mistake in the code of the
        source that ends three openings in turn ends the stream.
    stalled_after
        Take the device for lost when no sample has come for so long [s] while it was open; give
        more than its longest pause, and than it takes to begin. Heartbeats are no samples: they
        say that its driver lives. They are out by then, so the gap begins at the last one; what
        was lost between the last sample and that is in no gap. None: it may be silent.
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
        stalled_after: Duration | None = None,
        clock: HostClock = host_clock,
    ) -> None:
        check_source(source)
        check_choice(timestamps, Timestamps, "timestamps")
        check_bytes(max_bytes)
        self.source = source
        given = "" if name is None else checked_name(name, "Device: name")
        self.name = given or source.info.name
        self._history = to_span(history, "history")
        self._max_bytes, self._timestamps = max_bytes, timestamps
        self._path_delay = to_span(path_delay, "path_delay", zero=True)
        self._backoff = Backoff.of(reconnect)
        self._stalled = None if stalled_after is None else to_span(stalled_after, "stalled_after")
        if self._stalled is not None:
            check_stalled(source, self._stalled)
        if not isinstance(clock, HostClock):
            msg = f"clock must be a HostClock, not {shown(clock)}"
            raise ParameterError(msg)
        self._clock = clock
        self._guard = threading.RLock()  # protects what follows; nothing foreign is called in it
        self._life = threading.RLock()  # held while the driver opens or closes: one at a time
        self._connection: Connection | None = None
        self._opening: Connection | None = None  # the one whose driver is opening
        self._last: Connection | None = None  # the last one that was closed
        self._held: list[Connection] = []  # whose hardware may be open, also after Ctrl-C
        self._closing = False  # its driver closes
        self._named: weakref.WeakSet[SubscriberWorker] = weakref.WeakSet()  # warned of by `close`
        self._error: Exception | None = None  # of the last one, or of another process
        self._inherited = False  # it was used in the process that has forked this one
        self._opened_in: object = None  # the call of a subscriber
        self._calls = 0  # of `wait` before it was ever opened
        self._meter = Meter()
        self._faults = Faults(self.name)
        self._subject = self._next = self._new_subject()
        self._waiting = WaitingNotice(self.name, self._describe_waiting)
        # a file is read as fast as its slowest reader takes it; a live device waits for nobody
        self._start = StartPosition(policy="gap" if is_live(source) else "block")
        Blocks.__init__(self)
        Rewindable.__init__(self)
        forget_in_child(self)

    def _new_subject(self) -> TimeWindowSubject:
        return TimeWindowSubject(
            self._history / 1e9, max_bytes=self._max_bytes, name=self.name, report=self.report_fault
        )

    def report_fault(self, error: RxStreamError) -> None:
        """Report an error of a subscriber: to the logging module and on `faults`."""
        log_report(error)
        self._faults.report(error)

    # -- life ---------------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """Description of the stream; what was learnt as it was opened stays."""
        connection = self._connection or self._last
        return connection.info if connection else named(self.source.info, self.name)

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``lost`` (and being re-opened), ``failed``, ``ended`` (a file)."""
        # not a Literal: jedi fails on a property of that type, and completes nothing then
        return self._connection.state if self._connection else "closed"

    @property
    def error(self) -> Exception | None:
        """Why it is lost or has failed, or was when it was closed; None if all is well."""
        connection = self._connection
        return connection.error if connection else self._error

    def open(self) -> Self:
        """Open the hardware; do nothing if it is open, or lost and being re-opened.

        A device that was closed or has failed begins a new stream: its old chunks do not come
        again. The source is opened in the calling thread, and that takes as long as its driver
        takes.

        Raises
        ------
        DeviceError
            What the source raises, e.g. `DeviceNotFoundError`, `DeviceBusyError`. The latter too
            if its driver hangs in `open` or `close` elsewhere.
        DeviceClosedError
            If it was closed elsewhere while it was being opened.
        """
        deadline = time.monotonic() + _TURN_TIMEOUT
        if not self._life.acquire(timeout=_TURN_TIMEOUT):
            raise DeviceBusyError(
                f"{self.name}: its driver is still opening or closing elsewhere, for more than "
                f"{_TURN_TIMEOUT:g} s"
            )
        try:
            connection = self._connection
            if connection is not None and connection.state not in ("failed", "closed"):
                return self
            self._shut()  # what has failed, or what Ctrl-C has left
            if (last := self._last) is not None:
                hanging = last.wait_free(deadline - time.monotonic(), _GIVEN_UP_TIMEOUT)
                if hanging:
                    raise DeviceBusyError(f"{self.name}: {hanging}")
            connection = self._connect()
        finally:
            self._life.release()
        connection.start()  # may wait for a subscriber, and that one for us
        return self

    def _connect(self) -> Connection:
        """Open the source for the next stream."""
        subject = self._next
        connection = Connection(
            self.source, self.name, subject, self._faults,
            timestamps=self._timestamps, path_delay=self._path_delay, backoff=self._backoff,
            stalled_after=self._stalled, clock=self._clock,
        )  # fmt: skip
        close_at_exit(self)
        self._held.append(connection)
        self._opening = connection
        try:
            connection.open()
        except Exception:
            with suppress(ValueError):  # its driver has opened nothing, or closed it
                self._held.remove(connection)
            raise
        finally:
            self._opening = None
        with self._guard:
            self._meter = connection.ingest.meter
            self._error, self._inherited = None, False
            self._subject, self._connection = subject, connection
        self._opened_in = current_delivery()
        self._waiting.end()
        if connection not in self._held:
            # a signal handler of this thread has closed it in between
            self._shut()
            raise DeviceClosedError(f"{self.name} was closed while it was being opened")
        return connection

    def close(self, drain: Duration = 5.0) -> None:
        """Close the hardware and complete the stream; wait for a close under way elsewhere.

        A subscriber may call it: then it waits for no other subscriber, since that one may wait
        for this one, as in a join. Whoever closes it again, as the end of ``with`` does, waits.

        Parameters
        ----------
        drain
            Longest wait for subscribers that have not had everything yet [s]. Later ones still
            get the rest, on their own threads; a warning names them.

        Raises
        ------
        DeviceError
            What the driver raises in `close`; or that it hangs, after 5 s. Everything else is done
            by then.
        """
        wait = to_span(drain, "drain", zero=True) / 1e9
        error = self._stop()
        release_own_readers()
        if not self._in_subscriber():
            self._drain(wait)
        if error is not None:
            raise error

    def _in_subscriber(self) -> bool:
        """Whether this thread is in a subscriber, and in one that has not opened it itself."""
        here = current_delivery()
        return here is not None and here != self._opened_in

    def _stop(self) -> Exception | None:
        """Stop the hardware, unless that is done; return what the driver raised."""
        deadline = time.monotonic() + DRIVER_TIMEOUT
        while not self._life.acquire(timeout=_LOOK):
            # a close under way may wait for the subscriber that this thread is in
            if self._closing and self._in_subscriber():
                return None
            if time.monotonic() > deadline:
                opening = self._opening
                if opening is not None:
                    opening.give_up()
                    _logger.warning("%s: closed as soon as its driver has opened it", self.name)
                return None
        try:
            return self._shut()
        finally:
            self._life.release()

    def _shut(self) -> Exception | None:
        with self._guard:
            connection = self._connection
            if connection is not None:
                self._last = connection
                if connection not in self._held:
                    self._held.append(connection)
                if self._next is connection.subject:
                    self._next = self._new_subject()
                self._connection = None
        error: Exception | None = None
        for held in list(self._held):
            error = self._shut_one(held) or error
        return error

    def _shut_one(self, connection: Connection) -> Exception | None:
        """Close one connection; it is held until that is done, whatever interrupts this thread."""
        self._closing = True
        try:
            error = connection.shut(DRIVER_TIMEOUT)
        finally:
            self._closing, self._error = False, connection.error
            # one whose opening was interrupted has given nothing: the next one takes its stream
            if connection.subject is not self._next:
                connection.subject.on_completed()
        with suppress(ValueError):
            self._held.remove(connection)
        return error

    def _drain(self, wait: float) -> None:
        """Wait until subscribers of the last stream have had everything, up to ``wait`` [s]."""
        last = self._last
        if last is None:
            return
        deadline = time.monotonic() + wait
        for late in last.subject.drain(wait):
            if late in self._named:
                continue  # it is closed in two places, as after a signal
            self._named.add(late)
            what = f"{late.behind} chunks to go" if late.behind else "the end of the stream"
            _logger.warning(
                "%s: closed, but subscriber %s is still busy, with %s",
                self.name, late.cursor.name, what,
            )  # fmt: skip
        self._faults.drain(deadline - time.monotonic())
        with self._guard:
            if self._connection is None and not self._held:
                forget_at_exit(self)

    def wait(self, timeout: Duration | None = None) -> bool:
        """Wait until the stream has ended (a file, an error) and every subscriber had it all.

        Returns
        -------
        ended
            False if it did not end within ``timeout`` [s].
        """
        span = None if timeout is None else to_span(timeout, "timeout", zero=True)
        self._check_process()
        if self._connection is not None or self._subject is not self._next:
            return self._subject.wait(span)
        self._calls += 1
        try:
            self._waiting.begin()
            return self._subject.wait(span)
        finally:
            self._calls -= 1

    @property
    def faults(self) -> Faults:
        """The last 100 faults, and an Observable of those to come; see `Faults`.

        Overruns, disconnects, why it cannot be opened again (each reason once), subscribers that
        raised, findings of the clock, and the error that it ended with. Each subscriber has a
        thread of its own.
        """
        return self._faults

    def stats(self) -> Stats:
        """Return its flow and how each subscriber keeps up; after `close`, as it was."""
        connection = self._connection
        clock = connection.ingest.clock_state if connection else "closed"
        flow, log = self._meter.flow(), self._subject.log
        silent = None
        if connection is not None and connection.state == "open" and is_live(self.source):
            silent = connection.ingest.silence.at(self._clock.now())
        return Stats.of(self.name, self.state, clock, flow, log, self.error, silent)

    def __repr__(self) -> str:
        rate, held = self.info.rate, self._subject.log.held
        stream = "" if rate is None else f", {rate:.6g} Hz"
        kept = f"{held:.3g} s of {self._history / 1e9:g} s kept"
        error = self.error
        why = "" if error is None else f" ({error_line(error)})"
        return f"<Device {self.name}: {self.state}{why}{stream}, {kept}>"

    # -- processes ----------------------------------------------------------------------------

    def forget_parent(self) -> None:
        """Become a closed device, in a forked child: it has neither the threads nor the hardware.

        The locks are new, for a thread of the parent may have held the old ones.
        """
        used = self._connection is not None or self._subject is not self._next
        self._guard, self._life = threading.RLock(), threading.RLock()
        self._connection = self._opening = self._last = None
        self._held = []
        self.leave_blocks()
        self._meter = Meter()
        self._faults.renew()
        self._waiting = WaitingNotice(self.name, self._describe_waiting)
        if not used:
            return
        self._inherited, self._error = True, self._of_parent()
        for subject in {self._subject, self._next}:
            subject.leave_parent(self._error)
        self._subject = self._next = self._new_subject()

    def _of_parent(self) -> DeviceError:
        return DeviceError(
            f"{self.name} was opened in the parent process, which has its hardware and its past; "
            "open a new one in this process"
        )

    def _check_process(self) -> None:
        if self._inherited:
            raise self._of_parent()

    # -- subscribing --------------------------------------------------------------------------

    @property
    def log(self) -> Log:
        """The log of the opening under way, or of the last one.

        Raises
        ------
        DeviceError
            If it was opened in the process that has forked this one.
        """
        self._check_process()
        return self._subject.log

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on; before `open`, wait for it, if that is not in the past."""
        return self._subject_of(start).attach(observer, scheduler, start)

    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start; before `open` as in `attach`."""
        return self._subject_of(start).attach_reader(start)

    def _subject_of(self, start: StartPosition) -> TimeWindowSubject:
        """Return the stream to attach to: the one under way, one that has ended, or the next."""
        self._check_process()
        with self._guard:
            # RxPY's retry() and repeat() subscribe inside the end: they are to get the next stream,
            # and not the same end again; after a take(3) that has not come
            over = self._subject.log.ended and is_ending(self)
            if self._connection is not None:
                if not over:
                    return self._subject
                if self._next is self._subject:
                    self._next = self._new_subject()
            elif not over and start.is_in(self._subject.log):
                return self._subject
            following = self._next
        self._waiting.begin()
        return following

    def _describe_waiting(self) -> str:
        """Return what waits for `open`."""
        names = [cursor.name for cursor, _behind, _lag in self._next.log.cursors()]
        return ", ".join([*names, *["wait()"] * (self._calls > 0)])

    # -- looking back -------------------------------------------------------------------------

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``; empty if nothing has come yet.

        Raises
        ------
        ParameterError
            If ``t1`` is before ``t0``.
        """
        log = self.log
        try:
            return log.between(t0, t1)
        except ChunkError:
            if log.newest() is None:
                return Chunk.empty(self.info, self._clock.now())
        # the first chunk has come just now
        return log.between(t0, t1)
