"""`Heartbeats`: readings without samples, for what may be older than it comes."""

import numpy as np

from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.messages import Json

__all__ = ["BEAT", "Heartbeats"]

BEAT = 0.1
"""How long nothing comes before a heartbeat [s]."""


class Heartbeats:
    """Makes heartbeats of a stream whose samples come up to ``delay`` after they were taken.

    Parameters
    ----------
    info
        Description of the stream.
    delay
        Longest time from a sample to its arrival [ns]: nothing older is still to come.
    """

    def __init__(self, info: StreamInfo, delay: int) -> None:
        self._nothing, self._delay = np.empty((0, *info.shape), info.dtype), delay
        self._last = now_ns()

    @classmethod
    def of_messages(cls, info: StreamInfo, form: object, max_delay: Duration) -> "Heartbeats":
        """Return what makes those of messages: only what has a stamp is older than it comes."""
        stamped = isinstance(form, Json) and bool(form.time)
        return cls(info, to_span(max_delay, "max_delay") if stamped else 0)

    def reading(self) -> Reading:
        """Return a heartbeat of now."""
        self._last = now = now_ns()
        return Reading(self._nothing, bounds=(now - self._delay, now))

    def overdue(self) -> list[Reading]:
        """Return a heartbeat if the last one is long ago, as where bytes come and no sample."""
        return [self.reading()] if now_ns() - self._last > BEAT * 1e9 else []
