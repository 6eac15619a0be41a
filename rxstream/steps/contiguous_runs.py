"""Runs of adjacent samples: the stretches that a calculation over several samples may span."""

from typing import Literal

from rxstream.data.chunk import Chunk

__all__ = ["ContiguousRuns", "OnGap", "Run"]

OnGap = Literal["reset", "bridge"]
Run = tuple[int, int, bool]
"""First sample, the one after the last, and whether the run before it is not adjacent."""


class ContiguousRuns:
    """Splits chunks into runs of adjacent samples.

    A run ends at a gap, and where the numbers jump, as behind a gate or in a new session.
    """

    __slots__ = ("_broken", "_next")

    def __init__(self) -> None:
        self._broken, self._next = True, 0

    def cut(self, chunk: Chunk) -> tuple[Run, ...]:
        """Return the runs of a chunk that has samples in order; none is empty."""
        n, gap_positions = len(chunk), chunk.gap_positions
        broken = self._broken or (n > 0 and chunk.index != self._next)
        if not gap_positions:
            if not n:
                return ()
            self._broken, self._next = False, chunk.index + n
            return ((0, n, broken),)
        places = {at for at, _ in gap_positions}
        out: list[Run] = []
        edges = sorted(places | {0, n})
        for k, a in enumerate(edges):
            broken = broken or a in places
            if a < n:
                out.append((a, edges[k + 1], broken))
                broken = False
        self._broken, self._next = broken, chunk.next_index
        return tuple(out)
