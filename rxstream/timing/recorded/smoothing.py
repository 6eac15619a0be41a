"""The second pass over a recording, where past and future are known.

The first pass is the online model: it unwraps counters and finds losses, restarts and changes of
latency. They are applied from where they began, not from where they were found, so that nothing
but the delay is between device time and arrivals. Then the second pass

1. removes the steps of the floor: each is measured with one slope for both sides; after a loss of
   unknown size it is a whole number of samples;
2. fits the line again in windows around each time, and interpolates between them.

A restart is no step that can be measured: each stretch between restarts is fitted by itself.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.extremes import floor_bias
from rxstream.timing.tangent import lower_hull, tangent

__all__ = ["Scales", "StepCandidate", "Stretch", "smooth"]

# Buckets of a window: as many as in 1.5 windows of the first pass, which has 32.
_BUCKETS = 48
# Knots to a window's length, as many as 4 to a window of the first pass: more cost time and follow
# the same line. (study)
_KNOTS = 6
# Largest slope, as in the envelope.
_STEEPEST = 0.03
# Variation of the minima below which delays count as thin at the floor, and the range over which
# this sets in. As in `delay_shape`, for windows of more buckets: a Weibull shape of 1.75. (trial)
_THIN, _THIN_RANGE = 0.66, 0.1
# Half widths of the 95 % interval, in biases and, where delays are thin, in mean excesses of the
# minima. (trial)
_BIAS_WIDTH, _THIN_WIDTH = 5, 3
# Height of the line over few chunks, in mean excesses divided by their number: under exponential
# delays 95 % are lower.
_HEIGHT_WIDTH = 3
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
    floor_scale: float
    """Mean excess near the floor [s]."""
    span: float
    """Length of a window [s]."""
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
        Correction of device time at each candidate that has a unit [s]; None where nothing was
        lost, but the delay rose for a while.
    """
    x, floors, widths, sure, steps = _remove_steps(stretch, scales)
    line, width = _line(x, stretch.late - x - floors, sure, scales)
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
        if abs(total - fall) <= rises[k].unit + half_width:
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
            near = np.ones(len(x[side]), bool)
        sides.append(_minima(x[side][near], (late - x)[side][near], scales))
    points = np.array([[count.sum()] for _, _, count in sides])
    middle = np.array([[(sx[0] + sx[-1]) / 2 - at] for sx, _, _ in sides])
    center, width, heights = scales.slope, _SEARCH * scales.slope_sd, np.zeros((2, 1))
    for _ in range(_ROUNDS):
        slopes = np.linspace(center - width, center + width, _PLACES)
        heights = np.array(
            [np.min(y[:, None] - slopes * (sx[:, None] - at), axis=0) for sx, y, _ in sides]
        )
        likely = (points / scales.floor_scale * (heights + slopes * middle)).sum(axis=0)
        best = int(np.argmax(likely - ((slopes - scales.slope) / scales.slope_sd) ** 2 / 2))
        center, width = float(slopes[best]), width / _ZOOM
    before, behind = (scales.floor_scale / points[:, 0]).tolist()
    return float(heights[1, best] - heights[0, best]), before, behind


# -- windows --------------------------------------------------------------------------------------


def _minima(x: Floats, offset: Floats, scales: Scales) -> tuple[Floats, Floats, Floats]:
    """Return x and offset of the lowest point of each bucket, and its number of points."""
    width = scales.span / _BUCKETS
    # Not from x[0]: x goes back where samples came twice.
    bucket = np.floor((x - x.min()) / width).astype(np.int64)
    level = offset - scales.slope * (x - x[0])
    # In this order the lowest point of each bucket is its first.
    order = np.lexsort((level, bucket))
    start = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    lowest = order[start]
    count = np.diff(np.append(start, len(x))).astype(np.float64)
    return x[lowest], offset[lowest], count


def _line(x: Floats, offset: Floats, sure: Flags, scales: Scales) -> tuple[Floats, Floats]:
    """Return the line under points at each of them, less its bias, and its uncertainty [s]."""
    if sure.sum() < 2:
        sure = np.ones(len(x), bool)
    xs, ys, counts = _minima(x[sure], offset[sure], scales)
    begin, length, span = float(x.min()), float(np.ptp(x)), scales.span
    knots = begin + np.linspace(0, length, int(np.ceil(length * _KNOTS / span)) + 1)
    values, means, variations, sizes = np.empty(len(knots)), [], [], []
    for k, knot in enumerate(knots):
        left = min(max(knot - span / 2, begin), max(begin + length - span, begin))
        i, j = np.searchsorted(xs, (left, left + span), side="left")
        j = max(j, i + 1)
        i = min(i, j - 1, len(xs) - 1)
        px, py = xs[i:j], ys[i:j]
        pivot = min(max(knot, left + span / 4), left + 3 * span / 4) if length > span else (
            float(px[0] + px[-1]) / 2
        )  # fmt: skip
        value, slope = tangent(
            lower_hull(px.tolist(), py.tolist()), pivot,
            float(counts[i:j].sum()) / scales.floor_scale,
            scales.slope, scales.slope_sd**2, _STEEPEST,
        )  # fmt: skip
        values[k] = value + slope * (knot - pivot)
        above = py - value - slope * (px - pivot)
        if len(above) >= _MIN_MINIMA and above.mean() > 0:
            above = np.minimum(above, _CAP * np.median(above) + 1e-9)
            means.append(above.mean())
            variations.append(above.std() / above.mean())
            sizes.append(len(above))
    bias, width = 0.0, _HEIGHT_WIDTH * scales.floor_scale / len(x)
    if means:
        mean, size = float(np.mean(means)), int(np.median(sizes))
        bias = mean * floor_bias(float(np.mean(variations)), size)
        thin = min(max((_THIN - float(np.mean(variations))) / _THIN_RANGE, 0.0), 1.0)
        width = max(_BIAS_WIDTH * bias, _THIN_WIDTH * thin * mean)
    # Half of the bend of the first pass: the window looks both ways.
    width += scales.wander * min(span, length) ** 2 / 16
    if scales.bent:
        apart = np.abs(ys - np.interp(xs, knots, values) + bias)
        width = max(width, _BENT_WIDTH * float(np.quantile(apart, _BENT_PART)))
    return np.interp(x, knots, values) - bias, np.full(len(x), width)
