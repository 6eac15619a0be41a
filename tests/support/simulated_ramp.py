"""A simulated device whose values are the numbers of its samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream import Reading
from rxstream.devices import Simulated

__all__ = ["ramp", "samples"]


def ramp(rate: float = 1000.0, **options: Any) -> Simulated:
    """Return a device of which sample ``k`` is ``k``."""
    given: dict[str, Any] = {"rate": rate, "signal": "ramp", "dtype": np.int64} | options
    return Simulated(**given)


def samples(readings: Sequence[Reading]) -> NDArray[Any]:
    """Return the samples of readings, one after the other."""
    return np.concatenate([reading.data for reading in readings])
