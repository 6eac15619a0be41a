"""What a value is that somebody gave as an option; numbers of numpy count as numbers."""

from math import isfinite
from typing import Any, TypeGuard, get_args

import numpy as np

from rxstream.errors import ParameterError
from rxstream.printable import MAX_NAME, printable, shown

__all__ = [
    "check_choice", "check_flag", "check_range", "checked_dtype", "checked_name", "checked_shape",
    "is_number", "is_positive", "is_time", "is_whole",
]  # fmt: skip

# Longest dimension of a sample; numpy has arrays of 2 GiB and more, but nobody a device for them.
_MAX_DIMENSION = 1 << 31
_MAX_TIME = 1 << 63
# Of numpy, less one for time.
_MAX_DIMENSIONS = 31


def is_whole(value: Any, least: int | None = None) -> TypeGuard[int]:
    """Whether it is a whole number, of at least ``least``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool | np.timedelta64):
        return False  # numpy takes a timedelta64 for an integer
    return least is None or bool(value >= least)


def is_time(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number that int64 can hold, as times [ns] are."""
    return is_whole(value) and -_MAX_TIME <= value < _MAX_TIME


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


def check_flag(value: object, name: str) -> None:
    """Raise ParameterError if it is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        msg = f"{name} must be True or False, not {shown(value)}"
        raise ParameterError(msg)


def check_range(value: object, name: str, least: int, most: int) -> None:
    """Raise ParameterError if it is no whole number from ``least`` to ``most``."""
    if not is_whole(value, least) or value > most:
        msg = f"{name} must be from {least} to {most}, not {shown(value)}"
        raise ParameterError(msg)


def checked_dtype(value: Any, name: str) -> np.dtype[Any]:
    """Return a type of samples; raise ParameterError if numpy knows none such."""
    try:
        found: np.dtype[Any] = np.dtype(value)
    except Exception as error:
        msg = f"{name} must be a dtype of numpy, e.g. 'float32', not {shown(value)}"
        raise ParameterError(msg) from error
    return found


def checked_shape(value: Any, name: str, least: int = 0) -> tuple[int, ...]:
    """Return the shape of a sample; raise ParameterError if it is none.

    Examples
    --------
    >>> checked_shape([480, 640], "shape")
    (480, 640)
    """
    sizes: tuple[Any, ...] = ()
    fits = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
    if fits and len(value) <= _MAX_DIMENSIONS:
        sizes = tuple(value)
    else:
        fits = False
    if not fits or not all(is_whole(n, least) and n < _MAX_DIMENSION for n in sizes):
        msg = (
            f"{name} must be the sizes of one sample, each >= {least}, e.g. (480, 640, 3), not "
            f"{shown(value)}"
        )
        raise ParameterError(msg)
    return tuple(int(n) for n in sizes)


def check_choice(value: object, choices: Any, name: str) -> None:
    """Raise ParameterError if ``value`` is none of a ``Literal``."""
    options = get_args(choices)
    if not isinstance(value, str) or value not in options:
        msg = f"{name} must be {' or '.join(map(repr, options))}, not {shown(value)}"
        raise ParameterError(msg)
