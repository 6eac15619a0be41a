"""Hysteresis: on at one level, off at another, so that a wavering level is one event."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.gap import Gap

__all__ = ["Flags", "Hysteresis"]

Flags: TypeAlias = NDArray[np.bool_]
# "closed last" of what has never been open [ns]: before every time, also with durations added to it
_LONG_AGO = -(1 << 63)


class Hysteresis:
    """Whether something is open, sample by sample.

    It opens at a sample whose level says on, and closes where the level has said off for ``hold``.

    Parameters
    ----------
    hold
        How long it stays open while the level says off [ns].
    is_open
        Whether it is open before the first sample.

    Attributes
    ----------
    open
        Whether it is open after the last sample.
    closed
        Time at which it closed last [ns].
    """

    __slots__ = ("_hold", "_off_since", "closed", "open")

    def __init__(self, hold: int = 0, *, is_open: bool = False) -> None:
        self._hold, self.open = hold, is_open
        # start of the time for which the level says off up to now [ns]
        self._off_since: int | None = None
        self.closed = _LONG_AGO

    def stays(self, on: Flags, off: Flags) -> bool:
        """Return whether these samples neither change its state nor begin to."""
        return self._off_since is None and not off.any() if self.open else not on.any()

    def switch(self, on: Flags, off: Flags) -> tuple[Flags, Flags]:
        """Take adjacent samples, at least one; open where they say on, close where they say off.

        Parameters
        ----------
        on, off
            ``(n,)``; never both.

        Returns
        -------
        is_open, was_open
            Whether it is open at each sample, and before each, ``(n,)``.
        """
        # a sample that says neither is as the one before it
        decided = np.maximum.accumulate(np.where(on | off, np.arange(len(on)), -1))
        is_open = np.where(decided < 0, self.open, on[decided])
        was_open = np.concatenate(([self.open], is_open[:-1]))
        self.open = bool(is_open[-1])
        return is_open, was_open

    def push(
        self, on: Flags, off: Flags, times: NDArray[np.int64]
    ) -> tuple[Flags, NDArray[np.int64]]:
        """Take adjacent samples, at least one; close where they have said off for ``hold``.

        Parameters
        ----------
        on, off
            What the level of each says, ``(n,)``; never both.
        times
            Of the samples [ns], ``(n,)``.

        Returns
        -------
        is_open, closed
            Whether it is open at each sample, ``(n,)``, and when it had closed last [ns], ``(n,)``.
        """
        places = np.arange(len(on))
        was_off = np.concatenate(([self._off_since is not None], off[:-1]))
        begun = np.maximum.accumulate(np.where(off & ~was_off, places, -1))
        first = 0 if self._off_since is None else self._off_since
        # start of the offs that each sample lies in or that came before it
        since = np.where(begun < 0, first, times[begun])
        is_over = (off | was_off) & (times - since >= self._hold)
        is_open, was_open = self.switch(on, is_over & ~on)
        last = np.maximum.accumulate(np.where(was_open & ~is_open, places, -1))
        closed = np.where(last < 0, self.closed, since[last] + self._hold)
        self._off_since = int(since[-1]) if off[-1] else None
        self.closed = int(closed[-1])
        return is_open, closed

    def lose(self, gap: Gap) -> None:
        """Close in a gap longer than ``hold``: what happened in it is unknown."""
        whole = gap.whole or gap
        if self.open and whole.end - whole.start > self._hold:
            over = whole.start if self._off_since is None else self._off_since + self._hold
            self.open, self.closed = False, min(over, whole.start)
