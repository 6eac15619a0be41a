"""Calibration of the least delay, which no stream shows, by events that two devices both saw.

A clap is heard by the microphone and seen by the camera; a pulse goes to two inputs. The times of
the same events on both devices differ by the difference of their least delays, and by the drift
between their clocks.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.timing.calibration.matching import MIN_EVENTS, candidates, check_single, refine, vote
from rxstream.timing.columns import time_column
from rxstream.validation import check_flag, is_positive

__all__ = ["Calibration", "calibrate_latency", "onset_times"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Least scatter about the line [s]: times come in whole nanoseconds, and rounding them scatters by
# 1 / sqrt(12) ns.
_ROUNDING = 3e-10
# Student's t, two-sided 95 %, for 1 to 9 degrees of freedom.
_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Relation of the times of device b to those of device a.

    Attributes
    ----------
    offset
        Lateness of b against a in the middle of the events [s]. See `latency`.
    drift
        Growth of the lateness [ppm]; 0 if not fitted. Between two devices with corrected times it
        is 0 within `drift_uncertainty`.
    offset_uncertainty
        Half width of the 95 % interval of `offset` [s]. Errors that are the same for every event
        are not in it: a camera shows a flash half a frame late on average.
    drift_uncertainty
        Half width of the 95 % interval of `drift` [ppm]; 0 if not fitted.
    matched
        Number of events that both saw.
    residual_p95
        Distance from the line that 95 % of them keep within [s].
    pairs
        Numbers of the matching events, ``(matched, 2)``.
    middle
        Time in a at which `offset` holds [ns].
    """

    offset: float
    drift: float
    offset_uncertainty: float
    drift_uncertainty: float
    matched: int
    residual_p95: float
    pairs: NDArray[np.intp]
    middle: int

    @property
    def latency(self) -> tuple[float, float]:
        """Values of ``Device(path_delay=)`` for a and for b that make both agree [s].

        The later device gets ``path_delay=abs(offset)``, the other one 0. A delay that both have
        stays unknown. If a device had a `path_delay` when the events were taken, add to it.
        """
        return max(0.0, -self.offset), max(0.0, self.offset)

    def to_a(self, times: ArrayLike) -> Ints:
        """Return times of b ``(n,)`` [ns] on the scale of a."""
        stamps = time_column("times", times)
        shift, slope = round(self.offset * 1e9), self.drift * 1e-6
        ahead = (stamps - shift - self.middle) * (slope / (1 + slope))
        moved: Ints = stamps - shift - np.rint(ahead).astype(np.int64)
        return moved


def calibrate_latency(
    a: ArrayLike,
    b: ArrayLike,
    *,
    tolerance: float = 0.5,
    drift: bool = True,
    jitter: float = 0.02,
) -> Calibration:
    """Fit offset and drift between two devices to events that both saw.

    Each device may have missed some events, or seen some that the other did not. The offset (and
    drift) is the one for which most events have a partner. Then a line is fitted to the pairs, and
    outliers are left out.

    Irregular events are best: 10 claps out of time, or 20 where many are missed or false.

    Parameters
    ----------
    a, b
        Times of the events ``(n,)``, ``(m,)`` int [ns], rising; see `onset_times`.
    tolerance
        Largest lateness or earliness of an event in b against a [s], drift included.
    drift
        Whether the clocks may drift apart (by at most 1000 ppm), or only differ by a constant.
    jitter
        Largest error of the time of an event, to both sides [s], for instance half a frame.

    Raises
    ------
    ParameterError
        If times are no integers or do not rise; if there are fewer than 3 events, no partners, or
        no more than by chance; if several offsets fit, as with periodic events.

    Examples
    --------
    >>> import numpy as np
    >>> claps = np.array([10, 25, 31, 50]) * 1_000_000_000
    >>> flashes = claps + 40_000_000 + (claps - claps[0]) // 50_000
    >>> found = calibrate_latency(claps, flashes)
    >>> found.matched, round(found.offset, 6), round(found.drift, 3)
    (4, 0.04038, 20.0)
    >>> [round(seconds, 6) for seconds in found.latency]  # for a, for b
    [0.0, 0.04038]
    """
    for name, value in (("tolerance", tolerance), ("jitter", jitter)):
        if not is_positive(value):
            msg = f"{name} must be > 0 seconds, not {shown(value)}"
            raise ParameterError(msg)
    check_flag(drift, "drift")
    first, second = _times("a", a), _times("b", b)
    zero = int(first[0])
    x, y = (first - zero) / 1e9, (second - zero) / 1e9
    at, late, share = candidates(x, y, tolerance)
    offset, slope = vote(x, y, at, late, share, tolerance, jitter, drift=drift)
    pairs, offset, slope, width = refine(x, y, offset, slope, 1.5 * jitter, drift=drift)
    check_single(at, late, offset, slope, width)
    return _fit(x, y, pairs, zero, drift=drift)


