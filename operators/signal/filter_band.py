"""filter_band: a band-pass, low-pass or high-pass."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.numeric import Initial, check_rate
from rxstream.operators.signal.sections import (
    Delay,
    Design,
    Filter,
    OnNan,
    check_delay,
    group_delay,
    steady_state,
)
from rxstream.printable import shown
from rxstream.steps.contiguous_runs import OnGap
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice, is_positive, is_whole

__all__ = ["filter_band"]

# A period of some thousand years [Hz].
_LEAST_EDGE = 1e-11
# Of higher orders even the sections are not stable in float64.
_MAX_ORDER = 100

Kind = Literal["butter", "cheby1", "cheby2", "ellip", "bessel"]


@label
def filter_band(
    low: float | None,
    high: float | None,
    *,
    order: int = 4,
    kind: Kind = "butter",
    ripple: float = 0.1,
    attenuation: float = 60.0,
    initial: Initial = "rest",
    on_gap: OnGap = "reset",
    on_nan: OnNan = "reset",
    delay: Delay = "group",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Pass the frequencies from ``low`` to ``high``; times are corrected for the filter's delay.

    The filter is ``scipy.signal.iirfilter(order, (low, high), ..., fs=info.rate, output="sos")``,
    designed when the stream's rate is known; the rest is as for `sosfilt`.

    .. marble::

        --a--b--c--d-------|     in
        [ filter_band(1, 2)]
        a'-b'-c'-d'--------|     out: each comes at once, with an earlier time

    Parameters
    ----------
    low, high
        Edges of the band [Hz]. ``low`` None: a low-pass; ``high`` None: a high-pass.
    order
        Order of the filter (a band-pass has twice as many poles).
    kind
        Family of the filter; ``"bessel"`` keeps the shape of a signal best, as its delay is nearly
        the same for all frequencies.
    ripple
        Ripple in the pass band [dB], of ``"cheby1"`` and ``"ellip"``.
    attenuation
        Attenuation in the stop band [dB], of ``"cheby2"`` and ``"ellip"``.
    initial, on_gap
        As for `sosfilt`.
    on_nan
        What a NaN does, as from a sensor or `fill_gaps`: ``"reset"``, it stays one NaN, and the
        filter of its channel begins anew after it; ``"propagate"``, all that follows is NaN. As
        for `sosfilt`.
    delay
        As for `sosfilt`. ``"group"``: the group delay at the centre of the band, the geometric
        mean of its edges; of a low-pass, at half its edge; of a high-pass, halfway to half the
        rate. The envelope then lies where it was. Other frequencies are later or earlier; at the
        edges of a steep filter by as much as the delay itself.

    Returns
    -------
    operator
        As many chunks and samples, filtered, as by `sosfilt`.

    Raises
    ------
    ParameterError
        If the edges are not positive, finite and in order, both are None, or an option is wrong;
        downstream, if an edge is not below half the rate of the stream.
    MissingExtraError
        Without scipy (extra ``signal``).
    ChunkError
        Downstream, for streams without a rate, and samples that are not numbers.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("x", 1000.0, (), np.float64)
    >>> t = np.arange(1000) / 1000
    >>> burst = np.exp(-(((t - 0.5) / 0.1) ** 2)) * np.cos(2 * np.pi * 40 * t)
    >>> def middle(chunk):
    ...     return np.average(chunk.time / 1e9, weights=chunk.data**2)
    >>> whole = Chunk.regular(burst, info, start=0)
    >>> rx.of(whole).pipe(filter_band(20, 80)).subscribe(
    ...     lambda c: print(f"{middle(whole):.3f} {middle(c):.3f}")).dispose()
    0.500 0.500
    >>> rx.of(whole).pipe(filter_band(20, 80, delay=None)).subscribe(
    ...     lambda c: print(f"{middle(c):.3f}")).dispose()
    0.514
    """
    _check_edges(low, high)
    if not is_whole(order, 1) or order > _MAX_ORDER:
        msg = (
            f"filter_band: order must be a whole number from 1 to {_MAX_ORDER}, not {shown(order)}"
        )
        raise ParameterError(msg)
    check_choice(kind, Kind, "kind")
    for name, value in (("ripple", ripple), ("attenuation", attenuation)):
        if not is_positive(value):
            msg = f"filter_band: {name} must be > 0 dB and finite, not {shown(value)}"
            raise ParameterError(msg)
    if kind == "ellip" and ripple >= attenuation:
        msg = (
            f"filter_band: ripple must be below attenuation, not {shown(ripple)} and "
            f"{shown(attenuation)} dB"
        )
        raise ParameterError(msg)
    check_choice(initial, Initial, "initial")
    check_choice(on_gap, OnGap, "on_gap")
    check_choice(on_nan, OnNan, "on_nan")
    given = check_delay(delay)
    signal = load_scipy()

    def design(info: StreamInfo) -> Design:
        rate = check_rate(info, "filter_band")
        _check_nyquist(low, high, info.name, rate)
        edges, btype = (low, high), "bandpass"
        if low is None or high is None:
            edges, btype = (high, "lowpass") if low is None else (low, "highpass")  # type: ignore[assignment]
        options = {"rp": ripple} if kind in ("cheby1", "ellip") else {}
        options |= {"rs": attenuation} if kind in ("cheby2", "ellip") else {}
        sos: NDArray[Any] = signal.iirfilter(
            order, edges, btype=btype, ftype=kind, output="sos", fs=rate, **options
        )
        shift = group_delay(sos, rate, _centre(low, high, rate)) if given is None else given
        return Design(sos, shift, steady_state(sos, initial))

    return lift_in_order(lambda: Filter("filter_band", design, on_gap, on_nan))


def _centre(low: float | None, high: float | None, rate: float) -> float:
    """Return the centre of a band [Hz]."""
    if low is not None and high is not None:
        return float(np.sqrt(low * high))
    return ((low or 0.0) + (high or rate / 2)) / 2


def _check_edges(low: Any, high: Any) -> None:
    if low is None and high is None:
        msg = "filter_band needs low, high, or both [Hz], not None and None"
        raise ParameterError(msg)
    for name, value in (("low", low), ("high", high)):
        if value is not None and not (is_positive(value) and value >= _LEAST_EDGE):
            msg = f"filter_band: {name} must be > 0 Hz and finite, or None, not {shown(value)}"
            raise ParameterError(msg)
    if low is not None and high is not None and low >= high:
        msg = f"filter_band: low must be below high, not {shown(low)} and {shown(high)}"
        raise ParameterError(msg)


def _check_nyquist(low: float | None, high: float | None, name: str, rate: float) -> None:
    for which, edge in (("high", high), ("low", low)):
        if edge is not None and edge >= rate / 2:
            msg = (
                f"filter_band: {which}={edge:g} Hz, but {name} has {rate:g} Hz, and only "
                f"frequencies below {rate / 2:g} Hz are in it; use a lower edge or a higher rate"
            )
            raise ParameterError(msg)
