"""Where the arrivals of a recording leave one line for another."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.recorded.stalls import have_waited

__all__ = ["Turn", "turn_of"]

Floats: TypeAlias = NDArray[np.float64]

# Blocks of chunks whose lowest arrivals are looked at, and how many each line has at least. (trial)
_BLOCKS, _MIN_SIDE = 64, 4
# Two lines leave so many times less of the squared distances than one. (trial)
_BETTER = 2.0
# Root of the mean square of the distances from two lines that are firm, in usual ranges of the
# arrivals of a block. (trial)
_FIRM = 0.1
# Blocks to both sides of the turn in which its chunk is looked for.
_NEAR = 2
# A slope of no clock: of chunks that waited it is nearly -1, and 1 is half the rate. (trial)
_STEEPEST = 0.9
# Distances that floats of seconds make [s].
_ROUNDING = 1e-6


class Turn(NamedTuple):
    """Where one line ends and another begins."""

    at: int
    """First chunk of the second line."""
    near: int
    """Chunks by which that may be wrong."""
    before: float
    behind: float
    """Slopes of the lines."""
    is_firm: bool
    """Whether the lowest arrivals lie closer to the lines than the others to the lowest."""

    @property
    def change(self) -> float:
        """By how much the slope changes."""
        return abs(self.behind - self.before)

    @property
    def is_steep(self) -> bool:
        """Whether the second line is that of no rate that a clock could have."""
        return abs(self.behind) > _STEEPEST


def turn_of(x: Floats, late: Floats) -> Turn | None:
    """Return where arrivals leave one line for another; None if they keep to one.

    Parameters
    ----------
    x
        Device times ``(n,)`` [s].
    late
        Times from there to the arrivals ``(n,)`` [s].

    Examples
    --------
    >>> x = np.arange(1000.0)
    >>> turn_of(x, np.maximum(x - 700, 0) * 0.01).at
    700
    """
    size = len(x)
    each = max(-(-size // _BLOCKS), 1)
    fresh = np.where(have_waited(x, late), np.inf, late)
    lowest = np.lexsort((fresh, np.arange(size) // each))[::each]
    # in a stall as long as a block all have waited
    lowest = lowest[fresh[lowest] < np.inf]
    sums = _sums(x[lowest], late[lowest])
    at = np.arange(_MIN_SIDE, len(lowest) - _MIN_SIDE + 1)
    if not len(at):
        return None
    lines = _fit(sums[:, at - 1]), _fit(sums[:, -1:] - sums[:, at - 1])
    rest = lines[0][0] + lines[1][0]
    best = int(np.argmin(rest))
    if _fit(sums[:, -1:])[0][0] < _BETTER * max(rest[best], len(lowest) * _ROUNDING**2):
        return None
    # The chunk is that from which the second line is nearer.
    block = int(lowest[at[best] - 1]) // each + 1
    near = slice(max(block - _NEAR, 0) * each, (block + _NEAR) * each)
    off = [(late[near] - low[best] - slope[best] * x[near]) ** 2 for _, slope, low in lines]
    place = int(near.start + np.argmin(np.cumsum(off[0] - off[1]))) + 1
    # Along a steep line the lowest are the last or the first, not those of the least delay.
    slopes = [float(line[1][best]) for line in lines]
    level = late - np.where(np.arange(size) < place, slopes[0], slopes[1]) * x
    blocks: Floats = level[: size // each * each].reshape(-1, each)
    scatter = float(np.median(blocks.max(axis=1) - blocks.min(axis=1)))
    square = 0.0
    for k, side in enumerate((slice(0, place // each), slice(-(-place // each), len(blocks)))):
        lows = blocks[side].argmin(axis=1) + np.arange(len(blocks))[side] * each
        if len(lows) < _MIN_SIDE - 1:
            continue
        squares, more, _ = _fit(_sums(x[lows], level[lows])[:, -1:])
        slopes[k] += float(more[0])
        square = max(square, float(squares[0]) / len(lows))
    return Turn(place, each, slopes[0], slopes[1], square < (_FIRM * scatter) ** 2)


def _sums(x: Floats, y: Floats) -> Floats:
    """Return what `_fit` needs of the points up to each ``(6, n)``."""
    return np.cumsum([np.ones(len(x)), x, y, x * x, x * y, y * y], axis=1)


def _fit(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the squared distances from a regression line, its slope, and its height at 0."""
    n, x, y, xx, xy, yy = sums
    xx, xy, yy = xx - x * x / n, xy - x * y / n, yy - y * y / n
    slope = xy / np.maximum(xx, 1e-18)
    return np.maximum(yy - slope * xy, 0.0), slope, (y - slope * x) / n
