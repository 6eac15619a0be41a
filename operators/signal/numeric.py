"""Number types and checks of streams, shared by filters and levels."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.printable import shown

__all__ = ["Initial", "by_channel", "check_numbers", "check_rate", "result_type"]

Initial = Literal["rest", "steady"]


def check_rate(info: StreamInfo, operator: str) -> float:
    """Return the rate [Hz] of a stream.

    Raises
    ------
    ChunkError
        If it has none.
    """
    if info.rate is None:
        msg = (
            f"{operator}: {info.name} has no rate, and this needs samples at equal distances; "
            "use ops.resample before"
        )
        raise ChunkError(msg)
    return info.rate


def check_numbers(info: StreamInfo, operator: str) -> None:
    """Raise ChunkError if the samples are no numbers."""
    if info.dtype.names:
        msg = (
            f"{operator}: {info.name} has structured samples; choose a field with "
            f"ops.select({shown(info.dtype.names[0])})"
        )
        raise ChunkError(msg)
    if info.dtype.kind not in "biufc":
        msg = f"{operator}: {info.name} is {info.dtype}, and this needs numbers"
        raise ChunkError(msg)


def result_type(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of the results and of the arithmetic for samples of ``dtype``.

    Floating point stays as it is (at least single), integers become double. The arithmetic is at
    least double, so that errors do not grow visibly with the length of the stream.
    """
    out = np.result_type(dtype, np.float32 if dtype.kind in "fc" else np.float64)
    return out, np.result_type(out, np.float64)


def by_channel(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return samples ``(n, *shape)`` as real numbers ``(channels, n)`` of ``dtype``, contiguous.

    Complex numbers become two channels. In this order in memory numpy sums the samples of a window
    in the same order whatever lies around them, so results do not depend on how a stream is cut.
    """
    n = len(data)
    flat = np.asarray(data, dtype).reshape(n, int(np.prod(data.shape[1:], dtype=np.int64)))
    if dtype.kind == "c":
        flat = np.ascontiguousarray(flat).view(np.empty(0, dtype).real.dtype)
    return np.ascontiguousarray(flat.T)
