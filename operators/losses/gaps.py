"""gaps: emit what is missing."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["gaps"]


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
def gaps() -> Callable[[Observable[Chunk]], Stream[Gap]]:
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
