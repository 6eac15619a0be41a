"""timestamp_correct: the device's clock model, for any Observable."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate, pairwise

from reactivex import Observable

from rxstream.axis import Grid
from rxstream.chunk import Chunk
from rxstream.errors import ChunkError, ClockEvent
from rxstream.gap import Break, Gap
from rxstream.info import Counter, Reading, StreamInfo
from rxstream.lift import lift
from rxstream.stamper import Stamper
from rxstream.timing.settings import Correction, OnStep

__all__ = ["timestamp_correct"]


class _Held:
    """Chunks whose times are in doubt; let go when it is decided, or after too long.

    A loss without numbers shows some chunks later: until then times are early by what is missing.
    Who can wait gets them right.
    """

    __slots__ = ("_chunks", "_span")

    def __init__(self, span: int) -> None:
        self._span = span
        self._chunks: list[Chunk] = []

    def push(self, chunk: Chunk, state: str, found: list[ClockEvent]) -> list[Chunk]:
        held = self._chunks
        held.append(chunk)
        for event in found:
            if event.kind == "gap" and event.samples and event.correction > 0:
                _move_gap(held, event)
        # the first chunk after a loss is merely late: only the next makes it suspicious, so one
        # always waits; while there is suspicion, all that are not too old do
        wait = held[-1:] if state != "undecided" else held
        self._chunks = [c for c in wait if chunk.end - c.start <= self._span]
        return held[: len(held) - len(self._chunks)]

    def flush(self) -> list[Chunk]:
        held, self._chunks = self._chunks, []
        return held


def _move_gap(held: list[Chunk], event: ClockEvent) -> None:
    """Put a gap that the last chunk tells before the first chunk that came after the loss."""
    decided = held[-1]
    late = [k for k, c in enumerate(held[:-1]) if c.index >= event.first]
    if not late or not decided.breaks:
        return
    lost = event.samples or 0
    for k in late:
        c = held[k]
        grid = c.axis.parts()[0]
        if not isinstance(grid, Grid):  # pragma: no cover - the stamper makes grids
            return
        moved = Grid(
            grid.origin + event.correction, grid.period, grid.count, grid.first, grid.uncertainty,
            grid.evidence,
        )  # fmt: skip
        start, end = c.start + event.correction, c.end + event.correction
        breaks: tuple[Break, ...] = c.breaks
        if k == late[0]:
            breaks = (*breaks, (0, Gap(c.start, start, lost, "dropped")))
        held[k] = Chunk(c.data, moved, start, end, c.index + lost, c.info, breaks)
    begin, n = held[late[-1]].end, len(decided)
    end = max(decided.end, begin + n)
    last = decided.axis.parts()[-1]
    axis = Grid(begin, (end - begin) / n, n, 0, last.uncertainty, last.evidence)
    held[-1] = Chunk(
        decided.data, axis, begin, end, decided.index, decided.info, decided.breaks[1:]
    )


def _pieces(chunk: Chunk) -> Iterator[tuple[int, Chunk]]:
    """Give what a chunk was made of, one reading each, and nothing with a gap inside."""
    edges = {0, len(chunk), *(at for at, _ in chunk.breaks)}
    edges.update(accumulate(part.count for part in chunk.axis.parts()))
    for a, b in pairwise(sorted(edges)):
        yield a, chunk[a:b]


def _reading(piece: Chunk, lost: Gap | None) -> Reading:
    """Return a piece as a reading; without evidence it arrived when it ended."""
    part = piece.axis.parts()[0]
    evidence, why = part.evidence, lost.why if lost else "dropped"
    count = lost.lost if lost else None
    if evidence is None or evidence.samples != len(piece):
        return Reading(piece.data, lost=count, why=why, arrival=part.at(part.count))
    return Reading(
        piece.data, counter=evidence.counter, device_time=evidence.device_time,
        bounds=evidence.bounds, lost=count, why=why, arrival=evidence.arrival,
    )  # fmt: skip


class _TimestampCorrect:
    __slots__ = ("_correction", "_held", "_pending", "_stamper")

    def __init__(self, correction: Correction) -> None:
        self._correction = correction
        self._held = _Held(round(correction.hold * 1e9)) if correction.hold else None
        self._pending: Gap | None = None  # after the last samples
        self._stamper: Stamper | None = None

    def push(self, chunk: Chunk) -> list[Chunk]:
        stamper = self._stamper
        if stamper is None:
            stamper = self._begin(chunk.info)
        gaps: dict[int, Gap] = {} if self._pending is None else {0: self._pending}
        for at, gap in chunk.breaks:
            gaps[at] = gaps[at].join(gap) if at in gaps else gap
        self._pending = gaps.pop(len(chunk), None)  # told with the next samples
        out: list[Chunk] = []
        for at, piece in _pieces(chunk):
            lost = gaps.get(at)
            if lost is not None and (lost.lost is None or lost.why in ("disconnect", "restart")):
                # a hole of unknown size, or one that is only guessed: the clock is found anew
                stamper.restart(lost.why)
                lost = None
            reading = _reading(piece, lost)
            stamped = stamper.stamp(reading, reading.data, reading.arrival or 0)
            found, stamper.found = stamper.found, []
            if stamped is not None and self._held is not None:
                out += self._held.push(stamped, stamper.state, found)
            elif stamped is not None:
                out.append(stamped)
        return out

    def flush(self) -> list[Chunk]:
        return [] if self._held is None else self._held.flush()

    def _begin(self, info: StreamInfo) -> Stamper:
        given = self._correction
        rate = given.rate if given.rate is not None else info.rate
        if rate is None:
            msg = (
                f"timestamp_correct: {info.name} has no rate, and none was given; irregular "
                "samples keep the times their device gives"
            )
            raise ChunkError(msg)
        counter, quantum = given.counter or info.counter, given.quantum or info.quantum
        correction = replace(given, rate=rate, counter=counter, quantum=quantum)
        self._stamper = Stamper(
            replace(info, rate=rate, counter=counter, quantum=quantum), "corrected", correction
        )
        return self._stamper


def timestamp_correct(
    rate: float | None = None,
    *,
    quantum: int | None = None,
    counter: Counter | None = None,
    latency: float = 0.0,
    skew: float = 0.0,
    skew_tol: float = 50e-6,
    drift: float = 5e-9,
    window: tuple[float, float] = (10.0, 300.0),
    on_step: OnStep = "auto",
    p_false: float = 1e-6,
    restart_gap: float = 1.0,
    hold: float = 0.0,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Replace times of arrival by the times at which samples were taken.

    A `Device` does this by itself; use it for chunks from elsewhere, whose end is when they
    arrived, or to do it again with other settings: the raw evidence is in the chunk.

    .. marble::

        --a---b--c------de-f--|     as they arrived
        [ timestamp_correct() ]
        --a--b--c---d--e--f---|     as they were taken (each is given when it arrives)

    Parameters
    ----------
    rate
        Stated samples per second [Hz]; default: that of the stream.
    quantum
        If samples are lost, multiples of this many.
    counter
        The device's counter, which the readings carry; default: that of the stream.
    latency
        The least delay, which nobody can see in stamps [s].
    skew, skew_tol, drift, window, on_step, p_false, restart_gap
        As in `rxstream.timing.settings.Correction`; most people need none of them.
    hold
        How long to keep a chunk back while a loss before it is suspected [s]; then its times come
        right, and the gap where it was. 0: nothing waits, and the gap comes some chunks later.

    Returns
    -------
    operator
        The same samples with other times, strictly increasing; what was lost comes as gaps.

    Raises
    ------
    ParameterError
        If a value cannot work.
    ChunkError
        Downstream, if the stream has no rate and none is given.

    Examples
    --------
    The third of four chunks came 30 ms late:

    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("x", 1000.0, (), np.int64)
    >>> late = [Chunk.regular(np.arange(100), info, start=start, index=k * 100)
    ...         for k, start in enumerate([0, 100_000_000, 230_000_000, 300_000_000])]
    >>> rx.of(*late).pipe(timestamp_correct()).subscribe(
    ...     lambda chunk: print(f"{chunk.end / 1e9:.3f}")).dispose()
    0.101
    0.201
    0.301
    0.401
    """
    correction = Correction(
        rate=rate, quantum=quantum, counter=counter, latency=latency, skew=skew,
        skew_tol=skew_tol, drift=drift, window=window, on_step=on_step, p_false=p_false,
        restart_gap=restart_gap, hold=hold,
    )  # fmt: skip
    return lift(lambda: _TimestampCorrect(correction))
