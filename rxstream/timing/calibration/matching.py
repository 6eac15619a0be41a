"""Which events of two devices belong together, if any do.

Numbers here are seconds since the first event of a: exact to far below a nanosecond, where
nanoseconds since the epoch would not fit into a float.
"""

from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError

__all__ = ["LEAST", "candidates", "check_single", "refine", "vote"]

Floats = NDArray[np.float64]

LEAST = 3
"""Events both must have seen: two always fit some line."""

_STEEPEST = 1e-3  # drift looked for [s/s]; quartz is within 1e-4
_MOST_PAIRS = 20_000  # that vote; more make it slower, not surer
_VAGUE = 150.0  # 4 pairs may lie 10 times as far off as many, 10 pairs 2.5 times
_CHANCE = 1e-3  # how often unrelated events may pass for related ones


def candidates(x: Floats, y: Floats, tolerance: float) -> tuple[Floats, Floats, float]:
    """Return pairs within the tolerance: time in a [s], lateness [s]; and of which share of a."""
    low = np.searchsorted(y, x - tolerance)
    count = np.searchsorted(y, x + tolerance, side="right") - low
    total = int(count.sum())
    if not total:
        msg = (
            f"no event of one device within {tolerance} s of one of the other; "
            "give a larger tolerance, or check that both saw the events"
        )
        raise ParameterError(msg)
    step = ceil(total / _MOST_PAIRS)
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
    most = ceil(_STEEPEST * 2 * span / width) if drift else 0  # off by an eighth of it at the ends
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
    if best < LEAST or _log_tail(best, expected) + log(trials) > log(_CHANCE):
        msg = (
            f"{len(x)} and {len(y)} events make at most {best} pairs that fit together, which may "
            "be chance; take more events that both see, or a smaller tolerance or jitter"
        )
        raise ParameterError(msg)
    return offset, slope


def _within(values: Floats, width: float) -> NDArray[np.intp]:
    """Return how many of the sorted values lie from each one to ``width`` above it."""
    return np.searchsorted(values, values + width, side="right") - np.arange(len(values))


def _log_tail(count: int, mean: float) -> float:
    """Return the logarithm of a bound on the chance of ``count`` or more (Poisson)."""
    if count <= mean:
        return 0.0
    return count * log(mean) - mean - lgamma(count + 1) - log(1 - mean / (count + 1))


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


def refine(
    x: Floats, y: Floats, offset: float, slope: float, width: float, *, drift: bool
) -> tuple[NDArray[np.intp], float, float, float]:
    """Return the pairs on the line, its offset [s] and slope, and how wide it is [s]."""
    pairs = _partners(x, y, offset, slope, width)
    for _ in range(10):
        if len(pairs) < LEAST:
            break
        offset, slope, spread = _line(x[pairs[:, 0]], y[pairs[:, 1]], drift=drift)
        # a line through few points is near most of them: their spread tells little
        width = min(width, max(4 * spread * (1 + _VAGUE / len(pairs) ** 2), 1e-6))
        better = _partners(x, y, offset, slope, width)
        if np.array_equal(better, pairs):
            break
        pairs = better
    if len(pairs) < LEAST:
        msg = f"only {len(pairs)} events fit together, at least {LEAST} must; take more events"
        raise ParameterError(msg)
    return pairs, offset, slope, width


def _line(x: Floats, y: Floats, *, drift: bool) -> tuple[float, float, float]:
    """Return offset, slope and spread of ``y - x``: medians, which do not mind a few outliers."""
    late = y - x
    slope = 0.0
    if drift:  # Theil & Sen: the median of the slopes of all pairs; some suffice
        pick = np.linspace(0, len(x) - 1, min(len(x), 400)).astype(np.intp)
        i, j = np.triu_indices(len(pick), 1)
        i, j = pick[i], pick[j]
        slope = float(np.median((late[j] - late[i]) / (x[j] - x[i])))
    offset = float(np.median(late - slope * x))
    # not the median: where times come in steps, more than half may lie on the line exactly
    spread = float(np.quantile(np.abs(late - offset - slope * x), 0.75)) / 1.15
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
    if second > 0.7 * here or here - second < 2:
        msg = (
            f"the match is ambiguous: {here} pairs fit an offset of {offset:.6g} s, {second} fit "
            f"{offset + other:.6g} s; the events repeat every {abs(other):.6g} s, are too few, or "
            "too close together. Take more and irregular events, or a tolerance below "
            f"{abs(other) / 2:.3g} s if the offset is that small"
        )
        raise ParameterError(msg)
