"""`Silence`: for how long nothing has come from a device, where that is unusual."""

__all__ = ["Silence"]

# Silence that is never unusual [ns]: a driver may collect samples for a second.
_SHORT = 2_000_000_000

# Unusual is this many times the mean pause between two readings.
_UNUSUAL = 10

# What has no rate is judged once it has had as many pauses, and none much longer than the mean:
# a keyboard is silent when nobody types.
_ENOUGH, _STEADY = 10, 3


class Silence:
    """Notes when readings come; says when none has come for unusually long.

    Examples
    --------
    >>> silence = Silence(steady=True)
    >>> silence.begin(0)
    >>> silence.came(100_000_000)
    >>> silence.at(900_000_000), silence.at(6_100_000_000)
    (None, 6.0)
    """

    __slots__ = ("_first", "_last", "_longest", "_pauses", "_steady")

    def __init__(self, *, steady: bool) -> None:
        self._steady = steady  # it has a rate
        self.begin(0)

    def begin(self, now: int) -> None:
        """Note that the source is open, or open again, at ``now`` [ns]."""
        self._first = self._last = now
        self._longest = self._pauses = 0

    def came(self, now: int) -> None:
        """Note that a reading has come at ``now`` [ns]."""
        pause, self._last = now - self._last, now
        if pause > self._longest:
            self._longest = pause
        self._pauses += 1

    def at(self, now: int) -> float | None:
        """Return for how long nothing has come until ``now`` [s]; None where that is usual."""
        mean = (self._last - self._first) / max(1, self._pauses)
        uneven = self._pauses < _ENOUGH or self._longest > _STEADY * mean
        if uneven and not self._steady:
            return None
        silent = now - self._last
        return silent * 1e-9 if silent > max(_SHORT, _UNUSUAL * mean) else None
