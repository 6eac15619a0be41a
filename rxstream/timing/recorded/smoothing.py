"""The clock looked at from both sides: for recordings, where the future is known.

The first pass is the online model: it unwraps counters and finds losses, restarts and changes of
latency. What it told too late is put back to where it began. Then nothing but the delay is
between device time and arrivals, and the second pass

1. closes the joints: a step of the floor is measured with one slope for both sides; where samples
   of unknown number were lost, the step is a whole number of them;
2. fits the line anew in windows that look both ways, and goes from window to window smoothly.

Only a restart cannot be closed; each stretch between restarts is fitted for itself.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.extremes import floor_bias
from rxstream.timing.tangent import lower_hull, tangent

__all__ = ["Scales", "StepCandidate", "Stretch", "smooth"]

_BUCKETS = 48  # of a window
_KNOTS = 6  # to a window's length
_STEEPEST = 0.03
_THIN = 0.66  # as in the envelope, for these larger windows
_FEW = 8  # chunks that are too few to show a floor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Steps: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Scales:
    """What the online model has learned of the delays and the clock."""

    slope: float
    """Of the line."""
    doubt: float
    """Standard deviation of the slope from window to window."""
    near: float
    """Mean excess near the floor [s]."""
    span: float
    """Length of a window [s]."""
    wander: float
    """How fast the slope changes [1/s]."""


@dataclass(frozen=True, slots=True)
class StepCandidate:
    """A step of the floor before chunk ``at``."""

    at: int
    unit: float | None
    """The step is a multiple of this [s] and device time (``x``) has it wrong; None: the floor
    itself has moved."""
    moved: float = 0.0
    """By how much device time has been moved here already [s]."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Chunks between two restarts."""

    x: Floats
    """Device time of the last samples ``(n,)`` [s], never going back."""
    late: Floats
    """Latest possible host times of them ``(n,)`` [s], on the scale of ``x``."""
    early: Floats | None
    """Earliest possible ones, or None."""
    sure: Flags
    """Whether ``x`` is beyond doubt ``(n,)``."""
    joints: tuple[StepCandidate, ...]


def smooth(stretch: Stretch, scales: Scales) -> tuple[Floats, Floats, Steps]:
    """Return the host times of the last samples.

    Returns
    -------
    times, uncertainty
        ``(n,)`` [s].
    steps
        By how much device time was moved at each joint that has a unit [s]; None: nothing was lost
        there, the delay rose for a while.
    """
    x, floors, doubts, sure, steps = _close(stretch, scales)
    line, doubt = _line(x, stretch.late - x - floors, sure, scales)
    if stretch.early is not None:
        mirrored = Scales(-scales.slope, scales.doubt, scales.near, scales.span, scales.wander)
        below, other = _line(x, -(stretch.early - x), sure, mirrored)
        line, doubt = (line - below) / 2, np.abs(line + below) / 2 + (doubt + other) / 2
    return x + line, doubt + doubts, steps


# -- joints ---------------------------------------------------------------------------------------


class _Closed(NamedTuple):
    """A stretch without steps; ``(n,)`` each."""

    x: Floats
    """Device time, as it would be if nothing had been lost unseen [s]."""
    floors: Floats
    """Floor of each chunk over the lowest one [s]."""
    doubts: Floats
    """What the changes of latency add to the uncertainty [s]."""
    sure: Flags
    """What may be used."""
    steps: Steps
    """As told by `smooth`."""


class _Rise(NamedTuple):
    """A loss of unknown size, or a rise of the delay."""

    at: int
    size: float
    number: int
    unit: float


def _undone(rises: list[_Rise], fall: float, doubt: float) -> list[_Rise]:
    """Return the losses that were none: a fall of the floor by just as much ended them."""
    total = 0.0
    for k in range(len(rises) - 1, -1, -1):
        total += rises[k].size
        if abs(total - fall) <= rises[k].unit + doubt:
            return rises[k:]
    return []


