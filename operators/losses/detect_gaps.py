"""detect_gaps: find gaps that nobody has marked."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from reactivex import Observable, abc

from rxstream.data.axis import Axis, IrregularAxis, RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import Gap, GapAt, add_gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["detect_gaps"]

Report: TypeAlias = Callable[[Gap], Any]

# Marked gaps that wait behind a hole; behind a gate that stays closed there may be any number.
_MAX_HELD = 1000


class _DetectGaps:
    """What lies between two samples is judged when the second has come: then it is known whole.

    So the time without samples of a regular stream, and the marked gaps in it, wait for that.
    """

    __slots__ = ("_asked", "_emitted_to", "_end", "_expected", "_held", "_info", "_known_to",
                 "_last", "_marked", "_period", "_report", "_tolerance", "_unknown")  # fmt: skip

    def __init__(self, report: Report | None, tolerance: int | None) -> None:
        self._report, self._asked = report, tolerance
        self._info: StreamInfo | None = None
        self._period: float | None = None  # [ns]
        self._tolerance = 0.0  # [ns]
        self._expected: int | None = None  # index that comes next if nothing was lost
        self._marked: int | None = None  # lost since in gaps that are out; None: there are none
        self._unknown = False  # and whether one of these does not know how many it lost
        self._last = 0  # time of the last sample [ns]
        self._known_to: int | None = None  # time up to which samples and gaps account for all [ns]
        self._held: list[GapAt] = []  # marked gaps behind a hole
        self._end = 0  # of the input so far [ns]
        self._emitted_to: int | None = None  # of the output so far [ns]

    def push(self, chunk: Chunk) -> list[Chunk]:
        if chunk.info is not self._info:
            self._begin(chunk.info)
        axis, n, known_to = chunk.axis, len(chunk), self._known_to
        # The quick way for nearly all chunks of a device: one grid, which goes on as expected.
        if (
            n
            and type(axis) is RegularAxis
            and not chunk.gap_positions
            and known_to is not None
            and self._emitted_to == self._end
            and not self._held
        ):
            edge = axis.at(n)
            if (
                chunk.index == self._expected
                and self._marked is None
                and abs(axis.at(0) - known_to) <= self._tolerance
                and chunk.end <= edge
            ):
                self._expected += n
                self._last, self._known_to = axis.at(n - 1), edge
                self._end = self._emitted_to = chunk.end
                return [chunk]
        return self._take(chunk) if n else self._take_beat(chunk)

    def flush(self) -> list[Chunk]:
        emitted_to, info = self._emitted_to, self._info
        if info is None or emitted_to is None or not (self._held or emitted_to < self._end):
            return []
        gaps = self._resolve([gap for _, gap in self._held], self._end, None)
        lost = sum(gap.lost or 0 for gap in gaps)
        return [_empty(info, emitted_to, self._end, (self._expected or 0) + lost, gaps)]

    def _begin(self, info: StreamInfo) -> None:
        self._info, self._period = info, info.period
        half = 0.0 if info.period is None else info.period / 2
        self._tolerance = half if self._asked is None else float(self._asked)

    # -- chunks without samples ---------------------------------------------------------------

    def _take_beat(self, chunk: Chunk) -> list[Chunk]:
        """Return what of a chunk without samples is decided."""
        gaps, end = self._pass(chunk.gaps), self._decided(chunk.end)
        before, self._end = self._end, chunk.end
        start = chunk.start if self._emitted_to in (None, before) else self._emitted_to
        if len(gaps) == len(chunk.gaps) and end == chunk.end and start == chunk.start:
            self._emitted_to = end
            return [chunk]
        if not gaps and end <= (start or 0):
            return []
        self._emitted_to = end
        return [_empty(chunk.info, min(start or 0, end), end, chunk.index, gaps)]

    def _pass(self, gaps: Sequence[Gap]) -> list[Gap]:
        """Return the marked gaps with no hole before them; hold the others."""
        out: list[Gap] = []
        for gap in gaps:
            if self._held or self._is_hole(gap.start):
                _hold(self._held, gap)
                continue
            out.append(gap)
            self._known_to = max(self._known_to or gap.end, gap.end)
            self._marked = (self._marked or 0) + (gap.lost or 0)
            self._unknown |= gap.lost is None
        return out

    def _decided(self, end: int) -> int:
        """Return up to where it is known that no hole begins, at most to ``end`` [ns]."""
        if self._period is None or self._known_to is None:
            return end
        return min(end, max(self._known_to, self._emitted_to or self._known_to))

    def _is_hole(self, stop: int) -> bool:
        known_to = self._known_to
        return (
            self._period is not None and known_to is not None and stop - known_to > self._tolerance
        )

    # -- chunks with samples ------------------------------------------------------------------

    def _take(self, chunk: Chunk) -> list[Chunk]:
        """Return a chunk with the gaps found in it, as far as it is decided."""
        n, axis = len(chunk), chunk.axis
        groups: dict[int, list[Gap]] = {}
        for at, gap in chunk.gap_positions:
            groups.setdefault(at, []).append(gap)
        out: list[Chunk] = []
        if self._expected is not None and self._goes_back(axis):
            out = self.flush()
            self._held, self._emitted_to, marked = [], self._end, groups.get(0, [])
            overlap = Gap(axis.at(0), max(axis.at(0), self._known_to or 0), 0, "overlap")
            self._tell([overlap])
            gaps = [*marked, overlap]
        else:
            marked = [*(gap for _, gap in self._held), *groups.get(0, [])]
            gaps = self._resolve(marked, axis.at(0), chunk)
        gap_positions = [GapAt(0, gap) for gap in gaps]
        for at in sorted({n, *groups, *self._candidates(axis)} - {0}):
            self._advance(axis, at)
            marked = groups.get(at, [])
            more = self._resolve(marked, axis.at(at), None) if at < n else self._pass(marked)
            gap_positions += [GapAt(at, gap) for gap in more]
        tail = self._emitted_to is not None and self._emitted_to < self._end
        start = min(chunk.start, self._emitted_to or chunk.start) if tail else chunk.start
        self._end, self._expected = chunk.end, _next_index(chunk)
        self._emitted_to = end = self._decided(chunk.end)
        if end == chunk.end and start == chunk.start and len(gap_positions) == len(chunk.gaps):
            return [*out, chunk]
        return [*out, _with_gaps(chunk, gap_positions, start, end)]

    def _candidates(self, axis: Axis) -> list[int]:
        """Return where a regular stream may have holes: between stretches and between stamps."""
        period = self._period
        if period is None:
            return []
        out, at = list[int](), 0
        for part in axis.parts() if axis.count else ():
            if at:
                out.append(at)
            if isinstance(part, IrregularAxis):
                # times are whole nanoseconds: 1 less, and `_is_hole` decides
                far = np.diff(part.stamps) > period + self._tolerance - 1
                out += (np.flatnonzero(far) + at + 1).tolist()
            at += part.count
        return out

    def _advance(self, axis: Axis, at: int) -> None:
        """Note the sample before ``at`` as the last."""
        one = axis.cut(at - 1, at)
        self._last, self._held = one.at(0), []
        self._marked, self._unknown = None, False
        if self._period is None:
            self._known_to = self._last
        else:
            part = one.parts()[0]
            self._known_to = (
                part.at(1) if type(part) is RegularAxis else round(self._last + self._period)
            )

    def _goes_back(self, axis: Axis) -> bool:
        """Whether the first sample is earlier than jitter explains.

        That is by the end of what came, not by when the next sample was due: one that only comes
        soon after the last goes back nowhere, in whichever chunk it is.
        """
        first = axis.at(0)
        if self._period is not None and type(axis.parts()[0]) is RegularAxis:
            return first < self._end - max(self._tolerance, self._period / 2)
        return first < self._last

    def _resolve(self, marked: list[Gap], after: int, chunk: Chunk | None) -> list[Gap]:
        """Return the gaps up to time ``after`` [ns], marked and found; report those found.

        Of a ``chunk`` these are the ones before its first sample, whose index shows what is lost.
        """
        out, holes = self._fill_holes(marked, after)
        jump = 0
        if chunk is not None and self._expected is not None:
            lost = (self._marked or 0) + sum(gap.lost or 0 for gap in marked)
            jump = chunk.index - self._expected - lost
            # A marked loss of unknown size accounts for any jump, and any loss for one back.
            unknown = self._unknown or any(gap.lost is None for gap in marked)
            if unknown or (jump < 0 and (marked or self._marked is not None)):
                jump = 0
            if jump > 0 and holes:
                _distribute(out, holes, jump)
            elif jump:
                start, end = self._where(chunk, after)
                if jump < 0:
                    out = [Gap(min([start, *(gap.start for gap in out)]), end, None, "restart")]
                else:
                    out.append(Gap(start, end, jump, "dropped"))
        self._tell([gap for gap in out if not _is_one_of(gap, marked)])
        return out

    def _where(self, chunk: Chunk, after: int) -> tuple[int, int]:
        """Return the time of a loss that only the numbers show.

        Irregular samples may have been lost anywhere since the last one, but most likely where no
        chunk says that nothing came. Else it is put right before the sample that shows it.
        """
        if self._period is None and self._end < chunk.covered_from:
            return self._end, chunk.covered_from
        return after, after

    def _fill_holes(self, marked: list[Gap], after: int) -> tuple[list[Gap], list[int]]:
        """Return marked gaps, with gaps for the holes around them up to ``after`` [ns].

        And which of them these are.
        """
        out: list[Gap] = []
        holes: list[int] = []
        for stop, gap in (*((gap.start, gap) for gap in marked), (after, None)):
            known_to = self._known_to
            # what follows a hole is a part of the same silence, however short
            if self._is_hole(stop) or (holes and known_to is not None and stop > known_to):
                holes.append(len(out))
                out.append(Gap(known_to or 0, stop, None, "dropped"))
                self._known_to = stop
            if gap is not None:
                out.append(gap)
                self._known_to = max(self._known_to or gap.end, gap.end)
        return out, holes

    def _tell(self, found: list[Gap]) -> None:
        if self._report is not None:
            for gap in found:
                self._report(gap)


def _next_index(chunk: Chunk) -> int:
    """Return the number after the last sample, whatever is lost behind it."""
    n = len(chunk)
    return chunk.next_index - sum(gap.lost or 0 for at, gap in chunk.gap_positions if at == n)


def _hold(held: list[GapAt], gap: Gap) -> None:
    """Add a gap; beyond a number join the newest: memory is bounded."""
    if len(held) < _MAX_HELD or held[-1].gap.continues(gap):
        add_gap(held, 0, gap)
    else:
        held[-1] = GapAt(0, held[-1].gap.join(gap))


def _empty(info: StreamInfo, start: int, end: int, index: int, gaps: Sequence[Gap]) -> Chunk:
    """Return a chunk without samples; it starts where a gap at its beginning ends."""
    for gap in gaps:
        if gap.start <= start:
            start = max(start, gap.end)
    gap_positions = tuple(GapAt(0, gap) for gap in gaps)
    return Chunk.empty(info, start, max(start, end), index=index, gap_positions=gap_positions)


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


def _with_gaps(chunk: Chunk, gap_positions: list[GapAt], start: int, end: int) -> Chunk:
    """Return a chunk with these gaps; it starts where those before its first sample end."""
    latest = chunk.axis.at(0)
    for at, gap in gap_positions:
        if at == 0 and gap.start <= start:
            start = min(max(start, gap.end), latest)
    return chunk._replace(start=start, end=end, gap_positions=tuple(gap_positions))


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
        before; an observer is not completed. It runs in the stream, which waits for it, and is
        called when the sample after the gap has come, or at the end.
    tolerance
        Largest jitter of samples of a regular stream [s]; default: half the period. Streams with
        times of arrival need more.

    Returns
    -------
    operator
        The same chunks, with a `Gap` where

        - the index rises by more than there are samples: ``dropped``, with their number; without
          a length, right before the sample that shows it, unless there is time without samples;
        - the index goes back: ``restart``;
        - samples of a regular stream are missing in time, or do not come while it goes on:
          ``dropped``, with their number if the index shows it;
        - time goes back: ``overlap``, from the new time to the old. The samples stay as they are;
          operators that store or join refuse them.

        However the stream is cut, the gap between two samples is one. So while samples of a regular
        stream do not come, nothing comes out: a join behind waits until they do, or for its
        ``lateness``.

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
        msg = f"detect_gaps: report must be a function or an observer, not {shown(report)}"
        raise ParameterError(msg)
    call: Report | None = report
    span = None if tolerance is None else to_span(tolerance, "tolerance")
    return lift(lambda: _DetectGaps(call, span))
