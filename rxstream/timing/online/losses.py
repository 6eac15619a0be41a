"""Late or lost? Two sequential tests on the excess of arrivals over the line.

After a loss *every* chunk is late by what is missing; mere lateness ends. So runs of chunks that
all exceed a level are followed, for three levels. Each fresh chunk of a run adds
``-log P(delay >= level)``, from the histogram of the delays. A run whose sum passes
``-log p_false`` happens by chance less often than ``p_false``.

Where losses are multiples of a quantum, a second test is sharper: the usual delays against the
usual delays plus ``k`` quanta. Each fresh chunk adds the log of the ratio of both likelihoods
(Wald, "Sequential tests of statistical hypotheses", 1945). The sum is compared with the odds of a
loss, from the losses seen so far.

Chunks that waited behind another one, as after a stall, share its cause: they are no evidence.
On a busy computer those that did not wait share one, too: nothing there is as fast as usual for a
while. So a run must also last longer than others have that ended.
"""

from collections import deque
from math import log
from typing import NamedTuple

from rxstream.timing.online.delays import DelayHistogram, bin_of
from rxstream.timing.tangent import likeliest_step

__all__ = ["MAX_RUN", "LateRun", "LossTest"]

# Chunks of a run that are kept, and counted as evidence: bounds memory and work. (study)
MAX_RUN = 200
# Newest chunks that the likelihood ratio compares: bounds the work for each chunk.
_COMPARED = 12
# Chunks that come more often than this [s] have more chances of a false alarm: `p_false` holds for
# each chunk or 10 ms, whichever is longer.
_ALARM_PERIOD = 0.01
# Odds asked for a loss by the likelihood ratio: 99 of 100 reported ones are true if the delays are
# as in the histogram.
_ODDS = 100.0
# Rate of losses before any is seen: 1 in 100 000 chunks, as if it came from 2000.
_PRIOR_LOSSES, _PRIOR_CHUNKS = 0.02, 2000
# Log of the odds of a number of quanta against one less: 55 to 1. (trial)
_SIZE_ODDS = 4.0
# The line is not exact: a loss may seem smaller by this part of a quantum, at least and at most.
# At most 0.2 is from the study, at least 0.02 from a trial.
_SLACK = (0.02, 0.2)
# Fresh chunks of a run at each level: a few late chunks in a row are common at the low ones. Six
# is from the study.
_MIN_FRESH = (6, 6, 2)
# Levels: two quantiles of the delays, and the share of a quantum or, without one, the quantile of
# the third. (study) With a larger share of a quantum, one of 582 losses is missed.
_MEDIAN, _SELDOM, _QUANTUM_SHARE, _RARE = 0.5, 0.9, 0.8, 0.99
# A run is suspicious from one third of the evidence on.
_SUSPICIOUS_PART = 3
# A run must last so many times a delay that some chunks in a row have seldom, runs that ended
# included: what makes all late does so for a while. But no longer than this [s], or so many chunks.
# (trial, on arrivals of sound at 13 processes on two cores)
_TOGETHER, _LONGEST_LATENESS, _LONGEST_LATE = 100.0, 1.0, 100
_IN_A_ROW = 5
# Not so chunks that are later than this many of the delays that one in so many chunks has. (trial)
_UNHEARD_OF, _HARDLY_EVER = 2.0, 0.998
# Until then it is looked at each so many chunks.
_LOOK_EVERY = 8
# A quantum is hidden where the line is known no better than to this part of it: a line that has
# moved a little looks like a loss. (trial, on thin-tailed delays at 10 Hz)
_HIDDEN = 0.7
# Excess above all real ones [s].
_UNREACHABLE = 1e9


