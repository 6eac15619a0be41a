"""timestamp_correct: the device's clock model, for any Observable."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.acquisition.stamper import Stamper
from rxstream.data.axis import IrregularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.concat import concat
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.errors import ChunkError
from rxstream.operators.flow.timestamp_hold import Held
from rxstream.steps.lift import lift
from rxstream.steps.stream import label
from rxstream.timing.settings import ClockSettings, OnStep

__all__ = ["timestamp_correct"]

_ANEW = ("disconnect", "restart")
_OF_THE_MODEL = (
    "quantum", "counter", "skew", "skew_tol", "drift", "window", "on_step", "p_false",
    "restart_gap", "hold",
)  # fmt: skip


def _pieces(chunk: Chunk) -> Iterator[tuple[int, Chunk]]:
    """Give what a chunk was made of, at most one reading each, and nothing with a gap inside."""
    edges = {0, len(chunk), *(at for at, _ in chunk.gap_positions)}
    edges.update(accumulate(part.count for part in chunk.axis.parts()))
    for a, b in pairwise(sorted(edges)):
        yield a, chunk[a:b]


def _same_reading(before: Chunk, piece: Chunk) -> bool:
    one, other = before.axis.parts()[-1].evidence, piece.axis.parts()[0].evidence
    if one is None or other is None:
        return False
    return one is other or one[:3] == other[:3]


def _complete(pieces: list[Chunk]) -> bool:
    evidence = pieces[0].axis.parts()[0].evidence
    return evidence is None or sum(map(len, pieces)) >= evidence.samples


def _reading(pieces: list[Chunk], lost: Gap | None) -> Reading:
    """Return a reading made whole again; a part of one, or one without evidence, came as it ends.

    So a part keeps the times that it has.
    """
    whole = concat(pieces)
    part, reason = whole.axis.parts()[0], lost.reason if lost else "dropped"
    evidence, count = part.evidence, lost.lost if lost else None
    if evidence is not None and evidence.samples == len(whole):
        return Reading(
            whole.data, counter=evidence.counter, device_time=evidence.device_time,
            bounds=evidence.bounds, lost=count, reason=reason, arrival=evidence.arrival,
        )  # fmt: skip
    times: int | NDArray[np.int64] | None = None
    if _has_stamps(whole):
        stamps = evidence.device_time if evidence else None
        times = part.at(0) if isinstance(stamps, int) else whole.time
    return Reading(
        whole.data, device_time=times, lost=count, reason=reason, arrival=whole.axis.at(len(whole))
    )


def _has_stamps(chunk: Chunk) -> bool:
    """Whether it came with stamps of the host clock."""
    evidence = chunk.axis.parts()[0].evidence
    stamps = None if evidence is None else evidence.device_time
    return chunk.info.device_clock == "host" and stamps is not None


def _joined(before: Gap | None, gap: Gap) -> Gap:
    if before is None:
        return gap
    return before.join(gap, gap.reason if gap.reason in _ANEW else before.reason)


class _TimestampCorrect:
    """Puts the pieces of each reading together again, however it was cut, and stamps it."""

    __slots__ = ("_correction", "_held", "_last", "_pending", "_pieces", "_stamper")

    def __init__(self, correction: ClockSettings) -> None:
        self._correction = correction
        self._held = Held(round(correction.hold * 1e9)) if correction.hold else None
        self._pieces: list[Chunk] = []  # of the reading under way
        self._pending: Gap | None = None  # before them
        self._last: Chunk | None = None  # stamped
        self._stamper: Stamper | None = None

    def push(self, chunk: Chunk) -> list[Chunk]:
        if self._stamper is None:
            self._stamper = self._begin(chunk)
        gaps: dict[int, Gap] = {}
        for at, gap in chunk.gap_positions:
            gaps[at] = _joined(gaps.get(at), gap)
        out: list[Chunk] = []
        for at, piece in _pieces(chunk):
            before = gaps.get(at)
            if before is not None:
                out += self._lose(before)
            elif self._pieces and not _same_reading(self._pieces[-1], piece):
                out += self._stamp(self._stamper)
            self._pieces.append(piece)
            if _complete(self._pieces):
                out += self._stamp(self._stamper)
        if len(chunk) in gaps:  # told with the next samples
            out += self._lose(gaps[len(chunk)])
        if not len(chunk) and not out and self._held is None:
            out += self._heartbeat()
        return out

    def flush(self) -> list[Chunk]:
        out = [] if self._stamper is None else self._stamp(self._stamper)
        if self._held is not None:
            out += self._held.flush()
        gap, self._pending = self._pending, None
        if gap is not None and self._last is not None:
            last = self._last
            start, end = last.end, last.end + gap.end - gap.start
            told = GapAt(0, Gap(start, end, gap.lost, gap.reason))
            out.append(_empty(last, end, (told,)))
        return out

    def _lose(self, gap: Gap) -> list[Chunk]:
        """Stamp what came before a gap, and keep it for what comes after."""
        out = [] if self._stamper is None else self._stamp(self._stamper)
        self._pending = _joined(self._pending, gap)
        return out

    def _heartbeat(self) -> list[Chunk]:
        """Say that it is alive: how far true time has come, only samples can tell."""
        if self._last is None or self._pieces:
            return []
        return [_empty(self._last, self._last.end, ())]

    def _stamp(self, stamper: Stamper) -> list[Chunk]:
        if not self._pieces:
            return []
        lost, self._pending = self._pending, None
        if lost is not None and (lost.lost is None or lost.reason in _ANEW):
            # a hole of unknown size, or one that is only guessed: the clock is found anew
            stamper.restart(lost.reason)
            lost = None
        if _has_stamps(self._pieces[0]):
            self._check_stamped(self._pieces[0].info)
        reading = _reading(self._pieces, lost)
        self._pieces = []
        stamped = stamper.stamp(reading, reading.data, reading.arrival or 0)
        found, stamper.found = stamper.found, []
        if stamped is None:  # pragma: no cover - only readings without samples give nothing
            return []
        self._last = stamped
        return [stamped] if self._held is None else self._held.push(stamped, stamper.state, found)

    def _check_stamped(self, info: StreamInfo) -> None:
        """Refuse what cannot act where there is nothing for the clock model to do."""
        given, usual = self._correction, ClockSettings(None)
        idle = [name for name in _OF_THE_MODEL if getattr(given, name) != getattr(usual, name)]
        if idle:
            msg = (
                f"timestamp_correct: {info.name} comes with stamps on the host clock, and its "
                f"clock model is not used; {', '.join(idle)} cannot act: leave out all but "
                "rate and path_delay"
            )
            raise ChunkError(msg)

    def _begin(self, chunk: Chunk) -> Stamper:
        given, info = self._correction, chunk.info
        rate = given.rate if given.rate is not None else info.rate
        if rate is None:
            msg = (
                f"timestamp_correct: {info.name} has no rate, and none was given; irregular "
                "samples keep the times their device gives"
            )
            raise ChunkError(msg)
        counter, quantum = given.counter or info.counter, given.quantum or info.quantum
        correction = replace(given, rate=rate, counter=counter, quantum=quantum)
        return Stamper(
            replace(info, rate=rate, counter=counter, quantum=quantum), "corrected", correction
        )


def _empty(last: Chunk, at: int, gap_positions: tuple[GapAt, ...]) -> Chunk:
    none = IrregularAxis(np.empty(0, np.int64))
    index = last.index + len(last) + sum(gap.lost or 0 for _, gap in gap_positions)
    return Chunk(last.data[:0], none, at, at, index, last.info, gap_positions)


@label
def timestamp_correct(
    rate: float | None = None,
    *,
    quantum: int | None = None,
    counter: DeviceCounter | None = None,
    path_delay: float = 0.0,
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
    arrived, or to do it again with other settings: the raw evidence is in the chunk. A reading
    that was cut since is put together again first, so how it was cut does not matter.

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
        The device's counter, which the readings overlap; default: that of the stream.
    path_delay
        The least delay, which nobody can see in stamps [s].
    skew, skew_tol, drift, window, on_step, p_false, restart_gap
        As in `rxstream.timing.settings.ClockSettings`; most people need none of them.
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
        Downstream, if the stream has no rate and none is given, or if it comes with stamps on the
        host clock, as from a camera or a sound driver, and settings are given that cannot act on
        these: all but ``rate`` and ``path_delay``.

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
    correction = ClockSettings(
        rate=rate, quantum=quantum, counter=counter, path_delay=path_delay, skew=skew,
        skew_tol=skew_tol, drift=drift, window=window, on_step=on_step, p_false=p_false,
        restart_gap=restart_gap, hold=hold,
    )  # fmt: skip
    return lift(lambda: _TimestampCorrect(correction))
