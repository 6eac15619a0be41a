"""`TimeWindowSubject`: a hot stream with a past, and a worker for each subscriber."""

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from reactivex import abc
from reactivex.internal.exceptions import DisposedException
from reactivex.subject import Subject

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.errors import ParameterError
from rxstream.flag import Flag
from rxstream.printable import shown
from rxstream.steps.step_error import no_chunk
from rxstream.validation import checked_name, is_whole
from rxstream.window.janitor import janitor
from rxstream.window.log import Log
from rxstream.window.reader import Reader
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition
from rxstream.window.worker import Report, SubscriberWorker, log_report, report_safely

__all__ = ["DEFAULT_BYTES", "DEFAULT_HISTORY", "TimeWindowSubject", "check_bytes"]

# 1 GiB: 46 minutes of stereo sound at 48 kHz as float32, or 170 color frames of 1080p.
DEFAULT_BYTES = 1 << 30

# A minute: what people want to look back at, and 12 MB of stereo sound.
DEFAULT_HISTORY = 60.0  # [s]

# How often an idle window is trimmed: data stays an eighth of the window longer than asked for,
# but not so often that short windows keep a thread busy, and within a second for long ones.
_TRIMS_PER_WINDOW = 8
_MIN_TRIM_INTERVAL, _MAX_TRIM_INTERVAL = 0.02, 1.0  # [s]

_all: "weakref.WeakSet[TimeWindowSubject]" = weakref.WeakSet()


def check_bytes(max_bytes: int) -> None:
    """Raise `ParameterError` if ``max_bytes`` is not a whole number >= 1."""
    if not is_whole(max_bytes, 1):
        msg = f"max_bytes must be a whole number >= 1, not {shown(max_bytes)}"
        raise ParameterError(msg)


