"""Resampling of a stream to the times of another."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Literal

from reactivex import Observable
from reactivex import operators as rx_ops

from rxstream.data.chunk import Chunk
from rxstream.operators.joins.align_step import Align
from rxstream.operators.joins.join_side import JoinSide
from rxstream.steps.multi import lift_multi

__all__ = ["resample_onto"]

# no limit of the tolerance [ns]: 36 years, which still fits 64 bits when added to a time
_UNLIMITED = 1 << 60
# largest tolerance by default for lines [ns]: samples of the other stream are held in memory until
# the line between samples has its second end
_LINE_TOLERANCE = 10_000_000_000


def resample_onto(
    other: Observable[Chunk],
    method: Literal["previous", "linear"],
    tolerance: int | None,
    lateness: int,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Return `align` seen from the other side: the source is the partner of ``other``.

    Durations are in [ns].
    """
    default = _LINE_TOLERANCE if method == "linear" else _UNLIMITED
    reach = default if tolerance is None else tolerance

    def make() -> Align:
        return Align([JoinSide(1, None, method, reach, 0)], lateness, report=False)

    def operator(source: Observable[Chunk]) -> Observable[Chunk]:
        pairs: Observable[Any] = lift_multi(make, [source], "resample")(other)
        return pairs.pipe(rx_ops.map(itemgetter(1)))

    return operator
