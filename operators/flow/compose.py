"""compose: several operators as one, to be used again."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable

from rxstream.errors import ParameterError

__all__ = ["compose"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def compose(first: Callable[[A], B], /) -> Callable[[A], B]: ...
@overload
def compose(first: Callable[[A], B], second: Callable[[B], C], /) -> Callable[[A], C]: ...
@overload
def compose(
    first: Callable[[A], B], second: Callable[[B], C], third: Callable[[C], D], /
) -> Callable[[A], D]: ...
@overload
def compose(
    *operators: Callable[[Any], Any],
) -> Callable[[Observable[Any]], Observable[Any]]: ...
def compose(*operators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give a pipeline a name: several operators, one after the other, as one.

    The same pipeline can be used on many streams, and live and over the past: each subscription
    has a fresh state.

    .. marble::

        --1--2--3--4--5--6--|
        [   compose(f, g)   ]
        --g(f(1))--...------|

    Parameters
    ----------
    operators
        In the order in which the stream goes through them; none: nothing is done to it.

    Returns
    -------
    operator
        To be used in ``.pipe(...)``, also between others.

    Raises
    ------
    ParameterError
        If one is no operator, e.g. ``ops.latest`` where ``ops.latest()`` was meant.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> from rxstream import operators as ops
    >>> info = StreamInfo("x", 10.0, (), np.int64)
    >>> chunk = Chunk.regular(np.arange(6), info, start=0)
    >>> squares = compose(ops.map_data(lambda x: x * x), ops.rechunk(3))
    >>> for _ in range(2):
    ...     rx.of(chunk).pipe(squares).subscribe(lambda chunk: print(chunk.data)).dispose()
    [0 1 4]
    [ 9 16 25]
    [0 1 4]
    [ 9 16 25]
    """
    for number, item in enumerate(operators, 1):
        _check(number, item)

    def operator(source: Any) -> Any:
        for item in operators:
            source = item(source)
        return source

    return operator


def _check(number: int, item: object) -> None:
    if isinstance(item, Observable) or not callable(item):
        msg = f"compose: argument {number} is {item!r:.80}, no operator like ops.rechunk(100)"
        raise ParameterError(msg)
    module = getattr(item, "__module__", None) or ""
    name = getattr(item, "__qualname__", "<locals>")
    # what an operator's function returns is local to it; the function itself is not
    if module.startswith(("rxstream.operators", "reactivex.operators")) and "<" not in name:
        msg = f"compose: argument {number} is {name} itself; call it: {name}(...)"
        raise ParameterError(msg)
