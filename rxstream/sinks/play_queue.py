"""`PlayQueue`: samples on their way from a subscriber to the thread of a sound driver."""

import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import SinkError
from rxstream.printable import get_logger

__all__ = ["PlayQueue"]

_logger = get_logger(__name__)

# A driver that has taken nothing for this long hangs [s].
_STALLED = 3.0


class PlayQueue:
    """A bounded queue; playing begins once it is half full, and anew after it ran empty.

    What lies in it for as long as half of it lasts is played, too.

    Parameters
    ----------
    name
        Name for messages.
    channels, dtype
        Of the samples.
    capacity
        Most samples in it.

    Attributes
    ----------
    underruns
        How often it was empty while the stream went on.
    silent
        Samples of silence that were given for want of others, and for gaps, since the first one.

    Examples
    --------
    >>> queue = PlayQueue("speaker", 1, np.dtype("i2"), capacity=4)
    >>> queue.put(np.array([[1], [2]], "i2"))
    >>> out = np.empty((3, 1), "i2")
    >>> queue.take(out), out.ravel(), queue.underruns
    (False, array([1, 2, 0], dtype=int16), 1)
    """

    def __init__(self, name: str, channels: int, dtype: np.dtype[Any], *, capacity: int) -> None:
        self._name, self._capacity = name, capacity
        self._channels, self._dtype = channels, dtype
        self._parts: deque[tuple[NDArray[Any], bool]] = deque()  # samples, whether they are silence
        self._changed = threading.Condition()
        self._level = self._taken = 0
        self._waited = 0  # samples of silence given while there were others
        self._starved = 0  # samples of silence since the last of the stream was given
        self._begun = self._plays = self._ending = self._logged = False
        self._failed = ""
        self.underruns = self.silent = 0

    @property
    def left(self) -> int:
        """Samples in it."""
        return self._level

    @property
    def has_failed(self) -> bool:
        """Whether the driver has stopped."""
        return bool(self._failed)

    # -- of the subscriber --------------------------------------------------------------------

    def put(self, data: NDArray[Any]) -> None:
        """Append samples ``(n, channels)``; wait while it is full.

        Raises
        ------
        SinkError
            If the driver is gone, or has taken nothing for 3 s.
        """
        self._put(np.ascontiguousarray(data, self._dtype), silent=False)

    def put_silence(self, count: int) -> None:
        """Append silence for lost samples, less what was silent already as nothing came."""
        with self._changed:
            heard = min(count, self._starved)
            self._starved -= heard
            left = count - heard
        while left > 0:
            n = min(left, self._capacity)
            self._put(np.zeros((n, self._channels), self._dtype), silent=True)
            left -= n

    def _put(self, data: NDArray[Any], *, silent: bool) -> None:
        done = 0
        if self.underruns and not self._logged:
            self._logged = True
            _logger.warning(
                "%s: an underrun: the stream came too late, or this machine is too slow; give a "
                "larger buffer= or latency=",
                self._name,
            )
        with self._changed:
            while done < len(data):
                taken = self._taken
                room = self._changed.wait_for(
                    lambda: self._failed or self._level < self._capacity, _STALLED
                )
                if self._failed:
                    msg = f"{self._name}: {self._failed}; make a new one to play on"
                    raise SinkError(msg)
                if not room:
                    if taken != self._taken:
                        continue
                    msg = f"{self._name}: the output has taken nothing for {_STALLED:g} s"
                    raise SinkError(msg)
                n = min(self._capacity - self._level, len(data) - done)
                # a chunk is never written to again
                self._parts.append((data[done : done + n], silent))
                self._level += n
                done += n

    def end(self) -> int:
        """Expect no more samples; return how many are in it."""
        with self._changed:
            self._ending = True
            return self._level

    # -- of the driver ------------------------------------------------------------------------

    def take(self, out: NDArray[Any]) -> bool:
        """Fill ``(n, channels)`` with the next samples, or silence; return whether it is the end.

        Never waits.
        """
        with self._changed:
            self._taken += 1
            if not self._plays and self._level:
                ready = max(self._level, self._waited) * 2 >= self._capacity
                self._plays, self._waited = ready or self._ending, self._waited + len(out)
            done = self._fill(out) if self._plays else 0
            self._level -= done
            out[done:] = 0
            lacking = len(out) - done
            over = self._ending and not self._level
            if lacking and not over:
                if self._plays:
                    self._plays, self._waited = False, 0
                    self.underruns += 1
                if self._begun:
                    self._starved += lacking
                    self.silent += lacking
            self._changed.notify_all()
            return over

    def _fill(self, out: NDArray[Any]) -> int:
        """Copy what there is; return how many samples."""
        done = 0
        while self._parts and done < len(out):
            data, silent = self._parts[0]
            n = min(len(data), len(out) - done)
            out[done : done + n] = data[:n]
            done += n
            if silent:
                self.silent += n
            else:
                self._begun, self._starved = True, 0
            if n == len(data):
                self._parts.popleft()
            else:
                self._parts[0] = data[n:], silent
        return done

    def note_underrun(self) -> None:
        """Count one of the driver's own."""
        with self._changed:
            self.underruns += 1

    def fail(self, why: str) -> None:
        """Let `put` raise: the driver has stopped."""
        with self._changed:
            self._failed = self._failed or why
            self._changed.notify_all()
