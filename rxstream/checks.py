"""What a value is that somebody gave as an option; numbers of numpy count as numbers."""

from numbers import Integral, Real
from typing import Any, TypeGuard

__all__ = ["is_number", "is_whole"]


def is_whole(value: Any, least: int) -> TypeGuard[int]:
    """Whether it is a whole number of at least ``least``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and abs(float(value)) < float("inf")
