"""Several chunks of one stream as one."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from rxstream.data.axis import join_axes
from rxstream.data.chunk import Chunk
from rxstream.data.gap import GapAt, add_gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown

__all__ = ["check_alike", "concat", "overlapping", "unlike"]

S = TypeVar("S", bound=np.generic, default=Any)


def _join_data(arrays: list[NDArray[S]]) -> NDArray[S]:
    """Return arrays one after the other: a view where they lie so in memory, else a copy."""
    filled = [a for a in arrays if len(a)]
    if len(filled) < 2:
        return filled[0] if filled else arrays[0]
    first, base = filled[0], filled[0].base
    if base is not None and first.flags.c_contiguous and first.size:
        at = first.__array_interface__["data"][0] + first.nbytes
        for array in filled[1:]:
            if array.base is not base or array.__array_interface__["data"][0] != at:
                break
            if not array.flags.c_contiguous:
                break
            at += array.nbytes
        else:
            count = sum(map(len, filled))
            joined = np.lib.stride_tricks.as_strided(
                first, (count, *first.shape[1:]), first.strides, writeable=False
            )
            return cast("NDArray[S]", joined)
    out = np.concatenate(filled)
    out.flags.writeable = False
    return out


def concat(chunks: "Iterable[Chunk[S]]") -> "Chunk[S]":
    """Return chunks of one stream as one chunk; gaps between them stay in it.

    Chunks that lie side by side in memory, as those of a device do, are joined without a copy.
    Of chunks without samples only the times count, not shape and dtype.

    Raises
    ------
    ChunkError
        If there is none, if they are of different shape or dtype, or if one begins before the
        one before it ends.
    """
    several = isinstance(chunks, Iterable) and not isinstance(chunks, Chunk | np.ndarray)
    items = list(chunks) if several else []
    if not several or not all(isinstance(item, Chunk) for item in items):
        msg = f"concat takes chunks, e.g. concat([a, b]), not {shown(chunks)}"
        raise ParameterError(msg)
    if not items:
        msg = "concat needs at least one chunk"
        raise ChunkError(msg)
    if len(items) == 1:
        return items[0]
    gap_positions: list[GapAt] = []
    count, first, before = 0, items[0], items[0]
    index: int | None = None
    like = next((item for item in items if len(item)), first)
    for item in items:
        if item is not first:
            _check_follows(before, item, like)
        for at, gap in item.gap_positions:
            add_gap(gap_positions, count + at, gap)
        if index is None and len(item):
            index = item.index
        count += len(item)
        before = item
    start = first.start
    if gap_positions and gap_positions[0][0] == 0 and gap_positions[0][1].start <= start:
        # A gap that was cut at the seam is one again, and the first sample lies after it.
        reach = start
        for at, gap in gap_positions:
            if at or gap.start > reach:
                break
            reach = max(reach, gap.end)
        start = reach
    return Chunk(
        _join_data([item.data for item in items]),
        join_axes(item.axis for item in items),
        start,
        before.end,
        before.index if index is None else index,
        like.info,
        tuple(gap_positions),
    )


def _check_follows(before: "Chunk[Any]", item: "Chunk[Any]", like: "Chunk[Any]") -> None:
    if len(item):
        check_alike(like, item)
    if item.covered_from < before.end:
        raise overlapping(before.info, before.end, item)


def check_alike(before: "Chunk[Any]", item: "Chunk[Any]") -> None:
    """Raise `ChunkError` if the samples of two chunks are of different shape or dtype."""
    shape, dtype = before.data.shape[1:], before.data.dtype
    if item.data.shape[1:] != shape or item.data.dtype != dtype:
        raise unlike(before.info, shape, dtype, item)


def overlapping(
    before: StreamInfo, end: int, item: "Chunk[Any]", where: str = "cannot join"
) -> ChunkError:
    """Return the error that a chunk begins before the ``end`` [ns] of the one before it.

    Parameters
    ----------
    before
        Description of the stream of the one before it.
    end
        Where the one before it ends [ns].
    item
        The chunk.
    where
        The operator, or what was to be done.
    """
    start, name = item.covered_from, item.info.name
    msg = (
        f"{where}: {name} goes back: a chunk begins at {start}, {end - start} ns before the end of "
        f"the one before it, {end}"
    )
    if before is not None and before.name != name:
        msg += f", of {before.name}; use the operator on each stream before they are merged"
    else:
        msg += "; give each session or file a pipe of its own"
    return ChunkError(msg)


def unlike(
    info: StreamInfo, shape: tuple[int, ...], dtype: np.dtype[Any], item: "Chunk[Any]"
) -> ChunkError:
    """Return the error that samples of a chunk do not go with those of ``shape`` and ``dtype``."""
    name, other = info.name, item.data
    if name != item.info.name:
        remedy = "use the operator on each stream before they are merged"
    elif other.shape[1:] != shape:
        remedy = (
            "bring them to one shape before, with ops.map_data, or take only what came before or "
            f"since {item.start}, as with between(t0, t1)"
        )
    else:
        kind = dtype if dtype.itemsize > other.dtype.itemsize else other.dtype
        remedy = "bring them to one type before" + (
            "" if kind.names else f", as with ops.map_data(lambda x: x.astype({shown(kind.str)}))"
        )
    return ChunkError(
        f"cannot join {name} {shape} {dtype} "
        f"and {item.info.name} {other.shape[1:]} {other.dtype}; {remedy}"
    )
