"""Run a plain push/flush object, a `Step`, inside an Rx stream."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.step_error import step_error
from rxstream.steps.stream import Stream, name_of

__all__ = ["Step", "as_results", "check_maker", "check_parts", "lift"]

A = TypeVar("A")
B = TypeVar("B")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)


class Step(Protocol[A_contra, B_co]):
    """The state of an operator for one subscription: no Rx, no threads, no clocks in it."""

    def push(self, item: A_contra, /) -> Iterable[B_co]:
        """Take one item, give zero or more."""
        ...

    def flush(self) -> Iterable[B_co]:
        """Give what is held back, once, when the source completes."""
        ...


def lift(
    make: Callable[[], Step[A, B]], check: Callable[[], Callable[[A], None]] | None = None
) -> Callable[[Observable[A]], Stream[B]]:
    """Return an operator that sends each subscription through a `Step` of its own.

    An exception in the step goes to ``on_error`` downstream; one in the subscriber does not. An
    item without an attribute of chunks that the step asks for gives a `ParameterError` downstream:
    steps of rxstream take chunks.

    Parameters
    ----------
    make
        Makes a fresh step; called once for each subscription.
    check
        Makes a function for each subscription that raises where an item cannot be taken.

    Raises
    ------
    ParameterError
        If ``make`` cannot be called, as a step itself; on subscription, if what it makes is no
        `Step`; downstream, if that returns None or a chunk instead of a tuple.

    Examples
    --------
    >>> import reactivex as rx
    >>> class Twice:
    ...     def push(self, item):
    ...         return (item, item)
    ...     def flush(self):
    ...         return ("end",)
    >>> items = []
    >>> _ = rx.of(1, 2).pipe(lift(Twice)).subscribe(items.append)
    >>> items
    [1, 1, 2, 2, 'end']
    """
    check_maker("lift", make)

    def operator(source: Observable[A]) -> Stream[B]:
        everything = keep_heartbeats(source)

        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            step = make()
            check_parts(step, ("push", "flush"), "Step", name_of(make))
            push, flush, forward = step.push, step.flush, observer.on_next
            refuse = None if check is None else check()

            def fail(error: BaseException, item: object = None) -> None:
                nonlocal push, flush, refuse
                # a source that runs while it is subscribed to cannot be stopped at once
                push, flush, refuse = _ignore, _nothing, None
                observer.on_error(step_error(error, item))

            def on_next(item: A) -> None:
                try:
                    if refuse is not None:
                        refuse(item)
                    results = push(item)
                    if type(results) is not tuple and type(results) is not list:
                        results = as_results(results, step)
                except BaseException as error:  # noqa: BLE001 - the Rx contract: it goes downstream
                    fail(error, item)
                    return
                for result in results:
                    forward(result)

            def on_completed() -> None:
                try:
                    results = as_results(flush(), step)
                except BaseException as error:  # noqa: BLE001 - as above
                    fail(error)
                    return
                for result in results:
                    forward(result)
                observer.on_completed()

            return everything.subscribe(
                on_next, observer.on_error, on_completed, scheduler=scheduler
            )

        return Stream(subscribe, source, name_of(make))

    return operator


def check_maker(name: str, make: object) -> None:
    """Raise `ParameterError` if an object is a step itself, or nothing that makes one."""
    if callable(make):
        return
    kind = type(make).__name__
    msg = f"{name} takes what makes a step, a class or a function, not {shown(make)}"
    if hasattr(make, "push"):
        msg = f"{name} takes what makes a step, {kind} or lambda: {kind}(...), not a step"
    raise ParameterError(msg)


def check_parts(step: object, parts: Sequence[str], kind: str, name: str) -> None:
    """Raise `ParameterError` if an object lacks a part of a `Step`, or of another kind of it."""
    lacking = [part for part in parts if not hasattr(step, part)]
    if lacking:
        msg = f"{name}: {type(step).__name__} is no {kind}; it lacks {', '.join(lacking)}"
        raise ParameterError(msg)


def as_results(results: Any, step: object) -> tuple[Any, ...]:
    """Return what a step has given as a tuple; runs a generator here, where it may raise.

    Raises
    ------
    ParameterError
        If it is None or a chunk, which has been forgotten to be put in a tuple.
    """
    if results is None or isinstance(results, Chunk):
        msg = (
            f"{type(step).__name__} returned {shown(results, 60)}; a step returns its results in a "
            "tuple: (chunk,), or () for none"
        )
        raise ParameterError(msg)
    return tuple(results)


def _ignore(_item: object, /) -> tuple[()]:
    """Stand in for the `push` of a step that has failed."""
    return ()


def _nothing() -> tuple[()]:
    return ()
