"""Bias of a minimum: the distance of the lowest of many delays from the least possible delay.

The minimum of many independent delays tends to a Weibull law (Fisher, Tippett & Gnedenko). Its
shape ``k`` is that of the delays at their floor: ``k = 1`` for exponential delays, which are dense
there, larger for delays that are thin there (log-normal, gamma). The minimum over ``m`` buckets is
``m ** (-1/k)`` times that over one. With the mean ``mu`` of the buckets' minima above the *lowest*
of them, that lowest one is expected to lie above the floor by

    mu * f / (1 - f),  f = m ** (-1/k)

or ``mu / (m - 1)`` for exponential delays. The shape follows from the variation (standard
deviation over mean) of the minima.
"""

from bisect import bisect_right
from math import gamma, sqrt

__all__ = ["floor_bias"]

# Shapes and numbers of buckets of the table, between which it is interpolated: from thinner at the
# floor than any delay of the traces to exponential, and all that a window is cut into.
_SHAPES = (6.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.25, 1.0)
_BUCKETS = (12, 16, 24, 32, 48, 64)


def _row(buckets: int) -> tuple[list[float], list[float]]:
    """Return the variation of the minima, and the bias over their mean, for each shape."""
    variations, biases = [], []
    for shape in _SHAPES:
        mean = gamma(1 + 1 / shape)
        variation = sqrt(gamma(1 + 2 / shape) / mean**2 - 1)
        f = buckets ** (-1 / shape)
        # The mean is taken above the lowest minimum, not above the floor.
        variations.append(variation / (1 - f))
        biases.append(f / (1 - f))
    return variations, biases


_TABLE = {buckets: _row(buckets) for buckets in _BUCKETS}


def floor_bias(variation: float, buckets: int) -> float:
    """Return how far the lowest minimum lies above the floor, in means of the minima.

    Parameters
    ----------
    variation
        Standard deviation over mean of the minima above the lowest one.
    buckets
        Number of minima.

    Examples
    --------
    >>> round(floor_bias(1.1, 32), 4)  # exponential delays: 1 / (32 - 1)
    0.0323
    """
    variations, biases = _TABLE[min(_BUCKETS, key=lambda known: abs(known - buckets))]
    if variation <= variations[0]:
        return biases[0]
    i = bisect_right(variations, variation)
    if i == len(variations):
        return 1.0 / (buckets - 1)
    part = (variation - variations[i - 1]) / (variations[i] - variations[i - 1])
    return biases[i - 1] + part * (biases[i] - biases[i - 1])
