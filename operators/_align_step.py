"""The state of `align`: samples of the source that wait for their partners."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.chunk import Chunk
from rxstream.gap import Break, Gap
from rxstream.operators._align_partner import FOREVER, Match, Partner, Reason, reason
from rxstream.tape import Tape
from rxstream.watermark import Watermarks

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
    why
        ``nothing within tolerance``; ``gap``: it lost what may have been there; ``late``: it had
        not told of that time by ``lateness``, or the source itself was so late; ``ended``,
        ``not begun``: it was over, or had not begun.
    """

    chunk: Chunk
    partner: str
    why: Reason

    def __str__(self) -> str:
        return f"{len(self.chunk)} samples of {self.chunk.info.name}: {self.partner}: {self.why}"


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
                 "_tell", "_told", "finished", "marks")  # fmt: skip

    def __init__(self, partners: Sequence[Partner], lateness: int, *, tell: bool) -> None:
        self._partners, self._tell = partners, tell
        self.marks = Watermarks(len(partners) + 1, lateness)
        self._tape: Tape[Any] = Tape()  # of the source, from the first sample not decided on
        self._position = 0  # of that sample
        self._next = FOREVER  # its time [ns], if it has come
        self._told: int | None = None  # end of what has been given [ns]
        self._gaps: list[Gap] = []  # to tell before the next match
        self._hole: int | None = None  # which of them is of samples without a match
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
        else:
            self._tape.append(chunk)
            if len(chunk) and self._next == FOREVER:
                self._next = chunk.axis.at(0)
        out = self._decide()
        if not (port or len(chunk)):
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
        if tape.info is not None:
            limit = min(p.decided(marks.low(k)) for k, p in enumerate(partners, 1))
            if limit >= self._next != FOREVER:
                self._match(limit)
            if self._next == FOREVER and self._done:
                heard = all(p.done or p.end is not None for p in partners)
                if heard or limit >= tape.end - 1:
                    self._end()
        elif self._done:
            self.finished = True
        needed = self._next if self._next != FOREVER else tape.end if tape.info else None
        low = marks.low(0)
        if needed is None or (low is not None and self._next == FOREVER and low > needed):
            needed = low
        if needed is not None:
            for partner in partners:
                partner.forget(needed)
        return out

    def _match(self, limit: int) -> None:
        """Decide on all samples up to ``limit`` [ns]."""
        tape, i = self._tape, self._position
        j = tape.stop if limit >= tape.end else tape.find(limit + 1)
        times = tape.axis(i, j).times()
        matches = [partner.match(times) for partner in self._partners]
        missing = [match.why != 0 for match in matches if match.why is not None]
        if self._tell and missing:
            self._report(matches, i, j)
        if not missing:
            self._give(matches, i, i, j)
        else:
            bad = np.logical_or.reduce(missing)
            cuts = [0, *(np.flatnonzero(bad[1:] != bad[:-1]) + 1).tolist(), j - i]
            for a, b in pairwise(cuts):
                if bad[a]:
                    self._leave_out(i + a, i + b)
                else:
                    self._give(matches, i, i + a, i + b)
        self._position = j
        self._next = tape.axis(j, j + 1).at(0) if j < tape.stop else FOREVER
        tape.trim(j)

    def _give(self, matches: Sequence[Match], base: int, i: int, j: int) -> None:
        """Give samples at positions ``i`` to ``j``, whose matches begin at ``base``."""
        tape = self._tape
        inside: tuple[Break, ...] = ()
        waits = False
        if tape.breaks:
            self._gaps += [gap for at, gap in tape.breaks if at == i]
            inside = tuple((at - i, gap) for at, gap in tape.breaks if i < at < j)
            waits = any(at == j for at, _ in tape.breaks)
        self._end_hole(i)
        start = self._start(tape.edge(i))
        if self._gaps:
            inside = (*((0, gap) for gap in self._gaps), *inside)
            self._gaps, self._hole = [], None
        end = tape.edge(j) if j < tape.stop or waits else tape.end
        self._told = end
        info: Any = tape.info
        first = Chunk(tape.data(i, j), tape.axis(i, j), start, end, tape.index(i), info, inside)
        self._put(first, [match.data[i - base : j - base] for match in matches])

    def _put(self, chunk: Chunk, data: Sequence[NDArray[Any]]) -> None:
        out = [chunk]
        for partner, values in zip(self._partners, data, strict=True):
            out.append(chunk.with_data(values, partner.info_at(chunk.info.rate)))
        self._out.append(tuple(out))

    def _leave_out(self, i: int, j: int) -> None:
        """Note that samples at positions ``i`` to ``j`` have no partner."""
        tape = self._tape
        before = [gap for at, gap in tape.breaks if at == i]
        lost: int | None = j - i
        for at, gap in tape.breaks:
            if i < at < j:
                lost = None if lost is None or gap.lost is None else lost + gap.lost
        gap = Gap(tape.axis(i, j).at(0), tape.edge(j), lost, "unmatched")
        if self._hole is None:
            self._gaps += before
            self._hole = len(self._gaps)
        else:  # however long it goes on, it is one gap, with what the source lost within
            for part in (*self._gaps[self._hole + 1 :], *before):
                self._gaps[self._hole] = self._gaps[self._hole].join(part)
            gap = self._gaps[self._hole].join(gap)
        self._gaps[self._hole :] = [gap]

    def _end_hole(self, i: int) -> None:
        """End what is unmatched before position ``i`` where it does, now that what follows came."""
        if self._hole is not None:
            hole, end = self._gaps[self._hole], self._tape.edge(i)
            self._gaps[self._hole] = Gap(hole.start, end, hole.lost, hole.why)

    def _report(self, matches: Sequence[Match], i: int, j: int) -> None:
        for partner, match in zip(self._partners, matches, strict=True):
            why = match.why
            if why is None:
                continue
            cuts = [0, *(np.flatnonzero(why[1:] != why[:-1]) + 1).tolist(), j - i]
            for a, b in pairwise(cuts):
                if why[a]:
                    chunk = self._tape.cut(i + a, i + b)
                    self._out.append(Unmatched(chunk, partner.name, reason(int(why[a]))))

    def _beat(self) -> None:
        """Tell that the source goes on, if all before that has been told."""
        tape = self._tape
        idle = self._next == FOREVER and not self._gaps and not tape.breaks
        if not idle or any(p.end is None for p in self._partners):
            return
        told = tape.low if self._told is None else self._told
        if tape.end > told:
            self._told = tape.end
            self._empty(told, ())

    def _empty(self, start: int, breaks: tuple[Break, ...]) -> None:
        tape, stop = self._tape, self._tape.stop
        info: Any = tape.info
        empty = tape.data(stop, stop), tape.axis(stop, stop)
        chunk = Chunk(*empty, start, tape.end, tape.index(stop), info, breaks)
        self._put(chunk, [np.empty((0, *p.info.shape), p.info.dtype) for p in self._partners])

    def _end(self) -> None:
        """Tell what is left to tell: up to where the source was, and gaps before that."""
        self.finished = True
        tape = self._tape
        self._end_hole(tape.stop)
        self._gaps += [gap for _, gap in tape.breaks]
        if self._told is not None and tape.end <= self._told and not self._gaps:
            return
        self._empty(self._start(0), tuple((0, gap) for gap in self._gaps))

    def _start(self, edge: int) -> int:
        """Return where a chunk starts whose first sample, before any gaps, starts at ``edge``."""
        start = self._tape.low if self._told is None else max(edge, self._told)
        for gap in self._gaps:
            if gap.start <= start:
                start = max(start, gap.end)
        return start
