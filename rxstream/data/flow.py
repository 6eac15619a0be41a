"""Flow of a stream: true rate, jitter, delay, losses; O(1) for each chunk."""

from collections import deque
from dataclasses import dataclass
from math import nan

import numpy as np

from rxstream.data.axis import NO_TIMES, Axis, Evidence, RegularAxis, max_uncertainty
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo

__all__ = ["Flow", "Meter"]

# Delays kept for the quantiles: ten seconds of sound in blocks of 10 ms, so that the 99 % quantile
# stands on ten values.
_MAX_DELAYS = 1024

# Stream time after which the rate is measured [ns]. By then a clock model has found its line, and
# times no longer drift towards it.
_SETTLING_TIME = 2_000_000_000

# After these the clock model begins anew, and with it the settling.
_RESTARTS = ("disconnect", "restart", "suspended")


@dataclass(frozen=True, slots=True)
class Flow:
    """Measurements of a `Meter`.

    Attributes
    ----------
    chunks, samples, lost, gaps
        Counts; ``lost`` of those gaps whose number is known.
    nominal, rate
        Samples per second as stated and as measured [Hz]; None for too little data. Regular
        streams that have gone through a clock model are measured from 2 s after the beginning
        and after each restart on, when their times have settled. What a measurement begins with
        does not count where only its end is known: the first sample of a stream without a rate,
        and the first reading of one with times of arrival.
    ppm
        Excess of the true rate over the stated one, in parts per million.
    jitter_p50, jitter_p99
        Quantiles of the delay above the least one of the last 1024 chunks: half of the chunks
        come sooner, and 99 % [s]. None where times are those of arrival, which show no delay.
    delay
        Least time from the last sample of a chunk to its arrival, of those chunks [s].
    uncertainty
        Half width of the 95 % interval of the times of the newest chunk [s]; NaN if unknown.
    state
        State of the clock model at the newest chunk: ``warming``, ``locked``, ``suspect`` (a loss
        is suspected), ``reacquiring``, ``arrival`` (samples come at no steady rate, and times are
        those of arrival); ``raw`` where there is none.
    """

    chunks: int
    samples: int
    lost: int
    gaps: int
    nominal: float | None
    rate: float | None
    ppm: float | None
    jitter_p50: float | None
    jitter_p99: float | None
    delay: float | None
    uncertainty: float
    state: str = "raw"


