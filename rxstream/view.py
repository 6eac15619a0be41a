"""A stream seen from a start in its past: what ``rewind`` and ``past`` give."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

from reactivex import Observable, abc, never
from reactivex.disposable import Disposable

from rxstream.chunk import Chunk
from rxstream.clock import Duration, Time, to_ns, to_span
from rxstream.errors import ParameterError
from rxstream.log import Log, Policy, check_policy

__all__ = ["Past", "Rewindable", "Start", "Target", "View", "Window"]


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


class History(NamedTuple):
    """What a `Past` gives to one subscription."""

    warmup: list[Chunk]
    """What lies before the asked start."""
    asked: list[Chunk]
    begin: int
    """The asked start [ns]."""


class Window(Protocol):
    """Where a `Past` comes from."""

    @property
    def log(self) -> Log:
        """Its chunks."""
        ...

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as it is there."""
        ...

    def check_start(self, start: Start) -> None:
        """Raise `ParameterError` for a start that cannot be."""
        ...


class Past(Observable[Chunk]):
    """The history as a cold Observable: each subscription gets it again, then ends.

    Subscribed to, it gives what was asked for. With a warm-up, its `pipe` runs the operators over
    that too, so that filters have settled, and leaves out what they give for it.
    """

    def __init__(
        self, read: Callable[[], History], window: Window, *, warm: bool, cut: bool
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

    def check_start(self, start: Start) -> None:
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

        What comes out is cut to the sample at the asked start (chunks), or left out if it comes
        out before the operators were given anything after it (everything else).

        Raises
        ------
        ParameterError
            If the last operator gives no Observable.
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
            history = self._read()
            warm = True

            def source(
                inner: abc.ObserverBase[Chunk], _scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                nonlocal warm
                _give(history.warmup, inner, end=False)
                warm = False
                return _give(history.asked, inner)

            def on_next(item: Any) -> None:
                if not isinstance(item, Chunk):
                    if not warm:
                        observer.on_next(item)
                elif item.extent >= history.begin:
                    observer.on_next(item)
                elif item.end > history.begin:
                    observer.on_next(item.between(history.begin, item.end) if self._cut else item)

            result: Observable[Any] = Observable(source).pipe(*operators)
            return result.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)


def _give(
    chunks: list[Chunk], observer: abc.ObserverBase[Chunk], *, end: bool = True
) -> abc.DisposableBase:
    for chunk in chunks:
        observer.on_next(chunk)
    if end:
        observer.on_completed()
    return Disposable()
