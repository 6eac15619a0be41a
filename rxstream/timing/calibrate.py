"""The latency nobody can see, from events that two devices both saw.

A clap is heard by the microphone and seen by the camera; a pulse goes to two inputs. The times of
the same events on both devices differ by the difference of their least delays, and by what their
clocks drift apart.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rxstream.errors import ParameterError

__all__ = ["Calibration", "calibrate_latency"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How the times of device b relate to those of device a.

    Attributes
    ----------
    offset
        By how much b is later than a in the middle of the events [s]. Open b with
        ``latency=offset`` and both agree; where it is negative, open a with ``latency=-offset``.
    drift
        By how much more b is late after each second [s/s]; 0 for less than 3 events.
    uncertainty
        Half width of the 95 % interval of `offset` [s]; infinite for a single event.
    pairs
        Numbers of the events that belong together, ``(k, 2)``.
    middle
        Time in a to which `offset` belongs [ns].
    """

    offset: float
    drift: float
    uncertainty: float
    pairs: NDArray[np.intp]
    middle: int

    def to_a(self, times: ArrayLike) -> Ints:
        """Return times of b ``(n,)`` [ns] as a would have told them."""
        stamps: Ints = np.asarray(times, np.int64)
        shift = round(self.offset * 1e9)
        ahead = (stamps - shift - self.middle) * (self.drift / (1 + self.drift))
        moved: Ints = stamps - shift - np.rint(ahead).astype(np.int64)
        return moved


def calibrate_latency(
    a: ArrayLike, b: ArrayLike, *, tolerance: float = 1.0, jitter: float = 0.02
) -> Calibration:
    """Find offset and drift between two devices from events that both saw.

    Each may have missed some or seen some that the other did not. The offset is the one for which
    most events have a partner; then a line is fitted, and what lies off it is left out.

    Parameters
    ----------
    a, b
        Times of the events ``(n,)``, ``(m,)`` int [ns], rising.
    tolerance
        The offset is at most this large [s].
    jitter
        The same event may seem to be this much off [s], e.g. the time of half a frame and the
        drift of the whole recording.

    Raises
    ------
    ParameterError
        If times are no integers or do not rise, or no event of one has a partner in the other.

    Examples
    --------
    >>> import numpy as np
    >>> claps = np.array([10, 25, 31, 50]) * 1_000_000_000
    >>> flashes = claps + 40_000_000
    >>> round(calibrate_latency(claps, flashes).offset, 9)
    0.04
    """
    first, second = _times("a", a), _times("b", b)
    if tolerance <= 0 or jitter <= 0:
        msg = f"tolerance and jitter must be > 0 seconds, not {tolerance!r} and {jitter!r}"
        raise ParameterError(msg)
    zero = int(first[0])
    x, y = (first - zero) / 1e9, (second - zero) / 1e9
    offset, drift, width = _vote(x, y, tolerance, jitter), 0.0, jitter
    pairs = _partners(x, y, offset, 0.0, width)
    for _ in range(5):
        offset, drift, spread = _line(x[pairs[:, 0]], y[pairs[:, 1]])
        width = min(width, max(4 * spread, 1e-6))
        better = _partners(x, y, offset, drift, width)
        if not len(better) or np.array_equal(better, pairs):
            break
        pairs = better
    at = x[pairs[:, 0]]
    middle = float(at.mean())
    late = y[pairs[:, 1]] - at
    left = late - offset - drift * at
    free = len(pairs) - (2 if drift else 1)
    doubt = 2 * sqrt(float(left @ left) / free / len(pairs)) if free > 0 else inf
    return Calibration(offset + drift * middle, drift, doubt, pairs, zero + round(middle * 1e9))


def _times(name: str, values: ArrayLike) -> Ints:
    array = np.asarray(values)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        msg = f"{name} must be (n,) integers [ns], n >= 1, not {array.shape} {array.dtype}"
        raise ParameterError(msg)
    if (np.diff(array) <= 0).any():
        msg = f"the times of {name} do not rise; sort them and leave out doubles"
        raise ParameterError(msg)
    return array.astype(np.int64)


def _vote(x: Floats, y: Floats, tolerance: float, jitter: float) -> float:
    """Return the middle of the ``jitter`` long span of offsets that has most pairs [s]."""
    low, high = np.searchsorted(y, x - tolerance), np.searchsorted(y, x + tolerance)
    offsets = np.sort(np.concatenate([y[i:j] - t for t, i, j in zip(x, low, high, strict=True)]))
    if not len(offsets):
        msg = (
            f"no event of one device within {tolerance} s of one of the other; "
            "give a larger tolerance, or check that both saw the events"
        )
        raise ParameterError(msg)
    count = np.searchsorted(offsets, offsets + jitter, side="right") - np.arange(len(offsets))
    best = int(np.argmax(count))
    return float(np.median(offsets[best : best + count[best]]))


def _partners(x: Floats, y: Floats, offset: float, drift: float, width: float) -> NDArray[np.intp]:
    """Return which are nearest to each other and at most ``width`` [s] off, ``(k, 2)``."""
    wanted = x + offset + drift * x
    nearest = _nearest(y, wanted)
    back = _nearest(wanted, y)
    i = np.arange(len(x))
    mutual = (back[nearest] == i) & (np.abs(y[nearest] - wanted) <= width)
    return np.column_stack((i[mutual], nearest[mutual]))


def _nearest(values: Floats, wanted: Floats) -> NDArray[np.intp]:
    right = np.clip(np.searchsorted(values, wanted), 1, max(len(values) - 1, 1))
    if len(values) == 1:
        return np.zeros(len(wanted), np.intp)
    return np.where(wanted - values[right - 1] <= values[right] - wanted, right - 1, right)


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return offset, drift and spread of ``y - x``: medians, which do not mind a few outliers."""
    late = y - x
    drift = 0.0
    if len(x) >= 3:  # Theil & Sen: the median of the slopes of all pairs; some suffice
        i, j = np.triu_indices(min(len(x), 400), 1)
        pick = np.linspace(0, len(x) - 1, min(len(x), 400)).astype(np.intp)
        i, j = pick[i], pick[j]
        drift = float(np.median((late[j] - late[i]) / (x[j] - x[i])))
    offset = float(np.median(late - drift * x))
    spread = float(np.median(np.abs(late - offset - drift * x))) * 1.4826
    return offset, drift, spread
