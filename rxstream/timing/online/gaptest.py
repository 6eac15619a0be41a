"""Late or lost? Two sequential tests on the excess of arrivals over the line.

After a loss *every* chunk is late by what is missing; mere lateness ends. So for three levels a
run of chunks that all exceed the level is followed, and each chunk that could as well have been
on time adds ``-log P(delay >= level)``, from the histogram of the delays themselves. A run whose
sum passes ``-log p_false`` has happened by chance less often than ``p_false``.

Where losses are multiples of a quantum, there is a sharper question: are these the usual delays,
or the usual delays plus ``k`` quanta? Each chunk adds the log of the ratio of both likelihoods
(Wald, "Sequential tests of statistical hypotheses", 1945); the sum is held against the odds of a
loss as often as they have been seen.

Chunks drained after a stall arrive back to back and share one cause: they are no evidence.
"""

from collections import deque
from math import log
from typing import NamedTuple

from rxstream.timing.online.delays import DelayHistogram, bin_of
from rxstream.timing.tangent import likeliest_step

__all__ = ["GapTest", "Run"]

_MOST = 200  # chunks of a run that are remembered, and count as evidence
_RATIO = 12  # chunks that the likelihood ratio looks at
_OFTEN = 0.01  # chunks that come more often than this [s] have more chances of a false alarm
_ODDS = 100.0  # that a loss told is one
_AHEAD = 4.0  # log of the odds of this many quanta against one less
_SHORT = (0.02, 0.2)  # by which part of a quantum a loss may seem smaller: from, to
_LEAST_FRESH = (6, 6, 2)  # at the low levels a few late chunks are common: ask for more of them


class Run(NamedTuple):
    """Consecutive chunks that are late or come after a loss."""

    chunk: int
    """Number of the first."""
    lowest: float
    """Least excess of all [s]: what was lost, if it was a loss."""
    quanta: int
    """The same in quanta; 0 if there is none or it is less."""
    fresh: int
    """How many are evidence."""
    points: list[tuple[float, float, bool]]
    """Device time and excess of each [s], and whether it is evidence."""


