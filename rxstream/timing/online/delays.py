"""A histogram of delays above the line: logarithmic, forgetful, constant in size."""

from math import log, log2

__all__ = ["DelayHistogram", "bin_of"]

_PER_OCTAVE = 4
_LOWEST = -20  # log2 of the upper end of the first bin [s]: about 1 µs
_HIGHEST = 6
_BINS = (_HIGHEST - _LOWEST) * _PER_OCTAVE + 2
_FIRST = 1 - _LOWEST * _PER_OCTAVE
_FULL = 8192  # at this many delays the old ones lose half their weight


def bin_of(delay: float) -> int:
    """Return the number of the bin of a delay [s]."""
    if delay < 1e-6:
        return 0
    i = int(log2(delay) * _PER_OCTAVE + _FIRST)
    return i if i < _BINS else _BINS - 1


class DelayHistogram:
    """How often delays of each size were seen; each counts half after some thousand others."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BINS
        self._total = 0.0

    def add(self, delay: float) -> None:
        """Count a delay [s]."""
        self._counts[bin_of(delay)] += 1.0
        self._total += 1.0
        if self._total > _FULL:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2

    def move(self, old: float, new: float) -> None:
        """Count a delay [s] as another: what looked late came after a loss."""
        i = bin_of(old)
        if self._counts[i] >= 1.0:
            self._counts[i] -= 1.0
            self._counts[bin_of(new)] += 1.0

    def tail(self, delay: float) -> float:
        """Return the probability of a delay [s] of at least this size (Laplace's rule)."""
        return (sum(self._counts[bin_of(delay) :]) + 0.5) / (self._total + 1.0)

    def log_densities(self) -> list[float]:
        """Return the log of the density [1/s] in each bin, up to one constant for all.

        Far below the median all bins are one: they are narrow, and each has too few delays.
        Elsewhere neighbours are averaged.
        """
        counts, low = [*self._counts, 0.0], bin_of(self.quantile(0.5) / 8)
        step = 2.0 ** (1 / _PER_OCTAVE)
        wide = 1 / (1 - 1 / step)  # of all bins up to one, in its widths
        first = log((sum(counts[: low + 1]) + 0.1) / wide) - low * log(step)
        densities = [first] * (low + 1)
        for i in range(low + 1, _BINS):
            mean = (counts[i - 1] + 2 * counts[i] + counts[i + 1]) / 4
            densities.append(log(mean + 0.1) - i * log(step))
        return densities

    def quantile(self, part: float) -> float:
        """Return the delay [s] that this part of them does not exceed."""
        wanted, seen = part * self._total, 0.0
        for i, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return float(2.0 ** (_LOWEST + (i - 0.5) / _PER_OCTAVE))
        return 1.0
