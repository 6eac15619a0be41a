"""The host clock: nanoseconds since the Unix epoch that never jump.

The wall clock (``CLOCK_REALTIME``) is stepped by NTP and by people; a stream stamped with it
tears. The host clock is the *monotonic* clock, tied once per process to UTC. Every time in a
chunk, an array or a file is an int64 of this clock, in nanoseconds [ns].
"""

import datetime as dt
import math
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from rxstream.errors import ParameterError
from rxstream.validation import is_whole

__all__ = [
    "FOREVER",
    "NEVER",
    "Duration",
    "HostClock",
    "Time",
    "format_time",
    "host_clock",
    "now_ns",
    "to_ns",
    "to_span",
]

Time: TypeAlias = int | np.integer | dt.datetime | np.datetime64
"""A point in time: int [ns] since the Unix epoch, an aware ``datetime``, or ``datetime64``."""

Duration: TypeAlias = float | dt.timedelta | np.timedelta64
"""A length of time: seconds [s] as a number, or a ``timedelta`` of Python or numpy."""

FOREVER = 1 << 62
"""After every time [ns]; far enough from the limit of int64 that a duration can be added."""
NEVER = -FOREVER
"""Before every time [ns]."""

_LONGEST = 36_525 * 86_400.0  # a century [s]: a time and a duration fit into int64 [ns] together

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class HostClock:
    """Monotonic time tied once to UTC.

    Parameters
    ----------
    monotonic, realtime
        Functions that return the two clocks [ns]; replaced in tests.

    Examples
    --------
    >>> clock = HostClock(monotonic=lambda: 5, realtime=lambda: 1_000_000_005)
    >>> clock.now()
    1000000005
    """

    __slots__ = ("_monotonic", "_offset", "_realtime")

    def __init__(
        self,
        monotonic: Callable[[], int] = time.monotonic_ns,
        realtime: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic, self._realtime = monotonic, realtime
        self._offset = self._bracket()

    def now(self) -> int:
        """Return the time [ns]; it never goes back and never jumps."""
        return self._monotonic() + self._offset

    def from_monotonic(self, stamp: int) -> int:
        """Return the host time [ns] of a stamp [ns] of the monotonic clock."""
        return stamp + self._offset

    def from_realtime(self, stamp: int) -> int:
        """Return the host time [ns] of a *recent* stamp [ns] of the wall clock.

        The distance of the two clocks is measured now, so a step of the wall clock in the past
        of the stamp does no harm.
        """
        return stamp - self._bracket() + self._offset

    def _bracket(self) -> int:
        """Return realtime minus monotonic [ns], of the tightest of three readings."""
        best, offset = math.inf, 0
        for _ in range(3):
            before = self._monotonic()
            real = self._realtime()
            after = self._monotonic()
            if after - before < best:
                best, offset = after - before, real - (before + after) // 2
        return offset


host_clock = HostClock()
"""The clock of this process; its tie to UTC is made at import."""


def now_ns() -> int:
    """Return the time of the host clock [ns]."""
    return host_clock.now()


def to_ns(when: Time) -> int:
    """Return a point in time as int [ns] since the Unix epoch.

    Raises
    ------
    ParameterError
        For a naive ``datetime`` (whose zone would be a guess), a float, ``NaT``, or another type.

    Examples
    --------
    >>> to_ns(np.datetime64("1970-01-01T00:00:01"))
    1000000000
    """
    stamp: int | None = None
    if is_whole(when):
        stamp = int(when)
    elif isinstance(when, dt.datetime):
        if when.tzinfo is None:
            msg = f"{when!r} has no time zone; give an aware datetime, e.g. .astimezone()"
            raise ParameterError(msg)
        delta = when - _EPOCH
        stamp = (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
        stamp += getattr(when, "nanosecond", 0)  # of pandas.Timestamp, which is a datetime
    elif isinstance(when, np.datetime64) and not np.isnat(when):
        stamp = _datetime64_ns(when)
    if stamp is not None:
        if not -(1 << 63) <= stamp < 1 << 63:
            msg = f"{when!r} lies outside the years 1678 to 2262 that int64 nanoseconds can hold"
            raise ParameterError(msg)
        return stamp
    msg = (
        f"{when!r} is no point in time; give int nanoseconds since the epoch, "
        "an aware datetime, or numpy.datetime64"
    )
    raise ParameterError(msg)


def _datetime64_ns(when: np.datetime64) -> int:
    """Return a point in time [ns], or 1 << 63 where 64 bits do not hold it."""
    try:
        exact = when.astype("datetime64[ns]")
    except OverflowError:
        return 1 << 63
    # before numpy 2.5 it wraps silently instead
    return int(exact.astype(np.int64)) if exact.astype(when.dtype) == when else 1 << 63


def to_span(duration: Duration, name: str, *, zero: bool = False) -> int:
    """Return a duration as int [ns].

    Parameters
    ----------
    duration
        Seconds [s] as a number, or a ``timedelta`` of Python or numpy.
    name
        What to call it in the error.
    zero
        Whether zero is allowed.

    Raises
    ------
    ParameterError
        If it is negative, less than 1 ns where zero makes no sense, longer than a century, or no
        duration.

    Examples
    --------
    >>> to_span(0.25, "every"), to_span(np.timedelta64(20, "ms"), "every")
    (250000000, 20000000)
    """
    seconds = _seconds(duration)
    span = round(seconds * 1e9) if 0 <= seconds <= _LONGEST else -1
    if span < (0 if zero else 1):
        bounds = ">= 0" if zero else "> 0"
        about = "at most a century" if zero else "1 ns to a century"
        msg = f"{name} must be {bounds} seconds or a timedelta ({about}), not {duration!r}"
        raise ParameterError(msg)
    return span


def _seconds(duration: object) -> float:
    """Return a duration [s], or NaN if it is none."""
    try:
        if isinstance(duration, dt.timedelta):
            return duration.total_seconds()
        if isinstance(duration, np.timedelta64):
            return float(duration / np.timedelta64(1, "s"))
        if isinstance(duration, float | np.floating) or is_whole(duration):
            return float(duration)
    except (TypeError, OverflowError):  # years have no fixed length; an int beyond float
        return math.nan
    return math.nan


def format_time(stamp: int) -> str:
    """Return a time of day in UTC with microseconds, for people to read.

    Examples
    --------
    >>> format_time(1_500_000)
    '00:00:00.001500'
    """
    seconds, rest = divmod(stamp, 1_000_000_000)
    day = seconds % 86_400
    return f"{day // 3600:02}:{day // 60 % 60:02}:{day % 60:02}.{rest // 1000:06}"
