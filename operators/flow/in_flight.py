"""Run calls elsewhere, a bounded number at a time, and emit results in the order of the items."""

import functools
import inspect
import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar, cast

from reactivex import Observable, Observer, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxstream.data.chunk import Chunk
from rxstream.data.concat import concat
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError, RxStreamError
from rxstream.operators.values.results import place_of
from rxstream.printable import shown
from rxstream.steps.heartbeats import WithoutHeartbeats, keep_heartbeats
from rxstream.steps.stream import Stream
from rxstream.validation import is_whole

__all__ = ["Calls", "is_async", "run_in_order"]

A = TypeVar("A")
B = TypeVar("B")
A_contra = TypeVar("A_contra", contravariant=True)
_subscriptions = itertools.count(1)

# Chunks without samples that may wait for the results before them, beyond the calls in flight. An
# idle device sends some in a second, so that this is enough for a call of minutes.
_MAX_HEARTBEATS = 1000


class Calls(Protocol[A_contra, B]):
    """The place where the calls of one subscription run."""

    def submit(self, item: A_contra, /) -> Future[B]:
        """Start a call, or queue it."""
        ...

    def close(self) -> None:
        """Release what was made for this subscription alone, without waiting."""
        ...


def is_async(function: Any) -> bool:
    """Whether it is a coroutine function, a partial of one, or an object with an async call."""
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__ if callable(function) else None
    return any(inspect.iscoroutinefunction(each) for each in (function, call))


def run_in_order(
    name: str, function: Any, in_flight: int, begin: Callable[[str], Calls[A, B]]
) -> Callable[[Observable[A]], Stream[B]]:
    """Return an operator that emits the results of calls in the order of the items.

    Chunks without samples pass by the function. They are emitted in their turn, unless the results
    are no chunks.

    Parameters
    ----------
    name
        Name of the operator.
    function
        The function called, named in messages and threads.
    in_flight
        Largest number of items whose results have not been emitted.
    begin
        Makes the `Calls` of a subscription; takes the label of the stage.

    Raises
    ------
    ParameterError
        If ``in_flight`` is no number of calls.
    """
    if not is_whole(in_flight, 1):
        msg = f"{name}: in_flight must be a whole number of calls >= 1, not {shown(in_flight)}"
        raise ParameterError(msg)
    inner = getattr(function, "func", function)  # of a functools.partial
    label = f"{name}({getattr(inner, '__name__', type(inner).__name__)})"

    def operator(source: Observable[A]) -> Stream[B]:
        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            run = _Run(label, begin(label), in_flight, observer)
            return run.start(keep_heartbeats(source), scheduler)

        return Stream(subscribe, source)

    return operator


