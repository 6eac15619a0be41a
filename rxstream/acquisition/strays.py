"""Stamps out of line with those around them: found by their order, and replaced.

A flipped bit or a garbled line gives one stamp, or a few, far ahead or far behind. What follows is
in line again with what came before; this sets them apart from a clock that was set back for good.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR", "MAX_RUN", "Standstill", "fill_strays", "find_strays", "shift_forward"]

FAR = 500_000_000
"""Stamps that go back by more [ns] are wrong, or their clock was set; less is an overlap."""

MAX_RUN = 8
"""Longest run of stray stamps: so many must be seen to know that what follows is in line again."""

# Stamps that do not go on stand still after so many readings, and so long [ns].
_STILL_READINGS, _STILL = 3, 1_000_000_000


class Standstill:
    """Finds a clock that shows the same time for long while readings arrive.

    Examples
    --------
    >>> clock = Standstill()
    >>> [clock.lasts(7, arrival * 400_000_000) for arrival in range(5)]
    [None, None, None, 1200000000, 1600000000]
    """

    __slots__ = ("_count", "_since", "_stamp")

    def __init__(self) -> None:
        self._stamp = self._since = self._count = 0

    def lasts(self, newest: int, arrival: int) -> int | None:
        """Return for how long the newest stamp of each reading has been the same, if long [ns]."""
        if newest != self._stamp:
            self._stamp, self._since, self._count = newest, arrival, 0
        self._count += 1
        passed = arrival - self._since
        return passed if self._count > _STILL_READINGS and passed >= _STILL else None


def find_strays(stamps: NDArray[np.int64], before: int | None = None) -> NDArray[np.bool_]:
    """Return which stamps are out of line: at most `MAX_RUN` in a row, by more than `FAR`.

    Where a stamp goes far back, either those before it lay ahead, or it lies behind, as do a few
    after it: whichever are fewer. If neither ends within `MAX_RUN`, the clock was set back, and
    no stamp is wrong.

    Parameters
    ----------
    stamps
        int64 ``(n,)`` [ns].
    before
        The last stamp before them that is in line [ns], or None.

    Examples
    --------
    >>> second = 1_000_000_000
    >>> find_strays(np.array([1, 2, 900, 3, 4]) * second).tolist()
    [False, False, True, False, False]
    >>> find_strays(np.array([101, 102, 3, 4, 104]) * second, 100 * second).tolist()
    [False, False, True, True, False]
    """
    values: list[int] = stamps.tolist()
    strays = np.zeros(len(values), np.bool_)
    kept: list[int] = []  # numbers of stamps in line, the newest last
    for j, stamp in enumerate(values):
        newest = values[kept[-1]] if kept else before
        if newest is not None and stamp < newest - FAR:
            ahead = _count_ahead(values, kept, stamp, before)
            behind = _count_behind(values, j, newest)
            if behind <= min(ahead, MAX_RUN):
                strays[j] = True
                continue
            if ahead <= MAX_RUN:
                strays[kept[len(kept) - ahead :]] = True
                del kept[len(kept) - ahead :]
        kept.append(j)
    return strays


def _count_ahead(values: Sequence[int], kept: Sequence[int], stamp: int, before: int | None) -> int:
    """Return how many of the newest stamps lie ahead of ``stamp``; many if it is behind all."""
    count = 0
    for k in reversed(kept[-MAX_RUN - 1 :]):
        if values[k] <= stamp + FAR:
            return count
        count += 1
    if count == len(kept) and (before is None or before <= stamp + FAR):
        return count
    return MAX_RUN + 1


def _count_behind(values: Sequence[int], j: int, newest: int) -> int:
    """Return how many stamps from ``j`` on lie behind ``newest``; many if no other follows."""
    for k in range(j + 1, min(j + MAX_RUN + 1, len(values))):
        if values[k] >= newest - FAR:
            return k - j
    return MAX_RUN + 1


def fill_strays(
    stamps: NDArray[np.int64], strays: NDArray[np.bool_], low: int | None, high: int | None,
    *, spread: bool,
) -> NDArray[np.int64]:  # fmt: skip
    """Return stamps with better ones in place of those that are out of line.

    Parameters
    ----------
    stamps
        int64 ``(n,)`` [ns].
    strays
        Which ones to replace, bool ``(n,)``.
    low
        A time before all of them [ns], or None.
    high
        What to take where none in line follows [ns]; None: the one in line before.
    spread
        Whether samples lie evenly between their neighbours in line. Else each lies right before
        the next stamp in line, which is no further from the truth than arrival.

    Examples
    --------
    >>> stamps, strays = np.array([10, 0, 0, 40]), np.array([False, True, True, False])
    >>> fill_strays(stamps, strays, None, None, spread=True).tolist()
    [10, 20, 30, 40]
    >>> fill_strays(stamps, strays, None, None, spread=False).tolist()
    [10, 38, 39, 40]
    """
    good = np.flatnonzero(~strays)
    out = stamps.copy()
    bad = np.flatnonzero(strays)
    if not len(good):
        out[:] = high if high is not None else low if low is not None else 0
        return out
    after = good.searchsorted(bad)
    last = int(stamps[good[-1]])
    following = np.append(stamps[good], last if high is None else max(high, last))[after]
    out[bad] = following - (np.append(good, len(stamps) - 1)[after] - bad)
    between = after < len(good) if spread else np.zeros(len(bad), np.bool_)
    if low is None:
        between &= after > 0
    positions, known = good, stamps[good]
    if low is not None:
        positions, known = np.append(-1, positions), np.append(low, known)
    # exact for whole nanoseconds up to 104 days, which float64 holds
    base = int(known[0])
    even = np.interp(bad[between], positions, (known - base).astype(np.float64))
    out[bad[between]] = np.rint(even).astype(np.int64) + base
    return out


def shift_forward(stamps: NDArray[np.int64], end: int | None) -> tuple[NDArray[np.int64], int]:
    """Return stamps of a clock that was set back as ones that go on, and the shift at last [ns].

    Where they go back by more than `FAR`, the later ones keep their distances.

    Parameters
    ----------
    stamps
        int64 ``(n,)`` [ns].
    end
        Time from which on they may lie [ns], or None.

    Examples
    --------
    >>> hour = 3_600_000_000_000
    >>> shift_forward(np.array([hour, hour + 5, 0, 7]), None)[0].tolist() == [
    ...     hour, hour + 5, hour + 6, hour + 13]
    True
    """
    ahead = stamps[:1] if end is None else np.array([end - 1], np.int64)
    steps = np.diff(stamps, prepend=ahead)
    jumps = np.where(steps < -FAR, 1 - steps, 0)
    shifts = np.cumsum(jumps)
    return stamps + shifts, int(shifts[-1])
