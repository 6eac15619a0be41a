"""What a value is that somebody gave as an option; numbers of numpy count as numbers."""

from math import isfinite
from typing import Any, TypeGuard, get_args

import numpy as np

from rxstream.errors import ParameterError
from rxstream.printable import MAX_NAME, printable, shown

__all__ = ["check_choice", "checked_name", "is_number", "is_positive", "is_whole"]


def is_whole(value: Any, least: int | None = None) -> TypeGuard[int]:
    """Whether it is a whole number, of at least ``least``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool | np.timedelta64):
        return False  # numpy takes a timedelta64 for an integer
    return least is None or bool(value >= least)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number that a float can hold."""
    try:
        return (isinstance(value, float | np.floating) or is_whole(value)) and isfinite(value)
    except OverflowError:
        return False


def is_positive(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number above 0."""
    return is_number(value) and value > 0


def checked_name(value: object, what: str) -> str:
    r"""Return a name as it can be shown; raise ParameterError if it is no text.

    Examples
    --------
    >>> checked_name("mic\x1b[2J", "name")
    'mic\\x1b[2J'
    """
    if not isinstance(value, str):
        msg = f"{what} must be text, not {shown(value)}"
        raise ParameterError(msg)
    return printable(value, MAX_NAME)


def check_choice(value: object, choices: Any, name: str) -> None:
    """Raise ParameterError if ``value`` is none of a ``Literal``."""
    options = get_args(choices)
    if not isinstance(value, str) or value not in options:
        msg = f"{name} must be {' or '.join(map(repr, options))}, not {shown(value)}"
        raise ParameterError(msg)
