"""Whether a value fits a type of samples: nothing is cut, rounded to a whole number, or wrapped."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.printable import shown

__all__ = ["fit"]

# Kinds of numpy whose values a type of another kind holds: whole numbers are floats as well.
_HELD: dict[str, str] = {
    "i": "iu",
    "u": "iu",
    "f": "iuf",
    "c": "iufc",
    "b": "b",
    "U": "U",
    "S": "S",
}


def fit(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a value as an array of ``dtype``; raise ValueError with the remedy if it does not fit.

    Floats may be rounded to the digits of ``dtype``; that is all that may change.

    Examples
    --------
    >>> fit([1, 2], np.dtype("f4"))
    array([1., 2.], dtype=float32)
    >>> fit(300, np.dtype("u1"))
    Traceback (most recent call last):
    ValueError: 300 is beyond uint8; give a wider dtype
    """
    if dtype.hasobject:
        return np.asarray(value, dtype)
    try:
        given = np.asarray(value)
    except ValueError:
        msg = f"{shown(value)} has parts of different lengths; give an array"
        raise ValueError(msg) from None
    if given.dtype == dtype:
        return given
    kind = given.dtype.kind
    if kind not in _HELD.get(dtype.kind, ""):
        raise ValueError(_of_another_kind(value, given, dtype))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if given.size and not (limits.min <= int(given.min()) and int(given.max()) <= limits.max):
            msg = f"{shown(value)} is beyond {dtype}; give a wider dtype"
            raise ValueError(msg)
    elif dtype.kind in "US" and given.dtype.itemsize > dtype.itemsize:
        longest = max(map(len, given.ravel().tolist()))
        wider = f"{dtype.kind}{longest}"
        msg = f"{shown(value)} has {longest} characters; give dtype {wider!r}, or cut it"
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        out = given.astype(dtype)
    if dtype.kind in "fc" and not np.array_equal(np.isinf(out), np.isinf(given)):
        msg = f"{shown(value)} is beyond {dtype}; give a wider dtype"
        raise ValueError(msg)
    return out


def _of_another_kind(value: Any, given: NDArray[Any], dtype: np.dtype[Any]) -> str:
    """Return that a value is none of a dtype, and what to do."""
    remedy = "convert it, or give another dtype"
    if dtype.kind in "iu" and isinstance(value, float) and not math.isnan(value):
        remedy = "round it, or give dtype=float"
    elif dtype.kind in "iufc" and given.dtype.kind == "O" and isinstance(value, int):
        remedy = "give dtype=float"
    elif dtype.kind in "iufc" and given.dtype.kind in "US":
        remedy = "make it a number, e.g. float(text)"
    elif dtype.kind == "U" and given.dtype.kind == "S":
        remedy = "decode it"
    return f"{shown(value)} does not fit {dtype}; {remedy}"
