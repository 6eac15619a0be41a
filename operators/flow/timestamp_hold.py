"""Chunks that `timestamp_correct` holds while a loss before them is suspected."""

from rxstream.data.axis import RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt
from rxstream.timing.stamp import ClockEvent

__all__ = ["HeldChunks"]


class HeldChunks:
    """Chunks whose times are uncertain; released when that is decided, or after too long.

    A loss that no counter shows is found some chunks later. Until then, times are early by what is
    missing. With a wait, they are mended before they are emitted.

    Parameters
    ----------
    span
        Longest time to hold a chunk [ns].
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
        # The first chunk after a loss only seems late, and the next one makes it suspect, so the
        # newest chunk always waits. While a loss is suspected, all that are not too old wait.
        wait = held[-1:] if state != "suspect" else held
        self._chunks = [c for c in wait if chunk.end - c.start <= self._span]
        return held[: len(held) - len(self._chunks)]

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        held, self._chunks = self._chunks, []
        return held


def _move_gap(held: list[Chunk], event: ClockEvent) -> None:
    """Move a gap from the chunk that revealed it to the first chunk after the loss."""
    decided = held[-1]
    late = [k for k, c in enumerate(held[:-1]) if c.index >= event.first]
    if not late or not decided.gap_positions:
        return
    lost, reason = event.samples or 0, decided.gap_positions[0].gap.reason
    for k in late:
        c = held[k]
        start, end = c.start + event.correction, c.end + event.correction
        gap_positions: tuple[GapAt, ...] = c.gap_positions
        if k == late[0]:
            gap_positions = (*gap_positions, GapAt(0, Gap(c.start, start, lost, reason)))
        held[k] = c._replace(
            axis=c.axis.shifted(event.correction), start=start, end=end, index=c.index + lost,
            gap_positions=gap_positions,
        )  # fmt: skip
    # The chunk that revealed the loss goes on from there, without the gap, in at least 1 ns for
    # each sample.
    begin, n = held[late[-1]].end, len(decided)
    end = max(decided.end, begin + n)
    last = decided.axis.parts()[-1]
    axis = RegularAxis(begin, (end - begin) / n, n, 0, last.uncertainty, last.evidence)
    held[-1] = decided._replace(
        axis=axis, start=begin, end=end, gap_positions=decided.gap_positions[1:]
    )
