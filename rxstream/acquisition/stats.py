"""What a device says of itself while it runs: `Stats`, with a `SubscriberStats` for each reader."""

from dataclasses import dataclass

from rxstream.data.chunk import Chunk
from rxstream.data.flow import Meter
from rxstream.window.log import Log

__all__ = ["Stats", "SubscriberStats", "Tally"]


@dataclass(frozen=True, slots=True)
class SubscriberStats:
    """How one subscriber keeps up.

    Attributes
    ----------
    name
        As given to ``ops.on_lag(policy, name=)``, or a number.
    policy
        What happens to it when it is too slow: gap, latest, error, block.
    behind
        Chunks that wait for it.
    lag
        Sample time that waits for it [s].
    lost
        Samples that it has not had because it was too slow, or wants only the latest.
    delivered
        Chunks that it took.
    """

    name: str
    policy: str
    behind: int
    lag: float
    lost: int
    delivered: int

    def __str__(self) -> str:
        lost = f", {self.lost} samples skipped" if self.lost else ""
        return f"{self.name}: {self.lag:.3g} s behind ({self.behind} chunks){lost}"


@dataclass(frozen=True, slots=True)
class Stats:
    """How a device flows.

    Attributes
    ----------
    name, state
        Of the device; `Device.state`.
    clock
        What the clock model says of itself: warming, locked, suspect, reacquiring; raw without one.
    chunks, samples, lost, gaps
        Counts since the opening; ``lost`` of those gaps whose number is known.
    nominal, rate
        Samples per second as stated and as measured [Hz]; see `rxstream.data.flow.Flow`.
    ppm
        By how much the true rate is above the stated one [parts per million].
    jitter_p50, jitter_p99
        How late chunks come, above the least delay: median, and 99 % of them come sooner [s].
    delay
        Least time from the end of a chunk to its arrival [s]. Negative where the end is not yet
        reached: a picture stands for the time to the next one.
    uncertainty
        Of the times of the newest chunk [s]; NaN where it is not known.
    held, nbytes
        What lies in the window: sample time [s], and bytes.
    subscribers
        One entry each.
    """

    name: str
    state: str
    clock: str
    chunks: int
    samples: int
    lost: int
    gaps: int
    nominal: float | None
    rate: float | None
    ppm: float | None
    jitter_p50: float | None
    jitter_p99: float | None
    delay: float | None
    uncertainty: float
    held: float
    nbytes: int
    subscribers: tuple[SubscriberStats, ...]

    def __str__(self) -> str:
        rate = "" if self.rate is None else f" at {self.rate:.6g} Hz"
        if self.ppm is not None:
            rate += f" ({self.ppm:+.0f} ppm)"
        lines = [f"{self.name} ({self.state}): {self.samples} samples{rate}, {self.lost} lost"]
        if self.jitter_p50 is not None and self.jitter_p99 is not None:
            late = f"{self.jitter_p50 * 1e3:.3g} ms, 99 % within {self.jitter_p99 * 1e3:.3g} ms"
            lines.append(f"  jitter {late}; clock {self.clock}")
        lines.append(f"  window {self.held:.3g} s, {self.nbytes / 1e6:.3g} MB")
        return "\n".join([*lines, *(f"  {subscriber}" for subscriber in self.subscribers)])


class Tally:
    """Counts what a device gives; its source's thread pushes, anybody asks.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.data.stream_info import StreamInfo
    >>> tally, info = Tally(), StreamInfo("x", 100.0, (), np.int64)
    >>> whole = Chunk.regular(np.arange(300), info, start=0)
    >>> tally.push(whole[:200])
    >>> tally.push(whole[200:])
    >>> stats = tally.stats("x", "open", "locked", Log(10**9, 10**6, "x"))
    >>> stats.samples, stats.rate, stats.subscribers
    (300, 100.0, ())
    """

    __slots__ = ("_meter",)

    def __init__(self) -> None:
        self._meter = Meter()

    def push(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        self._meter.push(chunk)

    def stats(self, name: str, state: str, clock: str, log: Log) -> Stats:
        """Return what was seen so far, and what the log's readers do."""
        flow = self._meter.flow()
        subscribers = tuple(
            SubscriberStats(c.name, c.policy, behind, lag, c.lost, c.delivered)
            for c, behind, lag in log.cursors()
        )
        return Stats(
            name, state, clock, flow.chunks, flow.samples, flow.lost, flow.gaps, flow.nominal,
            flow.rate, flow.ppm, flow.jitter_p50, flow.jitter_p99, flow.delay, flow.uncertainty,
            log.held, log.nbytes, subscribers,
        )  # fmt: skip
