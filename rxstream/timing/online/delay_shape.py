"""What delays are like near their floor, from the lowest points of the buckets."""

from math import sqrt

from rxstream.timing.extremes import floor_bias
from rxstream.timing.online.minima import tilt_of

__all__ = ["DelayShape"]

_THIN = 0.78  # variation of the buckets' minima below which delays are thin at the floor
_SETTLED = 160  # buckets after which their variation is known well enough
_SPREAD = 1.086  # power of the variation of a Weibull law that is 1 / shape (Justus et al. 1978)
_BENT = 0.8  # of their mean excess may the thirds of a window differ


class DelayShape:
    """Scale and shape of the delays near the floor, and what follows for the line under them.

    Attributes
    ----------
    scale
        Mean excess near the floor [s], larger where few delays come near it; None if not known.
    excess
        Mean of the buckets' minima above the lowest ones of their time [s]; None if not known.
    bias
        How far the line is expected to lie above the floor [s].
    seen
        Buckets so far.

    Parameters
    ----------
    scale, law
        From another line over such delays.
    """

    __slots__ = (
        "_law", "_per_bucket", "_shape", "_shaped", "_tilt", "_variation", "bias", "excess",
        "scale", "seen",
    )  # fmt: skip

    def __init__(self, scale: float | None = None, law: tuple[float, float] | None = None) -> None:
        self.scale, self._law = scale, law
        self._per_bucket = 1.0
        self.excess: float | None = None
        self.bias = 0.0
        self._variation = 1.0  # standard deviation of the minima over their mean
        self._shape = 1.0  # the same over a long time
        self.seen = self._shaped = 0
        self._tilt = 0.0  # by how much the minima are steeper than the line

    @property
    def law(self) -> tuple[float, float] | None:
        """How far the lowest of n delays lies above the floor: ``a`` and ``b`` of ``a n**-b`` [s].

        The minima of buckets follow a Weibull law (see `extremes`), whose variation tells ``b``.
        """
        if self.excess is None:
            return self._law
        power = min(max(self._shape**_SPREAD, 1 / 3), 1.0)
        return (self.excess + self.bias) * self._per_bucket**power, power

    def lift(self, points: int) -> float:
        """Return how far a line on so many points is expected to lie above the floor [s]."""
        if self.excess is not None or self._law is None:
            return self.bias
        mean, power = self._law
        return float(mean * max(points, 1) ** -power)

    @property
    def thin(self) -> float:
        """How thin delays are at the floor, from 0 (as exponential ones) to 1."""
        return min(max((_THIN - self._shape) / 0.05, 0.0), 1.0)

    @property
    def doubt(self) -> float:
        """How far the floor may lie below the lowest delays because it is thin there [s]."""
        part = min(max((_THIN + 0.02 - self._shape) / 0.05, 0.0), 1.0)  # sooner than for the slope
        return 3 * part * (self.excess or 0.0)

    @property
    def tilt(self) -> float:
        """By how much the line should be steeper, where delays are thin."""
        return self.thin * self._tilt if self._steadier else 0.0

    @property
    def _steadier(self) -> bool:
        return self._shape < _THIN and self.seen > _SETTLED

    def look(
        self,
        xs: list[float],
        offsets: list[float],
        line: tuple[float, float, float],
    ) -> tuple[list[float], bool | None]:
        """Look at the minima of a window's buckets, from the oldest on.

        Parameters
        ----------
        xs, offsets
            The minima [s].
        line
            The line under them: value [s] at the pivot, slope, pivot [s].

        Returns
        -------
        above
            The minima above the lowest of their third of the window [s].
        bent
            Whether the thirds lie off a straight line; None if there are too few minima.
        """
        value, slope, pivot = line
        # a point older than the window may lie below
        above = [
            max(y - value - slope * (x - pivot), 0.0) for x, y in zip(xs, offsets, strict=True)
        ]
        size = len(above)
        if size < 12:
            return above, None
        if self._steadier:
            self._tilt = tilt_of(xs, above)
        third = size // 3
        thirds = above[:third], above[third : size - third], above[size - third :]
        low = [min(part) for part in thirds]
        local = sum(above) - sum(len(part) * least for part, least in zip(thirds, low, strict=True))
        bent = abs(low[1] - (low[0] + low[2]) / 2) > _BENT * local / size
        return [v - least for part, least in zip(thirds, low, strict=True) for v in part], bent

    def learn(self, above: list[float], per_bucket: float, scale: float) -> None:
        """Average scale and shape over time; a few late buckets must not count too much.

        Parameters
        ----------
        above
            The minima above the floor of their time [s].
        per_bucket
            Points of a bucket.
        scale
            Mean excess of all points [s].
        """
        above = sorted(above)
        size = len(above)
        cap = 4 * above[size // 2] + 1e-9
        above = [min(cap, v) for v in above]
        mean = sum(above) / size
        if mean <= 0:
            return
        variation = sqrt(sum((v - mean) ** 2 for v in above) / size) / mean
        self._per_bucket = max(per_bucket, 1.0)
        gain = max(0.02, 1 / self.seen)
        if self.excess is None:
            self.excess, self._variation, self._shape = mean, variation, variation
        else:
            self.excess += max(gain, 0.1) * (mean - self.excess)
            self._variation += gain * (variation - self._variation)
            self._shaped += 1
            self._shape += max(0.005, 1 / self._shaped) * (variation - self._shape)
        self.scale = min(max(self.excess * per_bucket, scale), 100 * scale)
        self.bias = self.excess * floor_bias(self._variation, size)
