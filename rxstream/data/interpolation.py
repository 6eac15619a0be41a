"""Values of a stream at other times than its own: the nearest, the previous, or a line between."""

from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import FOREVER
from rxstream.data.gap import GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError

__all__ = ["FAR", "GAP", "NONE", "OK", "Method", "Sampled", "check_line", "line", "sample_at"]

Method: TypeAlias = Literal["nearest", "previous", "linear"]
OK, NONE, FAR, GAP = range(4)
"""Reasons: there is a value; there is no sample before, or after; it is too far; a gap is there."""


class Sampled(NamedTuple):
    """What a stream says at ``m`` times.

    Attributes
    ----------
    data
        ``(m, *shape)``, zeros where there is no value.
    source
        int64 ``(m,)``: the number in the chunk of the sample that is the value, for a line of the
        one before; -1 where there is no such sample.
    distance
        int64 ``(m,)`` [ns]: how far the sample is that the value is made of, for a line the farther
        of the two; where there is no such sample the largest int64.
    reason
        uint8 ``(m,)``: `OK`, `NONE`, `FAR` or `GAP`.
    """

    data: NDArray[Any]
    source: NDArray[np.int64]
    distance: NDArray[np.int64]
    reason: NDArray[np.uint8]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Where there is a value, bool ``(m,)``."""
        ok: NDArray[np.bool_] = self.reason == OK
        return ok


def sample_at(
    chunk: Chunk,
    times: NDArray[np.int64],
    method: Method = "previous",
    tolerance_ns: int | None = None,
    early: NDArray[np.int64] | None = None,
) -> Sampled:
    """Return the values of a stream at other times.

    Parameters
    ----------
    chunk
        Of the stream. Only the part around ``times`` is looked at.
    times
        int64 ``(m,)`` [ns], non-decreasing.
    method
        ``"nearest"``: the sample least far away, of two the earlier, also across a gap;
        ``"previous"``: the last one not after; ``"linear"``: on the line between the one before and
        the one after, whole numbers rounded; at exactly a sample's time that sample.
    tolerance_ns
        How far the samples that a value is made of may be [ns]; None: however far.
    early
        int64 ``(m,)``: by how much each time was moved on to be set apart from an equal one [ns].
        A sample before it is that much nearer.

    Raises
    ------
    ChunkError
        If there are no lines between samples of this dtype.

    Examples
    --------
    >>> info = StreamInfo("x", 1e9, (), np.float64)
    >>> chunk = Chunk.regular(np.array([0.0, 10.0, 20.0]), info, start=100)
    >>> sample_at(chunk, np.array([99, 100, 101]), "linear")[:2]
    (array([ 0.,  0., 10.]), array([-1,  0,  1]))
    """
    if method == "linear":
        check_line(chunk.info)
    m = len(times)
    shape, axis = (m, *chunk.info.shape), chunk.axis
    i = j = 0
    if m and axis.count:  # the samples around, with one more at either end
        i = max(0, axis.find(int(times[0])) - 1)
        j = min(axis.count, axis.find(int(times[-1]) + 1) + 1)
    stamps = axis.cut(i, j).times() if j > i else np.empty(0, np.int64)
    before = stamps.searchsorted(times, side="right") - 1
    exact = before >= 0
    stamped = times if early is None else times - early
    exact[exact] = stamps[before[exact]] >= stamped[exact]
    source, distance = _SOURCES[method](stamps, times, before, exact, early)
    reason = np.where(distance == FOREVER, np.uint8(NONE), np.uint8(OK))
    if tolerance_ns is not None:
        reason[(distance > tolerance_ns) & (reason == OK)] = FAR
    if chunk.gap_positions and method != "nearest":
        beyond = _behind_gaps(
            chunk.gap_positions, before + i, times, axis, whole=method == "linear"
        )
        reason[beyond & ~exact] = GAP
    data: NDArray[Any] = np.zeros(shape, chunk.data.dtype)
    good = reason == OK
    part = chunk.data[i:j]
    if method == "linear":
        between = good & ~exact
        k = source[between]
        data[between] = line(part[k], part[k + 1], _share(stamps, times[between], k))
        good &= exact
    data[good] = part[source[good]]
    data.flags.writeable = False
    return Sampled(data, np.where(source < 0, -1, source + i), distance, reason)


_Found: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]


def _since(
    stamps: NDArray[np.int64], times: NDArray[np.int64], source: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how far from ``times`` the samples ``source`` are, where there are any."""
    out = np.full(len(times), FOREVER)
    there = (source >= 0) & (source < len(stamps))
    out[there] = np.abs(times[there] - stamps[source[there]])
    return out