class GapTest:
    """The runs at three levels: the median delay, one seldom exceeded, and one that a loss makes.

    Parameters
    ----------
    quantum
        Losses are multiples of this [s]; None if any.
    p_false
        Of a false alarm, for each chunk or 10 ms, whichever is longer.

    Attributes
    ----------
    median
        Delay above the line that half of the chunks exceed [s].
    slack
        By which part of a quantum a loss may seem smaller than it is, as the line is not exact.
    """

    __slots__ = (
        "_densities", "_evidence", "_fresh", "_least", "_levels", "_losses", "_needed", "_p_false",
        "_quantum", "_recent", "_running", "_start", "_sums", "median", "slack",
    )  # fmt: skip

    def __init__(self, quantum: float | None, p_false: float) -> None:
        self._quantum, self._p_false, self._needed = quantum, p_false, -log(p_false)
        self._levels = (1e9, 1e9, 1e9)  # none is exceeded before the first `calibrate`
        self.slack = _SHORT[1]
        self.median = self._least = 1e9
        self._evidence = (0.0, 0.0, 0.0)
        self._densities: list[float] = []
        self._losses = 0
        self._recent: deque[tuple[float, float, bool]] = deque(maxlen=_MOST)
        self.forget()

    def forget(self) -> None:
        """Drop all runs."""
        self._start = [-1, -1, -1]  # chunk each run began with
        self._fresh, self._sums = [0, 0, 0], [0.0, 0.0, 0.0]
        self._running = False

    @property
    def suspicious(self) -> bool:
        """Whether there is a run that could be a loss."""
        return self._fresh[2] >= 2 and self._sums[2] > self._needed / 3

    def calibrate(self, delays: DelayHistogram, step: float, doubt: float) -> None:
        """Take levels and their probabilities from the delays seen.

        Parameters
        ----------
        delays
            Over the line.
        step
            From chunk to chunk [s].
        doubt
            By how much the line may lie wrong [s].
        """
        if self._quantum is not None:
            self.slack = min(max(doubt / self._quantum, _SHORT[0]), _SHORT[1])
        self._needed = -log(self._p_false * min(step / _OFTEN, 1.0))
        self.median = delays.quantile(0.5)
        big = delays.quantile(0.99) if self._quantum is None else 0.8 * self._quantum
        self._levels = levels = (self.median, delays.quantile(0.9), big)
        self._least = min(levels)
        a, b, c = (-log(min(delays.tail(level), 0.999)) for level in levels)
        self._evidence = (a, b, c)
        self._densities = delays.log_densities()

    def confirm(self) -> None:
        """Count a loss, and drop all runs."""
        self._losses += 1
        self.forget()

    def observe(
        self, chunk: int, x: float, excess: float, fresh: bool, judge: bool = True
    ) -> Run | None:
        """Take the excess [s] of a chunk at ``x`` [s]; return a run that is no chance any more.

        Parameters
        ----------
        fresh
            Whether it could have been on time: it did not wait behind the one before it.
        judge
            Whether to look for such a run, or only to remember the chunk.
        """
        if excess <= self._least:
            if self._running:
                self.forget()
            return None
        self._recent.append((x, excess, fresh))
        self._running = True
        found = -1
        for i in (2, 1, 0):
            if excess <= self._levels[i]:
                self._start[i], self._fresh[i], self._sums[i] = -1, 0, 0.0
                continue
            if self._start[i] < 0:
                self._start[i] = chunk
            if fresh and self._fresh[i] < _MOST:
                self._fresh[i] += 1
                self._sums[i] += self._evidence[i]
            enough = self._sums[i] >= self._needed and self._fresh[i] >= _LEAST_FRESH[i]
            if enough and found < 0:
                found = i
        if not judge:
            return None
        if found >= 0:
            run = self._run(chunk, self._start[found], self._fresh[found])
            # the last chunk of several that were late in turn does not say how much was lost
            if not run.quanta or sum(fresh for _, _, fresh in run.points) >= _LEAST_FRESH[2]:
                return run
        if fresh and self._fresh[2] >= 2 and self._quantum is not None:
            return self._compare(chunk)
        return None

    def _run(self, chunk: int, start: int, fresh: int) -> Run:
        """Return the run from ``start`` to ``chunk``, less what was late before a loss."""
        size = min(chunk - start + 1, len(self._recent))
        recent = list(self._recent)[-size:]
        quantum, quanta = self._quantum, 0
        late = [excess for _, excess, _ in recent]
        fresh_ones = [fresh for _, _, fresh in recent]
        first = likeliest_step(late, fresh_ones) if quantum is None else self._likeliest(recent)[0]
        points = recent[first:]
        lowest = min(excess for _, excess, _ in points)
        if quantum is not None:
            quanta = int(lowest / quantum + self.slack)
            if not quanta:  # no loss: the floor has moved, perhaps later than the run began
                points = points[likeliest_step(late[first:], fresh_ones[first:]) :]
                lowest = min(excess for _, excess, _ in points)
        return Run(chunk - len(points) + 1, lowest, quanta, fresh, points)

    def _compare(self, chunk: int) -> Run | None:
        """Return the run if the usual delays plus some quanta explain it far better."""
        size = min(chunk - self._start[2] + 1, _RATIO)
        recent = list(self._recent)[-size:]
        first, ratio, ahead = self._likeliest(recent)
        if ahead < _AHEAD or sum(fresh for _, _, fresh in recent[first:]) < 2:
            return None
        rate = (self._losses + 0.02) / (chunk + 2000)
        if ratio < log(_ODDS / rate):
            return None
        return self._run(chunk, chunk - size + 1, self._fresh[2])

    def _likeliest(self, recent: list[tuple[float, float, bool]]) -> tuple[int, float, float]:
        """Return after how many chunks a loss is likeliest, and how likely it is.

        Chunks before it were late; those after it cannot be less late than what is lost. The
        second value is the log of the ratio of the likelihoods of the loss and of none, the third
        of the loss and of one that is a quantum smaller.
        """
        quantum = self._quantum or 1.0
        best, best_ratio, ahead, lowest = 0, 0.0, 0.0, 1e9
        for first in range(len(recent) - 1, -1, -1):
            lowest = min(lowest, recent[first][1])
            quanta = int(lowest / quantum + self.slack)
            if not quanta or lowest < quanta * quantum - self.median:
                break
            fresh = [excess for _, excess, fresh in recent[first:] if fresh]
            ratio = self._ratio(fresh, quanta * quantum)
            if ratio >= best_ratio:
                best, best_ratio = first, ratio
                ahead = ratio - self._ratio(fresh, (quanta - 1) * quantum)
        return best, best_ratio, ahead

    def _ratio(self, excesses: list[float], lost: float) -> float:
        """Return the log of the likelihood ratio of a loss [s] and of none."""
        density = self._densities
        return sum(density[bin_of(e - lost)] - density[bin_of(e)] for e in excesses)
