"""rechunk: chunks of equal length."""

from collections.abc import Callable
from typing import Any, Literal

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.steps.lift import lift
from rxstream.validation import is_whole

__all__ = ["rechunk"]

OnGap = Literal["mark", "split"]


class _Rechunk:
    __slots__ = ("_at", "_done", "_gap", "_hop", "_hop_span", "_size", "_span", "_split", "_tape")

    def __init__(
        self, size: int, hop: int, span: int | None, hop_span: int | None, *, split: bool
    ) -> None:
        self._size, self._hop, self._split = size, hop, split
        self._span, self._hop_span = span, hop_span
        self._tape: ChunkBuffer[Any] | None = None
        # where the next chunk begins; up to where samples are out; the last gap that split them
        self._at = self._done = self._gap = 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        tape = self._tape
        if tape is None:
            tape = self._begin(chunk)
        tape.append(chunk)
        out: list[Chunk] = []
        if self._split and tape.gap_positions:
            self._split_at_gaps(tape, out)
        at, size, hop, stop = self._at, self._size, self._hop, tape.stop
        while stop - at > size or (stop - at == size and tape.ended(stop)):
            out.append(tape.cut(at, at + size))
            self._done = at + size
            at += hop
        if at != self._at:
            self._at = at
            tape.trim(min(at, stop))
        return out

    def flush(self) -> list[Chunk]:
        tape = self._tape
        if tape is None:
            return []
        at = min(self._at, tape.stop)
        told = any(position >= max(at, self._done) for position, _ in tape.gap_positions)
        if tape.stop > self._done or told:
            return [tape.cut(at, tape.stop, rest=True)]
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
        self._tape = ChunkBuffer(overlap=self._size)
        return self._tape

    def _split_at_gaps(self, tape: ChunkBuffer[Any], out: list[Chunk]) -> None:
        for position, _ in tape.gap_positions:
            if position <= self._gap:
                continue
            while position - self._at >= self._size:
                out.append(tape.cut(self._at, self._at + self._size))
                self._done = self._at + self._size
                self._at += self._hop
            if self._at < position and self._done < position:
                out.append(tape.cut(self._at, position))
            self._at = self._done = self._gap = position


def rechunk(
    size: int | None = None,
    *,
    duration: Duration | None = None,
    hop: float | None = None,
    on_gap: OnGap = "mark",
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Regroup samples into chunks of exactly one length, in order, none lost.

    .. marble::

        --3--3-----2--|     chunk lengths in
        [ rechunk(4)  ]
        -----4-----4--|     chunk lengths out

    Parameters
    ----------
    size
        Samples in a chunk, >= 1; or
    duration
        how long a chunk is [s], rounded to samples of the nominal rate.
    hop
        From the beginning of one chunk to that of the next, in samples, or in seconds [s] if
        ``duration`` is given; less than the length: they overlap. Default: the length.
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
        If the length is not positive, or both or neither are given; downstream, if ``duration`` is
        asked of a stream without a rate.

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
        msg = f"rechunk takes size or duration=, one of them, not {size!r} and {duration!r}"
        raise ParameterError(msg)
    if on_gap not in ("mark", "split"):
        msg = f"on_gap must be 'mark' or 'split', not {on_gap!r}"
        raise ParameterError(msg)
    split = on_gap == "split"
    if duration is not None:
        span = to_span(duration, "duration")
        hop_span = None if hop is None else to_span(hop, "hop")
        return lift(lambda: _Rechunk(0, 0, span, hop_span, split=split))
    for name, value in (("size", size), ("hop", size if hop is None else hop)):
        if not is_whole(value, 1):
            msg = f"{name} must be a whole number of samples >= 1, not {value!r}"
            raise ParameterError(msg)
    samples, step = int(size or 0), int(hop or size or 0)
    return lift(lambda: _Rechunk(samples, step, None, None, split=split))
