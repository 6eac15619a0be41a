"""gaps: what is missing."""

from collections.abc import Callable, Iterator

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.steps.lift import lift

__all__ = ["gaps", "join_cut", "stretches"]


def join_cut(run: list[Gap], gaps: list[Gap]) -> None:
    """Add ``gaps`` to a ``run`` of gaps, joining one that was cut where the chunks were."""
    for gap in gaps:
        if run and run[-1].continues(gap):
            run[-1] = run[-1].join(gap)
        else:
            run.append(gap)


def stretches(chunk: Chunk) -> Iterator[tuple[list[Gap], Chunk]]:
    """Give what a chunk is made of: gaps, and what comes after them, without gaps, in order.

    The first stretch may be one without gaps, and each may be one without samples.
    """
    groups: dict[int, list[Gap]] = {}
    for at, gap in chunk.gap_positions:
        groups.setdefault(at, []).append(gap)
    n = len(chunk)
    start = chunk.start
    if 0 in groups:
        first, last = groups[0][0].start, groups[0][-1].end
        if start < first:  # time before the gap, of which is told that nothing came
            yield [], Chunk(chunk.data[:0], chunk.axis.cut(0, 0), start, first,
                            chunk.index - sum(gap.lost or 0 for gap in groups[0]),
                            chunk.info)  # fmt: skip
        start = max(start, last)
        if n:
            start = min(start, chunk.axis.at(0))
    places = sorted(groups.keys() | {0})
    for k, a in enumerate(places):
        b = places[k + 1] if k + 1 < len(places) else n
        piece = chunk[a:b]
        end = groups[b][0].start if b in groups and a < b else chunk.end
        yield (
            groups.get(a, []),
            Chunk(
                piece.data, piece.axis, piece.start if a else start, end, piece.index, piece.info
            ),
        )


class _Gaps:
    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Gap | None = None

    def push(self, chunk: Chunk) -> list[Gap]:
        out: list[Gap] = []
        for _, gap in chunk.gap_positions:
            held = self._held
            if held is not None and held.continues(gap):
                self._held = held.join(gap)  # it was cut where the chunks were
                continue
            if held is not None:
                out.append(held)
            self._held = gap
        held = self._held
        if held is not None and (chunk.end > held.end or len(chunk)):
            at = chunk.gap_positions[-1][0] if chunk.gap_positions else 0
            if at < len(chunk) or chunk.end > held.end:
                out.append(held)
                self._held = None
        return out

    def flush(self) -> tuple[Gap, ...]:
        held, self._held = self._held, None
        return () if held is None else (held,)


def gaps() -> Callable[[Observable[Chunk]], Observable[Gap]]:
    """Give only what is missing, as it becomes known.

    .. marble::

        --ab--c--x--d--e--|     x: lost
        [     gaps()      ]
        ------------x-----|

    Returns
    -------
    operator
        `Gap` items, each once, however the stream was cut.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, Gap, StreamInfo
    >>> info = StreamInfo("x", 10.0, (), np.int64)
    >>> lost = Gap(0, 500_000_000, 5, "dropped")
    >>> chunk = Chunk.regular(np.arange(2), info, start=500_000_000, index=5, gap=lost)
    >>> rx.of(chunk).pipe(gaps()).subscribe(print).dispose()
    gap of 0.5 s, 5 samples lost (dropped)
    """
    return lift(_Gaps)
