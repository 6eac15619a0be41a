"""The newest samples of a stream, in which others are looked up by time again and again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import Slabs, add_break
from rxstream.data.gap import Break
from rxstream.data.stream_info import StreamInfo

__all__ = ["Recent"]


class Recent:
    """Samples with a time each, and the gaps between them; on what grid they were is forgotten.

    So their times are made once, when they come, and any part of them is a view.

    Parameters
    ----------
    offset
        Added to all times [ns].

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> recent = Recent(100)
    >>> recent.append(Chunk.regular(np.arange(4), StreamInfo("a", 1e9, (), np.int64), start=5))
    >>> recent.times(1, 4), recent.find(107), recent.end
    (array([106, 107, 108]), 2, 109)
    """

    __slots__ = ("_data", "_offset", "_times", "breaks", "end", "info", "low", "start", "stop")

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._times: Slabs[np.int64]
        self._data: Slabs[Any]  # both from the first chunk on
        self.breaks: list[Break] = []
        """Gaps kept, with the positions of the samples after them."""
        self.info: StreamInfo | None = None
        self.low = self.end = 0
        self.start = self.stop = 0
        """Positions of the first sample kept, and after the last one."""

    def append(self, chunk: Chunk) -> None:
        """Add the next chunk."""
        times, data, offset = chunk.time, chunk.data, self._offset
        if self.info is None:
            self.low = chunk.extent + offset
            self._times = Slabs((), np.dtype(np.int64), slab=4 * len(data))
            self._data = Slabs(data.shape[1:], data.dtype, slab=4 * len(data))
        self.info, self.end = chunk.info, chunk.end + offset
        for at, gap in chunk.breaks:
            add_break(self.breaks, self.stop + at, gap.shifted(offset) if offset else gap)
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
        """Let go of the samples before ``position``, and of gaps before them."""
        if position <= self.start:
            return
        self.start = position
        times, data = self._times, self._data
        if times.start < times.newest_start:  # else all of it is kept in any case
            times.trim(position)
        if data.start < data.newest_start:
            data.trim(position)
        if self.breaks and self.breaks[0][0] < position:
            self.breaks = [item for item in self.breaks if item[0] >= position]
