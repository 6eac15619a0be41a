"""The host clock: nanoseconds since the Unix epoch that never jump.

The wall clock (``CLOCK_REALTIME``) is stepped by NTP and by people; a stream stamped with it
tears. The host clock is a *monotonic* clock, tied once per process to UTC: on Linux the one that
counts the sleep of the computer too (``CLOCK_BOOTTIME``). Every time in a chunk, an array or a file
is an int64 of this clock, in nanoseconds [ns]. Stamps of other clocks are mapped by `host_time`.
"""

import datetime as dt
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_number, is_whole

__all__ = [
    "FOREVER",
    "NEVER",
    "Duration",
    "HostClock",
    "Time",
    "format_time",
    "host_clock",
    "host_time",
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


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
# What never jumps and, on Linux, counts the sleep of the computer too; and there what stands still
# meanwhile. Elsewhere nothing shows sleep.
_STEADY: Callable[[], int] = time.monotonic_ns
_AWAKE: Callable[[], int] | None = None
if _BOOTTIME is not None:
    _STEADY, _AWAKE = partial(time.clock_gettime_ns, _BOOTTIME), time.monotonic_ns


class HostClock:
    """Monotonic time tied once to UTC.

    Parameters
    ----------
    monotonic
        Function that returns a clock that never jumps [ns]: ``CLOCK_BOOTTIME`` on Linux, which
        counts the sleep of the host too.
    realtime
        Function that returns the wall clock [ns].
    awake
        Function that returns the clock which stands still while the host sleeps [ns],
        ``CLOCK_MONOTONIC`` on Linux; None where nothing shows sleep.

    Examples
    --------
    >>> clock = HostClock(monotonic=lambda: 5, realtime=lambda: 1_000_000_005)
    >>> clock.now()
    1000000005
    """

    __slots__ = ("_awake", "_monotonic", "_offset", "_realtime")

    def __init__(
        self,
        monotonic: Callable[[], int] = _STEADY,
        realtime: Callable[[], int] = time.time_ns,
        awake: Callable[[], int] | None = None,
    ) -> None:
        self._monotonic, self._realtime, self._awake = monotonic, realtime, awake
        self._offset = self._ahead(realtime)

    def now(self) -> int:
        """Return the time [ns]; it never goes back and never jumps."""
        return self._monotonic() + self._offset

    def slept(self) -> int:
        """Return how long the host has slept since some moment in the past [ns].

        Two calls differ by the sleep between them, to some microseconds. Where nothing shows
        sleep it is 0.
        """
        return 0 if self._awake is None else -self._ahead(self._awake)

    def from_monotonic(self, stamp: int) -> int:
        """Return the host time [ns] of a *recent* stamp [ns] of ``time.monotonic_ns``.

        Drivers stamp with that clock (V4L2 frames, for one). It stands still while a Linux host
        sleeps, so a stamp from before a sleep comes out later by it.
        """
        return stamp + self._offset if self._awake is None else self.from_clock(stamp, self._awake)

    def from_realtime(self, stamp: int) -> int:
        """Return the host time [ns] of a *recent* stamp [ns] of the wall clock."""
        return self.from_clock(stamp, self._realtime)

    def from_clock(self, stamp: int, clock: Callable[[], int]) -> int:
        """Return the host time [ns] of a *recent* stamp [ns] of another clock of this computer.

        The distance of the two clocks is measured now, so a step of the other one in the past of
        the stamp does no harm.

        Parameters
        ----------
        stamp
            Time on the other clock [ns].
        clock
            Function that returns the other clock [ns], as ``time.perf_counter_ns``.
        """
        return stamp - self._ahead(clock) + self._offset

    def _ahead(self, clock: Callable[[], int]) -> int:
        """Return a clock minus the monotonic one [ns], by the tightest of three readings."""
        best, ahead = math.inf, 0
        for _ in range(3):
            before = self._monotonic()
            other = clock()
            after = self._monotonic()
            if after - before < best:
                best, ahead = after - before, other - (before + after) // 2
        return ahead


host_clock = HostClock(awake=_AWAKE)
"""The clock of this process; its tie to UTC is made at import."""


def host_time(stamp: float, clock: Callable[[], int] = time.time_ns) -> int:
    """Return the host time [ns] of a recent stamp of another clock of this computer.

    Parameters
    ----------
    stamp
        Time on that clock: int [ns], or float seconds [s] as ``time.time()`` and drivers give it.
    clock
        Function that returns that clock [ns]: ``time.time_ns`` (the wall clock),
        ``time.monotonic_ns`` (V4L2, many drivers), ``time.perf_counter_ns``, or a driver's own.

    Raises
    ------
    ParameterError
        If ``stamp`` is no number, or lies outside the years that int64 nanoseconds hold.

    Examples
    --------
    >>> before = now_ns()
    >>> stamp = time.perf_counter()
    >>> abs(host_time(stamp, time.perf_counter_ns) - before) < 1_000_000_000
    True
    """
    if not callable(clock):
        msg = f"clock must be a function that returns nanoseconds, not {shown(clock)}"
        raise ParameterError(msg)
    whole = is_whole(stamp)
    if whole or (is_number(stamp) and abs(stamp) < _LONGEST * 1e3):
        time_ns = host_clock.from_clock(int(stamp) if whole else round(float(stamp) * 1e9), clock)
        if NEVER < time_ns < FOREVER:
            return time_ns
    msg = f"{shown(stamp)} is no stamp of a clock; give int nanoseconds or float seconds"
    raise ParameterError(msg)


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
            msg = f"{shown(when)} has no time zone; give an aware datetime, e.g. .astimezone()"
            raise ParameterError(msg)
        delta = when - _EPOCH
        stamp = (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
        stamp += getattr(when, "nanosecond", 0)  # of pandas.Timestamp, which is a datetime
    elif isinstance(when, np.datetime64) and not np.isnat(when):
        stamp = _datetime64_ns(when)
    if stamp is not None:
        if not -(1 << 63) <= stamp < 1 << 63:
            msg = (
                f"{shown(when)} lies outside the years 1678 to 2262 that int64 nanoseconds can hold"
            )
            raise ParameterError(msg)
        return stamp
    msg = (
        f"{shown(when)} is no point in time; give int nanoseconds since the epoch, "
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
        msg = f"{name} must be {bounds} seconds or a timedelta ({about}), not {shown(duration)}"
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
    if not is_whole(stamp):
        msg = f"format_time takes int nanoseconds since the epoch, not {shown(stamp)}"
        raise ParameterError(msg)
    seconds, rest = divmod(int(stamp), 1_000_000_000)
    day = seconds % 86_400
    return f"{day // 3600:02}:{day // 60 % 60:02}:{day % 60:02}.{rest // 1000:06}"
