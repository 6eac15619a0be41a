"""`ClipBuffer`: one stream, collected for the clips that are under way."""

from bisect import bisect_right
from collections.abc import Callable

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Missing, MissingReason
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError

__all__ = ["ClipBuffer"]

_EVER = -(1 << 62)  # [ns]


class ClipBuffer:
    """One stream, kept without a hole from the earliest time that a clip wants.

    Its past comes from the window, its future as it is delivered; `upto` is the seam, so nothing
    is there twice, whichever of the two gave it first.

    Parameters
    ----------
    name
        Of the stream.
    look
        ``look(t0, t1)`` returns what the stream's window holds, as `Device.between` does.

    Attributes
    ----------
    at
        Up to when the stream has been delivered [ns]; None: nothing yet.
    over
        Why nothing more will come, or None.
    upto
        Up to when it is kept [ns].
    """

    __slots__ = ("_chunks", "_holes", "_like", "_look", "_low", "_need", "at", "name", "over",
                 "upto")  # fmt: skip

    def __init__(self, name: str, look: Callable[[int, int], Chunk]) -> None:
        self.name, self._look = name, look
        self.at: int | None = None
        self.over: MissingReason | None = None
        self._like: Chunk | None = None  # any chunk of the stream, to know what its samples are
        self.clear()

    def clear(self) -> None:
        """Keep nothing: no clip is open."""
        self._chunks: list[Chunk] = []
        self._holes: list[tuple[int, int, MissingReason]] = []
        self._low: int | None = None
        self.upto = self._need = _EVER

    def push(self, chunk: Chunk) -> None:
        """Take what was delivered; what no clip wants is not kept."""
        self.at = chunk.end if self.at is None else max(self.at, chunk.end)
        self._like = chunk
        if self._low is None:
            return
        if self.upto < self._need:
            if chunk.covered_from > self.upto:  # the first one delivered: what was before it?
                self.look(chunk.covered_from)
            self._join(chunk)

    def want(self, start: int, end: int) -> None:
        """Keep what lies from ``start`` to before ``end`` [ns]; take what is there already."""
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
        if found is not None and not _tells(found) and found.covered_from >= end:
            found = self._ask(found.covered_from, found.covered_from + 1)  # all it holds is later
        if found is not None and _tells(found):
            self._join(found)

    def _ask(self, start: int, end: int) -> Chunk | None:
        try:
            found = self._look(start, end)
        except ChunkError:  # nothing has come yet
            return None
        self._like = self._like or found
        return found

    def ready(self, end: int, line: int | None) -> bool:
        """Whether all up to ``end`` [ns] is there, or is waited for no more: by ``line`` [ns]."""
        if self.upto < end and (self.over or (line is not None and line >= end)):
            self.look(end)
            return True
        return self.upto >= end

    def cut(
        self, start: int, end: int, reason: MissingReason
    ) -> tuple[Chunk | None, list[Missing]]:
        """Return what lies from ``start`` to before ``end`` [ns], and what of it is missing.

        What has not come is missing for the reason that the stream is `over`, or ``reason``.
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
        return (concat(found) if found else self._nothing(start)), missing

    def trim(self, start: int) -> None:
        """Let go of what lies before ``start`` [ns]."""
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
            chunk = self._tell_hole(chunk, low)
        self.upto = chunk.end
        self._chunks.append(chunk)

    def _knows(self, chunk: Chunk) -> bool:
        """Whether a chunk that ends at `upto` says nothing new: it may have gaps without length."""
        if chunk.covered_from < self.upto or not self._chunks:
            return True
        told: set[Gap] = set()
        for last in reversed(self._chunks):
            if last.end < self.upto:
                break
            told.update(last.gaps)
        return told.issuperset(chunk.gaps)

    def _tell_hole(self, chunk: Chunk, low: int) -> Chunk:
        """Note why nothing is there from `upto` to a chunk, if it is not just silence."""
        number = chunk.index - sum(gap.lost or 0 for at, gap in chunk.gap_positions if at == 0)
        if self._chunks:
            last = self._chunks[-1]
            lost = (
                number
                - last.index
                - len(last)
                - sum(g.lost or 0 for at, g in last.gap_positions if at)
            )
            if lost <= 0:
                return chunk
            self._holes.append((self.upto, low, "older than the window"))
            return chunk.with_gap(Gap(self.upto, low, lost, "lag"))
        if number == 0:
            self._holes.append((self.upto, low, "not begun"))
        elif not self._has_older():
            self._holes.append((self.upto, low, "older than the window"))
        return chunk

    def _has_older(self) -> bool:
        """Whether the window reaches back beyond `upto`: then nothing was said, nothing lost."""
        older = self._ask(_EVER, self.upto)
        return older is not None and older.covered_from < self.upto

    def _nothing(self, start: int) -> Chunk | None:
        like = self._like
        if like is None:
            return None
        return Chunk(like.data[:0], like.axis.cut(0, 0), start, start, 0, like.info)


def _tells(chunk: Chunk) -> bool:
    """Whether it says anything, and is not just an empty answer."""
    return chunk.covered_from < chunk.end or bool(chunk.gap_positions)


def _end(chunk: Chunk) -> int:
    return chunk.end