def onset_times(chunk: Chunk[Any], threshold: float, holdoff: Duration = 0.1) -> Ints:
    """Return the times at which a signal begins to exceed a threshold.

    Parameters
    ----------
    chunk
        Samples ``(n,)``, or ``(n, channels)``, of which the first channel counts. Reduce frames to
        their brightness first: ``chunk.with_data(chunk.data.mean(axis=(1, 2, 3)))``.
    threshold
        Level in the unit of the data, of either sign.
    holdoff
        Time below the threshold before an onset [s].

    Returns
    -------
    ndarray
        Times [ns], int64 ``(k,)``, of the first loud sample of each event. Events that are loud at
        the start of the chunk, or right after a gap, are left out: their beginning was not seen.

    Raises
    ------
    ParameterError
        If the samples are no numbers, have more dimensions, or the threshold is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.data.stream_info import StreamInfo
    >>> sound = np.zeros(1000, np.float32)
    >>> sound[[200, 203, 700]] = 0.9, -0.7, -0.8  # a knock that rings, and another one
    >>> info = StreamInfo("sound", rate=1000.0, dtype=np.float32)
    >>> onset_times(Chunk.regular(sound, info, start=0), 0.5).tolist()
    [200000000, 700000000]
    """
    quiet = to_span(holdoff, "holdoff")
    if not is_positive(threshold):
        msg = f"threshold must be a number > 0, not {shown(threshold)}"
        raise ParameterError(msg)
    if not isinstance(chunk, Chunk):
        msg = f"onsets are found in an rxstream.Chunk, not in {shown(chunk)}"
        raise ParameterError(msg)
    data = chunk.data
    if data.ndim > 2 or data.shape[1:] == (0,) or data.dtype.kind not in "biuf":
        msg = (
            f"{chunk.info.name}: onsets are found in numbers (n,) or (n, channels), not in "
            f"{data.shape} {data.dtype}; reduce them first, e.g. "
            "chunk.with_data(chunk.data.mean(axis=(1, 2, 3)))"
        )
        raise ParameterError(msg)
    level = data[:, 0] if data.ndim == 2 else data
    # Not abs(): the least integer has no positive counterpart. Nothing is as loud as a threshold
    # beyond its type.
    with np.errstate(over="ignore"):
        loud = np.flatnonzero((level >= threshold) | (level <= -threshold))
    times = chunk.time[loud]
    begins = np.ones(len(loud), np.bool_)
    begins[1:] = np.diff(times) > quiet
    unseen = [0, *(at for at, _ in chunk.gap_positions)]
    found: Ints = times[begins & ~np.isin(loud, unseen)]
    return found


def _times(name: str, values: ArrayLike) -> Ints:
    array = time_column(name, values)
    if len(array) < MIN_EVENTS:
        msg = (
            f"{name} has {len(array)} events, at least {MIN_EVENTS} are needed to match "
            "them; clap more often, or lower the threshold"
        )
        raise ParameterError(msg)
    if (array[1:] <= array[:-1]).any():
        msg = f"the times of {name} do not rise; sort them and leave out doubles"
        raise ParameterError(msg)
    return array


def _fit(x: Floats, y: Floats, pairs: NDArray[np.intp], zero: int, *, drift: bool) -> Calibration:
    """Return the least-squares line through pairs without outliers: more precise than medians."""
    at = x[pairs[:, 0]]
    late = y[pairs[:, 1]] - at
    count, middle, offset = len(pairs), float(at.mean()), float(late.mean())
    away = at - middle
    reach = float(away @ away)
    slope = float(away @ late) / reach if drift else 0.0
    left = late - offset - slope * away
    free = count - 1 - drift
    spread = max(sqrt(float(left @ left) / free), _ROUNDING) * _student(free)
    return Calibration(
        offset,
        slope * 1e6,
        spread / sqrt(count),
        spread / sqrt(reach) * 1e6 if drift else 0.0,
        count,
        float(np.quantile(np.abs(left), 0.95)),
        pairs,
        zero + round(middle * 1e9),
    )


def _student(free: int) -> float:
    # Beyond the table the first terms of the expansion in 1 / free are exact to 0.01.
    return _STUDENT[free - 1] if free <= len(_STUDENT) else 1.96 + 2.4 / free + 3.0 / free**2
