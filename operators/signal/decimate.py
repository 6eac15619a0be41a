"""decimate: fewer samples, without aliases."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.operators.signal.frames import FramedStep, FrameSpec
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.numeric import (
    Initial,
    by_channel,
    check_numbers,
    check_rate,
    result_type,
)
from rxstream.operators.signal.sections import (
    Design,
    Filter,
    group_delay,
    steady_state,
)
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice, is_whole

__all__ = ["decimate"]

Kind = Literal["fir", "iir"]

# Twenty taps for each sample that is left out, and arrays of a size that can be made.
_MOST_LEFT_OUT, _MAX_ORDER = 100_000, 2_000_000


class _Filtered:
    """A `Step`: a filter, then every ``q``-th sample of its output."""

    __slots__ = ("_filter", "_frames")

    def __init__(self, filtered: Filter, frames: FramedStep) -> None:
        self._filter, self._frames = filtered, frames

    def push(self, chunk: Chunk) -> list[Chunk]:
        (filtered,) = self._filter.push(chunk)
        return self._frames.push(filtered)

    def flush(self) -> list[Chunk]:
        return self._frames.flush()


@label
def decimate(
    q: int, *, kind: Kind = "fir", order: int | None = None, initial: Initial = "rest"
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Filter against aliases, and keep every ``q``-th sample.

    Values are those of ``scipy.signal.decimate`` on the whole; times are corrected for the delay of
    the filter, so that a peak lies where it was.

    .. marble::

        --abcd--efgh----|
        [ decimate(4)   ]
        ---------a'--e'-|     times are those of a and e

    Parameters
    ----------
    q
        Factor of decimation, >= 2.
    kind
        ``"fir"``: symmetric taps (a Hamming window), which delay all frequencies alike, by half the
        taps; a sample comes that much later. As ``decimate(whole, q, ftype="fir")``. ``"iir"``: a
        Chebyshev filter, less work; times are corrected for its group delay at 0 Hz, and other
        frequencies are later. As ``decimate(whole, q, ftype="iir", zero_phase=False)``.
    order
        Order of the filter; even for ``"fir"``. Default: ``20 * q``, or 8 for ``"iir"``.
    initial
        Input assumed before the first sample, also after a gap: ``"rest"``, zeros (as scipy);
        ``"steady"``, that sample for ever, so that an offset makes no dip. ``"fir"`` assumes the
        same after the last.

    Returns
    -------
    operator
        Chunks of the samples whose number since the session began is a multiple of ``q``, however
        the stream is cut and wherever it begins; their own number is the quotient. ``info.rate`` is
        ``q`` times lower. Floating point stays (at least single), integers become double. ``lost``
        of a gap counts the samples of the lower rate, and may be 0; the filter restarts after it.
        A NaN makes the results NaN whose taps reach it; of ``"iir"``, which would keep it for ever,
        its own, and the filter begins anew.

    Raises
    ------
    ParameterError
        If ``q``, ``order`` or an option is not as above.
    MissingExtraError
        Without scipy (extra ``signal``).
    ChunkError
        Downstream, for streams without a rate, and samples that are not numbers.

    See Also
    --------
    sosfilt, filter_band : filters.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> peak = np.exp(-(((np.arange(1000) - 480) / 50) ** 2))
    >>> whole = Chunk.regular(peak, StreamInfo("x", 1000.0, (), np.float64), start=0)
    >>> rx.of(whole).pipe(decimate(10)).subscribe(
    ...     lambda c: print(c.time[c.data > 0.98] / 1e9, c.rate)).dispose()
    [0.48] 100.0
    [] 100.0
    """
    if not is_whole(q, 2) or q > _MOST_LEFT_OUT:
        msg = f"decimate: q must be a whole number from 2 to {_MOST_LEFT_OUT}, not {shown(q)}"
        raise ParameterError(msg)
    # numpy's small integers overflow in the arithmetic below
    q = int(q)
    check_choice(kind, Kind, "kind")
    check_choice(initial, Initial, "initial")
    if order is None:
        order = 20 * q if kind == "fir" else 8
    if not is_whole(order, 1) or order > _MAX_ORDER:
        msg = f"decimate: order must be a whole number from 1 to {_MAX_ORDER}, not {shown(order)}"
        raise ParameterError(msg)
    signal = load_scipy()
    if kind == "iir":
        sos: NDArray[Any] = signal.cheby1(order, 0.05, 0.8 / q, output="sos")
        steady = steady_state(sos, initial)

        def design(info: StreamInfo) -> Design:
            return Design(sos, group_delay(sos, check_rate(info, "decimate"), 0.0), steady)

        return lift_in_order(lambda: _Filtered(
            Filter("decimate", design, "reset"), FramedStep(lambda info: _every(info, q))
        ))  # fmt: skip
    if order % 2:
        msg = f"decimate: order must be even, for a tap in the middle, not {shown(order)}"
        raise ParameterError(msg)
    taps: NDArray[Any] = signal.firwin(order + 1, 1.0 / q, window="hamming")
    return lift_in_order(lambda: FramedStep(lambda info: _averaged(info, q, taps, initial)))


def _every(info: StreamInfo, q: int) -> FrameSpec:
    """Return the frames of one sample each, every ``q``-th."""
    fewer = replace(info, rate=check_rate(info, "decimate") / q)

    def pick(data: NDArray[Any], _number: int) -> NDArray[Any]:
        # a copy: a view would keep the memory of all samples
        return data[::q].copy()

    return FrameSpec(fewer, lambda: pick, width=1, hop=q, middle=0, anchor=0)


def _averaged(info: StreamInfo, q: int, taps: NDArray[Any], initial: Initial) -> FrameSpec:
    """Return the frames around every ``q``-th sample, whose result is a weighted mean."""
    check_numbers(info, "decimate")
    rate = check_rate(info, "decimate")
    out, dtype = result_type(info.dtype)
    width, weights = len(taps), taps.astype(np.empty(0, dtype).real.dtype)

    def compute(data: NDArray[Any], _number: int) -> NDArray[Any]:
        windows = sliding_window_view(by_channel(data, dtype), width, axis=1)[:, ::q]
        y: NDArray[Any] = np.ascontiguousarray(np.einsum("cmw,w->cm", windows, weights).T)
        return y.view(dtype).astype(out).reshape(len(y), *info.shape)

    fewer = replace(info, rate=rate / q, dtype=out)
    return FrameSpec(fewer, lambda: compute, width, q, middle=width // 2, anchor=0, pad=initial)
