"""Resampling to a regular grid of times, by the line between samples or the previous one."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import IrregularAxis, RegularAxis, join_axes, max_uncertainty
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt, GapReason
from rxstream.data.interpolation import check_line, sample_at
from rxstream.data.stream_info import StreamInfo, is_rate
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.result_stream import ResultStream
from rxstream.steps.split import split_at_gaps

__all__ = ["GridResampler", "as_fraction", "checked_rate"]

# one second, in ns
_SECOND = 1_000_000_000


def as_fraction(rate: float) -> Fraction:
    """Return the simplest fraction that equals a rate [Hz] for all practical purposes.

    Of 29.97002997 it is 30000/1001, of a sample every ten seconds 1/10.
    """
    if rate >= 1:
        return Fraction(rate).limit_denominator(1_000_000)
    return 1 / Fraction(1 / rate).limit_denominator(1_000_000)


class GridResampler:
    """A `Step`: values at the points ``k / rate`` seconds after the epoch.

    Points without a value become gaps, except before the first sample. After a gap nothing is
    emitted until there is a value again: only then is the number of missing points known.

    Parameters
    ----------
    rate
        Rate of the grid [Hz].
    method
        Interpolation between samples.
    tolerance
        Largest distance from a point to the samples its value is made of [ns]; None: no limit.
    """

    __slots__ = ("_begun", "_grid", "_hole", "_last", "_method", "_rate", "_stream",
                 "_tolerance")  # fmt: skip

    def __init__(
        self, rate: float, method: Literal["previous", "linear"], tolerance: int | None
    ) -> None:
        self._rate, self._method, self._tolerance = as_fraction(rate), method, tolerance
        self._stream = ResultStream()
        # the points; number 0 is the first that has a value or lies in a gap
        self._grid: RegularAxis
        self._begun = False
        # the newest sample; None after a gap, and where a jump of the numbers ends the stretch
        self._last: Chunk | None = None
        # start of the points without a value up to now [ns]
        self._hole: int | None = None

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        if self._stream.has_new_info(chunk):
            self._take_info(chunk.info)
        for gaps, piece in split_at_gaps(chunk) if chunk.gap_positions else (([], chunk),):
            last = self._last
            if gaps:
                self._extend(None, gaps[0].start)
                self._close(gaps)
            elif (
                last is not None
                and len(piece)
                and piece.index != last.next_index
                and (self._method == "linear" or piece.start > self._stream.end)
            ):
                # A line would invent what was left out. A value stays as long as chunks go on, and
                # has been given up to the next sample already where they were cut so.
                self._part()
            self._extend(piece, piece.end)
        return self._stream.take()

    def flush(self) -> tuple[()]:
        """Return what is held back."""
        return ()

    def _take_info(self, info: StreamInfo) -> None:
        if self._method == "linear":
            check_line(info)
        self._part()
        self._stream.info = replace(info, rate=float(self._rate))

    def _begin(self, t: int) -> None:
        """Give number 0 to the first point not before ``t`` [ns]."""
        # at a multiple of this step a point has a whole number of ns; as an origin it gives all
        # streams of one rate the same points
        step = _SECOND * self._rate.denominator
        self._grid = RegularAxis(t // step * step, float(_SECOND / self._rate), 0)
        first = self._number(t)
        self._grid = self._grid.cut(first, first)
        self._begun = True

    def _number(self, t: int) -> int:
        """Return the number of the first point not before ``t`` [ns]."""
        grid, at = self._grid, self._grid.at
        k = ceil((t - grid.origin) / grid.period) - grid.first
        # the division may be off by one against the rounding in `at`, which decides
        while at(k - 1) >= t:
            k -= 1
        while at(k) < t:
            k += 1
        return k

    # -- within a stretch ---------------------------------------------------------------------

    def _extend(self, piece: Chunk | None, end: int) -> None:
        """Take adjacent samples, and emit the values that are known up to ``end`` [ns]."""
        stream, last = self._stream, self._last
        stream.end = max(stream.end, end)
        known = last
        if piece is not None and len(piece):
            known = piece if last is None else _after(last, piece)
            self._last = piece[len(piece) - 1 :]
        if known is None:
            if not self._begun:
                stream.emit(stream.end)
            return
        first, newest = stream.next, known.axis.at(len(known) - 1)
        if last is None:
            oldest = known.axis.at(0)
            if not self._begun:
                self._begin(oldest)
            first = max(first, self._number(oldest))
        until = end if self._method == "previous" else min(end, newest + 1)
        self._sample(known, first, until, newest)

    def _sample(self, known: Chunk, first: int, until: int, newest: int) -> None:
        """Emit the points from number ``first`` to before ``until`` [ns] that have a value."""
        stop = decided = max(first, self._number(until))
        if self._tolerance is not None:
            # points beyond the tolerance of the newest sample have no value
            stop = max(first, min(stop, self._number(newest + self._tolerance + 1)))
        if stop == first:
            self._emit(decided)
            return
        found = sample_at(known, self._grid.cut(first, stop).times(), self._method, self._tolerance)
        ok, data = found.ok, found.data
        if ok.all():
            runs = [(first, stop)]
        else:
            edges = np.flatnonzero(np.diff(ok, prepend=False, append=False)) + first
            runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
            data = data[ok]
        self._emit(decided, data, runs, known.uncertainty)

    def _emit(
        self,
        decided: int,
        data: NDArray[Any] | None = None,
        runs: Sequence[tuple[int, int]] = (),
        uncertainty: float = 0.0,
    ) -> None:
        """Emit ``runs`` of points, the gaps between them, and the time up to now.

        Points before number ``decided`` that are in no run have no value.
        """
        stream, grid = self._stream, self._grid
        axes, gap_positions, count = list[RegularAxis](), list[GapAt](), 0
        index = runs[0][0] if runs else stream.next
        for a, b in runs:
            if a > stream.next:
                gap_positions.append(GapAt(count, self._missing(grid.at(a), a, "dropped")))
            axes.append(RegularAxis(grid.origin, grid.period, b - a, grid.first + a, uncertainty))
            count += b - a
            stream.next, self._hole = b, None
        if decided > stream.next and self._hole is None:
            self._hole = grid.at(stream.next)
        end = min(stream.end, grid.at(stream.next) if self._hole is None else self._hole)
        stream.emit(end, join_axes(axes), data if count else None, tuple(gap_positions), index)

    def _missing(self, end: int, stop: int, reason: GapReason) -> Gap:
        """Return the gap of the next points, up to number ``stop`` at ``end`` [ns]."""
        start = self._grid.at(self._stream.next) if self._hole is None else self._hole
        return Gap(start, end, stop - self._stream.next, reason)

    # -- between stretches --------------------------------------------------------------------

    def _part(self) -> None:
        """End the stretch: the samples that come next are not adjacent."""
        self._last = None
        if self._hole is None and self._begun:
            self._hole = self._grid.at(self._stream.next)

    def _close(self, gaps: Sequence[Gap]) -> None:
        """End the stretch, and emit gaps of samples as gaps of points."""
        stream, number = self._stream, self._number
        found: list[Gap] = []
        index: int | None = None
        for gap in gaps:
            if not self._begun:
                self._begin(gap.start)
            stop = number(gap.start)
            if stop > stream.next:
                found.append(self._missing(gap.start, stop, gap.reason))
            whole = gap.whole or gap
            points, index = stream.convert_gap(gap, number(whole.start), number(whole.end))
            found.append(points)
            stream.next = max(stream.next, stop, number(gap.end))
            self._hole = gap.end
        self._last = None
        stream.end = max(stream.end, gaps[-1].end)
        stream.emit_gaps(found, index)


def _after(last: Chunk, piece: Chunk) -> Chunk:
    """Return samples with the one before them in front."""
    data = np.concatenate((last.data, piece.data))
    stamps = np.concatenate((last.axis.times(), piece.axis.times()))
    uncertainty = max_uncertainty((*last.axis.parts(), *piece.axis.parts()))
    return last._replace(
        data=data, axis=IrregularAxis(stamps, uncertainty), end=piece.end, info=piece.info
    )


def checked_rate(rate: Any, operator: str = "resample") -> float:
    """Return a rate [Hz] as a float, if points at it lie at least 1 ns apart."""
    if is_rate(rate):
        return float(rate)
    msg = f"{operator}: rate must be > 0 Hz, from one sample a year to 1e9 Hz, not {shown(rate)}"
    raise ParameterError(msg)