class TimeWindowSubject(Rewindable, Subject[Chunk]):
    """A Subject of chunks that keeps the last seconds of sample time.

    Every subscriber reads one shared log with a cursor and a worker thread of its own, or on the
    ``scheduler`` given to ``subscribe``: the producer never waits for a slow one, and an
    exception in one does not touch the others.

    Parameters
    ----------
    history
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less: samples, stamps and raw evidence, and what a chunk is made
        of besides. A chunk is counted as large as it is, also where it is a view of a larger array.
    name
        Name in threads and messages.
    report
        Called with the `SubscriberError` of a subscriber that raised, and once with a
        `ShortHistoryError` if the bytes are too few for the history; default: the logging module.
    clock
        Returns the time [ns] by which an idle window ages. With the host clock it is trimmed by
        itself; with another one, as in virtual time, call `trim`.

    Examples
    --------
    >>> import numpy as np
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from rxstream.data.stream_info import StreamInfo
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
        history: Duration = DEFAULT_HISTORY,
        *,
        max_bytes: int = DEFAULT_BYTES,
        name: str = "stream",
        report: Report = log_report,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        super().__init__()
        check_bytes(max_bytes)
        name = checked_name(name, "TimeWindowSubject: name")
        span = to_span(history, "history")
        self._log = Log(span, max_bytes, name, clock, partial(report_safely, report))
        self.report_fault = report
        # A signal handler, or a finalizer, may end the stream while this thread holds it.
        self._guard = threading.RLock()
        self._workers: list[SubscriberWorker] = []
        self._ended = Flag()
        self._tidy = clock is now_ns
        self._unwatch: Callable[[], None] | None = None
        _all.add(self)

    @property
    def log(self) -> Log:
        """The shared log of chunks: the window."""
        return self._log

    # -- the observer's side ------------------------------------------------------------------

    def on_next(self, value: Chunk) -> None:
        """Append a chunk; return at once, unless a subscriber asked to block.

        Raises
        ------
        ChunkError
            If it begins before the end of the one before it: it goes back, or comes twice.
        DisposedException
            After `dispose`, as any Subject of RxPY.
        ParameterError
            If it is no chunk.
        """
        if self.is_disposed:
            raise DisposedException
        if type(value) is not Chunk and not isinstance(value, Chunk):
            raise no_chunk(value)
        self._log.append(value)
        if self._unwatch is None:
            self._watch()

    def on_error(self, error: Exception) -> None:
        """End with an error, after everything that is there."""
        self.check_disposed()
        self._end(error)

    def on_completed(self) -> None:
        """End, after everything that is there."""
        self.check_disposed()
        self._end(None)

    def dispose(self) -> None:
        """Cut off every subscriber and drop the window."""
        for worker in list(self._workers):
            worker.dispose()
        self._end(None)
        self._log.clear()
        super().dispose()

    def __del__(self) -> None:
        # Nobody can append any more: its readers take what is there, and its threads end.
        log = getattr(self, "_log", None)
        if log is not None:
            log.forget()

    def leave_parent(self, error: Exception | None = None) -> None:
        """Take new locks in a forked child; with ``error``, end with it. See `Log.leave_parent`."""
        self._guard = threading.RLock()
        self._unwatch = None  # the janitor of a child has nothing to do yet
        self._log.leave_parent(error)

    def _end(self, error: Exception | None) -> None:
        if not self.is_stopped:
            self.is_stopped, self.exception = True, error
        self._log.end(error)
        self._ended.set()
        with self._guard:
            self._tidy = False
            unwatch = self._unwatch
        if unwatch is not None:
            unwatch()
            # afterwards: where Ctrl-C comes in between, the next end does it again
            self._unwatch = None

    def _watch(self) -> None:
        """Have the janitor trim the window while it is idle."""
        with self._guard:
            if not self._tidy or self._unwatch is not None:
                return
            every = self._log.span / 1e9 / _TRIMS_PER_WINDOW
            every = min(max(every, _MIN_TRIM_INTERVAL), _MAX_TRIM_INTERVAL)
            self._unwatch = unwatch = janitor.watch(self.trim, every)
            if self._tidy:
                return
            # a signal handler has ended it meanwhile
            self._unwatch = None
        unwatch()

    def trim(self) -> bool:
        """Expire chunks by the clock while nothing new comes; return whether to call again."""
        if self._log.trim_idle():
            # after the end nobody may be left who would cancel it
            return not self._ended.is_set()
        self._unwatch = None
        # A chunk that came just before that line found the window watched still.
        if self._log.start < self._log.stop:
            self._watch()
        return False

    # -- the subscriber's side ----------------------------------------------------------------

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on."""
        self.check_disposed()
        since = start.since(self._log)
        worker = SubscriberWorker(self._log, observer, scheduler, start, self.report_fault)
        # One at a time, so that none is lost which a signal handler makes in between.
        self._workers.append(worker)
        for one in [w for w in self._workers if w.done.is_set()]:
            with suppress(ValueError):
                self._workers.remove(one)
        worker.start(since)
        return worker

    def attach_reader(
        self, start: StartPosition, on_close: Callable[[], None] | None = None
    ) -> Reader:
        """Return a reader that begins at a start."""
        self.check_disposed()
        since, name = start.since(self._log), start.name or "reader"
        return Reader(self._log, start.policy, since, name, on_close)

    def drain(self, timeout: float) -> list[SubscriberWorker]:
        """Wait until every subscriber's thread has ended; return those that have not [s]."""
        deadline = now_ns() + round(timeout * 1e9)
        return [
            worker
            for worker in list(self._workers)
            if not worker.join(max(0.0, (deadline - now_ns()) / 1e9))
        ]

    def wait(self, span: int | None) -> bool:
        """Wait up to ``span`` [ns] for the end of the stream, and of each subscriber's delivery."""
        deadline = None if span is None else now_ns() + span
        left = None if span is None else span / 1e9
        if not self._ended.wait(left):
            return False
        for worker in list(self._workers):
            left = None if deadline is None else max(0.0, (deadline - now_ns()) / 1e9)
            if not worker.done.wait(left):
                return False
        return True

    def __repr__(self) -> str:
        log = self._log
        kept = f"{log.held:.3g} s of {log.span / 1e9:g} s kept, {log.nbytes / 1e6:.3g} MB"
        return f"<TimeWindowSubject {log.name}: {kept}, subscribers: {len(log.cursors())}>"


def _leave_parent() -> None:
    for subject in list(_all):
        subject.leave_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parent)
