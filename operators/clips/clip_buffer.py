"""`ClipBuffer`: one stream, collected for the pending clips."""

from bisect import bisect_right
from collections.abc import Callable

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Missing, MissingReason
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.steps.in_order import InOrder
from rxstream.steps.watermark import NEVER

__all__ = ["ClipBuffer"]


class ClipBuffer:
    """One stream, kept without a hole from the earliest time that a clip needs.

    Its past comes from the window, its future as it is delivered; `upto` is the seam, so nothing
    is there twice, whichever of the two had it first.

    Parameters
    ----------
    name
        Name of the stream.
    look
        ``look(t0, t1)`` returns the chunk of the stream's window, as `Device.between` does.

    Attributes
    ----------
    over
        The reason why nothing more will come, or None.
    upto
        Time up to which it is kept [ns].
    """

    __slots__ = ("_chunks", "_holes", "_info", "_look", "_low", "_need", "_order", "name", "over",
                 "upto")  # fmt: skip

    def __init__(self, name: str, look: Callable[[int, int], Chunk]) -> None:
        self.name, self._look = name, look
        self.over: MissingReason | None = None
        self._info: StreamInfo | None = None
        self._order = InOrder("capture")
        self.clear()

    def clear(self) -> None:
        """Keep nothing: no clip is pending."""
        self._chunks: list[Chunk] = []
        self._holes: list[tuple[int, int, MissingReason]] = []
        self._low: int | None = None  # time from which it is kept [ns]; None: no clip is pending
        self.upto = self._need = NEVER  # `_need`: end of the latest clip [ns]

    def push(self, chunk: Chunk) -> None:
        """Take a delivered chunk; what no clip needs is not kept."""
        self._order.check(chunk)
        self._info = chunk.info
        # one that covers nothing says nothing, as in the window
        if self._low is None or _is_void(chunk):
            return
        if self.upto < self._need:
            # the first one delivered: the window may hold what was before it
            if chunk.covered_from > self.upto:
                self.look(chunk.covered_from)
            self._join(chunk)

    def want(self, start: int, end: int) -> None:
        """Keep what lies from ``start`` to before ``end`` [ns]; take what is in the window."""
        self._need = max(self._need, end)
        if self._low is None:
            self._low = self.upto = start
        elif start < self._low:
            low, kept = self._low, self._chunks
            self._chunks, self._holes = [], []
            self._low = self.upto = start
            self.look(low)
            for chunk in kept:
                self._join(chunk)
        self.look(end)

    def look(self, end: int) -> None:
        """Take what the window holds up to ``end`` [ns]."""
        found = self._ask(self.upto, end) if self.upto < end else None
        # all it holds is later: its first chunk shows since when, and what was lost before
        if found is not None and _is_void(found) and found.covered_from >= end:
            found = self._ask(found.covered_from, found.covered_from + 1)
        if found is not None and not _is_void(found):
            self._join(found)

    def _ask(self, start: int, end: int) -> Chunk | None:
        try:
            found = self._look(start, end)
        except ChunkError:  # nothing has come yet
            return None
        self._info = self._info or found.info
        return found

    def ready(self, end: int, line: int) -> bool:
        """Whether all up to ``end`` [ns] is there, or late: before ``line`` [ns]."""
        if self.upto < end and (self.over or line >= end):
            self.look(end)
            return True
        return self.upto >= end

    def cut(
        self, start: int, end: int, reason: MissingReason
    ) -> tuple[Chunk | None, list[Missing]]:
        """Return what lies from ``start`` to before ``end`` [ns], and what of it is missing.

        What has not come is missing because the stream is `over`, or for the ``reason``.
        """
        holes = [(a, b, reason) for a, b, reason in self._holes if a < end and b > start]
        if self.upto < end:
            holes.append((self.upto, end, self.over or reason))
        missing = [Missing(self.name, max(a, start), min(b, end), w) for a, b, w in holes]
        first = bisect_right(self._chunks, start, key=_end)
        found = []
        for chunk in self._chunks[first:]:
            if chunk.covered_from >= end:
                break
            found.append(chunk)
        if found and found[-1].end > end:
            found[-1] = found[-1].between(found[-1].covered_from, end)
        if found and found[0].covered_from < start:
            found[0] = found[0].between(start, found[0].end)
        if found:
            return concat(found), missing
        return (None if self._info is None else Chunk.empty(self._info, start)), missing

    def trim(self, start: int) -> None:
        """Drop what lies before ``start`` [ns]."""
        del self._chunks[: bisect_right(self._chunks, start, key=_end)]
        self._holes = [hole for hole in self._holes if hole[1] > start]
        self._low, self.upto = start, max(self.upto, start)

    def _join(self, chunk: Chunk) -> None:
        low, upto = chunk.covered_from, self.upto
        if chunk.end < upto or (chunk.end == upto and self._knows(chunk)):
            return
        if low < upto:
            chunk = chunk.between(upto, chunk.end)
        elif low > upto:
            chunk = self._with_hole(chunk, low)
        self.upto = chunk.end
        self._chunks.append(chunk)

    def _knows(self, chunk: Chunk) -> bool:
        """Whether a chunk that ends at `upto` adds nothing: it may have gaps without length."""
        if chunk.covered_from < self.upto or not self._chunks:
            return True
        known: set[Gap] = set()
        for last in reversed(self._chunks):
            if last.end < self.upto:
                break
            known.update(last.gaps)
        return known.issuperset(chunk.gaps)

    def _with_hole(self, chunk: Chunk, low: int) -> Chunk:
        """Note why nothing is there from `upto` to ``low`` [ns], where a chunk begins.

        Nothing is noted of mere silence. Samples that the window has dropped in between become a
        gap before the chunk.
        """
        if self._chunks:
            lost = chunk.first_index - self._chunks[-1].next_index
            if lost <= 0:
                return chunk
            self._holes.append((self.upto, low, "older than the window"))
            return chunk.with_gap(Gap(self.upto, low, lost, "lag"))
        if chunk.first_index == 0:
            self._holes.append((self.upto, low, "not begun"))
        elif not self._has_older():
            self._holes.append((self.upto, low, "older than the window"))
        return chunk

    def _has_older(self) -> bool:
        """Whether the window reaches back beyond `upto`: then it was silent and lost nothing."""
        older = self._ask(NEVER, self.upto)
        return older is not None and older.covered_from < self.upto


def _is_void(chunk: Chunk) -> bool:
    """Whether it covers nothing: the answer of a window that has nothing there."""
    return chunk.covered_from >= chunk.end and not chunk.gap_positions


def _end(chunk: Chunk) -> int:
    return chunk.end
