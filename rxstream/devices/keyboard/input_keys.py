"""Keys of an input device of Linux: they go down and up, with the kernel's stamps."""

from collections.abc import Iterator

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Fail
from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading
from rxstream.devices.input_events import (
    KEY,
    LED,
    Event,
    InputDevice,
    find_inputs,
    is_dropped,
    open_input,
)
from rxstream.devices.keyboard.key_codes import KeyState
from rxstream.errors import OverrunError
from rxstream.formats.keys import KEY_DTYPE

__all__ = ["ANY", "InputKeys", "find_keyboards", "open_keys"]

ANY = "any"
"""Instead of a name: the first keyboard that can be read."""

# Codes that every keyboard has: A, enter, space.
_TYPICAL = {30, 28, 57}

# Codes of buttons of mice and gamepads, among those of keys.
_BUTTONS = (range(0x100, 0x160), range(0x220, 0x230), range(0x2C0, 0x300))

_UP, _DOWN = 0, 1


class InputKeys:
    """Reads keys of an input device.

    Parameters
    ----------
    device
        The device, which is closed with this.
    fail
        Takes what the device survives.
    """

    def __init__(self, device: InputDevice, fail: Fail) -> None:
        self._device, self._fail = device, fail
        self._keys = KeyState(device.held(), device.leds())
        self.name = device.name
        """What the keyboard calls itself."""

    def read(self, timeout: float) -> Reading:
        """Wait for keys, up to ``timeout`` [s]; without one it is a heartbeat.

        Raises
        ------
        DeviceLostError
            If the keyboard is gone.
        """
        events, quiet = self._device.read(timeout)
        found = list(self._strokes(events))
        # of how many keys is not known
        lost: GapReason = "overrun" if any(map(is_dropped, events)) else "dropped"
        if not found:
            return Reading(np.empty(0, KEY_DTYPE), bounds=(quiet, quiet), reason=lost)
        data = np.array([(name, down) for name, down, _ in found], KEY_DTYPE)
        stamps = np.array([stamp for *_, stamp in found], np.int64)
        return Reading(data, device_time=stamps, reason=lost)

    def _strokes(self, events: list[Event]) -> Iterator[tuple[str, bool, int]]:
        """Yield the name of each key that went down or up, which of both, and when [ns]."""
        for event in events:
            if is_dropped(event):
                self._fail(OverrunError(f"keyboard: {self._device.explain_dropped()}"))
                self._keys.leds = self._device.leds()
            elif event.kind == LED:
                (self._keys.leds.add if event.value else self._keys.leds.discard)(event.code)
            # the third value is a repetition, which the kernel makes while a key is held
            elif event.kind == KEY and _is_key(event.code) and event.value in (_UP, _DOWN):
                down = event.value == _DOWN
                yield self._keys.push(event.code, down=down), down, event.stamp

    def close(self) -> None:
        """Close the device."""
        self._device.close()


def _is_key(code: int) -> bool:
    return not any(code in codes for codes in _BUTTONS)


def _is_keyboard(device: InputDevice) -> bool:
    return device.has(KEY) >= _TYPICAL


def open_keys(device: str, fail: Fail) -> InputKeys:
    """Open a keyboard by its path or name, or `ANY`.

    Raises
    ------
    DeviceNotFoundError
        If there is none.
    DeviceBusyError
        If the user may not read it.
    """
    opened = open_input(None if device == ANY else device, _is_keyboard, "keyboard")
    try:
        return InputKeys(opened, fail)
    except BaseException:
        opened.close()
        raise


def find_keyboards() -> list[DeviceInfo]:
    """Return the keyboards that can be read."""
    return find_inputs(_is_keyboard, "keyboard")
