"""Samples missing by the device's own clock: what accumulates between its time and their number.

Device time and samples hardly ever keep to each other chunk by chunk: ticks are coarse, stamps
scatter, and the samples may come at another rate than stated. So their difference is added up to a
level. What rises as steadily is another rate; what falls back was coarse; what stays is lost.
"""

from collections import deque
from itertools import accumulate
from math import gcd

__all__ = ["TickLosses"]

# Steps that are alike show a precise clock; by how many samples they may differ. (trial)
_ALIKE, _SAME = 4, 0.1
# Steps after which any other clock has shown how coarse it is, and how fast. (trial)
_LEARNT = 32
# Samples beyond the coarseness that are one. Ticks from this part of a sample on are coarse.
_WHOLE, _COARSE = 0.75, 0.25
# Ticks of so many samples, and so many to a chunk, are taken for those of a coarse clock: fewer may
# be the part of a chunk that got lost. (trial)
_BEATING, _MANY = 0.75, 5
# Steps that are less than this part of a chunk too short are of a clock that moves.
_STANDS = -0.5
# Samples by which an exact clock falls back, at most.
_EXACT = 0.01
# Samples that a precise clock must be off in one chunk to show another rate at once.
_OFF = 0.5
# Samples, besides the scatter and two ticks, that must have accumulated to show another rate.
_ACCUMULATED = 3.0
# Chunks between two looks for another rate.
_LOOK_EVERY = 64
# By how much the crystals of ticks and of samples may differ: quartz is within 100 ppm.
_CRYSTALS_DIFFER = 5e-4
# So many losses one after the other, of the same size, are another rate.
_SAME_LOSSES = 3


