"""One partner of `align`: its samples, looked up at the times of the source."""

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
from rxstream.steps.watermark import FOREVER, NEVER

__all__ = ["JoinSide", "Match", "UnmatchedReason", "reason_of"]

UnmatchedReason: TypeAlias = Literal[
    "nothing within tolerance", "gap", "late", "ended", "not begun"
]
_REASONS: tuple[UnmatchedReason, ...] = get_args(UnmatchedReason)
# Numbers of the reasons; 0 stands for a match.
_NOTHING, _GAP, _LATE, _ENDED, _NOT_BEGUN = range(1, 6)

# A partner with more samples than this is first cut to those around the wanted times; for fewer,
# two binary searches cost more than they save.
_MAX_SEARCHED_WHOLE = 4096

Match: TypeAlias = tuple[NDArray[Any], NDArray[np.uint8] | None]
"""Samples of a partner at ``m`` times: ``(m, *shape)``, undefined where there is no match; and
uint8 ``(m,)``, 0 for a match, else the number of a reason. None instead: all match."""


def reason_of(number: int) -> UnmatchedReason:
    """Return the reason with a number."""
    return _REASONS[number - 1]


class JoinSide:
    """Samples of a partner, from the last one that may still be needed on.

    Parameters
    ----------
    port, name
        Number and name; without a name, that of its samples.
    method, tolerance
        As for `align`; the tolerance in [ns].
    offset
        Added to its times [ns].

    Attributes
    ----------
    done
        Whether it has ended.
    """

    __slots__ = (
        "_buffer",
        "_known",
        "_last",
        "_method",
        "_name",
        "_needed",
        "_offset",
        "_port",
        "_tolerance",
        "done",
    )

    def __init__(
        self, port: int, name: str | None, method: Method, tolerance: int, offset: int
    ) -> None:
        self._port, self._name = port, name
        self._method, self._tolerance, self._offset = method, tolerance, offset
        self._buffer = TimedBuffer(offset)
        self._known: tuple[StreamInfo | None, float | None, StreamInfo] | None = None
        self._needed: int | None = None  # samples before it may have been dropped [ns]
        self._last: int | None = None  # time of the newest sample [ns]; unused for "previous"
        self.done = False

    @property
    def name(self) -> str:
        """Name of the stream."""
        info = self._buffer.info
        return self._name or (info.name if info is not None else f"other {self._port}")

    @property
    def info(self) -> StreamInfo:
        """Description of its samples."""
        return self._buffer.info or StreamInfo(self.name)

    def info_at(self, rate: float | None) -> StreamInfo:
        """Return the info of its samples at times that have another rate [Hz]."""
        info, known = self._buffer.info, self._known
        if known is None or known[0] is not info or known[1] != rate:
            known = (info, rate, replace(self.info, rate=rate, counter=None, quantum=None))
            self._known = known
        return known[2]

    @property
    def end(self) -> int | None:
        """Time up to which it has come [ns]; None before its first chunk."""
        return None if self._buffer.info is None else self._buffer.end

    @property
    def pending(self) -> int:
        """Samples held."""
        return self._buffer.stop - self._buffer.start

    def push(self, chunk: Chunk) -> None:
        """Take its next chunk."""
        buffer = self._buffer
        if buffer.info is None and self._method == "linear":
            check_line(chunk.info)
        buffer.append(chunk)
        if self._method != "previous" and len(chunk):
            self._last = buffer.time(buffer.stop - 1)

    def decided(self, deadline: int | None) -> int:
        """Return the time up to which the matches are known and final, inclusive [ns].

        Parameters
        ----------
        deadline
            Time before which nothing of it is waited for [ns]: without the offset, which corrects
            its clock, not its arrival.
        """
        if self.done:
            return FOREVER
        buffer = self._buffer
        end = buffer.end if buffer.info is not None else NEVER
        if deadline is not None and deadline + self._offset > end:
            end = deadline + self._offset
        if end == NEVER:
            return end
        if self._method == "previous":
            return end - 1
        sure = end - 1 - self._tolerance
        if self._last is None:
            return sure
        # The next sample is not before the end: up to the middle the last one is nearer, and a
        # line that ends at the last one cannot change.
        return max(sure, (end + self._last) // 2 if self._method == "nearest" else self._last)

    def match(self, times: NDArray[np.int64], early: NDArray[np.int64] | None = None) -> Match:
        """Return its samples at ``times`` ``(m,)`` [ns], with the reasons where there is none.

        Samples that no later time can need are dropped.

        Parameters
        ----------
        times
            Of the source, at least one.
        early
            As for `sample_at`: by how much they were moved on to be set apart.
        """
        buffer = self._buffer
        if buffer.info is None:
            number = _ENDED if self.done else _NOT_BEGUN
            none = np.zeros((len(times), *self.info.shape), self.info.dtype)
            return none, np.full(len(times), number, np.uint8)
        i, j = buffer.start, buffer.stop
        if j - i > _MAX_SEARCHED_WHOLE:
            i = max(i, buffer.find(times.item(0) + 1) - 1)
            j = min(j, buffer.find(times.item(-1) + 1) + 1)
        data = None if early is not None else self._quickly(times, i, j)
        if data is not None:
            return data, None
        gap_positions = tuple([GapAt(at - i, gap) for at, gap in buffer.gap_positions])
        stamps = IrregularAxis(buffer.times(i, j))
        held = Chunk(
            buffer.data(i, j), stamps, buffer.low, buffer.end, 0, buffer.info, gap_positions
        )
        found = sample_at(held, times, self._method, self._tolerance, early)
        missing = found.reason != 0
        if self._needed is not None and times[0] < self._needed:
            missing |= times < self._needed
        misses = None
        if missing.any():
            misses = np.zeros(len(times), np.uint8)
            misses[missing] = self._why(found, missing, times[missing], gap_positions)
        buffer.trim(buffer.find(times.item(-1) + 1) - 1)
        return found.data, misses

    def _quickly(self, times: NDArray[np.int64], i: int, j: int) -> NDArray[Any] | None:
        """Return what `sample_at` finds in samples ``i`` to ``j`` if all times match, else None.

        Mostly they all do, and without reasons this takes a third of the time.
        """
        buffer, method, needed = self._buffer, self._method, self._needed
        if i == j or method == "linear" or (buffer.gap_positions and method == "previous"):
            return None
        stamps, first = buffer.times(i, j), times.item(0)
        if first < stamps.item(0) or (needed is not None and first < needed):
            return None
        # the samples before; the first sample is known to be before all times
        k = stamps[1:].searchsorted(times, "right")
        # No distance is larger than `far`; only where that is too far, they are all computed.
        far, last = times.item(-1) - stamps.item(k.item(0)), i + k.item(-1)
        if method == "nearest":
            back, ahead = times - stamps[k], stamps.take(k + 1, mode="clip") - times
            # where there is no sample after, clipping makes `ahead` 0 or less
            later = (ahead < back) & (ahead > 0)
            if far > self._tolerance:
                far = np.where(later, ahead, back).max()
            k += later
        elif far > self._tolerance:
            far = (times - stamps[k]).max()
        if far > self._tolerance:
            return None
        found = buffer.data(i, j)[k]
        # the last one is kept: it may match the next time too
        buffer.trim(last)
        return found

    def _why(
        self,
        found: Sampled,
        missing: NDArray[np.bool_],
        times: NDArray[np.int64],
        gap_positions: tuple[GapAt, ...],
    ) -> NDArray[np.uint8]:
        buffer, tolerance = self._buffer, self._tolerance
        misses = np.full(len(times), _NOTHING, np.uint8)
        if not self.done:
            misses[times > self.decided(None)] = _LATE
        if gap_positions:
            places, starts, ends = np.array(
                [(at, g.start, g.end) for at, g in gap_positions], np.int64
            ).T
            if self._method == "nearest":
                # the reason is a gap if the sample may have been in it
                k = starts.searchsorted(times + tolerance, "right") - 1
                misses[(k >= 0) & (ends[k] >= times - tolerance)] = _GAP
            else:
                gap = found.reason[missing] == GAP
                k = places.searchsorted(found.source[missing] + 1)
                # except one so far ahead that it is known of only if the chunks were cut so
                misses[gap & (starts[np.minimum(k, len(starts) - 1)] <= times + tolerance)] = _GAP
        misses[times < buffer.low] = _NOT_BEGUN
        if self.done:
            misses[times >= buffer.end] = _ENDED
        if self._needed is not None:
            misses[times < self._needed] = _LATE
        return misses

    def forget(self, needed: int, *, trim: bool) -> None:
        """Drop what only times before ``needed`` [ns] need; ``trim``: `match` has not done so."""
        if self._needed is None or needed > self._needed:
            self._needed = needed
            buffer = self._buffer
            if trim and buffer.stop - buffer.start > 1:
                # the last one before may be the partner
                buffer.trim(buffer.find(needed + 1) - 1)
