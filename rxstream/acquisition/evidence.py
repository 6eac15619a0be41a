"""Evidence that comes with a reading, checked: what is of the wrong kind is a programming error.

A value of the right kind that cannot be true, such as a stamp in the future, is another matter: the
device goes on, and the value is set aside (`StampReports`).
"""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.data.clock import FOREVER, NEVER
from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError, StampError
from rxstream.printable import shown
from rxstream.timing.online.counters import REPEATS, least_standstill
from rxstream.validation import is_whole

__all__ = ["CounterCheck", "EvidenceCheck", "StampReports"]

_INT64 = np.dtype(np.int64)
_COUNT_LIMIT = 1 << 53  # more samples than any device takes; int64 would overflow
_FARTHEST = 1 << 100  # [ns]; a difference of two is still a float
_REASONS = get_args(GapReason)


class StampReports:
    """Stamps that were set aside, reported once for each kind.

    Parameters
    ----------
    name
        Name of the stream.

    Attributes
    ----------
    new
        Reports that nobody has taken yet.

    Examples
    --------
    >>> reports = StampReports("can")
    >>> for stamp in (7, 8):
    ...     reports.add("future", f"device_time {stamp} lies after its arrival")
    >>> [str(report) for report in reports.new]
    ['can: device_time 7 lies after its arrival; such stamps are set aside, and their samples kept']
    """

    __slots__ = ("_kinds", "_name", "new")

    def __init__(self, name: str) -> None:
        self._name, self._kinds = name, set[str]()
        self.new: list[StampError] = []

    def add(
        self, kind: str, found: str, what: str = "such stamps are set aside, and their samples kept"
    ) -> None:
        """Report a stamp, and what becomes of it, unless one of its kind has been."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self.new.append(StampError(f"{self._name}: {found}; {what}"))


class CounterCheck:
    """Whether a counter counts: one that stands still, or goes to and fro, does not.

    Parameters
    ----------
    info
        Description of the stream.
    reports
        Takes the counter that does not.

    Examples
    --------
    >>> from rxstream.data.stream_info import DeviceCounter
    >>> info = StreamInfo("x", 100.0, counter=DeviceCounter(8))
    >>> check = CounterCheck(info, StampReports("x"))
    >>> [check.believes(7 + k % 2, 1, 0) for k in range(12)].count(True)
    9
    """

    __slots__ = ("_newest", "_repeats", "_reports", "_since", "_size", "_time", "gone")

    def __init__(self, info: StreamInfo, reports: StampReports) -> None:
        self._reports, self._size, self._time = reports, 0, 0
        counter = info.counter
        if counter is not None:
            self._size, self._time = 1 << counter.bits, least_standstill(counter)
        self.restart()

    def restart(self) -> None:
        """Expect the counter to begin anew."""
        self._newest: tuple[int, int] = (-1, -1)
        self._repeats = self._since = 0
        self.gone = False
        """Whether the counter is set aside."""

    def believes(self, counter: int, n: int, arrival: int) -> bool:
        """Return whether the counter of a reading of ``n`` samples is one."""
        if self.gone:
            return False
        before, last = self._newest
        self._newest = last, counter
        # as many samples as make a whole turn leave it where it was
        if (counter != last and counter != before) or (not self._time and not 2 * n % self._size):
            self._repeats = 0
            return True
        if not self._repeats:
            self._since = arrival
        self._repeats += 1
        if self._repeats < REPEATS or arrival - self._since < self._time:
            return True
        self.gone = True
        other = before if counter == last else last
        found = f"counter stays at {counter}"
        if other not in (counter, -1):
            found = f"counter goes to and fro between {other} and {counter}"
        self._reports.add("counter", found, "it is set aside, and its samples are timed without")
        return False


class EvidenceCheck:
    """Checks the evidence of one stream.

    Parameters
    ----------
    info
        Description of the stream.
    """

    __slots__ = ("_limit", "_name")

    def __init__(self, info: StreamInfo) -> None:
        self._name = info.name
        self._limit = 0 if info.counter is None else 1 << info.counter.bits

    def whole(self, value: Any, field: str) -> int:
        """Return a time [ns] as int; raise ParameterError if it is none."""
        if not is_whole(value) or not -_FARTHEST < value < _FARTHEST:
            msg = (
                f"{self._name}: Reading.{field} is {shown(value)}; give int nanoseconds since the "
                "epoch, e.g. round(seconds * 1e9)"
            )
            raise ParameterError(msg)
        return int(value)

    def check(self, reading: Reading) -> Reading:
        """Return a reading with what comes beside its stamps as plain numbers.

        Raises
        ------
        ParameterError
            If ``counter``, ``bounds``, ``lost`` or ``reason`` cannot be what they stand for.
        """
        counter, lost, bounds = reading.counter, reading.lost, reading.bounds
        limit = self._limit
        # most often a counter alone, or bounds
        if (
            lost is None and reading.reason == "dropped"
            and (counter is None or (type(counter) is int and 0 <= counter < limit))
        ):  # fmt: skip
            if bounds is None:
                return reading
            if type(bounds) is tuple and len(bounds) == 2:
                low, high = bounds
                if type(low) is type(high) is int and NEVER < low <= high < FOREVER:
                    return reading
        if counter is not None and not limit:
            msg = (
                f"{self._name}: Reading.counter is {shown(counter)}, and nothing says what it "
                "counts; give StreamInfo(counter=DeviceCounter(bits)), or no counter"
            )
            raise ParameterError(msg)
        if counter is not None and not (is_whole(counter, 0) and counter < limit):
            msg = (
                f"{self._name}: Reading.counter is {shown(counter)}; give the raw counter, a whole "
                f"number from 0 to {limit - 1}, or None"
            )
            raise ParameterError(msg)
        if lost is not None and not (is_whole(lost, 0) and lost < _COUNT_LIMIT):
            msg = (
                f"{self._name}: Reading.lost is {shown(lost)}; give a whole number of "
                "samples >= 0, "
                "or None if it is not known"
            )
            raise ParameterError(msg)
        if reading.reason not in _REASONS:
            msg = (
                f"{self._name}: Reading.reason is {shown(reading.reason)}; it must be one of "
                f"{', '.join(_REASONS)}"
            )
            raise ParameterError(msg)
        return replace(
            reading,
            counter=None if counter is None else int(counter),
            lost=None if lost is None else int(lost),
            bounds=None if bounds is None else self._bounds(bounds),
        )

    def _bounds(self, bounds: Any) -> tuple[int, int]:
        try:
            low, high = bounds
        except (TypeError, ValueError):
            low = high = None
        if is_whole(low) and is_whole(high) and NEVER < low <= high < FOREVER:
            return int(low), int(high)
        msg = (
            f"{self._name}: Reading.bounds is {shown(bounds)}; give two int nanoseconds since the "
            "epoch, (earliest, latest), or None"
        )
        raise ParameterError(msg)

    def stamps(self, stamps: Any, n: int) -> "int | NDArray[np.int64]":
        """Return device times as an int, or as int64 ``(n,)`` of their own memory.

        Raises
        ------
        ParameterError
            If they are no whole nanoseconds, or neither one nor ``n``.
        """
        if type(stamps) is int:
            return stamps
        array = np.asarray(stamps)
        if array.dtype == object and array.size and all(map(is_whole, array.flat)):
            # ints beyond int64 among them
            array = np.array([min(max(int(x), NEVER), FOREVER) for x in array.flat])
        if array.dtype.kind not in "iu" or isinstance(stamps, bool):
            first = shown(array.ravel()[:1].tolist()[0]) if array.size else "nothing"
            msg = (
                f"{self._name}: Reading.device_time is {first} ({array.dtype}); give int64 "
                "nanoseconds, e.g. np.rint(seconds * 1e9).astype(np.int64)"
            )
            raise ParameterError(msg)
        if array.size == 1 and (array.ndim == 0 or n != 1):
            return int(array.reshape(-1)[0])
        if array.shape != (n,):
            msg = (
                f"{self._name}: Reading.device_time has shape {array.shape} for {n} samples; give "
                f"one for each, ({n},), or one int for the first"
            )
            raise ParameterError(msg)
        if array.dtype.kind == "u":
            array = np.minimum(array, np.uint64(FOREVER))
        return array.astype(np.int64)
