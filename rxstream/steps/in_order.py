"""Refuse chunks that go back in time, or come twice: what a step made of them would be wrong."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import NEVER
from rxstream.data.concat import overlapping
from rxstream.data.stream_info import StreamInfo
from rxstream.steps.lift import Step, lift
from rxstream.steps.stream import Stream, name_of

__all__ = ["InOrder", "lift_in_order"]

B = TypeVar("B")


def lift_in_order(
    make: Callable[[], Step[Chunk, B]],
) -> Callable[[Observable[Chunk]], Stream[B]]:
    """Return an operator, as `lift` does, for a step whose chunks must follow each other.

    That is each step that stores samples, or whose state goes on from chunk to chunk. A chunk that
    begins before the one before it has ended gives a `ChunkError` downstream.

    Parameters
    ----------
    make
        Makes a fresh step; called once for each subscription.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> class Lengths:
    ...     def push(self, chunk):
    ...         return (len(chunk),)
    ...     def flush(self):
    ...         return ()
    >>> a = Chunk.regular(np.arange(4), StreamInfo("a", 1e9, (), np.int64), start=5)
    >>> twice = rx.of(a, a).pipe(lift_in_order(Lengths))
    >>> twice.subscribe(print, lambda error: print(str(error)[:54])).dispose()
    4
    Lengths: a goes back: a chunk begins at 5, 4 ns before
    """
    name = name_of(make)

    def checked() -> _InOrder[B]:
        return _InOrder(make(), name)

    checked.__qualname__ = name
    return lift(checked)


class InOrder:
    """The end of the last chunk of a stream: the next one must not begin before it.

    Parameters
    ----------
    where
        Name of the operator, for the error.
    """

    __slots__ = ("_end", "_info", "_where")

    def __init__(self, where: str) -> None:
        self._where = where
        # of the chunk before: its end [ns], and its stream
        self._end = NEVER
        self._info: StreamInfo

    def check(self, chunk: Chunk) -> None:
        """Take the next chunk; raise `ChunkError` if it begins before the last one has ended."""
        if chunk.covered_from < self._end:
            raise overlapping(self._info, self._end, chunk, self._where)
        self._end, self._info = chunk.end, chunk.info


class _InOrder(Step[Chunk, B]):
    """A step that gets only chunks that follow each other."""

    __slots__ = ("_check", "_flush", "_push")

    def __init__(self, step: Step[Chunk, B], name: str) -> None:
        self._push, self._flush, self._check = step.push, step.flush, InOrder(name).check

    def push(self, chunk: Chunk, /) -> Iterable[B]:
        """Take the next chunk."""
        self._check(chunk)
        return self._push(chunk)

    def flush(self) -> Iterable[B]:
        """Return what is held back."""
        return self._flush()
