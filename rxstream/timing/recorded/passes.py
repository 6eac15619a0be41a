"""The online model over arrays, and two passes for recordings."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.online.model import ClockModel
from rxstream.timing.recorded.smoothing import (
    MIN_WIDTH,
    Scales,
    StepCandidate,
    Stretch,
    smooth,
)
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, Stamp

__all__ = ["CorrectedTimes", "Evidence", "run_offline", "run_online"]

Ints = NDArray[np.int64]
Place: TypeAlias = tuple[int, bool]
"""Chunk before which something happened, and whether that was a change of the delay."""

# Share of the times of a stretch that may lie after their arrival by more than the uncertainty: by
# definition of a 95 % interval. With more the line is wrong.
_MAX_IMPOSSIBLE = 0.05
# Times and arrivals are compared as floats of seconds [s].
_ROUNDING = 1e-6
# A stream that proves to have no clock is taken to have had none for this long before [ns]: as long
# as the longest memory of the model.
_BEFORE_VERDICT = 300_000_000_000
# Window of the second pass, in windows of the first: it looks both ways. (study)
_WINDOW = 1.5
# Standard deviation of the slope from window to window: at least this, and this many times what
# the slope changes within a window.
_MIN_SLOPE_SD, _WANDERS = 3e-6, 2
# Scatter of arrivals without a line: how late they are against the lowest of so many chunks around
# them, and of so many seconds; its quantile, and a factor. As in `wander`, where a bin of the
# histogram is the factor.
_AROUND, _AROUND_SECONDS, _SCATTER, _BIN = 64, 0.64, 0.98, 1.19


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedTimes:
    """True times of chunks; one row for each."""

    first: Ints
    """Time of the first sample ``(m,)`` [ns]."""
    last: Ints
    """Time of the last sample ``(m,)`` [ns]."""
    uncertainty: NDArray[np.float64]
    """Half width of the 95 % interval ``(m,)`` [ns], the unobservable least delay left out."""
    events: tuple[ClockEvent, ...]
    """Losses, overlaps, changes of latency and restarts."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Evidence for the time of each chunk ``(m,)``."""

    count: Ints
    """Samples."""
    arrival: Ints
    """Host time of the arrival [ns]."""
    counter: Ints | None
    """The device's counter at the last sample, raw."""
    low: Ints | None
    """Earliest host time of the last sample [ns]."""
    high: Ints
    """Latest host time of the last sample [ns]."""

    def push(self, model: ClockModel, i: int) -> Stamp:
        """Feed a model with chunk ``i``."""
        return model.push(
            int(self.count[i]),
            int(self.arrival[i]),
            counter=None if self.counter is None else int(self.counter[i]),
            bounds=None if self.low is None else (int(self.low[i]), int(self.high[i])),
        )


