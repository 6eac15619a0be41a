"""Histogram of the delays above the line: logarithmic, forgetting, of constant size."""

from math import log, log2

__all__ = ["DelayHistogram", "bin_of"]

# Bins of 19 %. This, the range and the number at which it forgets are from the study.
_PER_OCTAVE = 4
# log2 of the ends of the range [s]: about 1 µs to 64 s.
_LOWEST = -20
_HIGHEST = 6
_BINS = (_HIGHEST - _LOWEST) * _PER_OCTAVE + 2
_FIRST = 1 - _LOWEST * _PER_OCTAVE
# When it holds this many delays, all lose half their weight: it follows a change of the delays
# within some thousand chunks, and still knows tails of 1 in 1000.
_FULL = 8192
# Half a delay more in the tail and one in the whole (Laplace's rule): no probability is 0.
_TAIL_PRIOR = 0.5
# Delays more in each bin, against log(0).
_BIN_PRIOR = 0.1


def bin_of(delay: float) -> int:
    """Return the number of the bin of a delay [s]."""
    if delay < 1e-6:
        return 0
    i = int(log2(delay) * _PER_OCTAVE + _FIRST)
    return i if i < _BINS else _BINS - 1


class DelayHistogram:
    """Counts of delays by size; old ones lose weight."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BINS
        self._total = 0.0

    def add(self, delay: float) -> None:
        """Count a delay [s]."""
        # as `bin_of`: this runs for each chunk
        i = 0 if delay < 1e-6 else int(log2(delay) * _PER_OCTAVE + _FIRST)
        self._counts[i if i < _BINS else _BINS - 1] += 1.0
        self._total = total = self._total + 1.0
        if total > _FULL:
            self._counts = [count / 2 for count in self._counts]
            self._total = total / 2

    def move(self, old: float, new: float) -> None:
        """Count a delay [s] as another one: the chunk was not late, it came after a loss."""
        i = bin_of(old)
        if self._counts[i] >= 1.0:
            self._counts[i] -= 1.0
            self._counts[bin_of(new)] += 1.0

    def tail(self, delay: float) -> float:
        """Return the probability of a delay of at least this size [s]."""
        return (sum(self._counts[bin_of(delay) :]) + _TAIL_PRIOR) / (self._total + 1.0)

    def log_densities(self) -> list[float]:
        """Return the log of the density [1/s] in each bin, up to a common constant.

        Bins far below the median are taken together: they are narrow, and each has too few
        delays. Elsewhere neighbours are averaged.
        """
        counts, low = [*self._counts, 0.0], bin_of(self.quantile(0.5) / 8)
        step = 2.0 ** (1 / _PER_OCTAVE)
        # Width of all bins up to this one, in widths of its own: a geometric series.
        wide = 1 / (1 - 1 / step)
        first = log((sum(counts[: low + 1]) + _BIN_PRIOR) / wide) - low * log(step)
        densities = [first] * (low + 1)
        for i in range(low + 1, _BINS):
            mean = (counts[i - 1] + 2 * counts[i] + counts[i + 1]) / 4
            densities.append(log(mean + _BIN_PRIOR) - i * log(step))
        return densities

    def quantile(self, part: float) -> float:
        """Return the quantile of the delays [s]."""
        wanted, seen = part * self._total, 0.0
        for i, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return float(2.0 ** (_LOWEST + (i - 0.5) / _PER_OCTAVE))
        return 1.0
