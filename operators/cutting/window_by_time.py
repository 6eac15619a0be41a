"""window_by_time: windows of event time, aligned to the clock."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from reactivex import Observable, compose

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.data.concat import concat
from rxstream.data.gap import Gap, GapAt
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.losses.fill_gaps import FillGaps
from rxstream.steps.lift import lift

__all__ = ["window_by_time"]

OnGap = Literal["mark", "split", "nan", "drop"]
_MOST = 1_000_000  # windows out of one chunk: more is no silence, but a mistake
_BATCH, _BATCH_BYTES = 16, 1 << 20  # chunks forgotten at a time, if they are no more than that


class _WindowByTime:
    __slots__ = (
        "_batch", "_close", "_every", "_forgotten", "_known", "_left_out", "_marks", "_on_gap",
        "_origin", "_regular", "_span", "_tape", "_told", "_want",
    )  # fmt: skip

    def __init__(self, span: int, every: int, origin: int, on_gap: OnGap) -> None:
        self._span, self._every, self._origin, self._on_gap = span, every, origin, on_gap
        self._tape: ChunkBuffer[Any] | None = None
        self._close = 0  # where the next window ends [ns]
        self._told = 0  # where the last one ended [ns]
        # since when [ns] and which sample windows have been left out; None if nobody can count
        self._left_out: tuple[int, int | None] | None = None
        # where one window ends a later one begins, if the lengths allow: look up each place once
        self._want = span // every if span % every == 0 else 0
        self._marks: deque[int] = deque(maxlen=self._want)
        self._batch = self._forgotten = 0
        self._regular = True
        self._known = False  # where the next window begins is in the marks

    def push(self, chunk: Chunk) -> list[Chunk] | tuple[Chunk, ...]:
        tape = self._tape
        if tape is None:
            tape = self._begin(chunk)
        tape.append(chunk)
        end, close = tape.end, self._close
        if end < close:
            return ()
        later, marks = close + self._every, self._marks
        if not self._known or tape.gap_positions or end >= later:
            return self._push_slowly(tape)
        # the quick way: one window, where it begins is known, no gap is near
        i, j = marks[0], tape.stop if end == close else tape.find(close)
        marks.append(j)
        self._told, self._close = close, later
        if i > self._forgotten:
            self._forget(tape, i)
        return (tape.window(i, j, close - self._span, close),)

    def _push_slowly(self, tape: ChunkBuffer[Any]) -> list[Chunk]:
        end = tape.end
        if (end - self._close) // self._every > _MOST and self._count(tape) > _MOST:
            msg = (
                f"window_by_time: {(end - self._close) / 1e9:g} s of {tape.info.name} in one chunk "  # type: ignore[union-attr]
                f"are more than {_MOST} windows of {self._span / 1e9:g} s; use longer ones"
            )
            raise ChunkError(msg)
        out: list[Chunk] = []
        while self._close <= end:
            if not tape.gap_positions or not self._skip(tape):
                out += self._cut(tape, self._close)
                self._close += self._every
        self._known = 0 < self._want == len(self._marks)
        self._forget(tape, self._first(tape))
        return out

    def _count(self, tape: ChunkBuffer[Any]) -> int:
        """Return about how many windows are due; those that lie wholly in a gap are left out."""
        begin, every = self._close - self._span, self._every
        count = (tape.end - self._close) // every
        for _, gap in tape.gap_positions:
            inside = min(gap.end, tape.end) - max(gap.start, begin)
            count -= max(0, inside - self._span) // every
        return count

    def flush(self) -> list[Chunk]:
        tape = self._tape
        out: list[Chunk] = []
        if tape is None:
            return out
        while self._close - self._span < tape.end:
            if not tape.gap_positions or not self._skip(tape):
                end = min(self._close, tape.end)
                out += self._cut(tape, end)
                self._close += self._every
                if end == tape.end:
                    break  # a later window would only repeat the end of this one
        if self._on_gap == "drop":
            out += self._dropped_last(tape)
        elif tape.gap_positions:
            out += self._rest(tape)
        return out

    def _begin(self, chunk: Chunk) -> ChunkBuffer[Any]:
        period, overlap = chunk.info.period, 0
        if period is not None:  # a true rate may be above the nominal one
            overlap = int(self._span / period * 1.01) + 2
        self._regular = period is not None
        self._tape = ChunkBuffer(overlap=overlap)
        self._told = chunk.covered_from
        first = (chunk.covered_from - self._origin - self._span) // self._every + 1
        self._close = self._origin + first * self._every + self._span
        few = _BATCH_BYTES // max(1, chunk.info.sample_bytes)
        self._batch = min(_BATCH * max(1, len(chunk)), few)
        return self._tape

    def _first(self, tape: ChunkBuffer[Any]) -> int:
        """Return the position of the first sample of the next window."""
        if self._want and len(self._marks) == self._want:
            return self._marks[0]
        return tape.find(self._close - self._span)

    def _forget(self, tape: ChunkBuffer[Any], position: int) -> None:
        if not self._regular:
            tape.reserve(tape.stop - position)
        tape.trim(position)
        self._forgotten = position + self._batch

    def _cut(self, tape: ChunkBuffer[Any], end: int) -> Sequence[Chunk]:
        """Return what to give for the next window, which ends at ``end`` [ns]."""
        i = self._first(tape)
        j = tape.stop if end >= tape.end else tape.find(end)
        if self._want:
            self._marks.append(j)
        begin = max(self._close - self._span, tape.low)
        window = tape.between(begin, end, i, j)
        out: Sequence[Chunk] = (window,)
        if self._on_gap == "drop":
            out = self._drop(tape, window)
        elif tape.gap_positions:
            if self._left_out is not None:
                since, self._left_out = self._left_out[0], None
                if since < begin:
                    window = concat((tape.between(since, begin, i, i), window))
            out = _split(window) if self._on_gap == "split" else (window,)
        self._told = end
        return out

    def _skip(self, tape: ChunkBuffer[Any]) -> bool:
        """Pass over windows that lie wholly in a gap; the next one tells of all of it."""
        begin = self._close - self._span
        for _, gap in tape.gap_positions:
            if gap.start <= begin and self._close <= gap.end:
                self._leave_out(tape, begin, (gap,))
                self._close += ((gap.end - self._close) // self._every + 1) * self._every
                return True
        return False

    def _leave_out(self, tape: ChunkBuffer[Any], begin: int, gaps: Sequence[Gap]) -> None:
        if self._every > self._span:
            return  # what lies between windows is not told either
        if self._left_out is None:
            begin = max(begin, self._told)
            k = tape.find(begin)
            self._left_out = (begin, tape.between(begin, begin, k, k).index)
        self._marks.clear()  # the next window has to tell, which the quick way does not
        if any(gap.lost is None for gap in gaps):
            self._left_out = (self._left_out[0], None)

    def _drop(self, tape: ChunkBuffer[Any], window: Chunk) -> Sequence[Chunk]:
        if window.gap_positions:
            self._leave_out(tape, window.covered_from, window.gaps)
            return ()
        if self._left_out is None:
            return (window,)
        (since, index), self._left_out = self._left_out, None
        if since >= window.start:
            return (window,)
        lost = None if index is None else window.index - index
        return (window.with_gap(Gap(since, window.start, lost, "dropped")),)

    def _dropped_last(self, tape: ChunkBuffer[Any]) -> list[Chunk]:
        """Return a chunk without samples for what has been dropped and no window comes after."""
        if self._left_out is None:
            return []
        since, index = self._left_out
        lost = None if index is None else tape.index(tape.stop) - index
        return [_empty(tape, (GapAt(0, Gap(since, tape.end, lost, "dropped")),))]

    def _rest(self, tape: ChunkBuffer[Any]) -> list[Chunk]:
        """Return a chunk without samples for gaps at the very end that no window has told."""
        end = tape.end
        since = end if self._left_out is None else self._left_out[0]
        rest = tuple(
            GapAt(0, gap.between(since, end))
            for _, gap in tape.gap_positions
            if gap.end > since or gap.start == end
        )
        return [_empty(tape, rest)] if rest else []


def _empty(tape: ChunkBuffer[Any], gap_positions: tuple[GapAt, ...]) -> Chunk:
    """Return a chunk without samples at the end of the stream, with gaps."""
    end, stop = tape.end, tape.stop
    info: Any = tape.info
    empty = tape.data(stop, stop), tape.axis(stop, stop)
    return Chunk(*empty, end, end, tape.index(stop), info, gap_positions)


def _split(window: Chunk) -> list[Chunk]:
    cuts = sorted({0, len(window), *(at for at, _ in window.gap_positions)})
    return [window[a:b] for a, b in pairwise(cuts)] or [window]


def window_by_time(
    duration: Duration,
    *,
    every: Duration | None = None,
    origin: Time = 0,
    on_gap: OnGap = "mark",
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Cut windows of event time: one `Chunk` each, aligned to the clock, not to the data.

    What Rx calls a *buffer* (a value), not a *window* (an Observable); by the times of the samples,
    not by timers.

    .. marble::

        --ab--c----d-ef--g---|
        [ window_by_time(5)  ]
        -----abc--.d---ef-g--|    each when the stream is past its end

    Parameters
    ----------
    duration
        Length of a window [s].
    every
        From the beginning of one to that of the next [s]; less than ``duration``: they overlap.
        Default: ``duration``.
    origin
        A time at which a window begins; default: the Unix epoch, so that windows of one second
        begin on the second.
    on_gap
        ``"mark"``: gaps stay inside the window (`Chunk.gap_positions`, `Chunk.coverage`).
        ``"split"``: a window with gaps comes in pieces, which have gaps only before their first or
        after their last sample. ``"nan"``: lost samples come as NaN, as ``fill_gaps(nan,
        limit=duration)`` puts them in; gaps that it leaves, above all those longer than a window,
        are marked. ``"drop"``: a window with a gap is left out; the next one that is given tells of
        what was left out, as its `Chunk.gap`, and at the end a chunk without samples.

    Returns
    -------
    operator
        Chunks from the window's begin to its end, as soon as the stream's end is past it. The
        first and last windows are cut to what the stream tells about. Windows without samples come
        too, unless they lie wholly in a gap: then the next one tells of all of it. Overlapping
        windows are views of one memory.

    Raises
    ------
    ParameterError
        If a duration is not positive, or there is no such ``on_gap``.
    ChunkError
        Downstream, if ``"nan"`` is asked of whole numbers or irregular samples, or if one chunk
        would give more than a million windows.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> whole = Chunk.regular(np.arange(10.0), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:7], whole[7:]).pipe(window_by_time(0.5)).subscribe(
    ...     lambda c: print(c.data, c.start, c.end)).dispose()
    [0. 1. 2. 3. 4.] 0 500000000
    [5. 6. 7. 8. 9.] 500000000 1000000000
    """
    span = to_span(duration, "duration")
    step = span if every is None else to_span(every, "every")
    begin = to_ns(origin)
    if on_gap not in get_args(OnGap):
        msg = f"on_gap must be one of {', '.join(get_args(OnGap))}, not {on_gap!r}"
        raise ParameterError(msg)
    windows = lift(lambda: _WindowByTime(span, step, begin, on_gap))
    if on_gap != "nan":
        return windows
    return compose(lift(lambda: FillGaps(np.nan, span, "window_by_time(on_gap='nan')")), windows)
