"""The second pass over a recording, where past and future are known.

The first pass is the online model: it unwraps counters and finds losses, restarts and changes of
latency. They are applied from where they began, not from where they were found, so that nothing
but the delay is between device time and arrivals. Then the second pass

1. removes the steps of the floor: each is measured with one slope for both sides; after a loss of
   unknown size it is a whole number of samples. A change of the delay within the uncertainty of the
   line is none;
2. fits the line again in windows around each time, shorter ones where it bends, and interpolates
   between them. Where delays are thin at the floor the lowest points of all buckets know the slope
   better than the two that the line rests on: it is turned.

A restart is no step that can be measured: each stretch between restarts is fitted by itself.
"""

from dataclasses import dataclass, replace
from itertools import compress, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.extremes import floor_bias
from rxstream.timing.recorded.stalls import in_stalls
from rxstream.timing.tangent import lower_hull, tangent

__all__ = ["MIN_WIDTH", "Scales", "StepCandidate", "Stretch", "smooth"]

# Buckets of a window, or of the whole stretch if that is shorter: as many as in 1.5 windows of the
# first pass, which has 32.
_BUCKETS = 48
# Buckets are no shorter [s]: no clock is read more finely.
_MIN_BUCKET = 1e-6
# Knots to a window's length, as many as 4 to a window of the first pass: more cost time and follow
# the same line. (study)
_KNOTS = 6
# Part of the distance of two knots by which a place may seem to be on the other side of one, as
# floats are rounded.
_NEAR_KNOT = 1e-6
# Variation of the minima below which delays count as thin at the floor, and the range over which
# this sets in. As in `delay_shape`, for windows of more buckets: a Weibull shape of 1.75. (trial)
_THIN, _THIN_RANGE = 0.66, 0.1
# No law is taken for thinner than that of this variation, a Weibull shape of 3 as in `delay_shape`.
_MIN_VARIATION = 0.5
# Von Neumann's ratio of the minima below which a line bends: of noise 5 % have less, whatever their
# number. As in `wander`.
_BENDS = 1.3
# Half width of the 95 % interval, in biases. (trial)
_BIAS_WIDTH = 5
# The variation of n minima is known to this over the root of n: 1.5 standard errors or more of
# Weibull laws of the shapes 1 to 3. (trial)
_VARIATION_WIDTH = 0.7
# Height of the line over few chunks, in mean excesses divided by their number: under exponential
# delays 95 % are lower.
_HEIGHT_WIDTH = 3
# Times are never known better than this [s]: no host clock is read more finely.
MIN_WIDTH = 1e-6
# Minima that show the shape of the delays, and the cap in medians, as in `delay_shape`.
_MIN_MINIMA, _CAP = 12, 4
# Chunks below which a part of a stretch does not show its floor. (trial)
_MIN_CHUNKS = 8
# The slope at a step is searched this many standard deviations to both sides, at so many places,
# and again around the best one, over a tenth of the range each time: to a 500th of its standard
# deviation.
_SEARCH, _PLACES, _ROUNDS, _ZOOM = 4, 41, 3, 10
# Uncertainty of a step that is not a whole number of samples, in errors of both sides.
_STEP_WIDTH = 2
# Half width of the interval where arrivals wander, in the distance from the line that 90 % of the
# minima keep. (trial)
_BENT_WIDTH, _BENT_PART = 2.5, 0.9
# After a loss the floor must be known to this part of a sample, or as well as before it; otherwise
# the chunks after it are left out. (trial)
_SAMPLE_PART = 5

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Steps: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Scales:
    """Scales of the delays and the clock, from the online model."""

    slope: float
    """Slope of the line."""
    slope_sd: float
    """Standard deviation of the slope from window to window."""
    max_turn: float
    """Largest distance of a window's slope from `slope`."""
    floor_scale: float
    """Mean excess near the floor [s]."""
    span: float
    """Length of a window [s]."""
    min_span: float
    """Length below which no window is made shorter [s]."""
    wander: float
    """Rate of change of the slope [1/s]."""
    bent: bool = False
    """Whether the arrivals wander from a line, though less than they scatter."""


