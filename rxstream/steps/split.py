"""Split a chunk at its gaps."""

from collections.abc import Iterator
from itertools import pairwise

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap

__all__ = ["split_at_gaps"]


def split_at_gaps(chunk: Chunk) -> Iterator[tuple[list[Gap], Chunk]]:
    """Split a chunk at its gaps: yield each group of gaps with the stretch that follows it.

    Gaps with time between them are two groups, as if the stream had been cut there. The first
    stretch may follow no gap, and any stretch may be without samples.
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
        piece, gaps = chunk[a:b], groups.get(a, [])
        end = groups[b][0].start if b in groups and a < b else chunk.end
        begin = piece.start if a else start
        if 0 < a == n:  # after a gap at the very end, time without samples
            begin = min(gaps[-1].end, end)
        runs = _adjacent(gaps)
        index = piece.index - sum(gap.lost or 0 for gap in gaps)
        for before, after in pairwise(runs):
            index += sum(gap.lost or 0 for gap in before)
            yield before, Chunk.empty(chunk.info, before[-1].end, after[0].start, index=index)
        yield runs[-1], piece._replace(start=begin, end=end, gap_positions=())


def _adjacent(gaps: list[Gap]) -> list[list[Gap]]:
    """Return the runs of gaps without time between them; of no gaps, one that is empty."""
    runs: list[list[Gap]] = [[]]
    for gap in gaps:
        if runs[-1] and runs[-1][-1].end < gap.start:
            runs.append([])
        runs[-1].append(gap)
    return runs
