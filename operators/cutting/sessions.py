"""sessions: group events that lie close together into one chunk."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, to_span
from rxstream.data.equal_stamps import EqualStamps
from rxstream.errors import ChunkError
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label

__all__ = ["sessions"]


class _Sessions:
    __slots__ = ("_after", "_before", "_begin", "_buffer", "_end", "_first", "_max_duration",
                 "_newest", "_opened", "_pause", "_stamps")  # fmt: skip

    def __init__(self, pause: int, before: int, after: int, max_duration: int) -> None:
        self._pause, self._max_duration = pause, max_duration
        self._before, self._after = before, after
        self._buffer: ChunkBuffer[Any] | None = None
        self._first: int | None = None  # position of the first event of the open session
        self._begin = self._end = 0  # times of its first and last event [ns]
        self._stamps = EqualStamps()
        self._opened = self._newest = 0  # stamps of its first and last event [ns]

    def push(self, chunk: Chunk) -> list[Chunk]:
        buffer = self._buffer
        if buffer is None:
            if chunk.info.rate is not None:
                msg = (
                    f"sessions: {chunk.info.name} has a rate of {chunk.info.rate:g} Hz, so its "
                    "samples never pause; for stretches of a regular stream use ops.gate"
                )
                raise ChunkError(msg)
            buffer = self._buffer = ChunkBuffer()
        base = buffer.stop
        buffer.append(chunk)
        out: list[Chunk] = []
        if len(chunk):
            self._add(buffer, base, chunk.time, self._stamps.of(chunk), out)
        if self._stamps.until(buffer.end) >= self._closes():
            self._close(buffer, buffer.stop, out)
        return out

    def flush(self) -> list[Chunk]:
        out: list[Chunk] = []
        if self._buffer is not None:
            self._close(self._buffer, self._buffer.stop, out)
        return out

    def _closes(self) -> int:
        """Return the time [ns] from which on an event belongs to the next session."""
        return min(self._newest + self._pause, self._opened + self._max_duration)

    def _add(
        self, buffer: ChunkBuffer[Any], base: int, times: NDArray[np.int64],
        stamps: NDArray[np.int64], out: list[Chunk],
    ) -> None:  # fmt: skip
        """Add events from position ``base`` on; close each session that they end.

        Pauses are measured between their ``stamps`` [ns].
        """
        pauses = np.flatnonzero(stamps[1:] - stamps[:-1] >= self._pause) + 1
        i = 0
        # Stretches without a pause, each divided where a session reaches its largest duration.
        for j in (*pauses.tolist(), len(times)):
            while i < j:
                if stamps[i] >= self._closes():
                    self._close(buffer, base + i, out)
                if self._first is None:
                    self._first, self._begin = base + i, int(times[i])
                    self._opened = int(stamps[i])
                i = max(i, min(j, int(stamps.searchsorted(self._opened + self._max_duration))))
                self._end, self._newest = int(times[i - 1]), int(stamps[i - 1])

    def _close(self, buffer: ChunkBuffer[Any], stop: int, out: list[Chunk]) -> None:
        """Close the open session, if there is one, before the event at position ``stop``."""
        if self._first is None:
            return
        start, end = self._begin - self._before, self._end + max(self._after, 1)
        out.append(buffer.cut(self._first, stop)._replace(start=start, end=end))
        self._first = None
        buffer.trim(stop)


@label
def sessions(
    pause: Duration,
    *,
    before: Duration = 0.0,
    after: Duration = 0.0,
    max_duration: Duration = 3600.0,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Group events that follow each other closely into one chunk for each group.

    For irregular streams: keys, messages, detections. With `capture`: record what happens while
    somebody types, and some seconds around.

    .. marble::

        --a-b--------cd-e--------|
        [      sessions(3)       ]
        ---------ab---------cde--|     each when nothing more can belong to it

    Parameters
    ----------
    pause
        Inactivity that ends a session [s]: an event that comes less than this after the one before
        belongs to the same session.
    before, after
        Time added before the first event of a session and after its last [s]. Sessions may overlap
        unless ``pause`` is at least the sum.
    max_duration
        Largest time from the first event of a session to its last [s]; a later one begins a new
        session. Without it, events that never pause would fill the memory.

    Returns
    -------
    operator
        A chunk for each session with all its events, from ``first - before`` to ``last + after``,
        emitted as soon as the stream (heartbeats count) is ``pause`` past its last event. Gaps
        before and between its events are in it, and neither begin nor end a session. Gaps after
        the last event of all are left out; `gaps` emits them.

    Raises
    ------
    ParameterError
        If a duration is negative, or ``pause`` or ``max_duration`` is zero.
    ChunkError
        Downstream, for a stream with a rate, whose samples never pause.

    See Also
    --------
    gate : stretches of regular signals.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> keys = StreamInfo("keys", None, (), np.dtype("U1"))
    >>> times = [1_000_000_000, 1_200_000_000, 9_000_000_000]
    >>> typed = Chunk.stamped(np.array(["h", "i", "!"]), times, keys)
    >>> rx.of(typed).pipe(sessions(2, before=1, after=1)).subscribe(
    ...     lambda c: print(c.data, c.start / 1e9, c.end / 1e9)).dispose()
    ['h' 'i'] 0.0 2.2
    ['!'] 8.0 10.0
    """
    quiet, most = to_span(pause, "pause"), to_span(max_duration, "max_duration")
    early, late = to_span(before, "before", zero=True), to_span(after, "after", zero=True)
    return lift_in_order(lambda: _Sessions(quiet, early, late, most))
