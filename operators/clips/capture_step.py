"""Which clips are to be cut, and when each is ready: no Rx, threads or clocks."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip, MissingReason
from rxstream.data.clock import Time, to_ns
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.errors import ParameterError
from rxstream.operators.clips.clip_buffer import ClipBuffer

__all__ = ["CaptureStep", "Events", "Options"]

Events: TypeAlias = Literal["samples", "chunks"]


@dataclass(frozen=True, slots=True)
class Options:
    """Of `capture`, times in ns."""

    before: int
    after: int
    merge: bool
    max_duration: int
    lateness: int
    events: Events
    time: Callable[[Any], Time] | None


class PendingClip:
    """A clip to be: from when to when [ns], and its events with their times."""

    __slots__ = ("end", "events", "in_order", "part", "start")

    def __init__(self, start: int, end: int, events: list[tuple[int, Any]], part: int = 0) -> None:
        self.start, self.end, self.part = start, end, part
        self.events, self.in_order = events, True

    def __len__(self) -> int:
        return len(self.events)

    def join(self, other: "PendingClip") -> None:
        """Take another in; what a given part has had does not come again."""
        parts = [one.start for one in (self, other) if one.part]
        self.start = max(parts, default=min(self.start, other.start))
        self.end, self.part = max(self.end, other.end), max(self.part, other.part)
        mine, more = self.events, other.events
        self.in_order &= other.in_order and not (mine and more and more[0][0] < mine[-1][0])
        mine += more

    def take(self, until: int | None) -> list[tuple[int, Any]]:
        """Take the events before a time [ns] out of it, or all."""
        events = self.events
        if not self.in_order:  # of equal times, who came first
            events.sort(key=_time_of)
            self.in_order = True
        n = len(events) if until is None else bisect_left(events, until, key=_time_of)
        taken = events[:n]
        del events[:n]
        return taken


class CaptureStep:
    """What is to be captured: no Rx, threads or clocks in it."""

    __slots__ = ("_events_at", "_first", "_most", "_open", "_options", "_seen", "_torn",
                 "events_over", "strips")  # fmt: skip

    def __init__(self, strips: list[ClipBuffer], options: Options) -> None:
        self.strips, self._options = strips, options
        self._open: list[PendingClip] = []
        self._events_at: int | None = None
        self._most: int | None = None  # up to when [ns] the most advanced of all inputs has come
        self._first = 0  # what that was when the last input came for the first time
        self._seen: set[int] = set()
        self._torn: dict[str, Gap] = {}  # of streams of events: told since the last event
        self.events_over = False

    @property
    def done(self) -> bool:
        """Whether nothing more will come out."""
        return self.events_over and not self._open

    def take(self, item: Any) -> None:
        """Take an event, or a chunk of them."""
        for new in self._clips_of(item):
            clip = self._joined(new) if self._options.merge else new
            insort(self._open, clip, key=_extent_of)
            for strip in self.strips:
                strip.want(clip.start, clip.end)
        if self._events_at is not None:
            self._reach(-1, self._events_at)

    def push(self, port: int, chunk: Chunk) -> None:
        """Take the next chunk of a stream."""
        self.strips[port].push(chunk)
        self._reach(port, chunk.end)

    def settle(self, reason: MissingReason | None = None) -> list[Clip]:
        """Return the clips that are ready; or all there are, early, for a reason."""
        out = []
        line, max_duration = self._line(), self._options.max_duration
        while self._open:
            clip = self._open[0]
            stop = min(clip.end, clip.start + max_duration)
            if reason is None and not self._settled(clip, stop, line):
                break
            ready = [strip.ready(stop, stop if reason else line) for strip in self.strips]
            if not all(ready):
                break
            out.append(self._give(clip, stop, reason or "late"))
        return out

    def _clips_of(self, item: Any) -> Iterator[PendingClip]:
        """Yield the clips of the events of an item; those that share one, together."""
        before, after, merge = self._options.before, self._options.after, self._options.merge
        clip: PendingClip | None = None
        events: list[tuple[int, Any]] = []
        for at, until, event in self._events_of(item):
            start, end = at - before, until + after
            if clip is None or not merge or start >= clip.end or clip.start >= end:
                if clip is not None:
                    yield clip
                events = []
                clip = PendingClip(start, end, events)
            elif end > clip.end:
                clip.end = end
            events.append((at, event))
        if clip is not None:
            yield clip

    def _joined(self, new: PendingClip) -> PendingClip:
        """Take out the clips that one overlaps, and return all as one."""
        last = first = bisect_left(self._open, new.end, key=_start_of)
        while first and self._open[first - 1].end > new.start:  # no two overlap
            first -= 1
        found = self._open[first:last]
        if not found:
            return new
        del self._open[first:last]
        whole = max(found, key=len)  # the others' events move
        for other in found:
            if other is not whole:
                whole.join(other)
        whole.join(new)
        return whole

    def _events_of(self, item: Any) -> Iterator[tuple[int, int, Any]]:
        """Yield when each event of an item begins and ends, and what it is."""
        options, before = self._options, self._events_at
        if options.time is not None:
            at = to_ns(options.time(item))
            self._events_at = at if before is None else max(at, before)
            yield at, at, item
            return
        if not isinstance(item, Chunk):
            msg = f"capture: {item!r:.80} is no chunk; tell by time= when such an event was"
            raise ParameterError(msg)
        self._events_at = item.end if before is None else max(item.end, before)
        if options.events == "chunks":
            for part in self._parts(item):
                yield *_extent(part), part
            return
        yield from _samples(item)

    def _parts(self, chunk: Chunk) -> list[Chunk]:
        """Return what are events in a chunk; of a regular stream, a gap ends one."""
        name = chunk.info.name
        if chunk.rate is None or not len(chunk):
            if chunk.gap_positions:
                self._torn[name] = chunk.gap_positions[-1][1]
            return [chunk] if len(chunk) else []
        torn = self._torn.pop(name, None)
        places = sorted({0, len(chunk), *(at for at, _ in chunk.gap_positions)})
        parts = [chunk[i:j] for i, j in pairwise(places)]
        return [parts[0].with_gap(torn), *parts[1:]] if torn else parts

    def _reach(self, port: int, at: int) -> None:
        most = self._most = at if self._most is None else max(at, self._most)
        if port not in self._seen:
            self._seen.add(port)
            self._first = most

    def _line(self) -> int | None:
        """Return the time [ns] up to which nobody is waited for any more.

        In the beginning there is none: who starts in the past needs a moment to catch up.
        """
        most, lateness = self._most, self._options.lateness
        if most is None or most - self._first < lateness:
            return None
        return most - lateness

    def _settled(self, clip: PendingClip, stop: int, line: int | None) -> bool:
        """Whether no event is still to come that would change a clip."""
        if not self._options.merge or self.events_over:
            return True
        known = [at for at in (self._events_at, line) if at is not None]
        needed = stop if stop < clip.end else clip.end + self._options.before
        return bool(known) and max(known) >= needed

    def _give(self, clip: PendingClip, stop: int, reason: MissingReason) -> Clip:
        more = stop < clip.end
        here = clip.take(stop if more else None)
        streams, missing = {}, []
        for strip in self.strips:
            chunk, lacks = strip.cut(clip.start, stop, reason)
            missing += lacks
            if chunk is not None:
                streams[strip.name] = chunk
        start, part = clip.start, clip.part
        del self._open[0]
        if more:
            clip.start, clip.part = stop, part + 1
            insort(self._open, clip, key=_extent_of)
        for strip in self.strips:
            if self._open:
                strip.trim(self._open[0].start)
            else:
                strip.clear()
        if self._options.events == "chunks":
            here = _stretches(here)
        return Clip(
            tuple(event for _, event in here), tuple(at for at, _ in here), start, stop, streams,
            tuple(missing), part, more,
        )  # fmt: skip


def _samples(chunk: Chunk) -> Iterator[tuple[int, int, Chunk]]:
    """Yield each sample as an event, the same however the stream came in chunks."""
    data, axis, info, index, i = chunk.data, chunk.axis, chunk.info, chunk.index, 0
    times = chunk.time.tolist()
    for j, gap in (*chunk.gap_positions, (len(chunk), None)):
        for k in range(i, j):
            at = times[k]
            yield at, at, Chunk(data[k : k + 1], axis.cut(k, k + 1), at, at + 1, index + k, info)
        i = j
        if gap is not None and j:
            index += gap.lost or 0


def _extent(chunk: Chunk) -> tuple[int, int]:
    """Return from when to when [ns] a chunk is an event; of a regular stream, its samples are."""
    if chunk.info.period is None:
        return chunk.start, chunk.end
    return chunk.axis.at(0), chunk.axis.at(len(chunk) - 1) + round(chunk.info.period)


def _stretches(events: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Join the chunks of regular streams that follow each other: how they were cut says nothing."""
    runs: list[tuple[int, list[Any]]] = []
    # of each stream, by the number of the sample that would follow
    ends: dict[tuple[str, int], list[list[Any]]] = {}
    for at, event in events:
        if not isinstance(event, Chunk) or event.rate is None:
            runs.append((at, [event]))
            continue
        name = event.info.name
        waiting = ends.get((name, event.index), [])
        for k in reversed(range(len(waiting))):
            if _follows(waiting[k][-1], event):
                run = waiting.pop(k)
                run.append(event)
                break
        else:
            run = [event]
            runs.append((at, run))
        ends.setdefault((name, event.index + len(event)), []).append(run)
    return [(at, _stretch(run)) for at, run in runs]


def _follows(last: Chunk, event: Chunk) -> bool:
    return (
        last.info == event.info
        and event.gap is None
        and not any(at for at, _ in last.gap_positions)
    )


def _stretch(run: list[Any]) -> Any:
    """Return one chunk, without the gaps around it: they are no part of what happened."""
    if not isinstance(run[0], Chunk) or run[0].rate is None:
        return run[0]
    whole = concat(run)
    return Chunk(whole.data, whole.axis, *_extent(whole), whole.index, whole.info)


def _time_of(event: tuple[int, Any]) -> int:
    return event[0]


def _start_of(clip: PendingClip) -> int:
    return clip.start


def _extent_of(clip: PendingClip) -> tuple[int, int]:
    return clip.start, clip.end
