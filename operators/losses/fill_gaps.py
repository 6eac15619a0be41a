"""fill_gaps: put something where samples were lost."""

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.axis import RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.losses.gaps import join_cut, stretches
from rxstream.steps.lift import lift

__all__ = ["FillGaps", "fill_gaps"]

Way = Literal["previous", "linear"]
_LEAST = 1_000_000_000  # what is filled without being asked [ns],
_FEW = 10  # or so many samples


class FillGaps:
    """The step of `fill_gaps`; ``name`` is what the user has written, for errors."""

    __slots__ = ("_how", "_index", "_info", "_last", "_limit", "_most", "_name", "_run", "_seen",
                 "_shift", "_value")  # fmt: skip

    def __init__(self, how: Any, limit: int | None, name: str) -> None:
        self._how, self._limit, self._name = how, limit, name
        self._info: StreamInfo | None = None
        self._value: NDArray[Any] | None = None
        self._most = 0  # [ns]
        self._run: list[Gap] = []  # gaps after the last sample, until the next
        self._last: Chunk | None = None  # with samples
        self._seen: Chunk | None = None  # the newest stretch
        self._index = 0  # of the sample after the run
        self._shift = 0  # samples put in that nobody had counted

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        if chunk.info is not self._info:
            self._begin(chunk.info)
        if not chunk.gap_positions and not self._run:
            if len(chunk):
                self._last = chunk
            return [self._give(chunk, ())]
        out: list[Chunk] = []
        for gaps, piece in stretches(chunk):
            join_cut(self._run, gaps)
            self._seen, self._index = piece, piece.index
            if len(piece):
                filled, kept = self._fill(piece)
                out += filled
                self._last = piece
                out.append(self._give(piece, kept))
            elif not self._run:
                out.append(self._give(piece, ()))
        return out

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        seen = self._seen
        if seen is None or not self._run:
            return []
        filled, kept = self._fill(None)
        if kept or filled[-1].end < seen.end:
            filled.append(self._give(seen, kept))
        return filled

    def _begin(self, info: StreamInfo) -> None:
        period = info.period
        if period is None:
            msg = (
                f"{self._name}: {info.name} has no rate, so nobody knows where what it lost was; "
                "use ops.gaps() to hear of them"
            )
            raise ChunkError(msg)
        self._info = info
        self._most = max(_LEAST, round(_FEW * period)) if self._limit is None else self._limit
        if not isinstance(self._how, str):
            self._value = _value(self._how, info, self._name)
        elif self._how == "linear" and info.dtype.kind not in "iufc":
            msg = f"{self._name}: {info.name} is {info.dtype}; between numbers only, use 'previous'"
            raise ChunkError(msg)

    def _give(self, chunk: Chunk, kept: tuple[GapAt, ...]) -> Chunk:
        if not kept and not self._shift:
            return chunk
        return Chunk(
            chunk.data, chunk.axis, chunk.start, chunk.end, chunk.index + self._shift, chunk.info,
            kept,
        )  # fmt: skip

    def _fill(self, after: Chunk | None) -> tuple[list[Chunk], tuple[GapAt, ...]]:
        """Return what comes for the gaps of the run, and those of them that stay."""
        run, self._run = self._run, []
        out: list[Chunk] = []
        kept: list[GapAt] = []
        if not run:
            return out, ()
        info: Any = self._info
        span, index = run[-1].end - run[0].start, self._index - sum(gap.lost or 0 for gap in run)
        for gap in run:
            room = (gap.end - gap.start) / info.period
            count = round(room) if gap.lost is None else gap.lost
            # a counter that was misread may claim more than there is time for, or less
            fits = span <= self._most and room / 2 <= count <= 2 * room
            if count and fits and self._can(after):
                axis = RegularAxis(gap.start, (gap.end - gap.start) / count, count, 0, float(span))
                values = self._values(axis, after)
                out.append(
                    Chunk(values, axis, gap.start, gap.end, index + self._shift, info, tuple(kept))
                )
                kept = []
                self._shift += count if gap.lost is None else 0
            else:
                kept.append(GapAt(0, gap))
            index += gap.lost or 0
        return out, tuple(kept)

    def _can(self, after: Chunk | None) -> bool:
        """Whether the samples are there that the values are made from."""
        if self._value is not None:
            return True
        return self._last is not None and (self._how == "previous" or after is not None)

    def _values(self, axis: RegularAxis, after: Chunk | None) -> NDArray[Any]:
        info: Any = self._info
        shape, last = (axis.count, *info.shape), self._last
        if self._value is not None:  # no memory is taken for what is the same all over
            return np.broadcast_to(self._value, shape)
        if last is None:  # pragma: no cover - the caller has looked
            raise AssertionError
        if after is None or self._how == "previous":
            return np.broadcast_to(last.data[-1:], shape)
        t0, t1 = last.axis.at(len(last) - 1), after.axis.at(0)
        share = (axis.times() - t0) / (t1 - t0)
        return _line(last.data[-1:], after.data[:1], share.reshape(-1, *(1 for _ in info.shape)))


