"""The state of `align`: samples of the source that wait for their partners."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis
from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.gap import Gap, GapAt
from rxstream.data.slab_store import SlabStore
from rxstream.operators.joins.join_side import FOREVER, JoinSide, UnmatchedReason, reason_of
from rxstream.operators.joins.value_runs import runs
from rxstream.steps.watermark import Watermarks

__all__ = ["Align", "Aligned", "Unmatched"]

Aligned = tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Samples of the source of `align` for which a partner has none.

    Attributes
    ----------
    chunk
        The samples of the source.
    partner
        The name of the other stream.
    reason
        ``nothing within tolerance``; ``gap``: it lost what may have been there; ``late``: it had
        not told of that time by ``lateness``, or the source itself was so late; ``ended``,
        ``not begun``: it was over, or had not begun.
    """

    chunk: Chunk
    partner: str
    reason: UnmatchedReason

    def __str__(self) -> str:
        return f"{len(self.chunk)} samples of {self.chunk.info.name}: {self.partner}: {self.reason}"


@dataclass(slots=True)
class _Part:
    """Samples with matches that come in one tuple, with gaps where there are some without."""

    first: int  # position of the first sample
    stop: int  # position after the last one
    count: int
    start: int  # of the chunk [ns]
    gap_positions: list[GapAt]


