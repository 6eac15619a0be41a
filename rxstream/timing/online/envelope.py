"""The straight line under the points of a sliding window, its scales and its uncertainty."""

from bisect import bisect_left
from math import hypot, log, sqrt

from rxstream.timing.online.buckets import Buckets
from rxstream.timing.online.delay_shape import DelayShape
from rxstream.timing.tangent import likeliest_step, lower_hull, tangent

__all__ = ["LowerEnvelope"]

# Largest slope: a device that is off by more than 3 % is no clock.
_STEEPEST = 0.03
# Fastest change of the slope that the curvature may suggest [1/s]: 200 times that of a crystal.
_MAX_WANDER = 1e-6
# Factors of the change of slope at each look at the curvature: up at once where the line bends,
# slowly down where it does not. (study)
_WANDER_UP, _WANDER_DOWN = 1.3, 0.97
# Variance of a slope of which nothing is known: 1 % of standard deviation.
_UNKNOWN_VARIANCE = 1e-4
# A prior of the slope is tested in the first seconds and on the first points; one that is far off
# shows by then, as 5000 ppm do in docs/true-time.md.
_TEST_SECONDS, _TEST_POINTS = 10.0, 128
# Log of the odds that give up the prior; twice as much where the slope was measured, if briefly.
# (trial, first 20)
_GIVE_UP = 22.0
# Odds that nothing reaches: the prior is not tested any more.
_NEVER = 1e9
# Buckets with which the prior may be tested: fewer lie on any line. (trial)
_MIN_BUCKETS = 20
# A slope this many standard deviations from its prior, on this many points over more than a
# second, widens the prior, by this factor of the variance. (study)
_OUTLYING, _OUTLYING_POINTS, _OUTLYING_SECONDS, _WIDEN = 3, 40, 1.0, 16.0
# Buckets of a new line, which knows its slope already, are this part of the window: they need not
# grow from single points. (trial, for speed)
_PARTS = 512.0
# Buckets needed to measure the minima; with single points as buckets, twice as many.
_MIN_MINIMA = 12
# Minima that stay although they are older than the window, or waited for others.
_LEAST_MINIMA = 8
# Half widths of the 95 % interval, in units of the bias, and before that is known, of the standard
# errors of height and slope. Fitted to simulated delays (exponential, gamma, log-normal, Pareto,
# bimodal; 1 Hz to 1 kHz): benchmarks/timing/fit.py shows the share of errors held by 0.3 to 2
# times as much. With a smaller first one the worst trace has a coverage of 90 %.
_BIAS_WIDTH, _EARLY_WIDTH = 8.5, 3
# Height of the line over few points, in mean excesses divided by their number: under exponential
# delays 95 % are lower.
_HEIGHT_WIDTH = 3


