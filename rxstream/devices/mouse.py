"""mouse: where it goes, and its buttons, by input devices of Linux (needs no extra)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.input_events import (
    ABS,
    KEY,
    REL,
    Event,
    InputDevice,
    check_input,
    find_inputs,
    is_dropped,
    is_report,
    open_input,
)
from rxstream.errors import OverrunError

__all__ = ["MOUSE_DTYPE", "Mouse"]

MOUSE_DTYPE = np.dtype([("x", "i8"), ("y", "i8"), ("button", "U16"), ("pressed", np.bool_)])
"""A movement, whose ``button`` is ``""``, or a button that goes down or up."""

# Longest time without a heartbeat [s].
_BEAT = 0.1

# Codes of <linux/input-event-codes.h>.
_X, _Y, _WHEEL_ACROSS, _WHEEL = 0, 1, 6, 8
_LEFT, _TOUCH = 0x110, 0x14A
_BUTTONS = {
    _LEFT: "left", 0x111: "right", 0x112: "middle", 0x113: "side", 0x114: "extra",
    0x115: "forward", 0x116: "back", 0x117: "task", 0x140: "pen", 0x14B: "stylus",
    0x14C: "stylus2", _TOUCH: "touch",
}  # fmt: skip
_WHEELS = {_WHEEL: ("wheel_up", "wheel_down"), _WHEEL_ACROSS: ("wheel_right", "wheel_left")}
_BUTTON_RANGE = range(0x100, 0x160)

_Sample: TypeAlias = tuple[tuple[int, int, str, bool], int]
"""Place and button, and its stamp [ns]."""


@dataclass(frozen=True, slots=True)
class Mouse:
    """A mouse, touchpad or tablet of Linux: movements, buttons and notches of its wheels.

    ``x`` and ``y`` go on from 0 as the mouse moves, to the right and down, in its own counts; those
    of a touchpad or tablet are its places. ``button`` is ``""`` for a movement, else ``left``,
    ``right``, ``middle``, ``side``, ``extra``, ``touch``, with ``pressed``, or ``wheel_up``,
    ``wheel_down``, ``wheel_left``, ``wheel_right``, each notch once, as pressed.

    What belongs to one movement of the hand comes at one time: first the place, then the buttons.
    Times are the kernel's stamps. What the kernel drops, as it is not read in time, is a gap
    without a number; the buttons that changed meanwhile follow, a mouse goes on from where it was.

    Attributes
    ----------
    device
        Name of the device, which finds it wherever it is plugged in, or its path, as
        ``"/dev/input/event5"``; None: the first one that can be read.

    Examples
    --------
    >>> Mouse().info.dtype.names
    ('x', 'y', 'button', 'pressed')
    """

    device: str | None = None

    def __post_init__(self) -> None:
        check_input(self.device, "Mouse")

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        extra = {"device": self.device or "any"}
        return StreamInfo("mouse", None, (), MOUSE_DTYPE, device_clock="host", extra=extra)

    def open(self, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:
        """Listen to the mouse.

        Raises
        ------
        DeviceNotFoundError
            If there is none, or the system is not Linux.
        DeviceBusyError
            If the user may not read it.
        """
        line, place = open_input(self.device, _is_mouse, "mouse"), _Place()

        def read() -> Reading:
            events, quiet = line.read(_BEAT)
            lost: GapReason = "dropped"
            if any(map(is_dropped, events)):
                fail(OverrunError(f"mouse: {line.explain_dropped()}"))
                lost = "overrun"  # of how many is not known
            found = list(place.follow(events))
            data = np.array([row for row, _ in found], MOUSE_DTYPE)
            if not found:
                return Reading(data, bounds=(quiet, quiet), reason=lost)
            stamps = np.array([stamp for _, stamp in found], np.int64)
            return Reading(data, device_time=stamps, reason=lost)

        info = replace(self.info, extra={"device": line.name})
        return poll(read, emit, fail, name="mouse", release=line.close), info

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the mice that the user may read."""
        return find_inputs(_is_mouse, "mouse")


def _is_mouse(device: InputDevice) -> bool:
    keys = device.has(KEY)
    moves = {_X, _Y} <= device.has(REL) or {_X, _Y} <= device.has(ABS)
    return moves and bool(keys & {_LEFT, _TOUCH})


class _Place:
    """Where the mouse is, and what has come of a report that is not complete."""

    def __init__(self) -> None:
        self._at = [0, 0]
        self._report: list[Event] = []

    def follow(self, events: list[Event]) -> Iterator[_Sample]:
        """Yield what each report says: where it is, and then its buttons."""
        for event in events:
            self._report.append(event)
            if is_report(event):
                report, self._report = self._report, []
                moves = [self._moves(one) for one in report]
                if any(moves):
                    yield self._sample("", False, event.stamp)
                for one in report:
                    yield from self._buttons(one)

    def _moves(self, event: Event) -> bool:
        """Move as an event says; return whether it does."""
        kind, code, value, _ = event
        if kind not in (REL, ABS) or code not in (_X, _Y):
            return False
        self._at[code] = value + (self._at[code] if kind == REL else 0)
        return True

    def _buttons(self, event: Event) -> Iterator[_Sample]:
        """Yield a button that an event is of, or notches of a wheel."""
        kind, code, value, stamp = event
        if kind == KEY and code in _BUTTON_RANGE:
            yield self._sample(_BUTTONS.get(code, f"button{code}"), bool(value), stamp)
        elif kind == REL and code in _WHEELS:
            for _ in range(abs(value)):
                yield self._sample(_WHEELS[code][value < 0], True, stamp)

    def _sample(self, button: str, pressed: bool, stamp: int) -> _Sample:
        return (self._at[0], self._at[1], button, pressed), stamp
