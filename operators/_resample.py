"""resample: the same signal at other times."""

from collections.abc import Callable
from typing import Literal

from reactivex import Observable

from rxstream.chunk import Chunk
from rxstream.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.lift import lift
from rxstream.operators._resample_grid import Raster
from rxstream.operators._signal_runs import check_choice

__all__ = ["resample"]

Method = Literal["linear", "hold", "polyphase"]


def resample(
    rate: float | None = None,
    *,
    method: Method = "linear",
    tolerance: Duration | None = None,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Give samples at a steady rate, or at the times of another stream."""
    check_choice(method, Method, "method")
    if rate is None or isinstance(rate, bool) or not 0 < rate <= 1e9:
        msg = f"resample: rate must be > 0 Hz and at most 1e9 Hz, not {rate!r}"
        raise ParameterError(msg)
    span = None if tolerance is None else to_span(tolerance, "tolerance")
    hz = float(rate)
    return lift(lambda: Raster(hz, "linear" if method == "linear" else "previous", span))
