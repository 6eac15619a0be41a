"""Windows of samples that lie at whole numbers of hops since the session began: one result each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis, IrregularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.operators.losses.gaps import stretches
from rxstream.operators.signal.runs import Initial

__all__ = ["Compute", "FrameSpec", "FramedStep"]

Compute: TypeAlias = Callable[[NDArray[Any], int], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """Which windows of a stream are taken, and what is made of them.

    Attributes
    ----------
    info
        Of the results.
    begin
        Makes what computes, anew for each stretch of adjacent samples: from the samples
        ``((m - 1) * hop + width, *shape)`` of ``m`` windows, and the number of the first result,
        the results ``(m, *info.shape)``. Within a stretch no result is left out.
    width, hop
        Samples in a window, and from one to the next.
    middle
        The sample of a window, from 0, whose time the result has.
    anchor
        The results are for the samples with numbers ``k * hop + anchor``.
    pad
        What lies before the first and after the last sample: ``"rest"``, zeros; ``"steady"``, the
        same sample again; None: there are no windows that reach there.
    again
        Whether windows that overlap bring samples again; else, after the first ones, what computes
        is given those that no window before had. Not for windows that are padded.
    """

    info: StreamInfo
    begin: Callable[[], Compute]
    width: int
    hop: int
    middle: int
    anchor: int
    pad: Initial | None = None
    again: bool = True

    @property
    def after(self) -> int:
        """Samples of a window after its middle."""
        return self.width - 1 - self.middle

    def number(self, index: int) -> int:
        """Return which result is the first for a sample from number ``index`` on."""
        return -((self.anchor - index) // self.hop)


class FramedStep:
    """A `Step`: results for the windows of each stretch of adjacent samples.

    Where windows are not padded there is no result for samples nearer to a gap than half a window;
    the gap that is told is as much wider.
    """

    __slots__ = ("_base", "_begin", "_compute", "_end", "_given", "_had", "_late", "_next",
                 "_plan", "_tape", "_told", "_whole", "_zero")  # fmt: skip

    def __init__(self, plan: Callable[[StreamInfo], FrameSpec]) -> None:
        self._begin = plan
        self._given: StreamInfo | None = None
        self._plan: FrameSpec
        self._compute: Compute
        self._tape: ChunkBuffer[Any] | None = None  # the stretch, if it has samples
        self._base = self._zero = 0  # number and time [ns] of its first sample
        self._had = 0  # position in it up to which windows have been given
        self._late = False  # it came after a gap, and that gap is still to be told whole
        self._next = 0  # number of the next result
        self._told: int | None = None  # up to where chunks are out [ns]
        self._end = 0  # of the stream so far [ns]
        self._whole: tuple[Gap, Gap] | None = None  # the last gap that was cut; the same of results

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Process one chunk; return what is ready."""
        out: list[Chunk] = []
        if chunk.info is not self._given:
            self._take_info(chunk, out)
        if self._told is None:
            self._told = chunk.covered_from
        tape = self._tape
        if not chunk.gap_positions and tape is not None and self._follows(chunk, tape):
            self._extend(chunk, out)
        else:
            for gaps, piece in stretches(chunk):
                tape = self._tape
                if gaps or (tape is not None and not self._follows(piece, tape)):
                    self._close(gaps, piece, out)
                self._extend(piece, out)
        self._end = chunk.end
        return out

    def flush(self) -> list[Chunk]:
        """Return what is held back."""
        out: list[Chunk] = []
        tape, end = self._tape, self._end
        if self._told is None:
            return out
        if tape is not None and self._plan.pad:
            self._give_rest(tape, end, out)
        elif tape is not None:
            middle = self._next * self._plan.hop + self._plan.anchor - self._base
            if self._late:
                end = self._zero
            elif middle < tape.stop:  # the next result needs what will never come
                end = tape.axis(middle, middle + 1).at(0)
        self._tell(end, (), out)
        return out

    def _take_info(self, chunk: Chunk, out: list[Chunk]) -> None:
        if chunk.info != self._given:
            plan = self._begin(chunk.info)
            if self._given is not None:
                self._close((), chunk, out)
            self._plan = plan
        self._given = chunk.info

    def _follows(self, piece: Chunk, tape: ChunkBuffer[Any]) -> bool:
        return not len(piece) or piece.index == self._base + tape.stop

    # -- within a stretch ---------------------------------------------------------------------

    def _extend(self, piece: Chunk, out: list[Chunk]) -> None:
        """Take samples that follow each other, and give what is ready."""
        plan, tape = self._plan, self._tape
        if tape is None:
            if not len(piece):
                self._tell(piece.end, (), out)
                return
            tape = self._tape = ChunkBuffer(overlap=plan.width if plan.again else plan.hop)
            self._compute, self._had = plan.begin(), 0
            self._base, self._zero = piece.index, piece.axis.at(0)
            least = self._base if plan.pad else self._base + plan.middle
            self._next = plan.number(least)
        tape.append(piece)
        gap_positions: tuple[GapAt, ...] = ()
        is_open = plan.pad is not None or tape.stop >= plan.width
        if self._late and is_open:
            self._late = False
            lost = self._next - plan.number(self._base)
            if lost > 0:
                edge = tape.axis(plan.middle, plan.middle + 1).at(0)
                gap_positions = (GapAt(0, Gap(self._zero, edge, lost, "dropped")),)
        if self._late:
            end = self._zero
        elif plan.after:
            at = tape.stop - plan.after
            end = tape.axis(at, at + 1).at(0) if at > 0 and is_open else self._zero
        else:
            end = piece.end
        self._give(tape, tape.stop - plan.after, end, gap_positions, out)

    def _give(
        self,
        tape: ChunkBuffer[Any],
        stop: int,
        end: int,
        gap_positions: tuple[GapAt, ...],
        out: list[Chunk],
    ) -> None:
        """Give the results whose middle lies before position ``stop``, and tell up to ``end``."""
        plan = self._plan
        middle = self._next * plan.hop + plan.anchor - self._base
        count = -((middle - stop) // plan.hop)
        if count > 0:
            last = middle + (count - 1) * plan.hop
            first, stop = middle - plan.middle, last + plan.after + 1
            window = self._window(tape, first if plan.again else max(first, self._had), stop)
            data, self._had = self._compute(window, self._next), stop
            axis = tape.axis(middle, last + 1).take(np.arange(0, last + 1 - middle, plan.hop))
            self._tell(end, gap_positions, out, axis, data)
            self._next += count
            middle += count * plan.hop
        elif gap_positions or end > (self._told or 0):
            self._tell(end, gap_positions, out)
        tape.trim(max(0, min(middle - plan.middle, tape.stop - plan.after - 1)))

    def _window(self, tape: ChunkBuffer[Any], i: int, j: int) -> NDArray[Any]:
        """Return samples at positions ``i`` to ``j``, padded where there are none."""
        before, after = max(0, -i), max(0, j - tape.stop)
        data = tape.data(i + before, j - after)
        if not before and not after:
            return data
        ends = [np.repeat(data[:1], before, 0), np.repeat(data[-1:], after, 0)]
        if self._plan.pad == "rest":
            ends = [np.zeros_like(end) for end in ends]
        return np.concatenate((ends[0], data, ends[1]))

    def _give_rest(self, tape: ChunkBuffer[Any], end: int, out: list[Chunk]) -> None:
        self._give(tape, tape.stop, end, (), out)

    def _tell(
        self, end: int, gap_positions: tuple[GapAt, ...], out: list[Chunk],
        axis: Axis | None = None, data: NDArray[Any] | None = None, index: int | None = None,
    ) -> None:  # fmt: skip
        """Give a chunk up to ``end``, of nothing but time if there are no results.

        Its number is ``index``, default: that of the next result.
        """
        info, start = self._plan.info, self._told or 0
        if data is None or axis is None:
            if end <= start and not gap_positions:
                return
            data, axis = np.empty((0, *info.shape), info.dtype), _NOWHERE
        end = max(end, start)
        self._told = end
        for _, gap in gap_positions:
            start = gap.end if gap.start == start else start
        data.flags.writeable = False
        number = self._next if index is None else index
        out.append(Chunk(data, axis, start, end, number, info, gap_positions))

    # -- between stretches --------------------------------------------------------------------

    def _close(self, gaps: Sequence[Gap], after: Chunk, out: list[Chunk]) -> None:
        """End the stretch before ``after``; tell gaps as those of results."""
        plan, tape = self._plan, self._tape
        until = gaps[0].start if gaps else max(after.covered_from, self._told or 0)
        edges: list[Gap] = []
        if tape is not None and plan.pad:
            self._give_rest(tape, until, out)
        elif tape is not None and gaps:
            edges = self._edge(tape, gaps[0])
        told: list[Gap] = []
        number = after.index - sum(gap.lost or 0 for gap in gaps)
        for gap in gaps:
            told.append(self._of_results(gap, number))
            number += gap.lost or 0
        self._tape, self._late = None, bool(gaps) and plan.pad is None
        self._next = plan.number(after.index)
        if gaps:
            gap_positions = tuple(GapAt(0, gap) for gap in (*edges, *told))
            self._tell(gaps[-1].end, gap_positions, out, index=self._number_after(gaps[-1], number))

    def _edge(self, tape: ChunkBuffer[Any], gap: Gap) -> list[Gap]:
        """Return the gap of the results that would have needed samples lost in ``gap``."""
        plan = self._plan
        stop, begin = tape.stop, self._zero
        known = self._next
        if stop >= plan.width:
            begin = tape.axis(stop - plan.after - 1, stop).at(1)
        elif self._late:
            known = plan.number(self._base)
        lost = plan.number(self._base + stop) - known
        return [Gap(begin, gap.start, lost, gap.reason)] if lost > 0 else []

    def _number_after(self, gap: Gap, number: int) -> int:
        """Return the number of the result after a gap; in one that was cut as it shares them.

        ``number`` is that of the sample after it.
        """
        whole = gap.whole
        if whole is None or gap.end == whole.end or whole.lost is None or self._whole is None:
            return self._next
        shared = whole.between(whole.start, gap.end).lost or 0
        results = self._whole[1].between(whole.start, gap.end).lost or 0
        return self._plan.number(number - shared) + results

    def _of_results(self, gap: Gap, number: int) -> Gap:
        """Return a gap before sample ``number`` as that of as many results as lie in it."""
        whole = gap.whole or gap
        if gap.whole is None or self._whole is None or self._whole[0] != whole:
            lost = whole.lost
            if lost is not None:
                span = whole.end - whole.start
                first = number - (lost * (gap.start - whole.start) // span if span else 0)
                lost = self._plan.number(first + lost) - self._plan.number(first)
            self._whole = (whole, Gap(whole.start, whole.end, lost, whole.reason))
        return self._whole[1].between(gap.start, gap.end)


_NOWHERE = IrregularAxis(np.empty(0, np.int64))
