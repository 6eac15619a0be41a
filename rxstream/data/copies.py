"""Copies of the arrays of a chunk, which hold nothing else."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rxstream.data.axis import Axis, IrregularAxis, RegularAxis, join_axes

__all__ = ["own_axis", "own_data"]

S = TypeVar("S", bound=np.generic)


def own_data(data: NDArray[S]) -> NDArray[S]:
    """Return a read-only copy of an array.

    Examples
    --------
    >>> frames = np.zeros((1000, 480, 640))
    >>> own_data(frames[:1]).base is None
    True
    """
    own = np.array(data, order="C")
    own.flags.writeable = False
    return own


def own_axis(axis: Axis) -> Axis:
    """Return the same times [ns], stamps in an array of their own; raw evidence is shared."""
    if type(axis) is RegularAxis:
        return axis
    return join_axes(map(_own_part, axis.parts()))


def _own_part(part: RegularAxis | IrregularAxis) -> RegularAxis | IrregularAxis:
    if type(part) is not IrregularAxis or part.stamps.base is None:
        return part
    return IrregularAxis(own_data(part.stamps), part.uncertainty, part.evidence)
