"""Split a chunk at its gaps."""

from collections.abc import Iterator

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap

__all__ = ["split_at_gaps"]


def split_at_gaps(chunk: Chunk) -> Iterator[tuple[list[Gap], Chunk]]:
    """Split a chunk at its gaps: yield each group of gaps with the stretch that follows it.

    The first stretch may follow no gap, and any stretch may be without samples.
    """
    groups: dict[int, list[Gap]] = {}
    for at, gap in chunk.gap_positions:
        groups.setdefault(at, []).append(gap)
    n = len(chunk)
    start = chunk.start
    if 0 in groups:
        first, last = groups[0][0].start, groups[0][-1].end
        # Covered time before the first gap, in which no sample came.
        if start < first:
            yield [], Chunk.empty(chunk.info, start, first, index=chunk.first_index)
        start = max(start, last)
        if n:
            start = min(start, chunk.axis.at(0))
    places = sorted(groups.keys() | {0})
    for k, a in enumerate(places):
        b = places[k + 1] if k + 1 < len(places) else n
        piece = chunk[a:b]
        end = groups[b][0].start if b in groups and a < b else chunk.end
        begin = piece.start if a else start
        if 0 < a == n:  # after a gap at the very end, time without samples
            begin = min(groups[a][-1].end, end)
        yield groups.get(a, []), piece._replace(start=begin, end=end, gap_positions=())
