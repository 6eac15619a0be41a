"""`MovedTimes`: by how much samples that wait were moved on, to be set apart from equal stamps."""

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.equal_stamps import EqualStamps

__all__ = ["MovedTimes"]


class MovedTimes:
    """For samples by their positions, the time between stamp and time [ns]; mostly there is none.

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> keys, moved = StreamInfo("keys", None, (), np.int64), MovedTimes()
    >>> moved.add(0, Chunk.stamped(np.arange(4), [5, 7, 7, 20], keys))
    >>> moved.between(0, 2), moved.between(2, 4).tolist()
    (None, [1, 0])
    """

    __slots__ = ("_positions", "_shifts", "_stamps")

    def __init__(self) -> None:
        self._stamps = EqualStamps()
        self._positions, self._shifts = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, position: int, chunk: Chunk) -> None:
        """Take the next chunk of the stream, whose first sample is at ``position``."""
        if chunk.info.rate is not None:
            return
        times, stamps = chunk.time, self._stamps.of(chunk)
        if stamps is times:
            return
        shifts = times - stamps
        moved = np.flatnonzero(shifts)
        if len(moved):
            self._positions = np.concatenate((self._positions, moved + position))
            self._shifts = np.concatenate((self._shifts, shifts[moved]))

    def between(self, i: int, j: int) -> NDArray[np.int64] | None:
        """Return it for positions ``i`` to ``j``, ``(j - i,)``; None if none was moved."""
        if not len(self._positions):
            return None
        a, b = self._positions.searchsorted((i, j))
        if a == b:
            return None
        out = np.zeros(j - i, np.int64)
        out[self._positions[a:b] - i] = self._shifts[a:b]
        return out

    def trim(self, position: int) -> None:
        """Forget what is before ``position``."""
        if len(self._positions):
            k = int(self._positions.searchsorted(position))
            self._positions, self._shifts = self._positions[k:], self._shifts[k:]