class _Run(Generic[A, B]):
    """One subscription: the source's thread submits calls, a thread of its own emits results."""

    def __init__(
        self, label: str, calls: Calls[A, B], in_flight: int, observer: abc.ObserverBase[B]
    ) -> None:
        self._label, self._calls, self._observer = label, calls, observer
        self._in_flight = in_flight
        self._changed = threading.Condition()  # guards the fields below
        # Items and their calls, oldest first, until emitted; a heartbeat has no call.
        self._pending: deque[tuple[A, Future[B] | None]] = deque()
        self._heartbeats = 0  # pending
        self._info: StreamInfo | None = None  # of the newest result, if that is a chunk
        self._emits_values = False  # the newest result is no chunk
        self._held: list[Chunk] = []  # heartbeats before the first result
        self._ended = False  # the source has
        self._stopped = False  # nothing more is submitted or emitted
        self._error: Exception | None = None  # from the source
        self._raised: Exception | None = None  # by the subscriber
        self._source = SingleAssignmentDisposable()
        name = f"rxstream-{label}-{next(_subscriptions)}"
        self._thread = threading.Thread(target=self._deliver, name=name, daemon=True)

    def start(
        self, source: Observable[A], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        self._thread.start()
        # Of tuples of chunks, as from `align`, no heartbeats pass: the results may be of one kind
        # or the other. Their gaps go with the next samples.
        others = WithoutHeartbeats(Observer(self._take, self._end, self._end))

        def receive(item: A) -> None:
            (self._take if isinstance(item, Chunk) else others.on_next)(item)

        try:
            self._source.disposable = source.subscribe(
                receive, others.on_error, others.on_completed, scheduler=scheduler
            )
        except BaseException:
            self._stop()
            raise
        return Disposable(self._dispose)

    # -- on the source's thread ---------------------------------------------------------------

    def _take(self, item: A) -> None:
        is_heartbeat = isinstance(item, Chunk) and not len(item)
        # Results that are fed back into the source come on our own thread, which would wait for
        # itself.
        fed_back = threading.current_thread() is self._thread
        with self._changed:
            while self._is_full() and not self._stopped and not fed_back:
                self._changed.wait()
            if is_heartbeat and not self._stopped:
                self._heartbeats += 1
                self._pending.append((item, None))
                self._changed.notify_all()
        if self._stopped:
            self._raise_to_caller()
        elif not is_heartbeat:
            self._submit(item)

    def _is_full(self) -> bool:
        calls = len(self._pending) - self._heartbeats
        return calls >= self._in_flight or self._heartbeats >= _MAX_HEARTBEATS

    def _submit(self, item: A) -> None:
        try:
            future = self._calls.submit(item)
        except Exception as error:  # noqa: BLE001 - it goes downstream, after the results before it
            future = Future()
            future.set_exception(error)
        with self._changed:
            if not self._stopped:
                self._pending.append((item, future))
        # Outside the lock: it may run the callback at once, or take the executor's lock.
        future.add_done_callback(self._wake)
        if self._stopped:
            future.cancel()

    def _end(self, error: Exception | None = None) -> None:
        """Wait until everything is emitted, so that a stream has ended when its source has."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._raise_to_caller()

    def _raise_to_caller(self) -> None:
        """Raise on the source's thread what the subscriber raised on ours."""
        if self._raised is not None:
            raise self._raised

    # -- on our own thread --------------------------------------------------------------------

    def _deliver(self) -> None:
        try:
            while self._deliver_next():
                pass
        except Exception as error:  # noqa: BLE001 - raised again on the source's thread
            self._raised = error
        finally:
            self._stop()
            self._calls.close()
            # A subscriber's exception is raised to the source at its next call, so that must come.
            if self._raised is None:
                self._source.dispose()

    def _deliver_next(self) -> bool:
        """Emit the oldest result once it is there; return False when nothing is left to emit."""
        with self._changed:
            while not self._stopped and not self._is_ready():
                self._changed.wait()
            if self._stopped:
                return False
            oldest = self._pending[0] if self._pending else None
        if oldest is None:
            # No result has come, so its kind is not known.
            for heartbeat in self._held:
                cast("Any", self._observer.on_next)(heartbeat)
            if self._error is None:
                self._observer.on_completed()
            else:
                self._observer.on_error(self._error)
            return False
        item, future = oldest
        error = None if future is None else _failure(future)
        if error is not None:
            error.add_note(f"{self._label}: in {place_of(item)}")
            self._stop()
            self._observer.on_error(error)
            return False
        self._emit(item, future)
        # Only now does the item give up its place: results not emitted yet are bounded too.
        with self._changed:
            if self._pending:
                self._pending.popleft()
                self._heartbeats -= future is None
            self._changed.notify_all()
        return True

    def _is_ready(self) -> bool:
        """Whether the oldest result is there, or nothing is still to come."""
        if not self._pending:
            return self._ended
        future = self._pending[0][1]
        return future is None or future.done()

    def _emit(self, item: Any, future: Future[B] | None) -> None:
        if future is None:
            self._emit_heartbeat(item)
            return
        result = future.result()
        self._info = result.info if isinstance(result, Chunk) else None
        self._emits_values = self._info is None
        held, self._held = self._held, []
        for heartbeat in held:
            self._emit_heartbeat(heartbeat)
        self._observer.on_next(result)

    def _emit_heartbeat(self, item: Any) -> None:
        """Emit a heartbeat as one of the results; before the first of them, hold it.

        Operators behind take a chunk of another description for another stream. Values that are no
        chunks have no heartbeats.
        """
        info, emit = self._info, cast("Any", self._observer.on_next)
        if info is not None:
            emit(Chunk.empty(info, item.start, item.end, index=item.index,
                             gap_positions=item.gap_positions))  # fmt: skip
        elif not self._emits_values:
            self._held.append(item)
            if len(self._held) > _MAX_HEARTBEATS:
                self._held = [concat(self._held)]

    # -- on any thread ------------------------------------------------------------------------

    def _wake(self, _future: Future[B]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _dispose(self) -> None:
        self._stop()
        # On our own thread the subscriber is being called: `_deliver` disposes of the source once
        # it is known whether the subscriber raises.
        if threading.current_thread() is not self._thread:
            self._source.dispose()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            pending, self._pending = self._pending, deque()
            self._changed.notify_all()
        for _, future in pending:
            if future is not None:
                future.cancel()


def _failure(future: Future[Any]) -> Exception | None:
    """Return the exception that a finished call ended with, or None."""
    try:
        error = future.exception()
    except Exception as cancelled:  # noqa: BLE001 - by a shutdown of the executor from outside
        return cancelled
    if error is None or isinstance(error, Exception):
        return error
    wrapped = RxStreamError(f"the call ended with {error!r}")  # e.g. SystemExit
    wrapped.__cause__ = error
    return wrapped
