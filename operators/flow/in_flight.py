"""Calls that run elsewhere, a few at a time, and their results in the order of the items."""

import functools
import inspect
import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.errors import ParameterError, RxStreamError
from rxstream.validation import is_whole

__all__ = ["Calls", "check_in_flight", "is_async", "label_of", "run_in_order"]

A = TypeVar("A")
B = TypeVar("B")
A_contra = TypeVar("A_contra", contravariant=True)
_numbers = itertools.count(1)


class Calls(Protocol[A_contra, B]):
    """Where calls of one subscription run."""

    def submit(self, item: A_contra, /) -> Future[B]:
        """Begin a call, soon."""
        ...

    def close(self) -> None:
        """End what was made for this subscription alone; wait for nothing."""
        ...


def check_in_flight(name: str, in_flight: int) -> None:
    """Raise `ParameterError` if it is no number of calls."""
    if not is_whole(in_flight, 1):
        msg = f"{name}: in_flight must be a whole number of calls >= 1, not {in_flight!r}"
        raise ParameterError(msg)


def is_async(function: Any) -> bool:
    """Whether it is a coroutine function, or behaves as one."""
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__ if callable(function) else None
    return any(inspect.iscoroutinefunction(each) for each in (function, call))


def label_of(name: str, function: Any) -> str:
    """Return what to call the stage in messages."""
    inner = getattr(function, "func", function)  # of a functools.partial
    return f"{name}({getattr(inner, '__name__', type(inner).__name__)})"


def run_in_order(
    label: str, begin: Callable[[], Calls[A, B]], most: int
) -> Callable[[Observable[A]], Observable[B]]:
    """Return an operator that gives the results of calls in the order of the items.

    Parameters
    ----------
    label
        Of the stage, for messages and threads.
    begin
        Makes where the calls of one subscription run.
    most
        Items whose results have not been given yet, at most.
    """

    def operator(source: Observable[A]) -> Observable[B]:
        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Run(label, begin(), most, observer).start(source, scheduler)

        return Observable(subscribe)

    return operator


class _Run(Generic[A, B]):
    """One subscription: its source's thread hands calls out, a thread of its own gives results."""

    def __init__(
        self, label: str, calls: Calls[A, B], most: int, observer: abc.ObserverBase[B]
    ) -> None:
        self._label, self._calls, self._most, self._observer = label, calls, most, observer
        self._moved = threading.Condition()  # guards what follows
        self._pending: deque[tuple[A, Future[B]]] = deque()  # oldest first, until it is given
        self._over = self._gone = False
        self._error: Exception | None = None  # of the source
        self._raised: Exception | None = None  # by the subscriber
        self._source = SingleAssignmentDisposable()
        name = f"rxstream-{label}-{next(_numbers)}"
        self._thread = threading.Thread(target=self._give, name=name, daemon=True)

    def start(
        self, source: Observable[A], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._thread.start()
        try:
            self._source.disposable = source.subscribe(
                self._take, self._end, self._end, scheduler=scheduler
            )
        except BaseException:
            self._stop()
            raise
        return Disposable(self._dispose)

    # -- on the source's thread ---------------------------------------------------------------

    def _take(self, item: A) -> None:
        with self._moved:
            while len(self._pending) >= self._most and not self._gone:
                if threading.current_thread() is self._thread:  # fed back: it would wait for itself
                    break
                self._moved.wait()
        if self._gone:
            self._tell()
            return
        try:
            future = self._calls.submit(item)
        except Exception as error:  # noqa: BLE001 - it travels downstream, after the results before it
            future = Future()
            future.set_exception(error)
        with self._moved:
            if not self._gone:
                self._pending.append((item, future))
        # outside of the lock: it may call at once, or take the executor's lock
        future.add_done_callback(self._wake)
        if self._gone:
            future.cancel()

    def _end(self, error: Exception | None = None) -> None:
        """Wait until everything is given, so that a stream has ended when its source has."""
        with self._moved:
            self._over, self._error = True, error
            self._moved.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._tell()

    def _tell(self) -> None:
        """Raise what the subscriber raised: it goes back to who called."""
        if self._raised is not None:
            raise self._raised

    # -- on our own thread --------------------------------------------------------------------

    def _give(self) -> None:
        try:
            while self._give_next():
                pass
        except Exception as error:  # noqa: BLE001 - kept for who calls us
            self._raised = error
        finally:
            self._stop()
            self._calls.close()
            if self._raised is None:
                self._source.dispose()  # else its next call is the one that is told

    def _give_next(self) -> bool:
        """Give the oldest result when it is there; return False when there is nothing more."""
        with self._moved:
            while not self._gone and not (self._pending and self._pending[0][1].done()):
                if self._over and not self._pending:
                    break
                self._moved.wait()
            if self._gone:
                return False
            item, future = self._pending[0] if self._pending else (None, None)
        if future is None:
            if self._error is None:
                self._observer.on_completed()
            else:
                self._observer.on_error(self._error)
            return False
        error = _failure(future)
        if error is not None:
            error.add_note(f"{self._label}: in {_place(item)}")
            self._stop()  # what was begun after it is not wanted any more
            self._observer.on_error(error)
            return False
        self._observer.on_next(future.result())
        with self._moved:
            if self._pending:
                self._pending.popleft()  # now, so that results not given yet are bounded too
            self._moved.notify_all()
        return True

    # -- on any -------------------------------------------------------------------------------

    def _wake(self, _future: Future[B]) -> None:
        with self._moved:
            self._moved.notify_all()

    def _dispose(self) -> None:
        self._stop()
        if threading.current_thread() is not self._thread:  # else when we know whether it raised
            self._source.dispose()

    def _stop(self) -> None:
        with self._moved:
            self._gone = True
            pending, self._pending = self._pending, deque()
            self._moved.notify_all()
        for _, future in pending:
            future.cancel()


def _failure(future: Future[Any]) -> Exception | None:
    try:
        error = future.exception()
    except Exception as cancelled:  # noqa: BLE001 - somebody else has shut the executor down
        return cancelled
    if error is None or isinstance(error, Exception):
        return error
    wrapped = RxStreamError(f"the call ended with {error!r}")  # e.g. SystemExit
    wrapped.__cause__ = error
    return wrapped


def _place(item: object) -> str:
    if isinstance(item, Chunk):
        return f"the chunk of {item.info.name} at {format_time(item.start)} (sample {item.index})"
    return f"the item {item!r:.80}"
