"""Find a microphone, a camera and a CAN bus; where there is none, simulate it and say why."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from rxstream.acquisition.device import Device
from rxstream.acquisition.source import Source
from rxstream.demo.scene import DELAYS, Scene
from rxstream.devices.audio import Audio
from rxstream.devices.camera import Camera
from rxstream.devices.can import Can
from rxstream.devices.simulated import Simulated
from rxstream.errors import ParameterError, RxStreamError

__all__ = ["TITLES", "Input", "find_inputs", "spare_input"]

TITLES = {"microphone": "microphone", "camera": "camera", "can": "CAN bus", "sensor": "sensor"}
"""Names of the devices for people."""

# Frames need much memory, and the moment that is saved begins 5 s before an event [s].
_HISTORY = {"microphone": 60.0, "camera": 15.0, "can": 60.0, "sensor": 60.0}
# A USB camera may take 2 s to its first frame [s].
_FIRST_SAMPLE = 3.0
# From one try to open a lost device to the next [s]: short, or the demo would be over.
_RETRY = 0.1


@dataclass(frozen=True)
class Input:
    """One open device of the demo.

    Attributes
    ----------
    key
        ``microphone``, ``camera``, ``can``, ``sensor``; also the name of its files.
    device
        The device, open.
    source
        Name of the hardware, or ``simulated``.
    reason
        Why it is simulated, else empty.
    simulated
        The simulated source, or None for real hardware.
    """

    key: str
    device: Device
    source: str
    reason: str = ""
    simulated: Simulated | None = None

    @property
    def title(self) -> str:
        """Name for people."""
        return TITLES[self.key]


def find_inputs(
    scene: Scene, *, simulated: bool = False, opened: Callable[[Input], object] = lambda _: None
) -> list[Input]:
    """Open the three devices: real ones where there are any, unless ``simulated``.

    ``opened`` is called with each as soon as it is open, so that it can be closed if another one
    is in the way or the user presses Ctrl-C.
    """
    sources = {"microphone": scene.microphone, "camera": scene.camera, "can": scene.can}
    found: dict[str, Input] = {}
    reasons = dict.fromkeys(sources, "as you asked")
    for key in () if simulated else sources:
        real = _first_that_works(key)
        if isinstance(real, Input):
            found[key] = real
            opened(real)
        else:
            reasons[key] = real
    # Real devices take a while to open: simulated ones come last, so that all begin together.
    for key, source in sources.items():
        if key not in found:
            found[key] = _simulate(key, source, reasons[key])
            opened(found[key])
    return [found[key] for key in sources]


def spare_input(scene: Scene) -> Input:
    """Return a simulated device to unplug where everything else is real."""
    return _simulate("sensor", scene.sensor, "so that there is one to unplug")


def _simulate(key: str, source: Simulated, reason: str) -> Input:
    device = Device(
        source, name=key, history=_HISTORY[key], path_delay=DELAYS.get(key, 0.0), reconnect=_RETRY
    )
    return Input(key, device.open(), "simulated", reason, source)


def _first_that_works(key: str) -> Input | str:
    """Return the first device that emits something, or why there is none."""
    reason = f"this machine has no {TITLES[key]}"
    try:
        for source, name in _candidates(key):
            device = Device(source, name=key, history=_HISTORY[key], reconnect=_RETRY)
            try:
                device.open()
                # A bus may be silent.
                if key == "can" or _emits(device):
                    return Input(key, device, name)
                reason = f"{name} was opened, but gave nothing for {_FIRST_SAMPLE:g} s"
            except RxStreamError as error:
                reason = str(error)
            except BaseException:
                device.close(0.0)
                raise
            device.close(0.0)
    except RxStreamError as error:
        # The driver is missing.
        reason = str(error)
    return reason


def _emits(device: Device) -> bool:
    came = Event()
    subscription = device.rewind(to=0).subscribe(lambda _: came.set(), lambda _: None)
    found = came.wait(_FIRST_SAMPLE)
    subscription.dispose()
    return found


def _candidates(key: str) -> Iterator[tuple[Source, str]]:
    """Yield the real devices of a kind, the best one first, with their names."""
    if key == "microphone":
        inputs = sorted(Audio.discover(), key=lambda item: "default" not in item.note)
        for rate in (48_000.0, 44_100.0) if inputs else ():
            yield Audio(rate=rate), inputs[0].name
    elif key == "camera":
        cameras = [(item.options, item.name) for item in Camera.discover()]
        # Only on Linux cameras are known without opening them.
        if not cameras and sys.platform != "linux":
            cameras = [({"source": 0}, "camera 0")]
        for options, name in cameras:
            yield Camera(**options, size=(640, 480)), name
            # one that has no such size
            yield Camera(**options), name
    else:
        for item in Can.discover():
            # A serial port may be anything: it must not be sent commands without being asked to.
            if item.options.get("interface") != "slcan":
                with suppress(ParameterError):
                    yield Can(**item.options), item.name
