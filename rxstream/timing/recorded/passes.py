"""Two passes over a recording: each part of one rate, and of one counter, by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.recorded.first_pass import (
    SAME_RATE,
    CorrectedTimes,
    Evidence,
    FirstPass,
    Known,
)
from rxstream.timing.recorded.smoothing import (
    MIN_WIDTH,
    Scales,
    StepCandidate,
    Stretch,
    smooth,
)
from rxstream.timing.recorded.stuck import Stuck, stuck_counter
from rxstream.timing.recorded.whole_turns import with_turns_counted
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent

__all__ = ["run_offline", "run_online"]

Ints = NDArray[np.int64]
Place: TypeAlias = tuple[int, bool]
"""Chunk before which something happened, and whether that was a change of the delay."""
Floats: TypeAlias = NDArray[np.float64]
# Share of the times of a stretch that may lie after their arrival by more than the uncertainty: by
# definition of a 95 % interval. With more the line is wrong.
_MAX_IMPOSSIBLE = 0.05
# A line whose uncertainty is so many times that of the arrivals themselves is none. (trial)
_WIDER = 1.5
# Times and arrivals are compared as floats of seconds [s].
_ROUNDING = 1e-6
# Window of the second pass, in windows of the first: it looks both ways. (study)
_WINDOW = 1.5
# Standard deviation of the slope from window to window: at least this, and this many times what
# the slope changes within a window.
_MIN_SLOPE_SD, _WANDERS = 3e-6, 2
# Scatter of arrivals without a line: how late they are against the lowest of so many chunks around
# them, and of so many seconds; its quantile, and a factor. As in `wander`, where a bin of the
# histogram is the factor.
_AROUND, _AROUND_SECONDS, _SCATTER, _BIN = 64, 0.64, 0.98, 1.19
# Chunks of a counter that may all be those between which it goes to and fro.
_NEVER_COUNTED = 2
# No clock changes its slope by more [1/s].
_MAX_WANDER = 1.0


def run_online(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Stamp each chunk from the past alone."""
    results: list[CorrectedTimes] = []
    events: list[ClockEvent] = []
    stuck = _stuck(settings, evidence)
    for piece in _pieces(settings, evidence, None if stuck is None else stuck.found):
        if stuck is not None and piece.begin == stuck.found:
            events.append(ClockEvent("counter", stuck.since, stuck.found, None, 0))
        first = FirstPass(piece.settings, piece.evidence)
        first.run()
        results.append(first.result())
        events += _moved(results[-1].events, piece.begin)
    return _joined(results, events, evidence)


