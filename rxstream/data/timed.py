"""`Timed`: what has a time, so that it can be placed on the axis of a stream."""

from typing import Any, Protocol, TypeGuard, runtime_checkable

from rxstream.data.chunk import Chunk

__all__ = ["Timed", "interval_of", "trim_to"]


@runtime_checkable
class Timed(Protocol):
    """An item with an interval of time: `Chunk`, `Clip`, a joined window, a sample."""

    @property
    def start(self) -> int:
        """Start of the interval [ns]."""
        ...

    @property
    def end(self) -> int:
        """End of the interval [ns], exclusive."""
        ...


def interval_of(item: object) -> tuple[int, int] | None:
    """Return the interval that an item covers [ns], end exclusive, or None if it has no time.

    The interval of a chunk begins with the gap right before it. Chunks in a tuple, as of ``align``,
    have a time if they all cover the same interval.
    """
    if isinstance(item, Chunk):
        return item.covered_from, item.end
    if _is_chunks(item):
        intervals = {(chunk.covered_from, chunk.end) for chunk in item}
        return intervals.pop() if len(intervals) == 1 else None
    # `re.Match` has methods of these names
    if isinstance(item, Timed) and isinstance(item.start, int) and isinstance(item.end, int):
        return item.start, item.end
    return None


def trim_to(item: Any, begin: int) -> Any:
    """Return the part of a chunk, or of each chunk in a tuple, from ``begin`` [ns] on.

    Anything else, as a `Clip`, is returned whole.
    """
    if isinstance(item, Chunk):
        return item.between(begin, item.end)
    return tuple(trim_to(part, begin) for part in item) if _is_chunks(item) else item


def _is_chunks(item: object) -> TypeGuard[tuple[Chunk, ...]]:
    return type(item) is tuple and len(item) > 0 and all(isinstance(part, Chunk) for part in item)