def _since_before(stamps: Any, times: Any, before: Any, early: Any) -> NDArray[np.int64]:
    """Return how far the samples before are from ``times``, less ``early``."""
    found = _since(stamps, times, before)
    if early is None:
        return found
    return np.where(found == FOREVER, FOREVER, np.maximum(found - early, 0))


def _previous(stamps: Any, times: Any, before: Any, _exact: Any, early: Any) -> _Found:
    return before, _since_before(stamps, times, before, early)


def _nearest(stamps: Any, times: Any, before: Any, _exact: Any, early: Any) -> _Found:
    earlier = _since_before(stamps, times, before, early)
    later = _since(stamps, times, before + 1)
    is_later = later < earlier
    return before + is_later, np.where(is_later, later, earlier)


def _linear(stamps: Any, times: Any, before: Any, exact: Any, early: Any) -> _Found:
    earlier = _since_before(stamps, times, before, early)
    farther = np.maximum(earlier, _since(stamps, times, before + 1))
    return before, np.where(exact, 0, farther)


_SOURCES = {"previous": _previous, "nearest": _nearest, "linear": _linear}


def _behind_gaps(
    gap_positions: tuple[GapAt, ...],
    before: NDArray[np.int64],
    times: NDArray[np.int64],
    axis: Axis,
    *,
    whole: bool,
) -> NDArray[np.bool_]:
    """Return which times have a gap between them and the sample ``before``.

    With ``whole`` also those that have a gap between them and the sample after.
    """
    places, starts = np.array([(at, gap.start) for at, gap in gap_positions], np.int64).T
    first = places.searchsorted(before + 1)  # the first gap right after the sample before
    found = np.minimum(first, len(places) - 1)
    past = starts[found] <= times
    if whole:
        past |= before >= 0
    out: NDArray[np.bool_] = (places[found] == before + 1) & past
    return out


def _share(
    stamps: NDArray[np.int64], times: NDArray[np.int64], k: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how much of the way from sample ``k`` to the next ``times`` are, 0 to 1."""
    out: NDArray[np.float64] = (times - stamps[k]) / (stamps[k + 1] - stamps[k])
    return out


def check_line(info: StreamInfo) -> None:
    """Raise ChunkError if there are no lines between samples of a stream."""
    if info.dtype.kind not in "iufc":
        what = "structured" if info.dtype.names else str(info.dtype)
        msg = (
            f"{info.name} has {what} samples, and there are no lines between them; use the value "
            "before, or choose numbers with ops.select"
        )
        raise ChunkError(msg)


def line(a: NDArray[Any], b: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    """Return values on the way from ``a`` to ``b`` ``(m, *shape)``, whole numbers rounded.

    Parameters
    ----------
    a, b
        Of the same dtype, of numbers.
    share
        How much of the way ``(m,)``, 0 to 1.
    """
    dtype = a.dtype
    share = share.reshape(-1, *(1 for _ in a.shape[1:]))
    if dtype.kind in "fc":
        with np.errstate(invalid="ignore", over="ignore"):
            return cast("NDArray[Any]", (a + (b - a) * share).astype(dtype))
    # 64-bit numbers are exact where long doubles have so many
    wide = np.float64 if dtype.itemsize < 8 else np.longdouble
    low: NDArray[Any] = a.astype(wide)
    way = np.rint(low + (b.astype(wide) - low) * share)
    return cast("NDArray[Any]", np.clip(way, np.minimum(a, b), np.maximum(a, b)).astype(dtype))
