"""A subscriber's worker: takes chunks from the log and delivers them to one observer."""

import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from operator import length_hint
from queue import SimpleQueue
from threading import get_ident
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler, ImmediateScheduler, VirtualTimeScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError, RxStreamError, SinkError, SubscriberError
from rxstream.flag import Flag
from rxstream.printable import error_repr, error_text, first_time_logged, get_logger
from rxstream.steps.delivery import deliveries, delivering, numbers
from rxstream.steps.heartbeats import HeartbeatFilter, WithoutHeartbeats
from rxstream.steps.observers import Guarded, belongs_to_caller
from rxstream.window.log import Cursor, Log
from rxstream.window.starts import StartPosition

__all__ = ["Report", "SubscriberWorker", "log_report", "report_safely"]

_logger = get_logger(__name__)
_numbers = itertools.count(1)

# How many batches a thread that appends or subscribes delivers beyond what was there, when other
# threads append faster than the subscriber takes; then a thread of its own goes on.
_MAX_EXTRA_BATCHES = 64


Report = Callable[[RxStreamError], None]
"""Takes the `SubscriberError` of a subscriber that raised, and a `ShortHistoryError`."""


def log_report(error: RxStreamError) -> None:
    """Report the exception of a subscriber, or a short history, to the logging module."""
    level = logging.ERROR if isinstance(error, SubscriberError) else logging.WARNING
    cause = error.__cause__
    if isinstance(cause, SinkError):  # its text says all, and its own thread may have logged it
        if first_time_logged(cause):
            _logger.log(level, "%s", error_text(error))
        return
    _logger.log(level, "%s", error_text(error), exc_info=cause)


def report_safely(report: Report, error: RxStreamError) -> None:
    """Report an error; a report that raises harms neither the producer nor other subscribers."""
    try:
        report(error)
    except BaseException as raised:
        _logger.exception("rxstream: the report of %r raised", error_text(error))
        if belongs_to_caller(raised):
            raise


