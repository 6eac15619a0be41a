"""`Watchdog`: finds a device that is there, and gives nothing any more."""

import threading
from collections.abc import Callable

from rxstream.flag import Flag

__all__ = ["StallTimer", "Watchdog"]

# Looks within the time allowed, so that it is overrun by that part at most; and bounds of the time
# between two looks [ns].
_LOOKS, _SHORTEST, _LONGEST = 8, 5_000_000, 1_000_000_000

# A look counts at most as many of its intervals: while the computer sleeps, or the program stands
# still, the device cannot be heard.
_MOST = 2


class StallTimer:
    """Counts for how long nothing has come, as far as anybody could have heard it.

    Parameters
    ----------
    span
        How long nothing may come [ns].

    Examples
    --------
    >>> timer = StallTimer(800_000_000)
    >>> [timer.look(k * timer.every, mark="5 samples") for k in range(10)].index(True)
    8
    """

    __slots__ = ("_looked", "_mark", "_silent", "_span", "every")

    def __init__(self, span: int) -> None:
        self._span = span
        self.every = min(max(span // _LOOKS, _SHORTEST), _LONGEST)
        """Time between two looks [ns]."""
        self._mark: object = None
        self._looked = self._silent = 0

    def look(self, now: int, mark: object) -> bool:
        """Whether nothing has come for too long.

        Parameters
        ----------
        now
            The time [ns].
        mark
            What changes with each sample; None while none is expected.
        """
        step, self._looked = now - self._looked, now
        if mark is None or mark != self._mark:
            self._mark, self._silent = mark, 0
            return False
        self._silent += min(step, _MOST * self.every)
        return self._silent >= self._span


class Watchdog:
    """A thread that looks at intervals whether samples have come.

    Parameters
    ----------
    name
        Name of the device.
    span
        How long nothing may come [ns].
    now
        Clock [ns].
    look
        Returns what changes with each sample, None while none is expected. Raises StopIteration
        where none is to come any more.
    stalled
        Called when nothing has come for that long.
    over
        Ends it.
    """

    def __init__(
        self,
        name: str,
        span: int,
        *,
        now: Callable[[], int],
        look: Callable[[], object],
        stalled: Callable[[], None],
        over: Flag,
    ) -> None:
        self._timer, self._now = StallTimer(span), now
        self._look, self._stalled, self._over = look, stalled, over
        self._thread = threading.Thread(
            target=self._run, name=f"rxstream-{name}-watchdog", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._timer.every / 1e9):
            try:
                mark = self._look()
            except StopIteration:
                return
            if self._timer.look(self._now(), mark):
                self._stalled()

    def join(self, timeout: float) -> None:
        """Wait for its end, up to ``timeout`` [s]; it may be the calling thread."""
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
