"""rechunk: cut chunks of equal length."""

from collections.abc import Callable
from typing import Any, Literal

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice, is_whole

__all__ = ["rechunk"]

OnGap = Literal["mark", "split"]


class _Rechunk:
    __slots__ = ("_buffer", "_emitted_to", "_hop", "_hop_span", "_next", "_size", "_span", "_split",
                 "_split_at")  # fmt: skip

    def __init__(
        self, size: int, hop: int, span: int | None, hop_span: int | None, *, split: bool
    ) -> None:
        self._size, self._hop, self._split = size, hop, split
        self._span, self._hop_span = span, hop_span
        self._buffer: ChunkBuffer[Any] | None = None
        self._next = 0  # position where the next chunk begins
        self._emitted_to = 0  # position up to which samples are out
        self._split_at = 0  # position of the last gap that ended a chunk

    def push(self, chunk: Chunk) -> list[Chunk]:
        buffer = self._buffer
        if buffer is None:
            buffer = self._begin(chunk)
        buffer.append(chunk)
        out: list[Chunk] = []
        if self._split and buffer.gap_positions:
            self._split_at_gaps(buffer, out)
        at, size, hop, stop = self._next, self._size, self._hop, buffer.stop
        # A chunk that ends with the newest sample waits until the end of that sample is certain.
        while stop - at > size or (stop - at == size and buffer.ended(stop)):
            out.append(buffer.cut(at, at + size))
            self._emitted_to = at + size
            at += hop
        if at != self._next:
            self._next = at
            buffer.trim(min(at, stop))
        return out

    def flush(self) -> list[Chunk]:
        buffer = self._buffer
        if buffer is None:
            return []
        at = min(self._next, buffer.stop)
        has_gaps = any(place >= max(at, self._emitted_to) for place, _ in buffer.gap_positions)
        if buffer.stop > self._emitted_to or has_gaps:
            return [buffer.cut(at, buffer.stop, rest=True)]
        return []

    def _begin(self, chunk: Chunk) -> ChunkBuffer[Any]:
        period = chunk.info.period
        if self._span is not None:
            if period is None:
                msg = (
                    f"rechunk(duration=...): {chunk.info.name} has no rate; use a number of "
                    "samples, or ops.window_by_time"
                )
                raise ParameterError(msg)
            self._size = max(1, round(self._span / period))
            self._hop = self._size
            if self._hop_span is not None:
                self._hop = max(1, round(self._hop_span / period))
        self._buffer = ChunkBuffer(overlap=self._size)
        return self._buffer

    def _split_at_gaps(self, buffer: ChunkBuffer[Any], out: list[Chunk]) -> None:
        for position, _ in buffer.gap_positions:
            if position <= self._split_at:
                continue
            while position - self._next >= self._size:
                out.append(buffer.cut(self._next, self._next + self._size))
                self._emitted_to = self._next + self._size
                self._next += self._hop
            if self._next < position and self._emitted_to < position:
                out.append(buffer.cut(self._next, position))
            self._next = self._emitted_to = self._split_at = position


@label
def rechunk(
    size: int | None = None,
    *,
    duration: Duration | None = None,
    hop: float | None = None,
    on_gap: OnGap = "mark",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Regroup samples into chunks of exactly one length, in order, none lost.

    .. marble::

        --3--3-----2--|     chunk lengths in
        [ rechunk(4)  ]
        -----4-----4--|     chunk lengths out

    Parameters
    ----------
    size
        Samples in a chunk, >= 1. Exclusive with ``duration``.
    duration
        Length of a chunk [s], rounded to samples of the nominal rate.
    hop
        Distance from the beginning of one chunk to that of the next, in samples, or in [s] with
        ``duration``. Less than the length: chunks overlap. Default: the length.
    on_gap
        ``"mark"``: a gap stays inside its chunk (`Chunk.gap_positions`); ``"split"``: a chunk ends,
        short, before a gap.

    Returns
    -------
    operator
        Chunks ``(size, *shape)``, the last one shorter; times exact. Latency: up to the length.
        Overlapping chunks are views of one memory.

    Raises
    ------
    ParameterError
        If the length is not positive, if ``size`` and ``duration`` are both given or both missing,
        or if ``on_gap`` is unknown; downstream, if ``duration`` is given for a stream without rate.

    See Also
    --------
    window_by_time : windows aligned to the clock, for irregular streams too.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> whole = Chunk.regular(np.arange(10.0), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:3], whole[3:]).pipe(rechunk(4)).subscribe(lambda c: print(c.data)).dispose()
    [0. 1. 2. 3.]
    [4. 5. 6. 7.]
    [8. 9.]
    """
    if (size is None) == (duration is None):
        msg = (
            f"rechunk takes size or duration=, one of them, not {shown(size)} and {shown(duration)}"
        )
        raise ParameterError(msg)
    check_choice(on_gap, OnGap, "on_gap")
    split = on_gap == "split"
    if duration is not None:
        span = to_span(duration, "duration")
        hop_span = None if hop is None else to_span(hop, "hop")
        return lift_in_order(lambda: _Rechunk(0, 0, span, hop_span, split=split))
    for name, value in (("size", size), ("hop", size if hop is None else hop)):
        if not is_whole(value, 1):
            msg = f"{name} must be a whole number of samples >= 1, not {shown(value)}"
            raise ParameterError(msg)
    samples, step = int(size or 0), int(hop or size or 0)
    return lift_in_order(lambda: _Rechunk(samples, step, None, None, split=split))
