"""What one partner of `align` said, and what it says at the times of the source."""

from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.chunk import Chunk
from rxstream.gap import Break
from rxstream.info import StreamInfo
from rxstream.sampling import GAP, Method, Sampled, check_line, sample_at
from rxstream.tape import Tape

__all__ = ["FOREVER", "Match", "Partner", "Reason"]

Reason: TypeAlias = Literal["nothing within tolerance", "gap", "late", "ended", "not begun"]
FOREVER = np.iinfo(np.int64).max
_NOTHING, _GAP, _LATE, _ENDED, _NOT_BEGUN = range(1, 6)
_MANY = 4096  # samples of which those around some times are looked for first
_REASONS: tuple[Reason, ...] = get_args(Reason)


class Match(NamedTuple):
    """What a partner says at some times."""

    data: NDArray[Any]
    """``(m, *shape)``, anything where there is no match."""
    why: NDArray[np.uint8] | None
    """uint8 ``(m,)``: 0 where there is a match, else the number of a reason; None: all match."""


def reason(number: int) -> Reason:
    """Return the reason with a number."""
    return _REASONS[number - 1]


class Partner:
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
        self._tape: Tape[Any] = Tape()
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
        if self._offset:
            chunk = chunk.shifted(self._offset)
        tape = self._tape
        if tape.info is None and self._method == "linear":
            check_line(chunk.info)
        tape.append(chunk)
        if len(chunk):
            last = chunk.axis.at(len(chunk) - 1)
            if last < chunk.end:
                self._last = last
            else:  # it was cut between samples of the same time: more of them may come
                before = tape.find(chunk.end) - 1
                if before >= tape.start:
                    self._last = tape.axis(before, before + 1).at(0)

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
        end = self.end
        if low is not None and (end is None or low + self._offset > end):
            end = low + self._offset
        if end is None:
            return -FOREVER
        if self._method == "previous":
            return end - 1
        sure = end - 1 - self._tolerance
        if self._last is None:
            return sure
        # what comes is not before the end: up to the middle the last sample is the nearer one
        return max(sure, (end + self._last) // 2 if self._method == "nearest" else self._last)

    def match(self, times: NDArray[np.int64]) -> Match:
        """Return its samples at ``times`` ``(m,)``, and why there is none."""
        tape = self._tape
        if tape.info is None:
            number = _ENDED if self.done else _NOT_BEGUN
            none = np.zeros((len(times), *self.info.shape), self.info.dtype)
            return Match(none, np.full(len(times), number, np.uint8))
        data = self._quickly(times)
        if data is not None:
            return Match(data, None)
        buffer = tape.cut(tape.start, tape.stop, rest=True)
        found = sample_at(buffer, times, self._method, self._tolerance)
        missing = found.reason != 0
        if self._needed is not None and times[0] < self._needed:
            missing |= times < self._needed
        if not missing.any():
            return Match(found.data, None)
        why = np.zeros(len(times), np.uint8)
        why[missing] = self._why(found, missing, times[missing], buffer.breaks)
        return Match(found.data, why)

    def _quickly(self, times: NDArray[np.int64]) -> NDArray[Any] | None:
        """Return the samples at ``times`` as `sample_at` would, if each has one; or None.

        Most often they all have: to look at that alone takes a third of the time.
        """
        tape, method = self._tape, self._method
        first, last = int(times[0]), int(times[-1])
        if method == "linear" or (tape.breaks and method == "previous"):
            return None
        if self._needed is not None and first < self._needed:
            return None
        i, j = tape.start, tape.stop
        if j - i > _MANY:
            i, j = tape.find(first + 1) - 1, min(tape.find(last + 1) + 1, j)
            if i < tape.start:
                return None
        stamps = tape.axis(i, j).times()
        k = stamps.searchsorted(times, "right")
        low = int(k[0])
        if not low:
            return None
        # most often all are near enough, whichever they are of the samples around
        far = last - int(stamps[low - 1])
        if method == "nearest":
            if k[-1] == len(stamps) or (stamps[1:] == stamps[:-1]).any():
                return None
            back, ahead = times - stamps[k - 1], stamps[k] - times
            if far > self._tolerance:
                far = np.minimum(back, ahead).max()
            k -= back <= ahead
        else:
            k -= 1
            if far > self._tolerance:
                far = (times - stamps[k]).max()
        return tape.data(i, j)[k] if far <= self._tolerance else None

    def _why(
        self,
        found: Sampled,
        missing: NDArray[np.bool_],
        times: NDArray[np.int64],
        breaks: tuple[Break, ...],
    ) -> NDArray[np.uint8]:
        tape, tolerance = self._tape, self._tolerance
        why = np.full(len(times), _NOTHING, np.uint8)
        if not self.done:
            why[times > self.decided(None)] = _LATE
        if breaks:
            places, starts, ends = np.array([(at, g.start, g.end) for at, g in breaks], np.int64).T
            if self._method == "nearest":
                # the reason is a gap where the sample may have been
                k = starts.searchsorted(times + tolerance, "right") - 1
                why[(k >= 0) & (ends[k] >= times - tolerance)] = _GAP
            else:
                gap = found.reason[missing] == GAP
                k = places.searchsorted(found.source[missing] + 1)
                # not one too far away to be known of already, however it came in chunks
                why[gap & (starts[np.minimum(k, len(starts) - 1)] <= times + tolerance)] = _GAP
        why[times < tape.low] = _NOT_BEGUN
        if self.done:
            why[times >= tape.end] = _ENDED
        if self._needed is not None:
            why[times < self._needed] = _LATE
        return why

    def forget(self, needed: int) -> None:
        """Let go of what is not needed for times from ``needed`` [ns] on."""
        if self._needed is None or needed > self._needed:
            self._needed = needed
            tape = self._tape
            if tape.stop - tape.start > 1:
                tape.trim(tape.find(needed + 1) - 1)  # the last one before may be the partner