def _line(a: NDArray[Any], b: NDArray[Any], share: NDArray[np.float64]) -> NDArray[Any]:
    """Return values on the way from ``a`` to ``b``, whole numbers rounded."""
    dtype = a.dtype
    if dtype.kind in "fc":
        with np.errstate(invalid="ignore", over="ignore"):
            out = (a + (b - a) * share).astype(dtype)
    else:  # 64-bit numbers are exact where long doubles have so many
        low = a.astype(np.longdouble)
        line = np.rint(low + (b.astype(np.longdouble) - low) * share)
        out = np.clip(line, np.minimum(a, b), np.maximum(a, b)).astype(dtype)
    out.flags.writeable = False
    return cast("NDArray[Any]", out)


def _value(how: Any, info: StreamInfo, name: str) -> NDArray[Any]:
    """Return the value to fill in, as a sample of the stream."""
    try:
        if info.dtype.names:
            value = np.array(how, info.dtype)
        else:
            given = np.asarray(how)
            with np.errstate(invalid="ignore", over="ignore"):
                value = given.astype(info.dtype)
            same = (
                value == given if info.dtype.kind in "biu" else np.isinf(value) <= np.isinf(given)
            )
            if not np.all(same):
                raise OverflowError
        return np.broadcast_to(value, info.shape)
    except (TypeError, ValueError, OverflowError) as error:
        hint = "; use map_data before to have floating point numbers" * (info.dtype.kind in "biu")
        msg = (
            f"{name}: {info.name} has samples {info.shape} {info.dtype}, which cannot be that{hint}"
        )
        raise ChunkError(msg) from error


def fill_gaps(
    how: Way | complex | np.generic | NDArray[Any] | tuple[Any, ...],
    *,
    limit: Duration | None = None,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Put samples where some were lost, at the times they had, so that the stream goes on evenly.

    .. marble::

        --ab--c--x--e--f---|     x: lost
        [ fill_gaps("previous") ]
        --ab--c-----ce--f--|

    Parameters
    ----------
    how
        A value, for all samples or of the shape of one, e.g. ``0`` or ``np.nan``; ``"previous"``:
        the last value before; ``"linear"``: on the line between the last value before and the first
        after, whole numbers rounded.
    limit
        The longest gap that is filled [s]; gaps one right after the other count together. Longer
        ones stay gaps. Default: 1 s, or ten samples where they take longer, so that three hours
        without a cable do not become gigabytes.

    Returns
    -------
    operator
        The same chunks, and chunks of what was filled in before the sample after the gap: as many
        as were lost, or where nobody has counted as many as fit at the stated rate (later samples
        then have higher numbers). To be seen they have the length of the gap as `Chunk.uncertainty`
        of their part of `Chunk.axis`: the value is from up to that long ago.

        A gap stays a gap if it has no length, if its time is less than half or more than twice
        that of the samples it lost, or if there is no sample before (``"previous"``), or before and
        after (``"linear"``).

    Raises
    ------
    ParameterError
        If there is no such way, or ``limit`` is not positive.
    ChunkError
        Downstream, for irregular streams, for a value that samples cannot have (``nan`` among
        whole numbers), and for lines between what are no numbers.

    See Also
    --------
    ignore_gaps : only take the marks away.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, Gap, StreamInfo
    >>> info = StreamInfo("x", 10.0, (), np.float64)
    >>> a = Chunk.regular(np.array([1.0, 2.0]), info, start=0)
    >>> lost = Gap(a.end, a.end + 200_000_000, 2, "dropped")
    >>> b = Chunk.regular(np.array([5.0, 6.0]), info, start=lost.end, index=4, gap=lost)
    >>> rx.of(a, b).pipe(fill_gaps("linear")).subscribe(lambda c: print(c.data)).dispose()
    [1. 2.]
    [3. 4.]
    [5. 6.]
    """
    if isinstance(how, str):
        if how not in get_args(Way):
            msg = f"fill_gaps takes a value, 'previous' or 'linear', not {how!r}"
            raise ParameterError(msg)
    elif not isinstance(how, tuple) and not _is_value(how):
        msg = f"fill_gaps takes a value, 'previous' or 'linear', not {how!r}"
        raise ParameterError(msg)
    longest = None if limit is None else to_span(limit, "limit")
    return lift(lambda: FillGaps(how, longest, f"fill_gaps({how!r})"))


def _is_value(how: Any) -> bool:
    try:
        value = np.asarray(how)
    except ValueError:  # rows that differ in length
        return False
    return value.dtype.kind in "biufcV" and value.size > 0
