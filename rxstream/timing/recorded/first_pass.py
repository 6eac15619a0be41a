"""The first pass over a recording: the online model, until the rate is found to have changed."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.online.model import ClockModel
from rxstream.timing.online.pace import NO_RATE
from rxstream.timing.recorded.turns import Turn, turn_of
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, Stamp

__all__ = ["SAME_RATE", "Change", "CorrectedTimes", "Evidence", "FirstPass", "Known"]

Ints: TypeAlias = NDArray[np.int64]
Known: TypeAlias = Literal["stated", "cut", "found", "turns"]
"""Whether a rate was stated, was found for more chunks or for just these, or changes among them."""

# A stream that proves to have no clock is taken to have had none for this long before [ns]: as long
# as the longest memory of the model.
_BEFORE_VERDICT = 300_000_000_000
# A part of fewer chunks, or shorter [ns], shows no rate: as long as a first verdict waits. (trial)
_FEW, _SHORT = 64, 5_000_000_000
SAME_RATE = 1e-3
"""Rates that differ by less, as a part of them, are one: no crystal drifts as far."""


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
    """Losses, overlaps, restarts, changes of latency and of the rate, a counter set aside."""


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

    def part(self, begin: int, end: int) -> "Evidence":
        """Return the evidence of chunks ``begin`` to before ``end``."""
        return Evidence(
            self.count[begin:end], self.arrival[begin:end],
            None if self.counter is None else self.counter[begin:end],
            None if self.low is None else self.low[begin:end], self.high[begin:end],
        )  # fmt: skip

    def push(self, model: ClockModel, i: int) -> Stamp:
        """Feed a model with chunk ``i``."""
        return model.push(
            int(self.count[i]),
            int(self.arrival[i]),
            counter=None if self.counter is None else int(self.counter[i]),
            bounds=None if self.low is None else (int(self.low[i]), int(self.high[i])),
        )


class Change(NamedTuple):
    """A rate that holds from a chunk on."""

    at: int
    """That chunk."""
    near: int
    """Chunks by which that may be wrong."""
    rate: float
    """Samples per second [Hz]."""


class FirstPass:
    """The online model over all chunks.

    Attributes
    ----------
    model, stamps
        The model, and its stamps.
    x
        Device time of each chunk ``(m,)`` [s], since the first arrival; it goes on where a line
        begins anew, and where the device restarts it begins with the arrival.
    slopes
        Slope of the line, as of each chunk ``(m,)``.
    coarse
        Time by which the device's own clock may be off, as of each chunk ``(m,)`` [s].
    paced
        Whether there is a line ``(m,)``.
    """

    def __init__(self, settings: ClockSettings, evidence: Evidence) -> None:
        size = len(evidence.count)
        self.settings, self.evidence = settings, evidence
        self.model = ClockModel(settings)
        self.stamps: list[Stamp] = []
        self.x = np.empty(size)
        self.slopes, self.coarse = np.zeros(size), np.zeros(size)
        self.paced = np.ones(size, bool)

    def run(self, *, until_change: bool = False) -> ClockEvent | None:
        """Feed the model; return what it says of another line, if it is to stop there."""
        model = self.model
        origin, base = 0, 0.0
        for i in range(len(self.x)):
            before = model.pace.given_up
            stamp = self.evidence.push(model, i)
            self.stamps.append(stamp)
            for event in stamp.events:
                if until_change and event.kind in ("rate", "steady"):
                    return event
            if origin != (model.origin or 0):
                origin = model.origin or 0
                base = (origin - int(self.evidence.arrival[0])) / 1e9
                if i and stamp.reason != "restart":
                    passed = int(self.evidence.count[i]) / (model.rate or 1.0)
                    base = float(self.x[i - 1]) + passed - model.seconds
            self.x[i] = base + model.seconds
            self.slopes[i], self.coarse[i] = model.line.slope, model.coarseness
            self.paced[i] = not (before or model.pace.given_up)
        return None

    def result(self) -> CorrectedTimes:
        """Return the times of the model."""
        stamps = self.stamps
        return CorrectedTimes(
            np.array([stamp.first for stamp in stamps], np.int64),
            np.array([stamp.last for stamp in stamps], np.int64),
            np.array([stamp.uncertainty for stamp in stamps], np.float64),
            tuple(event for stamp in stamps for event in stamp.events),
        )

    def is_long(self, whole: int) -> bool:
        """Whether these chunks show a rate of their own, or are the whole recording."""
        arrival = self.evidence.arrival
        return len(arrival) == whole or bool(len(arrival) >= _FEW and np.ptp(arrival) >= _SHORT)

    def run_to_change(self, known: Known) -> Change | None:
        """Feed the model until the rate is found to have changed, live or in hindsight."""
        found = self.run(until_change=True)
        # Of the chunk that shows it there is nothing but the stamp.
        size = len(self.stamps) - (found is not None)
        turn, rate, slope = self._turn(size), self.settings.rate, self.model.slope
        if found is not None:
            # Two lines of the same slope are parted by a loss.
            if turn is None or abs(turn.before) > turn.change:
                return Change(size if known == "found" else 0, 0, found.rate)
            return Change(turn.at, turn.near, found.rate)
        if rate is None:
            return None
        given_up = self.model.pace.given_up
        # Losses that were found explain all, from where they happened on.
        if turn is not None and not given_up and self._is_one_line(size):
            turn = None
        if turn is not None and turn.change > SAME_RATE:
            # Chunks that waited for each other come faster than any clock.
            if (turn.is_firm and abs(turn.behind) < NO_RATE) or not (given_up or turn.is_steep):
                return Change(turn.at, turn.near, rate / (1 + turn.behind))
        elif known == "cut" and not given_up and abs(slope) > SAME_RATE:
            return Change(0, 0, rate / (1 + slope))
        return None

    def _is_one_line(self, size: int) -> bool:
        """Whether arrivals keep to one line, with the losses found taken for such."""
        moved, arrival = self._found(size)
        for stamp in self.stamps[:size]:
            for event in stamp.events:
                if event.kind in ("gap", "overlap"):
                    moved[event.first : event.last] += event.correction / 1e9
        return turn_of(moved, arrival - moved) is None

    def _found(self, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the device times that were found, and the arrivals, since the first one [s]."""
        zero = int(self.evidence.arrival[0])
        return self.x[:size].copy(), (self.evidence.arrival[:size] - zero) / 1e9

    def _turn(self, size: int) -> Turn | None:
        """Return where another line begins, of so many chunks."""
        found, arrival = self._found(size)
        inferred = np.zeros(size)
        for i, stamp in enumerate(self.stamps[:size]):
            inferred[i] = sum(e.correction for e in stamp.events if e.kind in ("gap", "overlap"))
        turn = None
        # Lateness that keeps to two lines is another rate, and no loss.
        for x in (found - np.cumsum(inferred) / 1e9, found):
            turn = turn_of(x, arrival - x)
            if turn is not None and turn.is_firm:
                break
        return turn

    def backdate_verdicts(self) -> None:
        """Mark the chunks before each verdict that there is no clock, as far as it is likely."""
        arrival, paced, resumed = self.evidence.arrival, self.paced, 0
        for at in (np.flatnonzero(np.diff(paced)) + 1).tolist():
            if paced[at]:
                resumed = at
            else:
                since = int(np.searchsorted(arrival, arrival[at] - _BEFORE_VERDICT))
                paced[max(since, resumed) : at] = False
