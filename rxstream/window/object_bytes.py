"""Estimate of the memory of samples that are Python objects."""

import sys
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bytes_of_objects"]

# Objects of an array that are looked at, and of each, level by level, what it holds; the others are
# taken for as large. Few, since this runs for every chunk of objects: a string costs 0.2 us, a dict
# of numbers 5 us, and what holds hundreds of others 30 us.
_LOOKED_AT = 16
_HELD = (16, 4, 2)

# Most objects are of these types, which hold no others.
_PLAIN = frozenset((str, bytes, int, float, complex, bool, type(None)))

# An object whose own size cannot be asked for [bytes].
_UNKNOWN = 64


def bytes_of_objects(data: NDArray[Any]) -> int:
    """Return an estimate of the bytes of objects in an array, with what they hold.

    It looks into dicts, lists, tuples, sets, deques, dataclasses and arrays, three levels deep, and
    at some of many. What several objects share counts for each of them.

    Examples
    --------
    >>> frames = np.empty(2, object)
    >>> frames[:] = [{"frame": np.zeros(1_000_000, np.uint8), "seen": ["cat"]} for _ in range(2)]
    >>> 2_000_000 < bytes_of_objects(frames) < 2_010_000
    True
    """
    if not data.size:
        return 0
    looked_at = data.ravel()[:: -(-data.size // _LOOKED_AT)].tolist()
    return sum(map(_bytes_of, looked_at)) * data.size // len(looked_at)


def _bytes_of(item: object) -> int:
    try:
        return _bytes(item, 0)
    # classes of others may raise anything, and an object may change while it is looked at
    except Exception:  # noqa: BLE001
        return _UNKNOWN


def _bytes(item: object, level: int) -> int:
    """Return the bytes of an object that lies at a level below a sample, and of what it holds."""
    size = sys.getsizeof(item, _UNKNOWN)
    if type(item) in _PLAIN:
        return size
    if isinstance(item, np.ndarray | memoryview) and size <= item.nbytes:
        # `getsizeof` leaves out the memory of another
        size += item.nbytes
    if level == len(_HELD):
        return size
    for held, count in _held(item):
        if count:
            step = -(-count // _HELD[level])
            found = [_bytes(each, level + 1) for each in islice(held, 0, None, step)]
            size += sum(found) * count // len(found)
    return size


def _held(item: object) -> tuple[tuple[Iterable[object], int], ...]:
    """Return what an object holds, and how many."""
    if isinstance(item, dict):
        return (item, len(item)), (item.values(), len(item))
    if isinstance(item, list | tuple | set | frozenset | deque):
        return ((item, len(item)),)
    if isinstance(item, np.ndarray):
        return ((item.flat, item.size),) if item.dtype.hasobject else ()
    names = getattr(type(item), "__dataclass_fields__", ())
    return (((getattr(item, name, None) for name in names), len(names)),) if names else ()
