"""Late or lost? A sequential test on the excess of arrivals over the line.

After a loss *every* chunk is late by what is missing; mere lateness ends. So for three levels a
run of chunks that all exceed the level is followed, and each chunk that could as well have been
on time adds ``-log P(delay >= level)``, from the histogram of the delays themselves. A run whose
sum passes ``-log p_false`` has happened by chance less often than ``p_false`` (Wald's sequential
test with the hypothesis "no loss"). Chunks drained after a stall arrive back to back and share one
cause: they are no evidence.
"""

from math import log

from rxstream.timing.delays import DelayHistogram

__all__ = ["GapTest", "Run"]

_MOST = 200  # chunks of a run that are remembered, and count as evidence


class Run:
    """Consecutive chunks whose delay exceeds a level.

    Attributes
    ----------
    chunk, x
        Number and device time [s] of the first.
    lowest
        Least excess of all [s]: what was lost, if it was a loss.
    lowest_later
        Least excess of all but the first [s].
    x_later
        Device time of the second [s].
    length, fresh
        How many there are, and how many of them are evidence.
    evidence
        Minus the log of the probability that it is chance.
    excesses
        Of the chunks [s].
    """

    __slots__ = (
        "chunk", "evidence", "excesses", "fresh", "length", "lowest", "lowest_later", "x",
        "x_later",
    )  # fmt: skip

    def __init__(self, chunk: int, x: float, excess: float) -> None:
        self.chunk, self.x, self.lowest = chunk, x, excess
        self.lowest_later, self.x_later = float("inf"), x
        self.length = self.fresh = 0
        self.evidence = 0.0
        self.excesses: list[float] = []

    def add(self, x: float, excess: float) -> None:
        """Take the next chunk."""
        if self.length == 1:
            self.x_later = x
        if self.length and excess < self.lowest_later:
            self.lowest_later = excess
        if excess < self.lowest:
            self.lowest = excess
        self.length += 1
        if self.length <= _MOST:
            self.excesses.append(excess)

    def without_first(self) -> "Run":
        """Return the run that begins one chunk later: the first was late, before the loss."""
        run = Run(self.chunk + 1, self.x_later, self.lowest_later)
        run.length, run.fresh, run.evidence = self.length - 1, self.fresh, self.evidence
        run.excesses = self.excesses[1:]
        return run


class GapTest:
    """The runs at three levels: the median delay, one seldom exceeded, and one that a loss makes.

    Parameters
    ----------
    quantum
        Losses are multiples of this [s]; None if any.
    p_false
        Of a false alarm.
    """

    __slots__ = ("_evidence", "_levels", "_needed", "_quantum", "_runs")

    def __init__(self, quantum: float | None, p_false: float) -> None:
        self._quantum, self._needed = quantum, -log(p_false)
        self._levels = [1e9, 1e9, 1e9]  # none before the first `calibrate`
        self._evidence = [0.0, 0.0, 0.0]
        self._runs: list[Run | None] = [None, None, None]

    @property
    def median(self) -> float:
        """Median delay above the line [s]."""
        return self._levels[0]

    @property
    def suspicious(self) -> bool:
        """Whether a run is more likely a loss than one is usually lost."""
        run = self._runs[2]
        return run is not None and run.fresh >= 2 and run.evidence > self._needed / 2

    def forget(self) -> None:
        """Drop all runs."""
        self._runs = [None, None, None]

    def calibrate(self, delays: DelayHistogram) -> None:
        """Take levels and their probabilities from the delays seen."""
        big = delays.quantile(0.99) if self._quantum is None else 0.8 * self._quantum
        self._levels = [delays.quantile(0.5), delays.quantile(0.9), big]
        self._evidence = [-log(min(delays.tail(level), 0.999)) for level in self._levels]

    def observe(self, chunk: int, x: float, excess: float, fresh: bool) -> Run | None:
        """Take the excess [s] of a chunk at ``x`` [s]; return a run that is no chance any more.

        Parameters
        ----------
        fresh
            Whether it could have been on time: it did not wait behind the one before it.
        """
        runs, found = self._runs, None
        for i in (2, 1, 0):
            run = runs[i]
            if excess <= self._levels[i]:
                if run is not None:
                    runs[i] = None
                continue
            if run is None:
                runs[i] = run = Run(chunk, x, excess)
            run.add(x, excess)
            if fresh and run.fresh < _MOST:
                run.fresh += 1
                run.evidence += self._evidence[i]
            # at the lower levels a few late chunks are common: ask for more of them
            if found is None and run.evidence >= self._needed and run.fresh >= (2 if i == 2 else 6):
                found = run
        return found
