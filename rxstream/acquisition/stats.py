"""Runtime statistics of a device: `Stats`, with a `SubscriberStats` for each reader."""

from dataclasses import dataclass
from typing import Self

from rxstream.data.flow import Flow
from rxstream.printable import counted, error_line
from rxstream.window.log import Log

__all__ = ["Stats", "SubscriberStats"]

# What is said of the clock in other words than its state.
_CLOCKS = {
    "raw": "; no clock model", "arrival": "; no steady rate, times of arrival", "closed": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SubscriberStats:
    """How one subscriber keeps up.

    Attributes
    ----------
    name
        As given to ``ops.on_lag(policy, name=)`` or ``reader(name=)``, or a number.
    policy
        Response to lag: gap, latest, error, block.
    behind
        Chunks that wait for it.
    lag
        Sample time that waits for it [s].
    lost
        Samples skipped because it was too slow, or wants only the latest.
    delivered
        Chunks taken.
    """

    name: str
    policy: str
    behind: int
    lag: float
    lost: int
    delivered: int

    def __str__(self) -> str:
        lost = f", {counted(self.lost, 'sample')} skipped" if self.lost else ""
        return f"{self.name}: {self.lag:.3g} s behind ({counted(self.behind, 'chunk')}){lost}"


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of a device since its opening.

    Attributes
    ----------
    name, state
        Name and state of the device.
    clock
        State of the clock model: warming, locked, suspect, reacquiring, arrival (samples come at
        no steady rate, and times are those of arrival); raw without one, closed without a
        connection.
    flow
        Counts, losses, true rate, jitter and delay of its chunks.
    held, history, nbytes
        Content of the window: sample time [s], of how much at most, and bytes.
    subscribers
        One entry each.
    error
        Why it is lost or has failed, or was when it was closed.
    silent
        For how long nothing has come [s], where that is unusual: longer than 2 s and ten times the
        mean pause between its readings; of a stream without a rate, if these were even. Else None.
    """

    name: str
    state: str
    clock: str
    flow: Flow
    held: float
    history: float
    nbytes: int
    subscribers: tuple[SubscriberStats, ...]
    error: Exception | None = None
    silent: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        state: str,
        clock: str,
        flow: Flow,
        log: Log,
        error: Exception | None = None,
        silent: float | None = None,
    ) -> Self:
        """Return the statistics of a stream whose chunks lie in ``log``."""
        subscribers = tuple(
            SubscriberStats(c.name, c.policy, behind, lag, c.lost, c.delivered)
            for c, behind, lag in log.cursors()
        )
        return cls(
            name, state, clock, flow, log.held, log.span / 1e9, log.nbytes, subscribers, error,
            silent,
        )  # fmt: skip

    def __str__(self) -> str:
        flow, state = self.flow, self.state
        if self.silent is not None:
            state += f", silent for {self.silent:.0f} s"
        samples = f"{counted(flow.samples, 'sample')}{_rate_text(flow)}, {flow.lost} lost"
        lines = [f"{self.name} ({state}): {samples}"]
        if self.error is not None:
            lines.append(f"  {error_line(self.error)}")
        if flow.samples:
            lines.append(
                f"  {_jitter_text(flow)}{_CLOCKS.get(self.clock, f'; clock {self.clock}')}"
            )
        # a single event lasts for a nanosecond
        held = f"{round(self.held, 6):.3g} of {self.history:.3g} s"
        lines.append(f"  window {held}, {self.nbytes / 1e6:.3g} MB")
        return "\n".join([*lines, *(f"  {subscriber}" for subscriber in self.subscribers)])


def _rate_text(flow: Flow) -> str:
    if flow.rate is None:
        return ""
    if flow.nominal is None:
        return f" at {flow.rate:.4g} /s"
    ppm = "" if flow.ppm is None else f" ({flow.ppm:+.0f} ppm)"
    return f" at {flow.rate:.6g} Hz{ppm}"


def _jitter_text(flow: Flow) -> str:
    if flow.jitter_p50 is None or flow.jitter_p99 is None:
        return "jitter unknown"
    return f"jitter {flow.jitter_p50 * 1e3:.3g} ms, 99 % within {flow.jitter_p99 * 1e3:.3g} ms"
