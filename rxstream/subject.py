"""`TimeWindowSubject`: a hot stream with a past, and a worker for each subscriber."""

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, Protocol, cast, runtime_checkable

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler, ImmediateScheduler, VirtualTimeScheduler
from reactivex.subject import Subject

from rxstream.chunk import Chunk
from rxstream.clock import Duration, Time, now_ns, to_ns, to_span
from rxstream.errors import ChunkError, ParameterError, SubscriberError
from rxstream.janitor import janitor
from rxstream.log import Cursor, Log, Policy, check_policy

__all__ = ["Delivery", "Rewindable", "Start", "TimeWindowSubject", "View", "check_bytes"]

_logger = logging.getLogger(__name__)
_numbers = itertools.count(1)
DEFAULT_BYTES = 1 << 30
_FOREVER = 1 << 62


@runtime_checkable
class Rewindable(Protocol):
    """What keeps a past: a device, a `TimeWindowSubject`, or a view of one."""

    def rewind(
        self, seconds: Duration | None = None, *, to: Time | None = None
    ) -> Observable[Chunk]:
        """Begin in the past and go on live."""
        ...

    def on_lag(self, policy: Policy, *, name: str | None = None) -> Observable[Chunk]:
        """Choose what happens to a subscriber that is too slow."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription begins, and what happens to it when it is too slow."""

    seconds: int | None = None
    """So long before the newest sample [ns]."""
    to: int | None = None
    """At this time [ns]."""
    policy: Policy = "gap"
    name: str | None = None


class Target(Protocol):
    """Where a `View` subscribes."""

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: Start,
    ) -> abc.DisposableBase:
        """Subscribe."""
        ...

    def check_start(self, start: Start) -> None:
        """Raise `ParameterError` for a start that cannot be."""
        ...


class View(Observable[Chunk]):
    """A stream seen from a start in its past, or with a lag policy; itself rewindable."""

    def __init__(self, target: Target, start: Start) -> None:
        target.check_start(start)
        self._target, self._start = target, start
        super().__init__()

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        return self._target.attach(observer, scheduler, self._start)

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> "View":
        """Begin ``seconds`` [s] before the newest sample, or at the time ``to``."""
        if (seconds is None) == (to is None):
            msg = f"rewind takes seconds or to=, one of them, not {seconds!r} and {to!r}"
            raise ParameterError(msg)
        span = None if seconds is None else to_span(seconds, "rewind", zero=True)
        when = None if to is None else to_ns(to)
        return View(self._target, replace(self._start, seconds=span, to=when))

    def on_lag(self, policy: Policy, *, name: str | None = None) -> "View":
        """Choose what happens when the subscriber is too slow: gap, latest, error, block."""
        check_policy(policy)
        return View(self._target, replace(self._start, policy=policy, name=name))