@dataclass(frozen=True, slots=True)
class StepCandidate:
    """A possible step of the floor before chunk ``at``."""

    at: int
    unit: float | None
    """Unit of the step [s] where samples were lost, so that device time (``x``) is wrong; None
    where the floor itself has moved."""
    moved: float = 0.0
    """Correction of device time here so far [s]."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Chunks between two restarts."""

    x: Floats
    """Device time of the last samples ``(n,)`` [s], never going back."""
    late: Floats
    """Latest possible host times of the last samples ``(n,)`` [s], on the scale of ``x``."""
    early: Floats | None
    """Earliest possible ones, or None."""
    sure: Flags
    """Whether ``x`` is certain ``(n,)``."""
    candidates: tuple[StepCandidate, ...]


def smooth(stretch: Stretch, scales: Scales) -> tuple[Floats, Floats, Steps]:
    """Return the host times of the last samples.

    Returns
    -------
    times, uncertainty
        ``(n,)`` [s].
    steps
        For each candidate with a unit the correction of device time [s], None where nothing was
        lost, but the delay rose for a while; for each other one the rise of the floor [s], None
        where it did not move.
    """
    # of a window in a stall the lowest would be late by all of it
    stalled = in_stalls(stretch.x, stretch.late - stretch.x)
    stretch = replace(stretch, sure=stretch.sure & ~stalled)
    x, floors, widths, sure, steps = _remove_steps(stretch, scales)
    line, width = _line(x, stretch.late - x - floors, sure, scales)
    # The floor moves by more than it is known, and in no stall; else the first pass was mistaken.
    seen = [
        candidate.unit is not None or (abs(step or 0.0) > width[0] and not stalled[candidate.at])
        for candidate, step in zip(stretch.candidates, steps, strict=True)
    ]
    if not all(seen):
        kept = tuple(compress(stretch.candidates, seen))
        times, width, steps = smooth(replace(stretch, candidates=kept), scales)
        rest = iter(steps)
        return times, width, tuple(next(rest) if moved else None for moved in seen)
    if stretch.early is not None:
        mirrored = replace(scales, slope=-scales.slope)
        below, other = _line(x, -(stretch.early - x), sure, mirrored)
        line, width = (line - below) / 2, np.abs(line + below) / 2 + (width + other) / 2
    return x + line, width + widths, steps


# -- steps ----------------------------------------------------------------------------------------


class _Continuous(NamedTuple):
    """A stretch without steps; ``(n,)`` each."""

    x: Floats
    """Device time, with all losses counted [s]."""
    floors: Floats
    """Height of each chunk's floor over the lowest one [s]."""
    widths: Floats
    """Uncertainty added by the changes of latency [s]."""
    sure: Flags
    """Chunks that the line may be fitted to."""
    steps: Steps
    """As in `smooth`."""


class _Rise(NamedTuple):
    """A loss of unknown size, or a rise of the delay."""

    at: int
    size: float
    number: int
    unit: float


def _undone(rises: list[_Rise], fall: float, half_width: float) -> list[_Rise]:
    """Return the losses that were none: a fall of the floor by the same amount ended them."""
    total = 0.0
    for k in range(len(rises) - 1, -1, -1):
        total += rises[k].size
        # Of a loss of one unit a small fall takes nothing back.
        if abs(total - fall) <= min(rises[k].unit, total / 2) + half_width:
            return rises[k:]
    return []


