"""How a stream flows: true rate, jitter, delay, losses; O(1) for each chunk."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap

__all__ = ["Flow", "Meter"]

_KEPT = 1024  # delays for the quantiles
_SETTLE = 2_000_000_000  # [ns] of stream: by then a clock model has found its line
_ANEW = ("disconnect", "restart")


@dataclass(frozen=True, slots=True)
class Flow:
    """What a `Meter` has seen.

    Attributes
    ----------
    chunks, samples, lost, gaps
        Counts; ``lost`` of those gaps whose number is known.
    nominal, rate
        Samples per second as stated and as measured [Hz]; None for too little data. Regular
        streams that have gone through a clock model are measured from 2 s after the beginning
        and after each new one on, when their times have settled.
    ppm
        By how much the true rate is above the stated one, in parts per million.
    jitter_p50, jitter_p99
        Of the arrival above the least delay of the last 1024 chunks [s].
    delay
        Least time from the end of a chunk to its arrival, of those chunks [s].
    uncertainty
        Of the times of the newest chunk [s]; NaN where it is not known.
    state
        What the clock model said of itself at the newest chunk: ``warming``, ``locked``,
        ``suspect`` (a loss is suspected), ``reacquiring``; ``raw`` where there is none.
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
    """Counts and measures the chunks of one stream.

    Examples
    --------
    >>> from rxstream.data.stream_info import StreamInfo
    >>> meter, info = Meter(), StreamInfo("x", 100.0, (), np.int64)
    >>> meter.push(Chunk.regular(np.arange(100), info, start=0))
    >>> meter.flow().rate
    100.0
    """

    __slots__ = (
        "_chunks", "_covered", "_delays", "_gap", "_gaps", "_lost", "_measured", "_nominal",
        "_samples", "_settled", "_state", "_uncertainty",
    )  # fmt: skip

    def __init__(self) -> None:
        self._chunks = self._samples = self._lost = self._gaps = 0
        self._gap: Gap | None = None  # the last one
        self._nominal: float | None = None
        self._uncertainty, self._state = 0.0, "raw"
        self._settled: int | None = None  # when to measure anew [ns]; 0: done
        self._begin()

    def _begin(self) -> None:
        self._measured = 0
        self._covered = 0  # stream time that the measured samples stand for [ns]
        self._delays: deque[int] = deque(maxlen=_KEPT)

    def push(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        self._chunks += 1
        n = len(chunk)
        self._samples += n
        self._nominal = chunk.info.rate
        if n:
            self._look(chunk)
        if chunk.gap_positions:
            self._count(chunk)
        if self._settled is None:
            raw = self._state == "raw" or self._nominal is None  # there is nothing to settle
            self._settled = 0 if raw else chunk.start + _SETTLE
        elif 0 < self._settled <= chunk.start:
            self._settled = 0
            self._begin()
        self._measured += n
        self._covered += chunk.end - chunk.start
        if chunk.gap_positions:
            self._covered -= sum(gap.end - gap.start for at, gap in chunk.gap_positions if at)
        arrival = chunk.arrival if n else None
        if arrival is not None:
            self._delays.append(arrival - chunk.end)

    def _look(self, chunk: Chunk) -> None:
        self._uncertainty = chunk.uncertainty / 1e9
        evidence = chunk.axis.parts()[-1].evidence
        self._state = "raw" if evidence is None else evidence.state

    def _count(self, chunk: Chunk) -> None:
        for _, gap in chunk.gap_positions:
            if self._gap is None or not self._gap.continues(gap):
                self._gaps += 1
            self._gap = gap
            self._lost += gap.lost or 0
            if gap.reason in _ANEW:
                self._settled = None

    def flow(self) -> Flow:
        """Return what was seen so far."""
        rate = None
        if self._settled == 0 and self._covered > 0 and self._measured > 1:
            rate = self._measured * 1e9 / self._covered
        nominal = self._nominal
        low = median = high = None
        if self._delays:
            delays = np.array(self._delays) / 1e9
            low = float(delays.min())
            median, high = (float(q) for q in np.quantile(delays - low, (0.5, 0.99)))
        ppm = (rate / nominal - 1.0) * 1e6 if rate and nominal else None
        return Flow(
            self._chunks, self._samples, self._lost, self._gaps, nominal, rate, ppm, median, high,
            low, self._uncertainty, self._state,
        )  # fmt: skip
