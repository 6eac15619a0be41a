"""Smoothing of stamps that a driver makes itself on the host clock, one for each block.

A sound driver estimates when the first sample of a block was converted from the fill of its
buffers. Most stamps then lie on a line within some ten microseconds. The others lie anywhere: tens
of milliseconds early after a stall, milliseconds late and in bunches when the machine is busy, at
times more than half of all. So neither the earliest line, which is right for arrivals, nor a mean
or a median will do. The line is fitted where the stamps lie *densest*, in the shortest interval
that holds a quarter of them (a robust estimate of the mode), and follows the drift of the device's
clock.

A jump that lasts is an unreported loss, or a correction by the driver. It is certain when the
stamps of a second and of at least twenty blocks agree, or three in a row if it is very long. Until
then it is in the uncertainty.

Samples that were lost make all later ones arrive later by as much, too: where the earliest arrivals
do not, the driver has only corrected its stamps, as PulseAudio does in the first seconds.

Where stamps are never after the arrival of their block, as those that a program makes from the time
at which it read, the line is not either: it is lowered by what it was too late by at most.
"""

from collections import deque
from math import ceil, gcd, nan

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.stamp import State

__all__ = ["DriverStamps"]

# All constants were chosen by trial on stamps of PortAudio on PulseAudio, with a quiet and a busy
# machine, and on simulations after them (benchmarks/timing/driver.py).

# Blocks that the line is fitted to: at 10 ms long enough for the slope, short enough for drift.
_WINDOW_BLOCKS = 1000
# Blocks until the state is ``locked``.
_WARM_BLOCKS = 50
# Blocks from one fit to the next, and at first: a fit costs a sort.
_FIT_EVERY, _FIT_EARLY = 16, 4
# Share of the stamps that must agree. On a busy machine more than half are late.
_DENSE = 0.25
# Stamps up to this many half widths of the dense interval from its middle are on the line.
_NEAR = 3.0
# Prior of the slope: clocks of sound cards are off by about 100 ppm.
_SLOPE_SD = 1e-4
# Largest plausible slope; some drivers report more.
_STEEPEST = 1e-3
# Stamps in a row with the same error: that many fewer are independent.
_CORRELATED = 10
# Least noise of a stamp on the line [ns].
_NOISE = 5e4
# Drivers count whole samples, so that the stamps of blocks of several wander by as many.
_GRAIN = 2
# Part of the last corrections that stays in the uncertainty from one fit to the next.
_FADE = 0.8
# This many blocks in a row that are this late [ns] come after a loss, reported or not.
_LATE_BLOCKS, _LATE = 3, 5e8
# One block this late [ns] is enough after an overrun, when the driver reports a loss.
_LATE_AFTER_OVERRUN = 2e6
# Stamps are on another line if the median of the last second, and of at least 20 blocks, is this
# far from the present one [ns], and 9 in 10 of them are near the median [ns].
_STEP, _STEP_LASTS, _STEP_BLOCKS = 2e7, 1e9, 20
_STEP_SCATTER, _STEP_SHARE = 1e6, 0.9
# Stamps that are rounded are off by a step of theirs, at most by so many periods.
_STEP_PERIODS = 2
# Part of a jump of the stamps by which the earliest arrivals are later, at least, if it is a loss.
_ARRIVES_LATER = 0.5
# That is seen by this quantile of those after the jump, and the earliest before it.
_EARLIEST = 0.25
# Newest blocks that show whether the line still holds; it does if one of them is near it.
_LATEST = 5
# Blocks of which the earliest limit is kept: of so many, and of those before them; fewer as long as
# the slope is not known. (trial)
_LIMITS, _LIMITS_EARLY = 250, 50


