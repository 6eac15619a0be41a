"""The online model over arrays, and the two passes for recordings."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.online.model import ClockModel
from rxstream.timing.recorded.smoothing import Scales, StepCandidate, Stretch, smooth
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, Stamp

__all__ = ["CorrectedTimes", "Evidence", "run_offline", "run_online"]

Ints = NDArray[np.int64]

_MOST_WRONG = 0.05  # of the times of a stretch may be after the arrival by more than the doubt
_ROUNDING = 1e-6  # [s]


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
    """What is known of each chunk ``(m,)``."""

    count: Ints
    arrival: Ints
    counter: Ints | None
    low: Ints | None
    high: Ints

    def push(self, model: ClockModel, i: int) -> Stamp:
        """Feed a model with chunk ``i``."""
        return model.push(
            int(self.count[i]),
            int(self.arrival[i]),
            counter=None if self.counter is None else int(self.counter[i]),
            bounds=None if self.low is None else (int(self.low[i]), int(self.high[i])),
        )


def run_online(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Let each time depend on the past alone."""
    model = ClockModel(settings)
    stamps = [evidence.push(model, i) for i in range(len(evidence.count))]
    return CorrectedTimes(
        np.array([stamp.first for stamp in stamps], np.int64),
        np.array([stamp.last for stamp in stamps], np.int64),
        np.array([stamp.uncertainty for stamp in stamps], np.float64),
        tuple(event for stamp in stamps for event in stamp.events),
    )


def run_offline(settings: ClockSettings, evidence: Evidence) -> CorrectedTimes:
    """Look at the future too."""
    size = len(evidence.count)
    if not size:
        return run_online(settings, evidence)
    model = ClockModel(settings)
    origins, seconds = np.empty(size, np.int64), np.empty(size)
    stamps = []
    for i in range(size):
        stamps.append(evidence.push(model, i))
        origins[i], seconds[i] = model.origin or 0, model.seconds
    if model.origin is None:  # no clock but the host's: nothing to look at
        return run_online(settings, evidence)
    times = _Times(settings, evidence, origins, seconds, model, stamps)
    times.take_back([event for stamp in stamps for event in stamp.events])
    return times.result()


class _Times:
    """Device times as they were found online, and what is put right in them."""

    def __init__(
        self,
        settings: ClockSettings,
        evidence: Evidence,
        origins: Ints,
        seconds: NDArray[np.float64],
        model: ClockModel,
        stamps: list[Stamp],
    ) -> None:
        self._settings, self._evidence, self._model = settings, evidence, model
        self._origin = int(evidence.arrival[0])
        self._stamps = stamps
        # where the device's zero lies differs from restart to restart; so do not the steps
        self._x = seconds + (origins - self._origin) / 1e9
        self._sure = np.ones(len(seconds), bool)
        self._joints: list[StepCandidate] = []
        self._restarts: list[int] = []
        self.events: list[ClockEvent] = []

    def take_back(self, events: list[ClockEvent]) -> None:
        """Put what was found late to where it began."""
        for event in events:
            late = slice(event.first, event.last)
            if event.kind == "restart":
                self._restarts.append(event.first)
                self._x[late] += event.correction / 1e9
                self._sure[late] = False
            elif event.kind == "latency":
                self._joints.append(StepCandidate(event.first, None))
            elif event.kind == "overlap" and event.correction:
                self._undo(event)
                continue
            elif event.kind == "gap" and event.correction:
                self._x[late] += event.correction / 1e9
                self._sure[late] = False
                if self._settings.quantum is None and self._settings.rate:
                    unit, moved = 1 / self._settings.rate, event.correction / 1e9
                    self._joints.append(StepCandidate(event.first, unit, moved))
            self.events.append(event)

    def _undo(self, event: ClockEvent) -> None:
        """Forget a loss that was none, or keep an overlap that is one."""
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
        times, doubts = np.empty(size), np.empty(size)
        scales = self._scales()
        sized: list[tuple[int, float | None]] = []
        # device time that goes back (an overlap, a wrong counter) cannot be one line
        back = (np.flatnonzero(np.diff(self._x) < 0) + 1).tolist()
        edges = sorted({0, *self._restarts, *back, size})
        for begin, end in pairwise(edges):
            part = slice(begin, end)
            joints = tuple(
                replace(joint, at=joint.at - begin)
                for joint in self._joints
                if begin < joint.at < end
            )
            stretch = Stretch(
                self._x[part], high[part], None if low is None else low[part],
                self._sure[part], joints,
            )  # fmt: skip
            times[part], doubts[part], steps = smooth(stretch, scales)
            wrong = times[part] > high[part] + doubts[part] + _ROUNDING
            if wrong.mean() > _MOST_WRONG:  # arrivals contradict it: what was known live is better
                times[part], doubts[part] = self._live(part)
            sized += zip((j.at + begin for j in joints if j.unit), steps, strict=True)
        self._resize(dict(sized))
        return self._told(times, doubts)

    def _live(self, part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times and uncertainties as they were told live [s]."""
        offset = round(self._settings.path_delay * 1e9) - self._origin
        stamps = self._stamps[part]
        last = np.array([stamp.last + offset for stamp in stamps]) / 1e9
        return last, np.array([stamp.uncertainty for stamp in stamps]) / 1e9

    def _scales(self) -> Scales:
        line = self._model.line
        doubt = 3e-6 + 2 * line.wander * line.span
        return Scales(line.slope, doubt, line.near, 1.5 * line.span, line.wander)

    def _resize(self, steps: dict[int, float | None]) -> None:
        """Tell the sizes of losses as they are now known, and rises of the delay as what they are.

        A loss of no samples was part of the one before it.
        """
        rate, told = self._settings.rate or 1.0, []
        for event in self.events:
            if event.kind == "gap" and event.first in steps:
                step = steps[event.first]
                if step is None:
                    changed = replace(event, kind="latency", samples=None)
                    told.append(replace(changed, correction=0, delay=event.correction))
                elif (samples := (event.samples or 0) + round(step * rate)) > 0:
                    told.append(replace(event, samples=samples))
            else:
                told.append(event)
        self.events = told

    def _told(self, times: NDArray[np.float64], doubts: NDArray[np.float64]) -> CorrectedTimes:
        evidence, latency = self._evidence, round(self._settings.path_delay * 1e9)
        last = np.rint(times * 1e9).astype(np.int64) + self._origin
        last = np.minimum(last, evidence.arrival) - latency
        room = np.cumsum(evidence.count)  # a chunk takes 1 ns a sample at least
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
        return CorrectedTimes(first, last, doubts * 1e9, tuple(self.events))
