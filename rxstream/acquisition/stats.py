"""Runtime statistics of a device: `Stats`, with a `SubscriberStats` for each reader."""

from dataclasses import dataclass
from typing import Self

from rxstream.data.flow import Flow
from rxstream.printable import counted, error_line
from rxstream.window.log import Log

__all__ = ["Stats", "SubscriberStats"]


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
        flow = self.flow
        rate = "" if flow.rate is None else f" at {flow.rate:.6g} Hz"
        if flow.ppm is not None:
            rate += f" ({flow.ppm:+.0f} ppm)"
        state = (
            self.state if self.silent is None else f"{self.state}, silent for {self.silent:.0f} s"
        )
        lines = [
            f"{self.name} ({state}): {counted(flow.samples, 'sample')}{rate}, {flow.lost} lost"
        ]
        if self.error is not None:
            lines.append(f"  {error_line(self.error)}")
        if flow.jitter_p50 is not None and flow.jitter_p99 is not None:
            late = f"{flow.jitter_p50 * 1e3:.3g} ms, 99 % within {flow.jitter_p99 * 1e3:.3g} ms"
            lines.append(f"  jitter {late}; clock {self.clock}")
        window = f"{self.held:.3g} of {self.history:.3g} s, {self.nbytes / 1e6:.3g} MB"
        lines.append(f"  window {window}")
        return "\n".join([*lines, *(f"  {subscriber}" for subscriber in self.subscribers)])
