"""The most plausible line under a set of points.

Points lie above a line ``value + slope * (x - at)`` by delays of exponential-like law with scale
``theta``; the slope has a normal prior. The likelihood of a line under all ``n`` points is
``exp(-sum(offset - line) / theta)``, so that the best line maximises

    (n / theta) * h(slope) - (slope - prior)**2 / (2 * variance),
    h(slope) = min_i offset_i - slope * (x_i - at)

which is a supporting line of the lower hull at ``at``. Without a prior this is the estimate of
Moon, Skelly & Towsley, "Estimation and removal of clock skew from network delay measurements",
INFOCOM 1999; the prior makes it useful from the first points on.
"""

from collections.abc import Sequence
from math import inf

__all__ = ["likeliest_step", "lower_hull", "tangent"]


def lower_hull(xs: Sequence[float], offsets: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the lower convex hull of points in order of ``xs`` (Andrew's monotone chain).

    Parameters
    ----------
    xs, offsets
        ``(n,)``, ``xs`` non-decreasing; a point that goes back counts only if it is the lowest.

    Examples
    --------
    >>> lower_hull([0.0, 1.0, 2.0], [0.0, 5.0, 1.0])
    ([0.0, 2.0], [0.0, 1.0])
    """
    hull_x: list[float] = []
    hull_y: list[float] = []
    x1, y1 = -inf, 0.0  # the last vertex
    for x, y in zip(xs, offsets, strict=True):
        if x <= x1:
            while x <= x1 and y < y1:
                hull_x.pop(), hull_y.pop()
                x1, y1 = (hull_x[-1], hull_y[-1]) if hull_x else (-inf, 0.0)
            if x <= x1:
                continue
        while len(hull_x) > 1:
            x0, y0 = hull_x[-2], hull_y[-2]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull_x.pop(), hull_y.pop()
            x1, y1 = x0, y0
        hull_x.append(x)
        hull_y.append(y)
        x1, y1 = x, y
    return hull_x, hull_y


def tangent(
    hull: tuple[list[float], list[float]],
    at: float,
    weight: float,
    prior: float,
    variance: float,
    limit: float,
) -> tuple[float, float]:
    """Return value at ``at`` and slope of the most plausible line under a lower hull.

    Parameters
    ----------
    hull
        From `lower_hull`.
    at
        Pivot of the line [s]. In the middle of the window value and slope are uncorrelated.
    weight
        ``n / theta`` [1/s].
    prior, variance
        Mean and variance of the slope's prior.
    limit
        Largest size of the slope.

    Notes
    -----
    The target is concave in the slope. For a line through vertex ``j`` its derivative is zero at
    ``prior + variance * weight * (at - x_j)``, and the line supports the hull there between the
    slopes of the vertex's two edges. One pass finds the vertex for which both agree.

    Examples
    --------
    >>> tangent(([0.0, 2.0], [0.0, 1.0]), 1.0, 1e6, 0.0, 1.0, 10.0)
    (0.5, 0.5)
    """
    xs, ys = hull
    size = len(xs)
    low = -limit
    for j in range(size):
        x = xs[j]
        high = limit
        if j + 1 < size:
            high = (ys[j + 1] - ys[j]) / (xs[j + 1] - x)
            if high < low:
                continue
            high = min(high, limit)
        slope = prior + variance * weight * (at - x)
        if slope <= high or high >= limit:
            slope = min(max(slope, low), high)
            return ys[j] - slope * (x - at), slope
        low = high
    return ys[-1] - prior * (xs[-1] - at), prior


def likeliest_step(excesses: Sequence[float], fresh: Sequence[bool] | None = None) -> int:
    """Return the number of chunks before the likeliest step of the floor.

    Under exponential delays a step of ``s`` before the last ``n`` chunks is ``exp(n s / theta)``
    times likelier than none, and ``s`` is at most the least excess of these. Only ``fresh`` chunks
    count: the others waited behind the one before them.

    Examples
    --------
    >>> likeliest_step([0.0, 0.1, 1.2, 1.0])
    2
    """
    best, gain, lowest, count = 0, 0.0, 1e9, 0
    for first in range(len(excesses) - 1, -1, -1):
        lowest = min(lowest, excesses[first])
        count += fresh is None or fresh[first]
        if lowest * count >= gain:
            best, gain = first, lowest * count
    return best
