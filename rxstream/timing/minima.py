"""A line through the lowest points of all buckets, for delays that are thin at the floor.

Where many delays come near the floor, the lowest points know it best: their error falls with the
number of delays, not with its root. Where delays are thin there (a log-normal, a sum of many
causes), the lowest points are mere outliers, and the mean of the buckets' minima wobbles less. It
lies higher by a distance that is hardly known but constant; it is averaged over a long time.
"""

__all__ = ["MinimaLine"]

_SLOW = 0.03  # part of a new distance that counts


class MinimaLine:
    """The regression line of the minima, lowered by their distance from the line under them."""

    __slots__ = ("_distance", "_pivot", "_seen", "_slope", "_value")

    def __init__(self) -> None:
        self._value = self._slope = self._pivot = self._distance = 0.0
        self._seen = 0

    def at(self, x: float) -> float:
        """Return the line at ``x`` [s]."""
        return self._value + self._slope * (x - self._pivot) - self._distance

    def update(
        self, xs: list[float], above: list[float], value: float, slope: float, pivot: float
    ) -> None:
        """Fit the minima ``above`` the line ``value + slope * (x - pivot)`` at ``xs`` [s]."""
        size = len(xs)
        cap = 4 * sorted(above)[size // 2]
        above = [min(cap, v) for v in above]
        middle, mean = sum(xs) / size, sum(above) / size
        square = sum((x - middle) ** 2 for x in xs)
        tilt = sum((x - middle) * v for x, v in zip(xs, above, strict=True)) / max(square, 1e-12)
        self._seen += 1
        self._distance += max(_SLOW, 1 / self._seen) * (
            mean + tilt * (pivot - middle) - self._distance
        )
        self._pivot, self._slope = middle, slope + tilt
        self._value = value + slope * (middle - pivot) + mean
