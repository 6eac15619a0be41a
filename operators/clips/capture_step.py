"""The step of `capture`: pending clips, and when each is ready."""

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
from rxstream.printable import shown
from rxstream.steps.watermark import FOREVER, NEVER, Watermarks

__all__ = ["CaptureStep", "Events", "Options"]

Events: TypeAlias = Literal["samples", "chunks"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `capture`; times in [ns]."""

    before: int
    after: int
    merge: bool
    max_duration: int
    lateness: int
    events: Events | None
    time: Callable[[Any], Time] | None


class PendingClip:
    """A clip that waits for its future: interval [ns], and events with their times [ns]."""

    __slots__ = ("end", "events", "in_order", "part", "start")

    def __init__(self, start: int, end: int, events: list[tuple[int, Any]], part: int = 0) -> None:
        self.start, self.end, self.part = start, end, part
        self.events, self.in_order = events, True

    def __len__(self) -> int:
        return len(self.events)

    def join(self, other: "PendingClip") -> None:
        """Take in another clip; a part that is out is not repeated."""
        parts = [one.start for one in (self, other) if one.part]
        self.start = max(parts, default=min(self.start, other.start))
        self.end, self.part = max(self.end, other.end), max(self.part, other.part)
        mine, more = self.events, other.events
        self.in_order &= other.in_order and not (mine and more and more[0][0] < mine[-1][0])
        mine += more

    def take(self, until: int | None) -> list[tuple[int, Any]]:
        """Take the events before a time [ns] out of it, or all."""
        events = self.events
        # events of equal times stay in the order of arrival
        if not self.in_order:
            events.sort(key=_time_of)
            self.in_order = True
        n = len(events) if until is None else bisect_left(events, until, key=_time_of)
        taken = events[:n]
        del events[:n]
        return taken


class CaptureStep:
    """The state of one subscription, a `MultiStep`: events are port 0, streams are ports 1, 2, ...

    Parameters
    ----------
    buffers
        One for each stream.
    options
        Options of `capture`.
    """

    __slots__ = ("_buffers", "_ended", "_first", "_gaps", "_options", "_pending", "marks")

    def __init__(self, buffers: list[ClipBuffer], options: Options) -> None:
        self._buffers, self._options = buffers, options
        # FOREVER: no thread is held up for another, as windows keep what comes too early. From the
        # end: a window has a chunk whole as soon as it is delivered.
        self.marks = Watermarks(1 + len(buffers), FOREVER, from_end=True)
        self._first = NEVER  # how far the inputs had come when the last of them began [ns]
        self._ended = False  # no more events
        self._pending: list[PendingClip] = []  # in the order of their starts
        self._gaps: dict[str, Gap] = {}  # by stream of events: a gap since its last event

    @property
    def finished(self) -> bool:
        """Whether no further clip is possible."""
        return self._ended and not self._pending

    def push(self, port: int, item: Any) -> list[Clip]:
        """Take the next chunk of a stream, or an event or a chunk of events; return ready clips."""
        begins = self.marks.end(port) == NEVER
        if port:
            self._buffers[port - 1].push(item)
            self.marks.advance(port, item)
        else:
            self._add(item)
        if begins:
            self._first = self.marks.newest
        return self._settle()

    def done(self, port: int) -> list[Clip]:
        """Take the end of the events or of a stream; return clips that wait for nothing else."""
        return self._end(port, "stream ended")

    def failed(self, port: int, _error: Exception) -> list[Clip]:
        """Take an error in place of an end; after one of the events, all clips come as they are."""
        return self._end(port, "stream failed") if port else self._settle("events failed")

    def _end(self, port: int, reason: MissingReason) -> list[Clip]:
        self.marks.done(port)
        if port:
            self._buffers[port - 1].over = reason
        else:
            self._ended = True
        return self._settle()

    def _add(self, item: Any) -> None:
        """Make or widen the clips of an event, or of the events in a chunk."""
        for new in self._clips_of(item):
            clip = self._joined(new) if self._options.merge else new
            insort(self._pending, clip, key=_span_of)
            for buffer in self._buffers:
                buffer.want(clip.start, clip.end)

    def _settle(self, reason: MissingReason | None = None) -> list[Clip]:
        """Return the clips that are ready; for a reason, all of them as they are."""
        out = []
        line, max_duration = self._line(), self._options.max_duration
        while self._pending:
            clip = self._pending[0]
            stop = min(clip.end, clip.start + max_duration)
            if reason is None and not self._settled(clip, stop, line):
                break
            ready = [buffer.ready(stop, stop if reason else line) for buffer in self._buffers]
            if not all(ready):
                break
            out.append(self._cut(clip, stop, reason or "late"))
        return out

    def _clips_of(self, item: Any) -> Iterator[PendingClip]:
        """Yield the clips for the events of an item, one for all that share it."""
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
        """Take out the pending clips that a new one overlaps, and return all as one."""
        last = first = bisect_left(self._pending, new.end, key=_start_of)
        # no two of them overlap: what lies before one by start does so by end
        while first and self._pending[first - 1].end > new.start:
            first -= 1
        found = self._pending[first:last]
        if not found:
            return new
        del self._pending[first:last]
        # the events of the others move: fewest, if it is the one with most
        whole = max(found, key=len)
        for other in found:
            if other is not whole:
                whole.join(other)
        whole.join(new)
        return whole

    def _events_of(self, item: Any) -> Iterator[tuple[int, int, Any]]:
        """Yield start and end [ns] of each event of an item, and the event."""
        options = self._options
        if options.time is not None:
            at = to_ns(options.time(item))
            self.marks.advance_to(0, at, at)
            yield at, at, item
            return
        if not isinstance(item, Chunk):
            msg = f"capture: {shown(item, 80)} is no chunk; give its time by a function time="
            raise ParameterError(msg)
        self.marks.advance(0, item)
        if (options.events or ("samples" if item.rate is None else "chunks")) == "chunks":
            for part in self._parts(item):
                yield *_interval(part), part
            return
        yield from _samples(item)

    def _parts(self, chunk: Chunk) -> list[Chunk]:
        """Return the events in a chunk; in a regular stream, a gap ends one."""
        name = chunk.info.name
        if chunk.rate is None or not len(chunk):
            if chunk.gap_positions:
                self._gaps[name] = chunk.gap_positions[-1].gap
            return [chunk] if len(chunk) else []
        # the gap of a heartbeat parts the event before from this one
        gap = self._gaps.pop(name, None)
        places = sorted({0, len(chunk), *(at for at, _ in chunk.gap_positions)})
        parts = [chunk[i:j] for i, j in pairwise(places)]
        return [parts[0].with_gap(gap), *parts[1:]] if gap else parts

    def _line(self) -> int:
        """Return the time before which no input is waited for [ns]; `NEVER` in the beginning.

        Until the last input has been there for ``lateness``: one that starts in the past needs a
        moment to catch up.
        """
        newest, lateness = self.marks.newest, self._options.lateness
        return NEVER if newest - self._first < lateness else newest - lateness

    def _settled(self, clip: PendingClip, stop: int, line: int) -> bool:
        """Whether no event can come any more that would change a clip up to ``stop`` [ns]."""
        if not self._options.merge or self._ended:
            return True
        needed = stop if stop < clip.end else clip.end + self._options.before
        return max(self.marks.end(0), line) >= needed

    def _cut(self, clip: PendingClip, stop: int, reason: MissingReason) -> Clip:
        more = stop < clip.end
        here = clip.take(stop if more else None)
        streams, missing = {}, []
        for buffer in self._buffers:
            chunk, lacking = buffer.cut(clip.start, stop, reason)
            missing += lacking
            if chunk is not None:
                streams[buffer.name] = chunk
        start, part = clip.start, clip.part
        del self._pending[0]
        if more:
            clip.start, clip.part = stop, part + 1
            insort(self._pending, clip, key=_span_of)
        for buffer in self._buffers:
            if self._pending:
                buffer.trim(self._pending[0].start)
            else:
                buffer.clear()
        if self._options.events != "samples":
            here = _stretches(here)
        return Clip(
            tuple(event for _, event in here), tuple(at for at, _ in here), start, stop, streams,
            tuple(missing), part, more,
        )  # fmt: skip


def _samples(chunk: Chunk) -> Iterator[tuple[int, int, Chunk]]:
    """Yield each sample as an event, the same however the stream is cut into chunks."""
    data, axis, info, index, i = chunk.data, chunk.axis, chunk.info, chunk.index, 0
    times = chunk.time.tolist()
    for j, gap in (*chunk.gap_positions, (len(chunk), None)):
        for k in range(i, j):
            at = times[k]
            yield at, at, Chunk(data[k : k + 1], axis.cut(k, k + 1), at, at + 1, index + k, info)
        i = j
        if gap is not None and j:
            index += gap.lost or 0


def _interval(chunk: Chunk) -> tuple[int, int]:
    """Return the interval of a chunk as an event [ns]; in a regular stream, that of its samples."""
    if chunk.info.period is None:
        return chunk.start, chunk.end
    return chunk.axis.at(0), chunk.axis.at(len(chunk) - 1) + round(chunk.info.period)


def _stretches(events: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Join the chunks of regular streams that follow each other, however they were cut."""
    runs: list[tuple[int, list[Any]]] = []
    # the runs of each stream by the number of the sample that would follow: so an event is compared
    # only with those it may continue
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
    """Return a run as one chunk, without the gaps around it: they are no part of the event."""
    if not isinstance(run[0], Chunk) or run[0].rate is None:
        return run[0]
    whole = concat(run)
    start, end = _interval(whole)
    return whole._replace(start=start, end=end, gap_positions=())


def _time_of(event: tuple[int, Any]) -> int:
    return event[0]


def _start_of(clip: PendingClip) -> int:
    return clip.start


def _span_of(clip: PendingClip) -> tuple[int, int]:
    return clip.start, clip.end
