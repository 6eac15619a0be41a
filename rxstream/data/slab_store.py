"""Samples kept in slabs: large arrays filled once and never written again.

A view of a slab stays valid for ever, so readers need neither a lock nor a copy; a slab is freed
when the store has trimmed it and no view is left.
"""

import sys
from bisect import bisect_right
from sys import getrefcount
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

__all__ = ["SampleCopies", "SlabStore"]

S = TypeVar("S", bound=np.generic, default=Any)
# Small slabs cost Python calls, large ones memory that stays while one view of them does.
_LEAST_BYTES, _MOST_BYTES = 1 << 16, 1 << 26

# Above this much overlap a slab grows by half of it: less memory, copied more often.
_MUCH_BYTES = 1 << 24

# Whether a count of references is exact: CPython with its global lock.
_COUNTS = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
_DEAD = 64  # forget entries in batches, so that forgetting is O(1) each

# A copy of more than this part of a slab has an array of its own: so no more of a slab is left
# unused, and who keeps a large copy keeps nothing else.
_SHARED_PART = 8


class SampleCopies(Generic[S]):
    """Copies of samples that are kept one by one: small ones share slabs of 64 KiB.

    Who keeps one copy keeps its slab: 64 KiB, or nothing else where the copy is large.

    Parameters
    ----------
    shape, dtype
        Of one sample.

    Examples
    --------
    >>> copies = SampleCopies((), np.dtype(int))
    >>> copies.copy(np.arange(3)), copies.copy(np.arange(2))
    (array([0, 1, 2]), array([0, 1]))
    """

    __slots__ = ("_fill", "_full", "_most", "_slab", "_view", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        sample = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        self._full = _LEAST_BYTES // sample
        self._most = self._full // _SHARED_PART
        # the first copy takes a new slab
        self._fill = self._full
        self._slab, self._view = _new_pair((0, *shape), dtype)

    def copy(self, data: NDArray[S]) -> NDArray[S]:
        """Return ``data`` ``(n, *shape)`` copied, read-only."""
        count = len(data)
        if count > self._most:
            own = np.array(data, self.dtype, order="C")
            own.flags.writeable = False
            return own
        at, end = self._fill, self._fill + count
        if end > self._full:
            self._slab, self._view = _new_pair((self._full, *self.shape), self.dtype)
            at, end = 0, count
        self._slab[at:end] = data
        self._fill = end
        return self._view[at:end]

    def like(self, data: NDArray[Any]) -> bool:
        """Whether ``data`` ``(n, *shape)`` has samples of the same kind."""
        return data.shape[1:] == self.shape and data.dtype == self.dtype


class SlabStore(Generic[S]):
    """Append-only samples with absolute positions.

    Parameters
    ----------
    shape, dtype
        Of one sample.
    slab
        Samples in a slab, of 64 KiB to 64 MiB; more where what it begins with is more.
    overlap
        How many of the last samples a new slab begins with, so that any range of up to that
        many newest samples lies in one slab and is a view. Slabs grow with what has come.

    Examples
    --------
    >>> slabs = SlabStore((), np.dtype(int), slab=10_000)
    >>> view = slabs.append(np.arange(5))
    >>> slabs.view(1, 3)
    array([1, 2])
    """

    __slots__ = (
        "_ends",
        "_fill",
        "_full",
        "_many",
        "_newest",
        "_size",
        "_slabs",
        "_spare",
        "_starts",
        "_views",
        "dtype",
        "newest",
        "newest_start",
        "overlap",
        "shape",
        "start",
        "stop",
    )  # fmt: skip

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], *, slab: int, overlap: int = 0
    ) -> None:
        self.shape, self.dtype, self.overlap = shape, dtype, overlap
        sample = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        self._size = max(min(slab, _MOST_BYTES // sample), _LEAST_BYTES // sample, 1)
        self._many = _MUCH_BYTES // sample
        self._slabs: list[NDArray[S]] = []
        self._views: list[NDArray[S]] = []  # of the same memory, read-only
        self._starts: list[int] = []
        self._ends: list[int] = []  # of all slabs but the newest
        self._fill = self._full = 0
        self._spare: tuple[NDArray[S], NDArray[S]] | None = None
        self.start = self.stop = 0
        self._new_slab(0)

    def write(self, data: NDArray[S]) -> int:
        """Copy ``data`` ``(n, *shape)`` in; return the position after it."""
        at = self._fill
        end = at + len(data)
        if end > self._full:
            self._new_slab(len(data))
            at = self._fill
            end = at + len(data)
        self._newest[at:end] = data
        self._fill = end
        self.stop = stop = self.newest_start + end
        return stop

    def append(self, data: NDArray[S]) -> NDArray[S]:
        """Copy ``data`` ``(n, *shape)`` in and return it as a read-only view of its slab."""
        self.write(data)
        return self.newest[self._fill - len(data) : self._fill]

    def view(self, i: int, j: int) -> NDArray[S]:
        """Return samples at positions ``i`` to ``j``: a view in one slab, else a copy."""
        start = self.newest_start
        if i >= start:
            return self.newest[i - start : j - start]
        starts, ends = self._starts, [*self._ends, self.stop]
        k = bisect_right(starts, i) - 1
        if j <= ends[k]:
            return self._views[k][i - starts[k] : j - starts[k]]
        pieces = []
        while i < j:
            k = bisect_right(starts, i) - 1
            end = min(ends[k], j)
            pieces.append(self._views[k][i - starts[k] : end - starts[k]])
            i = end
        out = np.concatenate(pieces)
        out.flags.writeable = False
        return out

    def find(self, i: int, value: Any) -> int:
        """Return the position, from ``i`` on, of the first that is not less; they are in order."""
        first = i - self.newest_start
        if first >= 0:
            return i + int(self.newest[first : self._fill].searchsorted(value))
        starts, ends = self._starts, [*self._ends, self.stop]
        k = len(starts) - 1
        while starts[k] > i and self._views[k][0] >= value:
            k -= 1
        i = max(i, starts[k])
        return i + int(self._views[k][i - starts[k] : ends[k] - starts[k]].searchsorted(value))

    def trim(self, position: int) -> None:
        """Drop what lies before ``position``."""
        if position > self.stop:
            position = self.stop
        start = self.start
        if position > start:
            self.start = start = position
        while self._ends and self._starts[1] <= start:  # the next slab has all that is wanted
            self._starts.pop(0), self._ends.pop(0)
            self._spare = self._slabs.pop(0), self._views.pop(0)

    @property
    def nbytes(self) -> int:
        """Bytes of all slabs held."""
        return sum(slab.nbytes for slab in self._slabs)

    def _new_slab(self, n: int) -> None:
        overlap = min(self.overlap, self.stop - self.start)
        # The overlap counts as far as samples have come. A longer slab would have its beginning
        # copied less often, but touch more memory.
        most = min(self.overlap, self.stop)
        size = max(self._size, n + overlap, most + (most if most <= self._many else most // 2))
        slab, view = self._recycled(size) or self._allocated(size)
        if overlap:
            slab[:overlap] = self.view(self.stop - overlap, self.stop)
        if self._slabs:
            self._ends.append(self.stop)
        self._slabs.append(slab)
        self._views.append(view)
        self._starts.append(self.stop - overlap)
        self._newest, self.newest, self.newest_start = slab, view, self.stop - overlap
        self._fill, self._full = overlap, len(slab)
        self.trim(self.start)

    def _allocated(self, size: int) -> tuple[NDArray[S], NDArray[S]]:
        return _new_pair((size, *self.shape), self.dtype)

    def like(self, data: NDArray[Any]) -> bool:
        """Whether ``data`` ``(n, *shape)`` has samples of the same kind."""
        return data.shape[1:] == self.shape and data.dtype == self.dtype

    def _recycled(self, size: int) -> tuple[NDArray[S], NDArray[S]] | None:
        """Return the slab passed last if no view of it is left: fresh memory costs page faults.

        Every view of a slab holds a reference to it, so CPython's count of references shows it.
        """
        spare, self._spare = self._spare, None
        if spare is None or len(spare[0]) < size or not _COUNTS:
            return None
        return spare if _references(spare) == _ALONE else None


def _new_pair(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    slab = np.empty(shape, dtype)
    view = slab.view()
    view.flags.writeable = False
    return slab, view


def _references(pair: tuple[NDArray[Any], NDArray[Any]]) -> tuple[int, int]:
    slab, view = pair
    return getrefcount(slab), getrefcount(view)


_ALONE = _references(_new_pair((1,), np.dtype(np.uint8)))
"""Those of a pair that nobody else holds; which ones count differs between versions of Python."""
