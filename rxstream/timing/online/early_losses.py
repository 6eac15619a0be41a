"""Losses in the first seconds of a stream, before it is known how late chunks are wont to be.

All chunks after a loss are late by it, and for good: the least offset from each chunk on rises in
steps.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from rxstream.timing.tangent import likeliest_step

__all__ = ["EarlyLoss", "Point", "after_loss", "first_loss", "least_from", "whole_losses"]

# A step is of whole units as well as the chunks between two steps show, which is to these parts of
# one at best and at worst: else something else has made it. (trial)
_BEST, _WORST = 0.03, 0.15
# It is so many times as large as the spread of the chunks between two steps. (trial)
_SPREADS = 6
# Chunks after the last step: fewer may yet be late ones. (trial)
_MIN_LATE = 6


Point: TypeAlias = tuple[float, float]
"""Device time, and the time from it to the arrival [s]."""


class EarlyLoss(NamedTuple):
    """A loss before a point."""

    first: int
    """Number of the first point after it."""
    size: float
    """By how much all from there on are late [s]."""


def after_loss(since: float, lost: float) -> Callable[[Point], Point]:
    """Return what takes the points since a device time for late by a loss, both [s].

    Examples
    --------
    >>> list(map(after_loss(2.0, 0.5), [(1.0, 0.1), (2.0, 0.75)]))
    [(1.0, 0.1), (2.5, 0.25)]
    """
    return lambda point: point if point[0] < since else (point[0] + lost, point[1] - lost)


def least_from(values: Sequence[float]) -> list[float]:
    """Return the least of each value and all behind it: it rises where all are later for good.

    Examples
    --------
    >>> least_from([0.0, 3.0, 1.0, 2.0])
    [0.0, 1.0, 1.0, 2.0]
    """
    return list(accumulate(reversed(values), min))[::-1]


def whole_losses(
    offsets: Sequence[float], counts: Sequence[int], unit: float
) -> list[EarlyLoss] | None:
    """Return the losses of whole units that explain the offsets of arrivals.

    None as long as the newest chunks may be late, or come after another one.

    Parameters
    ----------
    offsets
        Least time from the device to the arrival, for each stretch of time [s].
    counts
        Fresh chunks in each stretch.
    unit
        Smallest loss [s].

    Examples
    --------
    >>> whole_losses([0.0, 0.01, 1.0, 1.02, 3.0, 3.01], [9] * 6, 1.0)
    [EarlyLoss(first=2, size=1.0), EarlyLoss(first=4, size=2.0)]
    >>> whole_losses([0.0, 0.01, 0.5, 0.52], [9] * 4, 1.0)
    []
    """
    least = least_from(offsets)
    rises = [after - before for before, after in pairwise(least)]
    steps = [i for i, rise in enumerate(rises, 1) if rise > unit / 2]
    losses = [EarlyLoss(i, round(rises[i - 1] / unit) * unit) for i in steps]
    edges = [0, *steps, len(offsets)]
    spread = max(_spread(offsets[a:b]) for a, b in pairwise(edges))
    blur = min(max(spread, _BEST * unit), _WORST * unit)
    whole = all(abs(rises[i - 1] - size) < blur for i, size in losses)
    if not whole or _SPREADS * spread >= unit:
        return []
    return None if losses and sum(counts[steps[-1] :]) < _MIN_LATE else losses


def first_loss(excesses: Sequence[float], counts: Sequence[int]) -> EarlyLoss | None:
    """Return one loss of any size, if most chunks came after it, all late by about the same.

    Parameters
    ----------
    excesses
        Least time above the line, for each stretch of time [s]: it lies under the first ones.
    counts
        Fresh chunks in each stretch.

    Examples
    --------
    >>> first_loss([0.0, 0.01, 0.5, 0.52, 0.51], [9] * 5)
    EarlyLoss(first=2, size=0.5)
    """
    first = likeliest_step(excesses)
    late = excesses[first:]
    size = min(late)
    if not first or 2 * sum(counts[first:]) < sum(counts) or size < _SPREADS * _spread(late):
        return None
    return EarlyLoss(first, size)


def _spread(values: Sequence[float]) -> float:
    """Return the distance of the median from the least."""
    return sorted(values)[len(values) // 2] - min(values)
