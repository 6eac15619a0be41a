"""Runs of equal values, and the axis of the samples that are left of several."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis, IrregularAxis, join_axes

__all__ = ["pick_axis", "runs"]


def runs(values: NDArray[Any]) -> list[int]:
    """Return where runs of equal values begin.

    Examples
    --------
    >>> runs(np.array([5, 5, 7, 5]))
    [0, 2, 3]
    """
    return [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]


def pick_axis(axis: Axis, good: NDArray[np.bool_]) -> Axis:
    """Return the axis of the samples that are ``good``; what is on a grid stays on it."""
    out: list[Axis] = []
    at = 0
    for part in axis.parts():
        here = good[at : at + part.count]
        at += part.count
        if type(part) is IrregularAxis:
            stamps = part.stamps[here]
            stamps.flags.writeable = False
            out.append(IrregularAxis(stamps, part.uncertainty, part.evidence))
        else:
            cuts = [*runs(here), part.count]
            out += [part.cut(a, b) for a, b in pairwise(cuts) if a < b and here[a]]
    return join_axes(out)
