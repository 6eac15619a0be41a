"""The time axis of a chunk: where each sample lies in time, without an array where possible.

A regular stretch of samples needs four numbers, whatever its length (`RegularAxis`); irregular
samples need an array (`IrregularAxis`); what was joined keeps its parts (`CompositeAxis`), so each
sample keeps its exact time, its uncertainty and the evidence behind it, however the stream is cut
and joined.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import ceil, isnan, nan
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NO_TIMES",
    "Axis",
    "CompositeAxis",
    "Evidence",
    "IrregularAxis",
    "RegularAxis",
    "StridedAxis",
    "cut_parts",
    "every",
    "join_axes",
    "max_uncertainty",
]  # fmt: skip


class Evidence(NamedTuple):
    """What was known when a reading arrived; kept raw, so that times can be made better later."""

    arrival: int
    """Host time [ns] at which the reading was handed over."""
    samples: int
    """Samples in the reading."""
    counter: int | None = None
    """The device's own counter at the last sample, unwrapped by nobody."""
    device_time: "int | NDArray[np.int64] | None" = None
    """The device's own stamp(s) [ns]: of the first sample, or one for each."""
    bounds: tuple[int, int] | None = None
    """Host times [ns] between which the last sample was taken."""
    lost: int | None = None
    """Samples that the device says were lost before the reading."""
    state: str = "raw"
    """State of the clock model: warming, locked, suspect, reacquiring; raw without one."""


class Axis(Protocol):
    """The times of ``count`` samples, each after the one before it."""

    @property
    def count(self) -> int:
        """Number of samples."""
        ...

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        ...

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        ...

    def cut(self, i: int, j: int) -> "Axis":
        """Return the axis of samples ``i`` to ``j``, ``0 <= i <= j <= count``."""
        ...

    def take(self, indices: NDArray[np.intp]) -> "Axis":
        """Return the axis of samples ``indices`` ``(n,)``, increasing, at the same times."""
        ...

    def shifted(self, by: int) -> "Axis":
        """Return the axis of the same samples later by ``by`` [ns]."""
        ...

    def times(self) -> NDArray[np.int64]:
        """Return all times [ns], int64 ``(count,)``."""
        ...

    def parts(self) -> "Sequence[RegularAxis | IrregularAxis]":
        """Return the stretches it is made of."""
        ...


class RegularAxis:
    """Samples at ``origin + round((first + i) * period)`` [ns]; a slice keeps its grid exactly."""

    __slots__ = ("count", "evidence", "first", "origin", "period", "uncertainty")

    def __init__(
        self,
        origin: int,
        period: float,
        count: int,
        first: int = 0,
        uncertainty: float = 0.0,
        evidence: Evidence | None = None,
    ) -> None:
        self.origin, self.period, self.count, self.first = origin, period, count, first
        self.uncertainty, self.evidence = uncertainty, evidence

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        return self.origin + round((self.first + i) * self.period)

    def edge(self, i: int) -> int:
        """Return where the sample before ``i`` ends [ns]."""
        return self.at(i)

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        i = ceil((t - self.origin) / self.period) - self.first
        count = self.count
        if i > count:
            i = count
        elif i < 0:
            i = 0
        # the division may be off by one against the rounding in `at`, which decides
        while i and self.at(i - 1) >= t:
            i -= 1
        while i < count and self.at(i) < t:
            i += 1
        return i

    def cut(self, i: int, j: int) -> "RegularAxis":
        """Return the axis of samples ``i`` to ``j``."""
        return RegularAxis(
            self.origin, self.period, j - i, self.first + i, self.uncertainty, self.evidence
        )

    def take(self, indices: NDArray[np.intp]) -> Axis:
        """Return the axis of samples ``indices`` ``(n,)``, increasing, at the same times."""
        return _take_from_grid(self, 1, indices)

    def shifted(self, by: int) -> "RegularAxis":
        """Return the same grid later by ``by`` [ns]."""
        return RegularAxis(
            self.origin + by, self.period, self.count, self.first, self.uncertainty, self.evidence
        )

    def times(self) -> NDArray[np.int64]:
        """Return all times [ns], int64 ``(count,)``."""
        steps = np.arange(self.first, self.first + self.count, dtype=np.float64)
        steps *= self.period
        return np.rint(steps, out=steps).astype(np.int64) + self.origin

    def parts(self) -> "Sequence[RegularAxis | IrregularAxis]":
        """Return the stretches it is made of."""
        return (self,)

    def extends(self, other: "RegularAxis | IrregularAxis") -> bool:
        """Whether this is the continuation of ``other`` on the same grid."""
        return (
            self.origin == other.origin
            and self.first == other.first + other.count
            and self.period == other.period
            and self.evidence is other.evidence
            and (
                self.uncertainty == other.uncertainty
                or (isnan(self.uncertainty) and isnan(other.uncertainty))
            )
            if type(other) is RegularAxis
            else False
        )

    def with_count(self, count: int) -> "RegularAxis":
        """Return the same grid, longer or shorter."""
        return RegularAxis(
            self.origin, self.period, count, self.first, self.uncertainty, self.evidence
        )


