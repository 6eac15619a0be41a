"""resample: the same signal at other times."""

from collections.abc import Callable
from typing import Literal

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.operators.signal.grid_resampler import GridResampler
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.polyphase import PolyphaseResampler
from rxstream.operators.signal.resample_onto import resample_onto
from rxstream.operators.signal.runs import check_choice
from rxstream.steps.lift import lift
from rxstream.validation import is_number

__all__ = ["checked_rate", "resample"]

Method = Literal["linear", "previous", "polyphase"]


def resample(
    rate: float | None = None,
    *,
    onto: Observable[Chunk] | None = None,
    method: Method = "linear",
    tolerance: Duration | None = None,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Give the samples that a stream would have at another, steady rate, or at another's times.

    .. marble::

        a--b-----c-----d---|
        [ resample(hold)   ]
        -a---b---b---c---d-|     times aligned to the clock

    Parameters
    ----------
    rate
        Of the results [Hz], up to 1e9; or
    onto
        the stream whose times they have, for ``"linear"`` and ``"previous"``.
    method
        ``"linear"``: on the line between the samples before and after, whole numbers rounded, as
        ``numpy.interp``; given when the sample after has come. ``"previous"``: the last sample not
        later, of any kind; given at once, and while nothing comes. Both take irregular streams
        too, and results lie at ``k / rate`` seconds since the epoch, so that several streams
        resampled have the same times. They do not keep what the lower rate cannot hold from
        coming back as aliases.

        ``"polyphase"``: a filter against aliases, for regular streams; each stretch between gaps is
        what ``scipy.signal.resample_poly`` makes of it, its first result at its first sample.
        Given ten periods of the lower rate later.
    tolerance
        For ``"linear"`` and ``"previous"``: how far the samples that a value is made of may be [s].
        Default: however far; for lines with ``onto``, whose samples are kept meanwhile, 10 s.
    lateness
        With ``onto``: by how much one of the two may be behind the other [s], in stream time, until
        it is waited for no more.

    Returns
    -------
    operator
        Chunks with ``info.rate`` of ``rate`` (as a fraction; for ``"polyphase"`` as simple a
        multiple of the rate before as is equal to 1e-6). A result has no value across a gap, and
        none beyond ``tolerance``: a gap tells how many are missing, which may be none. After a gap
        it is told when the next sample has come. ``"polyphase"`` gives floating point: whole
        numbers become double.

        With ``onto`` chunks have the times, the numbers, the rate and the gaps of that stream, and
        name, unit and dtype of this one. Samples of the other for which there is no value are left
        out: a gap with why ``"unmatched"`` tells how many.

    Raises
    ------
    ParameterError
        If both or neither of ``rate`` and ``onto`` are given, or one of the arguments is no such
        value.
    MissingExtraError
        For ``"polyphase"`` without scipy (extra ``signal``).
    ChunkError
        Downstream: for lines between samples that are no numbers; for ``"polyphase"`` also of
        streams without a rate, and if a rate is more than 100 000 times another.

    See Also
    --------
    align : samples and those of other streams at their times, side by side.
    decimate : a whole number of times fewer samples.
    fill_gaps : put values where samples were lost.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> times = [0, 400_000_000, 1_000_000_000]
    >>> keys = Chunk.stamped(np.array([0.0, 4.0, 5.2]), times, StreamInfo("x", None, (), float))
    >>> rx.of(keys).pipe(resample(5)).subscribe(lambda c: print(c.data)).dispose()
    [0.  2.  4.  4.4 4.8 5.2]
    >>> held = rx.of(keys).pipe(resample(5, method="previous"))
    >>> held.subscribe(lambda c: print(c.data)).dispose()
    [0.  0.  4.  4.  4.  5.2]
    """
    check_choice(method, Method, "method")
    if (rate is None) == (onto is None):
        msg = f"resample takes rate or onto=, one of them, not {rate!r} and {onto!r}"
        raise ParameterError(msg)
    span = None if tolerance is None else to_span(tolerance, "tolerance")
    late = to_span(lateness, "lateness")
    if method == "polyphase" and (span is not None or onto is not None):
        msg = "resample: tolerance= and onto= are for 'linear' and 'previous', not for 'polyphase'"
        raise ParameterError(msg)
    way: Literal["linear", "previous"] = "linear" if method == "linear" else "previous"
    if onto is not None:
        if not isinstance(onto, Observable):
            msg = f"resample: onto must be an Observable of chunks, not {onto!r}"
            raise ParameterError(msg)
        return resample_onto(onto, way, span, late)
    hz = checked_rate(rate)
    if method == "polyphase":
        load_scipy()
        return lift(lambda: PolyphaseResampler(hz))
    return lift(lambda: GridResampler(hz, way, span))


def checked_rate(rate: object, operator: str = "resample") -> float:
    """Return a rate [Hz] that a grid can have."""
    if is_number(rate) and 0 < rate <= 1e9:
        return float(rate)
    msg = f"{operator}: rate must be > 0 Hz and at most 1e9 Hz, not {rate!r}"
    raise ParameterError(msg)
