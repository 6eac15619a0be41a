"""Time since the last tick of a device's clock, as its samples show.

Ticks may be coarser than the delays of chunks, and than the distance of samples, which come evenly.
A time by ticks would be early by up to one. So time goes on by samples where these and the ticks
are seen to keep to each other but for less than a tick.
"""

__all__ = ["TickPhase"]

# Chunks after which it is known how coarse ticks are, and samples beyond those of a tick over which
# it is seen whether they come as stated: another rate shows if it is 0.1 to 1 % off.
_CHUNKS, _SAMPLES = 32, 100
# Ticks and samples by which these may part. Quartz drifts by 0.05 samples in a hundred. (trial)
_TICKS, _SLACK = 1.1, 0.1
# Ticks of less than this part of a sample are better than samples.
_FINE = 0.01


class TickPhase:
    """By how much a device's samples are ahead of its ticks.

    Attributes
    ----------
    by_samples
        Whether time goes on by samples.
    aligned
        Whether it does, or has done so.

    Examples
    --------
    Ticks of two samples:

    >>> phase = TickPhase()
    >>> ahead = [phase.add(1.0 if k % 2 else -1.0, 1, 2.0) for k in range(35)]
    >>> sum(ahead[:32]), ahead[32:]
    (0.0, [1.0, -1.0, 1.0])
    """

    __slots__ = (
        "_chunks", "_high", "_level", "_low", "_parted", "_samples", "_tick", "aligned",
        "by_samples",
    )  # fmt: skip

    def __init__(self) -> None:
        self.by_samples = self.aligned = self._parted = False
        self._tick = self._level = 0.0
        self._begin()

    def _begin(self) -> None:
        """Begin to look whether samples and ticks keep to each other."""
        self._low = self._high = self._level
        self._chunks = self._samples = 0

    @property
    def unsure(self) -> float:
        """Samples by which time may be early, as it goes on by ticks, or did."""
        undecided = not self.by_samples and (self.aligned or self._chunks < _CHUNKS)
        return self._tick if undecided else 0.0

    def add(self, over: float, count: int, tick: float) -> float:
        """Return by how much samples got ahead of ticks with the next chunk.

        Parameters
        ----------
        over
            Samples that the clock has passed, less those of the chunk and those lost before it.
        count
            Samples in the chunk.
        tick
            Samples in which the clock moves on, as far as is known.
        """
        self._tick = tick
        self._level += over
        self._low, self._high = min(self._low, self._level), max(self._high, self._level)
        self._chunks += 1
        self._samples += count
        ahead = -over if self.by_samples else 0.0
        keeps = tick >= _FINE and self._high - self._low <= _TICKS * tick + _SLACK
        if self.aligned:
            if self._chunks >= _CHUNKS and self._samples >= _SAMPLES * (tick + 1):
                # a loss that is not found yet parts them once
                self.by_samples, self._parted = keeps or not self._parted, not keeps
                self._begin()
        elif self._chunks == _CHUNKS and keeps:
            # what has passed since the last tick that came right before a sample
            ahead = self._high - self._level
            self.aligned = self.by_samples = True
            self._begin()
        return ahead

    def found(self, lost: int) -> None:
        """Note that samples were lost, as arrivals show."""
        self._level -= lost
        self.by_samples, self._parted = self.aligned, False
        self._begin()