class Align:
    """One subscription: the source is port 0, its partners are ports 1, 2, ...

    Parameters
    ----------
    partners
        One for each further port.
    lateness
        By how much a port may be behind the most advanced one [ns].
    tell
        Whether to give `Unmatched` too.
    """

    __slots__ = ("_done", "_gaps", "_hole", "_next", "_out", "_partners", "_position", "_tape",
                 "_tell", "_times", "_told", "finished", "marks")  # fmt: skip

    def __init__(self, partners: Sequence[JoinSide], lateness: int, *, tell: bool) -> None:
        self._partners, self._tell = partners, tell
        self.marks = Watermarks(len(partners) + 1, lateness)
        self._tape: ChunkBuffer[Any] = (
            ChunkBuffer()
        )  # of the source, from the first sample not decided on
        self._times: SlabStore[np.int64] = SlabStore(
            (), np.dtype(np.int64), slab=_SLAB
        )  # of its samples
        self._position = 0  # of that sample
        self._next = FOREVER  # its time [ns], if it has come
        self._told: int | None = None  # end of what has been given [ns]
        self._gaps: list[Gap] = []  # to tell before the next match
        # and after them, of samples without a match: since when [ns], and how many, if known
        self._hole: tuple[int, int | None] | None = None
        self._out: list[Aligned | Unmatched] = []
        self._done = self.finished = False

    @property
    def pending(self) -> int:
        """Samples held, of all streams."""
        return self._tape.stop - self._position + sum(p.pending for p in self._partners)

    def push(self, port: int, chunk: Chunk) -> list[Aligned | Unmatched]:
        """Take a chunk of a port, and give what is decided by it."""
        self.marks.see(port, chunk)
        if port:
            self._partners[port - 1].push(chunk)
            return self._decide()
        times = chunk.time
        self._tape.append(chunk)
        if len(times):
            self._times.write(times)
            if self._next == FOREVER:
                self._next = times.item(0)
            return self._decide()
        out = self._decide()
        self._beat()
        return out

    def done(self, port: int) -> list[Aligned | Unmatched]:
        """Take the end of a port, and give what is decided by it."""
        self.marks.done(port)
        if port:
            self._partners[port - 1].done = True
        else:
            self._done = True
        return self._decide()

    def _decide(self) -> list[Aligned | Unmatched]:
        tape, partners, marks = self._tape, self._partners, self.marks
        out: list[Aligned | Unmatched] = []
        self._out = out
        matches = False
        if tape.info is None:
            self.finished = self._done
        elif self._next != FOREVER or self._done:
            limit = FOREVER
            for port, partner in enumerate(partners, 1):
                decided = partner.decided(marks.low(port))
                if decided < limit:
                    limit = decided
            matches = limit >= self._next != FOREVER
            if matches:
                self._match(limit)
            if self._next == FOREVER and self._done:
                heard = all(p.done or p.end is not None for p in partners)
                if heard or limit >= tape.end - 1:
                    self._end()
        needed: int | None = self._next
        if needed == FOREVER:
            needed = marks.low(0)
            if tape.info is not None and (needed is None or needed < tape.end):
                needed = tape.end
        if needed is not None:
            for partner in partners:
                partner.forget(needed, trim=not matches)
        return out

    def _match(self, limit: int) -> None:
        """Decide on all samples up to ``limit`` [ns]."""
        tape, stamps, i = self._tape, self._times, self._position
        j = stamps.stop if limit >= tape.end else stamps.find(i, limit + 1)
        times = stamps.view(i, j)
        data, reasons = [], []
        bad: NDArray[np.bool_] | None = None
        for partner in self._partners:
            values, misses = partner.match(times)
            data.append(values)
            reasons.append(misses)
            if misses is not None:
                bad = misses != 0 if bad is None else bad | (misses != 0)
        if bad is not None and self._tell:
            self._report(reasons, i, j)
        self._sort(data, i, times, bad)
        self._position = j
        self._next = stamps.view(j, j + 1).item() if j < stamps.stop else FOREVER
        tape.trim(j)
        if stamps.start < stamps.newest_start:  # else all of it is kept in any case
            stamps.trim(j)

    def _sort(
        self, data: Sequence[NDArray[Any]], base: int, times: NDArray[np.int64],
        bad: NDArray[np.bool_] | None,
    ) -> None:  # fmt: skip
        """Give samples from position ``base`` on with their ``data``, but for those ``bad``.

        They come in one tuple, as long as their numbers can be told from the gaps in it.
        """
        tape = self._tape
        part: _Part | None = None
        starts = [0] if bad is None else runs(bad)
        for a, b in pairwise([*starts, len(times)]):
            i, j = base + a, base + b
            if bad is not None and bad[a]:
                self._leave_out(i, j, int(times[a]))
                continue
            gaps = self._gaps_before(i)
            if part is not None and None in [gap.lost for gap in gaps]:
                self._give(part, data, base, bad)
                part = None
            if part is None:
                part = _Part(i, i, 0, self._start(tape.edge(i), gaps), [])
            count = part.count
            for gap in gaps:
                part.gap_positions.append(GapAt(count, gap))
            if tape.gap_positions:
                inside = [GapAt(at - i, gap) for at, gap in tape.gap_positions if i < at < j]
                part.gap_positions += [GapAt(count + at, gap) for at, gap in inside]
            part.stop, part.count = j, count + j - i
        if part is not None:
            self._give(part, data, base, bad)

    def _give(
        self, part: _Part, data: Sequence[NDArray[Any]], base: int, bad: NDArray[np.bool_] | None
    ) -> None:
        """Give samples with their ``data``, which begin at position ``base``."""
        tape, i, j = self._tape, part.first, part.stop
        values, axis = [tape.data(i, j), *data], tape.axis(i, j)
        if bad is not None:
            values[1:] = [each[i - base : j - base] for each in data]
            if part.count < j - i:
                good = ~bad[i - base : j - base]
                values, axis = [each[good] for each in values], axis.take(np.flatnonzero(good))
                values[0].flags.writeable = False
        waits = j < tape.stop or (tape.gap_positions and tape.gap_positions[-1][0] == j)
        self._told = end = tape.edge(j) if waits else tape.end
        self._put(values, axis, part.start, end, tape.index(i), tuple(part.gap_positions))

    def _put(
        self, data: Sequence[NDArray[Any]], axis: Axis, start: int, end: int, index: int,
        gap_positions: tuple[GapAt, ...],
    ) -> None:  # fmt: skip
        """Give samples of the source and of each partner, all at the same times."""
        info: Any = self._tape.info
        out = [Chunk(data[0], axis, start, end, index, info, gap_positions)]
        for k, partner in enumerate(self._partners, 1):
            values = data[k]
            values.flags.writeable = False
            out.append(
                Chunk(values, axis, start, end, index, partner.info_at(info.rate), gap_positions)
            )
        self._out.append(tuple(out))

    def _leave_out(self, i: int, j: int, t: int) -> None:
        """Note that samples at positions ``i`` to ``j``, from ``t`` [ns] on, have no partner."""
        lost: int | None = j - i
        if self._hole is not None:  # however long it goes on, it is one gap
            t, before = self._hole
            lost = None if before is None else before + j - i
        for at, gap in self._tape.gap_positions:
            if at == i and self._hole is None:
                self._gaps.append(gap)
            elif i <= at < j:  # it holds what the source lost within
                lost = None if lost is None or gap.lost is None else lost + gap.lost
        self._hole = t, lost

    def _gaps_before(self, position: int) -> list[Gap]:
        """Return the gaps to tell before ``position``, where the next match is, or the end."""
        gaps = self._gaps
        if gaps:
            self._gaps = []
        if self._hole is not None:
            (start, lost), self._hole = self._hole, None
            gaps = [*gaps, Gap(start, self._tape.edge(position), lost, "unmatched")]
        if self._tape.gap_positions:
            gaps = gaps + [gap for at, gap in self._tape.gap_positions if at == position]
        return gaps

    def _report(self, reasons: Sequence[NDArray[np.uint8] | None], i: int, j: int) -> None:
        for partner, misses in zip(self._partners, reasons, strict=True):
            if misses is None:
                continue
            for a, b in pairwise([*runs(misses), j - i]):
                if misses[a]:
                    chunk = self._tape.cut(i + a, i + b)
                    self._out.append(Unmatched(chunk, partner.name, reason_of(int(misses[a]))))

    def _beat(self) -> None:
        """Tell that the source goes on, if all before that has been told."""
        tape = self._tape
        idle = self._next == FOREVER and self._hole is None and not tape.gap_positions
        if not idle or any(p.end is None for p in self._partners):
            return
        told = tape.low if self._told is None else self._told
        if tape.end > told:
            self._told = tape.end
            self._empty(told, ())

    def _empty(self, start: int, gap_positions: tuple[GapAt, ...]) -> None:
        tape, stop = self._tape, self._tape.stop
        data = [np.empty((0, *p.info.shape), p.info.dtype) for p in self._partners]
        data.insert(0, tape.data(stop, stop))
        self._put(data, tape.axis(stop, stop), start, tape.end, tape.index(stop), gap_positions)

    def _end(self) -> None:
        """Tell what is left to tell: up to where the source was, and gaps before that."""
        self.finished = True
        tape = self._tape
        gaps = self._gaps_before(tape.stop)
        if self._told is None or tape.end > self._told or gaps:
            self._empty(self._start(0, gaps), tuple(GapAt(0, gap) for gap in gaps))

    def _start(self, edge: int, gaps: Sequence[Gap]) -> int:
        """Return where a chunk starts whose first sample, before any gaps, starts at ``edge``."""
        start = self._tape.low if self._told is None else max(edge, self._told)
        for gap in gaps:
            if gap.start <= start:
                start = max(start, gap.end)
        return start


_SLAB = 1 << 14  # times in a slab: most often all that wait lie in one
