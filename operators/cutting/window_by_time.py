"""window_by_time: cut windows of event time, aligned to the clock."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from reactivex import Observable, compose

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.data.concat import concat
from rxstream.data.gap import Gap, GapAt
from rxstream.errors import ChunkError
from rxstream.operators.losses.fill_gaps import FillGaps
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice

__all__ = ["window_by_time"]

OnGap = Literal["mark", "split", "nan", "drop"]
# So many windows out of one chunk are no long silence, but a wrong time stamp or duration; they
# would fill the memory.
_MAX_WINDOWS_PER_CHUNK = 1_000_000
# The buffer is trimmed once in so many chunks, or in so many bytes if these are fewer samples, to
# keep trimming out of the quick way.
_TRIM_CHUNKS = 16
_TRIM_BYTES = 1 << 20


class _WindowByTime:
    __slots__ = (
        "_begins", "_buffer", "_every", "_last_end", "_left_out", "_next_end", "_on_gap", "_origin",
        "_per_window", "_quick", "_regular", "_span", "_trim_at", "_trim_step",
    )  # fmt: skip

    def __init__(self, span: int, every: int, origin: int, on_gap: OnGap) -> None:
        self._span, self._every, self._origin, self._on_gap = span, every, origin, on_gap
        self._buffer: ChunkBuffer[Any] | None = None
        self._next_end = 0  # time at which the next window ends [ns]
        self._last_end = 0  # time at which the last one ended [ns]
        # Time [ns] and index since which windows have been left out; the index is None where the
        # number of lost samples is unknown.
        self._left_out: tuple[int, int | None] | None = None
        # Where a window ends another one begins, `_per_window` windows later, if its length is a
        # multiple of the step; so each position is looked up once, and kept until then.
        self._per_window = span // every if span % every == 0 else 0
        self._begins: deque[int] = deque(maxlen=self._per_window)
        self._trim_step = self._trim_at = 0  # positions
        self._regular = True
        self._quick = False  # `_begins` holds where the next window begins

    def push(self, chunk: Chunk) -> list[Chunk] | tuple[Chunk, ...]:
        buffer = self._buffer
        if buffer is None:
            buffer = self._begin(chunk)
        buffer.append(chunk)
        end, window_end = buffer.end, self._next_end
        if end < window_end:
            return ()
        later, begins = window_end + self._every, self._begins
        if not self._quick or buffer.gap_positions or end >= later:
            return self._push_slowly(buffer)
        # The quick way: one window is due, its begin is known, and the buffer has no gap.
        i, j = begins[0], buffer.stop if end == window_end else buffer.find(window_end)
        begins.append(j)
        self._last_end, self._next_end = window_end, later
        if i > self._trim_at:
            self._trim(buffer, i)
        return (buffer.window(i, j, window_end - self._span, window_end),)

    def _push_slowly(self, buffer: ChunkBuffer[Any]) -> list[Chunk]:
        end = buffer.end
        most, due = _MAX_WINDOWS_PER_CHUNK, (end - self._next_end) // self._every
        if due > most and self._count(buffer) > most:
            info: Any = buffer.info
            msg = (
                f"window_by_time: {(end - self._next_end) / 1e9:g} s of {info.name} in one chunk "
                f"are more than {most} windows of {self._span / 1e9:g} s; use longer ones"
            )
            raise ChunkError(msg)
        out: list[Chunk] = []
        while self._next_end <= end:
            if not buffer.gap_positions or not self._skip_gap(buffer):
                out += self._cut(buffer, self._next_end)
                self._next_end += self._every
        self._quick = 0 < self._per_window == len(self._begins)
        self._trim(buffer, self._first(buffer))
        return out

    def _count(self, buffer: ChunkBuffer[Any]) -> int:
        """Return about how many windows are due, without those that lie entirely in a gap."""
        begin, every = self._next_end - self._span, self._every
        count = (buffer.end - self._next_end) // every
        for _, gap in buffer.gap_positions:
            inside = min(gap.end, buffer.end) - max(gap.start, begin)
            count -= max(0, inside - self._span) // every
        return count

    def flush(self) -> list[Chunk]:
        buffer = self._buffer
        out: list[Chunk] = []
        if buffer is None:
            return out
        while self._next_end - self._span < buffer.end:
            if not buffer.gap_positions or not self._skip_gap(buffer):
                end = min(self._next_end, buffer.end)
                out += self._cut(buffer, end)
                self._next_end += self._every
                # A later window would only repeat the end of this one.
                if end == buffer.end:
                    break
        if self._on_gap == "drop":
            out += self._dropped_last(buffer)
        elif buffer.gap_positions:
            out += self._rest(buffer)
        return out

    def _begin(self, chunk: Chunk) -> ChunkBuffer[Any]:
        period, overlap = chunk.info.period, 0
        # The true rate may be above the nominal one.
        if period is not None:
            overlap = int(self._span / period * 1.01) + 2
        self._regular = period is not None
        self._buffer = ChunkBuffer(overlap=overlap)
        self._last_end = chunk.covered_from
        # The first window is the earliest that ends after the begin of the stream.
        first = (chunk.covered_from - self._origin - self._span) // self._every + 1
        self._next_end = self._origin + first * self._every + self._span
        within_bytes = _TRIM_BYTES // max(1, chunk.info.sample_bytes)
        self._trim_step = min(_TRIM_CHUNKS * max(1, len(chunk)), within_bytes)
        return self._buffer

    def _first(self, buffer: ChunkBuffer[Any]) -> int:
        """Return the position of the first sample of the next window."""
        if self._per_window and len(self._begins) == self._per_window:
            return self._begins[0]
        return buffer.find(self._next_end - self._span)

    def _trim(self, buffer: ChunkBuffer[Any], position: int) -> None:
        if not self._regular:
            buffer.reserve(buffer.stop - position)
        buffer.trim(position)
        self._trim_at = position + self._trim_step

    def _cut(self, buffer: ChunkBuffer[Any], end: int) -> Sequence[Chunk]:
        """Return the chunks for the next window, which ends at ``end`` [ns]."""
        i = self._first(buffer)
        j = buffer.stop if end >= buffer.end else buffer.find(end)
        if self._per_window:
            self._begins.append(j)
        begin = max(self._next_end - self._span, buffer.low)
        window = buffer.between(begin, end, i, j)
        out: Sequence[Chunk] = (window,)
        if self._on_gap == "drop":
            out = self._drop(buffer, window)
        elif buffer.gap_positions:
            if self._left_out is not None:
                since, self._left_out = self._left_out[0], None
                if since < begin:
                    window = concat((buffer.between(since, begin, i, i), window))
            out = _split(window) if self._on_gap == "split" else (window,)
        self._last_end = end
        return out

    def _skip_gap(self, buffer: ChunkBuffer[Any]) -> bool:
        """Skip windows that lie entirely in a gap, and say whether there were any.

        The next window that is emitted has the whole gap.
        """
        begin = self._next_end - self._span
        for _, gap in buffer.gap_positions:
            if gap.start <= begin and self._next_end <= gap.end:
                self._leave_out(buffer, begin, (gap,))
                self._next_end += ((gap.end - self._next_end) // self._every + 1) * self._every
                return True
        return False

    def _leave_out(self, buffer: ChunkBuffer[Any], begin: int, gaps: Sequence[Gap]) -> None:
        # Where windows leave time out between them, gaps in that time are not reported either.
        if self._every > self._span:
            return
        if self._left_out is None:
            begin = max(begin, self._last_end)
            k = buffer.find(begin)
            self._left_out = (begin, buffer.between(begin, begin, k, k).index)
        # The next window carries what was left out, which the quick way cannot add.
        self._begins.clear()
        if any(gap.lost is None for gap in gaps):
            self._left_out = (self._left_out[0], None)

    def _drop(self, buffer: ChunkBuffer[Any], window: Chunk) -> Sequence[Chunk]:
        if window.gap_positions:
            self._leave_out(buffer, window.covered_from, window.gaps)
            return ()
        if self._left_out is None:
            return (window,)
        (since, index), self._left_out = self._left_out, None
        if since >= window.start:
            return (window,)
        lost = None if index is None else window.index - index
        return (window.with_gap(Gap(since, window.start, lost, "dropped")),)

    def _dropped_last(self, buffer: ChunkBuffer[Any]) -> list[Chunk]:
        """Return a chunk without samples for dropped windows that no other window follows."""
        if self._left_out is None:
            return []
        since, index = self._left_out
        lost = None if index is None else buffer.next_index(buffer.stop) - index
        return [_without_samples(buffer, (GapAt(0, Gap(since, buffer.end, lost, "dropped")),))]

    def _rest(self, buffer: ChunkBuffer[Any]) -> list[Chunk]:
        """Return a chunk without samples for gaps at the very end that no window has."""
        end = buffer.end
        since = end if self._left_out is None else self._left_out[0]
        rest = tuple(
            GapAt(0, gap.between(since, end))
            for _, gap in buffer.gap_positions
            if gap.end > since or gap.start == end
        )
        return [_without_samples(buffer, rest)] if rest else []


def _without_samples(buffer: ChunkBuffer[Any], gap_positions: tuple[GapAt, ...]) -> Chunk:
    """Return a chunk without samples at the end of the stream, with gaps."""
    info: Any = buffer.info
    index = buffer.next_index(buffer.stop)
    return Chunk.empty(info, buffer.end, index=index, gap_positions=gap_positions)


def _split(window: Chunk) -> list[Chunk]:
    """Return a window in pieces with gaps only before their first or after their last sample."""
    cuts = sorted({0, len(window), *(at for at, _ in window.gap_positions)})
    return [window[a:b] for a, b in pairwise(cuts)] or [window]


@label
def window_by_time(
    duration: Duration,
    *,
    every: Duration | None = None,
    origin: Time = 0,
    on_gap: OnGap = "mark",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Cut windows of event time, one `Chunk` each, aligned to the clock instead of the data.

    Rx calls this a *buffer* (a value), not a *window* (an Observable). Windows go by the times of
    the samples, not by timers.

    .. marble::

        --ab--c----d-ef--g---|
        [ window_by_time(5)  ]
        -----abc--.d---ef-g--|    each as soon as the stream is past its end

    Parameters
    ----------
    duration
        Length of a window [s].
    every
        Distance from the beginning of one window to that of the next [s]. Less than ``duration``:
        windows overlap. Default: ``duration``.
    origin
        A time at which a window begins. Default: the Unix epoch, so that windows of one second
        begin on the second.
    on_gap
        ``"mark"``: gaps stay inside the window (`Chunk.gap_positions`, `Chunk.coverage`).
        ``"split"``: a window with gaps is emitted in pieces, which have gaps only before their
        first or after their last sample. ``"nan"``: lost samples become NaN, as by
        ``fill_gaps(nan, limit=duration)``; gaps that this leaves, such as those longer than a
        window, stay marked. ``"drop"``: a window with a gap is left out; the next window, or at the
        end a chunk without samples, has what was left out as its `Chunk.gap`.

    Returns
    -------
    operator
        Chunks from the begin of the window to its end, as soon as the stream is past it. The first
        and last windows are cut to the time that the stream covers. Windows without samples are
        emitted too, unless they lie entirely in a gap: then the next window has the whole gap.
        Overlapping windows are views of one memory.

    Raises
    ------
    ParameterError
        If a duration is not positive, or ``on_gap`` is unknown.
    ChunkError
        Downstream, for ``"nan"`` with whole numbers or irregular samples, or if one chunk would
        make more than a million windows.

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
    check_choice(on_gap, OnGap, "on_gap")
    windows = lift_in_order(lambda: _WindowByTime(span, step, begin, on_gap))
    if on_gap != "nan":
        return windows
    return compose(
        lift_in_order(lambda: FillGaps(np.nan, span, "window_by_time(on_gap='nan')")), windows
    )