class LowerEnvelope:
    """The line ``value + slope * (x - pivot)`` under points ``(x, offset)`` [s].

    Parameters
    ----------
    slope, slope_sd
        Prior mean and standard deviation of the slope.
    drift
        Least rate of change of the slope [1/s].
    window
        Shortest and longest memory [s].
    scale
        First guess of the mean excess of points over the line [s].

    Attributes
    ----------
    scale
        Mean excess near the floor, from the quartile of all [s].
    wander
        Assumed rate of change of the slope [1/s], from the curvature seen.
    span
        Present memory [s].
    widened
        Set when the slope's prior has proved wrong: all that was measured with it is invalid.
    """

    __slots__ = (
        "_buckets", "_drift", "_lift", "_longest", "_newest", "_odds", "_prior",
        "_shape", "_shortest", "_tilt", "_variance", "pivot", "points", "scale", "slope", "span",
        "value", "wander", "widened",
    )  # fmt: skip

    def __init__(
        self,
        slope: float,
        slope_sd: float,
        drift: float,
        window: tuple[float, float],
        scale: float = 1e-3,
    ) -> None:
        self._prior, self._variance = slope, slope_sd * slope_sd
        self._drift = self.wander = drift
        self._shortest, self._longest = window
        self.span, self.scale = window[0], scale
        self.value, self.slope, self.pivot = 0.0, slope, 0.0
        self.points = 0
        self._newest = 0.0
        self.widened, self._odds = False, _GIVE_UP
        self._buckets = Buckets()
        self._shape = DelayShape()
        # Slope of the floor against the line, and height of the line above the floor.
        self._tilt = self._lift = 0.0

    def at(self, x: float) -> float:
        """Return the line at ``x`` [s]."""
        return self.value + self.slope * (x - self.pivot)

    def floor(self, x: float) -> float:
        """Return the floor at ``x`` [s]: the line less its bias."""
        away = x - self.pivot
        return self.value + self.slope * away + self._tilt * away - self._lift

    @property
    def length(self) -> float:
        """Time from the oldest point to the newest [s]."""
        return self._newest - self._buckets.oldest

    @property
    def floor_scale(self) -> float:
        """Scale of the excess near the floor [s]; larger where few delays come near it."""
        return self._shape.scale or self.scale

    @property
    def slope_sd(self) -> float:
        """Standard deviation of the slope: of the prior, and of the points over their length."""
        grip = self.points * max(self.length, 1e-3) / (4 * self.scale)
        return 1 / sqrt(1 / self._variance + grip * grip)

    def add(self, x: float, offset: float, fresh: bool = True) -> None:
        """Add a point [s]; ``x`` is non-decreasing.

        Points that are not ``fresh`` waited behind the one before. The line stays below them too,
        but they do not count as evidence.
        """
        self._newest = x
        buckets = self._buckets
        if buckets.closes_at(x, fresh):
            buckets.begin(x, offset, fresh, self.slope, self.span)
            self._fit()
            self._measure()
        elif buckets.lower(x, offset, fresh, self.slope) and offset < self.at(x):
            self._fit()
        else:
            return
        shape = self._shape
        self._tilt, self._lift = shape.tilt, shape.lift(self.points)

    def set_scale(self, scale: float, density: float) -> None:
        """Set the scale of the excess [s] and the points per second; choose the window.

        With exponential delays a window ``W`` errs by about ``4 theta / (density W)`` from chance
        and ``drift W**2 / 8`` from drift. The sum is least at ``W**3 = 16 theta / (density
        drift)``, and flat there. Twice as much is taken: the window is longer by a quarter, the sum
        larger by 6 %, and the slope less noisy.
        """
        self.scale = scale
        best = (32 * self.floor_scale / (max(density, 1e-3) * self.wander)) ** (1 / 3)
        self.span = min(max(best, self._shortest), self._longest)

    def remember(self, shortest: float) -> None:
        """Make the memory at least this long [s]."""
        self._shortest = max(self._shortest, shortest)
        self._longest = max(self._longest, self._shortest)
        self.span = max(self.span, self._shortest)

    def successor(self, min_sd: float, max_sd: float, lifted: bool = True) -> "LowerEnvelope":
        """Return an empty envelope with the slope and the scales of this one.

        Parameters
        ----------
        min_sd, max_sd
            Limits of the standard deviation of its slope.
        lifted
            Whether its height above the floor is known from the first point on.
        """
        slope_sd = hypot(self.slope_sd, min_sd + self.wander * self.span)
        slope_sd = max(min_sd, min(slope_sd, max(max_sd, sqrt(self._variance))))
        new = LowerEnvelope(
            self.slope, slope_sd, self._drift, (self._shortest, self._longest), self.scale
        )
        new.span, new.wander = self.span, self.wander
        new._shape = DelayShape(self._shape.scale, self._shape.law if lifted else None)
        new._lift = new._shape.lift(0)
        new._buckets.width = self.span / _PARTS
        # A slope that was measured is not tested again: a real clock drifts but does not jump.
        measured = self.length > _TEST_SECONDS and self.points > _TEST_POINTS
        new._odds = _NEVER if self._odds == _NEVER or measured else 2 * _GIVE_UP
        return new

    def mirror(self, slope_sd: float) -> "LowerEnvelope":
        """Return an empty envelope for points that lie below a line, with offsets negated."""
        new = LowerEnvelope(
            -self._prior, slope_sd, self._drift, (self._shortest, self._longest), self.scale
        )
        new.span = self.span
        return new

    def uncertainty(self, x: float) -> float:
        """Return the half width of the 95 % interval of the floor at ``x`` [s].

        The line rests on two points or so of the window and is read at its end: its error is some
        times the expected distance of the lowest point from the floor. Where delays are thin near
        the floor, that distance is hardly known, and of the size of the minima's excess. Drift
        bends the line, by the last term.
        """
        length = max(self.length, 1e-9)
        bent = self.wander * min(length, self.span) ** 2 / 8
        shape = self._shape
        if shape.excess is not None:
            return max(_BIAS_WIDTH * shape.bias, shape.half_width) + bent
        height = _HEIGHT_WIDTH * self.scale / max(self.points, 1)
        return _EARLY_WIDTH * (height + self.slope_sd * abs(x - self.pivot) + bent)

    def _fit(self) -> None:
        buckets = self._buckets
        first = buckets.first_since(self._newest - self.span)
        xs, offsets = buckets.x[first:], buckets.offset[first:]
        xs.append(buckets.open_x)
        offsets.append(buckets.open_offset)
        self.points = points = max(sum(buckets.count[first:]) + buckets.open_count, 1)
        length = self._newest - xs[0]
        self.pivot = self._newest - length / 2
        weight = points / self.floor_scale
        hull = lower_hull(xs, offsets)
        self.value, self.slope = tangent(
            hull, self.pivot, weight, self._prior, self._variance, _STEEPEST
        )
        if len(xs) < _MIN_BUCKETS or self._variance >= _UNKNOWN_VARIANCE:
            return
        off = (self.slope - self._prior) ** 2
        much = points >= _OUTLYING_POINTS and length > _OUTLYING_SECONDS
        if off > _OUTLYING**2 * self._variance and much:
            self._variance *= _WIDEN
        elif self._odds == _NEVER or (length >= _TEST_SECONDS and points >= _TEST_POINTS):
            return
        elif self._is_prior_wrong(hull, xs, offsets):
            # Twice the limit above: the prior is not tested again.
            self._variance, self.widened = 2 * _UNKNOWN_VARIANCE, True
            self._shape = DelayShape()
            weight = points / (self._spread(xs, offsets, self.value, self.slope) + 1e-6)
            self.value, self.slope = tangent(
                hull, self.pivot, weight, self._prior, self._variance, _STEEPEST
            )

    def _is_prior_wrong(
        self, hull: tuple[list[float], list[float]], xs: list[float], offsets: list[float]
    ) -> bool:
        """Whether the edge of the hull over the middle fits the points far better than the line.

        For exponential delays of unknown scale the log of the likelihood ratio is the number of
        points times the log of the ratio of their mean excesses. Medians are taken for the means,
        as they do not mind stalls.
        """
        hull_x, hull_y = hull
        i = bisect_left(hull_x, self.pivot)
        if not 0 < i < len(hull_x):
            return False
        x0, y0 = hull_x[i - 1], hull_y[i - 1]
        slope = (hull_y[i] - y0) / (hull_x[i] - x0)
        free = self._spread(xs, offsets, y0 + slope * (self.pivot - x0), slope)
        bound = self._spread(xs, offsets, self.value, self.slope)
        if log(max(bound, 1e-12) / max(free, 1e-12)) * len(xs) <= self._odds:
            return False
        above = [y - self.at(x) for x, y in zip(xs, offsets, strict=True)]
        # It is a loss, and no slope, if a step fits them better still.
        first = likeliest_step(above)
        step = min(above[first:])
        stepped = sorted(v - step if i >= first else v for i, v in enumerate(above))
        return free < stepped[len(above) // 2]

    def offsets(self) -> tuple[list[tuple[float, float]], list[int]]:
        """Return the buckets' lowest points as ``(x, offset)`` [s], and the points in each."""
        buckets = self._buckets
        points = zip(
            [*buckets.x, buckets.open_x], [*buckets.offset, buckets.open_offset], strict=True
        )
        return list(points), [*buckets.count, buckets.open_count]

    @property
    def spread(self) -> float:
        """Median excess of the buckets' lowest points [s]."""
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
        """Measure curvature, scale and shape of the delays at the floor by the buckets' minima."""
        shape, buckets = self._shape, self._buckets
        shape.seen += 1
        size = len(buckets.x)
        if size < _MIN_MINIMA or (buckets.width <= 0 and size < 2 * _MIN_MINIMA):
            return
        first = min(buckets.first_since(self._newest - self.span), size - _LEAST_MINIMA)
        line = (self.value, self.slope, self.pivot)
        xs, offsets, counts = buckets.x[first:], buckets.offset[first:], buckets.count[first:]
        # Buckets of points that only waited for others say nothing about delays.
        if 0 in counts:
            known = [i for i, count in enumerate(counts) if count]
            xs, offsets = [xs[i] for i in known], [offsets[i] for i in known]
            if len(xs) < _LEAST_MINIMA:
                return
        above, bent = shape.measure(xs, offsets, line)
        if bent:
            self.wander = min(self.wander * _WANDER_UP, _MAX_WANDER)
        elif bent is not None and self.wander > self._drift:
            self.wander *= _WANDER_DOWN
        shape.learn(above, sum(counts) / len(above), self.scale)
