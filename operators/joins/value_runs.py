"""Runs of equal values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["runs"]


def runs(values: NDArray[Any]) -> list[int]:
    """Return the positions at which runs of equal values begin.

    Examples
    --------
    >>> runs(np.array([5, 5, 7, 5]))
    [0, 2, 3]
    """
    return [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]
