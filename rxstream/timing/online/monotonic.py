"""Times that only go forward and never lie after their arrival."""

from rxstream.data.gap import GapReason
from rxstream.timing.stamp import ClockEvent, Stamp, State

__all__ = ["MonotonicStamps"]


class MonotonicStamps:
    """The last time told; makes a `Stamp` of the next.

    Parameters
    ----------
    latency
        Least delay [ns], subtracted from every time.
    """

    __slots__ = ("_last", "_latency")

    def __init__(self, latency: int) -> None:
        self._latency = latency
        self._last: int | None = None

    def stamp(
        self,
        last: int,
        count: int,
        arrival: int,
        length: float,
        period: float,
        uncertainty: float,
        lost: int | None,
        reason: GapReason | None,
        state: State,
        events: tuple[ClockEvent, ...],
    ) -> Stamp:
        """Return a stamp for a last sample taken at ``last`` [ns], made possible.

        A chunk is squeezed to no less than half its nominal ``length`` [ns] to make up for times
        told too late; before anything else times rise, by 1 ns a sample at least. How much later
        they are for that than they should be is in the uncertainty.
        """
        latency, before = self._latency, self._last
        limit = arrival - latency
        last -= latency
        best = last
        if before is not None:
            least = before + round(length / 2)
            if last < least:
                last = least
        if last > limit:
            last = limit
        if before is None:
            first = last - max(round((count - 1) * period), count - 1)
        else:
            if last < before + count:
                last = before + count
            if reason is None or reason == "overlap":
                first = last - (last - before) * (count - 1) // count
            else:
                first = max(last - max(round((count - 1) * period), count - 1), before + 1)
        self._last = last
        if last > best:
            uncertainty += last - best
        return Stamp(first, last, period, uncertainty, lost, reason, state, events)
