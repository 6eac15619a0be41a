"""gaps: what is missing."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.chunk import Chunk
from rxstream.gap import Gap
from rxstream.lift import lift

__all__ = ["gaps"]


class _Gaps:
    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Gap | None = None

    def push(self, chunk: Chunk) -> list[Gap]:
        out: list[Gap] = []
        for _, gap in chunk.breaks:
            held = self._held
            if held is not None and held.continues(gap):
                self._held = held.join(gap)  # it was cut where the chunks were
                continue
            if held is not None:
                out.append(held)
            self._held = gap
        held = self._held
        if held is not None and (chunk.end > held.end or len(chunk)):
            at = chunk.breaks[-1][0] if chunk.breaks else 0
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