def _close(stretch: Stretch, scales: Scales) -> _Closed:
    x, sure = stretch.x.copy(), stretch.sure.copy()
    floors, doubts = np.zeros((2, len(x)))
    edges = [joint.at for joint in stretch.joints] + [len(x)]
    steps: list[float | None] = []
    rises: list[_Rise] = []
    for joint, end in zip(stretch.joints, edges[1:], strict=True):
        after = slice(joint.at, end)
        step, before, behind = _step(x, stretch.late - floors, sure, after, scales)
        if joint.unit is None:
            floors[joint.at :] += step
            doubts[joint.at :] += 2 * (before + behind)
            for rise in _undone(rises, -step, 4 * (before + behind)):
                x[rise.at :] -= rise.size
                floors[rise.at :] += rise.size
                steps[rise.number] = None
            rises.clear()
            continue
        step = round(step / joint.unit) * joint.unit
        x[joint.at :] += step
        x = np.maximum.accumulate(x)
        rises.append(_Rise(joint.at, joint.moved + step, len(steps), joint.unit))
        steps.append(step)
        # too few chunks to tell: they must not spoil the others
        if behind > max(joint.unit / 5, before):
            sure[after] = False
    # the lowest floor of all is the least delay, also for the time when it was longer
    parts = [floors[a:b] for a, b in pairwise([0, *edges]) if b - a >= _FEW]
    lowest = min((float(part[0]) for part in parts), default=0.0)
    return _Closed(x, floors - lowest, doubts, sure, tuple(steps))


def _step(
    x: Floats, late: Floats, sure: Flags, after: slice, scales: Scales
) -> tuple[float, float, float]:
    """Return by how much the floor is higher after a joint, and the doubt of either side [s].

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
    center, width, heights = scales.slope, 4 * scales.doubt, np.zeros((2, 1))
    for _ in range(3):
        slopes = np.linspace(center - width, center + width, 41)
        heights = np.array(
            [np.min(y[:, None] - slopes * (sx[:, None] - at), axis=0) for sx, y, _ in sides]
        )
        likely = (points / scales.near * (heights + slopes * middle)).sum(axis=0)
        best = int(np.argmax(likely - ((slopes - scales.slope) / scales.doubt) ** 2 / 2))
        center, width = float(slopes[best]), width / 10
    before, behind = (scales.near / points[:, 0]).tolist()
    return float(heights[1, best] - heights[0, best]), before, behind


# -- windows --------------------------------------------------------------------------------------


def _minima(x: Floats, offset: Floats, scales: Scales) -> tuple[Floats, Floats, Floats]:
    """Return x and offset of the lowest point of each bucket, and how many points it had."""
    width = scales.span / _BUCKETS
    bucket = np.floor((x - x.min()) / width).astype(np.int64)  # x may go back: samples come twice
    level = offset - scales.slope * (x - x[0])
    order = np.lexsort((level, bucket))  # the lowest of each bucket comes first
    start = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    lowest = order[start]
    count = np.diff(np.append(start, len(x))).astype(np.float64)
    return x[lowest], offset[lowest], count


def _line(x: Floats, offset: Floats, sure: Flags, scales: Scales) -> tuple[Floats, Floats]:
    """Return the line under points at each of them, its bias taken off, and its uncertainty."""
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
            lower_hull(px.tolist(), py.tolist()), pivot, float(counts[i:j].sum()) / scales.near,
            scales.slope, scales.doubt**2, _STEEPEST,
        )  # fmt: skip
        values[k] = value + slope * (knot - pivot)
        above = py - value - slope * (px - pivot)
        if len(above) >= 12 and above.mean() > 0:
            above = np.minimum(above, 4 * np.median(above) + 1e-9)
            means.append(above.mean())
            variations.append(above.std() / above.mean())
            sizes.append(len(above))
    bias, doubt = 0.0, 3 * scales.near / len(x)
    if means:
        mean, size = float(np.mean(means)), int(np.median(sizes))
        bias = mean * floor_bias(float(np.mean(variations)), size)
        thin = min(max((_THIN - float(np.mean(variations))) / 0.1, 0.0), 1.0)
        doubt = max(5 * bias, 2 * thin * mean)
    doubt += scales.wander * min(span, length) ** 2 / 16
    return np.interp(x, knots, values) - bias, np.full(len(x), doubt)
