"""join_windows: what several streams have in the same windows of time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.data.gap import Gap, GapAt
from rxstream.errors import ChunkError
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.steps.watermark import FOREVER, NEVER, Watermarks, without_late

__all__ = ["JoinedWindow", "join_windows"]

_MOST = 1_000_000  # windows out of one chunk: more is no silence, but a mistake


@dataclass(frozen=True, slots=True)
class JoinedWindow:
    """What several streams have in one window of time.

    Attributes
    ----------
    start, end
        Of the window [ns]; ``end`` is exclusive.
    chunks
        One for each stream, the source first. Where a stream has told of a part of the window
        only, the chunk is shorter; None, where it has told nothing of it.
    """

    start: int
    end: int
    chunks: tuple[Chunk | None, ...]


class _WindowInput:
    """One stream, from the begin of the next window on."""

    __slots__ = ("_ended", "_told", "done", "tape")

    def __init__(self) -> None:
        self.done = self._ended = False
        self.tape: ChunkBuffer[Any] = ChunkBuffer()
        self._told: int | None = None  # up to when [ns] windows have told of it

    def push(self, chunk: Chunk, needed: int) -> None:
        """Take its next chunk; windows before ``needed`` [ns] have been given."""
        chunk = without_late(chunk, needed)
        if self._told is None:
            self._told = chunk.covered_from
        self.tape.append(chunk)

    def skips(self, begin: int, end: int) -> int:
        """Return the time [ns] before which it has nothing but a gap; ``begin``, if it has."""
        tape = self.tape
        if tape.info is None or tape.end <= begin:
            return FOREVER
        if tape.low >= end:
            return tape.low
        return max(
            (g.end for _, g in tape.gap_positions if g.start <= begin and end <= g.end),
            default=begin,
        )

    @property
    def untold(self) -> bool:
        """Whether it ends with a gap that no window has told."""
        told = self._told
        return told is not None and (
            any(gap.end > told for _, gap in self.tape.gap_positions)
            or (not self._ended and bool(self._last_gaps()))
        )

    def _last_gaps(self) -> list[Gap]:
        """Return gaps without length at its end; they belong to what comes after."""
        end, told = self.tape.end, self._told
        if told is None or end < told:
            return []
        return [gap for _, gap in self.tape.gap_positions if gap.start == end]

    def cut(self, begin: int, end: int) -> Chunk | None:
        """Return what it has in a window, and before it the gaps that no window has told."""
        tape, told = self.tape, self._told
        if told is None:
            return None
        since = max(tape.low, begin)
        for _, gap in tape.gap_positions:
            if gap.start < begin and (gap.end > told or gap.start == gap.end == told):
                since = min(since, max(gap.start, told))
        until = min(end, tape.end)
        last: list[Gap] = []
        if self.done and tape.end < end and (begin <= tape.end or not self._ended):
            last = self._last_gaps()
        if until <= since and not last:
            return None
        since = min(since, until)
        i, j = tape.find(begin), tape.stop if until == tape.end else tape.find(until)
        chunk = tape.between(since, until, min(i, j), j)
        if last:  # nothing comes after them that could tell
            gap_positions = (*chunk.gap_positions, *(GapAt(len(chunk), gap) for gap in last))
            index = chunk.index + (0 if len(chunk) else sum(gap.lost or 0 for gap in last))
            chunk = chunk._replace(index=index, gap_positions=gap_positions)
        return chunk

    def forget(self, end: int, needed: int) -> None:
        """Let go of what is before ``needed`` [ns]: the window up to ``end`` has been given."""
        tape = self.tape
        if tape.info is None:
            return
        self._told = tape.end if tape.end < end else max(end, needed)
        self._ended = self.done and tape.end < end
        if (
            tape.gap_positions
        ):  # a stream that is always late has one after the other, and no samples
            t = min(self._told, needed)
            tape.gap_positions = [
                item for item in tape.gap_positions if item[1].end > t or item[1].start == t
            ]
        position = tape.find(needed)
        tape.reserve(tape.stop - position)
        tape.trim(position)


class _JoinWindows:
    __slots__ = ("_close", "_every", "_lanes", "_origin", "_span", "finished", "marks")

    def __init__(self, ports: int, span: int, every: int, origin: int, lateness: int) -> None:
        self.marks = Watermarks(ports, lateness)
        self.finished = False
        self._lanes = [_WindowInput() for _ in range(ports)]
        self._span, self._every, self._origin = span, every, origin
        self._close: int | None = None  # where the next window ends [ns]

    def push(self, port: int, chunk: Chunk) -> list[JoinedWindow]:
        self.marks.see(port, chunk)
        # what lies between windows is in none, so it is never late
        away = max(self._span, self._every)
        needed = NEVER if self._close is None else self._close - away
        self._lanes[port].push(chunk, needed)
        return self._advance()

    def done(self, port: int) -> list[JoinedWindow]:
        self.marks.done(port)
        self._lanes[port].done = True
        return self._advance()

    def _advance(self) -> list[JoinedWindow]:
        """Give all windows that end before the time up to which everybody has told."""
        tapes = [lane.tape for lane in self._lanes if lane.tape.info is not None]
        if not tapes:
            return []
        front = self.marks.front
        end = max(tape.end for tape in tapes)
        last = self._ends_after(end - 1)  # of the window with the end of all
        if last - self._span >= end:  # which lies between windows
            last -= self._every
        close = self._close
        if close is None:
            close = self._ends_after(min(tape.low for tape in tapes))
        out: list[JoinedWindow] = []
        while close <= min(front, last):
            begin = close - self._span
            later = min(lane.skips(begin, close) for lane in self._lanes)
            if later > begin:
                close = self._ends_after(later)
            else:
                out.append(self._give(close))
                close += self._every
            self._close = close
            if len(out) > _MOST:
                msg = (
                    f"join_windows: one chunk goes on for more than {_MOST} windows of "
                    f"{self._span / 1e9:g} s; use longer ones"
                )
                raise ChunkError(msg)
        if front == FOREVER and any(lane.untold for lane in self._lanes):
            out.append(self._give(close))
        return out

    def _ends_after(self, t: int) -> int:
        """Return where the first window ends that goes on after ``t`` [ns]."""
        n = (t - self._origin - self._span) // self._every + 1
        return self._origin + n * self._every + self._span

    def _give(self, close: int) -> JoinedWindow:
        begin = close - self._span
        chunks = tuple(lane.cut(begin, close) for lane in self._lanes)
        for lane in self._lanes:
            lane.forget(close, begin + self._every)
        return JoinedWindow(begin, close, chunks)


def join_windows(
    *others: Observable[Chunk],
    duration: Duration,
    every: Duration | None = None,
    origin: Time = 0,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Observable[JoinedWindow]]:
    """Cut several streams into the same windows of event time.

    .. marble::

        --ab--c----d-ef--g---|
        -1------2-----3----4-|           other
        [ join_windows(other, duration=5) ]
        -----(abc,1)--(d,2)-(efg,34)|    each when all streams are past its end

    Parameters
    ----------
    others
        The other streams; each keeps its own rate.
    duration
        Length of a window [s].
    every
        From the beginning of one to that of the next [s]; less than ``duration``: they overlap.
        Default: ``duration``.
    origin
        A time at which a window begins; default: the Unix epoch.
    lateness
        By how much a stream may be behind the newest chunk of all [s], in stream time, until it is
        waited for no more.

    Returns
    -------
    operator
        A `JoinedWindow` each, with a chunk of each stream, or None. Gaps stay inside the chunks
        (`Chunk.gap_positions`, `Chunk.coverage`). Windows without samples come too, unless every
        stream has nothing but a gap there: then the next one tells of all of it.

        The window of a stream that is later than ``lateness`` holds what it has told so far; what
        comes afterwards is in later windows, if it belongs there, else a `Gap` with why ``"lag"``
        tells of it. It ends when all streams have ended.

    Raises
    ------
    ParameterError
        If there are no others, one is no Observable, or a duration is not positive.
    ChunkError
        Downstream, if one chunk would give more than a million windows.

    See Also
    --------
    window_by_time : the same for one stream.
    align : sample by sample.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> a = Chunk.regular(np.arange(6), StreamInfo("a", 2.0, (), np.int64), start=0)
    >>> b = Chunk.regular(np.arange(12), StreamInfo("b", 4.0, (), np.int64), start=0)
    >>> rx.of(a).pipe(join_windows(rx.of(b), duration=2)).subscribe(
    ...     lambda w: print(w.start, *(chunk.data for chunk in w.chunks))).dispose()
    0 [0 1 2 3] [0 1 2 3 4 5 6 7]
    2000000000 [4 5] [ 8  9 10 11]
    """
    ports = 1 + len(stream_names(others, "join_windows"))
    span = to_span(duration, "duration")
    step = span if every is None else to_span(every, "every")
    begin, late = to_ns(origin), to_span(lateness, "lateness")
    return lift_multi(lambda: _JoinWindows(ports, span, step, begin, late), others, "join_windows")