class LateRun(NamedTuple):
    """Consecutive chunks that are late or come after a loss."""

    chunk: int
    """Number of the first chunk."""
    lowest: float
    """Least excess of all [s]: the size of the loss, if it is one."""
    quanta: int
    """The same in quanta; 0 if it is less, or there is no quantum."""
    fresh: int
    """Number of fresh chunks."""
    points: list[tuple[float, float, bool]]
    """Device time and excess of each [s], and whether it is fresh."""
    lasted: float = 0.0
    """How long it has lasted [s]."""
    lasting: bool = True
    """Whether that is longer than lateness lasts."""


class LossTest:
    """Runs at three levels: the median delay, one seldom exceeded, and one of the size of a loss.

    Parameters
    ----------
    quantum
        Losses are multiples of this [s]; None if of any size.
    p_false
        Probability of a false alarm, for each chunk or 10 ms, whichever is longer.

    Attributes
    ----------
    median
        Median delay above the line [s].
    quantum
        Losses show as multiples of this [s]; None if of any size, or if the line hides it.
    slack
        Part of a quantum by which a loss may seem smaller than it is, as the line is not exact.
    """

    __slots__ = (
        "_densities", "_evidence", "_fresh", "_least", "_levels", "_longest", "_losses", "_needed",
        "_newest", "_open", "_p_false", "_patience", "_recent", "_running", "_since", "_start",
        "_stated", "_sums", "_together", "median", "quantum", "slack",
    )  # fmt: skip

    def __init__(self, quantum: float | None, p_false: float) -> None:
        self.quantum = self._stated = quantum
        self._p_false, self._needed = p_false, -log(p_false)
        # No level is exceeded before the first `calibrate`.
        self._levels = (_UNREACHABLE, _UNREACHABLE, _UNREACHABLE)
        self.slack = _SLACK[1]
        self.median = self._least = _UNREACHABLE
        self._evidence = (0.0, 0.0, 0.0)
        self._densities: list[float] = []
        self._losses = 0
        self._patience = 0.0  # what a run must last at least [s]
        self._longest = _UNREACHABLE  # a delay that hardly any chunk has [s]
        # The least excess of some fresh chunks in a row, and those that a run may yet explain.
        self._together = DelayHistogram()
        self._newest: deque[float] = deque([0.0], maxlen=_IN_A_ROW)
        self._open: deque[float] = deque(maxlen=MAX_RUN)
        self._recent: deque[tuple[float, float, bool]] = deque(maxlen=MAX_RUN)
        self.forget()

    def forget(self) -> None:
        """Drop all runs."""
        self._open.clear()
        self._start = [-1, -1, -1]  # first chunk of each run
        self._since = [0.0, 0.0, 0.0]  # its device time [s]
        self._fresh, self._sums = [0, 0, 0], [0.0, 0.0, 0.0]
        self._running = False

    @property
    def suspicious(self) -> bool:
        """Whether there is a run that could be a loss."""
        return self._fresh[2] >= _MIN_FRESH[2] and self._sums[2] > self._needed / _SUSPICIOUS_PART

    def calibrate(self, delays: DelayHistogram, step: float, half_width: float) -> None:
        """Set the levels and their probabilities from the delays seen.

        Parameters
        ----------
        delays
            Delays above the line.
        step
            Usual distance of chunks [s].
        half_width
            Uncertainty of the line [s].
        """
        self._needed = -log(self._p_false * min(step / _ALARM_PERIOD, 1.0))
        self.median = delays.quantile(_MEDIAN)
        hidden = self._stated is None or half_width > _HIDDEN * self._stated
        self.quantum = quantum = None if hidden else self._stated
        if quantum is not None:
            self.slack = min(max(half_width / quantum, _SLACK[0]), _SLACK[1])
        big = delays.quantile(_RARE) if quantum is None else _QUANTUM_SHARE * quantum
        self._longest = delays.quantile(_HARDLY_EVER)
        longest = min(_LONGEST_LATENESS, _LONGEST_LATE * step)
        self._patience = min(_TOGETHER * self._together.quantile(_RARE), longest)
        self._levels = levels = (self.median, delays.quantile(_SELDOM), big)
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
    ) -> LateRun | None:
        """Add the excess [s] of a chunk at ``x`` [s]; return a run too improbable for lateness.

        Parameters
        ----------
        fresh
            Whether the chunk did not wait behind the one before it.
        judge
            Whether to look for such a run, or only to keep the chunk.
        """
        running, late = self._running, excess > self._least
        if fresh:
            self._newest.append(max(excess, 0.0))
            together = min(self._newest)
            if running or late:
                self._open.append(together)
            else:
                self._together.add(together)
        if not late:
            if running:
                for together in self._open:
                    self._together.add(together)
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
                self._start[i], self._since[i] = chunk, x
            if fresh and self._fresh[i] < MAX_RUN:
                self._fresh[i] += 1
                self._sums[i] += self._evidence[i]
            enough = self._sums[i] >= self._needed and self._fresh[i] >= _MIN_FRESH[i]
            if enough and found < 0:
                found = i
        if not judge:
            return None
        # To look at a run costs much, and it lasts no longer than since it began.
        if found >= 0 and x - self._since[found] < self._patience:
            found = -1 if (chunk - self._start[found]) % _LOOK_EVERY else found
        if found >= 0:
            run = self._run(chunk, self._start[found], self._fresh[found])
            since = run.points[0][0] if len(run.points) < MAX_RUN else self._since[found]
            lasted = x - since
            lasting = lasted >= self._patience or run.lowest > _UNHEARD_OF * self._longest
            run = run._replace(lasted=lasted, lasting=lasting)
            # Of several late chunks the last alone does not show how much was lost: wait.
            if not run.quanta or sum(fresh for _, _, fresh in run.points) >= _MIN_FRESH[2]:
                return run
        if fresh and self._fresh[2] >= _MIN_FRESH[2] and self.quantum is not None:
            return self._compare(chunk)
        return None

    def _run(self, chunk: int, start: int, fresh: int) -> LateRun:
        """Return the run from ``start`` to ``chunk``, less chunks that were late before a loss."""
        size = min(chunk - start + 1, len(self._recent))
        recent = list(self._recent)[-size:]
        quantum, quanta = self.quantum, 0
        late = [excess for _, excess, _ in recent]
        fresh_ones = [fresh for _, _, fresh in recent]
        first = likeliest_step(late, fresh_ones) if quantum is None else self._likeliest(recent)[0]
        points = recent[first:]
        lowest = min(excess for _, excess, _ in points)
        if quantum is not None:
            quanta = int(lowest / quantum + self.slack)
            # Without a loss the floor has moved, perhaps later than the run began.
            if not quanta:
                points = points[likeliest_step(late[first:], fresh_ones[first:]) :]
                lowest = min(excess for _, excess, _ in points)
        return LateRun(chunk - len(points) + 1, lowest, quanta, fresh, points)

    def _compare(self, chunk: int) -> LateRun | None:
        """Return the run if the usual delays plus some quanta are far likelier than those alone."""
        size = min(chunk - self._start[2] + 1, _COMPARED)
        recent = list(self._recent)[-size:]
        first, ratio, ahead = self._likeliest(recent)
        if ahead < _SIZE_ODDS or sum(fresh for _, _, fresh in recent[first:]) < _MIN_FRESH[2]:
            return None
        rate = (self._losses + _PRIOR_LOSSES) / (chunk + _PRIOR_CHUNKS)
        if ratio < log(_ODDS / rate):
            return None
        return self._run(chunk, chunk - size + 1, self._fresh[2])

    def _likeliest(self, recent: list[tuple[float, float, bool]]) -> tuple[int, float, float]:
        """Return the number of chunks before the likeliest loss, and its likelihood.

        Chunks before it were late; chunks after it are late by the loss at least. The likelihood
        is given as the log of its ratio to that of no loss, and to that of a loss smaller by a
        quantum.
        """
        quantum = self.quantum or 1.0
        best, best_ratio, ahead, lowest = 0, 0.0, 0.0, _UNREACHABLE
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
