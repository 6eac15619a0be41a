"""What one partner of `align` said, and what it says at the times of the source."""

from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import IrregularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.gap import GapAt
from rxstream.data.interpolation import GAP, Method, Sampled, check_line, sample_at
from rxstream.data.stream_info import StreamInfo
from rxstream.operators.joins.timed_buffer import TimedBuffer

__all__ = ["FOREVER", "JoinSide", "Match", "UnmatchedReason"]

UnmatchedReason: TypeAlias = Literal[
    "nothing within tolerance", "gap", "late", "ended", "not begun"
]
FOREVER = np.iinfo(np.int64).max
_NOTHING, _GAP, _LATE, _ENDED, _NOT_BEGUN = range(1, 6)
_MANY = 4096  # samples of which those around some times are looked for first
_REASONS: tuple[UnmatchedReason, ...] = get_args(UnmatchedReason)


Match: TypeAlias = tuple[NDArray[Any], NDArray[np.uint8] | None]
"""What a partner says at some times: ``(m, *shape)``, anything where there is no match; and uint8
``(m,)``, 0 where there is a match, else the number of a reason, or None: all match."""


def reason_of(number: int) -> UnmatchedReason:
    """Return the reason with a number."""
    return _REASONS[number - 1]


class JoinSide:
    """Its samples, from the last one that may still be needed on.

    Parameters
    ----------
    port, name
        What to call it; without a name, as its samples are called.
    method, tolerance
        As for `align`; the tolerance in [ns].
    offset
        Added to its times [ns].
    """

    __slots__ = (
        "_known",
        "_last",
        "_method",
        "_name",
        "_needed",
        "_offset",
        "_port",
        "_tape",
        "_tolerance",
        "done",
    )

    def __init__(
        self, port: int, name: str | None, method: Method, tolerance: int, offset: int
    ) -> None:
        self._port, self._name = port, name
        self._method, self._tolerance, self._offset = method, tolerance, offset
        self._tape = TimedBuffer(offset)
        self._known: tuple[StreamInfo | None, float | None, StreamInfo] | None = None
        self._needed: int | None = None  # nothing is known any more of what was before [ns]
        self._last: int | None = None  # time of the last sample before the end [ns]
        self.done = False

    @property
    def name(self) -> str:
        """What to call it."""
        info = self._tape.info
        return self._name or (info.name if info is not None else f"other {self._port}")

    @property
    def info(self) -> StreamInfo:
        """Of its samples."""
        return self._tape.info or StreamInfo(self.name)

    def info_at(self, rate: float | None) -> StreamInfo:
        """Return the info of its samples at times that have another rate [Hz]."""
        info, known = self._tape.info, self._known
        if known is None or known[0] is not info or known[1] != rate:
            told = replace(self.info, rate=rate, counter=None, quantum=None)
            self._known = known = (info, rate, told)
        return known[2]

    @property
    def end(self) -> int | None:
        """Up to where it has told [ns]."""
        return None if self._tape.info is None else self._tape.end

    @property
    def pending(self) -> int:
        """Samples held."""
        return self._tape.stop - self._tape.start

    def push(self, chunk: Chunk) -> None:
        """Take what it says."""
        tape = self._tape
        if tape.info is None and self._method == "linear":
            check_line(chunk.info)
        tape.append(chunk)
        if self._method != "previous" and len(chunk):
            self._last = tape.time(tape.stop - 1)

    def decided(self, low: int | None) -> int:
        """Return up to which time [ns], inclusive, the matches can be told, and stay.

        Parameters
        ----------
        low
            Nothing of it before this time is waited for [ns], by its own times: the offset corrects
            what its clock says, not when it comes.
        """
        if self.done:
            return FOREVER
        tape = self._tape
        end = tape.end if tape.info is not None else -FOREVER
        if low is not None and low + self._offset > end:
            end = low + self._offset
        if end == -FOREVER:
            return end
        if self._method == "previous":
            return end - 1
        sure = end - 1 - self._tolerance
        if self._last is None:
            return sure
        # what comes is not before the end: up to the middle the last sample is the nearer one
        return max(sure, (end + self._last) // 2 if self._method == "nearest" else self._last)

    def match(self, times: NDArray[np.int64]) -> Match:
        """Return its samples at ``times`` ``(m,)``, and why there is none.

        What is needed for later times only is kept.
        """
        tape = self._tape
        if tape.info is None:
            number = _ENDED if self.done else _NOT_BEGUN
            none = np.zeros((len(times), *self.info.shape), self.info.dtype)
            return none, np.full(len(times), number, np.uint8)
        i, j = tape.start, tape.stop
        if j - i > _MANY:
            i = max(i, tape.find(times.item(0) + 1) - 1)
            j = min(j, tape.find(times.item(-1) + 1) + 1)
        data = self._quickly(times, i, j)
        if data is not None:
            return data, None
        gap_positions = tuple([GapAt(at - i, gap) for at, gap in tape.gap_positions])
        stamps = IrregularAxis(tape.times(i, j))
        buffer = Chunk(tape.data(i, j), stamps, tape.low, tape.end, 0, tape.info, gap_positions)
        found = sample_at(buffer, times, self._method, self._tolerance)
        missing = found.reason != 0
        if self._needed is not None and times[0] < self._needed:
            missing |= times < self._needed
        misses = None
        if missing.any():
            misses = np.zeros(len(times), np.uint8)
            misses[missing] = self._why(found, missing, times[missing], gap_positions)
        tape.trim(tape.find(times.item(-1) + 1) - 1)
        return found.data, misses

    def _quickly(self, times: NDArray[np.int64], i: int, j: int) -> NDArray[Any] | None:
        """Return those of samples ``i`` to ``j`` that `sample_at` finds, if each has one; or None.

        Most often they all have: to look at that alone takes a third of the time.
        """
        tape, method, needed = self._tape, self._method, self._needed
        if i == j or method == "linear" or (tape.gap_positions and method == "previous"):
            return None
        stamps, first = tape.times(i, j), times.item(0)
        if first < stamps.item(0) or (needed is not None and first < needed):
            return None
        k = stamps[1:].searchsorted(times, "right")  # the sample before: the first is before all
        far, last = times.item(-1) - stamps.item(k.item(0)), i + k.item(-1)
        if method == "nearest":
            back, ahead = times - stamps[k], stamps.take(k + 1, mode="clip") - times
            later = (ahead < back) & (ahead > 0)  # it is not where there is no sample after
            if far > self._tolerance:
                far = np.where(later, ahead, back).max()
            k += later
        elif far > self._tolerance:
            far = (times - stamps[k]).max()
        if far > self._tolerance:  # most often all are near, whichever they are of those around
            return None
        found = tape.data(i, j)[k]
        tape.trim(last)  # it may be the partner of what comes next
        return found

    def _why(
        self,
        found: Sampled,
        missing: NDArray[np.bool_],
        times: NDArray[np.int64],
        gap_positions: tuple[GapAt, ...],
    ) -> NDArray[np.uint8]:
        tape, tolerance = self._tape, self._tolerance
        misses = np.full(len(times), _NOTHING, np.uint8)
        if not self.done:
            misses[times > self.decided(None)] = _LATE
        if gap_positions:
            places, starts, ends = np.array(
                [(at, g.start, g.end) for at, g in gap_positions], np.int64
            ).T
            if self._method == "nearest":
                # the reason is a gap where the sample may have been
                k = starts.searchsorted(times + tolerance, "right") - 1
                misses[(k >= 0) & (ends[k] >= times - tolerance)] = _GAP
            else:
                gap = found.reason[missing] == GAP
                k = places.searchsorted(found.source[missing] + 1)
                # not one too far away to be known of already, however it came in chunks
                misses[gap & (starts[np.minimum(k, len(starts) - 1)] <= times + tolerance)] = _GAP
        misses[times < tape.low] = _NOT_BEGUN
        if self.done:
            misses[times >= tape.end] = _ENDED
        if self._needed is not None:
            misses[times < self._needed] = _LATE
        return misses

    def forget(self, needed: int, *, trim: bool) -> None:
        """Be asked for times before ``needed`` [ns] no more; ``trim``: `match` has not done it."""
        if self._needed is None or needed > self._needed:
            self._needed = needed
            tape = self._tape
            if trim and tape.stop - tape.start > 1:
                tape.trim(tape.find(needed + 1) - 1)  # the last one before may be the partner
