"""Chunks of a recording that waited for others: their delay says nothing of the device."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["have_waited", "in_stalls"]

Floats: TypeAlias = NDArray[np.float64]

# A chunk that the next one follows after less than this part of its length has waited. (study)
_WAITED = 0.5
# A stall holds chunks up for longer than this [s]: less is the delay of some.
_STALL = 1.0
# Least time from chunk to chunk [s].
_LEAST = 1e-6


def have_waited(x: Floats, late: Floats) -> NDArray[np.bool_]:
    """Return which chunks came right before the next one.

    Parameters
    ----------
    x
        Device times ``(n,)`` [s].
    late
        Times from there to the arrivals ``(n,)`` [s].

    Examples
    --------
    The second waits for the third:

    >>> have_waited(np.arange(5.0), np.array([0.0, 1.1, 0.1, 0.0, 0.0])).tolist()
    [False, True, False, False, False]
    """
    passed = np.diff(x)
    elapsed = passed + np.diff(late)
    # where all come faster than stated, as of another rate, that is no waiting
    pace = float(np.median(elapsed / np.maximum(passed, _LEAST))) if len(passed) else 0.0
    return np.append(elapsed < _WAITED * min(pace, 1.0) * passed, False)


def in_stalls(x: Floats, late: Floats) -> NDArray[np.bool_]:
    """Return which chunks waited with one that did so for long."""
    waited, size = have_waited(x, late), len(x)
    # the last of those that came with each other, or the chunk itself
    ends = np.where(waited, size - 1, np.arange(size))
    ends = np.minimum.accumulate(ends[::-1])[::-1]
    longest = np.zeros(size)
    np.maximum.at(longest, ends, late - late[ends])
    return waited & (longest[ends] > _STALL)
