"""What a source emits before its `open` has returned, within a bound."""

from collections import deque
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from rxstream.data.stream_info import Reading
from rxstream.errors import OverrunError

__all__ = ["Early", "Failure", "Item"]

# What one item is counted as besides its arrays [bytes].
_OVERHEAD = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """What a source has called ``fail`` with: most often an exception, but it may be anything."""

    given: object


Item: TypeAlias = Reading | Failure


class Early:
    """Items with their arrivals; the oldest are dropped where they become too many.

    Parameters
    ----------
    max_bytes
        Bytes kept; one item is, whatever its size.

    Examples
    --------
    >>> early = Early(20_000)
    >>> for k in range(3):
    ...     early.put(Reading(np.full(1000, k)), arrival=k)
    >>> [(type(item).__name__, arrival) for item, arrival in early.take("x")]
    [('Failure', 1), ('Reading', 1), ('Reading', 2)]
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._nbytes = self._readings = self._samples = 0

    @property
    def full(self) -> bool:
        """Whether it holds as many bytes as it may."""
        return self._nbytes >= self._max_bytes

    def put(self, item: Item, arrival: int, *, drop: bool = True) -> None:
        """Keep an item; of a reading a copy, since the array is the driver's own."""
        kept = _copied(item) if isinstance(item, Reading) else item
        self._items.append((kept, arrival))
        self._nbytes += _size(kept)
        while drop and self._nbytes > self._max_bytes and len(self._items) > 1:
            old, _ = self._items.popleft()
            self._nbytes -= _size(old)
            if isinstance(old, Reading):
                self._readings += 1
                self._samples += len(old.data) + (old.lost or 0)

    def take(self, name: str) -> list[tuple[Item, int]]:
        """Return all, in order; where readings were dropped, that comes first.

        Parameters
        ----------
        name
            Name of the stream.
        """
        items, dropped = list(self._items), self._samples
        if not self._readings:
            return items
        first = next((k for k, (item, _) in enumerate(items) if isinstance(item, Reading)), None)
        arrival = items[0][1]
        if first is not None:
            reading, arrival = items[first]
            assert isinstance(reading, Reading)  # noqa: S101 - for type checkers
            lost = replace(reading, lost=dropped + (reading.lost or 0))
            items[first] = lost, arrival
        error = OverrunError(
            f"{name}: its driver emitted more than max_bytes={self._max_bytes:_} before its open "
            f"has returned; the first {self._readings} readings, {dropped} samples, are dropped"
        )
        return [(Failure(error), arrival), *items]


def _copied(reading: Reading) -> Reading:
    """Return a reading that keeps nothing of the driver's own."""
    stamps = reading.device_time
    return replace(
        reading,
        data=np.array(reading.data),
        device_time=stamps.copy() if isinstance(stamps, np.ndarray) else stamps,
    )


def _size(item: Item) -> int:
    if not isinstance(item, Reading):
        return _OVERHEAD
    stamps = item.device_time
    return _OVERHEAD + item.data.nbytes + (stamps.nbytes if isinstance(stamps, np.ndarray) else 0)
