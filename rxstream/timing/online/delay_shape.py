"""Scale and shape of the delays near their floor, from the lowest points of the buckets.

From them follow the bias of the line, its uncertainty, and a steadier slope. Where many delays
come near the floor, the lowest points know it best: their error falls with the number of delays,
not with its root. Where delays are thin there (a log-normal, a sum of many causes), the two points
that the line rests on are mere outliers, and the minima of all buckets together know the slope
better. The line is then turned about its middle.
"""

from math import sqrt

from rxstream.timing.extremes import floor_bias

__all__ = ["DelayShape", "minima_slope"]

# Variation of the buckets' minima below which delays count as thin at the floor. It is that of a
# Weibull shape of 1.4 over 32 buckets (`extremes`): exponential delays have 1.03, log-normal and
# gamma ones less than this. (trial) A smaller one covers only 60 % of the camera's errors, a larger
# one doubles the errors of sound.
_THIN = 0.78
# Range of the variation over which the effects of thinness set in. (trial)
_THIN_RANGE = 0.05
# The uncertainty grows sooner than the slope is corrected, by this much of the variation. (trial)
_THIN_SOONER = 0.02
# Width of the interval where delays are thin, in mean excesses of the minima. (trial, first 2)
# benchmarks/timing/fit.py shows the share of errors held by narrower and wider intervals. At 2 the
# worst trace has a coverage of 92 %.
_THIN_WIDTH = 3
# Buckets after which the variation is known well enough to turn the line by it. First 64, raised
# when chunks that waited ceased to count as evidence.
_SETTLED = 160
# Justus et al. (1978): the shape of a Weibull law is its variation to the power of -1.086.
_JUSTUS = 1.086
# Range of 1 / shape: no law is taken for thinner than a shape of 3, or denser than exponential.
_LEAST_POWER = 1 / 3
# Thirds of a window that differ by more than this share of the minima's mean excess show a line
# that bends. (study)
_BENT = 0.8
# Minima below which thirds of a window show nothing: four in each.
_MIN_MINIMA = 12
# Minima count up to this many times their median: a stall that holds up whole buckets must not
# pass for the shape of the delays. (study)
_CAP = 4
# Least weights of a new look in the averages: of the excess, which follows changes of the delays,
# of the variation, and of its long-term average, which decides what turns the line. The first two
# are from the study.
_EXCESS_GAIN, _VARIATION_GAIN, _SHAPE_GAIN = 0.1, 0.02, 0.005
# The scale near the floor is at most this many times that of all delays.
_MAX_SCALE_RATIO = 100


class DelayShape:
    """Scale and shape of the delays near the floor, and their consequences for the line.

    Attributes
    ----------
    scale
        Mean excess near the floor [s], larger where few delays come near it; None if unknown.
    excess
        Mean of the buckets' minima above the lowest of their third of the window [s]; None if
        unknown.
    bias
        Expected height of the line above the floor [s].
    seen
        Buckets so far.

    Parameters
    ----------
    scale, law
        Those of another line over the same delays.
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
        # Standard deviation of the minima over their mean; and its long-term average.
        self._variation = self._shape = 1.0
        self.seen = self._shaped = 0
        self._tilt = 0.0  # slope of the minima less that of the line

    @property
    def law(self) -> tuple[float, float] | None:
        """Height of the lowest of n delays above the floor: ``a`` and ``b`` of ``a n**-b`` [s].

        The minima of buckets follow a Weibull law (see `extremes`), whose variation gives ``b``.
        """
        if self.excess is None:
            return self._law
        power = min(max(self._shape**_JUSTUS, _LEAST_POWER), 1.0)
        return (self.excess + self.bias) * self._per_bucket**power, power

    def lift(self, points: int) -> float:
        """Return the expected height above the floor of a line on so many points [s]."""
        if self.excess is not None or self._law is None:
            return self.bias
        mean, power = self._law
        return float(mean * max(points, 1) ** -power)

    @property
    def thin(self) -> float:
        """Thinness of the delays at the floor, from 0 (as dense as exponential ones) to 1."""
        return min(max((_THIN - self._shape) / _THIN_RANGE, 0.0), 1.0)

    @property
    def half_width(self) -> float:
        """Uncertainty of the floor where delays are thin there [s]; 0 where they are not."""
        part = min(max((_THIN + _THIN_SOONER - self._shape) / _THIN_RANGE, 0.0), 1.0)
        return _THIN_WIDTH * part * (self.excess or 0.0)

    @property
    def tilt(self) -> float:
        """Correction of the line's slope; 0 where delays are dense at the floor."""
        return self.thin * self._tilt if self._steadier else 0.0

    @property
    def _steadier(self) -> bool:
        return self._shape < _THIN and self.seen > _SETTLED

    def measure(
        self,
        xs: list[float],
        offsets: list[float],
        line: tuple[float, float, float],
    ) -> tuple[list[float], bool | None]:
        """Measure the minima of a window's buckets, from the oldest on.

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
        # Points older than the window may lie below the line.
        above = [
            max(y - value - slope * (x - pivot), 0.0) for x, y in zip(xs, offsets, strict=True)
        ]
        size = len(above)
        if size < _MIN_MINIMA:
            return above, None
        if self._steadier:
            self._tilt = minima_slope(xs, above)
        third = size // 3
        thirds = above[:third], above[third : size - third], above[size - third :]
        low = [min(part) for part in thirds]
        local = sum(above) - sum(len(part) * least for part, least in zip(thirds, low, strict=True))
        bent = abs(low[1] - (low[0] + low[2]) / 2) > _BENT * local / size
        return [v - least for part, least in zip(thirds, low, strict=True) for v in part], bent

    def learn(self, above: list[float], per_bucket: float, scale: float) -> None:
        """Average scale and shape over time.

        Parameters
        ----------
        above
            The minima above the lowest of their third of the window [s].
        per_bucket
            Mean number of points in a bucket.
        scale
            Mean excess of all points [s].
        """
        above = sorted(above)
        size = len(above)
        # The nanosecond keeps minima that are all equal from a cap of 0.
        cap = _CAP * above[size // 2] + 1e-9
        above = [min(cap, v) for v in above]
        mean = sum(above) / size
        if mean <= 0:
            return
        variation = sqrt(sum((v - mean) ** 2 for v in above) / size) / mean
        self._per_bucket = max(per_bucket, 1.0)
        gain = max(_VARIATION_GAIN, 1 / self.seen)
        if self.excess is None:
            self.excess, self._variation, self._shape = mean, variation, variation
        else:
            self.excess += max(gain, _EXCESS_GAIN) * (mean - self.excess)
            self._variation += gain * (variation - self._variation)
            self._shaped += 1
            self._shape += max(_SHAPE_GAIN, 1 / self._shaped) * (variation - self._shape)
        self.scale = min(max(self.excess * per_bucket, scale), _MAX_SCALE_RATIO * scale)
        self.bias = self.excess * floor_bias(self._variation, size)


def minima_slope(xs: list[float], above: list[float]) -> float:
    """Return the slope of the regression line through minima ``above`` a line at ``xs`` [s].

    Examples
    --------
    >>> minima_slope([0.0, 1.0, 2.0], [0.0, 0.5, 1.0])
    0.5
    """
    size = len(xs)
    cap = _CAP * sorted(above)[size // 2]
    middle = sum(xs) / size
    square = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * min(v, cap) for x, v in zip(xs, above, strict=True)) / max(
        square, 1e-12
    )
