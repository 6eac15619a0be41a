"""`TimedBuffer`: the newest samples of a stream, for repeated lookups by time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.concat import unlike
from rxstream.data.gap import GapAt, add_gap
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import StreamInfo

__all__ = ["TimedBuffer"]

# Slabs of a few chunks: the samples in use mostly lie in one, and little is kept beyond them.
_CHUNKS_PER_SLAB = 4


class TimedBuffer:
    """Samples with a time each, and the gaps between them.

    The times are computed once, on arrival, so any part of them is a view. A grid they were on is
    forgotten.

    Parameters
    ----------
    offset
        Added to all times [ns].

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> recent = TimedBuffer(100)
    >>> recent.append(Chunk.regular(np.arange(4), StreamInfo("a", 1e9, (), np.int64), start=5))
    >>> recent.times(1, 4), recent.find(107), recent.end
    (array([106, 107, 108]), 2, 109)
    """

    __slots__ = (
        "_data",
        "_offset",
        "_times",
        "end",
        "gap_positions",
        "info",
        "low",
        "start",
        "stop",
    )

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        # both from the first chunk on
        self._times: SlabStore[np.int64]
        self._data: SlabStore[Any]
        self.gap_positions: list[GapAt] = []
        """Gaps kept, with the positions of the samples after them."""
        self.info: StreamInfo | None = None
        self.low = self.end = 0
        self.start = self.stop = 0
        """Positions of the first sample kept, and after the last one."""

    def append(self, chunk: Chunk) -> None:
        """Add the next chunk.

        Raises
        ------
        ChunkError
            If its samples are of another shape or dtype than those before it.
        """
        times, data, offset, before = chunk.time, chunk.data, self._offset, self.info
        if before is None:
            self.low = chunk.covered_from + offset
        elif self.stop and len(data) and before is not chunk.info and not self._data.like(data):
            raise unlike(before, self._data.shape, self._data.dtype, chunk)
        if not self.stop:
            # what comes without samples does not say of what kind they will be
            size = _CHUNKS_PER_SLAB * len(data)
            self._times = SlabStore((), np.dtype(np.int64), slab=size)
            self._data = SlabStore(data.shape[1:], data.dtype, slab=size)
        self.info, self.end = chunk.info, chunk.end + offset
        for at, gap in chunk.gap_positions:
            add_gap(self.gap_positions, self.stop + at, gap.shifted(offset) if offset else gap)
        if len(data):
            self._times.write(times + offset if offset else times)
            self.stop = self._data.write(data)

    def times(self, i: int, j: int) -> NDArray[np.int64]:
        """Return the times [ns] of the samples at positions ``i`` to ``j``, read-only."""
        return self._times.view(i, j)

    def time(self, position: int) -> int:
        """Return the time [ns] of the sample at a position, the first one kept or later."""
        return self._times.view(position, position + 1).item()

    def data(self, i: int, j: int) -> NDArray[Any]:
        """Return the samples at positions ``i`` to ``j``, read-only ``(j - i, *shape)``."""
        return self._data.view(i, j)

    def find(self, t: int) -> int:
        """Return the position of the first sample kept that is not before ``t`` [ns]."""
        return self._times.find(self.start, t)

    def trim(self, position: int) -> None:
        """Drop the samples before ``position``, and the gaps before them."""
        if position <= self.start:
            return
        self.start = position
        times, data = self._times, self._data
        # in its newest slab a store keeps everything anyway
        if times.start < times.newest_start:
            times.trim(position)
        if data.start < data.newest_start:
            data.trim(position)
        if self.gap_positions and self.gap_positions[0].position < position:
            self.gap_positions = [item for item in self.gap_positions if item.position >= position]
