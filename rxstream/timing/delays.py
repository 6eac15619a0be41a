"""A histogram of delays above the line: logarithmic, forgetful, constant in size."""

from math import log2

__all__ = ["DelayHistogram"]

_PER_OCTAVE = 4
_LOWEST = -20  # log2 of the upper end of the first bin [s]: about 1 µs
_HIGHEST = 6
_BINS = (_HIGHEST - _LOWEST) * _PER_OCTAVE + 2
_FULL = 8192  # at this many delays the old ones lose half their weight


class DelayHistogram:
    """How often delays of each size were seen; each counts half after some thousand others."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BINS
        self._total = 0.0

    def add(self, delay: float) -> None:
        """Count a delay [s]."""
        self._counts[_bin(delay)] += 1.0
        self._total += 1.0
        if self._total > _FULL:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2

    def move(self, old: float, new: float) -> None:
        """Count a delay [s] as another: what looked late was after a gap."""
        i = _bin(old)
        if self._counts[i] >= 1.0:
            self._counts[i] -= 1.0
            self._counts[_bin(new)] += 1.0

    def tail(self, delay: float) -> float:
        """Return the probability of a delay [s] of at least this size (Laplace's rule)."""
        return (sum(self._counts[_bin(delay) :]) + 0.5) / (self._total + 1.0)

    def quantile(self, part: float) -> float:
        """Return the delay [s] that this part of them does not exceed."""
        wanted, seen = part * self._total, 0.0
        for i, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return float(2.0 ** (_LOWEST + (i - 0.5) / _PER_OCTAVE))
        return 1.0


def _bin(delay: float) -> int:
    if delay < 1e-6:
        return 0
    return min(int((log2(delay) - _LOWEST) * _PER_OCTAVE) + 1, _BINS - 1)
