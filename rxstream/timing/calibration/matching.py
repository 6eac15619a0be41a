"""Matching of the events of two devices.

Numbers here are seconds since the first event of a: exact to far below a nanosecond, where
nanoseconds since the epoch would not fit into a float.
"""

from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError

__all__ = ["MIN_EVENTS", "candidates", "check_single", "refine", "vote"]

Floats = NDArray[np.float64]

MIN_EVENTS = 3
"""Events that both devices must have seen: two always fit some line."""

# Largest drift that is searched [s/s]; quartz is within 1e-4.
_MAX_DRIFT = 1e-3
# Slopes to either side that are tried: of a microsecond in 2 min.
_MAX_TRIED = 100_000
# Pairs that vote: more make it slower, not surer.
_MAX_PAIRS = 20_000
# A line through few pairs is near most of them, and their scatter says little: of 4 pairs, one may
# lie 10 times as far off as of many, of 10 pairs 2.5 times. (trial)
_FEW_PAIRS = 150.0
# Scatters from the line that a pair may lie off, once there are many pairs.
_OUTLYING = 4
# Least distance of a pair from the line that makes it an outlier [s].
_MIN_WIDTH = 1e-6
# Rounds of pairing and fitting; it ends when the pairs do not change.
_MAX_ROUNDS = 10
# Probability that unrelated events pass for related ones.
_CHANCE = 1e-3
# A second offset with this share of the pairs of the best one makes the match ambiguous. (trial)
_AMBIGUOUS = 0.7
# Pairs whose slopes are compared, each with each: bounds the work to 80 000 slopes.
_MAX_SLOPES = 400
# The 75 % quantile of the distances, over this, is the standard deviation of a normal law.
_NORMAL_75 = 1.15


def candidates(x: Floats, y: Floats, tolerance: float) -> tuple[Floats, Floats, float]:
    """Return the pairs within the tolerance, as time in a and lateness [s], and the share of a."""
    low = np.searchsorted(y, x - tolerance)
    count = np.searchsorted(y, x + tolerance, side="right") - low
    total = int(count.sum())
    if not total:
        msg = (
            f"no event of one device within {tolerance} s of one of the other; "
            "give a larger tolerance, or check that both saw the events"
        )
        raise ParameterError(msg)
    step = ceil(total / _MAX_PAIRS)
    i = np.repeat(np.arange(len(x))[::step], count[::step])
    ends = np.cumsum(count[::step])
    j = np.repeat(low[::step] - (ends - count[::step]), count[::step]) + np.arange(len(i))
    return x[i], y[j] - x[i], 1 / step


def vote(
    x: Floats,
    y: Floats,
    at: Floats,
    late: Floats,
    share: float,
    tolerance: float,
    jitter: float,
    *,
    drift: bool,
) -> tuple[float, float]:
    """Return offset at time 0 [s] and slope on which most pairs lie within the jitter."""
    width, span = 2 * jitter, float(max(x[-1], y[-1]) - min(x[0], y[0]))
    # So dense that the nearest slope is off by an eighth of the width at the ends.
    wanted = _MAX_DRIFT * 2 * span / width if drift else 0.0
    if wanted > _MAX_TRIED:
        msg = (
            f"jitter {jitter} s is too small to search the drift over {span:.6g} s of events; give "
            f"at least {_MAX_DRIFT * span / _MAX_TRIED:.1g} s, or drift=False"
        )
        raise ParameterError(msg)
    most = ceil(wanted)
    slopes = np.arange(-most, most + 1) * (width / 2 / span)
    best, offset, slope = 0, 0.0, 0.0
    for tried in sorted(slopes.tolist(), key=abs):
        left = np.sort(late - tried * at)
        count = _within(left, width)
        k = int(np.argmax(count))
        if count[k] > best:
            best, slope = int(count[k]), tried
            offset = float(np.median(left[k : k + best]))
    expected = len(x) * share * len(y) * width / max(span, width)
    trials = len(slopes) * max(1.0, 4 * tolerance / width)
    if best < MIN_EVENTS or _log_tail(best, expected) + log(trials) > log(_CHANCE):
        msg = (
            f"{len(x)} and {len(y)} events make at most {best} pairs that fit together, which may "
            "be chance; take more events that both see, or a smaller tolerance or jitter"
        )
        raise ParameterError(msg)
    return offset, slope


