"""A tape whose samples are looked for by time again and again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.chunk import Chunk
from rxstream.tape import Slabs, Tape

__all__ = ["TimedTape"]


class TimedTape(Tape[Any]):
    """A tape that has the times of its samples as an array, too, made once for each chunk.

    Examples
    --------
    >>> from rxstream.info import StreamInfo
    >>> tape = TimedTape()
    >>> tape.append(Chunk.regular(np.arange(4), StreamInfo("a", 1e9, (), np.int64), start=5))
    >>> tape.times(1, 4), tape.find(7)
    (array([6, 7, 8]), 2)
    """

    __slots__ = ("_times",)

    def __init__(self) -> None:
        super().__init__()
        self._times: Slabs[np.int64] = Slabs((), np.dtype(np.int64), slab=0)

    def append(self, chunk: Chunk) -> None:
        """Add the next chunk."""
        super().append(chunk)
        if len(chunk):
            self._times.write(chunk.time)

    def times(self, i: int, j: int) -> NDArray[np.int64]:
        """Return the times [ns] of the samples at positions ``i`` to ``j``, read-only."""
        return self._times.view(i, j)

    def find(self, t: int) -> int:
        """Return the position of the first sample kept that is not before ``t`` [ns]."""
        return self._times.find(self.start, t)

    def trim(self, position: int) -> None:
        """Let go of the samples before ``position``, and of gaps before them."""
        super().trim(position)
        times = self._times
        if times.start < times.newest_start:  # else there is nothing to let go of
            times.trim(position)
