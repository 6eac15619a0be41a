"""Where a subscription begins, and what happens to it when it is too slow."""

from dataclasses import dataclass, replace

from rxstream.data.clock import Duration, Time, to_ns, to_span
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import checked_name
from rxstream.window.log import Log, Policy

__all__ = ["StartPosition"]


@dataclass(frozen=True, slots=True)
class StartPosition:
    """Where a subscription begins; "now", if neither `back` nor `to` is given."""

    back: int | None = None
    """Distance before the newest sample [ns]."""
    to: int | None = None
    """Time [ns]."""
    policy: Policy = "gap"
    """What happens to a subscriber that falls out of the window."""
    name: str | None = None
    """Name of the subscriber in threads, messages and statistics."""

    def __post_init__(self) -> None:
        if self.name is not None:
            object.__setattr__(self, "name", checked_name(self.name, "name of a subscriber"))

    def rewound(self, seconds: Duration | None, to: Time | None = None) -> "StartPosition":
        """Return the same with a start ``seconds`` [s] before the newest sample, or at ``to``.

        Raises
        ------
        ParameterError
            Unless exactly one of them is given, and is a duration or a time.
        """
        if (seconds is None) == (to is None):
            msg = f"rewind takes seconds or to=, one of them, not {shown(seconds)} and {shown(to)}"
            raise ParameterError(msg)
        back = None if seconds is None else to_span(seconds, "rewind", zero=True)
        return replace(self, back=back, to=None if to is None else to_ns(to))

    def check(self, log: Log) -> None:
        """Raise `ParameterError` if it lies further back than a log reaches."""
        if self.back is not None and self.back > log.span:
            msg = (
                f"rewind({self.back / 1e9:g}): the history of {log.name} is "
                f"{log.span / 1e9:g} s; make history= longer"
            )
            raise ParameterError(msg)

    def is_past(self, log: Log) -> bool:
        """Whether it lies before the end of what has come into a log."""
        since = self.since(log)
        return since is not None and since < log.since(0)

    def is_in(self, log: Log) -> bool:
        """Whether it lies in a stream that has ended; one after its end is of the next."""
        newest = log.newest()
        if self.to is not None:
            return newest is not None and self.to < newest.end
        return self.back is not None

    def since(self, log: Log) -> int | None:
        """Return the time [ns] at which it lies in a log at present; None for "now".

        Raises
        ------
        ParameterError
            If it lies further back than the log reaches.
        """
        self.check(log)
        if self.back is None:
            return self.to
        return log.since(self.back)
