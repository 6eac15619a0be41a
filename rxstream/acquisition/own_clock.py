"""`OwnClockCheck`: whether a stamp of a device's own clock fits the ones before it.

Such a clock has any zero and may be set anew, so one stamp alone shows nothing. Against arrival it
can fall behind, as delays grow, but not run ahead of the least delay; nor does it go back. A stamp
that does either waits for the next one: if that goes on from it, the clock was set; if it goes on
from the old ones, the stamp was wrong.
"""

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.evidence import StampReports
from rxstream.acquisition.strays import FAR, find_strays
from rxstream.data.clock import FOREVER, NEVER

__all__ = ["OwnClockCheck"]

# A stamp may be ahead of the least delay so far by this [ns], as the least so far may be none. One
# that is further ahead and true costs nothing but its reading, which comes by arrival.
_AHEAD = 100_000_000
# Largest error of a device's clock; see `_STEEPEST` in `timing.online.envelope`.
_MAX_SKEW = 0.03


class OwnClockCheck:
    """Believes stamps of a device's own clock, or not.

    Parameters
    ----------
    reports
        Takes the stamps that were wrong.
    live
        Whether arrivals say anything; those of a recording do not.
    back
        By how much stamps may go back [ns]: of irregular samples, as those of several channels come
        out of order.

    Examples
    --------
    >>> check = OwnClockCheck(StampReports("imu"), live=True)
    >>> second = 1_000_000_000
    >>> [check.believes(own * second, own * second, (1000 + k) * second)
    ...  for k, own in enumerate((5, 6, 900, 8, 2, 3))]
    [True, True, False, True, False, True]
    """

    __slots__ = ("_ahead", "_arrival", "_back", "_last", "_live", "_reports", "_waiting")

    def __init__(self, reports: StampReports, *, live: bool, back: int = FAR) -> None:
        self._reports, self._live, self._back = reports, live, back
        self.restart()

    def restart(self) -> None:
        """Expect the clock to begin anew."""
        self._last: int | None = None  # newest stamp believed [ns]
        self._ahead = 0  # most that a stamp was ahead of its arrival, lately [ns]
        self._arrival = 0  # of the newest one believed [ns]
        self._waiting: tuple[int, int] | None = None  # a stamp that did not fit, and its arrival

    def believes(self, first: int, last: int, arrival: int) -> bool:
        """Return whether the first and last stamp of a reading [ns] fit the ones before."""
        before = self._last
        if before is not None and not self._fits(
            first, last, arrival, before, self._limit(arrival)
        ):
            waiting = self._waiting
            self._waiting = last, arrival
            if waiting is None:
                return False
            own, then = waiting
            if not self._fits(first, last, arrival, own, own - then + self._slack(arrival - then)):
                self._report(own)
                return False
            # the clock was set: this one goes on from the stamp that did not fit
            self._ahead = own - then
        elif self._waiting is not None:
            self._report(self._waiting[0])
        self._waiting = None
        drift = round(_MAX_SKEW * max(0, arrival - self._arrival))
        ahead = last - arrival
        self._ahead = ahead if before is None else max(ahead, self._ahead - drift)
        self._last, self._arrival = last, arrival
        return True

    def edges(
        self, own: NDArray[np.int64], arrival: int
    ) -> tuple[tuple[int, int] | None, NDArray[np.bool_] | None]:
        """Return first and latest stamp of a reading, and which of it are wrong.

        Parameters
        ----------
        own
            Stamps int64 ``(n,)`` [ns].
        arrival
            Host time of arrival [ns].

        Returns
        -------
        edges
            None if none is believed.
        strays
            bool ``(n,)``; None if all are believed.
        """
        if len(own) > 1:
            strays = self.strays(own, arrival)
            good = np.flatnonzero(~strays)
            # a few at the end that lie behind the others, or a clock that was set between them
            backward = np.flatnonzero(np.diff(own[good]) < -FAR)
            if len(backward):
                tail = int(good[backward[0] + 1])
                edges = int(own[good[0]]), int(own[good[: backward[0] + 1]].max())
                strays[tail:] = True
                believed = self.believes(*edges, arrival)
                self._waiting = int(own[good[-1]]), arrival
                return (edges if believed else None), strays
            if len(good) < len(own) and len(good):
                self._report(int(own[strays][0]))
                edges = int(own[good[0]]), int(own[good].max())
                return (edges if self.believes(*edges, arrival) else None), strays
        edges = int(own[0]), int(own.max())
        return (edges if self.believes(*edges, arrival) else None), None

    def strays(self, own: NDArray[np.int64], arrival: int) -> NDArray[np.bool_]:
        """Return which stamps ``(n,)`` [ns] of a reading are out of line with the others."""
        before = self._last
        limit = FOREVER
        if self._live and before is not None:
            limit = min(arrival + self._limit(arrival), FOREVER)
        strays = (own > limit) | (own < NEVER)
        if strays.any() or not _in_order(own, before):
            rest = np.flatnonzero(~strays)
            strays[rest[find_strays(own[rest], before)]] = True
        return strays

    def _limit(self, arrival: int) -> int:
        """Return by how much a stamp may be ahead of its arrival [ns]."""
        return self._ahead + self._slack(arrival - self._arrival)

    def _slack(self, elapsed: int) -> int:
        return _AHEAD + round(_MAX_SKEW * max(0, elapsed))

    def _fits(self, first: int, last: int, arrival: int, before: int, limit: int) -> bool:
        return first >= before - self._back and (not self._live or last - arrival <= limit)

    def _report(self, stamp: int) -> None:
        self._reports.add("own", f"device_time {stamp} is out of line with those around it")


def _in_order(own: NDArray[np.int64], before: int | None) -> bool:
    return (before is None or own.item(0) >= before - FAR) and bool((own[1:] >= own[:-1]).all())