def _remove_steps(stretch: Stretch, scales: Scales) -> _Continuous:
    x, sure = stretch.x.copy(), stretch.sure.copy()
    floors, widths = np.zeros((2, len(x)))
    edges = [candidate.at for candidate in stretch.candidates] + [len(x)]
    steps: list[float | None] = []
    rises: list[_Rise] = []
    for candidate, end in zip(stretch.candidates, edges[1:], strict=True):
        after = slice(candidate.at, end)
        step, before, behind = _step(x, stretch.late - floors, sure, after, scales)
        if candidate.unit is None:
            width = _STEP_WIDTH * (before + behind)
            steps.append(step)
            floors[candidate.at :] += step
            widths[candidate.at :] += width
            for rise in _undone(rises, -step, 2 * width):
                x[rise.at :] -= rise.size
                floors[rise.at :] += rise.size
                steps[rise.number] = None
            rises.clear()
            continue
        step = round(step / candidate.unit) * candidate.unit
        x[candidate.at :] += step
        x = np.maximum.accumulate(x)
        rises.append(_Rise(candidate.at, candidate.moved + step, len(steps), candidate.unit))
        steps.append(step)
        # Chunks too few to measure the step must not spoil the line of the others.
        if behind > max(candidate.unit / _SAMPLE_PART, before):
            sure[after] = False
    # The lowest floor of all is the least delay, also for times when it was longer.
    parts = [floors[a:b] for a, b in pairwise([0, *edges]) if b - a >= _MIN_CHUNKS]
    lowest = min((float(part[0]) for part in parts), default=0.0)
    return _Continuous(x, floors - lowest, widths, sure, tuple(steps))


def _step(
    x: Floats, late: Floats, sure: Flags, after: slice, scales: Scales
) -> tuple[float, float, float]:
    """Return the rise of the floor at a candidate, and the error of either side [s].

    Both sides have the same slope: the one for which they are likeliest together.
    """
    at = float(x[after.start])
    sides = []
    for side in (slice(0, after.start), after):
        near = sure[side] & (np.abs(x[side] - at) <= scales.span / 2)
        if not near.any():
            near = sure[side] if sure[side].any() else np.ones(len(x[side]), bool)
        away = x[side][near] - at
        level = (late - x)[side][near] - scales.slope * away
        sides.append(_minima(away, level, scales.span))
    points = np.array([[count.sum()] for _, _, count in sides])
    middle = np.array([[(away[0] + away[-1]) / 2] for away, _, _ in sides])
    turn, width, heights = 0.0, _SEARCH * scales.slope_sd, np.zeros((2, 1))
    for _ in range(_ROUNDS):
        turns = np.linspace(turn - width, turn + width, _PLACES)
        heights = np.array(
            [np.min(level[:, None] - turns * away[:, None], axis=0) for away, level, _ in sides]
        )
        likely = (points / scales.floor_scale * (heights + turns * middle)).sum(axis=0)
        best = int(np.argmax(likely - (turns / scales.slope_sd) ** 2 / 2))
        turn, width = float(turns[best]), width / _ZOOM
    before, behind = (scales.floor_scale / points[:, 0]).tolist()
    return float(heights[1, best] - heights[0, best]), before, behind


# -- windows --------------------------------------------------------------------------------------


def _minima(x: Floats, level: Floats, span: float) -> tuple[Floats, Floats, Floats]:
    """Return x and level of the lowest point of each bucket, and its number of points."""
    # Not from x[0]: x goes back where samples came twice.
    since = x - x.min()
    width = max(min(span, float(since.max())) / _BUCKETS, _MIN_BUCKET)
    bucket = np.floor(since / width).astype(np.int64)
    # In this order the lowest point of each bucket is its first.
    order = np.lexsort((level, bucket))
    start = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    lowest = order[start]
    count = np.diff(np.append(start, len(x))).astype(np.float64)
    return x[lowest], level[lowest], count


