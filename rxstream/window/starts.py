"""A stream seen from a start in its past: what ``rewind`` and ``past`` give."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from reactivex import Observable, abc, never
from reactivex.disposable import Disposable

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.errors import ParameterError
from rxstream.window.log import Log, Policy, check_policy

__all__ = ["Replay", "Rewindable", "StartPosition", "Target", "Window", "WindowView"]


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
class StartPosition:
    """Where a subscription begins, and what happens to it when it is too slow."""

    seconds: int | None = None
    """So long before the newest sample [ns]."""
    to: int | None = None
    """At this time [ns]."""
    policy: Policy = "gap"
    name: str | None = None


class Target(Protocol):
    """Where a `WindowView` subscribes."""

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe."""
        ...

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` for a start that cannot be."""
        ...


class WindowView(Observable[Chunk]):
    """A stream seen from a start in its past, or with a lag policy; itself rewindable."""

    def __init__(self, target: Target, start: StartPosition) -> None:
        target.check_start(start)
        self._target, self._start = target, start
        super().__init__()

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        return self._target.attach(observer, scheduler, self._start)

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> "WindowView":
        """Begin ``seconds`` [s] before the newest sample, or at the time ``to``."""
        if (seconds is None) == (to is None):
            msg = f"rewind takes seconds or to=, one of them, not {seconds!r} and {to!r}"
            raise ParameterError(msg)
        span = None if seconds is None else to_span(seconds, "rewind", zero=True)
        when = None if to is None else to_ns(to)
        return WindowView(self._target, replace(self._start, seconds=span, to=when))

    def on_lag(self, policy: Policy, *, name: str | None = None) -> "WindowView":
        """Choose what happens when the subscriber is too slow: gap, latest, error, block."""
        check_policy(policy)
        return WindowView(self._target, replace(self._start, policy=policy, name=name))


class Excerpt(NamedTuple):
    """What a `Replay` gives to one subscription."""

    warmup: list[Chunk]
    """What lies before the asked start."""
    asked: list[Chunk]
    begin: int
    """The asked start [ns]."""


class Window(Protocol):
    """Where a `Replay` comes from."""

    @property
    def log(self) -> Log:
        """Its chunks."""
        ...

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as it is there."""
        ...

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` for a start that cannot be."""
        ...


class Replay(Observable[Chunk]):
    """The history as a cold Observable: each subscription gets it again, then ends.

    Subscribed to, it gives what was asked for. With a warm-up, its `pipe` runs the operators over
    that too, so that filters have settled, and leaves out what they give for it.
    """

    def __init__(
        self, read: Callable[[], Excerpt], window: Window, *, warm: bool, cut: bool
    ) -> None:
        super().__init__()
        self._read, self._window, self._warm, self._cut = read, window, warm, cut

    @property
    def name(self) -> str:
        """Of the stream."""
        return self._window.log.name

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what its window holds from ``t0`` to before ``t1``, also beyond what was asked.

        Raises
        ------
        ChunkError
            If nothing had ever come.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        return self._window.between(t0, t1)

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` if a start lies further back than its window reaches."""
        self._window.check_start(start)

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        return _give(self._read().asked, observer)

    def pipe(self, *operators: Callable[[Any], Any]) -> Any:
        """Run operators over the history, its warm-up included, and leave out the warm-up's part.

        What has a time is judged by it: chunks, and tuples of chunks of the same times, as of
        ``align``, are cut to the sample at the asked start; a `JoinedWindow` or a `Clip` is left
        out if it ends by then, else it stays whole. What has none, as a number, belongs to what
        with a time has led to it, the last one on its way through these operators.

        That holds for what is given while an operator is at an item. What comes later or on another
        thread, as from ``map_parallel`` and ``map_async``, has to have a time. Else end the pipe
        before, and nothing of the warm-up gets there:
        ``past.pipe(ops.window_by_time(1)).pipe(ops.map_parallel(peak))``. So too before what counts
        or adds up from the beginning on, unless the warm-up is to be counted in.

        Raises
        ------
        ParameterError
            If the last operator gives no Observable; downstream, for what comes without a time
            later or on another thread.
        """
        if not (operators and self._warm):
            return super().pipe(*operators)
        built = never().pipe(*operators)  # bad ones fail here
        if not isinstance(built, Observable):
            msg = f"past(...).pipe must end in an Observable, not in a {type(built).__name__}"
            raise ParameterError(msg)

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            sieve = _Sieve(self._read(), cut=self._cut)
            result = sieve.source()
            for number, operator in enumerate(operators, 1):
                result = operator(sieve.watched(result, number - 1))
            return result.subscribe(
                partial(sieve.give, observer, len(operators)),
                observer.on_error,
                partial(sieve.end, observer),
                scheduler=scheduler,
            )

        return Observable(subscribe)


