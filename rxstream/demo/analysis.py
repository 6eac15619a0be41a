"""The analyses of the demo: operators that turn a stream into numbers, and what sums these up."""

from collections.abc import Callable
from threading import Event
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable, compose
from reactivex.operators import do_action

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.demo.inputs import Input
from rxstream.demo.scene import CAR

__all__ = ["Analysis", "Summary", "Traffic", "analysis_of", "decibels", "loudness", "motion"]

Operator: TypeAlias = Callable[[Observable[Chunk]], Observable[Chunk]]
# Every so many pixels are enough to see a change of a frame.
_PIXELS = 8


class Analysis(Protocol):
    """Takes the results of operators; sums them up for people."""

    now: str
    """The newest result."""

    def __call__(self, chunk: Chunk, /) -> None:
        """Take the next results."""
        ...

    def found(self, start: int) -> str:
        """Return all results in a line, times from ``start`` [ns] on."""
        ...


def analysis_of(source: Input, slow: float, hurry: Event) -> tuple[Operator, Analysis]:
    """Return the operators that analyse a device, and what takes their results.

    Parameters
    ----------
    source
        The device.
    slow
        Time that the analysis of a frame takes, in durations of a frame.
    hurry
        When set, it is slow no more.
    """
    if source.key == "microphone":
        return loudness()
    if source.key == "camera":
        return motion(slow, hurry)
    if source.key == "sensor":
        found = "values from {least:.2f} to {most:.2f}"
        return ops.window_by_time(0.2), Summary("{:+.2f}", found)
    windows = ops.window_by_time(0.5)
    # Of a real bus there is no database.
    decoded = compose(ops.decode_can(CAR, ["EngineSpeed"]), windows)
    return decoded if source.simulated else windows, Traffic()


def loudness() -> tuple[Operator, "Summary"]:
    """Return what measures the level of sound, ten times a second over 0.2 s, and sums it up."""
    levels = compose(ops.rms(0.2, every=0.1), ops.map_data(decibels, unit="dB"))
    found = "usually {median:.0f} dB, loudest {most:.0f} dB at {at:.1f} s"
    return levels, Summary("{:.0f} dB", found)


def motion(slow: float, hurry: Event) -> tuple[Operator, "Summary"]:
    """Return what measures the change of frames, slowly, and sums it up."""

    def wait(chunk: Chunk) -> None:
        hurry.wait(chunk.duration * slow)

    changes = compose(do_action(wait), ops.scan_data(_change, None, unit="%"))
    return changes, Summary("{:.0f} % change", "frames changed most at {at:.1f} s, by {most:.0f} %")


def decibels(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Return levels of 0 to 1 in dB, at least -120."""
    out: NDArray[np.float64] = 20.0 * np.log10(np.maximum(levels, 1e-6))
    return out


def _change(
    before: NDArray[np.float64] | None, frames: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the change of frames ``(n, height, width[, 3])`` from one to the next [%]."""
    small = frames[:, ::_PIXELS, ::_PIXELS].reshape(len(frames), -1).astype(np.float64)
    changes = np.diff(small, axis=0, prepend=small[:1] if before is None else before)
    return 100.0 / 255.0 * np.abs(changes).mean(axis=1), small[-1:]


class Summary:
    """Least, greatest and median of numbers.

    Parameters
    ----------
    now
        Format of the newest number.
    found
        Format of the result: ``least``, ``median``, ``most``, and ``at``, the time of the greatest
        number [s].
    """

    def __init__(self, now: str, found: str) -> None:
        self.now = ""
        self._now, self._found = now, found
        self._values: list[NDArray[Any]] = []
        self._most = (-np.inf, 0)

    def __call__(self, chunk: Chunk, /) -> None:
        """Take numbers ``(n,)`` or ``(n, channels)``, of which the greatest counts."""
        if len(chunk):
            values = chunk.data.reshape(len(chunk), -1).max(axis=1)
            self.now = self._now.format(values[-1])
            self._values.append(values)
            greatest = int(values.argmax())
            self._most = max(self._most, (float(values[greatest]), chunk.axis.at(greatest)))

    def found(self, start: int) -> str:
        """Return the result."""
        if not self._values:
            return "nothing came"
        values, (most, when) = np.concatenate(self._values), self._most
        return self._found.format(
            least=values.min(), median=np.median(values), most=most, at=max(0, when - start) / 1e9
        )


class Traffic:
    """Messages per second on a CAN bus and, where it is decoded, the engine's speed."""

    def __init__(self) -> None:
        self.now = ""
        self._rates: list[float] = []
        self._kinds: set[int] = set()
        self._speeds: list[float] = []

    def __call__(self, chunk: Chunk, /) -> None:
        """Take a window of messages."""
        rate = len(chunk) / chunk.duration if chunk.duration > 0 else 0.0
        self._rates.append(rate)
        self._kinds.update(np.unique(chunk.data["arbitration_id"]).tolist())
        self.now = f"{rate:.0f} messages/s"
        if "EngineSpeed" in (chunk.dtype.names or ()):
            speeds = chunk.data["EngineSpeed"]
            speeds = speeds[~np.isnan(speeds)]
            if len(speeds):
                self._speeds += [float(speeds.min()), float(speeds.max())]
                self.now = f"{speeds[-1]:.0f} turns/min"

    def found(self, start: int) -> str:
        """Return how busy the bus was."""
        rate = float(np.median(self._rates)) if self._rates else 0.0
        text = f"{rate:.0f} messages/s of {len(self._kinds)} kinds"
        if self._speeds:
            text += f"; engine {min(self._speeds):.0f} to {max(self._speeds):.0f} turns/min"
        return text
