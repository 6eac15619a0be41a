"""The simulated world of the demo: one bang, which all devices in it notice."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import DeviceCounter
from rxstream.devices.simulated import Simulated, can_frames

__all__ = ["CAR", "DELAYS", "ENGINE", "Scene"]

ENGINE = 0x100
# Time constants with which sound, light and engine fade after the bang [s].
_SOUND_DECAY, _LIGHT_DECAY, _ENGINE_DECAY = 0.15, 0.35, 0.5
# Share of its speed that the engine keeps.
_IDLE = 0.25

# Sound and frames are numbered: on a very busy computer all may be late for seconds, which without
# numbers looks like a loss.
_NUMBERS = DeviceCounter(32)

DELAYS = {"microphone": 0.0013, "camera": 0.015, "can": 0.0}
"""Least delays of the simulated cables [s], for ``Device(path_delay=)``."""

CAR = """VERSION ""
BO_ 256 Engine: 8 Vector__XXX
 SG_ EngineSpeed : 0|16@1+ (0.25,0) [0|16000] "1/min" Vector__XXX
BO_ 512 Wheels: 8 Vector__XXX
 SG_ FrontLeft : 0|16@1+ (0.01,0) [0|300] "km/h" Vector__XXX
BO_ 784 Doors: 1 Vector__XXX
 SG_ Open : 0|4@1+ (1,0) [0|15] "" Vector__XXX
"""
"""Database (DBC) of the simulated CAN bus."""


class Scene:
    """Simulated devices that see, hear and measure the same thing at the same true time.

    Examples
    --------
    >>> scene = Scene()
    >>> scene.bang = 1_000_000_000
    >>> sound = scene.microphone.data(np.arange(96_000))  # its truth: it began at time 0
    >>> bool(np.abs(sound[:47_000]).max() < 0.1), bool(np.abs(sound[48_000:]).max() > 0.5)
    (True, True)
    """

    def __init__(self) -> None:
        self.bang: int | None = None
        """True host time of the bang [ns]; set at least 2 s before it comes."""
        self._plain = Simulated.camera()

    @cached_property
    def microphone(self) -> Simulated:
        """A room with a hum, and the bang."""
        return Simulated.microphone(signal=self._sound, counter=_NUMBERS)

    @cached_property
    def camera(self) -> Simulated:
        """Stripes, a ball, and a flash with the bang."""
        return Simulated.camera(signal=self._frames, counter=_NUMBERS)

    @cached_property
    def can(self) -> Simulated:
        """A small car whose engine stalls with the bang."""
        return Simulated.can(signal=self._messages)

    @cached_property
    def sensor(self) -> Simulated:
        """A spare one, to unplug where everything else is real."""
        return Simulated(rate=1000.0, name="sensor", unit="V", frequency=2.0, ppm=-15.0)

    def _since(self, source: Simulated, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the true time from the bang to each sample ``(n,)`` [s]; before it, negative."""
        if self.bang is None:
            return np.full(len(index), -1.0)
        since: NDArray[np.float64] = (source.truth.time(index) - self.bang) / 1e9
        return since

    def _sound(self, index: NDArray[np.int64]) -> NDArray[Any]:
        seconds = index / 48_000
        noise = 2.0 * np.mod(np.sin(index * 12.9898) * 43_758.5453, 1.0) - 1.0
        hum = 0.5 + 0.5 * np.sin(2 * np.pi * 0.7 * seconds)
        sound = 0.02 * hum * np.sin(2 * np.pi * 180.0 * seconds) + 0.003 * noise
        sound += 0.9 * noise * _fading(self._since(self.microphone, index), _SOUND_DECAY)
        heard: NDArray[Any] = np.clip(sound, -1.0, 1.0).astype(np.float32)[:, None]
        return heard

    def _frames(self, index: NDArray[np.int64]) -> NDArray[Any]:
        frames = self._plain.data(index)
        flash = _fading(self._since(self.camera, index), _LIGHT_DECAY)
        # The number of the frame, in its top rows, stays readable.
        top = self._plain.shape[0] // 15
        for k in np.flatnonzero(flash > 0.02).tolist():
            below = frames[k, top:]
            frames[k, top:] = below + ((255 - below) * flash[k]).astype(np.uint8)
        return frames

    def _messages(self, index: NDArray[np.int64]) -> NDArray[Any]:
        messages = can_frames(index)
        since = self._since(self.can, index)
        power = np.where(since < 0, 1.0, _fading(since, _ENGINE_DECAY))
        speed = (2600 + 300 * np.sin(index / 250)) * (_IDLE + (1 - _IDLE) * power)
        engine = messages["arbitration_id"] == ENGINE
        # The signal is in steps of 0.25 /min, little endian.
        words = (4 * speed[engine]).astype("<u2")
        messages["data"][engine, :2] = words.view(np.uint8).reshape(-1, 2)
        return messages


def _fading(since: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Return 1 at 0 s, then less and less; 0 before."""
    return np.where(since >= 0, np.exp(-np.maximum(since, 0) / decay), 0.0)
