"""`Clip`: several streams cut around an event."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import check_flag, is_time, is_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Clip", "Missing", "MissingReason"]

MissingReason: TypeAlias = Literal[
    "older than the window", "not begun", "late", "stream ended", "stream failed", "events failed"
]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of a clip that one stream does not have.

    Attributes
    ----------
    stream
        Name of the stream.
    start, end
        Interval [ns].
    reason
        ``older than the window``: the stream's history no longer held it; ``not begun``: the stream
        began later; ``late``: it had not come by the clip's ``lateness``; ``stream ended``,
        ``stream failed``; ``events failed``: the clip was emitted early because of that.
    """

    stream: str
    start: int
    end: int
    reason: MissingReason

    def __str__(self) -> str:
        seconds = (self.end - self.start) / 1e9
        return f"{self.stream}: {seconds:.6g} s from {format_time(self.start)} on ({self.reason})"


@dataclass(frozen=True, slots=True)
class Clip:
    """Several streams around one event, or around several that lie close together.

    Attributes
    ----------
    events
        The events in order: a sample of a stream is a `Chunk` of one; anything else is as it came.
    times
        Start of each event [ns].
    start, end
        Interval of the clip [ns], end exclusive.
    streams
        Chunks by name, each cut to its samples from `start` to before `end`. A stream that has
        never emitted anything has none.
    missing
        Parts of streams that are not there, with the reason. Losses of a device are gaps of its
        chunk, not here.
    part
        Number of this piece, from 0, of a clip that was longer than ``max_duration``.
    more
        True if another piece follows.
    """

    events: tuple[Any, ...]
    times: tuple[int, ...]
    start: int
    end: int
    streams: Mapping[str, Chunk] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    part: int = 0
    more: bool = False

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "times", tuple(map(int, self.times)))
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))

    def _check(self) -> None:
        events, times = self.events, self.times
        pairs = isinstance(events, tuple) and isinstance(times, tuple) and len(events) == len(times)
        if not pairs or not all(map(is_time, times)):
            msg = f"Clip: events and times [ns] must be tuples of one length, not {shown(times)}"
            raise ParameterError(msg)
        if not is_time(self.start) or not is_time(self.end) or not self.start <= self.end:
            msg = f"Clip: start <= end must be int [ns], not {shown(self.start)}, {shown(self.end)}"
            raise ParameterError(msg)
        streams, missing = self.streams, self.missing
        if not isinstance(streams, Mapping) or not all(
            isinstance(name, str) and isinstance(chunk, Chunk) for name, chunk in streams.items()
        ):
            msg = f"Clip: streams must be chunks by name, not {shown(streams)}"
            raise ParameterError(msg)
        if not isinstance(missing, tuple) or not all(isinstance(x, Missing) for x in missing):
            msg = f"Clip: missing must be a tuple of Missing, not {shown(missing)}"
            raise ParameterError(msg)
        if not is_whole(self.part, 0):
            msg = f"Clip: part must be the number of a piece, not {shown(self.part)}"
            raise ParameterError(msg)
        check_flag(self.more, "Clip: more")

    def __reduce__(self) -> tuple[Any, ...]:
        parts = self.start, self.end, dict(self.streams), self.missing, self.part, self.more
        return Clip, (self.events, self.times, *parts)

    __hash__ = None  # type: ignore[assignment]

    @property
    def duration(self) -> float:
        """Length [s]."""
        return (self.end - self.start) / 1e9

    @property
    def complete(self) -> bool:
        """Whether every stream has all of it."""
        return not self.missing

    def __getitem__(self, name: str) -> Chunk:
        """Return the chunk of a stream."""
        if name in self.streams:
            return self.streams[name]
        why = [str(part) for part in self.missing if part.stream == name]
        known = ", ".join(self.streams) or "none"
        msg = why[0] if why else f"the clip has no stream {shown(name)}; it has {known}"
        raise KeyError(msg)

    def __repr__(self) -> str:
        counted = f"{len(self.events)} event{'' if len(self.events) == 1 else 's'}"
        lengths = [f"{name} {len(chunk)}" for name, chunk in self.streams.items()]
        text = f"<Clip {format_time(self.start)} + {self.duration:.6g} s, {counted}"
        text += f": {', '.join(lengths)}" if lengths else ""
        text += f", part {self.part}" if self.part else ""
        text += ", more follows" if self.more else ""
        return text + "".join(f"; missing {part}" for part in self.missing) + ">"

    def _repr_html_(self) -> str:
        chunks = "".join(chunk._repr_html_() for chunk in self.streams.values())
        return f"<p>{html.escape(repr(self)[1:-1])}</p>{chunks}"

    def plot(self, axes: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
        """Draw all streams with matplotlib over one time axis; return the axes, one for each.

        See `rxstream.display.plot_clip`.
        """
        from rxstream import display  # it draws clips, so it imports this module

        return display.plot_clip(self, axes)
