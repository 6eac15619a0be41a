"""Chunks without samples: between our own operators they say how far a stream has come.

A join needs them: it waits for a silent input until a heartbeat says that nothing is still to come.
A subscriber's function does not: ``chunk.data.max()`` fails for it. So subscribing leaves them out,
and only our operators, or whoever says so, get them.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt, add_gap
from rxstream.data.stream_info import StreamInfo

__all__ = ["HeartbeatFilter", "WithoutHeartbeats", "is_heartbeat", "keep_heartbeats"]


_data_of = attrgetter("_data")

# Gaps of one stream that wait for samples; behind a gate that stays closed there may be any number.
_MAX_GAPS = 1000


def is_heartbeat(item: object) -> bool:
    """Whether an item has no samples: an empty chunk, or a tuple of nothing else, as of `align`."""
    chunks = _chunks_of(item)
    return chunks is not None and not any(map(len, chunks))


def keep_heartbeats(source: Observable[Any]) -> Observable[Any]:
    """Return a stream with its heartbeats, where it has a way to give them; else the same."""
    ask = getattr(source, "with_heartbeats", None)
    return source if ask is None else ask()


class HeartbeatFilter:
    """A step that drops heartbeats; their gaps go with the next samples, or come at the end.

    A gap that no samples follow comes in the last chunk, which then has no samples. Of streams
    that were merged, each keeps its own gaps.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        # By the streams: the newest heartbeat with gaps that still have to go out, and those gaps,
        # for each chunk of it.
        self.kept: dict[tuple[StreamInfo, ...], tuple[Any, list[list[Gap]]]] = {}

    def push(self, item: Any) -> tuple[Any, ...]:
        """Return an item with samples, with the gaps kept until then; nothing for a heartbeat."""
        chunks = _chunks_of(item)
        if chunks is None:
            return (item,)
        streams = tuple([chunk.info for chunk in chunks])
        if any(map(len, chunks)):
            kept = self.kept.pop(streams, None)
            if kept is None:
                return (item,)
            found = tuple(map(_with_gaps, chunks, kept[1]))
            return (found[0],) if isinstance(item, Chunk) else (found,)
        if any(chunk.gap_positions for chunk in chunks):
            _, lists = self.kept.get(streams, (None, [[] for _ in chunks]))
            self.kept[streams] = item, lists
            for gaps, chunk in zip(lists, chunks, strict=True):
                _keep_gaps(gaps, chunk)
        return ()

    def push_all(self, items: list[Chunk]) -> list[Chunk]:
        """Return what is left of several chunks."""
        if not self.kept and all(map(len, map(_data_of, items))):
            return items
        return [left for item in items for left in self.push(item)]

    def flush(self) -> tuple[Any, ...]:
        """Return the gaps that no samples have followed, in chunks without samples."""
        found = []
        for held, lists in self.kept.values():
            chunks = tuple(map(_gaps_alone, _chunks_of(held) or (), lists))
            found.append(chunks[0] if isinstance(held, Chunk) else chunks)
        self.kept.clear()
        return tuple(found)


class WithoutHeartbeats(abc.ObserverBase[Any]):
    """Passes on to an observer what a `HeartbeatFilter` leaves."""

    __slots__ = ("_filter", "_forward", "_kept", "observer")

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        self._forward, self.observer = observer.on_next, observer
        self._filter = HeartbeatFilter()
        self._kept = self._filter.kept

    def on_next(self, value: Any) -> None:
        """Pass on what has samples."""
        # This runs for every item of every subscriber, so the usual one takes the shortest way: one
        # whose first chunk has samples is no heartbeat.
        first = value[0] if type(value) is tuple and value else value
        if not self._kept and type(first) is Chunk and len(first._data):  # noqa: SLF001
            self._forward(value)
            return
        for item in self._filter.push(value):
            self._forward(item)

    def on_error(self, error: Exception) -> None:
        """Pass on the gaps that no samples follow, and the error."""
        for item in self._filter.flush():
            self._forward(item)
        self.observer.on_error(error)

    def on_completed(self) -> None:
        """Pass on the gaps that no samples follow, and the end."""
        for item in self._filter.flush():
            self._forward(item)
        self.observer.on_completed()


def _keep_gaps(gaps: list[Gap], chunk: Chunk) -> None:
    """Add the gaps of a chunk; beyond a number join the newest: memory is bounded."""
    for gap in chunk.gaps:
        if len(gaps) < _MAX_GAPS or gaps[-1].continues(gap):
            gaps.append(gap)
        else:
            gaps[-1] = gaps[-1].join(gap)


def _chunks_of(item: object) -> Sequence[Chunk] | None:
    """Return the chunks that an item is: one, or a tuple of them; None for anything else."""
    if isinstance(item, Chunk):
        return (item,)
    if type(item) is tuple and item and all(isinstance(part, Chunk) for part in item):
        return item
    return None


def _with_gaps(chunk: Chunk, gaps: Sequence[Gap]) -> Chunk:
    """Return a chunk with more gaps before its first sample; a gap cut in two is one again."""
    if not gaps:
        return chunk
    found: list[GapAt] = []
    for gap in gaps:
        add_gap(found, 0, gap)
    for at, gap in chunk.gap_positions:
        add_gap(found, at, gap)
    return chunk._replace(gap_positions=tuple(found))


def _gaps_alone(like: Chunk, gaps: Sequence[Gap]) -> Chunk:
    """Return a chunk without samples where gaps end; it does not depend on how they came."""
    end = max((gap.end for gap in gaps), default=like.end)
    return _with_gaps(Chunk.empty(like.info, end, index=like.index), gaps)
