"""Stamps as they were before equal ones were set apart."""

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.stamps import equal_again

__all__ = ["EqualStamps"]


class EqualStamps:
    """The stamps of a stream, from chunk to chunk.

    Each sample has a time of its own: of equal stamps, the later ones are moved on by a nanosecond
    each. Durations are measured between the stamps, else an event that comes exactly as long after
    a moved one as it takes would be a few nanoseconds early.

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> keys = StreamInfo("keys", None, (), np.int64)
    >>> stamps = EqualStamps()
    >>> whole = Chunk.stamped(np.arange(5), [5, 5, 5, 9, 9], keys)
    >>> stamps.of(whole[:2]).tolist(), stamps.of(whole[2:]).tolist()
    ([5, 5], [5, 9, 9])
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # time and stamp of the last sample [ns]

    @property
    def last(self) -> int | None:
        """Stamp of the last sample [ns]; None before the first."""
        return None if self._last is None else self._last[1]

    def until(self, end: int) -> int:
        """Return the earliest stamp [ns] that a sample after ``end`` [ns] may have."""
        last = self._last
        return last[1] if last is not None and last[0] == end - 1 else end

    def of(self, chunk: Chunk) -> NDArray[np.int64]:
        """Return the stamps of the next chunk [ns], ``(n,)``; of a regular stream its times."""
        times = chunk.time
        if chunk.info.rate is not None or not len(times):
            return times
        stamps = equal_again(times, self._last)
        self._last = times.item(-1), stamps.item(-1)
        return stamps
