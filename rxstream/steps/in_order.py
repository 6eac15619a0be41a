"""Refuse chunks that go back in time, or come twice: what a step made of them would be wrong."""

from collections.abc import Callable
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
    return lift(make, lambda: InOrder(name).check)


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
        # past the properties: this runs for each chunk of most operators
        start, gaps, before = chunk._start, chunk._gap_positions, self._end  # noqa: SLF001
        if (start < before or gaps) and chunk.covered_from < before:
            raise overlapping(self._info, before, chunk, self._where)
        self._end, self._info = chunk._end, chunk._info  # noqa: SLF001
