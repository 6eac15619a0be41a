"""detect_gaps: find gaps that nobody has marked."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from reactivex import Observable, abc

from rxstream.data.axis import Axis, IrregularAxis, RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["detect_gaps"]

Report: TypeAlias = Callable[[Gap], Any]


class _DetectGaps:
    __slots__ = ("_asked", "_end", "_expected", "_info", "_known_to", "_last", "_open", "_period",
                 "_report", "_tolerance")  # fmt: skip

    def __init__(self, report: Report | None, tolerance: int | None) -> None:
        self._report, self._asked = report, tolerance
        self._info: StreamInfo | None = None
        self._period: float | None = None  # [ns]
        self._tolerance = 0.0  # [ns]
        self._expected: int | None = None  # index that should come next
        self._last = 0  # time of the last sample [ns]
        self._known_to: int | None = None  # time up to which samples and gaps account for all [ns]
        self._end = 0  # of the last chunk [ns]
        self._open = False  # a gap ends at `_known_to`; without samples after it, it goes on

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._info:
            self._begin(chunk.info)
        axis, n, known_to = chunk.axis, len(chunk), self._known_to
        # The quick way for nearly all chunks of a device: one grid, which goes on as expected.
        if (
            n
            and type(axis) is RegularAxis
            and not chunk.gap_positions
            and known_to is not None
            and not self._open
        ):
            edge = axis.at(n)
            if (
                chunk.index == self._expected
                and abs(axis.at(0) - known_to) <= self._tolerance
                and chunk.end - edge <= self._tolerance
            ):
                self._expected += n
                self._last, self._known_to, self._end = axis.at(n - 1), edge, chunk.end
                return (chunk,)
        return (self._check(chunk),)

    def flush(self) -> tuple[()]:
        return ()

    def _begin(self, info: StreamInfo) -> None:
        self._info, self._period = info, info.period
        half = 0.0 if info.period is None else info.period / 2
        self._tolerance = half if self._asked is None else float(self._asked)

    def _check(self, chunk: Chunk) -> Chunk:
        """Return a chunk with the gaps found in it, which are reported."""
        n, axis = len(chunk), chunk.axis
        groups: dict[int, list[Gap]] = {}
        for at, gap in chunk.gap_positions:
            groups.setdefault(at, []).append(gap)
        found: list[Gap] = []
        gap_positions: list[GapAt] = []
        for at in sorted({0, n, *groups, *self._candidates(axis)}):
            marked = groups.get(at, [])
            if at:
                self._advance(axis, at)
            gaps = self._gaps_at(chunk, at, marked)
            found += [gap for gap in gaps if not _is_one_of(gap, marked)]
            gap_positions += [GapAt(at, gap) for gap in gaps]
        self._end = chunk.end
        if n:
            self._expected = chunk.next_index
        elif self._expected is not None:
            self._expected = max(self._expected + chunk.lost, chunk.index)
        if self._report is not None:
            for gap in found:
                self._report(gap)
        return _with_gaps(chunk, gap_positions) if found else chunk

    def _candidates(self, axis: Axis) -> list[int]:
        """Return where a regular stream may have holes: between stretches and between stamps."""
        period = self._period
        if period is None:
            return []
        out, at = list[int](), 0
        for part in axis.parts() if axis.count else ():
            if at:
                out.append(at)
            if type(part) is IrregularAxis:
                far = np.diff(part.stamps) > period + self._tolerance
                out += (np.flatnonzero(far) + at + 1).tolist()
            at += part.count
        return out

    def _advance(self, axis: Axis, at: int) -> None:
        """Note the sample before ``at`` as the last."""
        one = axis.cut(at - 1, at)
        self._last = one.at(0)
        if self._period is None:
            self._known_to = self._last
        else:
            part = one.parts()[0]
            self._known_to = (
                part.at(1) if type(part) is RegularAxis else round(self._last + self._period)
            )
        self._open = False

    def _gaps_at(self, chunk: Chunk, at: int, marked: list[Gap]) -> list[Gap]:
        """Return the gaps between the last sample and sample ``at``: those marked, and others."""
        axis, n = chunk.axis, len(chunk)
        after = axis.at(at) if at < n else chunk.end
        jump = 0
        if at == 0 and self._expected is not None:
            jump = chunk.index - self._expected - sum(gap.lost or 0 for gap in marked)
            # The index of a chunk without samples is that of the next one: it can reveal a loss,
            # but as long as no sample has come, no restart and no overlap.
            if not n:
                jump = max(jump, 0)
            elif self._goes_back(axis, after):
                return [*marked, Gap(after, max(after, self._known_to or 0), 0, "overlap")]
            # A marked loss of unknown size accounts for any jump.
            if any(gap.lost is None for gap in marked):
                jump = 0
        out = self._fill_holes(marked, after, 0 if at else self._end)
        holes = [k for k, gap in enumerate(out) if not _is_one_of(gap, marked)]
        if jump > 0 and holes:
            _distribute(out, holes, jump)
        elif jump > 0 or (jump < 0 and not marked):
            # The index jumps where there is no hole in time. Irregular samples may have been lost
            # anywhere since the last chunk; a regular stream leaves only the time from the start of
            # the chunk to its first sample, most often none.
            start = self._end if self._period is None and not marked else chunk.start
            start = max(start, self._end)
            end = max(start, after if self._period is not None else chunk.start)
            if jump < 0:
                out = [Gap(min([start, *(gap.start for gap in out)]), end, None, "restart")]
            else:
                out.append(Gap(start, end, jump, "dropped"))
        return out

    def _goes_back(self, axis: Axis, first: int) -> bool:
        """Whether a sample at ``first`` [ns] is earlier than jitter explains."""
        if self._period is not None and type(axis.parts()[0]) is RegularAxis:
            return first < (self._known_to or first) - max(self._tolerance, self._period / 2)
        return first < self._last

    def _fill_holes(self, marked: list[Gap], after: int, low: int) -> list[Gap]:
        """Return marked gaps, and gaps for the holes around them up to ``after`` [ns].

        No hole begins before ``low`` [ns]: heartbeats have covered the time before.
        """
        out: list[Gap] = []
        known_to = self._known_to
        for stop, gap in (*((gap.start, gap) for gap in marked), (after, None)):
            tolerance = 0.0 if self._open else self._tolerance
            if known_to is not None and self._period is not None and stop - known_to > tolerance:
                start = max(known_to, low)
                if start < stop:
                    out.append(Gap(start, stop, None, "dropped"))
                self._open, known_to = True, stop
            if gap is not None:
                out.append(gap)
                known_to = gap.end if known_to is None else max(known_to, gap.end)
        self._known_to = known_to
        return out


def _is_one_of(gap: Gap, gaps: list[Gap]) -> bool:
    """Whether it is the same object as one of ``gaps``; a gap that was found may equal one."""
    return any(gap is each for each in gaps)


def _distribute(gaps: list[Gap], holes: list[int], lost: int) -> None:
    """Divide the number of ``lost`` samples among those ``gaps`` that are ``holes``, by length."""
    length = sum(gaps[k].end - gaps[k].start for k in holes)
    past = before = 0
    for k in holes:
        gap = gaps[k]
        past += gap.end - gap.start
        upto = lost * past // length
        gaps[k] = Gap(gap.start, gap.end, upto - before, gap.reason)
        before = upto


def _with_gaps(chunk: Chunk, gap_positions: list[GapAt]) -> Chunk:
    """Return a chunk with these gaps; it starts where those before its first sample end."""
    start, latest = chunk.start, chunk.axis.at(0) if len(chunk) else chunk.end
    for at, gap in gap_positions:
        if at == 0 and gap.start <= start:
            start = min(max(start, gap.end), latest)
    return chunk._replace(start=start, gap_positions=tuple(gap_positions))


@label
def detect_gaps(
    report: Report | abc.ObserverBase[Gap] | None = None,
    *,
    tolerance: Duration | None = None,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Find losses that are not marked as gaps; mark and report them.

    A `Device` marks every loss itself. This is for streams from elsewhere: files, other programs,
    operators that leave samples out.

    .. marble::

        --ab--c----e--f--|      d is missing, by its index or its time
        [  detect_gaps()  ]
        --ab--c--x-e--f--|      x: gap

    Parameters
    ----------
    report
        A function or an observer, called with each `Gap` found, not with those that were marked
        before; an observer is not completed. It runs in the stream, which waits for it.
    tolerance
        Largest jitter of samples of a regular stream [s]; default: half the period. Streams with
        times of arrival need more.

    Returns
    -------
    operator
        The same chunks, with a `Gap` where

        - the index rises by more than there are samples: ``dropped``, with their number;
        - the index goes back: ``restart``;
        - samples of a regular stream are missing in time, or do not come while it goes on:
          ``dropped``, with their number if the index shows it;
        - time goes back: ``overlap``, from the new time to the old. The samples stay as they are;
          most operators refuse them.

    Raises
    ------
    ParameterError
        If ``report`` cannot be called, or ``tolerance`` is not positive.

    See Also
    --------
    gaps : emit all gaps, marked before or found.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("x", 10.0, (), np.int64)
    >>> a = Chunk.regular(np.arange(5), info, start=0)
    >>> b = Chunk.regular(np.arange(5), info, start=700_000_000, index=7)
    >>> rx.of(a, b).pipe(detect_gaps(print)).run().gap
    gap of 0.2 s, 2 samples lost (dropped)
    Gap(start=500000000, end=700000000, lost=2, reason='dropped')
    """
    if isinstance(report, abc.ObserverBase):
        report = report.on_next
    elif report is not None and not callable(report):
        msg = f"detect_gaps: report must be a function or an observer, not {report!r}"
        raise ParameterError(msg)
    call: Report | None = report
    span = None if tolerance is None else to_span(tolerance, "tolerance")
    return lift(lambda: _DetectGaps(call, span))