class SubscriberWorker(Disposable):
    """Takes chunks from a log for one observer, in a thread of its own or on a scheduler."""

    def __init__(
        self,
        log: Log,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
        report: Report,
    ) -> None:
        super().__init__()
        # Appending threads wake it, and those are not the loop's.
        if isinstance(scheduler, AsyncIOScheduler):
            scheduler = AsyncIOThreadSafeScheduler(scheduler._loop)  # noqa: SLF001
        # Heartbeats are left out here, where chunks come in batches: it is quicker than one by one.
        self._filter: HeartbeatFilter | None = None
        if type(observer) is WithoutHeartbeats:
            observer, self._filter = observer.observer, HeartbeatFilter()
        self._log, self._observer, self._scheduler = log, observer, scheduler
        self._guarded = observer if isinstance(observer, Guarded) else None
        self._report = report
        self._wakeup: SimpleQueue[Any] = SimpleQueue()
        self._gone = False
        # what is left of the chunks it has taken; its length says how many, at no cost for each
        self._batch: Iterator[Chunk] | None = None
        # None until it runs, and for schedulers.
        self.thread: threading.Thread | None = None
        self.done = Flag()
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
        """Stop; the chunk being delivered is the last one."""
        if self._gone:
            return
        self._leave()
        if self.thread is None:
            self.done.set()

    def _leave(self) -> None:
        """Take nothing more from the log."""
        if self._gone:
            return
        self._gone = True
        self._log.detach(self.cursor)
        if self.thread is not None:
            self._wakeup.put(None)
        # they know each other: so a dropped window is freed without a collection
        self.cursor.wake = _nothing
        super().dispose()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` [s] for its own thread, if any; return False if that goes on."""
        if self._scheduler is not None or self.thread is threading.current_thread():
            return True
        deadline = time.monotonic() + timeout
        if not self.done.wait(timeout):
            return False
        if self.thread is not None:
            self.thread.join(max(0.0, deadline - time.monotonic()))
            return not self.thread.is_alive()
        return True

    @property
    def behind(self) -> int:
        """Chunks not delivered yet, with the one that is being delivered."""
        batch = self._batch
        taken = 0 if batch is None else 1 + length_hint(batch)
        return self._log.stop - self.cursor.position + taken

    def _wake_thread(self) -> None:
        if self.thread is not None:
            self._wakeup.put(None)
            return
        # it had nothing to take, and nothing will come
        if self._log.forgotten:
            return
        thread = threading.Thread(
            target=_work, name=f"rxstream-{self.cursor.name}", daemon=True,
            args=(weakref.ref(self, self._wakeup.put), self._wakeup),
        )  # fmt: skip
        try:
            thread.start()
        except RuntimeError as error:
            # the system has no more threads; who waits for the end gets it here
            self._finish(error)
            return
        self.thread = thread

    def deliver_all(self) -> bool:
        """Deliver what is there, in its own thread; return whether more may come."""
        more = False
        try:
            if self.thread is None:
                self.thread = threading.current_thread()
            while not self._gone and self._deliver_batch():
                pass
            more = not self._gone
        finally:
            if not more:
                self.dispose()
                self.done.set()
        return more

    def _run_here(self) -> None:
        """Deliver in the thread that appends or subscribes, and not for ever if others append."""
        if self._log.forgotten:
            return
        # the usual: one batch, and nothing after it
        if not (self._deliver_batch() and self._deliver_batch()):
            return
        target, extra = self._log.stop, 0
        while not self._gone and self._deliver_batch():
            extra += self.cursor.position > target
            if extra > _MAX_EXTRA_BATCHES:
                name = f"rxstream-{self.cursor.name}-catching-up"
                threading.Thread(target=self._catch_up, name=name, daemon=True).start()
                return

    def _catch_up(self) -> None:
        while not self._gone and self._deliver_batch():
            pass

    def _wake_scheduler(self) -> None:
        # as above
        if not self._log.forgotten:
            self._schedule()

    def _schedule(self) -> None:
        if self._scheduler is None or self._gone:
            return
        try:
            self._scheduler.schedule(_Turn(self))
        except BaseException as error:  # noqa: BLE001 - a disposed scheduler, a closed loop
            self._cut_off(error)

    def take_turn(self) -> None:
        """Deliver one batch on the scheduler, so that others on it have a turn."""
        if not self._gone and self._deliver_batch():
            self._schedule()

    def _deliver_batch(self) -> bool:
        """Deliver the next chunks; return False if there were none, or at the end."""
        try:
            chunks = self._log.take(self.cursor)
        except Exception as error:  # noqa: BLE001 - a LagError goes where stream errors go
            self._finish(error)
            return False
        except BaseException as error:  # noqa: BLE001 - ^C
            self._cut_off(error)
            return False
        if not chunks:
            if chunks is None:
                self._finish(self._log.error)
            return False
        here = get_ident()
        outermost = here not in deliveries
        try:
            # as `delivering` does, and quicker: this runs for each chunk of who keeps up
            if outermost:
                deliveries[here] = next(numbers)
            without = self._filter
            if without is not None and (without.kept or not self.cursor.dense):
                chunks = without.push_all(chunks)
            self._batch = batch = iter(chunks)
            self._deliver(batch)
        except BaseException as error:  # noqa: BLE001 - one subscriber must not harm the others
            self._cut_off(error)
        finally:
            self._batch = None
            if outermost:
                deliveries.pop(here, None)
        return not self._gone

    def _deliver(self, chunks: Iterator[Chunk]) -> None:
        """Call the observer with each chunk, as long as it is there."""
        observer = self._guarded
        if observer is None:
            for chunk in chunks:
                if self._gone:
                    return
                self._observer.on_next(chunk)
            return
        # without a call of a method, and a `try`, for each
        function = observer.function
        item: Chunk | None = None  # ^C may come before the first
        try:
            for item in chunks:
                if self._gone or observer.is_stopped:
                    return
                function(item)
        except BaseException as error:  # noqa: BLE001 - it says whose it is
            observer.take_raised(error, item)

    def _finish(self, error: Exception | None) -> None:
        if self._gone:
            return
        # that nobody can append any more is no end of the stream
        if self._log.forgotten:
            self.dispose()
            return
        try:
            with delivering():
                for chunk in () if self._filter is None else self._filter.flush():
                    self._observer.on_next(chunk)
                if error is None:
                    self._observer.on_completed()
                else:
                    self._observer.on_error(error)
        except BaseException as raised:  # noqa: BLE001 - as above
            self._cut_off(raised)
        self.dispose()
        self.done.set()

    def _cut_off(self, error: BaseException) -> None:
        """Dispose of it and report why; raise what is meant to end the program."""
        self._leave()
        message = (
            f"{self._log.name}: subscriber {self.cursor.name} raised and is cut off: "
            f"{error_repr(error)}"
        )
        wrapped = SubscriberError(message)
        wrapped.__cause__ = error
        try:
            report_safely(self._report, wrapped)
        finally:
            # who waits for its end finds why; its own thread is done later
            if self.thread is None:
                self.done.set()
        if belongs_to_caller(error):
            raise error


class _Turn:
    """A worker's turn on a scheduler, which may hold this longer than it takes."""

    __slots__ = ("_worker",)

    def __init__(self, worker: SubscriberWorker) -> None:
        self._worker: SubscriberWorker | None = worker

    def __call__(self, _scheduler: abc.SchedulerBase, _state: Any = None) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.take_turn()


def _nothing() -> None:
    """Stand in for the wake-up of a worker that is disposed of."""


def _work(ref: "weakref.ref[SubscriberWorker]", wakeup: SimpleQueue[Any]) -> None:
    """Run a worker's thread, to its end or until nobody has the worker any more.

    While there is nothing to deliver, the thread holds neither the observer nor the window: a
    subject that a program has dropped is freed with its subscribers, also where these refer to it.
    """
    while (worker := ref()) is not None and worker.deliver_all():
        del worker
        wakeup.get()
