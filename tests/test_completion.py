"""Tab completion, as Jupyter and IPython do it: by jedi, on live objects."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rxstream
from rxstream import Backoff, Chunk, Device, DeviceCounter, Gap, Reading, StreamInfo
from rxstream import TimeWindowSubject as Subject
from rxstream.data.clip import Clip
from rxstream.devices import Audio, Camera, Can, Keyboard, Simulated
from rxstream.timing import ClockModel, ClockSettings

jedi = pytest.importorskip("jedi")

INFO = StreamInfo("x", 10.0, (), np.dtype(int))
CHUNK = Chunk.regular(np.arange(30), INFO, start=0)

PUBLIC: dict[str, tuple[Callable[[], Any], str]] = {
    "Device": (lambda: Device(Simulated()), "rewind"),
    "what rewinds": (lambda: Device(Simulated()).rewind(1), "rewind"),
    "Reader": (lambda: Device(Simulated()).reader(), "read"),
    "the past": (lambda: Device(Simulated()).past(), "pipe"),
    "Stats": (lambda: Device(Simulated()).stats(), "flow"),
    "Flow": (lambda: Device(Simulated()).stats().flow, "jitter_p99"),
    "TimeWindowSubject": (lambda: Subject(1.0), "rewind"),
    "Chunk": (lambda: CHUNK, "between"),
    "Gap": (lambda: Gap(0, 1, None, "dropped"), "reason"),
    "Clip": (lambda: Clip((1,), (1,), 0, 10), "events"),
    "Reading": (lambda: Reading(np.arange(3)), "device_time"),
    "StreamInfo": (lambda: INFO, "channels"),
    "DeviceCounter": (lambda: DeviceCounter(8), "bits"),
    "Backoff": (Backoff, "factor"),
    "Audio": (Audio, "rate"),
    "Camera": (lambda: Camera(0), "discover"),
    "Can": (lambda: Can("can0"), "discover"),
    "Keyboard": (Keyboard, "discover"),
    "Simulated": (Simulated, "readings"),
    "ClockModel": (lambda: ClockModel(ClockSettings(1.0)), "push"),
    "rxstream": (lambda: rxstream, "Device"),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_object_completes(name: str) -> None:
    make, member = PUBLIC[name]
    found = jedi.Interpreter("thing.", [{"thing": make()}]).complete()
    assert member in {completion.name for completion in found}
