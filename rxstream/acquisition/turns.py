"""`Turns`: when a device is polled, on a schedule that does not drift."""

import threading
from collections.abc import Callable

from rxstream.data.clock import now_ns

__all__ = ["Turns"]

# Longest single wait [s]: the host clock counts the sleep of the computer, and a wait does not.
_LONGEST_WAIT = 1.0


class Turns:
    """Turns of a device that is polled: turn ``k`` is due at ``k * every`` after the first.

    A loop that sleeps for ``every`` after each read takes longer than that for a turn, and drifts.
    These are due at whole multiples, whatever the reads take. A turn that is late is taken at once;
    when the next one is due before it is, it is skipped.

    Parameters
    ----------
    every
        Time from turn to turn [ns].
    stop
        Set when there is to be no further turn.
    now
        Function that returns the host time [ns].
    wait
        Function that waits for up to some seconds [s], and returns whether to stop.

    Examples
    --------
    >>> clock = [1000]
    >>> def wait(seconds):
    ...     clock[0] += round(seconds * 1e9)
    >>> turns = Turns(100, threading.Event(), now=lambda: clock[0], wait=wait)
    >>> turns.next(), clock[0]
    (0, 1000)
    >>> clock[0] += 30  # the read has taken 30 ns
    >>> turns.next(), clock[0]
    (0, 1100)
    >>> clock[0] += 330  # two turns are past, and a third is late
    >>> turns.next(), clock[0]
    (2, 1430)
    """

    __slots__ = ("_due", "_every", "_now", "_stop", "_wait")

    def __init__(
        self,
        every: int,
        stop: threading.Event,
        *,
        now: Callable[[], int] = now_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._every, self._stop, self._now = every, stop, now
        self._wait = wait or stop.wait
        self._due: int | None = None

    def next(self) -> int:
        """Wait for the next turn; return how many were skipped before it."""
        now = self._now()
        if self._due is None:
            self._due = now
            return 0
        self._due += self._every
        skipped = max(0, (now - self._due) // self._every)
        self._due += skipped * self._every
        while self._due > now and not self._stop.is_set():
            self._wait(min((self._due - now) * 1e-9, _LONGEST_WAIT))
            now = self._now()
        return skipped
