"""The step of `align`: samples of the source that wait for their partners."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.gap import Gap, GapAt
from rxstream.data.slab_store import SlabStore
from rxstream.operators.joins.join_side import JoinSide, UnmatchedReason, reason_of
from rxstream.operators.joins.moved_times import MovedTimes
from rxstream.operators.joins.value_runs import runs
from rxstream.steps.in_order import InOrder
from rxstream.steps.watermark import FOREVER, Watermarks

__all__ = ["Align", "Aligned", "Unmatched"]

Aligned: TypeAlias = tuple[Chunk, ...]

# Times per slab: large enough that the times of all waiting samples mostly lie in one slab, where
# they are read as a view.
_TIMES_PER_SLAB = 1 << 14


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Samples of the source of `align` for which a partner has none.

    Attributes
    ----------
    chunk
        The samples of the source.
    partner
        Name of the other stream.
    reason
        ``nothing within tolerance``; ``gap``: the partner lost samples there; ``late``: it had not
        come up to that time by ``lateness``, or the source itself was late; ``ended``, ``not
        begun``: it was over, or had not begun.
    """

    chunk: Chunk
    partner: str
    reason: UnmatchedReason

    def __str__(self) -> str:
        return f"{len(self.chunk)} samples of {self.chunk.info.name}: {self.partner}: {self.reason}"


@dataclass(slots=True)
class _Part:
    """Samples with matches that come in one tuple, with gaps where samples have none."""

    first: int  # position of the first sample
    stop: int  # position after the last one
    count: int  # samples with a match
    start: int  # start of the chunk [ns]
    gap_positions: list[GapAt]


