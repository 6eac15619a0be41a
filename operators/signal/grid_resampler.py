"""Values of a stream at the points of a grid in time."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import IrregularAxis, RegularAxis, join_axes, max_uncertainty
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt
from rxstream.data.interpolation import check_line, sample_at
from rxstream.data.stream_info import StreamInfo
from rxstream.operators.losses.gaps import stretches

__all__ = ["GridResampler", "as_fraction"]

_SECOND = 1_000_000_000
_NOWHERE = IrregularAxis(np.empty(0, np.int64))


def as_fraction(rate: float) -> Fraction:
    """Return a rate [Hz] as the simplest fraction that is as good as equal.

    That of 29.97002997 is 30000/1001, that of a sample every ten seconds 1/10.
    """
    if rate >= 1:
        return Fraction(rate).limit_denominator(1_000_000)
    return 1 / Fraction(1 / rate).limit_denominator(1_000_000)


class GridResampler:
    """A `Step`: the values at every ``k / rate`` seconds since the epoch.

    Points without a value are told as gaps, the points before the first sample are not. After a
    gap nothing is told before the first value: how many points are missing is not known earlier.
    """

    __slots__ = ("_base", "_end", "_expected", "_given", "_grid", "_hole", "_info", "_last",
                 "_method", "_next", "_rate", "_told", "_tolerance", "_whole")  # fmt: skip

    def __init__(
        self, rate: float, method: Literal["previous", "linear"], tolerance: int | None
    ) -> None:
        self._rate, self._method, self._tolerance = as_fraction(rate), method, tolerance
        self._given: StreamInfo | None = None
        self._info: StreamInfo  # of the results
        self._grid: RegularAxis
        self._last: Chunk | None = None  # the last sample, if what comes next follows it
        self._expected: int | None = None  # its number + 1
        self._next = 0  # number of the next point, counted from the grid's origin
        self._base: int | None = None  # that of the first
        self._hole: int | None = None  # from where on [ns] points have no value, till the next one
        self._told = self._end = 0  # up to where chunks are out, have come in [ns]
        self._whole: tuple[Gap, Gap] | None = None  # the last gap that was cut; the same of points

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        out: list[Chunk] = []
        if chunk.info is not self._given:
            self._take_info(chunk)
        for gaps, piece in stretches(chunk) if chunk.gap_positions else (([], chunk),):
            if gaps:
                self._decide(None, gaps[0].start, out)
                self._pass(gaps, out)
            elif len(piece) and piece.index != (self._expected or piece.index):
                self._part()
            self._decide(piece, piece.end, out)
        return out

    def flush(self) -> tuple[()]:
        """Return what is held back."""
        return ()

    def _take_info(self, chunk: Chunk) -> None:
        info = chunk.info
        if info != self._given:
            if self._method == "linear":
                check_line(info)
            if self._given is None:
                self._told = self._end = chunk.covered_from
                self._grid = self._aligned(chunk.covered_from)
            else:
                self._part()
            self._info = replace(info, rate=float(self._rate))
        self._given = info

    def _aligned(self, t: int) -> RegularAxis:
        """Return the grid from a point not after ``t`` that has a whole number of ns."""
        step = _SECOND * self._rate.denominator
        return RegularAxis(t // step * step, float(_SECOND / self._rate), 0)

    def _number(self, t: int) -> int:
        """Return which point is the first not before ``t`` [ns]."""
        at = self._grid.at
        k = ceil((t - self._grid.origin) / self._grid.period)
        while at(k - 1) >= t:  # the rounding of `at` decides
            k -= 1
        while at(k) < t:
            k += 1
        return k

    # -- within a stretch ---------------------------------------------------------------------

    def _decide(self, piece: Chunk | None, end: int, out: list[Chunk]) -> None:
        """Take samples that follow each other, and give the values that are known for it."""
        self._end = max(self._end, end)
        last = self._last
        if piece is not None and len(piece):
            known = piece if last is None else _after(last, piece)
            self._last = piece[len(piece) - 1 :] if len(piece) > 1 else piece
            self._expected = piece.index + len(piece)
        elif last is not None:
            known = last
        else:
            if self._base is None:
                self._tell(out)
            return
        first, newest = known.axis.at(0), known.axis.at(len(known) - 1)
        if last is None:
            first = self._number(first)
            if self._base is None:
                self._base = self._next = first
        else:
            first = self._next
        stop = end if self._method == "previous" else min(end, newest + 1)
        self._sample(known, max(first, self._next), stop, newest, out)

    def _sample(self, known: Chunk, first: int, until: int, newest: int, out: list[Chunk]) -> None:
        """Give the points from number ``first`` to before ``until`` [ns] that have a value."""
        stop = decided = max(first, self._number(until))
        if self._tolerance is not None:  # what is beyond it need not be looked at
            stop = max(first, min(stop, self._number(newest + self._tolerance + 1)))
        if stop == first:
            self._tell(out, decided=decided)
            return
        times = self._grid.cut(first, stop).with_count(stop - first).times()
        found = sample_at(known, times, self._method, self._tolerance)
        ok, data = found.ok, found.data
        if ok.all():
            runs = [(first, stop)]
        else:
            edges = np.flatnonzero(np.diff(ok, prepend=False, append=False)) + first
            runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
            data = data[ok]
        self._tell(out, data, runs, known.uncertainty, decided)

    def _tell(
        self,
        out: list[Chunk],
        data: NDArray[Any] | None = None,
        runs: Sequence[tuple[int, int]] = (),
        uncertainty: float = 0.0,
        decided: int | None = None,
        gap_positions: tuple[GapAt, ...] = (),
        first: int | None = None,
    ) -> None:
        """Give ``runs`` of points, what is missing between them, and the time up to now.

        Without points the chunk has the number ``first``, default: that of the next.
        """
        grid, axes, found, count = self._grid, list[RegularAxis](), list(gap_positions), 0
        for a, b in runs:
            if a > self._next:
                found.append(GapAt(count, self._missing(grid.at(a), a, "dropped")))
            axes.append(RegularAxis(grid.origin, grid.period, b - a, a, uncertainty))
            count += b - a
            self._next, self._hole = b, None
        if decided is not None and decided > self._next and self._hole is None:
            self._hole = grid.at(self._next)
        start, base = self._told, self._base
        end = self._end if base is None else min(self._end, grid.at(self._next))
        self._told = end = max(start, end if self._hole is None else self._hole)
        if not count and not found and end <= start:
            return
        for at, gap in found:
            start = max(start, gap.end) if at == 0 and gap.start <= start else start
        if not count or data is None:
            data = np.empty((0, *self._info.shape), self._info.dtype)
        data.flags.writeable = False
        if first is None:
            first = runs[0][0] if count else self._next
        out.append(Chunk(
            data, join_axes(axes) if count else _NOWHERE, start, end, first - (base or 0),
            self._info, tuple(found),
        ))  # fmt: skip

    def _missing(self, end: int, stop: int, reason: Any) -> Gap:
        """Return the gap of the points up to number ``stop``, at ``end`` [ns]."""
        start = self._grid.at(self._next) if self._hole is None else self._hole
        return Gap(start, end, stop - self._next, reason)

    # -- between stretches --------------------------------------------------------------------

    def _part(self) -> None:
        """End the stretch: what comes next does not follow."""
        self._last = self._expected = None
        if self._hole is None and self._base is not None:
            self._hole = self._grid.at(self._next)

    def _pass(self, gaps: Sequence[Gap], out: list[Chunk]) -> None:
        """Tell gaps as those of points."""
        gap_positions: list[GapAt] = []
        for gap in gaps:
            stop = self._number(gap.start)
            if self._base is None:
                self._base = self._next = stop
            if stop > self._next:
                gap_positions.append(GapAt(0, self._missing(gap.start, stop, gap.reason)))
            gap_positions.append(GapAt(0, self._of_points(gap)))
            self._next = max(self._next, stop, self._number(gap.end))
            self._hole = gap.end
        self._last = self._expected = None
        self._end = max(self._end, gaps[-1].end)
        self._tell(out, gap_positions=tuple(gap_positions), first=self._after_gap(gaps[-1]))

    def _after_gap(self, gap: Gap) -> int:
        """Return the number of the point after a gap; in one that was cut as it shares them."""
        if gap.whole is None or gap.end == gap.whole.end or self._whole is None:
            return self._next
        whole = self._whole[1]
        return self._number(whole.start) + (whole.between(whole.start, gap.end).lost or 0)

    def _of_points(self, gap: Gap) -> Gap:
        """Return a gap as that of as many points as lie in it."""
        whole = gap.whole or gap
        if gap.whole is None or self._whole is None or self._whole[0] != whole:
            lost = self._number(whole.end) - self._number(whole.start)
            self._whole = (whole, Gap(whole.start, whole.end, lost, whole.reason))
        return self._whole[1].between(gap.start, gap.end)


def _after(last: Chunk, piece: Chunk) -> Chunk:
    """Return samples with the last one before them."""
    data = np.concatenate((last.data, piece.data))
    stamps = np.concatenate((last.axis.times(), piece.axis.times()))
    uncertainty = max_uncertainty((*last.axis.parts(), *piece.axis.parts()))
    return Chunk(
        data, IrregularAxis(stamps, uncertainty), last.start, piece.end, last.index, piece.info
    )  # fmt: skip
