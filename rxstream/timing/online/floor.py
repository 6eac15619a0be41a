"""The floor under the arrivals: the line, what delays are like above it, and its renewals."""

from copy import copy
from math import hypot
from typing import TypeAlias

from rxstream.timing.online.delays import DelayHistogram
from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.gaptest import GapTest
from rxstream.timing.online.latency_step import LatencyStep
from rxstream.timing.settings import ClockSettings

__all__ = ["DelayFloor"]

_WARM_CHUNKS, _WARM_SECONDS = 64, 2.0
_FIRM = 8  # chunks after which a new line is not expected to fall much
_REARM = 0.2  # a new line of known slope may find losses again after this [s]
_BEATING = 60.0  # stamps of coarse ticks beat with the chunk rate: remember so long [s]
_QUARTILE, _MEDIAN = 0.2877, 0.6931  # of an exponential law of mean 1
_SOME = 4  # chunks from which a scale may be guessed
_SHORTEST_SCALE = 2e-6  # no clock is read more finely [s]
_SLOPE_NOISE = 0.3e-6  # a slope is never known better than this


Points: TypeAlias = list[tuple[float, float, bool]]
"""Device time and excess over the line [s], and whether it is evidence of its own."""


class DelayFloor:
    """Where arrivals would lie if no chunk was late.

    Attributes
    ----------
    line
        The present envelope.
    renewed
        Whether it is not the first.
    joint
        What to subtract from it since the last change of latency.
    gaps
        The test whether lateness is loss.
    """

    __slots__ = (
        "_before", "_bounded", "_delays", "_density_from", "_doubt", "_seen",
        "_tolerance", "_warm_from", "gaps", "joint", "line", "renewed",
    )  # fmt: skip

    def __init__(self, settings: ClockSettings, quantum: float | None) -> None:
        self._tolerance = settings.skew_tol
        self.line = LowerEnvelope(settings.skew, settings.skew_tol, settings.drift, settings.window)
        self.joint = LatencyStep()
        self.gaps = GapTest(quantum, settings.p_false)
        self._delays = DelayHistogram()
        self._seen = 0
        self._warm_from = self._density_from = 0.0
        self._before: tuple[LowerEnvelope, LatencyStep] | None = (
            None  # the last rise may prove to be none
        )
        self._bounded = self.renewed = False
        self._doubt = 0.0

    def warm(self, x: float) -> bool:
        """Whether enough is known at ``x`` [s] to judge single chunks."""
        return self._seen >= _WARM_CHUNKS and x - self._warm_from > _WARM_SECONDS and not self.soft

    @property
    def known(self) -> bool:
        """Whether the delays are known, if perhaps not the present line."""
        return self._seen >= _WARM_CHUNKS

    @property
    def soft(self) -> bool:
        """Whether the line is new and may still fall."""
        return self.renewed and self.line.points < _FIRM

    def bound(self) -> None:
        """Take offsets for stamps that are late by a bounded time, not for arrivals."""
        self._bounded = True
        self.line.remember(_BEATING)

    def add(self, x: float, offset: float, step: float, fresh: bool = True) -> None:
        """Add a chunk's offset [s]; ``step``: usual distance of chunks [s]."""
        line = self.line
        if not self.soft:  # the first points of a new line are low by construction
            self._delays.add(offset - line.at(x) if line.points else 0.0)
        line.add(x, offset, fresh)
        if line.widened:
            line.widened, self._seen, self._delays = False, 0, DelayHistogram()
        self._seen = seen = self._seen + 1
        # at powers of two at first, so that the scales are known from the start
        if not seen & 255 or not seen & (seen - 1):
            self._calibrate(x, step)
        if self.joint.moving:
            self.joint.follow(line, x)

    def at(self, x: float) -> float:
        """Return the floor at ``x`` [s]: the line less its bias and the joint's step."""
        return self.line.floor(x) - self.joint.step

    def uncertainty(self, x: float) -> float:
        """Return the half width of its interval [s]; looked at for every 16th chunk, once firm."""
        if self._seen < 64 or not self._seen % 16 or self.soft:
            self._doubt, joint = self.line.uncertainty(x), self.joint
            if joint.moving:
                joint.measure(self.line)
            if joint.doubt:
                self._doubt = hypot(self._doubt, joint.doubt)
        return self._doubt

    def forgive(self, points: Points, lost: float) -> None:
        """Count excesses [s] as what they were without a loss [s] that had not been seen yet."""
        for _, excess, _ in points:
            self._delays.move(excess, max(excess - lost, 0.0))

    def relearn(self, points: Points, lost: float) -> None:
        """Begin the histogram anew with these excesses less a loss [s]."""
        self._delays = DelayHistogram()
        for _, excess, _ in points:
            self._delays.add(max(excess - lost, 0.0))

    def fill(self, points: Points, old: LowerEnvelope, lost: float = 0.0) -> None:
        """Give a new line the points that it comes from: excesses over the old one [s]."""
        for x, excess, fresh in points:
            self.line.add(x + lost, excess + old.at(x) - lost, fresh)

    def renew(self, x: float) -> None:
        """Begin a line at a new and unknown height, with the slope of the present one."""
        self._before = self.line, copy(self.joint)
        self.line = self.line.successor(_SLOPE_NOISE, self._tolerance)
        self.renewed = True
        self._warm_from = self._density_from = x
        self.gaps.forget()

    def go_back(self, x: float, excess: float) -> bool:
        """Return to the line before the last renewal if an ``excess`` [s] shows it to be right."""
        if self._before is None:
            return False
        line, joint = self._before
        if excess > (line.at(x) - self.line.at(x)) / 2:  # nearer to the present one
            return False
        self.line, self.joint, self._before = line, joint, None
        self._warm_from = x - _WARM_SECONDS
        self.gaps.forget()
        return True

    def shift(self, x: float, lifted: bool = True) -> None:
        """Begin a line after a loss of unknown size; the slope is trusted."""
        line = self.line.successor(_SLOPE_NOISE, self._tolerance, lifted)
        self.line, self._before = line, None
        self.renewed = True
        self._warm_from = self._density_from = x - _WARM_SECONDS + _REARM
        self.gaps.forget()

    def restart(self) -> None:
        """Begin at device time 0; the first chunk tells the phase, and times do not leap back."""
        self.shift(0.0, lifted=False)
        self._warm_from = self._density_from = 0.0
        self.joint.end()

    def _calibrate(self, x: float, step: float) -> None:
        scale = self._delays.quantile(0.25) / _QUARTILE
        if self._seen < _WARM_CHUNKS and not self.renewed:
            # each new lowest chunk was counted as on time; now it is known which were not
            scale = self.line.spread / _MEDIAN if self._seen >= _SOME else self.line.scale
        scale = max(scale, _SHORTEST_SCALE)
        if self._bounded:
            scale = max(scale, 1e-4)
        if self._seen < 64:
            density = self._seen / max(x - self._density_from, 1e-3)
        else:
            density = 1 / max(step, 1e-6)
        self.line.set_scale(scale, density)
        self.gaps.calibrate(self._delays, max(step, 1e-6), 2 * self.line.uncertainty(x))
