"""window_by_time: windows of event time, aligned to the clock."""

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from reactivex import Observable

from rxstream.axis import Grid, join_axes
from rxstream.chunk import Chunk
from rxstream.clock import Duration, Time, to_ns, to_span
from rxstream.errors import ChunkError, ParameterError
from rxstream.gap import Break
from rxstream.lift import lift
from rxstream.tape import Tape

__all__ = ["window_by_time"]

OnGap = Literal["mark", "split", "nan", "drop"]
_TRIM = 16


class _WindowByTime:
    __slots__ = (
        "_begin", "_every", "_on_gap", "_origin", "_positions", "_reuse", "_span", "_tape", "_told",
        "_windows",
    )  # fmt: skip

    def __init__(self, span: int, every: int, origin: int, on_gap: OnGap) -> None:
        self._span, self._every, self._origin, self._on_gap = span, every, origin, on_gap
        self._tape: Tape[Any] | None = None
        self._begin = 0  # of the next window
        self._told = 0  # up to where gaps have been told
        self._windows = 0  # since the tape was trimmed
        # where a window ends a later one begins, if the lengths allow: look up each place once
        self._reuse = span % every == 0
        self._positions: deque[tuple[int, int]] = deque()

    def push(self, chunk: Chunk) -> list[Chunk] | tuple[Chunk, ...]:
        tape = self._tape
        if tape is None:
            tape = self._start(chunk)
        tape.append(chunk)
        end, close = tape.end, self._begin + self._span
        if end < close:
            return ()
        positions = self._positions
        if end == close and positions and positions[0][0] == self._begin and not tape.breaks:
            # the quick way: one window, where it begins is known, no gap is near
            begin, i = positions.popleft()
            j = tape.stop
            positions.append((close, j))
            window = tape.window(i, j, begin, close)
            self._begin = begin + self._every
            self._told = max(close, self._begin)
            self._windows += 1
            if self._windows > _TRIM:
                self._windows = 0
                tape.trim(positions[0][1])
            return (window,)
        return self._push_slowly(tape, end)

    def _push_slowly(self, tape: Tape[Any], end: int) -> list[Chunk]:
        out: list[Chunk] = []
        while self._begin + self._span <= end:
            if tape.breaks and self._skip(tape, self._begin):
                continue
            self._cut(tape, self._begin, self._begin + self._span, out)
            self._begin += self._every
        tape.trim(self._first(tape, self._begin), self._told)
        return out

    def flush(self) -> list[Chunk]:
        tape = self._tape
        out: list[Chunk] = []
        if tape is None:
            return out
        while self._begin < tape.end:
            if tape.breaks and self._skip(tape, self._begin):
                continue
            stop = min(self._begin + self._span, tape.end)
            self._cut(tape, self._begin, stop, out)
            self._begin += self._every
            if stop == tape.end:
                break  # a later window would only repeat the end of this one
        untold = self._told < tape.end and any(gap.end > self._told for _, gap in tape.breaks)
        rest = tape.gaps_at_end(always=untold)
        if rest is not None and self._on_gap != "drop":
            out.append(_tell(tape, rest, self._told, tape.end))
        return out

    def _start(self, chunk: Chunk) -> Tape[Any]:
        carry = 0
        period = chunk.info.period
        if period is not None:
            carry = int((self._span + self._every) / period) + 2 + len(chunk)
        self._tape = Tape(carry=carry)
        first = (chunk.extent - self._origin - self._span) // self._every + 1
        self._begin = self._origin + first * self._every
        self._told = max(chunk.extent, self._begin)
        return self._tape

    def _first(self, tape: Tape[Any], begin: int) -> int:
        """Return the position where the window from ``begin`` on begins."""
        positions = self._positions
        while positions and positions[0][0] < begin:
            positions.popleft()
        if positions and positions[0][0] == begin:
            return positions[0][1]
        return tape.find(begin)

    def _cut(self, tape: Tape[Any], begin: int, end: int, out: list[Chunk]) -> None:
        i = self._first(tape, begin)
        j = tape.stop if end >= tape.end else tape.find(end)
        if self._reuse:
            self._positions.append((end, j))
        window = tape.between(max(begin, tape.low), end, i, j)
        if not tape.breaks:
            out.append(window)
            self._told = max(end, begin + self._every)
            return
        if not window.breaks or self._on_gap == "mark":
            pieces = [window]
        elif self._on_gap == "split":
            pieces = _split(window)
        elif self._on_gap == "nan":
            pieces = [_fill(window)]
        else:
            pieces = []
        if pieces and self._told < begin:
            pieces[0] = _tell(tape, pieces[0], self._told, begin)
        # what lies between windows that do not touch is left out on purpose
        self._told = max(end, begin + self._every)
        out += pieces

    def _skip(self, tape: Tape[Any], begin: int) -> bool:
        """Pass over windows that lie wholly in a gap; the next window tells of all of it."""
        end = begin + self._span
        for _, gap in tape.breaks:
            if gap.start <= begin and end <= gap.end:
                count = (gap.end - end) // self._every + 1
                self._begin = begin + count * self._every
                return True
        return False


