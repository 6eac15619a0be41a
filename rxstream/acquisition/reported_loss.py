"""`ReportedLoss`: losses reported by the device, explicitly or by its counter of samples.

For streams without a clock model. Where there is one, it unwraps the counter itself: it knows how
long a chunk should have taken, and so how often the counter has turned over. Without it a step is
taken modulo the size of the counter, and one that is too long for the time passed is a reset.
"""

from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading, StreamInfo

__all__ = ["ReportedLoss"]

# A step that claims this much more time than has passed is a reset of the counter [ns]. Drivers
# hand over their buffers late, but hardly by half a second.
_RESET_MARGIN = 500_000_000


class ReportedLoss:
    """Losses that need no clock model to be known.

    Parameters
    ----------
    info
        Description of the stream.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream import DeviceCounter
    >>> loss = ReportedLoss(StreamInfo("x", 1000.0, counter=DeviceCounter(8)))
    >>> four = np.zeros(4)
    >>> [loss.push(Reading(four, counter=k), 4, 0) for k in (252, 0, 6)]
    [(None, None), (None, None), (2, 'dropped')]
    """

    __slots__ = ("_arrival", "_counter", "_period", "_spec")

    def __init__(self, info: StreamInfo) -> None:
        self._period = info.period
        self._spec = info.counter if info.counter and info.counter.kind == "samples" else None
        self._counter: int | None = None  # at the last sample, raw
        self._arrival = 0  # of that reading [ns]

    def restart(self) -> None:
        """Expect the counter to begin anew."""
        self._counter = None

    @property
    def counts(self) -> bool:
        """Whether the device numbers its samples."""
        return self._spec is not None

    def follow(self, counter: int | None, passed: int, arrival: int) -> None:
        """Take a reading whose losses another way has found.

        Parameters
        ----------
        counter
            As in the reading; None if it came without.
        passed
            Its samples, and those lost before it.
        arrival
            Host time of its arrival [ns].
        """
        if counter is None and self._counter is not None:
            counter = self._counter + passed
        self._counter, self._arrival = counter, arrival

    def push(self, reading: Reading, n: int, arrival: int) -> tuple[int | None, GapReason | None]:
        """Return how many samples are lost before a reading of ``n``, and why.

        Parameters
        ----------
        reading
            The next one, in order.
        n
            Number of its samples.
        arrival
            Host time of its arrival [ns].

        Returns
        -------
        lost
            None if nothing is reported.
        reason
            None where samples go on; ``restart`` where the counter was reset.
        """
        lost, spec = reading.lost, self._spec
        reason: GapReason | None = reading.reason if lost else None
        if spec is None:
            return lost, reason
        counter, before = reading.counter, self._counter
        if counter is None:
            # this reading came without: the next one is compared with what it would have had
            counter = None if before is None else before + n + (lost or 0)
        elif before is not None:
            size = 1 << spec.bits
            step = (counter - before) % size
            if step > n and self._is_reset(step, size, arrival):
                lost, reason = reading.lost, "restart"
            elif step > n:
                lost, reason = max(step - n, lost or 0), reason or "dropped"
        self._counter, self._arrival = counter, arrival
        return lost, reason

    def after_sleep(self, counter: int | None, n: int, arrival: int) -> int | None:
        """Return how many samples were lost while the host slept; None if that cannot be known.

        Parameters
        ----------
        counter
            The device's counter at the last of the next ``n`` samples.
        n
            Number of these samples.
        arrival
            Host time of their arrival [ns].
        """
        spec, before, period = self._spec, self._counter, self._period
        if spec is None or before is None or counter is None or period is None:
            return None
        size, elapsed = 1 << spec.bits, arrival - self._arrival
        step = (counter - before) % size
        # it may have turned over, or begun anew
        if size * period <= elapsed or step < n or self._is_reset(step, size, arrival):
            return None
        return step - n

    def _is_reset(self, step: int, size: int, arrival: int) -> bool:
        """Whether so many samples cannot have been taken since the last reading."""
        if self._period is None:
            # nothing limits their number: more than half a turn is taken for a step back
            return step > size // 2
        return step * self._period > arrival - self._arrival + _RESET_MARGIN