class Align:
    """The state of one subscription: the source is port 0, its partners are ports 1, 2, ...

    Parameters
    ----------
    partners
        One for each further port.
    lateness
        Largest lag behind the most advanced port [ns].
    report
        Whether to return `Unmatched` too.
    name
        Name of the operator, for errors.
    """

    __slots__ = ("_buffer", "_done", "_gaps", "_moved", "_next", "_order", "_out", "_out_to",
                 "_partners", "_position", "_report", "_times", "_unmatched", "finished",
                 "marks")  # fmt: skip

    def __init__(
        self,
        partners: Sequence[JoinSide],
        lateness: int,
        *,
        report: bool,
        name: str = "align",
    ) -> None:
        self._partners, self._report = partners, report
        self._order = [InOrder(name) for _ in range(1 + len(partners))]
        self.marks = Watermarks(len(partners) + 1, lateness)
        # the source, from the first sample not decided on; the times of its samples
        self._buffer: ChunkBuffer[Any] = ChunkBuffer()
        self._times: SlabStore[np.int64] = SlabStore((), np.dtype(np.int64), slab=_TIMES_PER_SLAB)
        self._moved = MovedTimes()
        self._position = 0  # position of that sample
        self._next = FOREVER  # its time [ns]; `FOREVER` before it has come
        self._out_to: int | None = None  # time up to which results are out [ns]
        self._gaps: list[Gap] = []  # gaps to report before the next match
        # samples without a match after them: since when [ns], and their number, if known
        self._unmatched: tuple[int, int | None] | None = None
        self._out: list[Aligned | Unmatched] = []
        self._done = self.finished = False

    @property
    def pending(self) -> int:
        """Samples held, of all streams."""
        return self._buffer.stop - self._position + sum(p.pending for p in self._partners)

    def push(self, port: int, chunk: Chunk) -> list[Aligned | Unmatched]:
        """Take a chunk of a port; return what is decided by it."""
        self._order[port].check(chunk)
        self.marks.advance(port, chunk)
        if port:
            self._partners[port - 1].push(chunk)
            return self._decide()
        times = chunk.time
        self._buffer.append(chunk)
        if len(times):
            self._moved.add(self._times.stop, chunk)
            self._times.write(times)
            if self._next == FOREVER:
                self._next = times.item(0)
            return self._decide()
        out = self._decide()
        self._beat()
        return out

    def done(self, port: int) -> list[Aligned | Unmatched]:
        """Take the end of a port; return what is decided by it."""
        self.marks.done(port)
        if port:
            self._partners[port - 1].done = True
        else:
            self._done = True
        return self._decide()

    def _decide(self) -> list[Aligned | Unmatched]:
        """Return the results for all samples whose partners are known by now."""
        buffer, partners, marks = self._buffer, self._partners, self.marks
        out: list[Aligned | Unmatched] = []
        self._out = out
        matches = False
        if buffer.info is None:
            self.finished = self._done
        elif self._next != FOREVER or self._done:
            limit = FOREVER
            for port, partner in enumerate(partners, 1):
                decided = partner.decided(marks.deadline(port))
                if decided < limit:
                    limit = decided
            matches = limit >= self._next != FOREVER
            if matches:
                self._match(limit)
            if self._next == FOREVER and self._done:
                # else a partner may still come, whose info the last chunks need
                begun = all(p.done or p.end is not None for p in partners)
                if begun or limit >= buffer.end - 1:
                    self._end()
        # the time before which no partner is asked again; without a sample that waits, that of the
        # next one to come
        needed: int | None = self._next
        if needed == FOREVER:
            needed = marks.deadline(0)
            if buffer.info is not None and (needed is None or needed < buffer.end):
                needed = buffer.end
        if needed is not None:
            for partner in partners:
                partner.forget(needed, trim=not matches)
        return out

    def _match(self, limit: int) -> None:
        """Decide on all samples up to ``limit`` [ns]."""
        buffer, stamps, i = self._buffer, self._times, self._position
        j = stamps.stop if limit >= buffer.end else stamps.find(i, limit + 1)
        times = stamps.view(i, j)
        early = self._moved.between(i, j)
        data, reasons = [], []
        bad: NDArray[np.bool_] | None = None
        for partner in self._partners:
            values, misses = partner.match(times, early)
            data.append(values)
            reasons.append(misses)
            if misses is not None:
                bad = misses != 0 if bad is None else bad | (misses != 0)
        if bad is not None and self._report:
            self._report_misses(reasons, i, j)
        self._sort(data, i, times, bad)
        self._position = j
        self._next = stamps.view(j, j + 1).item() if j < stamps.stop else FOREVER
        buffer.trim(j)
        # in its newest slab the store keeps everything anyway
        if stamps.start < stamps.newest_start:
            stamps.trim(j)
        self._moved.trim(j)

    def _sort(
        self, data: Sequence[NDArray[Any]], base: int, times: NDArray[np.int64],
        bad: NDArray[np.bool_] | None,
    ) -> None:  # fmt: skip
        """Emit samples from position ``base`` on with their ``data``, except those ``bad``.

        They come in one tuple, as long as the gaps in it give the numbers of its samples.
        """
        buffer = self._buffer
        part: _Part | None = None
        starts = [0] if bad is None else runs(bad)
        for a, b in pairwise([*starts, len(times)]):
            i, j = base + a, base + b
            if bad is not None and bad[a]:
                self._leave_out(i, j, int(times[a]))
                continue
            gaps = self._gaps_before(i)
            # after a gap of unknown size only a new chunk can say the number of its first sample
            if part is not None and None in [gap.lost for gap in gaps]:
                self._emit(part, data, base, bad)
                part = None
            if part is None:
                part = _Part(i, i, 0, self._start(buffer.edge(i), gaps), [])
            count = part.count
            for gap in gaps:
                part.gap_positions.append(GapAt(count, gap))
            if buffer.gap_positions:
                inside = [GapAt(at - i, gap) for at, gap in buffer.gap_positions if i < at < j]
                part.gap_positions += [GapAt(count + at, gap) for at, gap in inside]
            part.stop, part.count = j, count + j - i
        if part is not None:
            self._emit(part, data, base, bad)

    def _emit(
        self, part: _Part, data: Sequence[NDArray[Any]], base: int, bad: NDArray[np.bool_] | None
    ) -> None:
        """Emit samples with their ``data``, which begin at position ``base``."""
        buffer, i, j = self._buffer, part.first, part.stop
        values, axis = [buffer.data(i, j), *data], buffer.axis(i, j)
        if bad is not None:
            values[1:] = [each[i - base : j - base] for each in data]
            if part.count < j - i:
                good = ~bad[i - base : j - base]
                values, axis = [each[good] for each in values], axis.take(np.flatnonzero(good))
        # up to the end of the source, if no sample and no gap of it still waits
        waits = j < buffer.stop or (buffer.gap_positions and buffer.gap_positions[-1][0] == j)
        self._out_to = end = buffer.edge(j) if waits else buffer.end
        index, gap_positions, out = buffer.index(i), tuple(part.gap_positions), []
        for info, samples in zip(self._infos(), values, strict=True):
            samples.flags.writeable = False
            out.append(Chunk(samples, axis, part.start, end, index, info, gap_positions))
        self._out.append(tuple(out))

    def _infos(self) -> list[Any]:
        """Return the info of the source and of each partner at its times."""
        info: Any = self._buffer.info
        return [info, *[partner.info_at(info.rate) for partner in self._partners]]

    def _leave_out(self, i: int, j: int, t: int) -> None:
        """Note that samples at positions ``i`` to ``j``, from ``t`` [ns] on, have no partner."""
        lost: int | None = j - i
        # however long it goes on, it is one gap
        if self._unmatched is not None:
            t, before = self._unmatched
            lost = None if before is None else before + j - i
        for at, gap in self._buffer.gap_positions:
            if at == i and self._unmatched is None:
                self._gaps.append(gap)
            # what the source lost within is lost in that gap too
            elif i <= at < j:
                lost = None if lost is None or gap.lost is None else lost + gap.lost
        self._unmatched = t, lost

    def _gaps_before(self, position: int) -> list[Gap]:
        """Return the gaps to report before ``position``, of the next match or the end."""
        gaps = self._gaps
        if gaps:
            self._gaps = []
        if self._unmatched is not None:
            (start, lost), self._unmatched = self._unmatched, None
            gaps = [*gaps, Gap(start, self._buffer.edge(position), lost, "unmatched")]
        if self._buffer.gap_positions:
            gaps = gaps + [gap for at, gap in self._buffer.gap_positions if at == position]
        return gaps

    def _report_misses(self, reasons: Sequence[NDArray[np.uint8] | None], i: int, j: int) -> None:
        for partner, misses in zip(self._partners, reasons, strict=True):
            if misses is None:
                continue
            for a, b in pairwise([*runs(misses), j - i]):
                if misses[a]:
                    chunk = self._buffer.cut(i + a, i + b)
                    self._out.append(Unmatched(chunk, partner.name, reason_of(int(misses[a]))))

    def _beat(self) -> None:
        """Emit a heartbeat of the source, if all before it is out."""
        buffer = self._buffer
        idle = self._next == FOREVER and self._unmatched is None and not buffer.gap_positions
        if not idle or any(p.end is None for p in self._partners):
            return
        start = buffer.low if self._out_to is None else self._out_to
        if buffer.end > start:
            self._out_to = buffer.end
            self._emit_empty(start, ())

    def _emit_empty(self, start: int, gap_positions: tuple[GapAt, ...]) -> None:
        end, index = self._buffer.end, self._buffer.next_index(self._buffer.stop)
        self._out.append(
            tuple(
                Chunk.empty(info, start, end, index=index, gap_positions=gap_positions)
                for info in self._infos()
            )
        )

    def _end(self) -> None:
        """Emit what is left: the time up to which the source came, and the gaps before it."""
        self.finished = True
        buffer = self._buffer
        gaps = self._gaps_before(buffer.stop)
        if self._out_to is None or buffer.end > self._out_to or gaps:
            self._emit_empty(self._start(0, gaps), tuple(GapAt(0, gap) for gap in gaps))

    def _start(self, edge: int, gaps: Sequence[Gap]) -> int:
        """Return where a chunk starts whose first sample, before any gaps, starts at ``edge``."""
        start = self._buffer.low if self._out_to is None else max(edge, self._out_to)
        for gap in gaps:
            if gap.start <= start:
                start = max(start, gap.end)
        return start
