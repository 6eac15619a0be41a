"""Output of a step whose results have numbers of their own: fewer, or more, than its samples.

A level for each window, a sample at another rate: such a step numbers its results by itself, and
gaps of samples become gaps of results. What these steps have in common is in `ResultStream`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import NO_TIMES, Axis
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo

__all__ = ["ResultStream"]


class ResultStream:
    """Chunks of numbered results, collected until the step returns them.

    Attributes
    ----------
    info
        Description of the results; set by the step before it emits any.
    next
        Number of the next result; moved on by the step.
    end
        End of the input so far [ns].
    emitted_to
        End of the output so far [ns].
    """

    __slots__ = ("_cut", "_ready", "_source", "emitted_to", "end", "info", "next")

    def __init__(self) -> None:
        self.info: StreamInfo
        self.next = self.end = self.emitted_to = 0
        self._source: StreamInfo | None = None
        self._ready: list[Chunk] = []
        # the last gap of samples, whole; the gap of its results; the number of the first of these
        self._cut: tuple[Gap, Gap, int] | None = None

    def has_new_info(self, chunk: Chunk) -> bool:
        """Whether a chunk of the input describes its stream differently from the one before."""
        before, info = self._source, chunk.info
        if info is before:
            return False
        if before is None:
            self.end = self.emitted_to = chunk.covered_from
        self._source = info
        return info != before

    def take(self) -> list[Chunk]:
        """Return the chunks emitted since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def emit(
        self,
        end: int,
        axis: Axis = NO_TIMES,
        data: NDArray[Any] | None = None,
        gap_positions: tuple[GapAt, ...] = (),
        index: int | None = None,
    ) -> None:
        """Emit a chunk that covers the time up to ``end``, unless it would have no content.

        Parameters
        ----------
        end
            End of the chunk [ns], if later than that of the output so far.
        axis, data
            Times, and results ``(n, *info.shape)``, which become read-only.
        gap_positions
            Gaps of results.
        index
            Number of the first result; default: `next`.
        """
        start = self.emitted_to
        if data is None and not gap_positions and end <= start:
            return
        self.emitted_to = end = max(start, end)
        for at, gap in gap_positions:
            if at == 0 and gap.start <= start:
                start = max(start, gap.end)
        if data is None:
            data = np.empty((0, *self.info.shape), self.info.dtype)
        data.flags.writeable = False
        number = self.next if index is None else index
        self._ready.append(Chunk(data, axis, start, end, number, self.info, gap_positions))

    def emit_gaps(self, gaps: Sequence[Gap], index: int | None = None) -> None:
        """Emit gaps of results, and the time to the end of the last one.

        ``index`` is the number of the result after them; default: `next`.
        """
        gap_positions = tuple(GapAt(0, gap) for gap in gaps)
        self.emit(gaps[-1].end, gap_positions=gap_positions, index=index)

    # -- gaps of samples as gaps of results ---------------------------------------------------

    def convert_gaps(
        self, gaps: Sequence[Gap], index: int, number: Callable[[int], int]
    ) -> list[Gap]:
        """Return gaps of samples as gaps of results, and move `next` past them.

        Parameters
        ----------
        gaps
            Gaps right before the sample with number ``index``.
        number
            Gives the number of the first result for samples from a number on.
        """
        found: list[Gap] = []
        index -= sum(gap.lost or 0 for gap in gaps)
        for gap in gaps:
            whole = gap.whole or gap
            first, stop = index, None
            if whole.lost is not None:
                # for a part: where the whole gap begins, from the part's place in it
                first -= whole.lost * (gap.start - whole.start) // max(1, whole.end - whole.start)
                stop = number(first + whole.lost)
            begin = number(first)
            if gap.start == whole.start:
                # there may have been one result more than the samples before the gap are worth
                begin = max(begin, self.next)
            part, after = self.convert_gap(gap, begin, stop)
            found.append(part)
            index += gap.lost or 0
            self.next = self.next if after is None else after
        return found

    def convert_gap(self, gap: Gap, first: int, stop: int | None) -> tuple[Gap, int | None]:
        """Return a gap of samples as a gap of results, and the number of the result after it.

        The results of a gap that was cut are counted once, for the whole; its parts share them as
        they share its time, so that they add up however the stream was cut.

        Parameters
        ----------
        first, stop
            Numbers of the first result in the whole gap, and of the first after it, None if that
            is unknown.
        """
        whole = gap.whole or gap
        if gap.whole is None or self._cut is None or self._cut[0] != whole:
            lost = None if stop is None else max(0, stop - first)
            self._cut = whole, Gap(whole.start, whole.end, lost, whole.reason), first
        _, results, first = self._cut
        before = results.between(results.start, gap.end).lost
        return results.between(gap.start, gap.end), None if before is None else first + before
