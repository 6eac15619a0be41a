"""Checks of what chunks are made of, and their axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from rxstream.data.axis import IrregularAxis, RegularAxis
from rxstream.data.clock import Time, to_ns
from rxstream.data.gap import Gap
from rxstream.data.stamps import strictly_increasing
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.validation import is_positive, is_time, is_whole

__all__ = [
    "as_array",
    "check_facts",
    "checked_data",
    "misfit",
    "regular_axis",
    "same_values",
    "stamped_axis",
]

S = TypeVar("S", bound=np.generic, default=Any)


def checked_data(data: NDArray[S], info: StreamInfo) -> NDArray[S]:
    """Return samples as a read-only view; raise ChunkError if ``info`` describes others."""
    if not isinstance(info, StreamInfo):
        msg = f"info must be a StreamInfo, not {shown(info)}"
        raise ParameterError(msg)
    array = as_array(data, f"{info.name}: data")
    if array.ndim == 0 or array.shape[1:] != info.shape or array.dtype != info.dtype:
        raise ChunkError(misfit(array, info))
    view = array.view()
    view.flags.writeable = False
    return view


def misfit(array: NDArray[Any], info: StreamInfo) -> str:
    """Return in what samples differ from their description, and what to do.

    Examples
    --------
    >>> print(misfit(np.zeros(5), StreamInfo("x")))
    x: samples are float64 of shape (5,), but its StreamInfo says float32 of shape (n,): give ...
    """
    wanted = f"(n{''.join(f', {length}' for length in info.shape) or ','})"
    fields = []
    if array.dtype != info.dtype:
        fields.append(f"dtype={str(array.dtype)!r}")
    if array.shape[1:] != info.shape:
        fields.append(f"shape={array.shape[1:]}")
    remedy = f"give {' and '.join(fields)} there, or convert them"
    if array.ndim == 0:
        remedy = "give an array also for one sample, as np.array([value])"
    return (
        f"{info.name}: samples are {array.dtype} of shape {array.shape}, but its StreamInfo says "
        f"{info.dtype} of shape {wanted}: {remedy}"
    )


def regular_axis(
    info: StreamInfo, start: int, period: float | None, count: int, uncertainty: float
) -> RegularAxis:
    """Return the axis of ``count`` samples from ``start`` [ns] on, ``period`` [ns] apart.

    Raises
    ------
    ParameterError
        If neither ``period`` nor ``info`` gives a distance of at least 1 ns.
    """
    if period is not None and not is_positive(period):
        msg = f"{info.name}: period must be a distance > 0 [ns], not {shown(period)}"
        raise ParameterError(msg)
    step = info.period if period is None else float(period)
    if step and not (step * count < 1 << 63 and is_time(start + round(step * count))):
        msg = f"{info.name}: {count} samples {step:g} ns apart end beyond int64 nanoseconds"
        raise ParameterError(msg)
    if not step:
        msg = f"{info.name} has no rate; give period=, or use Chunk.stamped"
        raise ParameterError(msg)
    if not step >= 1:
        msg = f"{info.name}: samples {step:g} ns apart have no time each; it must be >= 1 ns"
        raise ParameterError(msg)
    return RegularAxis(start, step, count, 0, uncertainty)


def stamped_axis(
    time: "NDArray[np.int64] | Sequence[int]",
    count: int,
    start: Time | None,
    end: Time | None,
    uncertainty: float,
) -> tuple[IrregularAxis, int, int]:
    """Return the axis of ``count`` stamps [ns], and the interval that they cover [ns].

    Raises
    ------
    ChunkError
        If stamps go back, are not ``count``, lie outside ``start`` and ``end``, or are more than
        there are nanoseconds between these.
    """
    stamps = _stamps(time)
    if stamps.shape != (count,):
        msg = f"{count} samples need time of shape ({count},), not {stamps.shape}"
        raise ChunkError(msg)
    steps = stamps[1:] - stamps[:-1]
    if len(steps) and steps.min() < 0:
        i = int(np.flatnonzero(steps < 0)[0])
        msg = f"time goes back from {stamps[i]} to {stamps[i + 1]} at sample {i + 1}"
        raise ChunkError(msg)
    if not count and (start is None or end is None):
        msg = "an empty chunk needs start and end"
        raise ChunkError(msg)
    t0 = int(stamps[0]) if start is None else to_ns(start)
    t1 = int(stamps[-1]) + 1 if end is None else to_ns(end)
    if count and not t0 <= stamps[0] <= stamps[-1] < t1:
        msg = f"stamps from {stamps[0]} to {stamps[-1]} lie outside [{t0}, {t1})"
        raise ChunkError(msg)
    if len(steps) and not steps.all():
        stamps = strictly_increasing(stamps, None if end is None else t1)
        t0 = int(stamps[0]) if start is None else t0
        t1 = int(stamps[-1]) + 1 if end is None else t1
        if stamps[0] < t0:
            msg = f"{count} samples in [{t0}, {t1}): each needs 1 ns; give a later end="
            raise ChunkError(msg)
    stamps.flags.writeable = False
    return IrregularAxis(stamps, uncertainty), t0, t1


def _stamps(time: Any) -> NDArray[np.int64]:
    """Return times [ns] as an array of its own; raise ParameterError if they are none."""
    found = as_array(time, "time")
    too_large = found.dtype.kind == "u" and found.size and found.max() >= 1 << 63
    if (found.dtype.kind not in "iu" and found.size) or too_large:
        msg = f"time must be int nanoseconds (n,), not {shown(time)}"
        raise ParameterError(msg)
    return np.array(found, dtype=np.int64)


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return something as an array; raise ParameterError if that is not possible."""
    try:
        return np.asarray(value)
    # numpy raises nearly anything
    except Exception as error:
        msg = f"{name} must be an array, not {shown(value)}"
        raise ParameterError(msg) from error


def check_facts(index: object, gap: object, uncertainty: Any) -> None:
    """Raise ParameterError if one of what is said of samples cannot be."""
    if not is_whole(index):
        msg = f"index must be the number of a sample, not {shown(index)}"
        raise ParameterError(msg)
    if gap is not None and not isinstance(gap, Gap):
        msg = f"gap must be a Gap, or None, not {shown(gap)}"
        raise ParameterError(msg)
    given = isinstance(uncertainty, float | np.floating) or is_whole(uncertainty)
    if not given or uncertainty < 0:
        msg = f"uncertainty must be >= 0 ns, or NaN, not {shown(uncertainty)}"
        raise ParameterError(msg)


def same_values(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays have one dtype and equal values; NaN equals NaN."""
    if a.dtype != b.dtype:
        return False
    if a.dtype.kind in "fc":
        return bool(np.array_equal(a, b, equal_nan=True))
    if a.dtype.names:
        return all(same_values(a[name], b[name]) for name in a.dtype.names)
    return bool(np.array_equal(a, b))
