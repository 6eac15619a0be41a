"""Values of a stream at the times of another."""

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

_UNLIMITED = 1 << 60  # 36 years [ns]; added to a time it is still a time
_LINE = 10_000_000_000  # [ns]: the other's samples are held until a line has its second end


def resample_onto(
    other: Observable[Chunk],
    method: Literal["previous", "linear"],
    tolerance: int | None,
    lateness: int,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Return the operator that is `align` seen from the other side.

    Its source is the partner of each sample of ``other``; durations in [ns].
    """
    reach = (_LINE if method == "linear" else _UNLIMITED) if tolerance is None else tolerance

    def make() -> Align:
        return Align([JoinSide(1, None, method, reach, 0)], lateness, tell=False)

    def operator(source: Observable[Chunk]) -> Observable[Chunk]:
        pairs: Observable[Any] = lift_multi(make, [source], "resample")(other)
        return pairs.pipe(rx_ops.map(itemgetter(1)))

    return operator
