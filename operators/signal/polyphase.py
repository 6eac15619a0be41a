"""A filter against aliases that gives samples at a rate of its own, and goes on over chunks."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis, IrregularAxis, RegularAxis, StridedAxis, join_axes
from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.operators.losses.gaps import stretches
from rxstream.operators.signal.grid_resampler import as_fraction
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.runs import check_numbers, check_rate, result_type

__all__ = ["Polyphase"]

_FINEST = 10_000  # parts of a ratio; more taps than 20 times that are no use
_COARSEST = 100_000
_CLOSE = 1e-6  # a ratio that is off by less is as good as equal: clocks are off by more
_NOWHERE = IrregularAxis(np.empty(0, np.int64))


class Polyphase:
    """A `Step`: each stretch between gaps as ``scipy.signal.resample_poly`` gives it.

    Result ``m`` of a stretch lies ``m * down / up`` samples after its first sample.
    """

    __slots__ = ("_base", "_dtype", "_end", "_given", "_half", "_info", "_m", "_next", "_ratio",
                 "_signal", "_tape", "_taps", "_target", "_told", "_whole")  # fmt: skip

    def __init__(self, rate: float) -> None:
        self._target, self._signal = as_fraction(rate), load_scipy()
        self._given: StreamInfo | None = None
        self._info: StreamInfo  # of the results
        self._dtype = np.dtype(float)  # of the arithmetic
        self._ratio = (1, 1)  # up, down
        self._taps: NDArray[np.float64]
        self._half = 0  # taps before the middle
        self._tape: ChunkBuffer[Any] | None = None  # the stretch, if it has samples
        self._base = 0  # number of its first sample
        self._m = 0  # results given of it
        self._next = 0  # number of the next result
        self._told = self._end = 0  # up to where chunks are out, have come in [ns]
        self._whole: tuple[Gap, Gap] | None = None  # the last gap that was cut; the same of results

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        out: list[Chunk] = []
        if chunk.info is not self._given:
            self._take_info(chunk, out)
        for gaps, piece in stretches(chunk) if chunk.gap_positions else (([], chunk),):
            tape = self._tape
            if gaps:
                self._pass(gaps, piece, out)
            elif tape is not None and len(piece) and piece.index != self._base + tape.stop:
                self._close(max(piece.covered_from, self._told), out)
            self._extend(piece, out)
        self._end = chunk.end
        return out

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        out: list[Chunk] = []
        self._close(self._end, out)
        return out

    def _take_info(self, chunk: Chunk, out: list[Chunk]) -> None:
        info = chunk.info
        if info != self._given:
            check_numbers(info, "resample(method='polyphase')")
            rate = as_fraction(check_rate(info, "resample(method='polyphase')"))
            ratio = _simple(self._target / rate)
            if abs(float(ratio / (self._target / rate)) - 1) > _CLOSE:
                msg = (
                    f"resample(method='polyphase'): {float(self._target)} Hz is no simple multiple "
                    f"of the {float(rate)} Hz of {info.name}; ask for {float(rate * ratio)} Hz, or "
                    "use method='linear'"
                )
                raise ChunkError(msg)
            up, down = ratio.numerator, ratio.denominator
            if max(up, down) > _COARSEST:
                msg = (
                    f"resample(method='polyphase'): from {float(rate)} to {float(self._target)} Hz "
                    "is too far for one step; use ops.decimate before"
                )
                raise ChunkError(msg)
            if self._given is not None:
                self._close(max(chunk.covered_from, self._told), out)
            self._ratio = up, down
            if self._given is None:
                self._told = chunk.covered_from
                before = sum(gap.lost or 0 for at, gap in chunk.gap_positions if at == 0)
                self._next = self._number(chunk.index - before)
            self._half, self._taps = _design(up, down)
            kind, self._dtype = result_type(info.dtype)
            self._info = replace(info, rate=float(rate * ratio), dtype=kind)
        self._given = info

    # -- within a stretch ---------------------------------------------------------------------

    def _extend(self, piece: Chunk, out: list[Chunk]) -> None:
        tape, (up, down) = self._tape, self._ratio
        if tape is None:
            if not len(piece):
                self._tell(piece.end, out)
                return
            tape = self._tape = ChunkBuffer(overlap=2 * (self._half // up + 1))
            self._base, self._m = piece.index, 0
            self._next = max(self._next, self._number(piece.index))
        tape.append(piece)
        ready = max(self._m, (tape.stop * up - self._half - 1) // down + 1)
        at = ready * down // up
        end = piece.end
        if at < tape.stop:
            end = self._axis(tape, ready, 1).at(0)
        self._give(tape, ready, end, out)
        tape.trim(min(at, max(0, -((self._half - ready * down) // up))))

    def _give(self, tape: ChunkBuffer[Any], stop: int, end: int, out: list[Chunk]) -> None:
        """Give the results of the stretch before number ``stop``, and tell up to ``end`` [ns]."""
        first, count = self._m, stop - self._m
        if count <= 0:
            self._tell(end, out)
            return
        axis = self._axis(tape, first, count)
        if axis.at(count - 1) >= end:  # the stretch ends before the time of the last sample does
            axis = IrregularAxis(np.minimum(axis.times(), end - 1))
        data = self._filtered(tape, first, count)
        self._m = stop
        self._tell(end, out, axis, data)

    def _filtered(self, tape: ChunkBuffer[Any], first: int, count: int) -> NDArray[Any]:
        (up, down), half, shape = self._ratio, self._half, self._info.shape
        i = max(0, -((half - first * down) // up))
        j = min(tape.stop, ((first + count - 1) * down + half) // up + 1)
        samples = np.asarray(tape.data(i, j), self._dtype)
        out = np.empty((count, *shape), self._info.dtype)
        if out.size:
            pad = (i * up - half) % down  # so that one of the results that are computed is `first`
            taps = np.concatenate((np.zeros(pad), self._taps))
            flat = samples.reshape(j - i, -1)
            y = self._signal.upfirdn(taps, flat, up, down, axis=0)
            skip = first + (half + pad - i * up) // down
            out[...] = y[skip : skip + count].reshape(out.shape)
        return out

    def _axis(self, tape: ChunkBuffer[Any], first: int, count: int) -> Axis:
        """Return the times of results number ``first`` on."""
        up, down = self._ratio
        i = first * down // up
        j = min(tape.stop, (first + count - 1) * down // up + 2)
        return _spread(tape.axis(i, j), i, first, count, self._ratio)

    def _tell(
        self, end: int, out: list[Chunk], axis: Axis = _NOWHERE, data: NDArray[Any] | None = None,
        gap_positions: tuple[GapAt, ...] = (),
    ) -> None:  # fmt: skip
        info, start, count = self._info, self._told, axis.count
        if not count and not gap_positions and end <= start:
            return
        self._told = end = max(start, end)
        for _, gap in gap_positions:
            start = max(start, gap.end) if gap.start <= start else start
        if data is None:
            data = np.empty((0, *info.shape), info.dtype)
        data.flags.writeable = False
        out.append(Chunk(data, axis, start, end, self._next, info, gap_positions))
        self._next += count

    # -- between stretches --------------------------------------------------------------------

    def _close(self, until: int, out: list[Chunk]) -> None:
        """Give the rest of a stretch, as if zeros came after it."""
        tape, (up, down) = self._tape, self._ratio
        if tape is not None:
            self._give(tape, -(-tape.stop * up // down), until, out)
            self._tape = None

    def _pass(self, gaps: Sequence[Gap], after: Chunk, out: list[Chunk]) -> None:
        """End the stretch, and tell gaps as those of results."""
        self._close(gaps[0].start, out)
        number = after.index - sum(gap.lost or 0 for gap in gaps)
        gap_positions: list[GapAt] = []
        for gap in gaps:
            found = self._of_results(gap, number)
            gap_positions.append(GapAt(0, found))
            number += gap.lost or 0
            self._next += found.lost or 0
        self._tell(gaps[-1].end, out, gap_positions=tuple(gap_positions))

    def _number(self, index: int) -> int:
        """Return which result is the first for a sample from number ``index`` on."""
        up, down = self._ratio
        return -(-index * up // down)

    def _of_results(self, gap: Gap, number: int) -> Gap:
        """Return a gap before sample ``number`` as that of as many results as it would hold."""
        whole = gap.whole or gap
        if gap.whole is None or self._whole is None or self._whole[0] != whole:
            lost = whole.lost
            if lost is not None:
                span = whole.end - whole.start
                first = number - (lost * (gap.start - whole.start) // span if span else 0)
                begin = self._number(first)
                if gap.start == whole.start:  # a stretch may have given one more than its share
                    begin = max(begin, self._next)
                lost = max(0, self._number(first + lost) - begin)
            self._whole = (whole, Gap(whole.start, whole.end, lost, whole.reason))
        return self._whole[1].between(gap.start, gap.end)


@lru_cache(maxsize=8)
def _design(up: int, down: int) -> tuple[int, NDArray[np.float64]]:
    """Return the taps before the middle, and all: those of ``scipy.signal.resample_poly``."""
    widest = max(up, down)
    if widest == 1:
        return 0, np.ones(1)
    half = 10 * widest
    taps = load_scipy().firwin(2 * half + 1, 1.0 / widest, window=("kaiser", 5.0))
    return half, taps * up


def _simple(ratio: Fraction) -> Fraction:
    if ratio >= 1:
        return ratio.limit_denominator(_FINEST)
    return 1 / (1 / ratio).limit_denominator(_FINEST)


def _spread(axis: Axis, offset: int, first: int, count: int, ratio: tuple[int, int]) -> Axis:
    """Return the times of results ``first`` on, of which ``m`` lies at sample ``m * down / up``.

    Parameters
    ----------
    axis
        Of the samples from number ``offset`` on around the results.
    """
    up, down = ratio
    out: list[Axis] = []
    parts, m, last = axis.parts(), first, first + count
    for k, part in enumerate(parts):
        end = offset + part.count
        after = parts[k + 1].at(0) if k + 1 < len(parts) else None
        stop = last if after is None else min(last, -(-end * up // down))
        if stop > m:
            if isinstance(part, RegularAxis):
                step = part.step if isinstance(part, StridedAxis) else 1
                dense = RegularAxis(
                    part.origin, part.period / up, 0, 0, part.uncertainty, part.evidence
                )  # fmt: skip
                at = part.first * up + (m * down - offset * up) * step
                piece: Axis = StridedAxis(dense, at, down * step, stop - m)
                if after is not None and piece.at(stop - m - 1) > after:  # times were made better
                    piece = IrregularAxis(np.minimum(piece.times(), after), part.uncertainty)
            else:
                at_samples = (np.arange(m, stop) * down - offset * up) / up
                piece = _between(part, after, at_samples)
            out.append(piece)
            m = stop
        offset = end
    return join_axes(out)


def _between(part: IrregularAxis, after: int | None, at: NDArray[np.float64]) -> IrregularAxis:
    """Return times between stamps, ``at`` samples after the first; later ones as far as before."""
    stamps, zero = part.stamps, int(part.stamps[0])
    if after is None:
        after = int(stamps[-1]) + (int(stamps[-1] - stamps[-2]) if part.count > 1 else 0)
    known = np.append(stamps, after) - zero
    times = np.interp(at, np.arange(len(known)), known)
    return IrregularAxis(np.rint(times).astype(np.int64) + zero, part.uncertainty, part.evidence)