def run_online(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Stamp each chunk from the past alone."""
    model = ClockModel(settings)
    stamps = [evidence.push(model, i) for i in range(len(evidence.count))]
    return CorrectedTimes(
        np.array([stamp.first for stamp in stamps], np.int64),
        np.array([stamp.last for stamp in stamps], np.int64),
        np.array([stamp.uncertainty for stamp in stamps], np.float64),
        tuple(event for stamp in stamps for event in stamp.events),
    )


def run_offline(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Stamp each chunk from past and future."""
    if not len(evidence.count):
        return run_online(settings, evidence)
    found: tuple[ClockEvent, ...] = ()
    first = _FirstPass(settings, evidence)
    if not first.run(until_rate=True):
        # Begin again with the rate that was found.
        found = tuple(e for e in first.stamps[-1].events if e.kind == "rate")
        settings = replace(settings, rate=first.model.rate)
        first = _FirstPass(settings, evidence)
        first.run()
    # Without a clock of the device the future says nothing about a chunk.
    if first.model.origin is None:
        return run_online(settings, evidence)
    first.backdate_verdicts()
    times = _Times(settings, evidence, first)
    times.backdate([event for stamp in first.stamps for event in stamp.events])
    result = times.result()
    return replace(result, events=(*found, *result.events))


class _FirstPass:
    """The online model over all chunks.

    Attributes
    ----------
    model, stamps
        The model, and its stamps.
    origins, seconds
        Host time of device time 0 [ns], and device time [s], as of each chunk ``(m,)``.
    paced
        Whether there is a line ``(m,)``.
    """

    def __init__(self, settings: ClockSettings, evidence: Evidence) -> None:
        size = len(evidence.count)
        self._evidence = evidence
        self.model = ClockModel(settings)
        self.stamps: list[Stamp] = []
        self.origins, self.seconds = np.empty(size, np.int64), np.empty(size)
        self.paced = np.ones(size, bool)

    def run(self, *, until_rate: bool = False) -> bool:
        """Feed the model; return whether with all, or only until another rate was found."""
        model, stated = self.model, self.model.rate
        for i in range(len(self.origins)):
            before = model.pace.given_up
            self.stamps.append(self._evidence.push(model, i))
            if until_rate and model.rate != stated:
                return False
            self.origins[i], self.seconds[i] = model.origin or 0, model.seconds
            self.paced[i] = not (before or model.pace.given_up)
        return True

    def backdate_verdicts(self) -> None:
        """Mark the chunks before each verdict that there is no clock, as far as it is likely."""
        arrival, paced, resumed = self._evidence.arrival, self.paced, 0
        for at in (np.flatnonzero(np.diff(paced)) + 1).tolist():
            if paced[at]:
                resumed = at
            else:
                since = int(np.searchsorted(arrival, arrival[at] - _BEFORE_VERDICT))
                paced[max(since, resumed) : at] = False


def _scatter(x: NDArray[np.float64], late: NDArray[np.float64]) -> float:
    """Return the half width of the 95 % interval of arrivals as times [s].

    Parameters
    ----------
    x
        Device times ``(n,)`` [s].
    late
        Times from there to the arrivals ``(n,)`` [s].
    """
    size = len(x)
    around = max(_AROUND, round(_AROUND_SECONDS * size / max(float(np.ptp(x)), 1e-9)))
    half = min(around // 2, size - 1)
    if not half:
        return 0.0
    slope = np.median((late[half:] - late[:-half]) / np.maximum(x[half:] - x[:-half], 1e-9))
    level = late - slope * x
    lowest, width = np.pad(level, half, mode="edge"), 1
    while width <= 2 * half:
        step = min(width, 2 * half + 1 - width)
        lowest, width = np.minimum(lowest[:-step], lowest[step:]), width + step
    return float(np.quantile(level - lowest, _SCATTER)) * _BIN


class _Times:
    """Device times as found online, and their corrections."""

    def __init__(self, settings: ClockSettings, evidence: Evidence, first: _FirstPass) -> None:
        self._settings, self._evidence, self._model = settings, evidence, first.model
        self._stamps, self._paced = first.stamps, first.paced
        self._origin = int(evidence.arrival[0])
        # The device's zero differs from restart to restart; here all times have one zero.
        self._x = first.seconds + (first.origins - self._origin) / 1e9
        self._sure = np.ones(len(self._x), bool)
        self._candidates: list[StepCandidate] = []
        self._restarts: list[int] = []
        self.events: list[ClockEvent] = []

    def backdate(self, events: list[ClockEvent]) -> None:
        """Apply events from where they began, not from where they were found."""
        for event in events:
            # Without a clock lateness is neither a loss nor a longer delay.
            lateness = event.kind == "latency" or (event.kind == "gap" and event.correction)
            if lateness and not self._paced[event.first]:
                continue
            late = slice(event.first, event.last)
            if event.kind == "restart":
                self._restarts.append(event.first)
                self._x[late] += event.correction / 1e9
                self._sure[late] = False
            elif event.kind == "latency":
                self._candidates.append(StepCandidate(event.first, None))
            elif event.kind == "overlap" and event.correction:
                self._undo(event)
                continue
            elif event.kind == "gap" and event.correction:
                self._x[late] += event.correction / 1e9
                self._sure[late] = False
                if self._settings.quantum is None and self._settings.rate:
                    unit, moved = 1 / self._settings.rate, event.correction / 1e9
                    self._candidates.append(StepCandidate(event.first, unit, moved))
            self.events.append(event)

    def _undo(self, event: ClockEvent) -> None:
        """Drop a loss that was none, or keep an overlap that is one."""
        last = self.events[-1] if self.events else None
        if last is None or last.kind != "gap" or last.samples != -(event.samples or 0):
            self.events.append(event)
            return
        self.events.pop()
        self._x[last.first : event.first] -= last.correction / 1e9

    def result(self) -> CorrectedTimes:
        """Fit each stretch between restarts."""
        evidence, origin = self._evidence, self._origin
        size = len(evidence.count)
        high = (evidence.high - origin) / 1e9
        low = None if evidence.low is None else (evidence.low - origin) / 1e9
        times, widths = np.empty(size), np.empty(size)
        scales = self._scales()
        sized: list[tuple[Place, float | None]] = []
        # Device time that goes back (an overlap, a wrong counter) cannot be one line.
        back = (np.flatnonzero(np.diff(self._x) < 0) + 1).tolist()
        changes = (np.flatnonzero(np.diff(self._paced)) + 1).tolist()
        edges = sorted({0, *self._restarts, *back, *changes, size})
        for begin, end in pairwise(edges):
            part = slice(begin, end)
            if not self._paced[begin]:
                times[part], widths[part] = self._by_arrival(part)
                continue
            candidates = tuple(
                replace(candidate, at=candidate.at - begin)
                for candidate in self._candidates
                if begin < candidate.at < end
            )
            stretch = Stretch(
                self._x[part], high[part], None if low is None else low[part],
                self._sure[part], candidates,
            )  # fmt: skip
            times[part], widths[part], steps = smooth(stretch, scales)
            impossible = times[part] > high[part] + widths[part] + _ROUNDING
            # Where arrivals contradict the second pass, the first one is better.
            if impossible.mean() > _MAX_IMPOSSIBLE:
                times[part], widths[part] = self._live(part)
            places = [(c.at + begin, c.unit is None) for c in candidates]
            sized += zip(places, steps, strict=True)
        self._resize(dict(sized))
        return self._corrected(times, widths)

    def _live(self, part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times and uncertainties of the first pass [s]."""
        offset = round(self._settings.path_delay * 1e9) - self._origin
        stamps = self._stamps[part]
        last = np.array([stamp.last + offset for stamp in stamps]) / 1e9
        return last, np.array([stamp.uncertainty for stamp in stamps]) / 1e9

    def _by_arrival(self, part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the arrivals, or the middle of the bounds, and their uncertainty [s]."""
        evidence = self._evidence
        high = (evidence.high[part] - self._origin) / 1e9
        if evidence.low is not None:
            low = (evidence.low[part] - self._origin) / 1e9
            return (low + high) / 2, (high - low) / 2
        width = max(_scatter(self._x[part], high - self._x[part]), MIN_WIDTH)
        return high, np.full(len(high), width)

    def _scales(self) -> Scales:
        line, settings = self._model.line, self._settings
        slope_sd = _MIN_SLOPE_SD + _WANDERS * line.wander * line.span
        return Scales(
            line.slope, slope_sd, max(settings.skew_tol, slope_sd), line.floor_scale,
            _WINDOW * line.span, _WINDOW * settings.window[0], line.wander,
            self._model.pace.test.bent,
        )  # fmt: skip

    def _resize(self, steps: dict[Place, float | None]) -> None:
        """Correct the sizes of losses and of changes of the delay, and drop those that were none.

        A loss that was none was a rise of the delay; one of no samples was part of that before it.
        """
        rate, events = self._settings.rate or 1.0, []
        for event in self.events:
            place = event.first, event.kind == "latency"
            if event.kind not in ("gap", "latency") or place not in steps:
                events.append(event)
                continue
            step = steps[place]
            if event.kind == "latency":
                if step is not None:
                    events.append(replace(event, delay=round(step * 1e9)))
            elif step is None:
                changed = replace(event, kind="latency", samples=None)
                events.append(replace(changed, correction=0, delay=event.correction))
            elif (samples := (event.samples or 0) + round(step * rate)) > 0:
                events.append(replace(event, samples=samples))
        self.events = events

    def _corrected(self, times: NDArray[np.float64], widths: NDArray[np.float64]) -> CorrectedTimes:
        evidence, path_delay = self._evidence, round(self._settings.path_delay * 1e9)
        last = np.rint(times * 1e9).astype(np.int64) + self._origin
        last = np.minimum(last, evidence.arrival) - path_delay
        # A chunk takes 1 ns a sample at least.
        room = np.cumsum(evidence.count)
        last = np.maximum.accumulate(last - room) + room
        before = np.concatenate((last[:1] - evidence.count[:1], last[:-1]))
        first = last - (last - before) * (evidence.count - 1) // evidence.count
        rate = self._settings.rate
        if rate is not None:
            period = 1e9 * (1 + self._model.slope) / rate
            length = np.rint((evidence.count - 1) * period).astype(np.int64)
            apart = [event.first for event in self.events if event.kind in ("gap", "restart")]
            apart.append(0)
            first[apart] = np.maximum(last - length, before + 1)[apart]
            first[0] = last[0] - length[0]
        return CorrectedTimes(first, last, widths * 1e9, tuple(self.events))
