"""ignore_gaps: take the marks of gaps away."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.operators.losses.gaps import stretches
from rxstream.steps.lift import lift

__all__ = ["ignore_gaps"]


class _DropGaps:
    __slots__ = ()

    def push(self, chunk: Chunk) -> list[Chunk]:
        if not chunk.gap_positions:
            return [chunk]
        pieces = [piece for _, piece in stretches(chunk)]
        out: list[Chunk] = []
        start = chunk.covered_from
        for piece in pieces:
            if len(piece) or piece is pieces[-1]:
                # each begins where the last one ended, so that none seems to be missing
                out.append(Chunk(piece.data, piece.axis, start, piece.end, piece.index, piece.info))
                start = piece.end
        return out

    def flush(self) -> tuple[()]:
        return ()


def ignore_gaps() -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Pass the samples on without the marks of what was lost between them.

    For what cannot do with gaps and does not mind. Chunks end where a gap was, and the next goes on
    from there; the times and the `Chunk.index` of the samples stay, so the loss can still be seen,
    and `detect_gaps` finds it again.

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
    fill_gaps : put something there.
    detect_gaps : find what is missing.

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
    return lift(_DropGaps)
