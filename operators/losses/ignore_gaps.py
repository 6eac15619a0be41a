"""ignore_gaps: remove the marks of gaps."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.steps.lift import lift
from rxstream.steps.split import split_at_gaps
from rxstream.steps.stream import Stream, label

__all__ = ["ignore_gaps"]


class _IgnoreGaps:
    __slots__ = ("_next",)

    def __init__(self) -> None:
        # What was lost shows at the next sample, not before, however a gap was cut; until then the
        # number is that of the first one lost.
        self._next: int | None = None

    def push(self, chunk: Chunk) -> list[Chunk]:
        if len(chunk) and not chunk.gap_positions:
            self._next = chunk.next_index
            return [chunk]
        if self._next is None:
            self._next = chunk.first_index
        pieces = [piece for _, piece in split_at_gaps(chunk)]
        out: list[Chunk] = []
        start = chunk.covered_from
        for piece in pieces:
            if len(piece) or piece is pieces[-1]:
                # Each chunk begins where the last one ended, so that no time seems to be missing.
                index = piece.index if len(piece) else self._next
                out.append(piece._replace(start=start, index=index))
                start, self._next = piece.end, index + len(piece)
        return out

    def flush(self) -> tuple[()]:
        return ()


@label
def ignore_gaps() -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Remove the gap marks between samples; the samples and their times stay.

    For code that cannot handle gaps and need not know of them. A chunk ends at each gap, and the
    next one begins there; times and `Chunk.index` of the samples stay, so the loss can still be
    seen, and `detect_gaps` finds it again.

    .. marble::

        --ab--c--x--d--e--|     x: lost
        [   ignore_gaps()   ]
        --ab--c-----d--e--|

    Returns
    -------
    operator
        Chunks without gaps.

    See Also
    --------
    fill_gaps : replace what was lost.
    detect_gaps : find gaps without marks.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, Gap, StreamInfo
    >>> info = StreamInfo("x", 10.0, (), np.int64)
    >>> lost = Gap(0, 500_000_000, 5, "dropped")
    >>> chunk = Chunk.regular(np.arange(2), info, start=500_000_000, index=5, gap=lost)
    >>> rx.of(chunk).pipe(ignore_gaps()).subscribe(lambda c: print(c.gap, c.index)).dispose()
    None 5
    """
    return lift(_IgnoreGaps)
