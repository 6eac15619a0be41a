"""timestamp_correct: apply the clock model of a `Device` to any stream of chunks."""

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
from rxstream.operators.flow.timestamp_hold import HeldChunks
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label
from rxstream.timing.settings import ClockSettings, OnStep
from rxstream.timing.stamp import ClockEvent

__all__ = ["timestamp_correct"]

# After these the clock model begins anew.
_RESTARTS = ("disconnect", "restart", "suspended")

# Losses that a clock model finds by itself; `overrun` is what it calls one that was announced.
_FOUND = ("dropped", "overrun")

# Settings of the clock model; it is not used for stamps on the host clock.
_MODEL_SETTINGS = (
    "quantum", "counter", "skew", "skew_tol", "drift", "window", "on_step", "p_false",
    "restart_gap", "hold",
)  # fmt: skip


def _pieces(chunk: Chunk) -> Iterator[tuple[int, Chunk]]:
    """Yield the pieces of a chunk with their positions: of one reading each, and without gaps."""
    edges = {0, len(chunk), *(at for at, _ in chunk.gap_positions)}
    edges.update(accumulate(part.count for part in chunk.axis.parts()))
    for a, b in pairwise(sorted(edges)):
        yield a, chunk[a:b]


def _same_reading(before: Chunk, piece: Chunk) -> bool:
    """Whether a piece goes on with the reading of the piece before it."""
    one, other = before.axis.parts()[-1].evidence, piece.axis.parts()[0].evidence
    if one is None or other is None:
        return False
    # Evidence that was copied, e.g. pickled, is another object; arrival, samples and counter show
    # that it is of the same reading. Stamps may be arrays.
    return one is other or one[:3] == other[:3]


def _is_complete(pieces: list[Chunk]) -> bool:
    """Whether the pieces make up all of their reading."""
    evidence = pieces[0].axis.parts()[0].evidence
    return evidence is None or sum(map(len, pieces)) >= evidence.samples