class _Window(NamedTuple):
    """The line ``value + turn * (x - pivot)`` under the minima of a window."""

    knot: float
    """Time for which the line is fitted [s]."""
    xs: Floats
    levels: Floats
    """The minima ``(n,)`` [s], over a line of the first pass's slope."""
    pivot: float
    value: float
    turn: float
    """Slope of the line less that of the first pass."""

    @property
    def at_knot(self) -> float:
        """Height of the line at the knot [s]."""
        return self.value + self.turn * (self.knot - self.pivot)

    @property
    def above(self) -> Floats | None:
        """Excesses of the minima, without what stalls have held up [s]; None of too few."""
        if len(self.levels) < _MIN_MINIMA:
            return None
        above = self.levels - self.value - self.turn * (self.xs - self.pivot)
        if above.mean() <= 0:
            return None
        return np.minimum(above, _CAP * np.median(above) + 1e-9)

    def turned(self, part: float, max_turn: float) -> "_Window":
        """Return a line turned by a part of what the regression of the minima is off it."""
        above = self.above
        if above is None or not part:
            return self
        away = self.xs - self.xs.mean()
        turn = self.turn + part * float(away @ above / (away @ away))
        turn = min(max(turn, -max_turn), max_turn)
        value = float((self.levels - turn * (self.xs - self.pivot)).min())
        return self._replace(turn=turn, value=value)


def _knots(xs: Floats, begin: float, length: float, span: float, places: Floats) -> Floats:
    """Return the knots of windows, of many more than there are chunks only those that count.

    Parameters
    ----------
    xs
        Times of the minima ``(n,)`` [s], rising.
    begin, length
        First time, and the distance of the last one from it [s].
    span
        Length of a window [s].
    places
        Times for which the line is asked ``(k,)`` [s].
    """
    last = int(np.ceil(length * _KNOTS / span))
    if last < 2 * len(places):
        return begin + np.linspace(0, length, last + 1)
    # The line at a place is that between the two knots around it, and a window of few minima shows
    # nothing else.
    step = length / last
    around = (places - begin) / step
    wanted = [np.arange(_KNOTS), last - np.arange(_KNOTS)]
    before, behind = np.floor(around - _NEAR_KNOT), np.floor(around + _NEAR_KNOT) + 1
    wanted += [before, before + 1, behind]
    ends, begins = xs[_MIN_MINIMA - 1 :], xs[: 1 - _MIN_MINIMA]
    dense = ends - begins <= span
    first = np.floor((ends[dense] - span / 2 - begin) / step)
    wanted.append((first[:, None] + np.arange(_KNOTS + 3)).ravel())
    found = np.unique(np.clip(np.concatenate(wanted), 0, last))
    return begin + np.where(found == last, length, found * step)


def _windows(x: Floats, level: Floats, scales: Scales, places: Floats) -> list[_Window]:
    """Return the lines in windows around knots, as far as the line at ``places`` needs them."""
    xs, levels, counts = _minima(x, level, scales.span)
    begin, length, span = float(x.min()), float(np.ptp(x)), scales.span
    windows: list[_Window] = []
    for knot in _knots(xs, begin, length, span, places).tolist():
        left = min(max(knot - span / 2, begin), max(begin + length - span, begin))
        i, j = np.searchsorted(xs, (left, left + span), side="left")
        # a window in a stall shows nothing: the line goes on from the one before it to the next
        if i == j and windows and j < len(xs) and len(x) < len(places):
            continue
        j = max(j, i + 1)
        i = min(i, j - 1, len(xs) - 1)
        near, low = xs[i:j], levels[i:j]
        pivot = min(max(knot, left + span / 4), left + 3 * span / 4) if length > span else (
            float(near[0] + near[-1]) / 2
        )  # fmt: skip
        value, turn = tangent(
            lower_hull(near.tolist(), low.tolist()), pivot,
            float(counts[i:j].sum()) / scales.floor_scale,
            0.0, scales.slope_sd**2, scales.max_turn,
        )  # fmt: skip
        windows.append(_Window(knot, near, low, pivot, value, turn))
    return windows


def _excesses(windows: list[_Window]) -> list[Floats]:
    """Return the excesses of the minima in each window that has enough of them [s]."""
    return [above for above in (window.above for window in windows) if above is not None]


