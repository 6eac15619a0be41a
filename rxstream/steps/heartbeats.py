"""Chunks without samples: between our own operators they say how far a stream has come.

A join needs them: it waits for a silent input until a heartbeat says that nothing is still to come.
A subscriber's function does not: ``chunk.data.max()`` fails for it. So subscribing leaves them out,
and only our operators, or whoever says so, get them.
"""

from collections.abc import Sequence
from typing import Any

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt, add_gap

__all__ = ["WithoutHeartbeats", "is_heartbeat", "keep_heartbeats"]


def is_heartbeat(item: object) -> bool:
    """Whether an item has no samples: an empty chunk, or a tuple of nothing else, as of `align`."""
    if isinstance(item, Chunk):
        return len(item) == 0
    return (
        type(item) is tuple
        and len(item) > 0
        and all(isinstance(part, Chunk) and len(part) == 0 for part in item)
    )


def keep_heartbeats(source: Observable[Any]) -> Observable[Any]:
    """Return a stream with its heartbeats, where it has a way to give them; else the same."""
    ask = getattr(source, "with_heartbeats", None)
    return source if ask is None else ask()


class WithoutHeartbeats(abc.ObserverBase[Any]):
    """Passes on what has samples; the gaps of what has none go with the next samples.

    Gaps that no samples follow come at the end, in the last chunk without samples.
    """

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        self._forward, self._observer = observer.on_next, observer
        self._held: Any = None  # the newest heartbeat after which gaps are still to come
        self._gaps: list[list[Gap]] = []  # for each chunk of an item

    def on_next(self, value: Any) -> None:
        """Pass on an item, or keep the gaps of a heartbeat."""
        if isinstance(value, Chunk):
            if len(value):
                self._forward(value if self._held is None else self._with_gaps((value,))[0])
            elif value.gap_positions:
                self._keep((value,), value)
        elif is_heartbeat(value):
            if any(part.gap_positions for part in value):
                self._keep(value, value)
        elif self._held is not None and _is_chunks(value):
            self._forward(self._with_gaps(value))
        else:
            # Values that are no chunks carry no gaps, so theirs are not gaps of these.
            self._held = None
            self._forward(value)

    def on_error(self, error: Exception) -> None:
        """Pass on the gaps that no samples follow, and the error."""
        self._finish()
        self._observer.on_error(error)

    def on_completed(self) -> None:
        """Pass on the gaps that no samples follow, and the end."""
        self._finish()
        self._observer.on_completed()

    def _keep(self, parts: Sequence[Chunk], item: Any) -> None:
        if self._held is None or len(self._gaps) != len(parts):
            self._gaps = [[] for _ in parts]
        self._held = item
        for gaps, part in zip(self._gaps, parts, strict=True):
            gaps += part.gaps

    def _with_gaps(self, parts: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """Return chunks with the kept gaps before their first samples."""
        kept, self._held = self._gaps, None
        if len(kept) != len(parts):
            return tuple(parts)
        return tuple(
            _with_gaps(part, gaps) if gaps else part for part, gaps in zip(parts, kept, strict=True)
        )

    def _finish(self) -> None:
        held = self._held
        if held is None:
            return
        if isinstance(held, Chunk):
            self._forward(self._with_gaps((held._replace(gap_positions=()),))[0])
        else:
            self._forward(self._with_gaps([part._replace(gap_positions=()) for part in held]))


def _is_chunks(item: object) -> bool:
    return type(item) is tuple and all(isinstance(part, Chunk) for part in item)


def _with_gaps(chunk: Chunk, gaps: Sequence[Gap]) -> Chunk:
    """Return a chunk with more gaps before its first sample; a gap cut in two is one again."""
    found: list[GapAt] = []
    for gap in gaps:
        add_gap(found, 0, gap)
    for at, gap in chunk.gap_positions:
        add_gap(found, at, gap)
    return chunk._replace(gap_positions=tuple(found))