def _reading(pieces: list[Chunk], lost: Gap | None) -> Reading:
    """Return pieces as the reading they were, with the loss before it.

    A part of a reading, or one without evidence, is taken to arrive at its end, so that it keeps
    the times it has.
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
    end, period = whole.axis.at(len(whole)), whole.info.period
    if evidence is not None and period is not None and isinstance(part, IrregularAxis):
        # it has stamps, as it arrived before its last sample was over; a part of it ends there too
        end = whole.axis.at(len(whole) - 1) + round(period)
    return Reading(whole.data, device_time=times, lost=count, reason=reason, arrival=end)


def _has_stamps(chunk: Chunk) -> bool:
    """Whether the reading came with stamps on the host clock."""
    evidence = chunk.axis.parts()[0].evidence
    stamps = None if evidence is None else evidence.device_time
    return chunk.info.device_clock == "host" and stamps is not None


def _joined(before: Gap | None, gap: Gap) -> Gap:
    """Return two gaps as one: a restart if one of them is, else of what no model finds again."""
    if before is None:
        return gap
    later = gap.reason in _RESTARTS or before.reason in _FOUND
    return before.join(gap, gap.reason if later else before.reason)


def _announced(lost: Gap, pieces: list[Chunk], stamper: Stamper) -> Gap | None:
    """Return what the clock model has to be given of a loss before a reading.

    The device has marked a loss that its own model found where it was found, some chunks late. A
    model that took that for its place would not look for the right one.
    """
    evidence = pieces[0].axis.parts()[0].evidence
    if lost.reason not in _FOUND or stamper.state != "suspect":
        return lost
    if evidence is None or evidence.state == "raw" or evidence.samples != sum(map(len, pieces)):
        return lost
    if lost.reason == "overrun":
        stamper.overrun()
    return replace(lost, lost=evidence.lost, whole=None) if evidence.lost else None


class _TimestampCorrect:
    """Joins the pieces of each reading again, however it was cut, and stamps it."""

    __slots__ = ("_held", "_last", "_pending", "_pieces", "_settings", "_stamper")

    def __init__(self, settings: ClockSettings) -> None:
        self._settings = settings
        self._held = HeldChunks(round(settings.hold * 1e9)) if settings.hold else None
        self._pieces: list[Chunk] = []  # of the unfinished reading
        self._pending: Gap | None = None  # gap before them
        self._last: Chunk | None = None  # the newest chunk stamped
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
                out += self._add_gap(before)
            elif self._pieces and not _same_reading(self._pieces[-1], piece):
                out += self._stamp(self._stamper)
            self._pieces.append(piece)
            if _is_complete(self._pieces):
                out += self._stamp(self._stamper)
        # A gap at the end waits for the next samples.
        if len(chunk) in gaps:
            out += self._add_gap(gaps[len(chunk)])
        if not len(chunk) and not out and self._held is None:
            out += self._heartbeat()
        return out

    def flush(self) -> list[Chunk]:
        out = [] if self._stamper is None else self._stamp(self._stamper)
        if self._held is not None:
            out += self._held.flush()
        gap, self._pending = self._pending, None
        last = self._last
        if gap is not None and last is not None:
            end = last.end + gap.end - gap.start
            moved = GapAt(0, Gap(last.end, end, gap.lost, gap.reason))
            index = last.next_index + (gap.lost or 0)
            out.append(Chunk.empty(last.info, end, index=index, gap_positions=(moved,)))
        return out

    def _add_gap(self, gap: Gap) -> list[Chunk]:
        """Stamp what came before a gap, and keep the gap for what comes after."""
        out = [] if self._stamper is None else self._stamp(self._stamper)
        self._pending = _joined(self._pending, gap)
        return out

    def _heartbeat(self) -> list[Chunk]:
        """Return a heartbeat, which covers no time: only samples show how far true time is."""
        last = self._last
        if last is None or self._pieces:
            return []
        return [Chunk.empty(last.info, last.end, index=last.next_index)]

    def _stamp(self, stamper: Stamper) -> list[Chunk]:
        if not self._pieces:
            return []
        lost, self._pending = self._pending, None
        if lost is not None and (lost.lost is None or lost.reason in _RESTARTS):
            # A loss of unknown or only estimated size: the clock model has to find its line anew.
            stamper.restart(lost.reason, lost.lost)
            lost = None
        elif lost is not None:
            lost = _announced(lost, self._pieces, stamper)
        if _has_stamps(self._pieces[0]):
            self._check_stamped(self._pieces[0].info)
        reading = _reading(self._pieces, lost)
        self._pieces = []
        stamped = stamper.stamp(reading, reading.data, reading.arrival or 0)
        # stamps that were set aside have been reported by their device
        found = [event for event in stamper.found if isinstance(event, ClockEvent)]
        stamper.found = []
        if stamped is None:  # pragma: no cover - only for readings without samples
            return []
        self._last = stamped
        return [stamped] if self._held is None else self._held.push(stamped, stamper.state, found)

    def _check_stamped(self, info: StreamInfo) -> None:
        """Raise ChunkError if settings are given that have no effect on stamped readings."""
        given, usual = self._settings, ClockSettings(None)
        idle = [name for name in _MODEL_SETTINGS if getattr(given, name) != getattr(usual, name)]
        if idle:
            msg = (
                f"timestamp_correct: {info.name} comes with stamps on the host clock, and its "
                f"clock model is not used; {', '.join(idle)} cannot act: leave out all but "
                "rate and path_delay"
            )
            raise ChunkError(msg)

    def _begin(self, chunk: Chunk) -> Stamper:
        given, info = self._settings, chunk.info
        rate = given.rate if given.rate is not None else info.rate
        if rate is None:
            msg = (
                f"timestamp_correct: {info.name} has no rate, and none was given; irregular "
                "samples keep the times of their device"
            )
            raise ChunkError(msg)
        counter, quantum = given.counter or info.counter, given.quantum or info.quantum
        settings = replace(given, rate=rate, counter=counter, quantum=quantum)
        return Stamper(
            replace(info, rate=rate, counter=counter, quantum=quantum), "corrected", settings
        )


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
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Replace times of arrival by the times at which samples were taken.

    A `Device` does this by itself. Use it for chunks from elsewhere that end at their arrival, or
    to repeat the correction with other settings, such as ``hold``, from the raw evidence in the
    chunks. A reading that was cut since is joined again first, so how it was cut does not matter.

    .. marble::

        --a---b--c------de-f--|     as they arrived
        [ timestamp_correct() ]
        --a--b--c---d--e--f---|     as they were taken (each is emitted when it arrives)

    Parameters
    ----------
    rate
        Nominal samples per second [Hz]; default: that of the stream.
    quantum
        Number of samples of which every loss is a multiple.
    counter
        Counter of the device, as it comes with each reading; default: that of the stream.
    path_delay
        Least delay from the sample to its arrival [s], which no stamp can show.
    skew, skew_tol, drift, window, on_step, p_false, restart_gap
        As in `rxstream.timing.settings.ClockSettings`; most people need none of them.
    hold
        How long to hold a chunk while a loss before it is suspected [s]; its times are then right,
        and the gap lies where the loss was, behind a `Device` too. A loss that is no longer than
        chunks are late at times is not suspected at once, and found as without. 0: nothing waits,
        and the gap comes some chunks later.

    Returns
    -------
    operator
        The same samples with other times, strictly increasing; losses are marked as gaps.

    Raises
    ------
    ParameterError
        If a value is out of range.
    ChunkError
        Downstream, if the stream has no rate and none is given, or if it has stamps on the host
        clock, as from a camera or a sound driver, and settings are given that have no effect on
        these: all but ``rate`` and ``path_delay``.

    Examples
    --------
    The third of four chunks arrived 30 ms late:

    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("x", 1000.0, (), np.int64)
    >>> late = [Chunk.regular(np.arange(100), info, start=start, index=k * 100)
    ...         for k, start in enumerate([0, 100_000_000, 230_000_000, 300_000_000])]
    >>> rx.of(*late).pipe(timestamp_correct()).subscribe(
    ...     lambda chunk: print(f"{chunk.time[-1] / 1e9:.3f}")).dispose()
    0.100
    0.200
    0.300
    0.400
    """
    settings = ClockSettings(
        rate=rate, quantum=quantum, counter=counter, path_delay=path_delay, skew=skew,
        skew_tol=skew_tol, drift=drift, window=window, on_step=on_step, p_false=p_false,
        restart_gap=restart_gap, hold=hold,
    )  # fmt: skip
    return lift(lambda: _TimestampCorrect(settings))
