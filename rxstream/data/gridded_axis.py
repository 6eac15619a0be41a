"""`GriddedAxis`: a stamp for each sample, without an array where the stamps lie on a grid."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Evidence, IrregularAxis, RegularAxis

__all__ = ["GriddedAxis"]


class GriddedAxis(IrregularAxis):
    """Stamps that lie on a grid, and are made when asked for; a slice keeps its grid exactly.

    Each sample ends at once, as any with a stamp of its own: the next one may come before a period
    of the grid is over.

    Examples
    --------
    >>> axis = GriddedAxis(RegularAxis(100, 10.0, 3), 0.0)
    >>> axis.times(), axis.at(3), axis.find(115)
    (array([100, 110, 120]), 121, 2)
    """

    __slots__ = ("_grid",)

    def __init__(
        self, grid: RegularAxis, uncertainty: float, evidence: Evidence | None = None
    ) -> None:
        self._grid, self.count = grid, grid.count
        self.uncertainty, self.evidence = uncertainty, evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return GriddedAxis, (self._grid, self.uncertainty, self.evidence)

    @property
    def stamps(self) -> NDArray[np.int64]:  # type: ignore[override]  # a slot there
        """Times of all samples [ns], int64 ``(count,)``, read-only."""
        stamps = self._grid.times()
        stamps.flags.writeable = False
        return stamps

    def at(self, i: int) -> int:
        """Return the time [ns] of sample ``i``; ``at(count)`` is the end, exclusive."""
        if i < self.count:
            return self._grid.at(i)
        return self._grid.at(self.count - 1) + 1 if self.count else 0

    def edge(self, i: int) -> int:
        """Return where the sample before ``i`` ends [ns]."""
        return self._grid.at(i - 1) + 1

    def find(self, t: int) -> int:
        """Return how many samples lie before ``t`` [ns]."""
        return self._grid.find(t)

    def cut(self, i: int, j: int) -> "GriddedAxis":
        """Return the axis of samples ``i`` to ``j``."""
        return GriddedAxis(self._grid.cut(i, j), self.uncertainty, self.evidence)

    def shifted(self, by: int) -> "GriddedAxis":
        """Return the same samples later by ``by`` [ns]."""
        return GriddedAxis(self._grid.shifted(by), self.uncertainty, self.evidence)
