"""`OwnClockCheck`: whether a stamp of a device's own clock fits the ones before it.

Such a clock has any zero and may be set anew, so one stamp alone shows nothing. Against arrival it
can fall behind, as delays grow, but not run ahead of the least delay; nor does it go back. A stamp
that does either waits for the next one: if that goes on from it, the clock was set; if it goes on
from the old ones, the stamp was wrong.

Irregular samples of several channels come out of order, so stamps that go back a little wait for
more (`_Turn`): those out of order are soon followed by one that is not, a clock that was set back
goes on at the pace of arrival. A clock that hardly moves while readings arrive is none.
"""

from typing import NamedTuple

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
# Stamps that go back by less are noise, as of a coarse clock [ns].
_NOISE = 2_000_000
# Readings after one that went back a little that must go on from it: the clock was set.
_TURN_READINGS = 3
# How far a clock moves is looked at over this time of arrival [ns]: it stands still where it moves
# by less than half of it twice, as what waited in one stall comes at once.
_WATCHED, _WATCHES = 1_000_000_000, 2


class _Turn(NamedTuple):
    """A stamp that went back a little [ns]."""

    step: int
    own: int
    arrival: int
    followed: int = 0  # readings that went on from it


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

    Attributes
    ----------
    renewed
        Whether the reading just believed is the first of a clock that was set, or stood still: it
        has nothing to do with those before.
    given_up
        Whether with this reading the clock was seen to stand still: what was believed was none.

    Examples
    --------
    >>> check = OwnClockCheck(StampReports("imu"), live=True)
    >>> second = 1_000_000_000
    >>> [check.believes(own * second, own * second, (1000 + k) * second)
    ...  for k, own in enumerate((5, 6, 900, 8, 2, 3))]
    [True, True, False, True, False, True]
    """

    __slots__ = (
        "_ahead", "_arrival", "_back", "_disorder", "_last", "_live", "_reports", "_slow", "_turn",
        "_waiting", "_watched", "given_up", "renewed",
    )  # fmt: skip

    def __init__(self, reports: StampReports, *, live: bool, back: int = FAR) -> None:
        self._reports, self._live, self._back = reports, live, back
        self.restart()

    def restart(self) -> None:
        """Expect the clock to begin anew."""
        self._last: int | None = None  # newest stamp believed [ns]
        self._ahead = 0  # most that a stamp was ahead of its arrival, lately [ns]
        self._arrival = 0  # of the newest one believed [ns]
        self._waiting: tuple[int, int] | None = None  # a stamp that did not fit, and its arrival
        self._turn: _Turn | None = None
        self._disorder = _NOISE  # by how much stamps were seen to be out of order, and more [ns]
        self._watched: tuple[int, int] | None = None  # a stamp, and its arrival
        self._slow = 0  # times that the clock was seen to stand still, one after the other
        self.renewed = self.given_up = False

    def believes(self, first: int, last: int, arrival: int) -> bool:
        """Return whether the first and last stamp of a reading [ns] fit the ones before."""
        before, self.renewed, self.given_up = self._last, False, False
        if self._live and not self._moves(last, arrival):
            return False
        if before is not None and (
            not self._fits(first, last, arrival, before, self._limit(arrival))
            or (self._waiting is not None and self._goes_on(*self._waiting, last, arrival))
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
            if own < before:
                self._renew(before + then - self._arrival - own)
            self.renewed = True
            self._begin(last, arrival)
            return True
        if self._waiting is not None:
            self._report(self._waiting[0])
            self._waiting = None
        if before is not None and (self._turn or last < before - self._disorder):
            if self._is_set(before, last, arrival):
                self._begin(last, arrival)
                return True
            if self._turn:
                return False
        drift = round(_MAX_SKEW * max(0, arrival - self._arrival))
        ahead = last - arrival
        self._ahead = ahead if before is None else max(ahead, self._ahead - drift)
        self._last, self._arrival = last if before is None else max(before, last), arrival
        return True

    def _goes_on(self, own: int, then: int, last: int, arrival: int) -> bool:
        """Return whether a stamp is nearer to one that waits behind than to those before [ns]."""
        waits, now = own - then, last - arrival
        return self._live and waits < self._ahead and 2 * now < waits + self._ahead

    def _begin(self, last: int, arrival: int) -> None:
        """Take a stamp [ns] as the first of a clock that was set."""
        self._last, self._arrival, self._ahead = last, arrival, last - arrival
        self._waiting = self._turn = None
        self._watched, self._slow = (last, arrival), 0

    def _is_set(self, before: int, last: int, arrival: int) -> bool:
        """Return whether stamps that go back a little show that the clock was set.

        As long as that is open `_turn` is not None.
        """
        turn, behind = self._turn, before - last
        if turn is not None:
            step = turn.step
            passed, elapsed = last - turn.own, arrival - turn.arrival
            drift = round(_MAX_SKEW * max(0, arrival - self._arrival))
            in_order = last - arrival > self._ahead - drift - step // 2
            ahead_of_time = passed > elapsed + step // 2
            if in_order or (ahead_of_time and last >= before):
                self._disorder = min(max(self._disorder, 2 * step), self._back)
            elif not ahead_of_time and passed >= -step // 2:
                followed = turn.followed + 1
                if followed >= _TURN_READINGS and 2 * elapsed >= step:
                    self._renew(before + arrival - self._arrival - last)
                    return True
                self._turn = turn._replace(followed=followed)
                return False
        self._turn = _Turn(behind, last, arrival) if behind > self._disorder else None
        return False

    def _renew(self, back: int) -> None:
        self.renewed = True
        self._reports.add(
            "set", f"its own clock was set back by {back / 1e9:.3g} s",
            "the samples until that was sure have times of arrival",
        )  # fmt: skip

    def _moves(self, last: int, arrival: int) -> bool:
        """Return whether the clock moves, by the newest stamp of a reading [ns]."""
        if self._watched is None:
            self._watched = last, arrival
        own, then = self._watched
        if arrival - then > _WATCHED:
            self._watched = last, arrival
            if 0 <= 2 * (last - own) < arrival - then:
                self._slow += 1
                if self._slow == _WATCHES:
                    self.given_up = True
                    self._reports.add("still", _still(last - own, arrival - then))
            else:
                moved, self._slow = self._slow >= _WATCHES, 0
                if moved:
                    self.restart()
                    self.renewed = True
        return self._slow < _WATCHES

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
        beyond = "beyond " if abs(stamp) >= FOREVER else ""
        self._reports.add("own", f"device_time {beyond}{stamp} is out of line with those around it")


def _still(passed: int, elapsed: int) -> str:
    return (
        f"device_time went on by {passed} while {elapsed / 1e9:.3g} s passed; give a clock that "
        "moves, in nanoseconds"
    )


def _in_order(own: NDArray[np.int64], before: int | None) -> bool:
    return (before is None or own.item(0) >= before - FAR) and bool((own[1:] >= own[:-1]).all())