def _bends(windows: list[_Window], max_turn: float) -> bool:
    """Whether the minima of neighbouring buckets are alike: they do not scatter about a line."""
    excesses = _excesses([window.turned(1.0, max_turn) for window in windows])
    steps = sum(float((np.diff(above) ** 2).sum()) for above in excesses)
    squares = sum(float(((above - above.mean()) ** 2).sum()) for above in excesses)
    return steps < _BENDS * squares


def _shape(windows: list[_Window]) -> tuple[float, float, int] | None:
    """Return mean [s] and variation of the minima above their lines, and how many a window has."""
    excesses = _excesses(windows)
    if not excesses:
        return None
    mean = float(np.mean([above.mean() for above in excesses]))
    variation = float(np.mean([above.std() / above.mean() for above in excesses]))
    return mean, variation, int(np.median([len(above) for above in excesses]))


def _above_floor(
    windows: list[_Window], minima: int, max_turn: float
) -> tuple[list[_Window], float, float] | None:
    """Return the lines, turned where delays are thin, and their height above the floor.

    Parameters
    ----------
    windows
        The lines.
    minima
        Number of minima in all of them.
    max_turn
        As in `Scales`.

    Returns
    -------
    tuple or None
        The lines, how far they are expected above the floor [s], and the half width of that [s];
        None of too few minima.
    """
    # Minima over a line that is not turned are spread by its slope, and seem dense at the floor.
    shape = _shape([window.turned(1.0, max_turn) for window in windows])
    if shape is None:
        return None
    thin = min(max((_THIN - shape[1]) / _THIN_RANGE, 0.0), 1.0)
    windows = [window.turned(thin, max_turn) for window in windows]
    mean, variation, size = _shape(windows) or shape
    least = variation - _VARIATION_WIDTH / minima**0.5
    bias, most = (mean * floor_bias(max(v, _MIN_VARIATION), size) for v in (variation, least))
    return windows, bias, _BIAS_WIDTH * most


def _middle_slope(x: Floats, level: Floats, span: float) -> float:
    """Return the median of the slopes of minima half of all apart."""
    xs, levels, _ = _minima(x, level, span)
    half = len(xs) // 2
    if not half:
        return 0.0
    return float(np.median((levels[half:] - levels[:-half]) / (xs[half:] - xs[:-half])))


def _line(x: Floats, offset: Floats, sure: Flags, scales: Scales) -> tuple[Floats, Floats]:
    """Return the line under points at each of them, less its bias, and its uncertainty [s]."""
    if sure.sum() < 2:
        sure = np.ones(len(x), bool)
    begin, known = x[0], x[sure]
    level = offset[sure] - scales.slope * (known - begin)
    # Of arrivals that wander the last slope is not that of the others.
    if scales.bent:
        more = _middle_slope(known, level, scales.span)
        level, scales = level - more * (known - begin), replace(scales, slope=scales.slope + more)
    windows = _windows(known, level, scales, x)
    while scales.span >= 2 * scales.min_span and _bends(windows, scales.max_turn):
        scales = replace(scales, span=scales.span / 2)
        windows = _windows(known, level, scales, x)
    xs, lowest, _ = _minima(known, level, scales.span)
    bias, width = 0.0, _HEIGHT_WIDTH * scales.floor_scale / len(x)
    if above := _above_floor(windows, len(xs), scales.max_turn):
        windows, bias, width = above
    # Half of the bend of the first pass: the window looks both ways.
    width += scales.wander * min(scales.span, float(np.ptp(x))) ** 2 / 16
    knots, heights = np.array([[window.knot, window.at_knot] for window in windows]).T
    if scales.bent or _bends(windows, scales.max_turn):
        apart = np.abs(lowest - np.interp(xs, knots, heights) + bias)
        width = max(width, _BENT_WIDTH * float(np.quantile(apart, _BENT_PART)))
    line = scales.slope * (x - begin) + np.interp(x, knots, heights) - bias
    return line, np.full(len(x), max(width, MIN_WIDTH))
