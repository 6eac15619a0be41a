"""join_windows: several streams in the same windows of time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.data.gap import Gap, GapAt
from rxstream.errors import ChunkError
from rxstream.steps.in_order import InOrder
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.steps.stream import Stream, label
from rxstream.steps.watermark import FOREVER, NEVER, Watermarks, without_late

__all__ = ["JoinedWindow", "join_windows"]

# A silent stream may skip some thousand windows; more than this are a wrong duration or time.
_MAX_WINDOWS_PER_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class JoinedWindow:
    """The chunks of several streams in one window of time.

    Attributes
    ----------
    start, end
        Interval of the window [ns]; ``end`` is exclusive.
    chunks
        One for each stream, the source first. The chunk of a stream that covers only a part of the
        window is shorter; None stands for a stream that covers nothing of it.
    """

    start: int
    end: int
    chunks: tuple[Chunk | None, ...]


class _WindowInput:
    """One stream, from the start of the next window on.

    Attributes
    ----------
    buffer
        Its samples and gaps that later windows may need.
    done
        Whether it has ended.
    """

    __slots__ = ("_ended", "_order", "_out_to", "buffer", "done")

    def __init__(self) -> None:
        self.done = self._ended = False
        self._order = InOrder("join_windows")
        self.buffer: ChunkBuffer[Any] = ChunkBuffer()
        self._out_to: int | None = None  # time up to which windows of it are out [ns]

    def push(self, chunk: Chunk, needed: int) -> None:
        """Take its next chunk; windows before ``needed`` [ns] are out."""
        self._order.check(chunk)
        chunk = without_late(chunk, needed)
        if self._out_to is None:
            self._out_to = chunk.covered_from
        self.buffer.append(chunk)

    def skips(self, begin: int, end: int) -> int:
        """Return the time before which it has nothing but a gap [ns]; ``begin``, if it has."""
        buffer = self.buffer
        if buffer.info is None or buffer.end <= begin:
            return FOREVER
        if buffer.low >= end:
            return buffer.low
        return max(
            (g.end for _, g in buffer.gap_positions if g.start <= begin and end <= g.end),
            default=begin,
        )

    @property
    def ends_with_gap(self) -> bool:
        """Whether it ends with a gap that is in no window so far."""
        out_to = self._out_to
        return out_to is not None and (
            any(gap.end > out_to for _, gap in self.buffer.gap_positions)
            or (not self._ended and bool(self._last_gaps()))
        )

    def _last_gaps(self) -> list[Gap]:
        """Return the gaps without length at its end; they belong to what comes after."""
        end, out_to = self.buffer.end, self._out_to
        if out_to is None or end < out_to:
            return []
        return [gap for _, gap in self.buffer.gap_positions if gap.start == end]

    def cut(self, begin: int, end: int) -> Chunk | None:
        """Return its part of a window, after the gaps that are in no window so far."""
        buffer, out_to = self.buffer, self._out_to
        if out_to is None:
            return None
        since = max(buffer.low, begin)
        for _, gap in buffer.gap_positions:
            if gap.start < begin and (gap.end > out_to or gap.start == gap.end == out_to):
                since = min(since, max(gap.start, out_to))
        until = min(end, buffer.end)
        last: list[Gap] = []
        if self.done and buffer.end < end and (begin <= buffer.end or not self._ended):
            last = self._last_gaps()
        if until <= since and not last:
            return None
        since = min(since, until)
        i, j = buffer.find(begin), buffer.stop if until == buffer.end else buffer.find(until)
        chunk = buffer.between(since, until, min(i, j), j)
        # no later chunk comes that they could stand before
        if last:
            gap_positions = (*chunk.gap_positions, *(GapAt(len(chunk), gap) for gap in last))
            index = chunk.index + (0 if len(chunk) else sum(gap.lost or 0 for gap in last))
            chunk = chunk._replace(index=index, gap_positions=gap_positions)
        return chunk

    def forget(self, end: int, needed: int) -> None:
        """Drop what is before ``needed`` [ns]; the window up to ``end`` [ns] is out."""
        buffer = self.buffer
        if buffer.info is None:
            return
        self._out_to = buffer.end if buffer.end < end else max(end, needed)
        self._ended = self.done and buffer.end < end
        # a stream that is always late has no samples to trim, but one gap after the other
        if buffer.gap_positions:
            t = min(self._out_to, needed)
            buffer.gap_positions = [
                at for at in buffer.gap_positions if at.gap.end > t or at.gap.start == t
            ]
        position = buffer.find(needed)
        buffer.reserve(buffer.stop - position)
        buffer.trim(position)


class _JoinWindows:
    __slots__ = ("_close", "_every", "_inputs", "_origin", "_span", "finished", "marks")

    def __init__(self, ports: int, span: int, every: int, origin: int, lateness: int) -> None:
        self.marks = Watermarks(ports, lateness)
        self.finished = False
        self._inputs = [_WindowInput() for _ in range(ports)]
        self._span, self._every, self._origin = span, every, origin
        self._close: int | None = None  # where the next window ends [ns]

    def push(self, port: int, chunk: Chunk) -> list[JoinedWindow]:
        self.marks.advance(port, chunk)
        # between windows nothing is late: it is in no window
        away = max(self._span, self._every)
        needed = NEVER if self._close is None else self._close - away
        self._inputs[port].push(chunk, needed)
        return self._advance()

    def done(self, port: int) -> list[JoinedWindow]:
        self.marks.done(port)
        self._inputs[port].done = True
        return self._advance()

    def _advance(self) -> list[JoinedWindow]:
        """Return all windows that end at the frontier or before."""
        buffers = [one.buffer for one in self._inputs if one.buffer.info is not None]
        if not buffers:
            return []
        front = self.marks.frontier
        end = max(buffer.end for buffer in buffers)
        # where the last window with samples ends; if the end of all lies between two windows, that
        # is the earlier one
        last = self._ends_after(end - 1)
        if last - self._span >= end:
            last -= self._every
        close = self._close
        if close is None:
            close = self._ends_after(min(buffer.low for buffer in buffers))
        out: list[JoinedWindow] = []
        while close <= min(front, last):
            begin = close - self._span
            later = min(one.skips(begin, close) for one in self._inputs)
            if later > begin:
                close = self._ends_after(later)
            else:
                out.append(self._cut(close))
                close += self._every
            self._close = close
            if len(out) > _MAX_WINDOWS_PER_CHUNK:
                msg = (
                    f"join_windows: one chunk goes on for more than {_MAX_WINDOWS_PER_CHUNK} "
                    f"windows of {self._span / 1e9:g} s; use longer ones"
                )
                raise ChunkError(msg)
        # after the end of all, the last gaps need a window although no sample does
        if front == FOREVER and any(one.ends_with_gap for one in self._inputs):
            out.append(self._cut(close))
        return out

    def _ends_after(self, t: int) -> int:
        """Return the end of the first window that reaches beyond ``t`` [ns]."""
        n = (t - self._origin - self._span) // self._every + 1
        return self._origin + n * self._every + self._span

    def _cut(self, close: int) -> JoinedWindow:
        begin = close - self._span
        chunks = tuple(one.cut(begin, close) for one in self._inputs)
        for one in self._inputs:
            one.forget(close, begin + self._every)
        return JoinedWindow(begin, close, chunks)


@label
def join_windows(
    *others: Observable[Chunk],
    duration: Duration,
    every: Duration | None = None,
    origin: Time = 0,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Stream[JoinedWindow]]:
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
        Distance from the start of one window to that of the next [s]; they overlap if it is less
        than ``duration``. Default: ``duration``.
    origin
        A time at which a window starts; default: the Unix epoch.
    lateness
        Largest lag of a stream behind the newest chunk of all [s], in stream time; one that lags
        more is not waited for.

    Returns
    -------
    operator
        A `JoinedWindow` each, with a chunk of each stream, or None. Gaps stay inside the chunks
        (`Chunk.gap_positions`, `Chunk.coverage`). Windows without samples come too, unless every
        stream has nothing but a gap there: then the next window reports all of it.

        A stream that is later than ``lateness`` has in its window what has come so far. What comes
        afterwards is in later windows if it belongs there; else a `Gap` with reason ``"lag"``
        reports it. It ends when all streams have ended.

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
