"""What a value is that somebody gave as an option; numbers of numpy count as numbers."""

from math import isfinite
from typing import Any, TypeGuard

import numpy as np

__all__ = ["is_number", "is_whole"]


def is_whole(value: Any, least: int) -> TypeGuard[int]:
    """Whether it is a whole number of at least ``least``."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number."""
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool) and isfinite(value)
