"""The straight line under the points of a sliding window, its scales and its doubt."""

from bisect import bisect_left
from math import exp, hypot, sqrt

from rxstream.timing.buckets import Buckets
from rxstream.timing.extremes import floor_bias
from rxstream.timing.minima import MinimaLine
from rxstream.timing.tangent import likeliest_step, lower_hull, tangent

__all__ = ["Envelope"]

_STEEPEST = 0.03  # largest slope: clocks worse than 3 % are no clocks
_WORST_WANDER = 1e-6  # [1/s]
_VAGUE = 1e-4  # variance of a slope of which nothing is known
_EARLY, _FEW = 10.0, 128  # a prior of the slope that is far off shows in so many s, or points
_THIN = 0.78  # variation of the buckets' minima below which delays are thin at the floor
_SETTLED = 64  # buckets after which their variation is known well enough
_ASKEW = 22.0  # log of the odds that it takes; twice as much where the slope has been measured


class Envelope:
    """The line ``value + slope * (x - pivot)`` under points ``(x, offset)`` [s].

    Parameters
    ----------
    slope, doubt
        Prior mean and standard deviation of the slope.
    drift
        How fast the slope may change [1/s].
    window
        Shortest and longest memory [s].
    scale
        First guess of the mean excess of points over the line [s].

    Attributes
    ----------
    scale
        Mean excess near the floor, from the quartile of all [s].
    wander
        How fast the slope is taken to change [1/s]; from the curvature seen.
    span
        Present memory [s].
    bias
        How far the line is expected to lie above the floor [s].
    widened
        Set when the slope's prior has proved wrong; what was measured with it is worth nothing.
    """

    __slots__ = (
        "_buckets", "_drift", "_excess", "_longest", "_minima", "_near", "_newest", "_odds",
        "_per_bucket", "_prior", "_seen", "_shape", "_shortest", "_variance", "_variation", "bias",
        "pivot", "points", "scale", "slope", "span", "value", "wander", "widened",
    )  # fmt: skip

    def __init__(
        self,
        slope: float,
        doubt: float,
        drift: float,
        window: tuple[float, float],
        scale: float = 1e-3,
    ) -> None:
        self._prior, self._variance = slope, doubt * doubt
        self._drift = self.wander = drift
        self._shortest, self._longest = window
        self.span, self.scale = window[0], scale
        self.value, self.slope, self.pivot = 0.0, slope, 0.0
        self.points = 0
        self._newest = 0.0
        self.widened, self._odds = False, _ASKEW
        self._buckets = Buckets()
        self._forget()

    def _forget(self) -> None:
        """Know nothing of the delays near the floor."""
        self.bias = 0.0
        self._near: float | None = None  # scale near the floor, from the minima of the buckets
        self._excess: float | None = None  # mean of these minima above the line
        self._variation = 1.0  # their standard deviation over their mean
        self._shape = 1.0  # the same over a long time
        self._per_bucket = 1.0
        self._seen = 0
        self._minima = MinimaLine()

    def at(self, x: float) -> float:
        """Return the line at ``x`` [s]."""
        return self.value + self.slope * (x - self.pivot)

    def floor(self, x: float) -> float:
        """Return the floor at ``x`` [s]: the line less its bias."""
        line = self.at(x)
        if self._shape < _THIN and self._seen > _SETTLED:
            line += self._thin * (self._minima.at(x) - line)
        return line - self.bias

    @property
    def _thin(self) -> float:
        """How thin delays are at the floor, from 0 (as exponential ones) to 1."""
        return min(max((_THIN - self._shape) / 0.05, 0.0), 1.0)

    @property
    def length(self) -> float:
        """From the oldest point to the newest [s]."""
        return self._newest - self._buckets.oldest

    @property
    def near(self) -> float:
        """Scale of the excess near the floor [s]; larger where few delays come near it."""
        return self._near or self.scale

    @property
    def slope_doubt(self) -> float:
        """Standard deviation of the slope: of the prior, and of the points over their length."""
        grip = self.points * max(self.length, 1e-3) / (4 * self.scale)
        return 1 / sqrt(1 / self._variance + grip * grip)

    def add(self, x: float, offset: float) -> None:
        """Add a point [s], of ``x`` not before those before it."""
        self._newest = x
        buckets = self._buckets
        if buckets.closes_at(x):
            buckets.begin(x, offset, self.slope, self.span)
            self._fit()
            self._measure()
        elif buckets.lower(x, offset, self.slope) and offset < self.at(x):
            self._fit()

    def set_scale(self, scale: float, density: float) -> None:
        """Set the scale of the excess [s] and the points per second; choose the window.

        With exponential delays a window ``W`` errs by about ``4 theta / (density W)`` from chance
        and ``drift W**2 / 8`` from drift; their sum is least at the cube root below.
        """
        self.scale = scale
        best = (32 * self.near / (max(density, 1e-3) * self.wander)) ** (1 / 3)
        self.span = min(max(best, self._shortest), self._longest)

    def remember(self, shortest: float) -> None:
        """Remember at least this long [s]."""
        self._shortest = max(self._shortest, shortest)
        self._longest = max(self._longest, self._shortest)
        self.span = max(self.span, self._shortest)

    def successor(self, least_doubt: float, most_doubt: float) -> "Envelope":
        """Return an empty envelope that knows the slope and the scales of this one."""
        doubt = hypot(self.slope_doubt, least_doubt + self.wander * self.span)
        doubt = max(least_doubt, min(doubt, max(most_doubt, sqrt(self._variance))))
        new = Envelope(self.slope, doubt, self._drift, (self._shortest, self._longest), self.scale)
        new.span, new.wander, new._near = self.span, self.wander, self._near
        new._odds = 2 * _ASKEW
        return new

    def mirror(self, doubt: float) -> "Envelope":
        """Return an empty envelope for points that lie below a line, taken negative."""
        new = Envelope(
            -self._prior, doubt, self._drift, (self._shortest, self._longest), self.scale
        )
        new.span = self.span
        return new

    def uncertainty(self, x: float) -> float:
        """Return the half width of the 95 % interval of the floor at ``x`` [s].

        The line rests on two points or so of the window and is read at its end: its error is some
        times the expected distance of the lowest point from the floor. That distance itself is
        hardly known where delays are thin near the floor, which shows in minima that vary little;
        there it is of the size of the minima's excess. The factors are fitted to simulated delays
        (exponential, gamma, log-normal, Pareto, bimodal; 1 Hz to 1 kHz). Drift bends the line.
        """
        length = max(self.length, 1e-9)
        bent = self.wander * min(length, self.span) ** 2 / 8
        if self._excess is not None:
            return max(8.5 * self.bias, 2 * self._thin * self._excess) + bent
        chance = 3 * self.scale / max(self.points, 1) + self.slope_doubt * abs(x - self.pivot)
        return 3 * (chance + bent)

    def _fit(self) -> None:
        buckets = self._buckets
        first = buckets.first_since(self._newest - self.span)
        xs, offsets = buckets.x[first:], buckets.offset[first:]
        xs.append(buckets.open_x)
        offsets.append(buckets.open_offset)
        self.points = points = sum(buckets.count[first:]) + buckets.open_count
        length = self._newest - xs[0]
        self.pivot = self._newest - length / 2
        weight = points / self.near
        hull = lower_hull(xs, offsets)
        self.value, self.slope = tangent(
            hull, self.pivot, weight, self._prior, self._variance, _STEEPEST
        )
        if points < 20 or self._variance >= _VAGUE:
            return
        # a slope this far from its prior, on much evidence: the prior was wrong, widen it
        off = (self.slope - self._prior) ** 2
        if off > 9 * self._variance and points >= 40 and length > 1.0:
            self._variance *= 16.0
        elif (length < _EARLY or points < _FEW) and self._is_askew(hull, xs, offsets):
            self._variance, self.widened = 2 * _VAGUE, True
            self._forget()
            weight = points / (self._spread(xs, offsets, self.value, self.slope) + 1e-6)
            self.value, self.slope = tangent(
                hull, self.pivot, weight, self._prior, self._variance, _STEEPEST
            )

    def _is_askew(
        self, hull: tuple[list[float], list[float]], xs: list[float], offsets: list[float]
    ) -> bool:
        """Whether the edge of the hull over the middle suits the points far better than the line.

        For exponential delays of unknown scale the log of the likelihood ratio is the number of
        points times that of the ratio of their mean excesses; medians do not mind stalls.
        """
        hull_x, hull_y = hull
        i = bisect_left(hull_x, self.pivot)
        if not 0 < i < len(hull_x):
            return False
        x0, y0 = hull_x[i - 1], hull_y[i - 1]
        slope = (hull_y[i] - y0) / (hull_x[i] - x0)
        free = self._spread(xs, offsets, y0 + slope * (self.pivot - x0), slope)
        bound = self._spread(xs, offsets, self.value, self.slope)
        if bound <= free * exp(self._odds / len(xs)):
            return False
        above = [y - self.at(x) for x, y in zip(xs, offsets, strict=True)]
        first = likeliest_step(above)
        step = min(above[first:])  # a loss, and no slope, if this suits them better still
        stepped = sorted(v - step if i >= first else v for i, v in enumerate(above))
        return free < stepped[len(above) // 2]

    def minima(self) -> tuple[list[tuple[float, float]], list[int]]:
        """Return the buckets' lowest points as ``(x, excess)`` [s], and their points."""
        buckets = self._buckets
        points = zip(
            [*buckets.x, buckets.open_x], [*buckets.offset, buckets.open_offset], strict=True
        )
        excesses = [(x, y - self.at(x)) for x, y in points]
        return excesses, [*buckets.count, buckets.open_count]

    @property
    def spread(self) -> float:
        """Median excess of the lowest points, one of each bucket [s]."""
        buckets = self._buckets
        return self._spread(
            [*buckets.x, buckets.open_x],
            [*buckets.offset, buckets.open_offset],
            self.value,
            self.slope,
        )

    def _spread(self, xs: list[float], offsets: list[float], value: float, slope: float) -> float:
        """Return the median excess of points over a line [s]."""
        pivot = self.pivot
        above = [y - value - slope * (x - pivot) for x, y in zip(xs, offsets, strict=True)]
        return sorted(above)[len(above) // 2]

    def _measure(self) -> None:
        """Learn from the buckets' minima: curvature, scale and shape of delays at the floor."""
        self._seen += 1
        buckets = self._buckets
        size = len(buckets.x)
        if size < 12 or (buckets.width <= 0 and size < 24):
            return
        first = min(buckets.first_since(self._newest - self.span), size - 8)
        value, slope, pivot = self.value, self.slope, self.pivot
        above = [
            max(y - value - slope * (x - pivot), 0.0)  # a point older than the window may lie below
            for x, y in zip(buckets.x[first:], buckets.offset[first:], strict=True)
        ]
        if len(above) >= 12:
            self._minima.update(buckets.x[first:], above, value, slope, pivot)
            above = self._straighten(above)
        mean = sum(above) / len(above)
        if mean <= 0:
            return
        self._learn(above, sum(buckets.count[first:]) / len(above))

    def _straighten(self, above: list[float]) -> list[float]:
        """Return minima above the lowest of their third of the window; adapt the wander."""
        size = len(above)
        third = size // 3
        thirds = above[:third], above[third : size - third], above[size - third :]
        low = [min(part) for part in thirds]
        local = sum(above) - sum(len(part) * least for part, least in zip(thirds, low, strict=True))
        if abs(low[1] - (low[0] + low[2]) / 2) > 0.8 * local / size:
            self.wander = min(self.wander * 1.3, _WORST_WANDER)
        elif self.wander > self._drift:
            self.wander *= 0.97
        return [v - least for part, least in zip(thirds, low, strict=True) for v in part]

    def _learn(self, above: list[float], per_bucket: float) -> None:
        """Average scale and shape over time; a few late buckets must not count too much."""
        above.sort()
        size = len(above)
        cap = 4 * above[size // 2] + 1e-9
        above = [min(cap, v) for v in above]
        mean = sum(above) / size
        variation = sqrt(sum((v - mean) ** 2 for v in above) / size) / mean
        gain = max(0.02, 1 / self._seen)
        if self._excess is None:
            self._excess, self._variation, self._shape = mean, variation, variation
        else:
            self._excess += max(gain, 0.1) * (mean - self._excess)
            self._variation += gain * (variation - self._variation)
            self._shape += max(0.005, 1 / self._seen) * (variation - self._shape)
        self._per_bucket = per_bucket
        self._near = min(max(self._excess * per_bucket, self.scale), 100 * self.scale)
        self.bias = self._excess * floor_bias(self._variation, size)