class Meter:
    """Counts and measures the chunks of one stream; what can wait is computed when asked for.

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> meter, info = Meter(), StreamInfo("x", 100.0, (), np.int64)
    >>> meter.push(Chunk.regular(np.arange(100), info, start=0))
    >>> meter.flow().rate
    100.0
    """

    __slots__ = (
        "_axis", "_begins", "_chunks", "_covered", "_covered_before", "_delays", "_end", "_gap",
        "_gaps", "_info", "_lost", "_samples", "_samples_before", "_settled",
    )  # fmt: skip

    def __init__(self) -> None:
        self._chunks = self._samples = self._lost = self._gaps = 0
        self._covered = 0  # stream time that the samples stand for [ns]
        self._axis: Axis = NO_TIMES  # of the newest samples
        self._end = 0  # of their chunk [ns]
        self._info: StreamInfo | None = None
        self._gap: Gap | None = None  # the last one
        # when the measurement of the rate begins [ns]; 0: it is under way; None: not known yet
        self._settled: int | None = None
        self._begins = True  # whether no time is covered yet, or none since a gap
        self._begin()

    def _begin(self) -> None:
        self._samples_before, self._covered_before = self._samples, self._covered
        self._delays: deque[int] = deque(maxlen=_MAX_DELAYS)

    def push(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        # read directly: this runs in the device's thread, once for each chunk
        axis, end, gap_positions = chunk._axis, chunk._end, chunk._gap_positions  # noqa: SLF001
        n = axis.count
        if self._settled != 0 or gap_positions or self._begins:
            self._look(chunk)
        self._chunks += 1
        self._samples += n
        self._covered += end - chunk._start  # noqa: SLF001
        if n:
            self._axis, self._end = axis, end
            part = axis if type(axis) is RegularAxis else axis.parts()[-1]
            evidence = part.evidence
            if evidence is None:
                return
            state = evidence.state
            if state == "arrival":
                self._delays.clear()  # of a line that there is not
                return
            # most without a model have nothing but their arrival: no call for these
            stamped = evidence.device_time is not None or evidence.bounds is not None
            if state != "raw" or (stamped and _shows_delay(evidence, chunk._info)):  # noqa: SLF001
                self._delays.append(evidence.arrival - part.at(part.count - 1))

    def _look(self, chunk: Chunk) -> None:
        """Take in what most chunks lack: gaps, and a beginning."""
        self._info, inside = chunk.info, 0
        if chunk.gap_positions and chunk.gap_positions[0].position == 0:
            self._covered += self._rest()
        for position, gap in chunk.gap_positions:
            if self._gap is None or not self._gap.continues(gap):
                self._gaps += 1
            self._gap = gap
            self._lost += gap.lost or 0
            if gap.reason in _RESTARTS:
                self._settled = None
            if position:
                inside += gap.end - gap.start
        if self._settled is None:
            # without a clock model, or a rate, there is nothing to settle
            raw = chunk.info.rate is None or _state(chunk.axis) == "raw"
            self._settled = 0 if raw else chunk.start + _SETTLING_TIME
        elif 0 < self._settled <= chunk.start and len(chunk):
            self._settled = 0
            self._begin()
            # the sample before it lasted until its first one
            self._covered_before += chunk.axis.at(0) - chunk.start
        self._covered -= inside  # no samples stand for it
        self._leave_out(chunk)

    def _leave_out(self, chunk: Chunk) -> None:
        """Leave out what a measurement begins with, if only its end is known."""
        begins = {at: gap.end for at, gap in chunk.gap_positions}
        if self._begins or 0 in begins:
            begins[0] = chunk.start
        for at, since in begins.items():
            if at < len(chunk):
                samples, span = _first(chunk[at:], since)
                self._samples_before += samples
                self._covered_before += span
        if chunk.end > chunk.start:
            self._begins = len(chunk) in begins and len(chunk) > 0

    def _rest(self) -> int:
        """Return for how long the newest sample of a regular stream lasts beyond its chunk [ns]."""
        period, axis = None if self._info is None else self._info.period, self._axis
        if period is None or not axis.count:
            return 0
        part = axis.parts()[-1]
        end = part.at(part.count) if type(part) is RegularAxis else part.edge(part.count) + period
        return round(min(max(0.0, end - self._end), period))

    def flow(self) -> Flow:
        """Return what was measured so far."""
        nominal = None if self._info is None else self._info.rate
        rate, measured = None, self._samples - self._samples_before
        covered = self._covered - self._covered_before + self._rest()
        if self._settled == 0 and covered > 0 and measured > 0 and self._samples > 1:
            rate = measured * 1e9 / covered
        low = median = high = None
        if self._delays:
            delays = np.array(self._delays) / 1e9
            low = float(delays.min())
            # One delay has no distance from the least one.
            if len(delays) > 1:
                median, high = (float(q) for q in np.quantile(delays - low, (0.5, 0.99)))
        ppm = (rate / nominal - 1.0) * 1e6 if rate and nominal else None
        return Flow(
            self._chunks, self._samples, self._lost, self._gaps, nominal, rate, ppm, median, high,
            low, max_uncertainty(self._axis.parts()) / 1e9 if self._samples else nan,
            _state(self._axis),
        )  # fmt: skip


def _shows_delay(evidence: Evidence, info: StreamInfo) -> bool:
    """Whether times that went through no clock model rest on more than the arrival."""
    stamps = evidence.device_time
    if stamps is None:
        return evidence.bounds is not None and info.rate is None
    # a stamp of the first sample alone is not used for a regular stream
    return info.device_clock == "host" and (info.rate is None or not isinstance(stamps, int))


def _first(chunk: Chunk, since: int) -> tuple[int, int]:
    """Return the samples that begin a measurement and show no rate, and their time [ns].

    The first event of those watched ``since`` then [ns] ends no distance. A reading with times of
    arrival is stated to be as long as its samples are; without a rate they came all at once.
    """
    part, info = chunk.axis.parts()[0], chunk.info
    evidence = part.evidence
    raw = evidence is not None and evidence.state == "raw" and not _shows_delay(evidence, info)
    if info.rate is not None:
        return (part.count, part.at(part.count) - part.at(0)) if raw else (0, 0)
    if part.at(0) > since:
        return 0, 0
    count = part.count if raw else 1
    return count, part.at(count - 1) + 1 - part.at(0)


def _state(axis: Axis) -> str:
    evidence = axis.parts()[-1].evidence
    return "raw" if evidence is None else evidence.state
