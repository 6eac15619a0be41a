"""A stream seen from a start in its past, or with a lag policy: what ``rewind`` gives."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from reactivex import Observable, abc

from rxstream.chunk import Chunk
from rxstream.clock import Duration, Time, to_ns, to_span
from rxstream.errors import ParameterError
from rxstream.log import Policy, check_policy

__all__ = ["Rewindable", "Start", "Target", "View"]


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