def _within(values: Floats, width: float) -> NDArray[np.intp]:
    """Return the number of sorted values from each one to ``width`` above it."""
    return np.searchsorted(values, values + width, side="right") - np.arange(len(values))


def _log_tail(count: int, mean: float) -> float:
    """Return the logarithm of a bound on the chance of ``count`` or more (Poisson)."""
    if count <= mean:
        return 0.0
    return count * log(mean) - mean - lgamma(count + 1) - log(1 - mean / (count + 1))


def _partners(x: Floats, y: Floats, offset: float, drift: float, width: float) -> NDArray[np.intp]:
    """Return pairs that are nearest to each other and at most ``width`` [s] off, ``(k, 2)``."""
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


def refine(
    x: Floats, y: Floats, offset: float, slope: float, width: float, *, drift: bool
) -> tuple[NDArray[np.intp], float, float, float]:
    """Return the pairs on the line, its offset [s] and slope, and its width [s]."""
    pairs = _partners(x, y, offset, slope, width)
    for _ in range(_MAX_ROUNDS):
        if len(pairs) < MIN_EVENTS:
            break
        offset, slope, spread = _line(x[pairs[:, 0]], y[pairs[:, 1]], drift=drift)
        wide = _OUTLYING * spread * (1 + _FEW_PAIRS / len(pairs) ** 2)
        width = min(width, max(wide, _MIN_WIDTH))
        better = _partners(x, y, offset, slope, width)
        if np.array_equal(better, pairs):
            break
        pairs = better
    if len(pairs) < MIN_EVENTS:
        msg = f"only {len(pairs)} events fit together, at least {MIN_EVENTS} must; take more events"
        raise ParameterError(msg)
    return pairs, offset, slope, width


def _line(x: Floats, y: Floats, *, drift: bool) -> tuple[float, float, float]:
    """Return offset, slope and spread of ``y - x`` by medians, robust to a few outliers."""
    late = y - x
    slope = 0.0
    # Theil & Sen: the median of the slopes between any two.
    if drift:
        pick = np.linspace(0, len(x) - 1, min(len(x), _MAX_SLOPES)).astype(np.intp)
        i, j = np.triu_indices(len(pick), 1)
        i, j = pick[i], pick[j]
        slope = float(np.median((late[j] - late[i]) / (x[j] - x[i])))
    offset = float(np.median(late - slope * x))
    # Not the median: where times come in steps, more than half may lie on the line exactly.
    spread = float(np.quantile(np.abs(late - offset - slope * x), 0.75)) / _NORMAL_75
    return offset, slope, spread


def check_single(at: Floats, late: Floats, offset: float, slope: float, width: float) -> None:
    """Raise if nearly as many pairs lie on another line beside this one."""
    left = np.sort(late - offset - slope * at)
    here = int(np.count_nonzero(np.abs(left) <= width))
    second, other = 0, 0.0
    for side in (left[left < -2 * width], left[left > 2 * width]):
        if len(side):
            count = _within(side, 2 * width)
            k = int(np.argmax(count))
            if count[k] > second:
                second = int(count[k])
                other = float(np.median(side[k : k + second]))
    if second > _AMBIGUOUS * here or here - second < 2:
        msg = (
            f"the match is ambiguous: {here} pairs fit an offset of {offset:.6g} s, {second} fit "
            f"{offset + other:.6g} s; the events repeat every {abs(other):.6g} s, are too few, or "
            "too close together. Take more and irregular events, or a tolerance below "
            f"{abs(other) / 2:.3g} s if the offset is that small"
        )
        raise ParameterError(msg)