def _tell(tape: Tape[Any], piece: Chunk, told: int, begin: int) -> Chunk:
    """Add what gaps lost from ``told`` to ``begin``, where windows were passed over."""
    for _, gap in reversed(tape.breaks):
        if gap.start < begin and told < gap.end:
            part = gap.between(told, min(begin, gap.end))
            first = piece.breaks[0] if piece.breaks else None
            if first is not None and first[0] == 0 and part.continues(first[1]):
                joined = (0, part.join(first[1]))
                piece = _with_breaks(piece, (joined, *piece.breaks[1:]))
            else:
                piece = _with_breaks(piece, ((0, part), *piece.breaks))
    return piece


def _with_breaks(piece: Chunk, breaks: tuple[Break, ...]) -> Chunk:
    return Chunk(piece.data, piece.axis, piece.start, piece.end, piece.index, piece.info, breaks)


def _split(window: Chunk) -> list[Chunk]:
    cuts = sorted({0, len(window), *(at for at, _ in window.breaks)})
    pieces = [window[a:b] for a, b in pairwise(cuts)]
    return pieces or [window]


def _fill(window: Chunk) -> Chunk:
    """Return a window whose lost samples are there, as NaN."""
    info = window.info
    if info.dtype.kind not in "fc" or info.period is None:
        msg = (
            f"window_by_time(on_gap='nan'): {info.name} is {info.dtype} at rate {info.rate}; only "
            "regular streams of floating point numbers can hold NaN; use map_data before"
        )
        raise ChunkError(msg)
    data, axes, at, index = [], [], 0, window.index
    for position, gap in window.breaks:
        count = gap.lost if gap.lost is not None else round((gap.end - gap.start) / info.period)
        if position == 0:
            index -= gap.lost or 0
        data.append(window.data[at:position])
        axes.append(window.axis.cut(at, position))
        if count > 0:
            data.append(np.full((count, *info.shape), np.nan, info.dtype))
            axes.append(Grid(gap.start, (gap.end - gap.start) / count, count))
        at = position
    data.append(window.data[at:])
    axes.append(window.axis.cut(at, len(window)))
    filled = np.concatenate(data)
    filled.flags.writeable = False
    return Chunk(filled, join_axes(axes), window.extent, window.end, index, info)


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
        ``"mark"``: gaps stay inside the window (`Chunk.breaks`, `Chunk.fill`); ``"split"``: a
        window with gaps comes in pieces; ``"nan"``: lost samples come as NaN; ``"drop"``: a window
        with a gap is left out.

    Returns
    -------
    operator
        Chunks from the window's begin to its end. The first and last windows are cut to what the
        stream tells about. Windows without samples come too, unless they lie wholly in a gap: then
        the next window tells of all of it. Latency: until the stream's end is past the window's.

    Raises
    ------
    ParameterError
        If a duration is not positive, or there is no such ``on_gap``.
    ChunkError
        Downstream, if ``"nan"`` is asked of whole numbers or irregular samples.

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
    return lift(lambda: _WindowByTime(span, step, begin, on_gap))
