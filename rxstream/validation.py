"""What a value is that somebody gave as an option; numbers of numpy count as numbers."""

from math import isfinite
from typing import Any, TypeGuard

import numpy as np

__all__ = ["is_number", "is_whole"]


def is_whole(value: Any, least: int | None = None) -> TypeGuard[int]:
    """Whether it is a whole number, of at least ``least``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool | np.timedelta64):
        return False  # numpy takes a timedelta64 for an integer
    return least is None or bool(value >= least)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number."""
    return (isinstance(value, float | np.floating) or is_whole(value)) and isfinite(value)
