"""A sound that is played back, as fast as it can be, for the tests of what stream2py promised."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from rxstream import Device
from rxstream.devices import Playback

__all__ = ["LENGTH", "RATE", "SECOND", "START", "microphone", "played", "sound"]

RATE = 1000.0
SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
LENGTH = 20_000


def sound(dtype: str = "int16") -> np.ndarray[Any, Any]:
    """Return 20 s at 1 kHz ``(n, 1)`` that are quiet, but from 10 s to 11 s loud."""
    data = np.arange(LENGTH) % 7 - 3
    data[10_000:11_000] = np.where(np.arange(1000) % 2, 20_000, -20_000)
    return data.astype(dtype)[:, None]


def microphone(dtype: str = "int16", speed: float = math.inf) -> Device:
    """Return a device that plays it."""
    source = Playback(sound(dtype), rate=RATE, start=START, speed=speed, name="mic")
    return Device(source, history=60)


@contextmanager
def played(*devices: Device) -> Iterator[None]:
    """Have all of some devices in their windows."""
    with ExitStack() as stack:
        for device in devices:
            stack.enter_context(device)
            assert device.wait(20)
        yield
