"""Equal stamps: set apart by a nanosecond each, and equal again."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["equal_again", "strictly_increasing"]


def strictly_increasing(stamps: NDArray[np.int64], end: int | None = None) -> NDArray[np.int64]:
    """Return non-decreasing stamps [ns] as increasing ones, by 1 ns where they are equal.

    Later ones give way, or where ``end`` [ns] leaves them no room, earlier ones.

    Examples
    --------
    >>> strictly_increasing(np.array([5, 5, 6, 9])).tolist()
    [5, 6, 7, 9]
    >>> strictly_increasing(np.array([5, 9, 9]), 10).tolist()
    [5, 8, 9]
    """
    steps = np.arange(len(stamps))
    out = np.maximum.accumulate(stamps - steps) + steps
    if end is not None and len(out) and out[-1] >= end:
        out = np.minimum(out, steps + (end - len(out)))
    return out


def equal_again(times: NDArray[np.int64], last: tuple[int, int] | None) -> NDArray[np.int64]:
    """Undo `strictly_increasing`: give times 1 ns after the one before that one's stamp.

    Parameters
    ----------
    times
        Increasing [ns], int64 ``(n,)``.
    last
        Time and stamp [ns] of the sample before the first, None if there is none.

    Returns
    -------
    stamps
        ``times`` itself where none was moved.

    Examples
    --------
    >>> equal_again(np.array([5, 6, 7, 9]), None).tolist()
    [5, 5, 5, 9]
    """
    if not len(times):
        return times
    goes_on = last is not None and times.item(0) - last[0] == 1
    inside = times[1:] - times[:-1] == 1
    # mostly none is moved: the same array
    if not goes_on and not np.count_nonzero(inside):
        return times
    moved = np.concatenate(([goes_on], inside))
    first = np.maximum.accumulate(np.where(moved, -1, np.arange(len(times))))
    stamps = times[first]
    if last is not None and goes_on:
        stamps[first == -1] = last[1]
    return stamps
