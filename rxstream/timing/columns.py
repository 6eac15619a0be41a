"""Columns of whole numbers that somebody gave, checked."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.clock import FOREVER, NEVER
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["int_column", "time_column", "whole_column"]

Ints: TypeAlias = NDArray[np.int64]

_INT64, _UINT64 = np.iinfo(np.int64), np.iinfo(np.uint64)


def whole_column(name: str, values: Any) -> NDArray[np.int64] | NDArray[np.uint64]:
    """Return whole numbers ``(m,)``, as int64 where all fit, else as uint64.

    Raises
    ------
    ParameterError
        If they are no column of whole numbers, do not all fit into one of the two, or one is
        masked.

    Examples
    --------
    >>> whole_column("n", [1, 2]).tolist()
    [1, 2]
    >>> whole_column("n", [1, 1 << 63]).dtype
    dtype('uint64')
    """
    array = _whole(name, values)
    least, most = _extremes(array)
    if least < 0 and most > _INT64.max:
        msg = f"{name} must fit into int64 or uint64, not {least} and {shown(most)} together"
        raise ParameterError(msg)
    if least < _INT64.min or most > _UINT64.max:
        wrong = least if least < _INT64.min else most
        msg = f"{name} must fit into int64 or uint64, not {shown(wrong)}"
        raise ParameterError(msg)
    return array.astype(np.uint64) if most > _INT64.max else array.astype(np.int64)


def _extremes(array: NDArray[Any]) -> tuple[int, int]:
    """Return the least and the most of whole numbers; 0 and 0 if there are none."""
    if not array.size:
        return 0, 0
    if array.dtype.kind == "O":
        # Integers of numpy among them are compared as those of Python.
        numbers = [int(number) for number in array]
        return min(numbers), max(numbers)
    return int(array.min()), int(array.max())


def _whole(name: str, values: Any) -> NDArray[Any]:
    """Return a column of whole numbers of any size, as integers or as objects.

    Raises
    ------
    ParameterError
        If they are none, or one is masked.
    """
    try:
        array = np.asarray(values)
    except Exception as error:
        msg = f"{name} must be (m,) integers, not {shown(values)}"
        raise ParameterError(msg) from error
    if array.ndim != 1:
        given = f"{array.shape} {array.dtype}" if array.ndim else shown(values)
        msg = f"{name} must be (m,) integers, not {given}"
        raise ParameterError(msg)
    if np.ma.is_masked(values):
        at = int(np.flatnonzero(np.ma.getmaskarray(values))[0])
        msg = f"{name} has no value at {at}, where it is masked; leave out what is masked"
        raise ParameterError(msg)
    if array.size and array.dtype.kind not in "iu":
        # What numpy has made of ints too large may be floats.
        plain = array.dtype.kind == "f" and all(map(is_whole, values))
        array = np.array([*values], object) if plain else array
        _check_whole(name, array)
    return array


def _check_whole(name: str, array: NDArray[Any]) -> None:
    """Raise ParameterError unless they are whole numbers that are Python objects."""
    wrong = array[0]
    if array.dtype.kind == "f":
        wrong = array[np.argmax(~np.isfinite(array))]
    elif array.dtype.kind == "O":
        others = [x for x in array if not is_whole(x)]
        if not others:
            return
        wrong = others[0]
    remedy = "np.rint(seconds * 1e9).astype(np.int64)"
    if array.dtype.kind in "mM":
        remedy = f"times.astype('{array.dtype.kind}8[ns]').astype(np.int64)"
    msg = (
        f"{name} must be (m,) integers, not {wrong!s:.40} ({array.dtype}); give whole numbers, of "
        f"times nanoseconds: {remedy}"
    )
    raise ParameterError(msg)


def int_column(name: str, values: Any, unit: str = "") -> Ints:
    """Return whole numbers ``(m,)`` that fit into int64; raise ParameterError where they do not.

    The error names their unit, if there is one.
    """
    array = _whole(name, values)
    least, most = _extremes(array)
    if least < _INT64.min or most > _INT64.max:
        wrong = most if most > _INT64.max else least
        msg = f"{name} must fit into int64{unit and f' [{unit}]'}, not {shown(wrong)}"
        raise ParameterError(msg)
    return array.astype(np.int64)


def time_column(name: str, values: Any) -> Ints:
    """Return times ``(m,)`` [ns] within 146 years of 1970, whose differences fit into int64.

    Raises
    ------
    ParameterError
        If they are none.
    """
    times = int_column(name, values, "ns since 1970")
    far = (times <= NEVER) | (times >= FOREVER)
    if far.any():
        at = int(np.argmax(far))
        msg = (
            f"{name} {times[at]} at {at} is no time [ns since 1970] within 146 years of it; give "
            "nanoseconds, and leave out what has no time"
        )
        raise ParameterError(msg)
    return times
