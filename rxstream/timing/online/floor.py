"""The floor under the arrivals: the line, the delays above it, and its renewals."""

from copy import copy
from math import hypot
from typing import TypeAlias

from rxstream.timing.online.delays import DelayHistogram
from rxstream.timing.online.early_losses import Point
from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.latency_step import LatencyStep
from rxstream.timing.online.losses import LossTest
from rxstream.timing.settings import ClockSettings

__all__ = ["DelayFloor"]

# Chunks and seconds before single chunks are judged. This, `_REARM`, `_BEATING`, the scales and
# `_SLOPE_NOISE` are from the study.
_WARM_CHUNKS, _WARM_SECONDS = 64, 2.0
# Fresh chunks after which a new line is not expected to fall much. (trial)
_FIRM = 8
# A new line of known slope may find losses again after this [s].
_REARM = 0.2
# Stamps in coarse ticks beat with the chunk rate, at 1 ms and 37 ppm every 27 s: the memory must
# hold two beats [s]. A shorter one makes the errors of such stamps five times as large.
_BEATING = 60.0
# Quartile and median of an exponential law of mean 1.
_QUARTILE, _MEDIAN = 0.2877, 0.6931
# Chunks from which a scale may be guessed: fewer have no median. (trial)
_MIN_SCALE_CHUNKS = 4
# Scales are no smaller [s]: no host clock is read more finely; nor are stamps of bounded error.
_MIN_SCALE, _MIN_BOUNDED_SCALE = 2e-6, 1e-4
# A slope is never known better than this.
_SLOPE_NOISE = 0.3e-6
# Chunks between two looks at the scales and at the uncertainty, once the line is known: each look
# costs a pass over the histogram or the buckets.
_CALIBRATE_EVERY, _UNCERTAINTY_EVERY = 256, 16

Points: TypeAlias = list[tuple[float, float, bool]]
"""Device time and excess over the line [s], and whether the chunk is fresh."""


