"""Stamps that a driver makes itself on the host clock, one for each block: smooth them.

A sound driver tells when the first sample of a block was converted. Its stamps scatter to *both*
sides (they are estimated from buffer levels), and the first ones, and those after a stall, may be
tens of milliseconds early. So neither the earliest line, which is right for arrivals, nor a mean
will do; the median of the last blocks is not moved by a few wrong ones.
"""

from collections import deque

import numpy as np

from rxstream.timing.stamp import State

__all__ = ["DriverStamps"]

_KEPT = 101  # blocks in the median
_EVERY = 8  # blocks from one median to the next
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

    __slots__ = ("_count", "_doubt", "_offset", "_offsets", "_origin", "_period", "_x")

    def __init__(self, period: float) -> None:
        self._period = period
        self.restart()

    def restart(self) -> None:
        """Begin anew, as for a device that was opened again."""
        self._origin: int | None = None
        self._x = 0.0  # device time of the end of the last block since the origin [ns]
        self._offsets: deque[float] = deque(maxlen=_KEPT)
        self._offset = self._doubt = 0.0
        self._count = 0

    @property
    def blocks(self) -> int:
        """How many blocks it has seen."""
        return self._count

    @property
    def state(self) -> State:
        """``warming`` for the first half of the blocks it looks at, then ``locked``."""
        return "warming" if self._count < _KEPT // 2 else "locked"

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
            95 % of the stamps lie within so much of the line [ns].
        """
        period = self._period
        if self._origin is None:
            self._origin = first
        self._x += (count + lost) * period
        offset = first - self._origin + count * period - self._x
        jump = (offset - self._offset) / 1e9
        if self._count and (jump > _JUMP or (overrun and jump > _AFTER_OVERRUN)):
            missing = round((offset - self._offset) / period)
            lost += missing
            self._x += missing * period
            offset -= missing * period
        self._offsets.append(offset)
        self._count += 1
        if self._count < _EVERY or self._count % _EVERY == 0:
            offsets = np.fromiter(self._offsets, np.float64)
            self._offset = float(np.median(offsets))
            self._doubt = float(np.quantile(np.abs(offsets - self._offset), 0.95))
        return self._origin + round(self._x + self._offset), lost, self._doubt
