"""What filters share: runs of adjacent samples, number types, and the rate they need."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError

__all__ = [
    "ContiguousRuns",
    "Initial",
    "OnGap",
    "Run",
    "by_channel",
    "check_choice",
    "check_numbers",
    "check_rate",
    "result_type",
]  # fmt: skip

OnGap = Literal["reset", "bridge"]
Initial = Literal["rest", "steady"]
Run = tuple[int, int, bool]
"""From which sample to which, and whether it does not follow the one before."""


class ContiguousRuns:
    """Tells where samples of a chunk do not follow the ones before them.

    That is after a gap, and where their numbers jump, as behind a gate or in a new session.
    """

    __slots__ = ("_broken", "_next")

    def __init__(self) -> None:
        self._broken, self._next = True, 0

    def cut(self, chunk: Chunk) -> tuple[Run, ...]:
        """Return the runs of a chunk that has samples in order; none is empty."""
        n, index = len(chunk), chunk.index
        gap_positions = chunk.gap_positions
        if not gap_positions:
            if not n:
                return ()
            broken = self._broken or index != self._next
            self._broken, self._next = False, index + n
            return ((0, n, broken),)
        places = {at for at, _ in gap_positions}
        out: list[Run] = []
        broken = self._broken or (n > 0 and index != self._next)
        edges = sorted(places | {0, n})
        for k, a in enumerate(edges):
            broken = broken or a in places
            if a < n:
                out.append((a, edges[k + 1], broken))
                broken = False
        self._broken = broken
        self._next = index + n + sum(gap.lost or 0 for at, gap in gap_positions if at)
        return tuple(out)


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
            f"ops.select({info.dtype.names[0]!r})"
        )
        raise ChunkError(msg)
    if info.dtype.kind not in "biufc":
        msg = f"{operator}: {info.name} is {info.dtype}, and this needs numbers"
        raise ChunkError(msg)


def result_type(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of results and of the arithmetic for samples of ``dtype``.

    Floating point stays as it is (at least single), whole numbers become double; what is computed
    is at least double, so that the length of the stream does no harm.
    """
    out = np.result_type(dtype, np.float32 if dtype.kind in "fc" else np.float64)
    return out, np.result_type(out, np.float64)


def by_channel(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return samples ``(n, *shape)`` as real numbers ``(channels, n)`` of ``dtype``, in this order.

    Complex numbers are two channels. Numpy adds up what lies side by side always alike, however
    much else there is, so that results do not depend on how a stream is cut.
    """
    n = len(data)
    flat = np.asarray(data, dtype).reshape(n, int(np.prod(data.shape[1:], dtype=np.int64)))
    if dtype.kind == "c":
        flat = np.ascontiguousarray(flat).view(np.empty(0, dtype).real.dtype)
    return np.ascontiguousarray(flat.T)


def check_choice(value: object, choices: Any, name: str) -> None:
    """Raise ParameterError if ``value`` is none of a Literal."""
    options = get_args(choices)
    if not isinstance(value, str) or value not in options:
        msg = f"{name} must be {' or '.join(map(repr, options))}, not {value!r}"
        raise ParameterError(msg)