class DriverStamps:
    """Times of blocks from the driver's stamps of their first samples.

    Parameters
    ----------
    period
        Nominal distance of samples [ns].

    Examples
    --------
    >>> stamps = DriverStamps(1e6)
    >>> for k in range(50):
    ...     early = 20_000_000 if k == 40 else 0  # one is 20 ms early
    ...     end, lost, half_width = stamps.push(10, k * 10_000_000 - early)
    >>> end, lost
    (500000000, 0)
    """

    __slots__ = (
        "_arrivals", "_at", "_count", "_distances", "_fitted", "_half_width", "_late", "_limits",
        "_moved", "_offset", "_offsets", "_origin", "_period", "_slope", "_step",
        "_stop", "_x", "_xs", "state",
    )  # fmt: skip

    def __init__(self, period: float) -> None:
        self._period = period
        # device time of the end of each block, and from there to its stamp [ns]
        self._xs, self._offsets = np.empty((2, 2 * _WINDOW_BLOCKS))
        # and to its arrival [ns], of the newest
        self._arrivals: deque[float] = deque(maxlen=_WINDOW_BLOCKS)
        self.restart()

    def restart(self) -> None:
        """Start again, as for a device that was opened again."""
        self._arrivals.clear()
        self._origin: int | None = None
        self._x = 0.0  # device time of the end of the last block since the origin [ns]
        self._stop = 0  # number of stamps kept, of which the last `_WINDOW_BLOCKS` count
        # The line: its height at a device time [ns] and its slope; its uncertainty [ns].
        self._at = self._offset = self._slope = self._moved = self._half_width = 0.0
        self._step = 0  # greatest common divisor of what has passed between stamps [ns]
        self._count = self._fitted = 0
        self.state: State = "warming"
        """``warming`` for the first blocks, then ``locked``."""
        self._distances = [0.0] * _LATEST  # distances of the last blocks from the line [ns]
        self._late: list[float] = []  # lateness of the last blocks if all are far too late [ns]
        # device time and offset of the earliest limit, of the newest blocks and of those before
        self._limits: list[tuple[float, float] | None] = [None, None]

    @property
    def blocks(self) -> int:
        """Number of blocks so far."""
        return self._count

    def push(
        self, count: int, first: int, lost: int = 0, *, overrun: bool = False,
        limit: int | None = None, arrival: float = nan,
    ) -> tuple[int, int, float]:  # fmt: skip
        """Return the time of the next block.

        Parameters
        ----------
        count
            Samples in it.
        first
            The driver's stamp of the first one, host time [ns].
        lost
            Samples known to be lost before it.
        overrun
            Whether the driver reports a loss before it, of unknown size.
        limit
            Time after which its last sample does not lie [ns]: its arrival, where stamps keep it.
        arrival
            Host time of its arrival [ns], of a live stream.

        Returns
        -------
        end
            Time of the sample after the block [ns].
        lost
            Samples lost before it, as far as can be known.
        half_width
            Uncertainty [ns]: the width that holds half of the stamps, the recent movement of the
            line, and the distance of the nearest of the last blocks; at least what the line was
            lowered by.
        """
        period = self._period
        if self._origin is None:
            self._origin = first
        self._x += (count + lost) * period
        since = first - self._origin
        if self._step != 1:
            self._step = gcd(self._step, since)
        x = self._x
        offset = since + count * period - x
        # as `_height`: this runs for each block
        beyond = offset - (self._offset + self._slope * (x - self._at))
        late = self._late
        if self._count and beyond > (_LATE_AFTER_OVERRUN if overrun else _LATE):
            late.append(beyond)
        elif late:
            late.clear()
        self._distances[self._count % _LATEST] = abs(beyond) if self._count else 0.0
        stop = self._stop
        if stop == len(self._xs):
            stop = self._make_room()
        self._xs[stop], self._offsets[stop] = x, offset
        self._stop = stop + 1
        self._arrivals.append(arrival - self._origin - x)
        if late and len(late) >= (1 if overrun else _LATE_BLOCKS):
            lost += self._lose(min(late), len(late), sure=overrun)
            late.clear()
        self._count = blocks = self._count + 1
        if blocks == _WARM_BLOCKS:
            self.state = "locked"
        if blocks - self._fitted >= (_FIT_EVERY if blocks > _WARM_BLOCKS else _FIT_EARLY):
            lost += self._fit(count)
        elif blocks <= _FIT_EARLY:
            self._fit(count)
        half_width = self._half_width + min(self._distances)
        end = self._origin + round(self._x + self._height())
        if limit is None:
            return end, lost, half_width
        lower = round(max(0.0, self._excess(limit + period - self._origin - self._x)))
        return end - lower, lost, max(half_width, lower)

    def _excess(self, limit: float) -> float:
        """Return by how much the line lies after the earliest limits, of which this is one [ns]."""
        if self._count % (_LIMITS if self._count >= _WINDOW_BLOCKS else _LIMITS_EARLY) == 0:
            self._limits = [None, self._limits[0]]
        newest = self._limits[0]
        if newest is None or limit < newest[1] + self._slope * (self._x - newest[0]):
            self._limits[0] = self._x, limit
        height = self._height()
        return max(
            height - at - self._slope * (self._x - x) for x, at in filter(None, self._limits)
        )

    def _make_room(self) -> int:
        """Keep the newest stamps alone, and return their number."""
        for kept in (self._xs, self._offsets):
            kept[:_WINDOW_BLOCKS] = kept[_WINDOW_BLOCKS:]
        return _WINDOW_BLOCKS

    def _lose(self, jump: float, blocks: int, *, sure: bool = False) -> int:
        """Count a jump [ns] before the last blocks as a loss; return of how many samples.

        It is none, and all before it is dropped, where arrivals do not show it, unless it is
        ``sure``.
        """
        since = self._stop - blocks
        if not sure and self._arrive_as_before(blocks, jump):
            self._drop(since)
            return 0
        self._distances, self._limits = [0.0] * _LATEST, [None, None]
        missing = round(jump / self._period)
        moved = missing * self._period
        self._xs[since : self._stop] += moved
        self._offsets[since : self._stop] -= moved
        newest = [self._arrivals.pop() - moved for _ in range(blocks)]
        self._arrivals.extend(reversed(newest))
        self._x += moved
        return missing

    def _arrive_as_before(self, blocks: int, jump: float) -> bool:
        """Whether the newest blocks do not arrive later by a jump [ns] of their stamps."""
        arrivals = list(self._arrivals)
        before, after = arrivals[:-blocks], sorted(arrivals[-blocks:])
        # Some of them may have come before the jump. Arrivals of a recording are not known: NaN.
        earliest = after[int(_EARLIEST * blocks)]
        return bool(before) and earliest - min(before) < _ARRIVES_LATER * jump

    def _height(self) -> float:
        return self._offset + self._slope * (self._x - self._at)

    def _fit(self, samples: int) -> int:
        """Fit the line again, to the densest stamps; return the samples found lost.

        In the newest block there are so many ``samples``.
        """
        lost = self._find_step()
        self._fitted = self._count
        begin = max(0, self._stop - _WINDOW_BLOCKS)
        x = self._xs[begin : self._stop] - self._x
        y = self._offsets[begin : self._stop]
        rest = y - self._slope * x
        ordered = rest.copy()
        ordered.sort()
        low, high = _shortest(ordered, _DENSE)
        middle = (low + high) / 2
        least = min(self._period, _NOISE)
        near = np.abs(rest - middle) <= max(_NEAR * (high - low) / 2, least)
        # by numbers: quicker than two arrays by a mask
        numbers = near.nonzero()[0]
        x, y = x.take(numbers), y.take(numbers)
        count = len(x)
        # as `mean`, which is a function in Python
        across = x - np.add.reduce(x) / count
        # Least squares with a prior, which holds the slope while the stamps are few.
        prior = _CORRELATED * ((_NOISE + high - low) / _SLOPE_SD) ** 2
        slope = float(across @ y / (across @ across + prior))
        before = self._height()
        self._slope = min(max(slope, -_STEEPEST), _STEEPEST)
        self._at, self._offset = self._x, float(np.add.reduce(y - self._slope * x) / count)
        moved = abs(self._offset - before) if self._count > 1 else 0.0
        self._moved = max(moved, _FADE * self._moved)
        low, high = _shortest(ordered, 0.5)
        # by how much stamps of such blocks may wander
        rounded = min(float(self._step), _STEP_PERIODS * self._period)
        grain = max(min(_GRAIN, samples - 1) * self._period, rounded)
        self._half_width = high - low + self._moved + grain
        return lost

    def _find_step(self) -> int:
        """Return the samples lost before a step to another line, if there is one.

        Where the other line is earlier nothing was lost: the stamps before it are dropped.
        """
        begin, stop = max(0, self._stop - _WINDOW_BLOCKS), self._stop
        second = begin + int(self._xs[begin:stop].searchsorted(self._x - _STEP_LASTS))
        since = min(second, stop - _STEP_BLOCKS)
        if since <= begin:
            return 0
        x = self._xs[since:stop]
        above = np.sort(self._offsets[since:stop] - self._offset - self._slope * (x - self._at))
        middle = float(above[len(above) // 2])
        if abs(middle) < _STEP or np.mean(np.abs(above - middle) <= _STEP_SCATTER) < _STEP_SHARE:
            return 0
        if middle > 0:
            return self._lose(middle, stop - since)
        self._drop(since)
        return 0

    def _drop(self, since: int) -> None:
        """Keep the stamps from a number on, and fit the line to these alone."""
        count = self._stop - since
        for kept in (self._xs, self._offsets):
            kept[:count] = kept[since : self._stop].copy()
        self._arrivals = deque(list(self._arrivals)[-count:], maxlen=_WINDOW_BLOCKS)
        self._stop, self._fitted = count, self._count - _FIT_EVERY
        self._distances, self._limits = [0.0] * _LATEST, [None, None]


def _shortest(ordered: NDArray[np.float64], share: float) -> tuple[float, float]:
    """Return the ends of the shortest interval that holds a share of sorted values."""
    steps = min(len(ordered) - 1, ceil(share * len(ordered)))
    widths = ordered[steps:] - ordered[: len(ordered) - steps]
    k = int(widths.argmin())
    return float(ordered[k]), float(ordered[k + steps])
