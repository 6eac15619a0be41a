"""The straight line under the points of a sliding window, its scales and its doubt."""

from bisect import bisect_left
from math import hypot, log, sqrt

from rxstream.timing.online.buckets import Buckets
from rxstream.timing.online.delay_shape import DelayShape
from rxstream.timing.tangent import likeliest_step, lower_hull, tangent

__all__ = ["LowerEnvelope"]

_STEEPEST = 0.03  # largest slope: clocks worse than 3 % are no clocks
_WORST_WANDER = 1e-6  # [1/s]
_VAGUE = 1e-4  # variance of a slope of which nothing is known
_EARLY, _FEW = 10.0, 128  # a prior of the slope that is far off shows in so many s, or points
_ASKEW = 22.0  # log of the odds that it takes; twice as much where the slope was looked at
_NEVER = 1e9
_ENOUGH = 20  # points that may speak against the prior
_PARTS = 512.0  # of the memory a bucket of a new line takes, which knows its slope already


class LowerEnvelope:
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
    widened
        Set when the slope's prior has proved wrong; what was measured with it is worth nothing.
    """

    __slots__ = (
        "_buckets", "_drift", "_lift", "_longest", "_near", "_newest", "_odds", "_prior",
        "_shortest", "_tilt", "_variance", "pivot", "points", "scale", "slope", "span", "value",
        "wander", "widened",
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
        self._near = DelayShape()
        self._tilt = self._lift = 0.0  # of the floor against the line, and of the line above it

    def at(self, x: float) -> float:
        """Return the line at ``x`` [s]."""
        return self.value + self.slope * (x - self.pivot)

    def floor(self, x: float) -> float:
        """Return the floor at ``x`` [s]: the line less its bias."""
        away = x - self.pivot
        return self.value + self.slope * away + self._tilt * away - self._lift

    @property
    def length(self) -> float:
        """From the oldest point to the newest [s]."""
        return self._newest - self._buckets.oldest

    @property
    def near(self) -> float:
        """Scale of the excess near the floor [s]; larger where few delays come near it."""
        return self._near.scale or self.scale

    @property
    def slope_doubt(self) -> float:
        """Standard deviation of the slope: of the prior, and of the points over their length."""
        grip = self.points * max(self.length, 1e-3) / (4 * self.scale)
        return 1 / sqrt(1 / self._variance + grip * grip)

    def add(self, x: float, offset: float, fresh: bool = True) -> None:
        """Add a point [s], of ``x`` not before those before it.

        Points that are not ``fresh`` waited behind the one before: they say where the line may
        not be, but they are no evidence of their own for where it is.
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
        near = self._near
        self._tilt, self._lift = near.tilt, near.lift(self.points)

    def set_scale(self, scale: float, density: float) -> None:
        """Set the scale of the excess [s] and the points per second; choose the window.

        With exponential delays a window ``W`` errs by about ``4 theta / (density W)`` from chance
        and ``drift W**2 / 8`` from drift. Their sum is least at the cube root of half of what is
        below, and flat there: a window longer by a quarter costs 6 %, and noise of the slope less.
        """
        self.scale = scale
        best = (32 * self.near / (max(density, 1e-3) * self.wander)) ** (1 / 3)
        self.span = min(max(best, self._shortest), self._longest)

    def remember(self, shortest: float) -> None:
        """Remember at least this long [s]."""
        self._shortest = max(self._shortest, shortest)
        self._longest = max(self._longest, self._shortest)
        self.span = max(self.span, self._shortest)

    def successor(
        self, least_doubt: float, most_doubt: float, lifted: bool = True
    ) -> "LowerEnvelope":
        """Return an empty envelope that knows the slope and the scales of this one.

        If it is `lifted`, it knows from the first point on how far it lies above the floor.
        """
        doubt = hypot(self.slope_doubt, least_doubt + self.wander * self.span)
        doubt = max(least_doubt, min(doubt, max(most_doubt, sqrt(self._variance))))
        new = LowerEnvelope(
            self.slope, doubt, self._drift, (self._shortest, self._longest), self.scale
        )
        new.span, new.wander = self.span, self.wander
        new._near = DelayShape(self._near.scale, self._near.law if lifted else None)
        new._lift = new._near.lift(0)
        new._buckets.width = self.span / _PARTS
        if self._odds == _NEVER or (self.length > _EARLY and self.points > _FEW):
            new._odds = _NEVER  # measured: clocks wander, they do not jump
        else:
            new._odds = 2 * _ASKEW
        return new

    def mirror(self, doubt: float) -> "LowerEnvelope":
        """Return an empty envelope for points that lie below a line, taken negative."""
        new = LowerEnvelope(
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
        near = self._near
        if near.excess is not None:
            return max(8.5 * near.bias, near.doubt) + bent
        chance = 3 * self.scale / max(self.points, 1) + self.slope_doubt * abs(x - self.pivot)
        return 3 * (chance + bent)

    def _fit(self) -> None:
        buckets = self._buckets
        first = buckets.first_since(self._newest - self.span)
        xs, offsets = buckets.x[first:], buckets.offset[first:]
        xs.append(buckets.open_x)
        offsets.append(buckets.open_offset)
        self.points = points = max(sum(buckets.count[first:]) + buckets.open_count, 1)
        length = self._newest - xs[0]
        self.pivot = self._newest - length / 2
        weight = points / self.near
        hull = lower_hull(xs, offsets)
        self.value, self.slope = tangent(
            hull, self.pivot, weight, self._prior, self._variance, _STEEPEST
        )
        if len(xs) < _ENOUGH or self._variance >= _VAGUE:
            return
        # a slope this far from its prior, on much evidence: the prior was wrong, widen it
        off = (self.slope - self._prior) ** 2
        if off > 9 * self._variance and points >= 40 and length > 1.0:
            self._variance *= 16.0
        elif self._odds == _NEVER or (length >= _EARLY and points >= _FEW):
            return
        elif self._is_askew(hull, xs, offsets):
            self._variance, self.widened = 2 * _VAGUE, True
            self._near = DelayShape()
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
        if log(max(bound, 1e-12) / max(free, 1e-12)) * len(xs) <= self._odds:
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
        near, buckets = self._near, self._buckets
        near.seen += 1
        size = len(buckets.x)
        if size < 12 or (buckets.width <= 0 and size < 24):
            return
        first = min(buckets.first_since(self._newest - self.span), size - 8)
        line = (self.value, self.slope, self.pivot)
        xs, offsets, counts = buckets.x[first:], buckets.offset[first:], buckets.count[first:]
        if 0 in counts:  # who only waited for another says nothing about delays
            known = [i for i, count in enumerate(counts) if count]
            xs, offsets = [xs[i] for i in known], [offsets[i] for i in known]
            if len(xs) < 8:
                return
        above, bent = near.look(xs, offsets, line)
        if bent:
            self.wander = min(self.wander * 1.3, _WORST_WANDER)
        elif bent is not None and self.wander > self._drift:
            self.wander *= 0.97
        near.learn(above, sum(counts) / len(above), self.scale)
