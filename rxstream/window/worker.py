"""A subscription's worker: takes chunks from the log and hands them to one observer."""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler, ImmediateScheduler, VirtualTimeScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError, SubscriberError
from rxstream.window.log import Cursor, Log
from rxstream.window.starts import StartPosition

__all__ = ["SubscriberWorker", "log_report"]

_logger = logging.getLogger(__name__)
_numbers = itertools.count(1)
_PATIENCE = 64  # batches


def log_report(error: SubscriberError) -> None:
    """Tell of a subscriber's exception by the logging module."""
    _logger.error("%s", error, exc_info=error.__cause__)


class SubscriberWorker(Disposable):
    """Takes chunks from a log for one observer, in a thread of its own or on a scheduler."""

    def __init__(
        self,
        log: Log,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
        report: Callable[[SubscriberError], None],
    ) -> None:
        super().__init__()
        if isinstance(scheduler, AsyncIOScheduler):  # what wakes it is not the loop's thread
            scheduler = AsyncIOThreadSafeScheduler(scheduler._loop)  # noqa: SLF001
        self._log, self._observer, self._scheduler = log, observer, scheduler
        self._report = report
        self._wakeup: SimpleQueue[None] = SimpleQueue()
        self._gone = False
        self.thread: threading.Thread | None = None  # set when it runs
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
            self._wakeup.put(None)
        super().dispose()

    def join(self, timeout: float) -> bool:
        """Wait for the end of its thread; False if it has one of its own that goes on [s]."""
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
        """Chunks not delivered yet."""
        return self._log.stop - self.cursor.position

    def _wake_thread(self) -> None:
        if self.thread is not None:
            self._wakeup.put(None)
            return
        thread = threading.Thread(
            target=self._run, name=f"rxstream-{self.cursor.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # there are too many
            self._cut_off(error)
            return
        self.thread = thread

    def _run(self) -> None:
        self.thread = threading.current_thread()
        try:
            while not self._gone:
                if not self._deliver_batch():
                    if self._gone:
                        return
                    self._wakeup.get()
        finally:
            self.dispose()  # also when a subscriber has ended its thread by SystemExit
            self.done.set()

    def _run_here(self) -> None:
        """Deliver in the thread of who appends, or subscribes; not for ever, if others append."""
        target, more = self._log.stop, 0
        while not self._gone and self._deliver_batch():
            more += self.cursor.position > target
            if more > _PATIENCE:
                name = f"rxstream-{self.cursor.name}-catching-up"
                threading.Thread(target=self._catch_up, name=name, daemon=True).start()
                return

    def _catch_up(self) -> None:
        while not self._gone and self._deliver_batch():
            pass

    def _wake_scheduler(self) -> None:
        if self._scheduler is None or self._gone:
            return
        try:
            self._scheduler.schedule(self._action)
        except Exception as error:  # noqa: BLE001 - it was disposed, its loop closed: not our affair
            self._cut_off(error)

    def _action(self, _scheduler: abc.SchedulerBase, _state: Any = None) -> None:
        if not self._gone and self._deliver_batch():
            self._wake_scheduler()  # one batch at a time, so that others on the loop have a turn

    def _deliver_batch(self) -> bool:
        """Deliver what is there; return False if there was nothing."""
        try:
            chunks = self._log.take(self.cursor)
        except Exception as error:  # noqa: BLE001 - a LagError goes where stream errors go
            self._finish(error)
            return False
        if chunks is None:
            self._finish(self._log.error)
        if not chunks:
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
        try:
            self._report(wrapped)
        except Exception:  # who is told of the harm must not do more
            _logger.exception("%s: the report of a subscriber's error raised", self._log.name)
