"""The rows of a log: chunks by number, and the bytes they hold.

A log asks a store for no more than this: to append, to trim, for the chunks of an interval, and
for those from a number on. So the rows may become something else than chunks, and another store,
as on a disk, may lie below this one.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import Any

from numpy import ndarray

from rxstream.data.axis import Axis, Evidence, IrregularAxis, RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import NEVER
from rxstream.data.gridded_axis import GriddedAxis
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.window.object_bytes import bytes_of_objects

__all__ = ["Place", "Store", "place_after"]

Place = tuple[int, int | None]
"""A place between two chunks: its time [ns], and the number of the sample after it, if known."""

# Memory of what a chunk is made of besides its samples [bytes]: the growth of a process by 200 000
# chunks of a device was 584 to 617 for each on a regular axis, with Python 3.11.
_CHUNK_BYTES = 640

# Of an array of stamps besides its items, of a gap, and of one more stretch of an axis [bytes].
_ARRAY_BYTES, _GAP_BYTES, _PART_BYTES = 104, 320, 128

# Chunks read at once, at most: a busy reader locks the log once for all of them, and a dispose or a
# turn of its scheduler waits for no more than these. They are held until the last is delivered,
# whatever the window drops: so they are few bytes, or one chunk.
_BATCH, _BATCH_BYTES = 64, 1 << 16

_end_of = attrgetter("_end")


class Store:
    """Chunks in memory, in order; chunk number n keeps its number when others are dropped.

    Attributes
    ----------
    start, stop
        Numbers of the oldest chunk, and of the next one to come.
    nbytes
        Bytes held: samples, stamps, raw evidence and bookkeeping.
    newest_empty
        Number of the newest chunk without samples there ever was.
    oldest_end
        End of the oldest chunk [ns].
    end
        End of the newest chunk there ever was [ns].
    origin
        Place before the first chunk there ever was; None before it.
    dropped_end
        End of the newest chunk that was dropped [ns].
    """

    __slots__ = (
        "_base",
        "_batch",
        "_evidence",
        "_info",
        "_objects",
        "_rows",
        "_size",
        "_sizes",
        "_tail",
        "dropped_end",
        "end",
        "nbytes",
        "newest_empty",
        "oldest_end",
        "origin",
        "start",
        "stop",
    )

    def __init__(self) -> None:
        # Chunk number n is at n - `_base`. Those before `start` are None until many are deleted.
        self._rows: list[Any] = []
        self._base = 0
        # Bytes of each row, and of the last one: most are equal, and then one object.
        self._sizes: list[int] = []
        self._size = self.nbytes = 0
        # Chunks read at once, by the largest there ever was.
        self._batch = _BATCH
        self.start = self.stop = 0
        self.newest_empty = -1
        self.oldest_end = self.end = self.dropped_end = NEVER
        self.origin: Place | None = None
        # The last chunk dropped, without its samples, when none is left.
        self._tail: Chunk | None = None
        # Of the last chunk: the description, whether its samples are objects, and the evidence.
        self._info: StreamInfo | None = None
        self._objects = False
        self._evidence: Evidence | None = None

    # -- writing ------------------------------------------------------------------------------

    def append(self, chunk: Chunk) -> None:
        """Add the newest chunk.

        Raises
        ------
        ChunkError
            If it begins before the end of the one before it: it goes back, or comes twice.
        """
        # Past the properties: this runs for every chunk.
        start, end, gap_positions = chunk._start, chunk._end, chunk._gap_positions  # noqa: SLF001
        data, axis, info = chunk._data, chunk._axis, chunk._info  # noqa: SLF001
        if (start < self.end or gap_positions) and chunk.covered_from < self.end:
            raise _goes_back(chunk, self.end)
        if self.start == self.stop:
            self.oldest_end = end
            if self.origin is None:
                self.origin = chunk.covered_from, chunk.first_index
        size = data.nbytes
        if not size:
            self.newest_empty = self.stop
        size += _CHUNK_BYTES
        if type(axis) is not RegularAxis or (
            axis.evidence is not None and type(axis.evidence.device_time) is ndarray
        ):
            size += self._bytes_of_times(axis)
        if gap_positions:
            size += _GAP_BYTES * len(gap_positions)
        if info is not self._info:
            self._info, self._objects = info, data.dtype.hasobject
        if self._objects:
            size += bytes_of_objects(data)
        if size != self._size:
            self._size = size
            self._batch = min(self._batch, max(1, _BATCH_BYTES // size))
        self._rows.append(chunk)
        self._sizes.append(self._size)
        self.nbytes += size
        self.stop += 1
        self.end = end

    def trim(self, limit: int, max_bytes: int, before: int) -> bool:
        """Drop chunks that end by ``limit`` [ns] or are too many bytes, none from ``before`` on.

        Return whether bytes were the reason.
        """
        by_bytes, rows, start = False, self._rows, self.start
        while start < before:
            if self.oldest_end > limit:
                if self.nbytes <= max_bytes:
                    break
                by_bytes = True
            at = start - self._base
            # This reference keeps the chunk until everything is in order again: a finalizer may
            # call in.
            dead = rows[at]
            rows[at] = None
            self.nbytes -= self._sizes[at]
            self.dropped_end = self.oldest_end
            self.start = start + 1
            at += 1
            if start + 1 < self.stop:
                self.oldest_end = rows[at]._end  # noqa: SLF001 - past the property
            else:
                self._tail = Chunk.empty(dead.info, dead.end, index=dead.next_index)
            # When half of the list is dropped entries, delete them: O(1) per chunk on average.
            if at > _BATCH and 2 * at > len(rows):
                del rows[:at]
                del self._sizes[:at]
                self._base += at
            dead = None
            start = self.start
        return by_bytes

    # -- reading ------------------------------------------------------------------------------

    def read(self, number: int) -> list[Chunk]:
        """Return some chunks from ``number`` on, `start` or more: few, or few bytes.

        At the end of a store that is empty, an empty chunk there.
        """
        first = number - self._base
        found: list[Chunk] = self._rows[first : first + self._batch]
        if not found:
            return [] if self._tail is None else [self._tail]
        return found

    def chunks(self, t0: int, t1: int) -> list[Chunk]:
        """Return the chunks that reach into the time from ``t0`` to before ``t1`` [ns], whole."""
        found: list[Chunk] = []
        # Not a slice, which would copy everything later.
        for k in range(self.number_at(t0) - self._base, len(self._rows)):
            chunk = self._rows[k]
            if chunk.covered_from >= t1:
                break
            found.append(chunk)
        return found

    def number_at(self, t: int) -> int:
        """Return the number of the first chunk that ends after ``t`` [ns]."""
        dead = self.start - self._base
        return self._base + bisect_right(self._rows, t, lo=dead, key=_end_of)

    def get(self, number: int) -> Chunk | None:
        """Return one chunk; None if it was dropped or has not come."""
        if not self.start <= number < self.stop:
            return None
        return self._rows[number - self._base]  # type: ignore[no-any-return]

    def place(self, number: int) -> Place | None:
        """Return the place before a chunk, from `start` to `stop`; None before the first ever."""
        before, after = self.get(number - 1), self.get(number)
        if before is not None:
            return place_after(before)
        if after is not None:
            return after.covered_from, after.first_index
        return None if self._tail is None else (self._tail.end, self._tail.index)

    # -- counting -----------------------------------------------------------------------------

    def _bytes_of_times(self, axis: Axis) -> int:
        """Return the bytes of arrays of stamps, and of stretches after the first.

        Evidence that the chunk before has too is counted there.
        """
        if isinstance(axis, IrregularAxis) or type(axis) is RegularAxis:
            return self._bytes_of_stamps(axis)
        parts = axis.parts()
        return sum(map(self._bytes_of_stamps, parts)) + _PART_BYTES * (len(parts) - 1)

    def _bytes_of_stamps(self, part: RegularAxis | IrregularAxis) -> int:
        times = part.stamps if type(part) is IrregularAxis else None
        count = 0 if times is None else times.nbytes + _ARRAY_BYTES
        if type(part) is GriddedAxis:
            count += _PART_BYTES
        evidence = part.evidence
        if evidence is not None and evidence is not self._evidence:
            self._evidence = evidence
            stamps = evidence.device_time
            # on the host clock they may be the times themselves
            if stamps is not times and type(stamps) is ndarray:
                count += stamps.nbytes + _ARRAY_BYTES
        return count


def place_after(chunk: Chunk) -> Place:
    """Return the place after a chunk."""
    if chunk._gap_positions:  # noqa: SLF001 - past the properties: this runs for every chunk
        return chunk.end, chunk.next_index
    return chunk._end, chunk._index + len(chunk._data)  # noqa: SLF001


def _goes_back(chunk: Chunk, end: int) -> ChunkError:
    begin = chunk.covered_from
    return ChunkError(
        f"{chunk.info.name}: a chunk begins at {begin}, {end - begin} ns before the end of the one "
        "before it; a window takes each time once: leave out what comes late or twice, and keep a "
        "window for each stream"
    )
