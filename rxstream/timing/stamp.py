"""Results of the clock model: the `Stamp` of a chunk, and the `ClockEvent` found with it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rxstream.data.gap import GapReason

__all__ = ["ClockEvent", "EventKind", "Stamp", "State"]

EventKind: TypeAlias = Literal[
    "gap", "overlap", "latency", "restart", "rate", "unsteady", "steady", "counter"
]
State: TypeAlias = Literal["warming", "locked", "suspect", "reacquiring", "arrival"]

# An unsteady rate is named where it is this far off the stated one.
_ANOTHER_RATE = 0.2
# A rise of the delay that a device may have stood still for [ns].
_PAUSE = 300_000_000


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """A change of the stream that was found after times had gone out.

    Attributes
    ----------
    kind
        ``gap``: samples were lost; ``overlap``: samples came twice, or an earlier gap was none
        (samples that are out keep their numbers); ``latency``: the delay changed for good;
        ``restart``: the device began anew; ``rate``: samples come at another rate than stated;
        ``unsteady``: they come at no steady rate, and times are those of arrival from here on;
        ``steady``: they do again; ``counter``: the counter of a recording stays where it is, or
        goes to and fro, and is set aside (a `Device` reports a `StampError`).
    first, last
        What went out between the change and its discovery: from number ``first`` to before
        ``last``. On `Device.faults` these are indices of samples. A `ClockModel` and
        `correct_arrays` number chunks, counted from 0 since the model was made.
    samples
        Number of samples lost (or doubled: negative); None if unknown.
    correction
        Time to add to the times of ``first`` to ``last`` [ns]; 0 if they are right.
    delay
        Rise of the delay, for ``latency`` [ns]. Times stay right; if it fell, all earlier times
        may be late by that, as the least delay is better known now.
    stream
        Name of the stream; empty where chunks are numbered.
    rate, stated
        Samples per second as they come, and as stated [Hz], for ``rate`` and ``unsteady``.
    """

    kind: EventKind
    first: int
    last: int
    samples: int | None
    correction: int
    delay: int = 0
    stream: str = ""
    rate: float = 0.0
    stated: float = 0.0

    def __str__(self) -> str:
        unit = "sample" if self.stream else "chunk"
        name = f"{self.stream}: " if self.stream else ""
        if self.kind in ("rate", "unsteady", "steady"):
            return name + self._of_pace(f"{unit} {self.last}")
        if self.kind == "counter":
            text = f"from {unit} {self.first} on its counter stays where it is, or goes to and fro"
            return f"{name}{text}; from {unit} {self.last} on it is set aside"
        if self.delay > 0:
            rise = f"{self.delay / 1e6:.3f} ms at {unit} {self.first}"
            text = f"{name}its delay rose by {rise}; times stay right"
            # Whether samples came later or were taken later, nobody knows of a numbered stream.
            if self.delay > _PAUSE:
                text += ", unless the device stood still: then they are early by as much"
            return text
        if self.delay < 0:
            fall = f"{-self.delay / 1e6:.3f} ms at {unit} {self.last}"
            return f"{name}its delay fell by {fall}; times before may be late by that"
        count = "" if self.samples is None else f" of {abs(self.samples)} samples"
        text = f"{name}{self.kind}{count} found at {unit} {self.last}"
        if self.kind == "overlap":
            text += ": they came twice, or an earlier gap was none"
        if self.first < self.last:
            text += (
                f"; the times of {unit}s {self.first} to {self.last - 1} are off by "
                f"{-self.correction / 1e6:.3f} ms"
            )
        return text

    def _of_pace(self, place: str) -> str:
        rates = f"samples come at {self.rate:.5g} Hz, info says {self.stated:.5g} Hz"
        if self.kind == "rate":
            followed = f"times follow the rate found, from {place} on"
            return f"{rates}; {followed}; state it to have them right from the first sample on"
        if self.kind == "steady":
            return f"its samples come at a steady rate again, from {place} on"
        remedy = "say rate=None if it is polled or paced by a program"
        if abs(self.rate / self.stated - 1) < _ANOTHER_RATE:
            rates = "its samples come at no steady rate"
        else:
            remedy = f"state that rate if a clock paces it, {remedy}"
        return (
            f"{rates}; from {place} on times are those of arrival, and only a counter shows "
            f"losses; {remedy}"
        )


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
    ``reacquiring``: the line was begun anew and is not yet sharp; ``arrival``: there is no line,
    and times are those of arrival."""
    events: tuple[ClockEvent, ...]
    """Changes found with this chunk."""
