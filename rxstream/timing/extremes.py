"""How far the lowest of many delays lies above the least possible delay.

The minimum of many independent delays tends to a Weibull law whose shape ``k`` says how the
delays begin at their floor (Fisher, Tippett & Gnedenko): ``k = 1`` for exponential delays, which
are dense at the floor, larger where they start thin (log-normal, gamma). The minimum over ``m``
buckets is ``m ** (-1/k)`` times that over one, so from the mean ``mu`` of the buckets' minima
above the *lowest* of them follows how far that lowest one still is above the floor:

    expected excess of the line = mu * f / (1 - f),  f = m ** (-1/k)

and for exponential delays ``mu / (m - 1)``. The shape follows from the variation (standard
deviation over mean) of the minima.
"""

from bisect import bisect_right
from math import gamma, sqrt

__all__ = ["floor_bias"]

_SHAPES = (6.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.25, 1.0)
_BUCKETS = (12, 16, 24, 32, 48, 64)


def _row(buckets: int) -> tuple[list[float], list[float]]:
    """Return for each shape the variation of the minima, and the bias over their mean."""
    variations, biases = [], []
    for shape in _SHAPES:
        mean = gamma(1 + 1 / shape)
        variation = sqrt(gamma(1 + 2 / shape) / mean**2 - 1)
        f = buckets ** (-1 / shape)
        variations.append(variation / (1 - f))  # the mean is taken above the lowest minimum
        biases.append(f / (1 - f))
    return variations, biases


_TABLE = {buckets: _row(buckets) for buckets in _BUCKETS}


def floor_bias(variation: float, buckets: int) -> float:
    """Return by how many means the lowest bucket minimum lies above the floor.

    Parameters
    ----------
    variation
        Standard deviation over mean of the minima above the lowest one.
    buckets
        How many there are.

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
