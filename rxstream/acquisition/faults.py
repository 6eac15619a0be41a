"""Faults that a device survives: kept, and reported beside the stream, which goes on."""

import inspect
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias, overload

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxstream.errors import RxStreamError
from rxstream.printable import error_repr, get_logger
from rxstream.timing.stamp import ClockEvent

__all__ = ["Fault", "Faults"]

_logger = get_logger(__name__)

Fault: TypeAlias = RxStreamError | ClockEvent
"""An error that was survived (a `DeviceError`, a `SubscriberError`), or a finding of the clock."""

# Faults that are kept, and that wait for a subscriber at most. A device that fails each second is
# seen for more than a minute.
_MAX_KEPT = 100

# How many the repr shows.
_SHOWN = 3

_GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Faults(Observable[Fault]):
    """The last 100 faults of a device, and an Observable of those to come.

    Each subscriber is called in a thread of its own: one that is slow or raises harms neither the
    device nor another, and what it raises is logged. If 100 wait for it the oldest are left out,
    which is logged too. After the `close` of the device it has had all.

    Parameters
    ----------
    name
        Name of the stream, for log messages.

    Examples
    --------
    >>> from rxstream.errors import OverrunError
    >>> faults = Faults("mic")
    >>> faults.report(OverrunError("480 samples"))
    >>> len(faults), faults[-1]
    (1, OverrunError('480 samples'))
    >>> faults
    <Faults of mic: 1: OverrunError('480 samples')>
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.renew()
        self._kept: deque[Fault] = deque(maxlen=_MAX_KEPT)

    def renew(self) -> None:
        """Start over without subscribers, as a forked child does: it has not their threads."""
        # An RLock: what is dropped while it is held may have a finalizer that reports.
        self._lock = threading.RLock()
        self._workers: tuple[_Worker, ...] = ()

    def report(self, fault: Fault) -> None:
        """Keep a fault, and hand it to the threads of the subscribers."""
        if isinstance(fault, BaseException):
            _free_locals(fault)
        with self._lock:
            self._kept.append(fault)
            workers = self._workers
        for worker in workers:
            worker.put(fault)

    def drain(self, timeout: float) -> bool:
        """Wait until every subscriber has had everything, up to ``timeout`` [s]."""
        deadline = time.monotonic() + timeout
        return all(worker.drain(deadline - time.monotonic()) for worker in self._workers)

    def _subscribe_core(
        self, observer: abc.ObserverBase[Fault], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        worker = _Worker(self._name, observer)
        with self._lock:
            self._workers = (*self._workers, worker)

        def dispose() -> None:
            worker.stop()
            with self._lock:
                self._workers = tuple(w for w in self._workers if w is not worker)

        return Disposable(dispose)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._kept))

    @overload  # type: ignore[override]  # Rx's slice of a stream is .pipe(slice(…))
    def __getitem__(self, key: int) -> Fault: ...
    @overload
    def __getitem__(self, key: slice) -> list[Fault]: ...
    def __getitem__(self, key: int | slice) -> Fault | list[Fault]:
        return list(self)[key]

    def __repr__(self) -> str:
        faults = list(self)
        shown = ", ".join(map(error_repr, faults[-_SHOWN:]))
        count = len(faults) if len(faults) <= _SHOWN else f"{len(faults)}, the last"
        return f"<Faults of {self._name}: {count}{': ' if shown else ''}{shown}>"


class _Worker:
    """Calls one observer in a thread of its own, which lives as long as something waits."""

    def __init__(self, name: str, observer: abc.ObserverBase[Fault]) -> None:
        self._name, self._observer = name, observer
        self._changed = threading.Condition(threading.RLock())  # guards what follows
        self._waiting: deque[Fault] = deque()
        self._left_out = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def put(self, fault: Fault) -> None:
        with self._changed:
            if self._stopped:
                return
            if len(self._waiting) == _MAX_KEPT:
                self._waiting.popleft()
                self._left_out += 1
            self._waiting.append(fault)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = thread = threading.Thread(
            target=self._run, name=f"rxstream-{self._name}-faults", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            # no more threads, or the end of the program; they are among those that are kept
            self._thread = None
            self._waiting.clear()
            _logger.warning("%s: a subscriber of faults cannot be called: %s", self._name, error)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._waiting.clear()

    def drain(self, timeout: float) -> bool:
        with self._changed:
            thread = self._thread
            if thread is None or thread is threading.current_thread():
                return True
            return self._changed.wait_for(lambda: self._thread is not thread, max(0.0, timeout))

    def _run(self) -> None:
        while (fault := self._next()) is not None:
            try:
                self._observer.on_next(fault)
            except BaseException:
                _logger.exception("%s: a subscriber of faults raised", self._name)

    def _next(self) -> Fault | None:
        """Return the next one; None ends the thread."""
        with self._changed:
            left_out, self._left_out = self._left_out, 0
            if not self._waiting:
                self._thread = None
                self._changed.notify_all()
                return None
            fault = self._waiting.popleft()
        if left_out:
            _logger.warning("%s: a subscriber of faults is slow: %d left out", self._name, left_out)
        return fault


def _free_locals(error: BaseException) -> None:
    """Drop what the functions that an error came through had at hand; their lines stay.

    Else a hundred faults would hold a hundred times the samples that were worked on.
    """
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        one = errors.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        errors += [one.__cause__, one.__context__]
        for frame, _line in traceback.walk_tb(one.__traceback__):
            # a generator may have caught it and go on
            if not frame.f_code.co_flags & _GENERATORS:
                try:
                    frame.clear()
                except RuntimeError:
                    # it still runs
                    continue
