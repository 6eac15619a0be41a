"""What the clock model says of a chunk."""

from typing import Literal, NamedTuple, TypeAlias

from rxstream.data.gap import GapReason

__all__ = ["Event", "EventKind", "Stamp", "State"]

EventKind: TypeAlias = Literal["gap", "overlap", "latency", "restart"]
State: TypeAlias = Literal["warming", "locked", "suspect", "reacquiring"]


class Event(NamedTuple):
    """Something that happened to the stream, found out a few chunks later."""

    kind: EventKind
    """``gap``: samples were lost; ``overlap``: samples came twice, or an earlier gap was none;
    ``latency``: the delay changed for good; ``restart``: the device began anew."""
    chunk: int
    """Number of the first chunk after it, counted from 0 since the model was made."""
    samples: int | None
    """How many were lost (``gap``) or doubled (``overlap``, negative); None if unknown."""
    decided_at: int
    """Number of the chunk at which it was known."""
    correction: int
    """What must be added to the times of chunks ``chunk`` to ``decided_at - 1`` [ns]; of a change
    of latency, by how much the delay rose (times stay right; if it fell below all before, all
    earlier times are late by that)."""


class Stamp(NamedTuple):
    """The times of one chunk."""

    first: int
    """Time of the first sample [ns]."""
    last: int
    """Time of the last sample [ns]."""
    period: float
    """Distance of samples on the host clock [ns]; 0 where the stream has no rate."""
    uncertainty: float
    """Half width of the 95 % interval of the time [ns], the unobservable least delay left out."""
    lost: int | None
    """Samples lost right before this chunk; None for an unknown number."""
    reason: GapReason | None
    """Why the times do not go on where the last chunk ended, or None where they do."""
    state: State
    """``warming``: the first seconds; ``locked``: normal; ``suspect``: perhaps a loss;
    ``reacquiring``: the line was begun anew and is not yet sharp."""
    events: tuple[Event, ...]
    """What became known with this chunk."""
