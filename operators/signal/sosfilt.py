"""sosfilt: a filter of second-order sections."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
from rxstream.steps.contiguous_runs import OnGap
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice

__all__ = ["sosfilt"]


@label
def sosfilt(
    sos: ArrayLike,
    *,
    initial: Initial = "rest",
    on_gap: OnGap = "reset",
    on_nan: OnNan = "reset",
    delay: Delay = "group",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Filter with second-order sections, from chunk to chunk as if it were one array.

    Values are those of ``scipy.signal.sosfilt(sos, whole, axis=0)``, bit for bit, however the
    stream is cut; of values that are not finite, see ``on_nan``. Four channels and more run side by
    side if numba is installed (extra ``fast``), which is several times as fast; it is loaded on
    subscription.

    A filter delays its output; times are corrected for it, so that a burst lies where it was.

    .. marble::

        --a--b--c--d--|     in
        [  sosfilt()  ]
        a'-b'-c'-d'---|     out: each comes at once, with an earlier time

    Parameters
    ----------
    sos
        Sections ``(sections, 6)``, as ``scipy.signal`` designs them with ``output="sos"``.
    initial
        Input assumed before the first sample: ``"rest"``, zeros (as scipy); ``"steady"``, that
        sample for ever, so that an offset makes no step.
    on_gap
        ``"reset"``: the filter begins anew after a gap, and where the numbers of the samples jump;
        ``"bridge"``: it goes on as if the samples after it followed those before.
    on_nan
        ``"reset"``: a value that is not finite gives NaN, and with the next finite one the filter
        of its channel begins anew, as after a gap; ``"propagate"``, as scipy: from then on all is
        NaN, since a recursive filter never forgets one.
    delay
        Delay for which times are corrected: ``"group"``, the filter's group delay in the middle of
        its pass band; a length [s]; None, no correction. It moves all times of a chunk alike: of
        its samples, bounds and gaps. ``info.extra["delay"]`` is the sum of all such delays [s].

    Returns
    -------
    operator
        As many chunks and samples, filtered. Floating point stays (at least single), integers
        become double; the arithmetic is in double precision.

    Raises
    ------
    ParameterError
        If ``sos`` is not an array of sections, or an option is not as above.
    MissingExtraError
        Without scipy (extra ``signal``).
    ChunkError
        Downstream, for streams without a rate, and samples that are not numbers.

    See Also
    --------
    filter_band : a filter that is designed when the rate is known.

    Examples
    --------
    An average of two values has a delay of half a sample:

    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> whole = Chunk.regular(np.arange(4.0), StreamInfo("x", 10.0, (), np.float64), start=10**9)
    >>> rx.of(whole[:2], whole[2:]).pipe(sosfilt([[0.5, 0.5, 0, 1, 0, 0]])).subscribe(
    ...     lambda c: print(c.data, c.time / 1e9)).dispose()
    [0.  0.5] [0.95 1.05]
    [1.5 2.5] [1.15 1.25]
    """
    sections = _checked(sos)
    check_choice(initial, Initial, "initial")
    check_choice(on_gap, OnGap, "on_gap")
    check_choice(on_nan, OnNan, "on_nan")
    given = check_delay(delay)
    load_scipy()
    steady = steady_state(sections, initial)

    def design(info: StreamInfo) -> Design:
        shift = group_delay(sections, check_rate(info, "sosfilt")) if given is None else given
        return Design(sections, shift, steady)

    return lift_in_order(lambda: Filter("sosfilt", design, on_gap, on_nan))


def _checked(sos: Any) -> NDArray[np.float64]:
    """Return a user's sections as an array ``(sections, 6)``."""
    try:
        sections = np.array(sos, np.float64)
    except (TypeError, ValueError, OverflowError):
        sections = np.empty(0)
    if sections.ndim != 2 or sections.shape[1] != 6 or not len(sections):
        msg = (
            "sosfilt needs second-order sections (sections, 6), as scipy.signal.butter(..., "
            f"output='sos') gives, not {np.shape(sos)}"
        )
        raise ParameterError(msg)
    if not np.isfinite(sections).all() or not (sections[:, 3] == 1).all():
        msg = "sosfilt: sections must be finite numbers, with 1 in column 3"
        raise ParameterError(msg)
    if not sections[:, :3].any(axis=1).all():
        msg = f"sosfilt: section {int(np.argmin(sections[:, :3].any(axis=1)))} lets nothing pass"
        raise ParameterError(msg)
    sections.flags.writeable = False
    return sections
