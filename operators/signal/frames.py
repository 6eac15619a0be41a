"""Hop-aligned frames (as of an STFT), one result each.

Frames are windows of samples that begin at whole numbers of hops since the session began, however
the stream is cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import every
from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.operators.signal.numeric import Initial
from rxstream.steps.result_stream import ResultStream
from rxstream.steps.split import split_at_gaps

__all__ = ["Compute", "FrameSpec", "FramedStep"]

Compute: TypeAlias = Callable[[NDArray[Any], int], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """Position and length of the windows of a stream, and the function of each.

    Attributes
    ----------
    info
        Description of the results.
    begin
        Returns the function that computes results, for each stretch of adjacent samples a new one.
        It takes the samples ``((m - 1) * hop + width, *shape)`` of ``m`` windows and the number of
        the first result, and returns the results ``(m, *info.shape)``. Within a stretch it is
        called for every result in order.
    width, hop
        Samples in a window, and from one to the next.
    middle
        Sample of a window, counted from 0, whose time the result has.
    anchor
        Results are for the samples with numbers ``k * hop + anchor``.
    pad
        Values before the first and after the last sample of a stretch: ``"rest"``, zeros;
        ``"steady"``, that sample; None: no window reaches beyond the stretch.
    repeat
        Whether the function gets all samples of its windows; else, after the first windows of a
        stretch, only those that no earlier window had. True where windows are padded.
    """

    info: StreamInfo
    begin: Callable[[], Compute]
    width: int
    hop: int
    middle: int
    anchor: int
    pad: Initial | None = None
    repeat: bool = True

    @property
    def after(self) -> int:
        """Samples of a window after its middle."""
        return self.width - 1 - self.middle

    def number(self, index: int) -> int:
        """Return the number of the first result for samples from number ``index`` on."""
        return -((self.anchor - index) // self.hop)

    def first(self, index: int) -> int:
        """Return the number of the first result of a stretch that begins with sample ``index``."""
        return self.number(index if self.pad else index + self.middle)


class FramedStep:
    """A `Step`: results for the windows of each stretch of adjacent samples.

    Without padding, samples nearer to a gap than half a window have no result, and the gap of
    results is as much wider.
    """

    __slots__ = ("_base", "_buffer", "_compute", "_make_spec", "_spec", "_stream", "_used",
                 "_widens", "_zero")  # fmt: skip

    def __init__(self, make_spec: Callable[[StreamInfo], FrameSpec]) -> None:
        self._make_spec = make_spec
        self._spec: FrameSpec
        self._compute: Compute
        self._stream = ResultStream()
        # the stretch, once it has samples; number and time [ns] of its first sample
        self._buffer: ChunkBuffer[Any] | None = None
        self._base = self._zero = 0
        # position in the buffer up to which windows have taken samples
        self._used = 0
        # whether the gap before the stretch has to be widened by results without a whole window
        self._widens = False

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        stream = self._stream
        if stream.has_new_info(chunk):
            self._take_info(chunk)
        for gaps, piece in split_at_gaps(chunk) if chunk.gap_positions else (([], chunk),):
            buffer = self._buffer
            jumps = (
                buffer is not None and len(piece) > 0 and piece.index != self._base + buffer.stop
            )
            if gaps or jumps:
                self._close(gaps, piece)
            self._extend(piece)
        stream.end = chunk.end
        return stream.take()

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        stream, buffer = self._stream, self._buffer
        end = stream.end
        if buffer is not None and self._spec.pad:
            self._emit_results(buffer, buffer.stop, end)
        elif buffer is not None:
            middle = self._position(stream.next)
            if self._widens:
                end = self._zero
            elif middle < buffer.stop:
                # the next result needs samples that will never come
                end = buffer.axis(middle, middle + 1).at(0)
        stream.emit(end)
        return stream.take()

    def _take_info(self, chunk: Chunk) -> None:
        spec = self._make_spec(chunk.info)
        if self._buffer is not None:
            self._close((), chunk)
        self._spec, self._stream.info, self._widens = spec, spec.info, False
        self._stream.next = spec.first(chunk.first_index)

    # -- within a stretch ---------------------------------------------------------------------

    def _position(self, number: int) -> int:
        """Return the position in the buffer of the sample that a result is for."""
        return number * self._spec.hop + self._spec.anchor - self._base

    def _extend(self, piece: Chunk) -> None:
        """Take adjacent samples, and emit what is ready."""
        spec, stream, buffer = self._spec, self._stream, self._buffer
        if buffer is None:
            if not len(piece):
                stream.emit(piece.end)
                return
            buffer = self._buffer = ChunkBuffer(overlap=spec.width if spec.repeat else spec.hop)
            self._compute, self._used = spec.begin(), 0
            self._base, self._zero = piece.index, piece.axis.at(0)
            stream.next = spec.first(self._base)
        buffer.append(piece)
        gap_positions: tuple[GapAt, ...] = ()
        has_window = spec.pad is not None or buffer.stop >= spec.width
        if self._widens and has_window:
            self._widens = False
            lost = stream.next - spec.number(self._base)
            if lost > 0:
                edge = buffer.axis(spec.middle, spec.middle + 1).at(0)
                gap_positions = (GapAt(0, Gap(self._zero, edge, lost, "dropped")),)
        decided = buffer.stop - spec.after
        # a result may still come for any sample after the last one decided
        if self._widens or (spec.after and not (has_window and decided > 0)):
            end = self._zero
        elif spec.after:
            end = buffer.axis(decided, decided + 1).at(0)
        else:
            end = piece.end
        self._emit_results(buffer, decided, end, gap_positions)

    def _emit_results(
        self,
        buffer: ChunkBuffer[Any],
        stop: int,
        end: int,
        gap_positions: tuple[GapAt, ...] = (),
    ) -> None:
        """Emit the results whose middle lies before position ``stop``, and the time to ``end``."""
        spec, stream = self._spec, self._stream
        middle = self._position(stream.next)
        count = -((middle - stop) // spec.hop)
        if count > 0:
            last = middle + (count - 1) * spec.hop
            first, stop = middle - spec.middle, last + spec.after + 1
            window = self._window(buffer, first if spec.repeat else max(first, self._used), stop)
            data, self._used = self._compute(window, stream.next), stop
            axis = every(buffer.axis(middle, last + 1), spec.hop)
            stream.emit(end, axis, data, gap_positions)
            stream.next += count
            middle += count * spec.hop
        else:
            stream.emit(end, gap_positions=gap_positions)
        buffer.trim(max(0, min(middle - spec.middle, buffer.stop - spec.after - 1)))

    def _window(self, buffer: ChunkBuffer[Any], i: int, j: int) -> NDArray[Any]:
        """Return samples at positions ``i`` to ``j``, padded where there are none."""
        before, after = max(0, -i), max(0, j - buffer.stop)
        data = buffer.data(i + before, j - after)
        if not before and not after:
            return data
        ends = [np.repeat(data[:1], before, 0), np.repeat(data[-1:], after, 0)]
        if self._spec.pad == "rest":
            ends = [np.zeros_like(end) for end in ends]
        return np.concatenate((ends[0], data, ends[1]))

    # -- between stretches --------------------------------------------------------------------

    def _close(self, gaps: Sequence[Gap], after: Chunk) -> None:
        """End the stretch before ``after``; emit gaps as those of results."""
        spec, stream, buffer = self._spec, self._stream, self._buffer
        edges: list[Gap] = []
        if buffer is not None and spec.pad:
            until = gaps[0].start if gaps else after.covered_from
            self._emit_results(buffer, buffer.stop, until)
        elif buffer is not None and gaps:
            edges = self._edge(buffer, gaps[0])
        self._buffer, self._widens = None, bool(gaps) and spec.pad is None
        stream.next = spec.number(after.index - sum(gap.lost or 0 for gap in gaps))
        found = stream.convert_gaps(gaps, after.index, spec.number)
        if found:
            stream.emit_gaps(edges + found)

    def _edge(self, buffer: ChunkBuffer[Any], gap: Gap) -> list[Gap]:
        """Return the gap of the results whose windows reach into ``gap``, if there are any."""
        spec, stop, begin = self._spec, buffer.stop, self._zero
        known = self._stream.next
        if stop >= spec.width:
            begin = buffer.axis(stop - spec.after - 1, stop).at(1)
        elif self._widens:
            known = spec.number(self._base)
        lost = spec.number(self._base + stop) - known
        return [Gap(begin, gap.start, lost, gap.reason)] if lost > 0 else []
