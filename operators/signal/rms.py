"""rms: the level of a signal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.operators.signal.frames import FramedStep, FrameSpec
from rxstream.operators.signal.numeric import by_channel, check_numbers, check_rate, result_type
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label

__all__ = ["rms"]

# with up to so many windows over each sample, summing every window by itself is the fastest
_MAX_WINDOWS_SUMMED_ALONE = 32


@label
def rms(
    duration: Duration, *, every: Duration | None = None
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Compute the root mean square of each channel over windows of time, in units of the data.

    .. marble::

        --abcd--efgh-----|
        [ rms(4 samples) ]
        -----r------r----|     one level per window, at the time of its middle

    Parameters
    ----------
    duration
        Length of a window [s], rounded to samples of the nominal rate.
    every
        Distance of windows [s], rounded to samples, at least one; ``1 / rate`` gives the level at
        each sample. Default: ``duration``.

    Returns
    -------
    operator
        Chunks with a level ``(*shape)`` for each window that begins at a sample whose number since
        the session began is a multiple of the samples of ``every``, however the stream is cut and
        wherever it begins; its own number is the quotient. Its time is that of the sample in the
        middle of the window. Windows do not reach over gaps: the gap of levels is as much wider,
        and counts the missing levels. ``info.rate`` is the rate of the levels. Single precision
        stays, integers become double; complex numbers count by their magnitude. Each window is
        summed by itself, in double precision: the relative error is below 1e-12 (single: 1e-6)
        however long the stream is, and the level does not depend on how it is cut.

    Raises
    ------
    ParameterError
        If a duration is not positive.
    ChunkError
        Downstream, for streams without a rate, and samples that are not numbers.

    See Also
    --------
    window_by_time : any function of windows.
    onset : the moments at which a level rises.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> tone = np.sin(2 * np.pi * 50 * np.arange(400) / 1000) * np.repeat([1.0, 3.0], 200)
    >>> whole = Chunk.regular(tone, StreamInfo("x", 1000.0, (), np.float64, "V"), start=0)
    >>> rx.of(whole).pipe(rms(0.1)).subscribe(
    ...     lambda c: print(c.data.round(3), c.time / 1e9)).dispose()
    [0.707 0.707 2.121 2.121] [0.05 0.15 0.25 0.35]
    """
    span = to_span(duration, "duration")
    step = span if every is None else to_span(every, "every")
    return lift_in_order(lambda: FramedStep(lambda info: _frame_spec(info, span, step)))


def _frame_spec(info: StreamInfo, span: int, step: int) -> FrameSpec:
    """Return the frames for windows of length ``span`` every ``step`` [ns]."""
    check_numbers(info, "rms")
    rate = check_rate(info, "rms")
    width, hop = (max(1, round(length * rate / 1e9)) for length in (span, step))
    is_complex = info.dtype.kind == "c"
    dtype = np.empty(0, result_type(info.dtype)[0]).real.dtype
    wide = np.result_type(dtype, np.complex128 if is_complex else np.float64)

    def compute(data: NDArray[Any], number: int) -> NDArray[Any]:
        x = by_channel(data, wide)
        if hop > 1 and width <= _MAX_WINDOWS_SUMMED_ALONE * hop:
            windows = sliding_window_view(x, width, axis=1)[:, ::hop]
            sums = np.einsum("cmw,cmw->cm", windows, windows)
        else:
            sums = _sums(x * x, number * hop, width, hop)
        return levels(sums)

    def levels(sums: NDArray[Any]) -> NDArray[Any]:
        """Return the levels of the sums ``(channels, m)`` of squares in each window."""
        if is_complex:
            sums = sums[::2] + sums[1::2]
        out: NDArray[Any] = np.sqrt(sums.T / width).astype(dtype, order="C")
        return out.reshape(len(out), *info.shape)

    blocks = 1 < width // hop < width and width % hop == 0
    return FrameSpec(
        replace(info, rate=rate / hop, dtype=dtype),
        (lambda: _Blocks(wide, width, hop, levels)) if blocks else (lambda: compute),
        width, hop, middle=width // 2, anchor=width // 2, repeat=not blocks,
    )  # fmt: skip


class _Blocks:
    """Levels of windows that are several hops long: the squares of each hop are summed once.

    Parameters
    ----------
    wide
        Dtype of the arithmetic.
    width, hop
        Samples in a window, and in a block; ``width`` is a multiple of ``hop``.
    levels
        Returns the levels of ``m`` windows from their sums ``(channels, m)``.
    """

    def __init__(
        self, wide: np.dtype[Any], width: int, hop: int,
        levels: Callable[[NDArray[Any]], NDArray[Any]],
    ) -> None:  # fmt: skip
        self._wide, self._hop, self._levels = wide, hop, levels
        # blocks in a window
        self._count = width // hop
        # sums of the last blocks, one fewer than in a window: the next windows begin with them
        self._sums: NDArray[Any] | None = None

    def __call__(self, new: NDArray[Any], _number: int) -> NDArray[Any]:
        count, hop, before = self._count, self._hop, self._sums
        x = new.astype(self._wide).reshape(len(new) // hop, hop, -1)
        if x.dtype.kind == "c":
            x = x.view(np.empty(0, x.dtype).real.dtype)
        sums = np.einsum("bsc,bsc->cb", x, x)
        if before is not None:
            sums = np.concatenate((before, sums), axis=1)
        self._sums = sums[:, -(count - 1) :].copy()
        return self._levels(_sums_of(count, sums))


def _sums_of(count: int, values: NDArray[Any]) -> NDArray[Any]:
    """Return the sums ``(channels, m)`` of ``count`` adjacent ones of ``m + count - 1`` values.

    They are built from sums of two, of four, and so on, which takes few additions, and the same
    ones for every window.
    """
    m = values.shape[1] - count + 1
    at, size = 0, 1
    out: NDArray[Any] | None = None
    while True:
        if count & size:
            part = values[:, at : at + m]
            out = part if out is None else out + part
            at += size
            if at == count:
                return out
        values = values[:, :-size] + values[:, size:]
        size *= 2


def _sums(values: NDArray[Any], start: int, width: int, hop: int) -> NDArray[Any]:
    """Return the sums ``(channels, m)`` of windows, the first of which begins at number ``start``.

    A running sum would drift, and depend on where it began. But a window consists of the end of one
    block of ``width`` samples and the beginning of the next, so it is the sum of two partial sums.
    """
    lead, (channels, n) = start % width, values.shape
    blocks = np.zeros((channels, -(-(lead + n) // width), width), values.dtype)
    blocks.reshape(channels, -1)[:, lead : lead + n] = values
    begins = np.cumsum(blocks, axis=2).reshape(channels, -1)
    ends = np.cumsum(blocks[:, :, ::-1], axis=2)[:, :, ::-1].reshape(channels, -1)
    first = np.arange(lead, lead + n - width + 1, hop)
    sums = begins[:, first + (width - 1)]
    split = first % width > 0
    sums[:, split] += ends[:, first[split]]
    return sums