class DelayFloor:
    """Place of the arrivals if no chunk was late.

    Attributes
    ----------
    line
        The present envelope.
    renewed
        Whether the line is not the first one.
    latency_step
        The step of the line since the last change of latency.
    loss_test
        The test whether lateness is loss.
    """

    __slots__ = (
        "_before", "_bounded", "_delays", "_density_from", "_half_width", "_seen", "_settings",
        "_warm_from", "latency_step", "line", "loss_test", "renewed",
    )  # fmt: skip

    def __init__(self, settings: ClockSettings, quantum: float | None) -> None:
        self._settings = settings
        self.line = self._first_line()
        self.latency_step = LatencyStep()
        self.loss_test = LossTest(quantum, settings.p_false)
        self._delays = DelayHistogram()
        self._seen = 0
        self._warm_from = self._density_from = 0.0
        # Line and step before the last renewal: the rise that caused it may prove to be none.
        self._before: tuple[LowerEnvelope, LatencyStep] | None = None
        self._bounded = self.renewed = False
        self._half_width = 0.0

    def _first_line(self) -> LowerEnvelope:
        settings = self._settings
        return LowerEnvelope(settings.skew, settings.skew_tol, settings.drift, settings.window)

    def warm(self, x: float) -> bool:
        """Whether enough is known at ``x`` [s] to judge single chunks."""
        return (
            self._seen >= _WARM_CHUNKS
            and x - self._warm_from > _WARM_SECONDS
            and not self.reacquiring
        )

    @property
    def known(self) -> bool:
        """Whether the delays are known, even if the present line is not."""
        return self._seen >= _WARM_CHUNKS

    @property
    def reacquiring(self) -> bool:
        """Whether the line is new and may still fall."""
        return self.renewed and self.line.points < _FIRM

    def bound(self) -> None:
        """Expect stamps of bounded error instead of arrivals."""
        self._bounded = True
        self.line.remember(_BEATING)

    def add(self, x: float, offset: float, step: float, fresh: bool = True) -> None:
        """Add a chunk's offset [s]; ``step`` is the usual distance of chunks [s]."""
        line = self.line
        # The first points of a new line lie on it, and say nothing about delays.
        if not self.reacquiring:
            self._delays.add(offset - line.at(x) if line.points else 0.0)
        line.add(x, offset, fresh)
        if line.widened:
            line.widened, self._seen, self._delays = False, 0, DelayHistogram()
        self._seen = seen = self._seen + 1
        # At powers of two at first, so that the scales are known from the start.
        if not seen % _CALIBRATE_EVERY or not seen & (seen - 1):
            self._calibrate(x, step)
        if self.latency_step.moving:
            self.latency_step.follow(line, x)

    def at(self, x: float) -> float:
        """Return the floor at ``x`` [s]: the line less its bias and the step of latency."""
        return self.line.floor(x) - self.latency_step.step

    def uncertainty(self, x: float) -> float:
        """Return the half width of the floor's interval [s], at times a few chunks old."""
        seen = self._seen
        if seen < _WARM_CHUNKS or not seen % _UNCERTAINTY_EVERY or self.reacquiring:
            self._half_width, latency_step = self.line.uncertainty(x), self.latency_step
            if latency_step.moving:
                latency_step.measure(self.line)
            if latency_step.half_width:
                self._half_width = hypot(self._half_width, latency_step.half_width)
        return self._half_width

    def forgive(self, points: Points, lost: float) -> None:
        """Count excesses [s] less a loss [s] that was not known when they were counted."""
        for _, excess, _ in points:
            self._delays.move(excess, max(excess - lost, 0.0))

    def relearn(self, points: list[Point], newest: list[Point], step: float) -> None:
        """Lay the first line anew, under points that losses have moved [s].

        How late chunks are is shown by the ``newest``, of which ``points`` are the lowest.
        """
        line = self._first_line()
        for x, offset in points:
            line.add(x, offset)
        self.line, self._before, self._delays = line, None, DelayHistogram()
        for x, offset in newest:
            self._delays.add(max(offset - line.at(x), 0.0))
        self._calibrate(points[-1][0], step)

    def fill(self, points: Points, old: LowerEnvelope, lost: float = 0.0) -> None:
        """Add the points that led to a new line, given as excesses over the old one [s]."""
        for x, excess, fresh in points:
            self.line.add(x + lost, excess + old.at(x) - lost, fresh)

    def renew(self, x: float) -> None:
        """Begin a line of unknown height, with the slope of the present one."""
        self._before = self.line, copy(self.latency_step)
        self.line = self.line.successor(_SLOPE_NOISE, self._settings.skew_tol)
        self.renewed = True
        self._warm_from = self._density_from = x
        self.loss_test.forget()

    def go_back(self, x: float, excess: float) -> bool:
        """Return to the line before the last renewal if an ``excess`` [s] lies nearer to it."""
        if self._before is None:
            return False
        line, latency_step = self._before
        if excess > (line.at(x) - self.line.at(x)) / 2:
            return False
        self.line, self.latency_step, self._before = line, latency_step, None
        self._warm_from = x - _WARM_SECONDS
        self.loss_test.forget()
        return True

    def shift(self, x: float, lifted: bool = True) -> None:
        """Begin a line after a loss of unknown size; the slope is kept."""
        line = self.line.successor(_SLOPE_NOISE, self._settings.skew_tol, lifted)
        self.line, self._before = line, None
        self.renewed = True
        self._warm_from = self._density_from = x - _WARM_SECONDS + _REARM
        self.loss_test.forget()

    def restart(self) -> None:
        """Begin at device time 0, with the first chunk on the line."""
        self.shift(0.0, lifted=False)
        self._warm_from = self._density_from = 0.0
        self.latency_step.end()

    def _calibrate(self, x: float, step: float) -> None:
        scale = self._delays.quantile(0.25) / _QUARTILE
        if self._seen < _WARM_CHUNKS and not self.renewed:
            # The histogram took each new lowest chunk for one on time; the buckets know better.
            known = self._seen >= _MIN_SCALE_CHUNKS
            scale = self.line.spread / _MEDIAN if known else self.line.scale
        scale = max(scale, _MIN_SCALE)
        if self._bounded:
            scale = max(scale, _MIN_BOUNDED_SCALE)
        if self._seen < _WARM_CHUNKS:
            density = self._seen / max(x - self._density_from, 1e-3)
        else:
            density = 1 / max(step, 1e-6)
        self.line.set_scale(scale, density)
        self.loss_test.calibrate(self._delays, max(step, 1e-6), 2 * self.line.uncertainty(x))
