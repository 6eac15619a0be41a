"""Whether the ticks of a device's clock are coarser than its samples are uneven.

Ticks may be coarser than the delays of chunks, and than the distance of samples, which come evenly.
A time by ticks is early by up to one. Where samples and ticks are seen to keep to each other but
for less than a tick, time goes on by samples instead.
"""

from collections import deque

__all__ = ["TickPhase"]

# Chunks after which it is decided. (trial)
_CHUNKS = 32
# Ticks and samples by which both may part in that time, by steps of the clock and drift of quartz.
_TICKS, _SLACK = 1.1, 0.1
# Ticks of less than this part of a sample are better than samples.
_FINE = 0.01
# Chunks that show how high the level is wont to be; part of a loss by which it then rises.
_WONT, _ROSE = 256, 0.5


class TickPhase:
    """By how much a device's samples are ahead of its ticks, until time goes on by them.

    Attributes
    ----------
    by_samples
        Whether time goes on by samples.
    moves
        Whether it does so from this chunk on, and was early by parts of a tick before.
    unsure
        Samples by which it may be early, as that is not known yet.

    Examples
    --------
    Ticks of two samples:

    >>> phase = TickPhase()
    >>> [phase.add(-1.0 if k % 2 else 1.0, 2.0) for k in range(32)][-1], phase.by_samples
    (1.0, True)
    """

    __slots__ = (
        "_chunks", "_high", "_level", "_levels", "_low", "_over", "by_samples", "moves", "unsure",
    )  # fmt: skip

    def __init__(self, by_samples: bool = False) -> None:
        self.by_samples, self._over, self.moves = by_samples, by_samples, False
        self._level = self._low = self._high = self.unsure = 0.0
        self._chunks = 0
        self._levels: deque[float] = deque(maxlen=_WONT)

    def add(self, over: float, tick: float, uneven: bool = True) -> float:
        """Return by how much samples are ahead of ticks if time goes on by samples from now on.

        Parameters
        ----------
        over
            Samples that the clock has passed, less those of the chunk and those lost before it.
        tick
            Samples in which the clock moves on, as far as is known.
        uneven
            Whether its steps differ, so that this is known.
        """
        self.moves = False
        # by ticks for good
        if self._over and not self.by_samples:
            return 0.0
        self._level += over
        self._levels.append(self._level)
        if self._over:
            return 0.0
        self._chunks += 1
        self._low, self._high = min(self._low, self._level), max(self._high, self._level)
        if self._chunks < _CHUNKS:
            self.unsure = tick
            return 0.0
        self.unsure = 0.0
        if not uneven:
            return 0.0
        self._over, spread = True, self._high - self._low
        self.by_samples = tick >= _FINE and spread <= _TICKS * tick + _SLACK
        if not self.by_samples:
            return 0.0
        self.moves = self._chunks == _CHUNKS
        # what has passed since the last tick that came right before a sample; where all steps were
        # alike until now, time has gone on by samples, too
        return self._high - self._level if self.moves else -over

    def rose(self, lost: int, chunks: int) -> bool:
        """Whether the newest chunks show a loss that is hidden in a tick, and no lateness."""
        levels = list(self._levels)
        before, behind = levels[:-chunks], levels[-chunks:]
        return bool(before) and max(behind) - max(before) >= _ROSE * lost

    def found(self, lost: int) -> None:
        """Note that samples were lost, as arrivals show."""
        self._levels = deque((level - lost for level in self._levels), _WONT)
        self._level -= lost
