"""Stamps that a driver makes itself on the host clock, one for each block: smooth them.

A sound driver tells when the first sample of a block was converted, from how full its buffers
are. Most stamps then lie on a line within some ten microseconds. The others lie anywhere: tens of
milliseconds early after a stall, milliseconds late and in bunches when the machine is busy, at
times more than half of all. So neither the earliest line, which is right for arrivals, nor a mean
or a median will do: the line is looked for where the stamps lie *densest* (the shortest interval
that holds a quarter of them, a robust estimate of the mode), and a straight line through those
follows the drift of the device's clock.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.stamp import State

__all__ = ["DriverStamps"]

_KEPT = 1000  # blocks the line goes through
_WARM = 50  # blocks until it is called locked
_EVERY = 8  # blocks from one line to the next
_DENSE = 0.25  # the share of stamps that must agree
_FAR = 3.0  # stamps up to so many widths of the dense part from its middle are on the line
_USUAL = 1e-4  # clocks of sound cards are off by about this, before anything is known
_STEEPEST = 1e-3  # no clock is off by more; what drivers tell sometimes is
_LINKED = 10  # so many stamps in a row err alike
_NOISE = 5e4  # of a stamp on the line [ns]
_GRAIN = 2  # a driver counts whole samples, and what it tells wanders by as many
_FADE = 0.8  # of what the last corrections were, from one line to the next
_JUMP = 0.5  # a lasting jump of at least this is a loss, told or not [s]
_AFTER_OVERRUN = 0.002  # and of this, when the driver says that it lost samples [s]


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
        "_at", "_count", "_doubt", "_moved", "_offset", "_offsets", "_origin", "_period", "_slope",
        "_x", "_xs",
    )  # fmt: skip

    def __init__(self, period: float) -> None:
        self._period = period
        self.restart()

    def restart(self) -> None:
        """Begin anew, as for a device that was opened again."""
        self._origin: int | None = None
        self._x = 0.0  # device time of the end of the last block since the origin [ns]
        self._xs: deque[float] = deque(maxlen=_KEPT)
        self._offsets: deque[float] = deque(maxlen=_KEPT)
        # the line: its height at a place [ns] and its slope; how sure it is [ns]
        self._at = self._offset = self._slope = self._moved = self._doubt = 0.0
        self._count = 0

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
            How far apart half of the stamps lie, and how far the line moved of late [ns].
        """
        period = self._period
        if self._origin is None:
            self._origin = first
        self._x += (count + lost) * period
        offset = first - self._origin + count * period - self._x
        beyond = offset - self._height()
        if self._count and (beyond > _JUMP * 1e9 or (overrun and beyond > _AFTER_OVERRUN * 1e9)):
            missing = round(beyond / period)
            lost += missing
            self._x += missing * period
            offset -= missing * period
        self._xs.append(self._x)
        self._offsets.append(offset)
        self._count += 1
        if self._count < _EVERY or self._count % _EVERY == 0:
            self._draw()
        return self._origin + round(self._x + self._height()), lost, self._doubt

    def _height(self) -> float:
        return self._offset + self._slope * (self._x - self._at)

    def _draw(self) -> None:
        """Draw the line anew, through the stamps that lie densest about the last one."""
        x = np.fromiter(self._xs, np.float64) - self._x
        y = np.fromiter(self._offsets, np.float64)
        rest = y - self._slope * x
        low, high = _shortest(rest, _DENSE)
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
        low, high = _shortest(rest, 0.5)
        self._doubt = high - low + self._moved + _GRAIN * self._period


def _shortest(values: NDArray[np.float64], share: float) -> tuple[float, float]:
    """Return the ends of the shortest interval that holds a share of the values."""
    ordered = np.sort(values)
    steps = min(len(ordered) - 1, int(np.ceil(share * len(ordered))))
    widths = ordered[steps:] - ordered[: len(ordered) - steps]
    k = int(np.argmin(widths))
    return float(ordered[k]), float(ordered[k + steps])
