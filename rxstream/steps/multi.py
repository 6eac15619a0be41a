"""Run a plain push/done object with several inputs, a `MultiStep`, inside an Rx stream."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Protocol, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import CurrentThreadScheduler

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.steps.watermark import NEVER, Watermarks

__all__ = ["MultiStep", "Watermarks", "lift_multi", "stream_names"]

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
_PARTS = ("marks", "finished", "push", "done")
_PATIENCE = 0.25  # s that a thread which is ahead waits for one that is behind


class MultiStep(Protocol[B_co]):
    """The state of an operator with several inputs: no Rx, no threads, no clocks in it.

    The source is port 0, the others are ports 1, 2, ...
    """

    @property
    def marks(self) -> Watermarks:
        """Up to when each port has told; the joint lets it `see` every chunk."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will come out, whatever comes in."""
        ...

    def push(self, port: int, chunk: Chunk, /) -> Iterable[B_co]:
        """Take the next chunk of a port, give zero or more."""
        ...

    def done(self, port: int, /) -> Iterable[B_co]:
        """Take the end of a port; at that of the last one give what is held back."""
        ...


def lift_multi(
    make: Callable[[], MultiStep[B]], others: Sequence[Observable[Chunk]], name: str
) -> Callable[[Observable[Chunk]], Observable[B]]:
    """Return an operator that runs each subscription with its other inputs through a `MultiStep`.

    Its inputs may come on any threads: one at a time is taken, the observer never sees two at
    once. What they give while they are still being subscribed to, as a past does, is kept and then
    taken in the order of its times; so it does not matter who was first. A thread whose
    chunk would make another input late (`Watermarks`) waits a moment for it, as long as that goes
    on and is not of the same thread or of the one that subscribed.

    Parameters
    ----------
    make
        Makes a fresh joint; called once for each subscription.
    others
        The inputs after the source.
    name
        Of the operator; an error of an input goes on with a note that tells which it was.

    Returns
    -------
    operator
        Ends when the joint is `finished`, or all inputs have ended.

    Raises
    ------
    ParameterError
        When it is subscribed to, if the joint lacks a part of `MultiStep`.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream.data.stream_info import StreamInfo
    >>> class Lengths:
    ...     finished = False
    ...     def __init__(self):
    ...         self.marks = Watermarks(2, 10**9)
    ...     def push(self, port, chunk):
    ...         self.marks.see(port, chunk)
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

    def operator(source: Observable[Chunk]) -> Observable[B]:
        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            joint = make()
            lacking = [part for part in _PARTS if not hasattr(joint, part)]
            if lacking:
                msg = (
                    f"{name}: {type(joint).__name__} is no MultiStep; it lacks {', '.join(lacking)}"
                )
                raise ParameterError(msg)
            return _Run(joint, observer, name).start((source, *others), scheduler)

        return Observable(subscribe)

    return operator


def stream_names(others: Sequence[Any], operator: str) -> list[str | None]:
    """Return what the other inputs are called, where they tell.

    Raises
    ------
    ParameterError
        If there are none, or one is no Observable.
    """
    if not others:
        msg = f"{operator} needs another stream, e.g. mic.pipe(ops.{operator}(cam))"
        raise ParameterError(msg)
    for other in others:
        if not isinstance(other, Observable):
            msg = f"{operator}: {other!r:.80} is no stream of chunks; options need their names"
            raise ParameterError(msg)
    return [_name(other) for other in others]


def _name(stream: Any) -> str | None:
    name = getattr(stream, "name", None) or getattr(getattr(stream, "log", None), "name", None)
    return name if isinstance(name, str) else None


_Event: TypeAlias = Chunk | Exception | None
"""What an input gives; None is its end."""


class _Run:
    """One subscription: the threads of all inputs, one at a time."""

    def __init__(self, joint: MultiStep[Any], observer: abc.ObserverBase[Any], name: str) -> None:
        self._joint, self._observer, self._name = joint, observer, name
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._waiting = 0  # threads in `_wait`
        self._home = get_ident()
        self._threads: dict[int, int] = {}  # on which each port came last
        self._silent: set[int] = set()  # ports waited for in vain, until they have caught up
        self._events: deque[tuple[int, _Event]] = deque()
        self._busy = True  # until all inputs are subscribed to
        self._stopped = False
        self._names: list[str | None] = []
        self._open = 0

    def start(
        self, inputs: Sequence[Observable[Chunk]], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Subscribe to all inputs; nothing is judged before that is done."""
        everything = CompositeDisposable(Disposable(self._stop))
        self._names, self._open = [_name(stream) for stream in inputs], len(inputs)
        for port, stream in reversed(list(enumerate(inputs))):
            take = partial(self._take, port)
            subscription = stream.subscribe(take, take, partial(take, None), scheduler=scheduler)
            everything.add(subscription)
        # a cold input of RxPY gives what it has when this returns: begin after that
        everything.add(CurrentThreadScheduler.singleton().schedule(self._begin))
        return everything

    def _begin(self, *_: Any) -> None:
        """Take what has come so far, in the order of its times."""
        with self._lock:
            keyed: list[tuple[int, int, int, _Event]] = []
            last = dict.fromkeys(range(self._open), NEVER)
            for number, (port, event) in enumerate(self._events):
                if isinstance(event, Chunk):
                    keyed.append((max(event.covered_from, last[port]), -port, number, event))
                    last[port] = max(event.end, last[port])
                else:
                    keyed.append((last[port], -port, number, event))
            keyed.sort(key=lambda item: item[:3])
            self._events = deque((-port, event) for _, port, _, event in keyed)
            self._drain()

    def _take(self, port: int, event: _Event) -> None:
        with self._lock:  # quicker than the condition, whose lock it is
            if self._stopped:
                return
            here = get_ident()
            if here != self._home and not self._busy and isinstance(event, Chunk):
                self._wait(port, event.covered_from, here)
            self._threads[port] = here
            self._events.append((port, event))
            if not self._busy:  # else who is at it will take it: this came from within
                self._drain()
            if self._waiting:
                self._turn.notify_all()

    def _wait(self, port: int, start: int, here: int) -> None:
        """Let those come first who would be late by a chunk of ``port`` from ``start`` [ns] on."""
        marks, silent = self._joint.marks, self._silent
        while not self._stopped:
            behind = {p for p in marks.behind(start) if p != port} - silent
            silent |= {p for p in behind if self._threads.get(p) == here}
            behind -= silent
            if not behind:
                return
            self._waiting += 1
            try:
                if not self._turn.wait(_PATIENCE):
                    silent |= behind
            finally:
                self._waiting -= 1

    def _drain(self) -> None:
        self._busy = True
        events = self._events
        try:
            while events and not self._stopped:
                port, event = events.popleft()
                self._apply(port, event)
        finally:
            self._busy = False

    def _apply(self, port: int, event: _Event) -> None:
        joint, observer = self._joint, self._observer
        if isinstance(event, Exception):
            which = f"input {port}" if port else "its source"
            name = self._names[port]
            event.add_note(f"{self._name}: this came from {which}{f', {name}' if name else ''}")
            self._fail(event)
            return
        try:
            results = joint.done(port) if event is None else joint.push(port, event)
            if type(results) is not list and type(results) is not tuple:
                results = tuple(results)  # run a generator here, where it may raise
        except Exception as error:  # noqa: BLE001 - the Rx contract: it travels downstream
            self._fail(error)
            return
        if event is None:
            self._open -= 1
        elif self._silent and port in self._silent and port not in joint.marks.behind():
            self._silent.discard(port)
        for result in results:
            if self._stopped:
                return
            observer.on_next(result)
        if (joint.finished or not self._open) and not self._stopped:
            self._stopped = True
            observer.on_completed()

    def _fail(self, error: Exception) -> None:
        self._stopped = True
        self._events.clear()
        self._observer.on_error(error)

    def _stop(self) -> None:
        self._stopped = True
        if self._turn.acquire(blocking=False):  # else somebody has it and will see
            self._turn.notify_all()
            self._turn.release()