class Delivery(Disposable):
    """Takes chunks from a log for one observer, in a thread of its own or on a scheduler."""

    def __init__(
        self,
        log: Log,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: Start,
        report: Callable[[SubscriberError], None],
    ) -> None:
        super().__init__()
        self._log, self._observer, self._scheduler = log, observer, scheduler
        self._report = report
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._gone = False
        self.thread: threading.Thread | None = None
        self.done = threading.Event()
        if scheduler is None:
            wake = self._wake_thread
        elif isinstance(scheduler, ImmediateScheduler | CurrentThreadScheduler):
            wake = self._run_here
        else:
            wake = self._wake_scheduler
            if start.policy == "block" and isinstance(scheduler, VirtualTimeScheduler):
                msg = "on_lag('block') would wait for ever on a virtual-time scheduler"
                raise ParameterError(msg)
        name = start.name or f"{log.name}-{next(_numbers)}"
        self.cursor = Cursor(start.policy, wake, name)

    def start(self, since: int | None) -> None:
        """Begin at "now", or at the time ``since`` [ns]."""
        self._log.attach(self.cursor, since)

    def dispose(self) -> None:
        """Stop; nothing is delivered after the chunk under way."""
        if self._gone:
            return
        self._gone = True
        self._log.detach(self.cursor)
        if self.thread is None:
            self.done.set()
        else:
            self._bell.put(None)
        super().dispose()

    @property
    def behind(self) -> int:
        """Chunks not delivered yet."""
        return self._log.stop - self.cursor.position

    def _wake_thread(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(
                target=self._run, name=f"rxstream-{self.cursor.name}", daemon=True
            )
            self.thread.start()
        else:
            self._bell.put(None)

    def _run(self) -> None:
        try:
            while not self._gone:
                if not self._pump():
                    if self._gone:
                        return
                    self._bell.get()
        finally:
            self.done.set()

    def _run_here(self) -> None:
        while not self._gone and self._pump():
            pass

    def _wake_scheduler(self) -> None:
        if self._scheduler is not None and not self._gone:
            self._scheduler.schedule(self._action)

    def _action(self, _scheduler: abc.SchedulerBase, _state: Any = None) -> None:
        if not self._gone and self._pump():
            self._wake_scheduler()  # one batch at a time, so that others on the loop have a turn

    def _pump(self) -> bool:
        """Deliver what is there; return False if there was nothing."""
        try:
            chunks = self._log.take(self.cursor)
        except Exception as error:  # noqa: BLE001 - a LagError goes where stream errors go
            self._finish(error)
            return False
        if not chunks:
            if self._log.finished(self.cursor):
                self._finish(self._log.error)
            return False
        try:
            forward = self._observer.on_next
            for chunk in chunks:
                if self._gone:
                    return False
                forward(chunk)
        except Exception as error:  # noqa: BLE001 - one subscriber must not harm the others
            self._cut_off(error)
            return False
        return True

    def _finish(self, error: Exception | None) -> None:
        if self._gone:
            return
        try:
            if error is None:
                self._observer.on_completed()
            else:
                self._observer.on_error(error)
        except Exception as raised:  # noqa: BLE001 - as above
            self._cut_off(raised)
        self.dispose()
        self.done.set()

    def _cut_off(self, error: Exception) -> None:
        self.dispose()
        message = (
            f"{self._log.name}: subscriber {self.cursor.name} raised and is cut off: {error!r}"
        )
        wrapped = SubscriberError(message)
        wrapped.__cause__ = error
        self._report(wrapped)


def check_bytes(max_bytes: int) -> None:
    """Raise `ParameterError` if there is no room for a chunk."""
    if max_bytes < 1:
        msg = f"max_bytes must be >= 1, not {max_bytes!r}"
        raise ParameterError(msg)


def log_report(error: SubscriberError) -> None:
    """Tell of a subscriber's exception by the logging module."""
    _logger.error("%s", error, exc_info=error.__cause__)


class TimeWindowSubject(Subject[Chunk]):
    """A Subject of chunks that keeps the last seconds of sample time.

    Every subscriber reads one shared log with a cursor and a worker thread of its own (or on the
    ``scheduler`` given to ``subscribe``): the producer never waits for a slow one, and an
    exception in one does not touch the others.

    Parameters
    ----------
    history
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less.
    name
        For threads and messages.
    report
        Takes the `SubscriberError` of a subscriber that raised; default: the logging module.
    clock
        Gives the time [ns] by which an idle window ages. With a clock of your own (virtual time)
        call `trim` yourself; with the host clock it is done for you.

    Examples
    --------
    >>> import numpy as np
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from rxstream.chunk import StreamInfo
    >>> info = StreamInfo("ramp", rate=10.0, dtype=np.int64)
    >>> ramp = TimeWindowSubject(1.0)
    >>> for k in range(30):
    ...     ramp.on_next(Chunk.regular(np.array([k]), info, start=k * 100_000_000, index=k))
    >>> past = []
    >>> _ = ramp.rewind(0.3).subscribe(
    ...     lambda chunk: past.extend(chunk.data), scheduler=ImmediateScheduler())
    >>> [int(value) for value in past]
    [27, 28, 29]
    >>> ramp.last(0.2).data
    array([28, 29])
    >>> ramp.on_completed()
    """

    def __init__(
        self,
        history: Duration = 60.0,
        *,
        max_bytes: int = DEFAULT_BYTES,
        name: str = "stream",
        report: Callable[[SubscriberError], None] = log_report,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        super().__init__()
        check_bytes(max_bytes)
        self.log = Log(to_span(history, "history"), max_bytes, name, clock)
        self._report = report
        self._deliveries: list[Delivery] = []
        self._ended = threading.Event()
        self._tidy = clock is now_ns
        self._unwatch: Callable[[], None] | None = None

    # -- the observer's side ------------------------------------------------------------------

    def on_next(self, value: Chunk) -> None:
        """Append a chunk; returns at once, unless a subscriber asked to block."""
        if self._unwatch is None and self._tidy:
            every = max(0.02, min(1.0, self.log.span / 8e9))
            self._unwatch = janitor.watch(self.trim, every)
        self.log.append(value)

    def on_error(self, error: Exception) -> None:
        """End with an error, after everything that is there."""
        self._end(error)

    def on_completed(self) -> None:
        """End, after everything that is there."""
        self._end(None)

    def dispose(self) -> None:
        """Cut off every subscriber and let go of the window."""
        for delivery in list(self._deliveries):
            delivery.dispose()
        self._end(None)
        self.log.clear()
        super().dispose()

    def _end(self, error: Exception | None) -> None:
        self.log.end(error)
        self._ended.set()
        self._tidy = False
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()

    def trim(self) -> bool:
        """Let go of what is past although nothing new comes; return whether to call again."""
        left = self.log.trim_idle()
        if not left:
            self._unwatch = None
        return left

    # -- the subscriber's side ----------------------------------------------------------------

    def check_start(self, start: Start) -> None:
        """Raise `ParameterError` if a start lies further back than the window reaches."""
        if start.seconds is not None and start.seconds > self.log.span:
            msg = (
                f"rewind({start.seconds / 1e9:g}): the history of {self.log.name} is "
                f"{self.log.span / 1e9:g} s; make history= longer"
            )
            raise ParameterError(msg)

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: Start,
    ) -> abc.DisposableBase:
        """Subscribe from a start on."""
        delivery = Delivery(self.log, observer, scheduler, start, self._report)
        self._deliveries = [d for d in self._deliveries if not d.done.is_set()]
        self._deliveries.append(delivery)
        delivery.start(self.since(start))
        return delivery

    def since(self, start: Start) -> int | None:
        """Return the time [ns] at which a start lies now; None for "now"."""
        self.check_start(start)
        if start.seconds is None:
            return start.to
        newest = self.log.newest()
        # with nothing there yet, "now" could come after a first chunk that is just arriving
        return -_FOREVER if newest is None else newest.end - start.seconds

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        return self.attach(observer, scheduler, Start())

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> View:
        """Begin ``seconds`` [s] before the newest sample, or at the time ``to``, and go on live."""
        return View(self, Start()).rewind(seconds, to=to)

    def on_lag(self, policy: Policy, *, name: str | None = None) -> View:
        """Choose what happens to a subscriber that is too slow: gap, latest, error, block."""
        return View(self, Start()).on_lag(policy, name=name)

    def drain(self, timeout: float) -> list[Delivery]:
        """Wait until every subscriber's thread has ended; return those that have not [s]."""
        deadline = now_ns() + round(timeout * 1e9)
        here = threading.current_thread()
        late = []
        for delivery in list(self._deliveries):
            thread = delivery.thread
            if thread is None or thread is here:
                continue
            thread.join(max(0.0, (deadline - now_ns()) / 1e9))
            if thread.is_alive():
                late.append(delivery)
        return late

    def wait(self, span: int | None) -> bool:
        """Wait up to ``span`` [ns] until the stream has ended and every subscriber had it all."""
        deadline = None if span is None else now_ns() + span
        left = None if span is None else span / 1e9
        if not self._ended.wait(left):
            return False
        for delivery in list(self._deliveries):
            left = None if deadline is None else max(0.0, (deadline - now_ns()) / 1e9)
            if not delivery.done.wait(left):
                return False
        return True

    # -- looking back -------------------------------------------------------------------------

    def last(self, seconds: Duration) -> Chunk:  # type: ignore[override]  # Rx's fluent `last` is .pipe(last())
        """Return the newest ``seconds`` [s] as one chunk.

        Raises
        ------
        ChunkError
            If nothing has come yet.
        """
        span = to_span(seconds, "last", zero=True)
        newest = self.log.newest()
        end = newest.end if newest else 0
        return self.log.between(end - span, end)

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as the window holds it.

        Raises
        ------
        ChunkError
            If nothing has come yet.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        x, y = to_ns(t0), to_ns(t1)
        if y < x:
            msg = f"between({x}, {y}): the end is before the start"
            raise ParameterError(msg)
        return self.log.between(x, y)

    def at(self, t: Time) -> Chunk:
        """Return the sample at ``t``, or the last one before it, as a chunk of one.

        Raises
        ------
        ChunkError
            If the window holds no sample at or before ``t``.
        """
        when = to_ns(t)
        oldest = when
        for span in (10**9, self.log.span):  # most often it lies near; else look everywhere
            oldest = when - span
            newest = self.log.newest()
            if newest is not None and oldest > newest.end:
                oldest = newest.start
            for chunk in reversed(self.log.chunks(oldest, when + 1)):
                if len(chunk):
                    return cast("Chunk", chunk[len(chunk) - 1 :])
        msg = f"{self.log.name}: no sample at or before {when} is in the window"
        raise ChunkError(msg)

    def past(
        self, seconds: Duration | None = None, *, start: Time | None = None, end: Time | None = None
    ) -> Observable[Chunk]:
        """Return a cold Observable over the history: each subscription gets it again, then ends.

        Parameters
        ----------
        seconds
            The newest so many [s]; or
        start, end
            from a time to a time; default: all there is.
        """
        span = None if seconds is None else to_span(seconds, "past")
        x = None if start is None else to_ns(start)
        y = None if end is None else to_ns(end)

        def subscribe(
            observer: abc.ObserverBase[Chunk], _scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            newest = self.log.newest()
            begin, stop = x, y
            if stop is None:
                stop = _FOREVER
            if begin is None:
                begin = -_FOREVER
                if span is not None and newest is not None:
                    begin = min(stop, newest.end) - span
            gone = Disposable()
            for chunk in self.log.chunks(begin, stop):
                if gone.is_disposed:
                    return gone
                observer.on_next(chunk)
            observer.on_completed()
            return gone

        return Observable(subscribe)
