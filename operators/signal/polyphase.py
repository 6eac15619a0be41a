"""Polyphase resampling: another rate, through a filter against aliases, from chunk to chunk."""

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis, IrregularAxis, RegularAxis, StridedAxis, join_axes
from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.stamps import strictly_increasing
from rxstream.errors import ChunkError
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.numeric import check_numbers, check_rate, result_type
from rxstream.operators.values.grid_resampler import as_fraction
from rxstream.steps.result_stream import ResultStream
from rxstream.steps.split import split_at_gaps

__all__ = ["PolyphaseResampler"]

# smaller term of a ratio of rates at most: the filter has 20 taps for each unit of the larger term,
# so a ratio that no such fraction comes close to is refused
_MAX_DENOMINATOR = 10_000
# largest factor in one step: its filter has two million taps
_MAX_RATIO = 100_000
# ratios that differ by less count as equal: device clocks are off by more
_RATIO_TOLERANCE = 1e-6


class PolyphaseResampler:
    """A `Step`: ``scipy.signal.resample_poly`` of each stretch of adjacent samples.

    Result ``m`` of a stretch lies ``m * down / up`` samples after its first sample.

    Parameters
    ----------
    rate
        Rate of the results [Hz].
    """

    __slots__ = ("_base", "_buffer", "_dtype", "_given", "_half", "_period", "_ratio", "_signal",
                 "_stream", "_taps", "_target")  # fmt: skip

    def __init__(self, rate: float) -> None:
        self._target, self._signal = as_fraction(rate), load_scipy()
        self._stream = ResultStream()
        # type of the arithmetic
        self._dtype = np.dtype(float)
        # factors up and down from the rate of the samples to that of the results
        self._ratio = (1, 1)
        self._taps: NDArray[np.float64]
        # taps before the middle
        self._half = 0
        # the stretch, once it has samples; number of its first sample; results emitted of it
        self._buffer: ChunkBuffer[Any] | None = None
        self._base = self._given = 0
        # of the samples [ns]
        self._period = 0.0

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        stream = self._stream
        if stream.has_new_info(chunk):
            self._take_info(chunk)
        for gaps, piece in split_at_gaps(chunk) if chunk.gap_positions else (([], chunk),):
            buffer = self._buffer
            if gaps:
                self._close(gaps[0].start)
                stream.emit_gaps(stream.convert_gaps(gaps, piece.index, self._number))
            elif buffer is not None and len(piece) and piece.index != self._base + buffer.stop:
                self._close(piece.covered_from)
            self._extend(piece)
        stream.end = chunk.end
        return stream.take()

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        self._close(self._stream.end)
        return self._stream.take()

    def _take_info(self, chunk: Chunk) -> None:
        info, stream = chunk.info, self._stream
        check_numbers(info, "resample(method='polyphase')")
        rate = as_fraction(check_rate(info, "resample(method='polyphase')"))
        ratio = _simple(self._target / rate)
        if abs(float(ratio / (self._target / rate)) - 1) > _RATIO_TOLERANCE:
            msg = (
                f"resample(method='polyphase'): {float(self._target)} Hz is no simple multiple "
                f"of the {float(rate)} Hz of {info.name}; ask for {float(rate * ratio)} Hz, or "
                "use method='linear'"
            )
            raise ChunkError(msg)
        self._period = info.period or 0.0
        up, down = ratio.numerator, ratio.denominator
        if max(up, down) > _MAX_RATIO:
            msg = (
                f"resample(method='polyphase'): from {float(rate)} to {float(self._target)} Hz "
                "is too far for one step; use ops.decimate before"
            )
            raise ChunkError(msg)
        self._close(chunk.covered_from)
        self._ratio = up, down
        self._half, self._taps = _design(up, down)
        kind, self._dtype = result_type(info.dtype)
        stream.info = replace(info, rate=float(rate * ratio), dtype=kind)
        stream.next = max(stream.next, self._number(chunk.first_index))

    def _number(self, index: int) -> int:
        """Return the number of the first result for samples from number ``index`` on."""
        up, down = self._ratio
        return -(-index * up // down)

    # -- within a stretch ---------------------------------------------------------------------

    def _extend(self, piece: Chunk) -> None:
        """Take adjacent samples, and emit what is ready."""
        buffer, stream, (up, down) = self._buffer, self._stream, self._ratio
        if buffer is None:
            if not len(piece):
                stream.emit(piece.end)
                return
            buffer = self._buffer = ChunkBuffer(overlap=2 * (self._half // up + 1))
            self._base, self._given = piece.index, 0
            stream.next = max(stream.next, self._number(piece.index))
        buffer.append(piece)
        ready = max(self._given, (buffer.stop * up - self._half - 1) // down + 1)
        at = ready * down // up
        end = piece.end
        if at + 1 < buffer.stop:
            end = self._axis(buffer, ready, 1).at(0)
        elif at < buffer.stop:
            # where between two samples it will lie, only the second one says
            end = buffer.axis(at, at + 1).at(0)
        self._emit_results(buffer, ready, end)
        buffer.trim(min(at, max(0, -((self._half - ready * down) // up))))

    def _close(self, until: int) -> None:
        """End the stretch at ``until`` [ns]: emit its last results, with zeros after it."""
        buffer, (up, down) = self._buffer, self._ratio
        if buffer is not None:
            self._emit_results(buffer, -(-buffer.stop * up // down), until)
            self._buffer = None

    def _emit_results(self, buffer: ChunkBuffer[Any], stop: int, end: int) -> None:
        """Emit the results of the stretch before number ``stop``, and the time to ``end`` [ns]."""
        stream, first, count = self._stream, self._given, stop - self._given
        if count <= 0:
            stream.emit(end)
            return
        end = max(end, stream.emitted_to + count)
        axis = self._axis(buffer, first, count)
        if axis.at(count - 1) >= end:
            # the last sample lasts longer than the stretch, so results may lie after its end
            axis = IrregularAxis(strictly_increasing(np.minimum(axis.times(), end - 1), end))
        stream.emit(end, axis, self._filtered(buffer, first, count))
        stream.next += count
        self._given = stop

    def _filtered(self, buffer: ChunkBuffer[Any], first: int, count: int) -> NDArray[Any]:
        """Return the values ``(count, *shape)`` of results number ``first`` on."""
        (up, down), half, info = self._ratio, self._half, self._stream.info
        i = max(0, -((half - first * down) // up))
        j = min(buffer.stop, ((first + count - 1) * down + half) // up + 1)
        samples = np.asarray(buffer.data(i, j), self._dtype)
        out = np.empty((count, *info.shape), info.dtype)
        if out.size:
            # zeros before the taps shift the phase, so that result `first` is among those computed
            pad = (i * up - half) % down
            taps = np.concatenate((np.zeros(pad), self._taps))
            flat = samples.reshape(j - i, -1)
            bad = ~np.isfinite(flat)
            if bad.any():  # times the zeros before the taps they would spread further
                flat = np.where(bad, 0, flat)
            y = self._signal.upfirdn(taps, flat, up, down, axis=0)
            skip = first + (half + pad - i * up) // down
            y = y[skip : skip + count]
            for row in np.flatnonzero(bad.any(axis=1)):
                at = (i + int(row)) * up
                low = max(0, -((half - at) // down) - first)
                y[low : max(low, (at + half) // down + 1 - first), bad[row]] = np.nan
            out[...] = y.reshape(out.shape)
        return out

    def _axis(self, buffer: ChunkBuffer[Any], first: int, count: int) -> Axis:
        """Return the times of results number ``first`` on."""
        up, down = self._ratio
        i = first * down // up
        j = min(buffer.stop, (first + count - 1) * down // up + 2)
        period = round(self._period)
        return _spread(buffer.axis(i, j), i, first, count, self._ratio, period)


@lru_cache(maxsize=8)
def _design(up: int, down: int) -> tuple[int, NDArray[np.float64]]:
    """Return the taps of ``scipy.signal.resample_poly``, after the number before the middle."""
    widest = max(up, down)
    if widest == 1:
        return 0, np.ones(1)
    half = 10 * widest
    taps = load_scipy().firwin(2 * half + 1, 1.0 / widest, window=("kaiser", 5.0))
    return half, taps * up


def _simple(ratio: Fraction) -> Fraction:
    """Return the nearest ratio of small factors."""
    if ratio >= 1:
        return ratio.limit_denominator(_MAX_DENOMINATOR)
    return 1 / (1 / ratio).limit_denominator(_MAX_DENOMINATOR)


def _spread(
    axis: Axis, offset: int, first: int, count: int, ratio: tuple[int, int], period: int
) -> Axis:
    """Return the times of results ``first`` on; result ``m`` lies at sample ``m * down / up``.

    Parameters
    ----------
    axis
        Times of the samples around them, which begin with sample ``offset``.
    period
        How long the last sample lasts, if it has only a stamp [ns].
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
                if after is not None and piece.at(stop - m - 1) > after:
                    # a corrected clock may put the next part before the end of this one's grid
                    piece = IrregularAxis(np.minimum(piece.times(), after), part.uncertainty)
            else:
                known = int(part.stamps[-1]) + period if after is None else after
                piece = _between(part, known, np.arange(m, stop) * down - offset * up, up)
            out.append(piece)
            m = stop
        offset = end
    return join_axes(out)


def _between(part: IrregularAxis, after: int, at: NDArray[np.int64], up: int) -> IrregularAxis:
    """Return times between stamps, in whole numbers: the same however the part was cut.

    Parameters
    ----------
    after
        Stamp of the sample after the part, or the end of the last one [ns].
    at
        Where, in samples after the first times ``up``, ``(n,)``.
    """
    k, share = np.divmod(at, up)
    stamps = np.append(part.stamps, after)
    steps = stamps[np.minimum(k + 1, part.count)] - stamps[k]
    times = stamps[k] + (2 * steps * share + up) // (2 * up)
    return IrregularAxis(times, part.uncertainty, part.evidence)
