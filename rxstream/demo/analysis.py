"""What the analysing readers of the demo compute: loudness, motion, traffic; plain callables."""

import time
from collections import deque
from collections.abc import Callable
from threading import Event
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk

__all__ = ["Analysis", "Loudness", "Motion", "Swing", "Traffic"]

_LOUDER, _AUDIBLE = 15.0, -45.0  # a loud moment is so much above the usual, and above this [dB]
_KEPT = 100  # windows that make the usual loudness
_LEAST = 5


class Analysis(Protocol):
    """Takes chunks in a reader of its own; says what it has found."""

    now: str
    """The newest result, for people."""

    def __call__(self, chunk: Chunk, /) -> None:
        """Take the next chunk."""
        ...

    def found(self, start: int) -> str:
        """Return in one line what it has found, times from ``start`` [ns] on."""
        ...


def decibels(data: NDArray[Any]) -> float:
    """Return the level of samples between -1 and 1 [dB], at least -120."""
    power = float(np.mean(np.square(data, dtype=np.float64)))
    return 10.0 * float(np.log10(power + 1e-12))


class Loudness:
    """Loudness of sound, and the moments that are much louder than usual.

    Parameters
    ----------
    loud
        Called with the time [ns] at which a loud moment begins.
    """

    def __init__(self, loud: Callable[[int], object]) -> None:
        self.now = ""
        self._loud = loud
        self._levels: deque[float] = deque(maxlen=_KEPT)
        self._most = (-120.0, 0)

    def __call__(self, chunk: Chunk, /) -> None:
        """Take a window of sound ``(n, channels)``."""
        if not len(chunk):
            return
        level = decibels(chunk.data)
        if level > self._most[0]:
            self._most = level, (chunk.start + chunk.end) // 2
        usual = float(np.median(self._levels)) if len(self._levels) >= _LEAST else None
        if usual is not None and level > max(usual + _LOUDER, _AUDIBLE):
            size = np.abs(chunk.data.reshape(len(chunk), -1)).max(axis=1)
            self._loud(int(chunk.time[int(np.argmax(size >= size.max() / 2))]))
        self._levels.append(level)
        self.now = f"{level:.0f} dB"

    def found(self, start: int) -> str:
        """Return the usual and the greatest loudness."""
        if not self._levels:
            return "no sound"
        level, when = self._most
        usual = float(np.median(self._levels))
        at = max(0.0, (when - start) / 1e9)
        return f"usually {usual:.0f} dB, loudest {level:.0f} dB at {at:.1f} s"


class Motion:
    """How much pictures change from one to the next; takes its time, on purpose.

    Parameters
    ----------
    slow
        How many times longer than a picture lasts it takes for each.
    hurry
        When set, it is slow no more.
    """

    def __init__(self, slow: float, hurry: Event) -> None:
        self.now = ""
        self._slow, self._hurry = slow, hurry
        self._before: NDArray[np.float64] | None = None
        self._most = (0.0, 0)

    def __call__(self, chunk: Chunk, /) -> None:
        """Take pictures ``(n, height, width[, 3])``."""
        began = time.perf_counter()
        for picture, when in zip(chunk.data, chunk.time.tolist(), strict=True):
            small = picture[::8, ::8].astype(np.float64)
            if self._before is not None:
                change = 100.0 * float(np.abs(small - self._before).mean()) / 255.0
                self._most = max(self._most, (change, when))
                self.now = f"{change:.0f} % change"
            self._before = small
        self._hurry.wait(max(0.0, chunk.duration * self._slow - (time.perf_counter() - began)))

    def found(self, start: int) -> str:
        """Return when the pictures changed most."""
        change, when = self._most
        at = max(0.0, (when - start) / 1e9)
        return f"pictures changed most at {at:.1f} s, by {change:.0f} %"


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
        if "EngineSpeed" in (chunk.data.dtype.names or ()):
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
    """The range of a sensor's values."""

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
