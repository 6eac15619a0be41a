"""Results of the analysing readers of the demo: loudness, motion, traffic; plain callables."""

import time
from collections import deque
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk

__all__ = ["Analysis", "Loudness", "Motion", "Swing", "Traffic", "decibels"]

# Levels that make the usual one: the last 10 s of one each 0.1 s.
_KEPT = 100


class Analysis(Protocol):
    """Takes chunks in a reader of its own; reports what it has found."""

    now: str
    """The newest result, for people."""

    def __call__(self, chunk: Chunk, /) -> None:
        """Take the next chunk."""
        ...

    def found(self, start: int) -> str:
        """Return in one line what it has found, times from ``start`` [ns] on."""
        ...


def decibels(level: float) -> float:
    """Return a level of 0 to 1 in dB, at least -120."""
    return 20.0 * float(np.log10(max(level, 1e-6)))


def _seconds(when: int, start: int) -> float:
    return max(0.0, (when - start) / 1e9)


class Loudness:
    """Usual and greatest level of sound."""

    def __init__(self) -> None:
        self.now = ""
        self._levels: deque[float] = deque(maxlen=_KEPT)
        self._loudest = (-120.0, 0)

    def __call__(self, chunk: Chunk, /) -> None:
        """Take levels ``(n, channels)``, as of ``ops.rms``."""
        for level, when in zip(chunk.data.max(axis=-1).tolist(), chunk.time.tolist(), strict=True):
            self._levels.append(decibels(level))
            self._loudest = max(self._loudest, (decibels(level), when))
            self.now = f"{decibels(level):.0f} dB"

    def found(self, start: int) -> str:
        """Return the usual and the greatest loudness."""
        if not self._levels:
            return "no sound"
        level, when = self._loudest
        usual = float(np.median(self._levels))
        return f"usually {usual:.0f} dB, loudest {level:.0f} dB at {_seconds(when, start):.1f} s"


class Motion:
    """Change from one frame to the next; takes its time, on purpose.

    Parameters
    ----------
    slow
        Time it takes for a frame, in durations of a frame.
    hurry
        When set, it is slow no more.
    """

    def __init__(self, slow: float, hurry: Event) -> None:
        self.now = ""
        self._slow, self._hurry = slow, hurry
        self._before: NDArray[np.float64] | None = None
        self._greatest = (0.0, 0)

    def __call__(self, chunk: Chunk, /) -> None:
        """Take frames ``(n, height, width[, 3])``."""
        began = time.perf_counter()
        for frame, when in zip(chunk.data, chunk.time.tolist(), strict=True):
            small = frame[::8, ::8].astype(np.float64)
            if self._before is not None:
                change = 100.0 * float(np.abs(small - self._before).mean()) / 255.0
                self._greatest = max(self._greatest, (change, when))
                self.now = f"{change:.0f} % change"
            self._before = small
        self._hurry.wait(max(0.0, chunk.duration * self._slow - (time.perf_counter() - began)))

    def found(self, start: int) -> str:
        """Return when the frames changed most."""
        change, when = self._greatest
        return f"frames changed most at {_seconds(when, start):.1f} s, by {change:.0f} %"


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


class Swing:
    """Range of a sensor's values."""

    def __init__(self) -> None:
        self.now = ""
        self._low, self._high = np.inf, -np.inf

    def __call__(self, chunk: Chunk, /) -> None:
        """Take a window of numbers."""
        if len(chunk):
            low, high = float(chunk.data.min()), float(chunk.data.max())
            self._low, self._high = min(self._low, low), max(self._high, high)
            self.now = f"{high - low:.2f} {chunk.info.unit} swing"

    def found(self, start: int) -> str:
        """Return the range."""
        return f"values from {self._low:.2f} to {self._high:.2f}"