class TickLosses:
    """Finds losses in the steps of a device's clock.

    A loss of less than the clock is coarse is not found.

    Parameters
    ----------
    coarseness
        Samples by which a stamp may be wrong, as far as is known beforehand.
    quantum
        Losses are multiples of this many samples.

    Attributes
    ----------
    grain, tick
        Samples in which the clock moves on, as its steps show; the same, and at least what is known
        beforehand.
    uneven
        Whether steps differ: before, the whole of a step seems to be the grain.

    Examples
    --------
    >>> losses = TickLosses(0.0, 1)
    >>> [losses.add(passed, 10, passed) for passed in (10, 10, 10, 10, 10, 15, 10)]
    [0, 0, 0, 0, 0, 5, 0]
    """

    __slots__ = (
        "_coarse", "_first", "_granule", "_known", "_level", "_looked", "_loss", "_quantum",
        "_same", "_samples", "_seen", "_slope", "_steps", "_top", "grain", "tick", "uneven",
    )  # fmt: skip

    def __init__(self, coarseness: float, quantum: int) -> None:
        self._known, self._quantum = coarseness, quantum
        self._granule = 0  # greatest common divisor of all steps, in units of the clock
        self.tick = self.grain = coarseness
        self.uneven = False
        self._first: tuple[int, int] | None = None  # units and samples of the first step
        # difference and count of samples of the newest chunks
        self._steps: deque[tuple[float, int]] = deque(maxlen=_LEARNT)
        self._learn()

    def _learn(self) -> None:
        """Begin to learn how coarse the clock is, and how fast."""
        self._steps.clear()
        self._seen = -1  # chunks since that is known; -1 before
        self._slope = 0.0  # difference in one sample
        self._level = self._top = 0.0
        self._coarse = self._known  # most that the level has fallen from its top
        self._looked, self._samples = 0.0, 0  # level at the last look, and samples since
        self._loss, self._same = (0, 0), 0  # newest loss, and chunks since; how many were alike

    @property
    def learnt(self) -> bool:
        """Whether it is known how coarse the clock is, and how fast."""
        return self._seen >= 0

    @property
    def scatter(self) -> float:
        """Samples by which a stamp may be off, as the newest show, beyond what was known before."""
        if self._seen < 0 or self._coarse <= max(self._known, _EXACT):
            return 0.0
        overs = [over for over, _ in self._steps]
        return max(overs) - min(overs)

    def found(self, lost: int) -> None:
        """Note that samples were lost, as arrivals show."""
        self._level -= lost
        self._top = max(self._top - lost, self._level)

    def add(self, passed: float, count: int, units: int) -> int:
        """Return the samples lost before the next chunk; negative: so many were not lost after all.

        Parameters
        ----------
        passed
            Samples that the clock has passed since the last chunk.
        count
            Samples in the chunk.
        units
            What has passed in units of the clock.
        """
        over = passed - count
        self._steps.append((over, count))
        if self._first is None:
            self._first = units, count
        elif units * self._first[1] != self._first[0] * count:
            self.uneven = True
        if self._granule != 1 and units:
            self._granule = gcd(self._granule, units)
            self.grain = passed / units * self._granule
            self.tick = max(self.grain, self._known)
        if self._seen < 0:
            return self._begin()
        self._seen += 1
        self._samples += count
        self._level += over - self._slope * count
        above = self._level - self._top
        if above >= _WHOLE and above >= self._slack(count):
            return self._lose()
        (lost, since), self._loss = self._loss, (self._loss[0], self._loss[1] + 1)
        if lost and since < _ALIKE and self._top - self._level > _WHOLE * lost:
            self._level += lost
            self._loss = (0, 0)
            return -lost
        self._follow(count)
        if not self._seen % _LOOK_EVERY:
            self._look()
        return 0

    def _slack(self, count: int) -> float:
        """Return by how much the level may be above its top, after a chunk of so many samples."""
        slack = max(_WHOLE, self._coarse)
        tick = self.tick
        # a chunk of whole ticks moves the level only where these are coarse: several ticks of some
        # samples are, unless finer ones are stated, and beat with the chunks
        uneven = tick and abs(count - round(count / tick) * tick) > _CRYSTALS_DIFFER * count
        beats = _BEATING <= tick <= count / _MANY and tick <= (self._known or tick)
        if tick >= _COARSE and (uneven or beats or self._coarse >= _COARSE):
            slack = max(slack, tick - self._coarse + _COARSE)
        return slack

    def _lose(self) -> int:
        before, since = self._loss
        lost = self._whole(self._level - self._top)
        self._same = self._same + 1 if since == 0 and lost == before else 1
        if self._same >= _SAME_LOSSES:
            self._learn()
            return 0
        self._level -= lost
        self._loss = (lost, 0)
        over, count = self._steps[-1]
        self._steps[-1] = over - lost, count
        return lost

    def _whole(self, samples: float) -> int:
        return max(round(samples / self._quantum), 1) * self._quantum

    def _follow(self, count: int) -> None:
        """Take the level as it is for one without a loss."""
        fallen = self._top - self._level
        if fallen <= 0:
            self._top = self._level
        else:
            self._coarse = max(self._coarse, fallen)
            self._top -= min(fallen, _CRYSTALS_DIFFER * count)

    def _begin(self) -> int:
        """Return what was lost before the clock was known, once it is."""
        steps = self._steps
        newest = [over for over, _ in steps][-_ALIKE:]
        alike = len(newest) == _ALIKE and max(newest) - min(newest) < _SAME
        alike = alike and newest[0] > _STANDS * steps[-1][1]
        off = alike and abs(newest[0]) >= _OFF
        if len(steps) < _LEARNT and (not alike or (off and self.tick >= _COARSE)):
            return 0
        self._seen = 0
        self._slope = self._usual() if off or len(steps) == _LEARNT else 0.0
        rest = [over - self._slope * count for over, count in steps]
        levels = list(accumulate(rest, initial=0.0))
        at = max(range(len(rest)), key=rest.__getitem__) + 1
        rise = min(levels[at:]) - max(levels[:at])
        lost = self._whole(rise) if rise >= _WHOLE else 0
        for level, (_, count) in zip(levels[1:], steps, strict=True):
            self._level = level
            self._follow(count)
        if lost:
            self._level, self._top = self._level - lost, self._top - lost
        self._looked = self._level
        return lost

    def _usual(self) -> float:
        """Return the usual difference in one sample; 0 if it may be the coarseness of the clock."""
        overs = sorted(over for over, _ in self._steps)
        samples = sum(count for _, count in self._steps)
        slopes = sorted(over / count for over, count in self._steps)
        median, mean = slopes[len(slopes) // 2], sum(overs) / samples
        scatter = overs[-2] - overs[1]
        if scatter < _SAME:
            return median if median > _STANDS else 0.0
        # losses move the mean, coarse ticks the median
        slope = min(median, mean, key=abs) if median * mean > 0 else 0.0
        known = abs(slope) * samples > _ACCUMULATED + 2 * self.tick + scatter
        return slope if known else 0.0

    def _look(self) -> None:
        """Look whether the level rises or falls steadily."""
        rise = self._level - self._looked
        overs = [over for over, _ in self._steps]
        if abs(rise) <= _ACCUMULATED + 2 * self.tick + max(overs) - min(overs):
            return
        self._slope += rise / self._samples
        self._looked, self._samples = self._level, 0
        self._top, self._coarse = self._level, max(self._known, max(overs) - min(overs))
