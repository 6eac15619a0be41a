"""Columns of whole numbers that somebody gave, checked."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.clock import FOREVER, NEVER
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_time, is_whole

__all__ = ["int_column", "time_column", "whole_column"]

Ints: TypeAlias = NDArray[np.int64]

_INT64 = np.iinfo(np.int64)


def whole_column(name: str, values: Any) -> NDArray[np.int64] | NDArray[np.uint64]:
    """Return whole numbers ``(m,)``, as int64 where all fit, else as uint64.

    Raises
    ------
    ParameterError
        If they are no column of whole numbers, or one is too large or is masked.

    Examples
    --------
    >>> whole_column("n", [1, 2]).tolist()
    [1, 2]
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
        array = _from_objects(name, np.array([*values], object) if plain else array)
    if array.dtype.kind == "u" and array.size and array.max() > _INT64.max:
        return array.astype(np.uint64)
    return array.astype(np.int64)


def _from_objects(name: str, array: NDArray[Any]) -> Ints:
    """Return whole numbers that are Python objects; raise ParameterError if they are none."""
    wrong = array[0]
    if array.dtype.kind == "f":
        wrong = array[np.argmax(~np.isfinite(array))]
    elif array.dtype.kind == "O":
        others = [x for x in array if not is_whole(x)]
        beyond = [x for x in array if not others and not is_time(x)]
        if beyond:
            msg = f"{name} must fit into int64, not {shown(beyond[0])}; times are ns since 1970"
            raise ParameterError(msg)
        if not others:
            return array.astype(np.int64)
        wrong = others[0]
    remedy = "np.rint(seconds * 1e9).astype(np.int64)"
    if array.dtype.kind in "mM":
        remedy = f"times.astype('{array.dtype.kind}8[ns]').astype(np.int64)"
    msg = (
        f"{name} must be (m,) integers, not {wrong!s:.40} ({array.dtype}); give whole numbers, of "
        f"times nanoseconds: {remedy}"
    )
    raise ParameterError(msg)


def int_column(name: str, values: Any) -> Ints:
    """Return whole numbers ``(m,)`` that fit into int64; raise ParameterError where they do not."""
    array = whole_column(name, values)
    if array.dtype.kind == "u":
        msg = f"{name} must fit into int64 [ns since 1970], not {array.max()}"
        raise ParameterError(msg)
    return array.astype(np.int64, copy=False)


def time_column(name: str, values: Any) -> Ints:
    """Return times ``(m,)`` [ns] within 146 years of 1970, whose differences fit into int64.

    Raises
    ------
    ParameterError
        If they are none.
    """
    times = int_column(name, values)
    far = (times <= NEVER) | (times >= FOREVER)
    if far.any():
        at = int(np.argmax(far))
        msg = (
            f"{name} {times[at]} at {at} is no time [ns since 1970] within 146 years of it; give "
            "nanoseconds, and leave out what has no time"
        )
        raise ParameterError(msg)
    return times