class _Sieve:
    """Lets pass what operators make of what was asked for, and not what they make of the warm-up.

    Between any two of them it looks at the items that have a time. As long as the next operator is
    at one of these, on the same thread, what comes out is made of it.
    """

    def __init__(self, history: Excerpt, *, cut: bool) -> None:
        self._history, self._cut = history, cut
        self._begun = False
        self._lost = 0  # number of the operator whose results do not tell; 0: of none
        self._at = threading.local()  # .wanted: whether what a thread is at was asked for

    def source(self) -> Observable[Chunk]:
        """Return the history, its warm-up first."""

        def subscribe(
            observer: abc.ObserverBase[Chunk], _scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._begun = True
            _give(self._history.warmup, observer, end=False)
            return _give(self._history.asked, observer)

        return Observable(subscribe)

    def watched(self, stream: Any, number: int) -> Any:
        """Return what the operator of a number gives, and look at it."""
        if type(stream) is not Observable:  # a subject or what connects has more to it
            return stream

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return stream.subscribe(
                partial(self._lead, observer, number),
                observer.on_error,
                partial(self.end, observer),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    def _lead(self, observer: abc.ObserverBase[Any], number: int, item: Any) -> None:
        before, wanted = getattr(self._at, "wanted", None), self._wants(item)
        if wanted is None and self._begun:
            self._lost = self._lost or number
        self._at.wanted = wanted
        try:
            observer.on_next(item)
        finally:
            self._at.wanted = before

    def end(self, observer: abc.ObserverBase[Any]) -> None:
        """Pass on the end of a stream; what it brings is of all."""
        before, self._at.wanted = getattr(self._at, "wanted", None), True
        try:
            observer.on_completed()
        finally:
            self._at.wanted = before

    def give(self, observer: abc.ObserverBase[Any], number: int, item: Any) -> None:
        """Give a result, or its part from the asked start on."""
        wanted = self._wants(item)
        if wanted is None and self._begun:
            msg = (
                "past(warmup=...).pipe: what operator "
                f"{self._lost or number} gives has no time and comes late or on another thread, so "
                "whether it is of the warm-up cannot be told; end the pipe before it: "
                "past(...).pipe(...).pipe(this_operator, ...)"
            )
            observer.on_error(ParameterError(msg))
        elif wanted:
            observer.on_next(_from(item, self._history.begin) if self._cut else item)

    def _wants(self, item: Any) -> bool | None:
        """Whether an item is not of the warm-up alone; None, if nobody knows."""
        wanted: bool | None = getattr(self._at, "wanted", None)
        extent = _extent(item)
        if extent is None and wanted is None and isinstance(item, tuple) and item:
            extent = _extent(item[0])
        if extent is None:
            return wanted
        start, end = extent
        return start >= self._history.begin or end > self._history.begin


def _extent(item: Any) -> tuple[int, int] | None:
    """Return from when to when [ns] an item tells, if it says so itself."""
    if isinstance(item, Chunk):
        return item.covered_from, item.end
    if isinstance(item, Clip) or hasattr(item, "chunks"):  # or JoinedWindow
        start, end = getattr(item, "start", None), getattr(item, "end", None)
        return (start, end) if isinstance(start, int) and isinstance(end, int) else None
    if type(item) is tuple and item and all(isinstance(part, Chunk) for part in item):
        extents = {(part.covered_from, part.end) for part in item}
        return extents.pop() if len(extents) == 1 else None
    return None


def _from(item: Any, begin: int) -> Any:
    """Return what of a chunk, or of chunks of the same times, lies after the asked start."""
    if isinstance(item, Chunk):
        return item if item.covered_from >= begin else item.between(begin, item.end)
    if type(item) is tuple and _extent(item) is not None:
        return tuple(_from(part, begin) for part in item)
    return item


def _give(
    chunks: list[Chunk], observer: abc.ObserverBase[Chunk], *, end: bool = True
) -> abc.DisposableBase:
    for chunk in chunks:
        observer.on_next(chunk)
    if end:
        observer.on_completed()
    return Disposable()