def run_offline(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Stamp each chunk from past and future: each part of one rate by itself."""
    if not len(evidence.count):
        return run_online(settings, evidence)
    stated = rate = settings.rate or 0.0
    results: list[CorrectedTimes] = []
    events: list[ClockEvent] = []
    stuck = _stuck(settings, evidence)
    # A counter that counted for two chunks at most has not been seen to count.
    since = None if stuck is None else stuck.since if stuck.since > _NEVER_COUNTED else 0
    for piece in _pieces(settings, evidence, since):
        if stuck is not None and piece.begin == since:
            events.append(ClockEvent("counter", stuck.since, stuck.since, None, 0))
        for part in _parts(*with_turns_counted(piece.settings, piece.evidence)):
            at, now = piece.begin + part.begin, part.first.settings.rate or 0.0
            if part.has_rate:
                if abs(now - rate) > SAME_RATE * rate:
                    events.append(ClockEvent("rate", at, at, None, 0, rate=now, stated=stated))
                rate = now
            results.append(part.result())
            events += [
                event
                for event in _moved(results[-1].events, at)
                if part.has_rate or event.kind not in ("rate", "unsteady", "steady")
            ]
    return _joined(results, events, evidence)


def _moved(events: Iterable[ClockEvent], by: int) -> list[ClockEvent]:
    """Return events of chunks with numbers that many higher."""
    return [replace(event, first=event.first + by, last=event.last + by) for event in events]


class _Piece(NamedTuple):
    """Chunks that all have a counter that counts, or all have none."""

    begin: int
    """Number of the first one."""
    settings: ClockSettings
    evidence: Evidence


def _stuck(settings: ClockSettings, evidence: Evidence) -> Stuck | None:
    """Return where the counter ceases to count, if it does."""
    if settings.counter is None or evidence.counter is None:
        return None
    return stuck_counter(evidence.counter, evidence.count, evidence.arrival, settings.counter)


def _pieces(settings: ClockSettings, evidence: Evidence, at: int | None) -> Iterator[_Piece]:
    """Cut a recording where its counter is set aside, for good: nothing shows that it is right."""
    size = len(evidence.count)
    if at is None or at > 0:
        yield _Piece(0, settings, evidence if at is None else evidence.part(0, at))
    if at is not None:
        rest = replace(evidence.part(at, size), counter=None)
        yield _Piece(at, replace(settings, counter=None), rest)


def _joined(
    parts: list[CorrectedTimes], events: list[ClockEvent], evidence: Evidence
) -> CorrectedTimes:
    """Return the times of all parts; those of a part come after those of the one before it."""
    if len(parts) == 1:
        return replace(parts[0], events=tuple(events))
    first, last, widths = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "last", "uncertainty")
    )
    room = np.cumsum(evidence.count)
    last = np.maximum.accumulate(last - room) + room
    first[1:] = np.maximum(first[1:], last[:-1] + 1)
    first = np.minimum(first, last - evidence.count + 1)
    return CorrectedTimes(first, last, widths, tuple(events))


def _parts(settings: ClockSettings, evidence: Evidence) -> Iterator["_Part"]:
    """Cut a recording where its rate changes."""
    size = len(evidence.count)
    # Chunks from and to, their rate, and what is known of it.
    left: list[tuple[int, int, ClockSettings, Known]] = [(0, size, settings, "stated")]
    while left:
        begin, end, settings, known = left.pop()
        if begin >= end:
            continue
        first = FirstPass(settings, evidence.part(begin, end))
        if known == "turns":
            first.run()
            change = None
        else:
            change = first.run_to_change(known)
        if change is None:
            yield _Part(begin, first, has_rate=known != "turns" and first.is_long(size))
            continue
        other = replace(settings, rate=change.rate, skew=0.0)
        if not change.at:
            left.append((begin, end, other, "found"))
            continue
        # Chunks of another rate must not spoil a line.
        before = max(begin + change.at - change.near, begin)
        behind = min(begin + change.at + change.near, end)
        left.append((behind, end, other, "cut"))
        left.append((before, behind, settings, "turns"))
        left.append((begin, before, settings, "cut"))


@dataclass(frozen=True, slots=True)
class _Part:
    """Chunks of one rate."""

    begin: int
    """Number of the first one."""
    first: FirstPass
    has_rate: bool
    """Whether they show their rate; else their times are those of arrival."""

    def result(self) -> CorrectedTimes:
        """Return their times, from past and future."""
        first = self.first
        # Without a clock of the device the future says nothing about a chunk.
        if first.model.origin is None:
            return first.result()
        first.backdate_verdicts()
        if not self.has_rate:
            first.paced[:] = False
        times = _Times(first)
        times.backdate([event for stamp in first.stamps for event in stamp.events])
        return times.result()


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

    def __init__(self, first: FirstPass) -> None:
        self._settings, self._evidence, self._model = first.settings, first.evidence, first.model
        evidence = first.evidence
        self._stamps, self._paced, self._slopes = first.stamps, first.paced, first.slopes
        self._coarse = np.maximum(first.coarse, first.model.coarseness)
        self._origin = int(evidence.arrival[0])
        self._x = first.x.copy()
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
            plain, width = self._by_arrival(part)
            if np.median(widths[part]) > _WIDER * np.median(width):
                times[part], widths[part] = plain, width
            places = [(c.at + begin, c.unit is None) for c in candidates]
            sized += zip(places, steps, strict=True)
        self._resize(dict(sized))
        return self._corrected(times, np.maximum(widths, self._coarse))

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
        width = _scatter(self._x[part], high - self._x[part])
        if evidence.counter is None and self._settings.rate:
            # At a rate far from the stated one device time leaps where losses or restarts seemed to
            # be: that is no scatter of arrivals.
            taken = np.cumsum(evidence.count[part]) / self._settings.rate
            width = min(width, _scatter(taken, high - taken))
        return high, np.full(len(high), max(width, MIN_WIDTH))

    def _scales(self) -> Scales:
        line, settings = self._model.line, self._settings
        wander = min(line.wander, _MAX_WANDER)
        slope_sd = _MIN_SLOPE_SD + _WANDERS * wander * line.span
        return Scales(
            self._slope(), slope_sd, max(settings.skew_tol, slope_sd), line.floor_scale,
            _WINDOW * line.span, _WINDOW * settings.window[0], wander,
            self._model.pace.test.bent,
        )  # fmt: skip

    def _slope(self) -> float:
        """Return the last slope of the first pass, or the usual one where arrivals contradict."""
        line, x = self._model.line, self._x
        last, usual = line.slope, float(np.median(self._slopes))
        if abs(last - usual) <= SAME_RATE:
            return last
        apart = round(len(x) * line.span / max(float(np.ptp(x)), 1e-9))
        apart = min(max(apart, 1), len(x) - 1)
        late = (self._evidence.high - self._origin) / 1e9 - x
        passed = np.maximum(x[apart:] - x[:-apart], 1e-9)
        middle = float(np.median((late[apart:] - late[:-apart]) / passed))
        return min(last, usual, key=lambda slope: abs(slope - middle))

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
        # Time since the chunk before, divided first: times the count it may be no int64.
        first = before - (before - last) // evidence.count
        rate = self._settings.rate
        if rate is not None:
            period = 1e9 * (1 + self._model.slope) / rate
            length = np.rint((evidence.count - 1) * period).astype(np.int64)
            apart = [event.first for event in self.events if event.kind in ("gap", "restart")]
            apart.append(0)
            first[apart] = np.maximum(last - length, before + 1)[apart]
            first[0] = last[0] - length[0]
        return CorrectedTimes(first, last, widths * 1e9, tuple(self.events))
