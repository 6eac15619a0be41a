"""Stamps that a driver makes itself on the host clock, one for each block: smooth them.

A sound driver tells when the first sample of a block was converted, from how full its buffers
are. Most stamps then lie on a line within some ten microseconds. The others lie anywhere: tens of
milliseconds early after a stall, milliseconds late and in bunches when the machine is busy, at
times more than half of all. So neither the earliest line, which is right for arrivals, nor a mean
or a median will do: the line is looked for where the stamps lie *densest* (the shortest interval
that holds a quarter of them, a robust estimate of the mode), and a straight line through those
follows the drift of the device's clock.

A jump that lasts is a loss that nobody told, or a driver that has changed its mind. It is sure when
the stamps of a second agree, and of at least twenty blocks, or three in a row on a long one; until
then the uncertainty tells.
"""

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.stamp import State

__all__ = ["DriverStamps"]

_KEPT = 1000  # blocks the line goes through
_WARM = 50  # blocks until it is called locked
_EVERY, _OFTEN = 16, 4  # blocks from one line to the next; and at first
_DENSE = 0.25  # the share of stamps that must agree
_FAR = 3.0  # stamps up to so many widths of the dense part from its middle are on the line
_USUAL = 1e-4  # clocks of sound cards are off by about this, before anything is known
_STEEPEST = 1e-3  # no clock is off by more; what drivers tell sometimes is
_LINKED = 10  # so many stamps in a row err alike
_NOISE = 5e4  # of a stamp on the line [ns]
_GRAIN = 2  # a driver counts whole samples, and what it tells wanders by as many
_FADE = 0.8  # of what the last corrections were, from one line to the next
_JUMP = 5e8  # blocks in a row that are so late are after a loss, told or not [ns]
_ROW = 3  # so many
_AFTER_OVERRUN = 2e6  # so late is enough, and one, when the driver says that it lost samples [ns]
_STEP = 2e7  # stamps that are so far from the line [ns],
_LASTING = 1e9  # for so long [ns],
_ALIKE = 1e6  # and nine in ten so near each other [ns], are on another one
_FEW = 20  # of so many blocks at least
_LATEST = 5  # blocks that show whether the line still holds


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
    ...     end, lost, doubt = stamps.push(10, k * 10_000_000 - early)
    >>> end, lost
    (500000000, 0)
    """

    __slots__ = (
        "_at", "_away", "_count", "_doubt", "_drawn", "_far", "_moved", "_offset", "_offsets",
        "_origin", "_period", "_slope", "_stop", "_x", "_xs",
    )  # fmt: skip

    def __init__(self, period: float) -> None:
        self._period = period
        self._xs, self._offsets = np.empty(2 * _KEPT), np.empty(2 * _KEPT)
        self.restart()

    def restart(self) -> None:
        """Begin anew, as for a device that was opened again."""
        self._origin: int | None = None
        self._x = 0.0  # device time of the end of the last block since the origin [ns]
        self._stop = 0  # where the next block's goes; the last `_KEPT` of them count
        # the line: its height at a place [ns] and its slope; how sure it is [ns]
        self._at = self._offset = self._slope = self._moved = self._doubt = 0.0
        self._count = self._drawn = 0
        self._away = [0.0] * _LATEST  # how far the last blocks were from the line [ns]
        self._far: list[float] = []  # how late the last blocks were, if all far too late [ns]

    @property
    def blocks(self) -> int:
        """How many blocks it has seen."""
        return self._count

    @property
    def state(self) -> State:
        """``warming`` for the first blocks, then ``locked``."""
        return "warming" if self._count < _WARM else "locked"

    def push(
        self, count: int, first: int, lost: int = 0, *, overrun: bool = False
    ) -> tuple[int, int, float]:
        """Take the next block.

        Parameters
        ----------
        count
            Samples in it.
        first
            The driver's stamp of the first one, host time [ns].
        lost
            Samples known to be lost before it.
        overrun
            Whether the driver says that it has just lost some, without saying how many.

        Returns
        -------
        end
            Time of the sample after the block [ns].
        lost
            Samples lost before it, as far as can be known.
        doubt
            How far apart half of the stamps lie, how far the line moved of late, and how far the
            last blocks, all of them, lie from it [ns].
        """
        period = self._period
        if self._origin is None:
            self._origin = first
        self._x += (count + lost) * period
        offset = first - self._origin + count * period - self._x
        beyond = offset - self._height()
        far = self._far
        if self._count and beyond > (_AFTER_OVERRUN if overrun else _JUMP):
            far.append(beyond)
        elif far:
            far.clear()
        self._away[self._count % _LATEST] = abs(beyond) if self._count else 0.0
        self._note(self._x, offset)
        if len(far) >= (1 if overrun else _ROW):
            lost += self._lose(min(far), len(far))
            far.clear()
        self._count += 1
        if self._count - self._drawn >= (_EVERY if self._count > _WARM else _OFTEN):
            lost += self._draw()
        elif self._count <= _OFTEN:
            self._draw()
        doubt = self._doubt + min(self._away)
        return self._origin + round(self._x + self._height()), lost, doubt

    def _note(self, x: float, offset: float) -> None:
        if self._stop == len(self._xs):
            self._xs[:_KEPT], self._offsets[:_KEPT] = self._xs[_KEPT:], self._offsets[_KEPT:]
            self._stop = _KEPT
        self._xs[self._stop], self._offsets[self._stop] = x, offset
        self._stop += 1

    def _lose(self, jump: float, blocks: int) -> int:
        """Count a jump [ns] before the last blocks as a loss; return of how many samples."""
        self._away = [0.0] * _LATEST
        missing = round(jump / self._period)
        moved, since = missing * self._period, self._stop - blocks
        self._xs[since : self._stop] += moved
        self._offsets[since : self._stop] -= moved
        self._x += moved
        return missing

    def _height(self) -> float:
        return self._offset + self._slope * (self._x - self._at)

    def _draw(self) -> int:
        """Draw the line anew, through the stamps that lie densest; return samples found lost."""
        self._drawn = self._count
        lost = self._look_for_a_step()
        begin = max(0, self._stop - _KEPT)
        x = self._xs[begin : self._stop] - self._x
        y = self._offsets[begin : self._stop]
        rest = y - self._slope * x
        ordered = np.sort(rest)
        low, high = _shortest(ordered, _DENSE)
        middle = (low + high) / 2
        near = np.abs(rest - middle) <= max(_FAR * (high - low) / 2, self._period)
        x, y = x[near], y[near]
        across = x - x.mean()
        # a least squares line, whose slope is held near the usual until there is enough to tell
        prior = _LINKED * ((_NOISE + high - low) / _USUAL) ** 2
        slope = float(across @ y / (across @ across + prior))
        before = self._height()
        self._slope = min(max(slope, -_STEEPEST), _STEEPEST)
        self._at, self._offset = self._x, float(np.mean(y - self._slope * x))
        moved = abs(self._offset - before) if self._count > 1 else 0.0
        self._moved = max(moved, _FADE * self._moved)
        low, high = _shortest(ordered, 0.5)
        self._doubt = high - low + self._moved + _GRAIN * self._period
        return lost

    def _look_for_a_step(self) -> int:
        """See whether the stamps have been on another line for long; return samples lost before it.

        Where they are earlier than before nothing was lost: what was known is forgotten.
        """
        begin, stop = max(0, self._stop - _KEPT), self._stop
        second = begin + int(self._xs[begin:stop].searchsorted(self._x - _LASTING))
        since = min(second, stop - _FEW)
        if since <= begin:
            return 0
        x = self._xs[since:stop]
        above = np.sort(self._offsets[since:stop] - self._offset - self._slope * (x - self._at))
        middle = float(above[len(above) // 2])
        if abs(middle) < _STEP or np.mean(np.abs(above - middle) <= _ALIKE) < 0.9:
            return 0
        if middle > 0:
            return self._lose(middle, stop - since)
        count = stop - since
        self._xs[:count], self._offsets[:count] = x.copy(), self._offsets[since:stop].copy()
        self._stop, self._away = count, [0.0] * _LATEST
        return 0


def _shortest(ordered: NDArray[np.float64], share: float) -> tuple[float, float]:
    """Return the ends of the shortest interval that holds a share of sorted values."""
    steps = min(len(ordered) - 1, int(np.ceil(share * len(ordered))))
    widths = ordered[steps:] - ordered[: len(ordered) - steps]
    k = int(np.argmin(widths))
    return float(ordered[k]), float(ordered[k + steps])
