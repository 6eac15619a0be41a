"""fill_gaps: replace the samples that were lost."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.axis import RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.concat import check_alike
from rxstream.data.gap import Gap, GapAt, add_gap
from rxstream.data.interpolation import line
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.split import split_at_gaps
from rxstream.steps.stream import Stream, label

__all__ = ["FillGaps", "fill_gaps"]

Method = Literal["previous", "linear"]
# The longest gap filled by default: 1 s [ns], because short dropouts are what filling is for, and
# three hours without a cable must not become gigabytes; or 10 samples of a slower stream.
_DEFAULT_LIMIT = 1_000_000_000
_DEFAULT_LIMIT_SAMPLES = 10


class FillGaps:
    """The step of `fill_gaps`.

    Parameters
    ----------
    how
        As for `fill_gaps`.
    limit
        Longest run of gaps to be filled [ns]; None: the default.
    name
        What the user has written, for errors.
    """

    __slots__ = ("_after", "_how", "_info", "_last", "_limit", "_max_span", "_name", "_run",
                 "_shift", "_value")  # fmt: skip

    def __init__(self, how: Any, limit: int | None, name: str) -> None:
        self._how, self._limit, self._name = how, limit, name
        self._info: StreamInfo | None = None
        self._value: NDArray[Any] | None = None
        self._max_span = 0  # [ns]
        self._run: list[GapAt] = []  # gaps since the last sample, all at position 0
        self._last: Chunk | None = None  # the newest stretch with samples
        self._after: Chunk | None = None  # the time without samples behind the run, if there is any
        self._shift = 0  # samples filled in for gaps of unknown count, which later indices skip

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        if chunk.info is not self._info:
            last = self._last
            if last is not None and len(chunk) and isinstance(self._how, str):
                check_alike(last, chunk)
            self._begin(chunk.info)
        if not chunk.gap_positions and not self._run:
            if len(chunk):
                self._last = chunk
            return [self._renumber(chunk, ())]
        out: list[Chunk] = []
        for gaps, piece in split_at_gaps(chunk):
            for gap in gaps:
                add_gap(self._run, 0, gap)
                self._after = None
            after = self._after
            if after is not None:  # it is one stretch, however it was cut
                piece = piece._replace(
                    start=after.start, index=piece.index if len(piece) else after.index
                )
            if len(piece):
                filled, kept = self._fill(piece)
                out += filled
                self._last, self._after = piece, None
                out.append(self._renumber(piece, kept))
            elif self._run:
                self._after = piece
            else:
                out.append(self._renumber(piece, ()))
        return out

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        after = self._after
        if after is None or not self._run:
            return []
        filled, kept = self._fill(after)
        if kept or filled[-1].end < after.end:
            filled.append(self._renumber(after, kept))
        return filled

    def _begin(self, info: StreamInfo) -> None:
        period = info.period
        if period is None:
            msg = (
                f"{self._name}: {info.name} has no rate, so the times of lost samples are unknown; "
                "use ops.gaps() to list the gaps"
            )
            raise ChunkError(msg)
        self._info = info
        default = max(_DEFAULT_LIMIT, round(_DEFAULT_LIMIT_SAMPLES * period))
        self._max_span = default if self._limit is None else self._limit
        if not isinstance(self._how, str):
            self._value = _value(self._how, info, self._name)
        elif self._how == "linear" and info.dtype.kind not in "iufc":
            msg = f"{self._name}: {info.name} is {info.dtype}, not numbers; use 'previous'"
            raise ChunkError(msg)

    def _renumber(self, chunk: Chunk, gaps: tuple[GapAt, ...]) -> Chunk:
        """Return a stretch with its new index, after the ``gaps`` that stay."""
        if not gaps and not self._shift:
            return chunk
        start = chunk.start
        if gaps:  # between gaps lies time without samples, which the chunk covers
            reach = gaps[0].gap.end
            for _, gap in gaps:
                reach = max(reach, gap.end) if gap.start <= reach else reach
            start = min(start, reach)
        return chunk._replace(start=start, index=chunk.index + self._shift, gap_positions=gaps)

    def _fill(self, after: Chunk) -> tuple[list[Chunk], tuple[GapAt, ...]]:
        """Return chunks that fill gaps of the run, and the gaps that stay after the last of them.

        The run ends at the stretch ``after``, which has samples but at the end of the stream.
        """
        run, self._run = self._run, []
        out: list[Chunk] = []
        kept: list[GapAt] = []
        if not run:
            return out, ()
        info: Any = self._info
        span = run[-1].gap.end - run[0].gap.start
        index = after.index - sum(gap.lost or 0 for _, gap in run)
        for here in run:
            gap = here.gap
            room = (gap.end - gap.start) / info.period
            count = round(room) if gap.lost is None else gap.lost
            # A counter that was misread may claim more samples than there is time for, or fewer.
            fits = span <= self._max_span and room / 2 <= count <= 2 * room
            if count and fits and self._can(after):
                axis = self._times(gap, count, float(span))
                values = self._values(axis, after)
                out.append(
                    Chunk(values, axis, gap.start, gap.end, index + self._shift, info, tuple(kept))
                )
                kept = []
                self._shift += count if gap.lost is None else 0
            else:
                kept.append(here)
            index += gap.lost or 0
        return out, tuple(kept)

    def _times(self, gap: Gap, count: int, span: float) -> RegularAxis:
        """Return the times of ``count`` samples of a gap: the one before it lasted a period."""
        info: Any = self._info
        last, start = self._last, gap.start
        if last is not None:
            until = last.axis.at(len(last) - 1) + round(info.period)
            if start < until and gap.end - until >= count * info.period / 2:
                start = until
        return RegularAxis(start, (gap.end - start) / count, count, 0, span)

    def _can(self, after: Chunk) -> bool:
        """Whether there are the samples that the values are computed from."""
        if self._value is not None:
            return True
        return self._last is not None and (self._how == "previous" or len(after) > 0)

    def _values(self, axis: RegularAxis, after: Chunk) -> NDArray[Any]:
        """Return the samples ``(n, *shape)`` for the times of ``axis``, read-only."""
        info: Any = self._info
        last: Any = self._last  # there is one where it is used, by `_can`
        shape = (axis.count, *info.shape)
        # Equal samples are a view of one, so that long gaps take no memory.
        if self._value is not None:
            return np.broadcast_to(self._value, shape)
        if self._how == "previous":
            return np.broadcast_to(last.data[-1:], shape)
        t0, t1 = last.axis.at(len(last) - 1), after.axis.at(0)
        out = line(last.data[-1:], after.data[:1], (axis.times() - t0) / (t1 - t0))
        out.flags.writeable = False
        return out


def _value(how: Any, info: StreamInfo, name: str) -> NDArray[Any]:
    """Return the value to fill in, as a sample of the stream ``info.shape``."""
    try:
        if info.dtype.names:
            value = np.array(how, info.dtype)
        else:
            given = np.asarray(how)
            if given.dtype.kind == "c" and info.dtype.kind != "c":
                raise TypeError
            with np.errstate(invalid="ignore", over="ignore"):
                value = given.astype(info.dtype)
            # A float may lose digits, but must not become infinite.
            same = (
                value == given if info.dtype.kind in "biu" else np.isinf(value) <= np.isinf(given)
            )
            if not np.all(same):
                raise OverflowError
        return np.broadcast_to(value, info.shape)
    except (TypeError, ValueError, OverflowError) as error:
        hint = "; convert to floating point before, with map_data" * (info.dtype.kind in "biu")
        msg = (
            f"{name}: {info.name} has samples {info.shape} {info.dtype}, which cannot be that{hint}"
        )
        raise ChunkError(msg) from error


@label
def fill_gaps(
    how: Method | complex | np.generic | NDArray[Any] | tuple[Any, ...],
    *,
    limit: Duration | None = None,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Insert samples where some were lost, at the times they had, to keep the stream regular.

    .. marble::

        --ab--c--x--e--f---|     x: lost
        [ fill_gaps("previous") ]
        --ab--c-----ce--f--|

    Parameters
    ----------
    how
        A value, one number or an array of the shape of a sample, e.g. ``0`` or ``np.nan``;
        ``"previous"``: the last value before; ``"linear"``: on the line between the last value
        before and the first after, whole numbers rounded.
    limit
        The longest gap that is filled [s]; adjacent gaps count as one. Longer ones stay gaps.
        Default: 1 s, or ten samples if these take longer, so that three hours without a cable do
        not become gigabytes.

    Returns
    -------
    operator
        The same chunks, and chunks of filled-in samples, emitted before the sample after the gap:
        as many as were lost, or if their number is unknown, as many as fit at the nominal rate
        (later samples then have a higher index). Their `Chunk.uncertainty` is the length of the
        gap, which marks them: the value may be that old.

        After NaN filters begin anew, as they do after a gap (``on_nan=`` of `filter_band`); a
        function of your own with a state (`scan_data`) may have to be told.

        A gap stays a gap if it has no length, if its time is less than half or more than twice
        that of the samples it lost, or if there is no sample before (``"previous"``), or before and
        after (``"linear"``).

    Raises
    ------
    ParameterError
        If ``how`` is neither a value nor a known method, or ``limit`` is not positive.
    ChunkError
        Downstream, for irregular streams, for a value that samples cannot have (``nan`` among
        whole numbers), and for ``"linear"`` between samples that are not numbers.

    See Also
    --------
    ignore_gaps : only remove the marks.

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
    known = how in get_args(Method) if isinstance(how, str) else _is_value(how)
    if not known:
        msg = f"fill_gaps takes a value, 'previous' or 'linear', not {shown(how)}"
        raise ParameterError(msg)
    longest = None if limit is None else to_span(limit, "limit")
    return lift_in_order(lambda: FillGaps(how, longest, f"fill_gaps({shown(how)})"))


def _is_value(how: Any) -> bool:
    if isinstance(how, tuple):
        return True
    try:
        value = np.asarray(how)
    except ValueError:  # rows of different length
        return False
    return value.dtype.kind in "biufcV" and value.size > 0
