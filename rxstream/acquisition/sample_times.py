"""Axes of the samples of one reading: none before the end of what is out, none after its arrival.

A sample of a regular stream lasts until the next one, so a chunk ends a period after its last
sample. But a chunk that comes before that may be followed by one that comes sooner than it should,
and would lie after its own arrival if it had to wait for that end. So no chunk ends after it
arrived. Most blocks come later than their end: theirs is one grid from the end of the last block.
"""

from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import IrregularAxis, RegularAxis
from rxstream.data.gridded_axis import GriddedAxis
from rxstream.data.stamps import strictly_increasing

__all__ = ["RegularTimes", "forward"]


class RegularTimes:
    """Axes of one regular stream.

    Parameters
    ----------
    period
        Nominal distance of samples [ns].

    Examples
    --------
    A sample taken at 100 ns that arrives at 107, and two taken at 110 and 120 that arrive at 140:

    >>> times = RegularTimes(10.0)
    >>> axis, end = times.on_line(None, 100, 100, 1, 10.0, 0.0, 107, goes_on=False)
    >>> axis.times(), end
    (array([100]), 106)
    >>> axis, end = times.on_line(end, 110, 120, 2, 10.0, 0.0, 140, goes_on=True)
    >>> axis.times(), end
    (array([110, 120]), 130)
    """

    __slots__ = ("_early", "_period")

    def __init__(self, period: float) -> None:
        self._period = period
        # Whether the last chunk ended before its last sample did.
        self._early = False

    def on_line(
        self, before: int | None, first: int, last: int, n: int, period: float,
        uncertainty: float, limit: int, *, goes_on: bool,
    ) -> tuple[RegularAxis | IrregularAxis, int]:  # fmt: skip
        """Return the axis of ``n`` samples, and where they end [ns].

        Parameters
        ----------
        before
            End of what is out [ns]; None if nothing is.
        first, last
            Times of the first and the last by the line [ns].
        period
            Distance of samples by the line [ns].
        uncertainty
            Of their times [ns]; by how much they then are too late, for want of room, is added.
        limit
            Time after which none lies [ns]: its arrival, less the path delay.
        goes_on
            Whether nothing is missing before them.
        """
        end = last + round(period)
        if n > 1 and before is not None and goes_on and end <= limit + 1 and not self._early:
            # at no less than half their distance: a late correction may squeeze a chunk so far, no
            # more, unless it has arrived by then
            least = before + max(n, round(n * self._period / 2))
            if least > end:
                least = max(min(least, limit + 1), before + n)
                if least > end:
                    uncertainty += least - end
                    end = least
            return RegularAxis(before, (end - before) / n, n, 0, uncertainty), end
        after = last - limit
        if after > 0:
            first, last = first - after, limit
        if before is not None and first < before:
            first = before
        late = first + n - 1 - last
        if late > 0:
            last, uncertainty = last + late, uncertainty + late
        step = (last - first) / (n - 1) if n > 1 else float(max(end - first, 1))
        axis = RegularAxis(first, step, n, 0, uncertainty)
        end = axis.at(n)
        self._early = end > limit + 1
        if not self._early:
            return axis, end
        # half a period later the next sample may come, if earlier ones were too late
        end = max(min(limit, last + round(period / 2)), last) + 1
        # with a stamp for each a sample ends at once: whoever counts samples waits for no end
        return _stamped(axis), end

    def by_arrival(
        self, before: int | None, first: int, last: int, n: int, uncertainty: float
    ) -> tuple[IrregularAxis, int]:
        """Return the axis of ``n`` samples where there is no line, and where they end [ns]."""
        if before is not None and first < before:
            first = before
        late = first + n - 1 - last
        if late > 0:
            last, uncertainty = last + late, uncertainty + late
        self._early = True
        step = (last - first) / (n - 1) if n > 1 else 1.0
        return _stamped(RegularAxis(first, step, n, 0, uncertainty)), last + 1


def _stamped(axis: RegularAxis) -> IrregularAxis:
    if axis.count > 1:
        return GriddedAxis(axis, axis.uncertainty)
    stamps = np.array((axis.origin,), np.int64)
    stamps.flags.writeable = False
    return IrregularAxis(stamps, axis.uncertainty)


def forward(
    times: NDArray[np.int64],
    end: int | None,
    bounds: tuple[int, int] | None,
    uncertainty: float = nan,
) -> IrregularAxis:
    """Return times ``(n,)`` [ns] as an axis: strictly increasing, from ``end`` [ns] on.

    Without a model their uncertainty is known by the bounds of the last sample [ns] alone. By how
    much some then are too late, for want of room, is added.
    """
    late = 0
    if end is not None and times.item(0) < end:
        late = end - times.item(0)
        times[0] = end
    if len(times) > 1 and not (times[1:] > times[:-1]).all():
        given, times = times, strictly_increasing(times)
        late = max(late, int((times - given).max()))
    times.flags.writeable = False
    if bounds is not None and isnan(uncertainty):
        uncertainty = (bounds[1] - bounds[0]) / 2
    return IrregularAxis(times, uncertainty + late)
