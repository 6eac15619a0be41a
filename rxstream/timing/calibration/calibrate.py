"""The latency nobody can see, from events that two devices both saw.

A clap is heard by the microphone and seen by the camera; a pulse goes to two inputs. The times of
the same events on both devices differ by the difference of their least delays, and by what their
clocks drift apart.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.timing.calibration.matching import LEAST, candidates, check_single, refine, vote
from rxstream.validation import is_number

__all__ = ["Calibration", "calibrate_latency", "events_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Student's t, two-sided 95 %, for 1 to 9 degrees of freedom
_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How the times of device b relate to those of device a.

    Attributes
    ----------
    offset
        By how much b is later than a in the middle of the events [s]. See `latency`.
    drift
        By how much more b is late as time goes on [ppm]; 0 if it was not looked for. Between two
        devices with corrected times it is 0 within `drift_uncertainty`.
    offset_uncertainty
        Half width of the 95 % interval of `offset` [s]. What the devices do to every event alike
        is not in it: a camera shows a flash half a picture late on average.
    drift_uncertainty
        Half width of the 95 % interval of `drift` [ppm]; 0 if it was not looked for.
    matched
        How many events both saw.
    residual_p95
        95 % of them lie within so much of the line [s].
    pairs
        Numbers of the events that belong together, ``(matched, 2)``.
    middle
        Time in a to which `offset` belongs [ns].
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
        """What to add to ``Device(path_delay=)`` of a and of b, so that both agree [s].

        The device that is later gets ``path_delay=abs(offset)``, the other one 0. This aligns b
        with a; what is late in both alike stays unseen. If a device had a latency already when the
        events were taken, add to it.
        """
        return max(0.0, -self.offset), max(0.0, self.offset)

    def to_a(self, times: ArrayLike) -> Ints:
        """Return times of b ``(n,)`` [ns] as a would have told them."""
        stamps: Ints = np.asarray(times, np.int64)
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
    """Find offset and drift between two devices from events that both saw.

    Each may have missed some or seen some that the other did not. The offset (and drift) is the
    one for which most events have a partner; then a line is fitted, and what lies off it is left
    out.

    Irregular events are best: 10 claps that are not in time, or 20 where many
    are missed or false.

    Parameters
    ----------
    a, b
        Times of the events ``(n,)``, ``(m,)`` int [ns], rising; see `events_of`.
    tolerance
        No event is later or earlier in b than in a by more than this [s], drift included.
    drift
        Whether their clocks may run apart (by at most 1000 ppm), or only differ by a constant.
    jitter
        The same event may seem to be this much off to both sides [s], e.g. half a picture.

    Raises
    ------
    ParameterError
        If times are no integers or do not rise; if there are fewer than 3 events, no partners, or
        no more than chance makes; if several offsets fit, as with periodic events.

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
        if not _positive(value):
            msg = f"{name} must be > 0 seconds, not {value!r}"
            raise ParameterError(msg)
    first, second = _times("a", a), _times("b", b)
    zero = int(first[0])
    x, y = (first - zero) / 1e9, (second - zero) / 1e9
    at, late, share = candidates(x, y, tolerance)
    offset, slope = vote(x, y, at, late, share, tolerance, jitter, drift=drift)
    pairs, offset, slope, width = refine(x, y, offset, slope, 1.5 * jitter, drift=drift)
    check_single(at, late, offset, slope, width)
    return _fit(x, y, pairs, zero, drift=drift)


def events_of(chunk: Chunk[Any], threshold: float, refractory: Duration = 0.1) -> Ints:
    """Return when something began to be loud or bright.

    Parameters
    ----------
    chunk
        Samples ``(n,)``, or ``(n, channels)``, of which the first channel counts. Make pictures
        bright or dark first: ``chunk.with_data(chunk.data.mean(axis=(1, 2, 3)))``.
    threshold
        In the unit of the data; also what is below ``-threshold`` is loud.
    refractory
        It must have been quiet for so long [s] before.

    Returns
    -------
    ndarray
        Times [ns], int64 ``(k,)``, of the first loud sample of each event. What is loud already
        at the start of the chunk, or right after a gap, began unseen and is left out.

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
    >>> events_of(Chunk.regular(sound, info, start=0), 0.5).tolist()
    [200000000, 700000000]
    """
    quiet = to_span(refractory, "refractory")
    if not _positive(threshold):
        msg = f"threshold must be a number > 0, not {threshold!r}"
        raise ParameterError(msg)
    data = chunk.data
    if data.ndim > 2 or data.dtype.kind not in "biuf":
        msg = (
            f"{chunk.info.name}: events are found in numbers (n,) or (n, channels), not in "
            f"{data.shape} {data.dtype}; reduce them first, e.g. "
            "chunk.with_data(chunk.data.mean(axis=(1, 2, 3)))"
        )
        raise ParameterError(msg)
    level = data[:, 0] if data.ndim == 2 else data
    # not abs(): the least integer has no positive counterpart
    loud = np.flatnonzero((level >= threshold) | (level <= -threshold))
    times = chunk.time[loud]
    begins = np.ones(len(loud), np.bool_)
    begins[1:] = np.diff(times) > quiet
    unseen = [0, *(at for at, _ in chunk.gap_positions)]
    found: Ints = times[begins & ~np.isin(loud, unseen)]
    return found


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _times(name: str, values: ArrayLike) -> Ints:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        msg = f"{name} must be (n,) integers [ns], not {array.shape} {array.dtype}"
        raise ParameterError(msg)
    if len(array) < LEAST:
        msg = (
            f"{name} has {len(array)} events, at least {LEAST} are needed to tell which belong "
            "together; clap more often, or lower the threshold"
        )
        raise ParameterError(msg)
    if (array[1:] <= array[:-1]).any():
        msg = f"the times of {name} do not rise; sort them and leave out doubles"
        raise ParameterError(msg)
    return array.astype(np.int64)


def _fit(x: Floats, y: Floats, pairs: NDArray[np.intp], zero: int, *, drift: bool) -> Calibration:
    """Return the line of least squares through pairs without outliers: surer than medians."""
    at = x[pairs[:, 0]]
    late = y[pairs[:, 1]] - at
    count, middle, offset = len(pairs), float(at.mean()), float(late.mean())
    away = at - middle
    reach = float(away @ away)
    slope = float(away @ late) / reach if drift else 0.0
    left = late - offset - slope * away
    free = count - 1 - drift
    # times come in whole nanoseconds: no spread is less than that of rounding
    spread = max(sqrt(float(left @ left) / free), 3e-10) * _student(free)
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
    return _STUDENT[free - 1] if free <= len(_STUDENT) else 1.96 + 2.4 / free + 3.0 / free**2
