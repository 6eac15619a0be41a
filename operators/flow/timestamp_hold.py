"""Chunks kept back by `timestamp_correct` while a loss before them is suspected."""

from rxstream.data.axis import RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt
from rxstream.timing.stamp import ClockEvent

__all__ = ["Held"]


class Held:
    """Chunks whose times are in doubt; let go when it is decided, or after too long.

    A loss without numbers shows some chunks later: until then times are early by what is missing.
    Who can wait gets them right.
    """

    __slots__ = ("_chunks", "_span")

    def __init__(self, span: int) -> None:
        self._span = span
        self._chunks: list[Chunk] = []

    def push(self, chunk: Chunk, state: str, found: list[ClockEvent]) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        held = self._chunks
        held.append(chunk)
        for event in found:
            if event.kind == "gap" and event.samples and event.correction > 0:
                _move_gap(held, event)
        # the first chunk after a loss is merely late: only the next makes it suspicious, so one
        # always waits; while there is suspicion, all that are not too old do
        wait = held[-1:] if state != "suspect" else held
        self._chunks = [c for c in wait if chunk.end - c.start <= self._span]
        return held[: len(held) - len(self._chunks)]

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        held, self._chunks = self._chunks, []
        return held


def _move_gap(held: list[Chunk], event: ClockEvent) -> None:
    """Put a gap that the last chunk tells before the first chunk that came after the loss."""
    decided = held[-1]
    late = [k for k, c in enumerate(held[:-1]) if c.index >= event.first]
    if not late or not decided.gap_positions:
        return
    lost = event.samples or 0
    for k in late:
        c = held[k]
        grid = c.axis.parts()[0]
        if not isinstance(grid, RegularAxis):  # pragma: no cover - the stamper makes grids
            return
        moved = RegularAxis(
            grid.origin + event.correction, grid.period, grid.count, grid.first, grid.uncertainty,
            grid.evidence,
        )  # fmt: skip
        start, end = c.start + event.correction, c.end + event.correction
        gap_positions: tuple[GapAt, ...] = c.gap_positions
        if k == late[0]:
            gap_positions = (*gap_positions, GapAt(0, Gap(c.start, start, lost, "dropped")))
        held[k] = Chunk(c.data, moved, start, end, c.index + lost, c.info, gap_positions)
    begin, n = held[late[-1]].end, len(decided)
    end = max(decided.end, begin + n)
    last = decided.axis.parts()[-1]
    axis = RegularAxis(begin, (end - begin) / n, n, 0, last.uncertainty, last.evidence)
    held[-1] = Chunk(
        decided.data, axis, begin, end, decided.index, decided.info, decided.gap_positions[1:]
    )
