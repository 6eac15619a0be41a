"""`ReportedLoss`: what a device itself says is lost, by its word or by its numbers."""

from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading, StreamInfo

__all__ = ["ReportedLoss"]

_CLAIM = 500_000_000  # a counter that claims this much more time than has passed was reset [ns]


class ReportedLoss:
    """Losses that need no clock model to be known.

    Parameters
    ----------
    info
        Of the stream.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream import DeviceCounter
    >>> told = ReportedLoss(StreamInfo("x", 1000.0, counter=DeviceCounter(8)))
    >>> four = np.zeros(4)
    >>> [told.push(Reading(four, counter=k), 4, 0) for k in (252, 0, 6)]
    [(None, None), (None, None), (2, 'dropped')]
    """

    __slots__ = ("_arrival", "_counter", "_period", "_spec")

    def __init__(self, info: StreamInfo) -> None:
        self._period = info.period
        self._spec = info.counter if info.counter and info.counter.kind == "samples" else None
        self._counter: int | None = None
        self._arrival = 0  # of it [ns]

    def restart(self) -> None:
        """Expect the counter to begin anew."""
        self._counter = None

    def push(self, reading: Reading, n: int, arrival: int) -> tuple[int | None, GapReason | None]:
        """Return how many samples are lost before a reading of ``n``, and why."""
        counter, spec, before = reading.counter, self._spec, self._counter
        lost: int | None = reading.lost
        reason: GapReason | None = reading.reason if reading.lost else None
        if spec is None:
            return lost, reason
        if counter is None:
            counter = None if before is None else before + n + (lost or 0)
        elif before is not None:
            size = 1 << spec.bits
            step = (counter - before) % size
            if step > n and self._claims_too_much(step, size, arrival):
                lost, reason = reading.lost, "restart"
            elif step > n:
                lost, reason = max(step - n, lost or 0), reason or "dropped"
        self._counter, self._arrival = counter, arrival
        return lost, reason

    def _claims_too_much(self, step: int, size: int, arrival: int) -> bool:
        """Whether a counter was reset, as so many samples cannot have been lost since the last."""
        if self._period is None:  # nobody knows how many may come: it went back, not forward
            return step > size // 2
        return step * self._period > arrival - self._arrival + _CLAIM
