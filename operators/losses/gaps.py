"""gaps: emit what is missing, and `stretches` between gaps for the operators that need them."""

from collections.abc import Callable, Iterator

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.steps.lift import lift
from rxstream.steps.stream import label

__all__ = ["gaps", "stretches"]


def stretches(chunk: Chunk) -> Iterator[tuple[list[Gap], Chunk]]:
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
        yield groups.get(a, []), piece._replace(start=begin, end=end, gap_positions=())


class _Gaps:
    __slots__ = ("_held",)

    def __init__(self) -> None:
        # The newest gap waits until something follows it: if it was cut where the chunks were, its
        # rest is at the beginning of the next one.
        self._held: Gap | None = None

    def push(self, chunk: Chunk) -> list[Gap]:
        out: list[Gap] = []
        for _, gap in chunk.gap_positions:
            held = self._held
            if held is not None and held.continues(gap):
                self._held = held.join(gap)
                continue
            if held is not None:
                out.append(held)
            self._held = gap
        held = self._held
        last = chunk.gap_positions[-1].position if chunk.gap_positions else 0
        if held is not None and (last < len(chunk) or chunk.end > held.end):
            out.append(held)
            self._held = None
        return out

    def flush(self) -> tuple[Gap, ...]:
        held, self._held = self._held, None
        return () if held is None else (held,)


@label
def gaps() -> Callable[[Observable[Chunk]], Observable[Gap]]:
    """Emit only the gaps, as soon as each is complete.

    .. marble::

        --ab--c--x--d--e--|     x: lost
        [     gaps()      ]
        ------------x-----|

    Returns
    -------
    operator
        `Gap` items, each once, however the stream is cut.

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
