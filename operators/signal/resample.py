"""resample: the same signal at other times."""

from collections.abc import Callable
from typing import Literal

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.polyphase import PolyphaseResampler
from rxstream.operators.signal.resample_onto import resample_onto
from rxstream.operators.values.grid_resampler import GridResampler, checked_rate
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice

__all__ = ["resample"]

Method = Literal["linear", "previous", "polyphase"]


@label
def resample(
    rate: float | None = None,
    *,
    onto: Observable[Chunk] | None = None,
    method: Method = "linear",
    tolerance: Duration | None = None,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Interpolate a stream at a steady rate, or at the times of another stream.

    .. marble::

        a--b-----c-----d---|
        [resample(previous)]
        -a---b---b---c---d-|     times aligned to the clock

    Parameters
    ----------
    rate
        Rate of the results [Hz], up to 1e9. Exclusive with ``onto``.
    onto
        Stream whose times the results have, for ``"linear"`` and ``"previous"``.
    method
        ``"linear"``: on the line between the samples before and after, as ``numpy.interp``;
        integers are rounded. A result comes when the sample after it has come. ``"previous"``: the
        last sample not later, of any dtype; results come at once, and go on while no sample comes.
        Both take irregular streams too. Results lie at ``k / rate`` seconds after the epoch, so
        that all streams resampled to one rate have the same times. Neither filters against aliases.

        ``"polyphase"``: a filter against aliases, for regular streams. Each stretch between gaps is
        as by ``scipy.signal.resample_poly``, with its first result at its first sample. Results
        come ten periods of the lower rate later.
    tolerance
        For ``"linear"`` and ``"previous"``: largest distance from a result to the samples it is
        made of [s]. Default: no limit; for ``"linear"`` with ``onto``, where samples are held in
        memory meanwhile, 10 s.
    lateness
        With ``onto``: how far one of the two streams may lag behind the other [s], in stream time,
        before it is no longer waited for.

    Returns
    -------
    operator
        Chunks with an ``info.rate`` of ``rate`` (as a fraction; for ``"polyphase"`` the simplest
        multiple of the rate before that is equal within 1e-6). There are no values across a gap,
        and none beyond ``tolerance``: ``lost`` of a gap counts the missing results, and may be 0.
        The gap comes with the next sample after it. Where numbers jump without a gap, as behind
        `gate`, ``"previous"`` holds the last value while chunks go on, and the others leave a gap.
        ``"polyphase"`` gives floating point: integers become double.

        With ``onto`` chunks have the times, the numbers, the rate and the gaps of that stream, and
        the name, unit and dtype of this one. Samples of the other stream without a value are left
        out, and counted in a gap with reason ``"unmatched"``.

    Raises
    ------
    ParameterError
        If both or neither of ``rate`` and ``onto`` are given, or an argument is not as above.
    MissingExtraError
        For ``"polyphase"`` without scipy (extra ``signal``).
    ChunkError
        Downstream: for lines between samples that are not numbers; for ``"polyphase"`` also for
        streams without a rate, and if one rate is more than 100 000 times the other.

    See Also
    --------
    align : samples and those of other streams at their times, side by side.
    decimate : a rate lower by an integer factor.
    fill_gaps : put values where samples were lost.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> times = [0, 400_000_000, 1_000_000_000]
    >>> keys = Chunk.stamped(np.array([0.0, 4.0, 5.2]), times, StreamInfo("x", None, (), float))
    >>> rx.of(keys).pipe(resample(5)).subscribe(lambda c: print(c.data)).dispose()
    [0.  2.  4.  4.4 4.8 5.2]
    >>> steps = rx.of(keys).pipe(resample(5, method="previous"))
    >>> steps.subscribe(lambda c: print(c.data)).dispose()
    [0.  0.  4.  4.  4.  5.2]
    """
    check_choice(method, Method, "method")
    if (rate is None) == (onto is None):
        msg = f"resample takes rate or onto=, one of them, not {shown(rate)} and {shown(onto)}"
        raise ParameterError(msg)
    span = None if tolerance is None else to_span(tolerance, "tolerance")
    lag = to_span(lateness, "lateness")
    if method == "polyphase" and (span is not None or onto is not None):
        msg = "resample: tolerance= and onto= are for 'linear' and 'previous', not for 'polyphase'"
        raise ParameterError(msg)
    way: Literal["linear", "previous"] = "linear" if method == "linear" else "previous"
    if onto is not None:
        if not isinstance(onto, Observable):
            msg = f"resample: onto must be an Observable of chunks, not {shown(onto)}"
            raise ParameterError(msg)
        return resample_onto(onto, way, span, lag)
    hz = checked_rate(rate)
    if method == "polyphase":
        load_scipy()
        return lift_in_order(lambda: PolyphaseResampler(hz))
    return lift_in_order(lambda: GridResampler(hz, way, span))