class StridedAxis(RegularAxis):
    """Every ``step``-th point of a grid, at exactly the time [ns] it has there.

    A grid of its own, of a period ``step`` times as long, would be rounded otherwise.

    Parameters
    ----------
    grid, first, step, count
        The grid, the number of its point that comes first, and of points from one to the next.
    length
        Points that a sample lasts; default: ``step``.
    """

    __slots__ = ("length", "step")

    def __init__(
        self, grid: RegularAxis, first: int, step: int, count: int, length: int | None = None
    ) -> None:
        super().__init__(grid.origin, grid.period, count, first, grid.uncertainty, grid.evidence)
        self.step, self.length = step, step if length is None else length

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        return self.origin + round((self.first + i * self.step) * self.period)

    def edge(self, i: int) -> int:
        """Return where the sample before ``i`` ends [ns]."""
        return self.origin + round((self.first + (i - 1) * self.step + self.length) * self.period)

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        if not self.count:
            return 0
        dense = RegularAxis(self.origin, self.period, (self.count - 1) * self.step + 1, self.first)
        return -(-dense.find(t) // self.step)

    def cut(self, i: int, j: int) -> "StridedAxis":
        """Return the axis of samples ``i`` to ``j``."""
        return StridedAxis(self, self.first + i * self.step, self.step, j - i, self.length)

    def take(self, indices: NDArray[np.intp]) -> Axis:
        """Return the axis of samples ``indices`` ``(n,)``, increasing, at the same times."""
        return _take_from_grid(self, self.step, indices)

    def shifted(self, by: int) -> "StridedAxis":
        """Return the same samples later by ``by`` [ns]."""
        return StridedAxis(super().shifted(by), self.first, self.step, self.count, self.length)

    def times(self) -> NDArray[np.int64]:
        """Return all times [ns], int64 ``(count,)``."""
        dense = RegularAxis(self.origin, self.period, (self.count - 1) * self.step + 1, self.first)
        return dense.times()[:: self.step]

    def extends(self, _other: "RegularAxis | IrregularAxis") -> bool:
        """Return False: it is not joined with others to one."""
        return False

    def with_count(self, count: int) -> "StridedAxis":
        """Return the same grid, longer or shorter."""
        return StridedAxis(self, self.first, self.step, count, self.length)


class IrregularAxis:
    """Samples with a time each: read-only int64 ``(count,)`` [ns], strictly increasing."""

    __slots__ = ("count", "evidence", "stamps", "uncertainty")

    def __init__(
        self,
        stamps: NDArray[np.int64],
        uncertainty: float = 0.0,
        evidence: Evidence | None = None,
    ) -> None:
        self.stamps, self.count = stamps, len(stamps)
        self.uncertainty, self.evidence = uncertainty, evidence

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        if i < self.count:
            return self.stamps.item(i)
        return self.stamps.item(-1) + 1 if self.count else 0

    def edge(self, i: int) -> int:
        """Return where the sample before ``i`` ends [ns]."""
        return self.stamps.item(i - 1) + 1

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        return int(self.stamps.searchsorted(t))

    def cut(self, i: int, j: int) -> "IrregularAxis":
        """Return the axis of samples ``i`` to ``j``."""
        return IrregularAxis(self.stamps[i:j], self.uncertainty, self.evidence)

    def take(self, indices: NDArray[np.intp]) -> "IrregularAxis":
        """Return the axis of samples ``indices`` ``(n,)``, increasing, at the same times."""
        stamps = self.stamps[indices]
        stamps.flags.writeable = False
        return IrregularAxis(stamps, self.uncertainty, self.evidence)

    def shifted(self, by: int) -> "IrregularAxis":
        """Return the same samples later by ``by`` [ns]."""
        stamps = self.stamps + by
        stamps.flags.writeable = False
        return IrregularAxis(stamps, self.uncertainty, self.evidence)

    def times(self) -> NDArray[np.int64]:
        """Return all times [ns], int64 ``(count,)``."""
        return self.stamps

    def parts(self) -> "Sequence[RegularAxis | IrregularAxis]":
        """Return the stretches it is made of."""
        return (self,)


class CompositeAxis:
    """Stretches one after the other, or a part of them; nothing is cut until somebody asks.

    Parameters
    ----------
    parts
        The stretches; the last one may grow.
    starts
        The number of the first sample of each.
    first
        The number of the first sample of this axis.
    count
        Its samples.
    """

    __slots__ = ("_first", "_parts", "_starts", "count")

    def __init__(
        self,
        parts: "Sequence[RegularAxis | IrregularAxis]",
        starts: Sequence[int],
        first: int,
        count: int,
    ) -> None:
        self._parts, self._starts, self._first, self.count = parts, starts, first, count

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        number, starts = self._first + i, self._starts
        if i >= self.count:
            k = bisect_right(starts, number - 1) - 1
            return self._parts[k].edge(number - starts[k])
        k = bisect_right(starts, number) - 1
        return self._parts[k].at(number - starts[k])

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        low, high = 0, len(self._parts)
        while low < high:  # the first part that does not lie wholly before t
            middle = (low + high) // 2
            part = self._parts[middle]
            if part.at(part.count - 1) < t:
                low = middle + 1
            else:
                high = middle
        if low == len(self._parts):
            return self.count
        found = self._starts[low] + self._parts[low].find(t) - self._first
        return min(max(found, 0), self.count)

    def cut(self, i: int, j: int) -> Axis:
        """Return the axis of samples ``i`` to ``j``."""
        return cut_parts(self._parts, self._starts, self._first + i, self._first + j)

    def take(self, indices: NDArray[np.intp]) -> Axis:
        """Return the axis of samples ``indices`` ``(n,)``, increasing, at the same times."""
        parts = self.parts()
        starts = [0, *accumulate(part.count for part in parts)]
        cuts = indices.searchsorted(starts)
        return join_axes(
            part.take(indices[i:j] - start)
            for part, start, i, j in zip(parts, starts, cuts, cuts[1:], strict=False)
        )

    def shifted(self, by: int) -> "CompositeAxis":
        """Return the same samples later by ``by`` [ns]."""
        parts = [part.shifted(by) for part in self._parts]
        return CompositeAxis(parts, self._starts, self._first, self.count)

    def times(self) -> NDArray[np.int64]:
        """Return all times [ns], int64 ``(count,)``."""
        return np.concatenate([part.times() for part in self.parts()])

    def parts(self) -> "Sequence[RegularAxis | IrregularAxis]":
        """Return the stretches it is made of."""
        starts, first = self._starts, self._first
        parts = list(self._parts)
        last = len(parts) - 1
        parts[last] = parts[last].cut(0, first + self.count - starts[last])
        parts[0] = parts[0].cut(first - starts[0], parts[0].count)
        return parts


def cut_parts(
    parts: "Sequence[RegularAxis | IrregularAxis]", starts: Sequence[int], i: int, j: int
) -> Axis:
    """Return samples number ``i`` to ``j`` of stretches that begin at ``starts``, in O(log n)."""
    if i >= j:
        return parts[0].cut(0, 0)
    a = b = len(starts) - 1
    if starts[a] > i:  # most often all lies in the newest
        a = bisect_right(starts, i) - 1
        if starts[b] >= j:
            b = bisect_right(starts, j - 1) - 1
    if a == b:
        return parts[a].cut(i - starts[a], j - starts[a])
    return CompositeAxis(parts[a : b + 1], starts[a : b + 1], i, j - i)


def join_axes(axes: Iterable[Axis]) -> Axis:
    """Return one axis for several in order; stretches of one grid become one again."""
    parts: list[RegularAxis | IrregularAxis] = []
    first: Axis | None = None
    for axis in axes:
        first = first or axis
        for part in axis.parts():
            if not part.count:
                continue
            if parts and type(part) is RegularAxis and part.extends(parts[-1]):
                last = parts[-1]
                parts[-1] = last.with_count(last.count + part.count)  # type: ignore[union-attr]
            else:
                parts.append(part)
    if not parts:
        if first is None:
            return NO_TIMES
        return first
    if len(parts) == 1:
        return parts[0]
    starts = [0, *accumulate(part.count for part in parts)]
    return CompositeAxis(parts, starts[:-1], 0, starts[-1])


def every(axis: Axis, step: int) -> Axis:
    """Return every ``step``-th sample, beginning with the first.

    Where the next one is not known, a sample lasts as long as before: whoever counts samples need
    not wait for it.

    Examples
    --------
    >>> every(RegularAxis(0, 10.0, 7), 3).times().tolist()
    [0, 30, 60]
    """
    parts: list[Axis] = []
    skip = 0
    for part in axis.parts() if step > 1 else ():
        count = -((skip - part.count) // step)
        if count <= 0:
            skip -= part.count
            continue
        if isinstance(part, RegularAxis):
            by = part.step if isinstance(part, StridedAxis) else 1
            length = part.length if isinstance(part, StridedAxis) else 1
            parts.append(StridedAxis(part, part.first + skip * by, step * by, count, length))
        else:
            parts.append(part.take(np.arange(skip, part.count, step)))
        skip += count * step - part.count
    return join_axes(parts) if parts else axis


def _take_from_grid(grid: RegularAxis, step: int, indices: NDArray[np.intp]) -> Axis:
    """Return samples of a grid, every one at exactly the time [ns] it has there.

    Three or more at equal distances are one axis, however many; else each run is one.
    """
    count = len(indices)
    if count == 0:
        return NO_TIMES
    first = int(indices[0])
    steps = np.diff(indices)
    ends = np.flatnonzero(steps != 1) + 1
    if not len(ends):
        return grid.cut(first, first + count)
    if count > 2 and (steps == steps[0]).all():
        # each lasts as long as before, however many there are
        length = grid.length if isinstance(grid, StridedAxis) else 1
        return StridedAxis(grid, grid.first + first * step, int(steps[0]) * step, count, length)
    starts = [0, *ends.tolist()]
    runs = [grid.cut(int(indices[i]), int(indices[j - 1]) + 1)
            for i, j in zip(starts, [*ends.tolist(), count], strict=True)]  # fmt: skip
    return CompositeAxis(runs, starts, 0, count)


def max_uncertainty(parts: "Iterable[RegularAxis | IrregularAxis]") -> float:
    """Return the largest uncertainty [ns]; NaN if one is not known."""
    found = [part.uncertainty for part in parts]
    return nan if any(map(isnan, found)) else max(found, default=0.0)


NO_TIMES = IrregularAxis(np.empty(0, np.int64))
"""The times of no samples."""
