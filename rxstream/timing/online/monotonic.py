"""Times that strictly increase and never lie after their arrival."""

from rxstream.data.gap import GapReason
from rxstream.timing.stamp import ClockEvent, Stamp, State

__all__ = ["MonotonicStamps"]


class MonotonicStamps:
    """Make stamps, each after the one before.

    Parameters
    ----------
    path_delay
        Least delay [ns], subtracted from every time.
    """

    __slots__ = ("_last", "_path_delay")

    def __init__(self, path_delay: int) -> None:
        self._path_delay = path_delay
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
        """Return the stamp of a chunk whose last sample was taken at ``last`` [ns].

        Where earlier times were too late, a chunk is shortened to make up for it, but to no less
        than half its nominal ``length`` [ns]. Times rise by 1 ns a sample at least, whatever else
        is asked. The delay this causes is added to the uncertainty.
        """
        path_delay, before = self._path_delay, self._last
        limit = arrival - path_delay
        last -= path_delay
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
