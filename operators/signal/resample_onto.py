"""Resampling of a stream to the times of another."""

from collections.abc import Callable
from typing import Any, Literal

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.operators.joins.align_step import Align
from rxstream.operators.joins.join_side import JoinSide
from rxstream.steps.lift import lift
from rxstream.steps.multi import lift_multi
from rxstream.steps.stream import Stream

__all__ = ["resample_onto"]

# no limit of the tolerance [ns]: 36 years, which still fits 64 bits when added to a time
_UNLIMITED = 1 << 60
# largest tolerance by default for lines [ns]: samples of the other stream are held in memory until
# the line between samples has its second end
_LINE_TOLERANCE = 10_000_000_000


class _Second:
    """Takes the partner of each pair; a step, so that heartbeats go on to joins behind."""

    def push(self, pair: tuple[Chunk, Chunk]) -> tuple[Chunk]:
        return (pair[1],)

    def flush(self) -> tuple[()]:
        return ()


def resample_onto(
    other: Observable[Chunk],
    method: Literal["previous", "linear"],
    tolerance: int | None,
    lateness: int,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Return `align` seen from the other side: the source is the partner of ``other``.

    Durations are in [ns].
    """
    default = _LINE_TOLERANCE if method == "linear" else _UNLIMITED
    reach = default if tolerance is None else tolerance

    def make() -> Align:
        return Align([JoinSide(1, None, method, reach, 0)], lateness, report=False, name="resample")

    def operator(source: Observable[Chunk]) -> Stream[Chunk]:
        pairs: Stream[Any] = lift_multi(make, [source], "resample")(other)
        values: Stream[Chunk] = lift(_Second)(pairs)
        return values

    return operator
