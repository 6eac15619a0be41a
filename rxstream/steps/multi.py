"""Run a plain push/done object with several inputs, a `MultiStep`, inside an Rx stream."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from threading import get_ident
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import CurrentThreadScheduler

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.lift import as_results, check_maker, check_parts
from rxstream.steps.step_error import step_error
from rxstream.steps.stream import Stream
from rxstream.steps.watermark import NEVER, Watermarks

__all__ = ["MultiStep", "Watermarks", "lift_multi", "not_a_stream", "stream_name", "stream_names"]

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
_PARTS = ("marks", "finished", "push", "done")

# How long a thread that is ahead waits for one that makes no progress [s]: longer than a busy
# machine lets a thread pause, short enough that a device's window outlasts it many times.
_MAX_WAIT = 1.0


class MultiStep(Protocol[B_co]):
    """The state of an operator with several inputs: no Rx, no threads, no clocks in it.

    The source is port 0, the others are ports 1, 2, ...

    An error of an input goes downstream, unless the step has a method ``failed(port, error)`` too.
    That takes an error in place of the end of the port and returns results as `done` does. After
    them the output goes on without that input; after those of an error of the source, the error
    goes downstream.
    """

    @property
    def marks(self) -> Watermarks:
        """Per-input watermarks; the step must `advance` them for every chunk."""
        ...

    @property
    def finished(self) -> bool:
        """Whether no further output is possible."""
        ...

    def push(self, port: int, item: Any, /) -> Iterable[B_co]:
        """Take the next item of a port, most often a `Chunk`; return zero or more results."""
        ...

    def done(self, port: int, /) -> Iterable[B_co]:
        """Take the end of a port; at the last one return what is held back."""
        ...


def lift_multi(
    make: Callable[[], MultiStep[B]], others: Sequence[Observable[Any]], name: str
) -> Callable[[Observable[Any]], Stream[B]]:
    """Return an operator that runs each subscription with its other inputs through a `MultiStep`.

    The inputs may come on any threads. They are taken one at a time, and the observer never sees
    two results at once. Items that arrive during the subscription, as those of a past do, are
    kept and then taken in the order of their times, so it does not matter which input was first;
    the threads of the others wait meanwhile with their second chunk. A thread whose chunk would
    make another input late (`Watermarks`) waits for it, as long as that makes progress and does
    not run on the same thread. The thread that subscribes waits only for inputs that it has seen
    on other threads, and only with what it has kept.

    Parameters
    ----------
    make
        Makes a fresh step; called once for each subscription.
    others
        The inputs after the source. Items that are no chunks are allowed if the step takes them;
        those that arrive during the subscription come right after the chunk before them.
    name
        Name of the operator; an error of an input gets a note that names both.

    Returns
    -------
    operator
        Ends when the step is `finished`, or all inputs have ended.

    Raises
    ------
    ParameterError
        If ``make`` cannot be called, or one of ``others`` is no Observable; on subscription, if the
        step lacks a part of `MultiStep`; downstream, if it returns None or a chunk, not a tuple.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream.data.stream_info import StreamInfo
    >>> class Lengths:
    ...     finished = False
    ...     def __init__(self):
    ...         self.marks = Watermarks(2, 10**9)
    ...     def push(self, port, chunk):
    ...         self.marks.advance(port, chunk)
    ...         return ((port, len(chunk)),)
    ...     def done(self, port):
    ...         return ((port, "end"),)
    >>> a = Chunk.regular(np.arange(9), StreamInfo("a", 1.0, (), np.int64), start=0)
    >>> items = []
    >>> join = lift_multi(Lengths, [rx.of(a[2:4])], "lengths")
    >>> _ = rx.of(a[:4], a[4:]).pipe(join).subscribe(items.append)
    >>> items
    [(0, 4), (1, 2), (1, 'end'), (0, 5), (0, 'end')]
    """
    check_maker("lift_multi", make)
    # a stream can be iterated over, and has no end
    if isinstance(others, Observable):
        msg = f"lift_multi: give the other streams as a list, [{shown(others, 40)}]"
        raise ParameterError(msg)
    _check_streams(others, name)

    def operator(source: Observable[Any]) -> Stream[B]:
        streams = (source, *others)
        inputs, names = list(map(keep_heartbeats, streams)), list(map(stream_name, streams))

        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            step = make()
            check_parts(step, _PARTS, "MultiStep", name)
            return _Run(step, observer, name, names).start(inputs, scheduler)

        return Stream(subscribe, source, others=others)

    return operator


def stream_names(others: Sequence[Any], operator: str) -> list[str | None]:
    """Return the names of the other inputs, where they have one.

    Raises
    ------
    ParameterError
        If there are none, or one is no Observable.
    """
    if not others:
        msg = f"{operator} needs another stream, e.g. mic.pipe(ops.{operator}(cam))"
        raise ParameterError(msg)
    _check_streams(others, operator)
    return [stream_name(other) for other in others]


def _check_streams(others: Sequence[Any], operator: str) -> None:
    for other in others:
        if not isinstance(other, Observable):
            raise ParameterError(not_a_stream(operator, other))


def not_a_stream(operator: str, given: object) -> str:
    """Return the message for an argument that is no Observable, with the remedy."""
    if isinstance(given, list | tuple):
        return f"{operator} takes streams one by one, {operator}(*streams), not {shown(given, 80)}"
    remedy = "options need their names"
    kind = type(given)
    if hasattr(kind, "open") and hasattr(kind, "info"):
        remedy = "it describes a device: Device(...) of it is the stream"
    return f"{operator}: {shown(given, 80)} is no stream of chunks; {remedy}"


def stream_name(stream: Any) -> str | None:
    """Return the name of a device or a window, else None."""
    name = getattr(stream, "name", None) or getattr(getattr(stream, "log", None), "name", None)
    return name if isinstance(name, str) else None


_Failed: TypeAlias = Callable[[int, Exception], Iterable[Any]]


class _End(NamedTuple):
    """The end of an input, in the place of an item."""

    error: Exception | None = None


class _Early:
    """Items that come during the subscription, in the order of their times."""

    def __init__(self, ports: int, marks: Watermarks) -> None:
        self._marks = marks
        self._heap: list[tuple[int, int, int, Any]] = []
        self._last = [NEVER] * ports
        self._numbers = count()
        self.counts = [0] * ports

    def put(self, port: int, item: Any) -> None:
        """Keep an item: no earlier than the one before it, and right after that if no chunk."""
        position = last = self._last[port]
        if isinstance(item, Chunk):
            position = max(self._marks.position(item), last)
            self._last[port] = max(item.end, last)
        self.counts[port] += 1
        heappush(self._heap, (position, -port, next(self._numbers), item))

    def first(self) -> tuple[int, Any] | None:
        """Return the first one and its port; it stays."""
        if not self._heap:
            return None
        _, port, _, item = self._heap[0]
        return -port, item

    def pop(self) -> tuple[int, Any]:
        """Return the first one and its port; it is no longer kept."""
        _, port, _, item = heappop(self._heap)
        self.counts[-port] -= 1
        return -port, item


class _Run:
    """One subscription: the threads of all inputs, one at a time."""

    def __init__(
        self,
        step: MultiStep[Any],
        observer: abc.ObserverBase[Any],
        name: str,
        names: Sequence[str | None],
    ) -> None:
        self._step, self._observer = step, observer
        self._name, self._names = name, names
        self._failed: _Failed | None = getattr(step, "failed", None)
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._waiting = 0  # threads in `_pause`
        self._pending: dict[int, int] = {}  # ports in `_wait`: where their chunk begins [ns]
        self._home = get_ident()
        self._threads: dict[int, int] = {}  # the thread of each port's last item
        self._silent: set[int] = set()  # ports waited for in vain, until they have caught up
        self._items: deque[tuple[int, Any]] = deque()  # of a port each; the last one is an `_End`
        # until all inputs are subscribed to, and what has come by then is taken
        self._early: _Early | None = None
        self._long = False  # the subscription takes longer than a thread waits
        self._busy = True  # as long as that, and while one item is taken
        self._stopped = False
        self._open = len(names)  # inputs that have not ended

    def start(
        self, inputs: Sequence[Observable[Any]], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Subscribe to all inputs, then take what has come so far."""
        self._early = early = _Early(self._open, self._step.marks)
        everything = CompositeDisposable(Disposable(self._stop))
        for port, stream in reversed(list(enumerate(inputs))):
            subscription = stream.subscribe(
                partial(self._take, port),
                partial(self._take_error, port),
                partial(self._take, port, _End()),
                scheduler=scheduler,
            )
            everything.add(subscription)
        # a cold input of RxPY gives what it has only when this returns: begin after that
        everything.add(CurrentThreadScheduler.singleton().schedule(partial(self._begin, early)))
        return everything

    def _begin(self, early: _Early, *_: Any) -> None:
        """Take what has come so far, in the order of its times."""
        with self._lock:
            try:
                while not self._stopped and (first := early.first()) is not None:
                    # what comes meanwhile may be before it
                    if isinstance(first[1], Chunk) and self._wait_early(early, *first):
                        continue
                    early.pop()
                    self._wake()
                    self._apply(*first)
            finally:
                while not self._stopped and early.first() is not None:
                    self._items.append(early.pop())
                self._early, self._busy = None, False
                self._wake()

    def _take_error(self, port: int, error: Exception) -> None:
        self._take(port, _End(error))

    def _take(self, port: int, item: Any) -> None:
        with self._lock:  # quicker than the condition, whose lock it is
            if self._stopped:
                self._wake()
                return
            here = get_ident()
            if here != self._home and isinstance(item, Chunk):
                if self._early is not None:
                    self._wait_for_begin(port)
                if not self._busy:
                    self._wait(port, item, here)
            self._threads[port] = here
            # busy: it came during the subscription, and waits for `_begin`; or this very thread is
            # in `_drain`, whose observer has caused it, and takes it there
            if self._early is not None:
                self._early.put(port, item)
            else:
                self._items.append((port, item))
                if not self._busy:
                    self._drain()
            self._wake()

    def _wait_for_begin(self, port: int) -> None:
        """Let no thread run ahead while others are subscribed to; one chunk of each is kept."""
        while not (self._stopped or self._long or self._early is None):
            if not self._early.counts[port]:
                return
            # what is subscribed to may wait for this very thread: then it goes on
            self._long = not self._pause()

    def _wait_early(self, early: _Early, port: int, chunk: Chunk) -> bool:
        """Let those come first that a kept chunk would make late, if other threads give them.

        Those of which something is kept have come: it is later. Returns whether it has waited.
        """
        behind = set(self._step.marks.behind(self._step.marks.position(chunk))) - self._silent
        behind = {p for p in behind if p != port and not early.counts[p]}
        behind = {p for p in behind if self._threads.get(p, self._home) != self._home}
        if behind and not self._pause():
            self._silent |= behind
        return bool(behind)

    def _wait(self, port: int, chunk: Chunk, here: int) -> None:
        """Let those come first that a chunk of ``port`` would make late."""
        marks, silent, pending = self._step.marks, self._silent, self._pending
        begin, position = chunk.covered_from, marks.position(chunk)
        try:
            # one that is not ahead of all makes nobody later than they are
            while not self._stopped and position > marks.newest:
                behind = {p for p in marks.behind(position) if p != port} - silent
                # one of this very thread cannot come while it waits
                silent |= {p for p in behind if self._threads.get(p) == here}
                # nor has one that waits itself anything before what it waits with
                behind = {p for p in behind - silent if pending.get(p, NEVER) < begin}
                if not behind:
                    return
                if port not in pending:
                    pending[port] = begin
                    self._wake()
                if not self._pause():
                    silent |= behind
        finally:
            pending.pop(port, None)

    def _pause(self) -> bool:
        """Wait until something has happened; False if nothing has."""
        self._waiting += 1
        try:
            return self._turn.wait(_MAX_WAIT)
        finally:
            self._waiting -= 1

    def _wake(self) -> None:
        if self._waiting:
            self._turn.notify_all()

    def _drain(self) -> None:
        self._busy = True
        items = self._items
        try:
            while items and not self._stopped:
                port, item = items.popleft()
                self._apply(port, item)
        finally:
            self._busy = False

    def _apply(self, port: int, item: Any) -> None:
        step, observer = self._step, self._observer
        ended = type(item) is _End
        error: Exception | None = item.error if ended else None
        try:
            if not ended:
                results = step.push(port, item)
            elif error is None:
                results = step.done(port)
            else:
                results = () if self._failed is None else self._failed(port, error)
            if type(results) is not list and type(results) is not tuple:
                results = as_results(results, step)
        except BaseException as raised:  # noqa: BLE001 - the Rx contract: it travels downstream
            self._fail(step_error(raised, item))
            return
        if ended:
            self._open -= 1
        elif self._silent and port in self._silent and port not in step.marks.behind():
            self._silent.discard(port)
        for result in results:
            if self._stopped:
                return
            observer.on_next(result)
        if self._stopped:
            return
        if error is not None and (port == 0 or self._failed is None):
            self._fail(self._noted(port, error))
        elif step.finished or not self._open:
            self._stopped = True
            observer.on_completed()

    def _noted(self, port: int, error: Exception) -> Exception:
        """Return an error with a note that names the input it came from."""
        which = f"input {port}" if port else "its source"
        name = self._names[port]
        error.add_note(f"{self._name}: this came from {which}{f', {name}' if name else ''}")
        return error

    def _fail(self, error: Exception) -> None:
        self._stopped = True
        self._items.clear()
        self._observer.on_error(error)

    def _stop(self) -> None:
        self._stopped = True
        if self._turn.acquire(blocking=False):  # else somebody has it and will see
            self._turn.notify_all()
            self._turn.release()
