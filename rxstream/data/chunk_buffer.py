"""A buffer of chunks with absolute positions: windows, rechunking and joins read from it."""

from bisect import bisect_right
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from rxstream.data.axis import NO_TIMES, Axis, IrregularAxis, RegularAxis, cut_parts
from rxstream.data.chunk import Chunk
from rxstream.data.concat import overlapping, unlike
from rxstream.data.gap import GapAt, add_gap, cut_gaps
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import StreamInfo

__all__ = ["ChunkBuffer"]

S = TypeVar("S", bound=np.generic, default=Any)

# Entries of trimmed parts are deleted in batches, so that each costs O(1).
_TRIM_BATCH = 64


class ChunkBuffer(Generic[S]):
    """Chunks of one stream, joined: they can be cut anywhere, by position or by time.

    Positions count the samples appended since the buffer was made. All samples are of one shape
    and dtype, those of the first; those of chunks without samples do not count.

    Parameters
    ----------
    overlap
        Samples that are cut out again and again, e.g. the length of a sliding window: such cuts
        are views.

    Examples
    --------
    >>> info = StreamInfo("ramp", rate=1000.0, dtype=np.int64)
    >>> buffer = ChunkBuffer()
    >>> for k in (0, 4, 8):
    ...     buffer.append(Chunk.regular(np.arange(k, k + 4), info, start=k * 1_000_000, index=k))
    >>> buffer.cut(3, 9).data
    array([3, 4, 5, 6, 7, 8])
    >>> buffer.between(3_000_000, 5_000_000).data
    array([3, 4])
    """

    __slots__ = (
        "_growing",
        "_head",
        "_offset",
        "_offsets",
        "_overlap",
        "_part_starts",
        "_parts",
        "_slabs",
        "end",
        "gap_positions",
        "info",
        "jumps",
        "low",
        "stop",
    )  # fmt: skip

    def __init__(self, *, overlap: int = 0) -> None:
        self._overlap = overlap
        self._slabs: SlabStore[S] | None = None
        self._parts: list[RegularAxis | IrregularAxis] = []
        self._part_starts: list[int] = []
        self._head = 0
        self.gap_positions: list[GapAt] = []
        """Gaps kept, with the positions of the samples after them."""
        self._growing: RegularAxis | None = None  # the newest part, if it can
        self._offsets: list[tuple[int, int]] = []  # (position, index - position) from there on
        self._offset = 0  # the newest
        self.jumps: list[tuple[int, int]] = []
        """Where numbers jump without a gap, and by how much."""
        self.info: StreamInfo | None = None
        self.low = self.end = 0
        self.stop = 0
        """Position after the last sample."""

    @property
    def start(self) -> int:
        """Position of the first sample kept."""
        return self._slabs.start if self._slabs else 0

    def append(self, chunk: Chunk[S]) -> None:
        """Add the next chunk.

        Raises
        ------
        ChunkError
            If its samples are of another shape or dtype, or it begins before the buffer ends.
        """
        slabs = self._slabs
        # this runs for every chunk of every window, so it looks at what is in a chunk directly
        if slabs is None or chunk._info is not self.info:  # noqa: SLF001
            slabs = self._fitting(chunk)
        elif chunk._start < self.end:  # noqa: SLF001
            raise overlapping(chunk.info, self.end, chunk)
        axis, growing = chunk._axis, self._growing  # noqa: SLF001
        self.end = chunk._end  # noqa: SLF001
        if (
            chunk._gap_positions  # noqa: SLF001
            or chunk._index - self.stop != self._offset  # noqa: SLF001
            or not axis.count
            or not (type(axis) is RegularAxis or isinstance(axis, IrregularAxis))
        ):
            self._append_slowly(chunk, slabs)
            return
        if growing is not None and type(axis) is RegularAxis and axis.extends(growing):
            growing.count += axis.count
        else:  # as from a device that keeps the evidence of each reading
            self._add_part(axis, self.stop)
        self.stop = slabs.write(chunk._data)  # noqa: SLF001

    def _fitting(self, chunk: Chunk[S]) -> SlabStore[S]:
        """Return where samples of a chunk go that is the first, or of another info."""
        slabs, info, data = self._slabs, self.info, chunk.data
        if slabs is None or info is None:
            self.low = chunk.covered_from
            self._number(0, chunk.first_index)
        else:
            alike = slabs.like(data)
            if not alike and len(data) and self.stop:
                raise unlike(info, slabs.shape, slabs.dtype, chunk)
            if chunk.start < self.end:
                raise overlapping(info, self.end, chunk)
            if not alike and not len(data):
                return slabs
            if not alike:  # only heartbeats have come so far
                slabs = None
        if slabs is None:
            shape = data.shape[1:]
            slabs = SlabStore(shape, data.dtype, slab=4 * len(data), overlap=self._overlap)
            self._slabs = slabs
        self.info = chunk.info
        return slabs

    def _add_part(self, part: RegularAxis | IrregularAxis, position: int) -> None:
        if type(part) is RegularAxis:
            part = self._growing = part.cut(0, part.count)  # a copy: ours alone, to grow
        else:
            self._growing = None
        self._parts.append(part)
        self._part_starts.append(position)

    def _append_slowly(self, chunk: Chunk[S], slabs: SlabStore[S]) -> None:
        position = self.stop
        jump = chunk.first_index - position - self._offset
        if jump and self._offsets:
            self.jumps.append((position, jump))
        self._number(position, chunk.index - position)
        for at, gap in chunk.gap_positions:
            add_gap(self.gap_positions, position + at, gap)
            if at and gap.lost:
                self._number(position + at, self._offset + gap.lost)
        if not len(chunk):
            return
        self.stop = slabs.write(chunk.data)
        for part in chunk.axis.parts():
            growing = self._growing
            if growing is not None and type(part) is RegularAxis and part.extends(growing):
                growing.count += part.count
            else:
                self._add_part(part, position)
            position += part.count

    def skip(self, chunk: Chunk[S]) -> None:
        """Note the numbers of a chunk that is not added."""
        self._number(self.stop, chunk.next_index - self.stop)

    def _number(self, position: int, offset: int) -> None:
        """Note that samples from ``position`` on have numbers ``offset`` higher than it."""
        if self._offsets and self._offset == offset:
            return
        self._offset = offset
        if self._offsets and self._offsets[-1][0] == position:
            self._offsets[-1] = position, offset
        else:
            self._offsets.append((position, offset))

    def find(self, t: int) -> int:
        """Return the position of the first sample kept that is not before ``t`` [ns]."""
        parts, starts = self._parts, self._part_starts
        if not parts:
            return self.stop
        k = len(parts) - 1
        if parts[k].at(0) >= t:
            low, high = self._head, k  # the last part that begins before t
            while low < high:
                middle = (low + high) // 2
                if parts[middle].at(0) < t:
                    low = middle + 1
                else:
                    high = middle
            k = max(low - 1, self._head)
        return max(starts[k] + parts[k].find(t), self.start)

    def edge(self, position: int) -> int:
        """Return the time [ns] where the sample before ``position`` ends.

        That is by its own part, but not after what follows: a sample of another part, or a gap of
        what is on another grid.
        """
        starts = self._part_starts
        k = len(starts) - 1
        if k >= 0 and starts[k] >= position:  # most often it is in the newest
            k = bisect_right(starts, position - 1) - 1
        if k < 0:  # nothing comes before it
            return self.low
        edge = self._parts[k].edge(position - starts[k])
        if k + 1 < len(starts) and starts[k + 1] == position:
            edge = min(edge, self._parts[k + 1].at(0))
        for at, gap in self.gap_positions:
            if at == position:
                return min(edge, gap.start)
        return edge

    def ended(self, position: int) -> bool:
        """Whether `edge` will not change any more, whatever comes."""
        if position < self.stop or self.end >= self.edge(position):
            return True
        return bool(self.gap_positions) and self.gap_positions[-1].position == position

    def axis(self, i: int, j: int) -> Axis:
        """Return the times of the samples at positions ``i`` to ``j``."""
        if not self._parts:
            return NO_TIMES
        return cut_parts(self._parts, self._part_starts, i, j)

    def index(self, position: int) -> int:
        """Return the index since the session began of the sample at ``position``."""
        offsets = self._offsets
        if len(offsets) == 1:
            return position + offsets[0][1]
        found = [offset for at, offset in offsets if at <= position]
        return position + (found[-1] if found else offsets[0][1])

    def next_index(self, position: int) -> int:
        """Return the index of a sample at ``position``, if none is left out without a gap there.

        Of a chunk without samples this is the index, however the stream came in chunks: whether
        some were left out, only the next sample shows.
        """
        jumps = self.jumps
        return self.index(position) - sum(by for at, by in jumps if at == position)

    def data(self, i: int, j: int) -> NDArray[S]:
        """Return the samples at positions ``i`` to ``j``, read-only ``(j - i, *shape)``."""
        if self._slabs is None:
            msg = "the buffer is empty"
            raise ValueError(msg)
        return self._slabs.view(i, j)

    def cut(self, i: int, j: int, *, rest: bool = False) -> Chunk[S]:
        """Return samples at positions ``i`` to ``j``.

        It begins and ends at the edges of its samples, which do not depend on how the stream came
        in chunks; a gap right after them is not theirs. With ``rest`` it goes on to the end.
        """
        if self.info is None:
            msg = "the buffer is empty"
            raise ValueError(msg)
        gap_positions: tuple[GapAt, ...] = ()
        start = self.low if i == 0 else self.edge(i)
        if self.gap_positions:
            gap_positions = tuple(
                GapAt(at - i, gap)
                for at, gap in self.gap_positions
                if i <= at < j or (rest and at == j)
            )
            if gap_positions and gap_positions[0].position == 0 and j > i:
                start = max([start, *(gap.end for at, gap in gap_positions if at == 0)])
        end = self.end if rest else self.edge(j)
        index = self.index(i) if i < j else self.next_index(i)
        return Chunk(self.data(i, j), self.axis(i, j), start, end, index, self.info, gap_positions)

    def between(self, t0: int, t1: int, i: int | None = None, j: int | None = None) -> Chunk[S]:
        """Return what lies from ``t0`` to before ``t1`` [ns], as `Chunk.between` does.

        The caller may give the positions ``i`` and ``j`` when it knows them from `find`.
        """
        if self.info is None:
            msg = "the buffer is empty"
            raise ValueError(msg)
        if i is None:
            i = self.find(t0)
        if j is None:
            j = self.find(t1)
        index = self.index(i) if i < j else self.next_index(i)
        if not self.gap_positions:
            return Chunk(self.data(i, j), self.axis(i, j), t0, t1, index, self.info)
        start, shift, gap_positions = cut_gaps(
            (GapAt(at - i, gap) for at, gap in self.gap_positions), 0, j - i, t0, t1, None
        )
        index += shift
        return Chunk(self.data(i, j), self.axis(i, j), start, t1, index, self.info, gap_positions)

    def window(self, i: int, j: int, t0: int, t1: int) -> Chunk[S]:
        """Return samples at positions ``i`` to ``j`` as the chunk from ``t0`` to ``t1`` [ns].

        Quick, for a buffer without gaps whose caller knows the positions.
        """
        slabs: Any = self._slabs
        first = i - slabs.newest_start
        data = slabs.newest[first : first + j - i] if first >= 0 else slabs.view(i, j)
        # the newest numbers may be those after a jump, of samples that come later
        grid, index = self._growing, self.index(i) if len(self._offsets) > 1 else i + self._offset
        first = i - self._part_starts[-1] if i < j else -1
        if grid is not None and first >= 0:
            axis: Axis = RegularAxis(
                grid.origin, grid.period, j - i, grid.first + first, grid.uncertainty, grid.evidence
            )
        else:
            axis, index = self.axis(i, j), self.index(i) if i < j else self.next_index(i)
        return Chunk(data, axis, t0, t1, index, self.info)  # type: ignore[arg-type]  # it has one

    def reserve(self, count: int) -> None:
        """Let later slabs overlap so that the newest ``count`` samples are one view."""
        if self._slabs is not None and count > self._slabs.overlap:
            self._slabs.overlap = count + count // 4

    def trim(self, position: int) -> None:
        """Drop the samples before ``position``, and the gaps before them."""
        if self._slabs is None:
            return
        self._slabs.trim(position)
        head, starts = self._head, self._part_starts
        # The part of the sample before `position` stays: it says where the first one kept begins.
        while head + 1 < len(starts) and starts[head + 1] < position:
            head += 1
        if head > _TRIM_BATCH:
            del starts[:head], self._parts[:head]
            head = 0
        self._head = head
        if self.gap_positions and self.gap_positions[0].position < position:
            self.gap_positions = [item for item in self.gap_positions if item.position >= position]
        while len(self._offsets) > 1 and self._offsets[1][0] <= position:
            self._offsets.pop(0)
        while self.jumps and self.jumps[0][0] < position:
            self.jumps.pop(0)
