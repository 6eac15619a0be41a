"""`Stream`: what our operators return and our devices are."""

import functools
import inspect
import reprlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from reactivex import Observable, abc
from reactivex import operators as rxo
from reactivex.disposable import CompositeDisposable, Disposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time
from rxstream.errors import NotRewindableError, ParameterError
from rxstream.printable import shown
from rxstream.steps.heartbeats import WithoutHeartbeats
from rxstream.steps.observers import subscribe_guarded
from rxstream.steps.pull import BaseReader, StreamReader, iterate_stream

__all__ = ["Stream", "chain_of", "label", "name_of"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
P = ParamSpec("P")

# Items that wait for whoever pulls, before the stream itself waits.
_HAND_OVER = 16

Subscribe = Callable[[abc.ObserverBase[T], abc.SchedulerBase | None], abc.DisposableBase]


class Stream(Observable[T]):
    """An Observable that knows where it comes from, and can be pulled from.

    Its subscribers get no chunks without samples (heartbeats), unless they ask for them; the gaps
    of those come with the next samples, or at the end.

    Parameters
    ----------
    subscribe
        Subscribes an observer that gets everything, heartbeats included.
    source
        The stream it is made of.
    label
        The operator that made it, in its repr.
    others
        The other streams it is made of.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import StreamInfo, operators as ops
    >>> ramp = Chunk.regular(np.arange(4), StreamInfo("ramp", 1.0, (), np.int64), start=0)
    >>> pairs = rx.of(ramp).pipe(ops.rechunk(2), ops.map_data(np.negative))
    >>> pairs
    <Stream Observable | rechunk(2) | map_data(negative)>
    >>> [chunk.data.tolist() for chunk in pairs]
    [[0, -1], [-2, -3]]
    """

    def __init__(
        self,
        subscribe: "Subscribe[T] | None" = None,
        source: Observable[Any] | None = None,
        label: str = "",
        others: Sequence[Observable[Any]] = (),
    ) -> None:
        super().__init__()
        self._subscribe_all_with = subscribe
        self._source_stream, self._label, self._others = source, label, tuple(others)

    # -- subscribing --------------------------------------------------------------------------

    def _subscribe_all(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Subscribe an observer that gets everything, heartbeats included."""
        if self._subscribe_all_with is None:
            raise NotImplementedError
        return self._subscribe_all_with(observer, scheduler)

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._subscribe_all(WithoutHeartbeats(observer), scheduler)

    def subscribe(
        self,
        on_next: "abc.ObserverBase[T] | abc.OnNext[T] | None" = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer or functions; see `Observable.subscribe`.

        An observer with a true attribute ``wants_heartbeats`` gets chunks without samples too. One
        with methods ``on_subscribe`` and ``on_dispose``, a sink, may refuse the subscription, and
        is notified when it is disposed of.

        Raises
        ------
        ParameterError
            If it is neither an observer nor a function.
        """
        if isinstance(on_next, type) and hasattr(on_next, "on_next"):
            msg = f"{self.chain}: subscribe takes an observer: make one, {on_next.__name__}(...)"
            raise ParameterError(msg)
        if on_next is not None and not callable(on_next) and not hasattr(on_next, "on_next"):
            msg = f"{self.chain}: subscribe takes a function or an observer, not {shown(on_next)}"
            raise ParameterError(msg)
        on_subscribe = getattr(on_next, "on_subscribe", None)
        if on_subscribe is not None:
            on_subscribe()
        on_dispose = getattr(on_next, "on_dispose", None)
        whole = getattr(on_next, "wants_heartbeats", False)
        stream = self.with_heartbeats() if whole else self
        try:
            subscription = subscribe_guarded(stream, on_next, on_error, on_completed, scheduler)
        except BaseException:
            if on_dispose is not None:
                on_dispose()
            raise
        if on_dispose is None:
            return subscription
        return CompositeDisposable(subscription, Disposable(on_dispose))

    def with_heartbeats(self) -> "Stream[T]":
        """Return the same stream with its chunks without samples.

        They say that nothing is still to come before their `Chunk.end`.
        """
        return _WithHeartbeats(self._subscribe_all, self, "with_heartbeats()")

    if not TYPE_CHECKING:  # the many overloads of `Observable.pipe` give the types

        def pipe(self, *operators: Callable[[Any], Any]) -> Any:
            """Return what operators make of it; what one of RxPY's makes is a stream too.

            Raises
            ------
            ParameterError
                If one is no operator, or is not called yet.
            """
            result: Any = self
            source = result
            for operator in operators:
                _check_operator(operator)
                result = operator(result)
                if result is None or isinstance(result, Chunk):
                    msg = (
                        f"pipe: {name_of(operator)} is no operator, it returned "
                        f"{shown(result, 80)}: "
                        "give a function to ops.map_data, reactivex's map, or subscribe"
                    )
                    raise ParameterError(msg)
                if type(result) is Observable:
                    result = _Foreign(result, source, name_of(operator))
                source = result
            return result

    # -- pulling ------------------------------------------------------------------------------

    def reader(self, *, size: int = _HAND_OVER) -> BaseReader[T]:
        """Return a reader, which subscribes now and takes items when asked.

        Parameters
        ----------
        size
            Items that wait for it at most; then the subscription waits, and lags by its policy.
        """
        return StreamReader(self, size, self.chain)

    def __iter__(self) -> Iterator[T]:
        """Iterate over the items as they come, in a subscription of its own.

        Raises
        ------
        ParameterError
            If an operator of RxPY takes the stream for a list, which it would read to its end.
        """
        caller = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001
        if str(caller).startswith("reactivex."):
            msg = (
                f"{self.chain}: an operator of RxPY takes it for an iterable, and would wait here "
                "for its end; give rx.defer(lambda _: stream), for zip_with_iterable take zip"
            )
            raise ParameterError(msg)
        return self._items()

    def _items(self) -> Iterator[T]:
        with self.reader() as reader:
            yield from reader

    def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over the items as they come, without holding the event loop."""
        return iterate_stream(self, _HAND_OVER)

    # -- what needs a window ------------------------------------------------------------------

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> "Stream[Chunk]":
        """Raise `NotRewindableError`: it keeps no past."""
        self._refuse(f"rewind({seconds if to is None else f'to={to}'})")

    def last(self, seconds: Any = None) -> Any:
        """Raise `NotRewindableError` for a length of time; for a predicate, see RxPY's `last`."""
        if seconds is not None and not callable(seconds):
            self._refuse(f"last({shown(seconds)})")
        return self.pipe(rxo.last(seconds))

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Raise `NotRewindableError`: it keeps no past."""
        self._refuse(f"between({t0}, {t1})")

    def at(self, t: Time) -> Chunk:
        """Raise `NotRewindableError`: it keeps no past."""
        self._refuse(f"at({t})")

    def past(self, *args: Any, **options: Any) -> "Stream[Chunk]":
        """Raise `NotRewindableError`: it keeps no past."""
        self._refuse(f"past({', '.join(map(repr, args))})")

    def _refuse(self, call: str) -> NoReturn:
        msg = (
            f"{self.chain} keeps no past for {call}: "
            "put ops.replay_window(60) at its end, and ask that"
        )
        raise NotRewindableError(msg)

    # -- its chain ----------------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[Observable[Any], ...]:
        """The streams it is made of, the source first."""
        return () if self._source_stream is None else (self._source_stream, *self._others)

    @property
    def chain(self) -> str:
        """Source and operators, e.g. ``"mic | rechunk(960) | rms(0.1)"``."""
        own = self._label or type(self).__name__
        if self._source_stream is None:
            return own
        return f"{chain_of(self._source_stream)} | {own}"

    def over(self, subscribe: "Subscribe[T]") -> "Stream[T]":
        """Return a stream of the same chain that subscribes in another way."""
        return Stream(subscribe, self._source_stream, self._label, self._others)

    def __repr__(self) -> str:
        return f"<Stream {self.chain}>"


class _WithHeartbeats(Stream[T]):
    """A stream whose subscribers get its heartbeats too."""

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._subscribe_all(observer, scheduler)

    def with_heartbeats(self) -> Stream[T]:
        return self


class _Foreign(Stream[T]):
    """What an operator of RxPY returns, as a stream: it has no heartbeats to leave out."""

    def __init__(self, result: Observable[T], source: Observable[Any], label: str) -> None:
        super().__init__(source=source, label=label)
        self._result = result

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # without a second layer of RxPY's own observers around each item
        return self._result._subscribe_core(observer, scheduler)  # noqa: SLF001

    def _subscribe_all(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        return self._subscribe_core(observer, scheduler)


def chain_of(source: Observable[Any]) -> str:
    """Return the chain of a stream; of any other Observable, what it is."""
    return source.chain if isinstance(source, Stream) else type(source).__name__


def label(make: Callable[P, Callable[[A], B]]) -> Callable[P, Callable[[A], B]]:
    """Give the streams of an operator its name and arguments, for their repr.

    Decorates the function that makes the operator.
    """

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Callable[[A], B]:
        operator = make(*args, **kwargs)
        shown = [_shown(value) for value in args]
        shown += [f"{name}={_shown(value)}" for name, value in kwargs.items()]
        text = f"{make.__name__}({', '.join(shown)})"

        @functools.wraps(operator)
        def labelled(source: A) -> B:
            result = operator(source)
            if isinstance(result, Stream):
                result._label = text  # noqa: SLF001 - the label belongs to this module
            return result

        labelled.__name__ = labelled.__qualname__ = text
        return labelled

    made.makes_operator = True  # type: ignore[attr-defined]
    return made


def _check_operator(operator: object) -> None:
    if getattr(operator, "makes_operator", False):
        msg = f"pipe: call it, ops.{name_of(operator)}(...)"
        raise ParameterError(msg)
    if isinstance(operator, Observable) or not callable(operator):
        msg = f"pipe takes operators, e.g. ops.rms(0.1), not {shown(operator, 80)}"
        raise ParameterError(msg)


def name_of(function: object) -> str:
    """Return the name of a function or class; of an inner one, of the function that made it."""
    if str(getattr(function, "__module__", "")).startswith("reactivex"):
        return "RxPY"  # its operators are curried and do not know their names
    name = str(getattr(function, "__qualname__", "") or type(function).__name__)
    named = [part for part in name.split(".") if not part.startswith("<")]
    return named[-1].strip("_") if named else "lambda"


def _shown(value: Any) -> str:
    """Return an argument as a few words."""
    if isinstance(value, Observable):
        return chain_of(value)
    if inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "__name__"):
        return str(value.__name__)
    # reprlib stops early in long values, and survives a repr that raises
    text = reprlib.repr(value)
    return text if len(text) <= 40 else f"{type(value).__name__}(…)"
