"""detect_gaps: find what is missing and nobody told."""

from collections.abc import Callable, Sequence
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

__all__ = ["detect_gaps"]

Report: TypeAlias = Callable[[Gap], Any]


class _Continuity:
    __slots__ = ("_after", "_asked", "_front", "_info", "_last", "_open", "_period", "_report",
                 "_told", "_tolerance")  # fmt: skip

    def __init__(self, report: Report | None, tolerance: int | None) -> None:
        self._report, self._asked = report, tolerance
        self._info: StreamInfo | None = None
        self._period: float | None = None  # [ns]
        self._tolerance = 0.0  # [ns]
        self._after: int | None = None  # index that should come next
        self._last = 0  # time of the last sample [ns]
        self._front: int | None = None  # up to where all is known: samples, gaps [ns]
        self._told = 0  # end of the last chunk [ns]
        self._open = False  # a hole has been told of up to there

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._info:
            self._begin(chunk.info)
        axis, n, front = chunk.axis, len(chunk), self._front
        if (
            n
            and type(axis) is RegularAxis
            and not chunk.gap_positions
            and front is not None
            and not self._open
        ):
            edge = axis.at(n)
            if (
                chunk.index == self._after
                and abs(axis.at(0) - front) <= self._tolerance
                and chunk.end - edge <= self._tolerance
            ):
                self._after += n
                self._last, self._front, self._told = axis.at(n - 1), edge, chunk.end
                return (chunk,)
        return (self._look(chunk),)

    def flush(self) -> tuple[()]:
        return ()

    def _begin(self, info: StreamInfo) -> None:
        self._info, self._period = info, info.period
        half = 0.0 if info.period is None else info.period / 2
        self._tolerance = half if self._asked is None else float(self._asked)

    def _look(self, chunk: Chunk) -> Chunk:
        n, axis = len(chunk), chunk.axis
        groups: dict[int, list[Gap]] = {}
        for at, gap in chunk.gap_positions:
            groups.setdefault(at, []).append(gap)
        found: list[Gap] = []
        gap_positions: list[GapAt] = []
        for at in sorted({0, n, *groups, *self._doubtful(axis)}):
            told = groups.get(at, [])
            if at:
                self._pass(axis, at)
            gaps = self._at(chunk, at, told)
            found += [gap for gap in gaps if not any(gap is known for known in told)]
            gap_positions += [GapAt(at, gap) for gap in gaps]
        self._told = chunk.end
        lost = sum(gap.lost or 0 for at, gap in chunk.gap_positions if at or not n)
        if n:
            self._after = chunk.index + n + lost
        elif self._after is not None:
            self._after = max(self._after + lost, chunk.index)
        if self._report is not None:
            for gap in found:
                self._report(gap)
        return _with_breaks(chunk, gap_positions) if found else chunk

    def _doubtful(self, axis: Axis) -> list[int]:
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

    def _pass(self, axis: Axis, at: int) -> None:
        """Note the sample before ``at`` as the last."""
        one = axis.cut(at - 1, at)
        self._last = one.at(0)
        if self._period is None:
            self._front = self._last
        else:
            part = one.parts()[0]
            self._front = (
                part.at(1) if type(part) is RegularAxis else round(self._last + self._period)
            )
        self._open = False

    def _at(self, chunk: Chunk, at: int, told: list[Gap]) -> list[Gap]:
        """Return the gaps between the last sample and what comes next: those told, and others."""
        axis, n = chunk.axis, len(chunk)
        after = axis.at(at) if at < n else chunk.end
        jump = 0
        if at == 0 and self._after is not None:
            jump = chunk.index - self._after - sum(gap.lost or 0 for gap in told)
            if not n:  # it tells what comes next; only going on counts, not a number of no sample
                jump = max(jump, 0)
            elif self._is_back(axis, after):
                return [*told, Gap(after, max(after, self._front or 0), 0, "overlap")]
            if any(gap.lost is None for gap in told):
                jump = 0  # a loss is told, though not its size
        out = self._holes(told, after, 0 if at else self._told)
        holes = [k for k, gap in enumerate(out) if not any(gap is known for known in told)]
        if jump > 0 and holes:
            _share(out, holes, jump)
        elif jump > 0 or (jump < 0 and not told):
            start = self._told if self._period is None and not told else chunk.start
            start = max(start, self._told)
            end = max(start, after if self._period is not None else chunk.start)
            if jump < 0:
                out = [Gap(min([start, *(gap.start for gap in out)]), end, None, "restart")]
            else:
                out.append(Gap(start, end, jump, "dropped"))
        return out

    def _is_back(self, axis: Axis, first: int) -> bool:
        if self._period is not None and type(axis.parts()[0]) is RegularAxis:
            return first < (self._front or first) - max(self._tolerance, self._period / 2)
        return first < self._last

    def _holes(self, told: list[Gap], after: int, low: int) -> list[Gap]:
        """Return the gaps told and the holes between; they do not begin before ``low`` [ns]."""
        out: list[Gap] = []
        front = self._front
        for stop, gap in (*((gap.start, gap) for gap in told), (after, None)):
            tolerance = 0.0 if self._open else self._tolerance
            if front is not None and self._period is not None and stop - front > tolerance:
                start = max(front, low)
                if start < stop:
                    out.append(Gap(start, stop, None, "dropped"))
                self._open, front = True, stop
            if gap is not None:
                out.append(gap)
                front = gap.end if front is None else max(front, gap.end)
        self._front = front
        return out


def _share(gaps: list[Gap], holes: list[int], lost: int) -> None:
    """Spread the number of ``lost`` samples over those ``gaps`` that are ``holes``, by length."""
    length = sum(gaps[k].end - gaps[k].start for k in holes)
    past = told = 0
    for k in holes:
        gap = gaps[k]
        past += gap.end - gap.start
        upto = lost * past // length
        gaps[k] = Gap(gap.start, gap.end, upto - told, gap.reason)
        told = upto


def _with_breaks(chunk: Chunk, gap_positions: Sequence[GapAt]) -> Chunk:
    start, latest = chunk.start, chunk.axis.at(0) if len(chunk) else chunk.end
    for at, gap in gap_positions:
        if at == 0 and gap.start <= start:
            start = min(max(start, gap.end), latest)
    return Chunk(
        chunk.data, chunk.axis, start, chunk.end, chunk.index, chunk.info, tuple(gap_positions)
    )


def detect_gaps(
    report: Report | abc.ObserverBase[Gap] | None = None,
    *,
    tolerance: Duration | None = None,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Check that a stream is without holes; mark and report those of which nobody told.

    A `Device` tells every loss itself. This is for streams from elsewhere: files, other programs,
    operators that leave samples out.

    .. marble::

        --ab--c----e--f--|      the numbers, or the times, say that d is missing
        [  detect_gaps()  ]
        --ab--c--x-e--f--|      x: gap

    Parameters
    ----------
    report
        A function or an observer, called with each `Gap` that was found, none that was told; an
        observer gets no end. Called in the stream: what takes long holds it up.
    tolerance
        How far samples of a regular stream may be from where they should be [s]; default: half the
        time from one to the next. Give more for streams with times of arrival.

    Returns
    -------
    operator
        The same chunks with a `Gap` in them where

        - the index goes up by more than there are samples: ``dropped``, and how many;
        - the index goes back: ``restart``;
        - samples of a regular stream are missing in time, or do not come while it goes on:
          ``dropped``; nobody knows how many, unless the index tells;
        - time goes back: ``overlap``, from where to where it was before. The samples stay as they
          are; most operators cannot do with them.

    Raises
    ------
    ParameterError
        If ``report`` cannot be called, or ``tolerance`` is not positive.

    See Also
    --------
    gaps : tell of all gaps.

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
    return lift(lambda: _Continuity(call, span))
