"""Input devices of Linux: keyboards, mice and others, by ``/dev/input/event*``.

An event is a ``struct input_event`` of <linux/input.h>, which is as old as Linux 2.4 and does not
change; so no driver is needed.
"""

import errno
import os
import select
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.data.clock import host_clock, now_ns
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    ParameterError,
)
from rxstream.printable import printable, shown

if sys.platform != "win32":
    import fcntl

__all__ = [
    "ABS", "KEY", "LED", "REL", "Event", "InputDevice", "check_input", "find_inputs", "is_dropped",
    "is_report", "open_input",
]  # fmt: skip

# Where the devices are; a name for tests, which have none.
FOLDER = Path("/dev/input")

# Kinds of events, and codes of those that say where a report ends and that events were dropped.
SYN, KEY, REL, ABS, LED = 0, 1, 2, 3, 0x11
_REPORT, _DROPPED = 0, 3

# Requests of ioctl: direction, size, 'E', number.
_WRITE, _READ = 1 << 30, 2 << 30
_NAME, _KEYS, _LEDS, _BITS = 0x06, 0x18, 0x19, 0x20
_SET_CLOCK = _WRITE | 4 << 16 | ord("E") << 8 | 0xA0
_BYTES = 128

# Measurements of the distance of two clocks.
_TRIES = 5

_EVENT = struct.Struct("@llHHi")
_MANY = 64

# Something stamped so long ago has come [ns].
_ON_ITS_WAY = 1_000_000

# CLOCK_BOOTTIME, as the host clock: it goes on while the computer sleeps.
_CLOCK = 7


class Event(NamedTuple):
    """What an input device says."""

    kind: int
    code: int
    value: int
    stamp: int
    """On the host clock [ns]."""


class InputDevice:
    """An open input device.

    Parameters
    ----------
    path
        Path of it.
    what
        What to call it in errors.

    Raises
    ------
    DeviceNotFoundError
        If it is not there, or is something else.
    DeviceBusyError
        If the user may not read it.
    """

    def __init__(self, path: str, what: str) -> None:
        self.path, self._what, self._rest = path, what, b""
        self._held: set[int] = set()  # codes of keys, as the events so far have it
        self._dropping = False  # until the next report
        # how far the host clock is ahead of that of the stamps, which does not change [ns]
        self._ahead = sorted(host_clock.from_clock(0, _now) for _ in range(_TRIES))[_TRIES // 2]
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _refused(path, what, error) from error
        try:
            fcntl.ioctl(self._fd, _SET_CLOCK, struct.pack("i", _CLOCK))
            name = self._ioctl(_NAME)
            self._held = _numbers(self._ioctl(_KEYS))
        except OSError as error:
            os.close(self._fd)
            msg = f"{what}: {path} is no input device of Linux ({os.strerror(error.errno or 0)})"
            raise DeviceNotFoundError(msg) from error
        self._ready = select.poll()
        self._ready.register(self._fd, select.POLLIN)
        self.name = printable(name.partition(b"\0")[0].decode("utf-8", "replace"))
        """What it calls itself."""

    def has(self, kind: int) -> set[int]:
        """Return the codes of a kind of events that it can send."""
        return _numbers(self._ask(_BITS + kind))

    def held(self) -> set[int]:
        """Return the codes of the keys that are down."""
        return _numbers(self._ask(_KEYS))

    def leds(self) -> set[int]:
        """Return the codes of the LEDs that are on."""
        return _numbers(self._ask(_LEDS))

    def _ask(self, number: int) -> bytes:
        try:
            return self._ioctl(number)
        except OSError as error:
            raise DeviceLostError(self._gone()) from error

    def _ioctl(self, number: int) -> bytes:
        request = _READ | _BYTES << 16 | ord("E") << 8 | number
        return fcntl.ioctl(self._fd, request, bytes(_BYTES))

    def read(self, timeout: float) -> tuple[list[Event], int]:
        """Wait for events, up to ``timeout`` [s].

        Returns
        -------
        events
            Those that have come. Where the kernel has dropped some before them, the first says so
            (`is_dropped`), and the keys that went down or up meanwhile follow, as found now.
        quiet
            Nothing before this is still to come [ns].

        Raises
        ------
        DeviceLostError
            If the device is gone.
        """
        quiet = now_ns() - _ON_ITS_WAY
        data = b""
        if len(self._rest) < _EVENT.size:
            if not self._ready.poll(timeout * 1000):
                return [], quiet
            data = self._received()
        data = self._rest + data
        events = self._events(data[: len(data) // _EVENT.size * _EVENT.size])
        # what was dropped comes first, so that what is missing lies before all that is returned
        count = next((k for k, event in enumerate(events) if k and is_dropped(event)), len(events))
        self._rest = data[count * _EVENT.size :]
        if count < len(events):
            quiet = min(quiet, events[count].stamp)
        return self._kept(events[:count]), quiet

    def _received(self) -> bytes:
        """Return what has come, b"" for nothing."""
        try:
            data = os.read(self._fd, _MANY * _EVENT.size)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            data = b""
        if not data:
            raise DeviceLostError(self._gone())
        return data

    def _events(self, data: bytes) -> list[Event]:
        return [
            Event(kind, code, value, seconds * 1_000_000_000 + micros * 1000 + self._ahead)
            for seconds, micros, kind, code, value in _EVENT.iter_unpack(data)
        ]

    def _kept(self, events: list[Event]) -> list[Event]:
        """Return the events but those of a report of which the kernel has dropped a part."""
        kept, missed = list[Event](), False
        for event in events:
            if is_dropped(event):
                self._dropping = missed = True
                kept.append(event)
            elif self._dropping:
                self._dropping = not is_report(event)
            # which keys are down is asked, and that has these in it
            elif event.kind != KEY or not missed:
                kept.append(event)
                if event.kind == KEY:
                    (self._held.add if event.value else self._held.discard)(event.code)
        return kept + self._changed() if missed else kept

    def _changed(self) -> list[Event]:
        """Return an event for each key that went down or up, and none has said so."""
        before, now = self._held, now_ns()
        self._held = held = self.held()
        changed = [Event(KEY, code, int(code in held), now) for code in sorted(before ^ held)]
        return [*changed, Event(SYN, _REPORT, 0, now)]

    def explain_dropped(self) -> str:
        """Return what to say of events that the kernel has dropped."""
        return (
            f"the kernel has dropped events of {self.name}, which were not read in time; how many "
            "is not known"
        )

    def _gone(self) -> str:
        return f"{self._what}: {self.path} ({self.name}) is gone"

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def is_dropped(event: Event) -> bool:
    """Whether an event says that the kernel has dropped some before it."""
    return (event.kind, event.code) == (SYN, _DROPPED)


def is_report(event: Event) -> bool:
    """Whether an event ends a report: what came before it belongs together."""
    return (event.kind, event.code) == (SYN, _REPORT)


def open_input(wanted: str | None, fits: Callable[[InputDevice], bool], what: str) -> InputDevice:
    """Open an input device.

    Parameters
    ----------
    wanted
        Path or name of it; None: the first one that fits.
    fits
        Whether a device is of the kind.
    what
        What to call it in errors, e.g. ``"mouse"``.

    Raises
    ------
    DeviceNotFoundError
        If there is none, or several have the name; the message has those there are.
    DeviceBusyError
        If the user may not read them.
    """
    if sys.platform != "linux":
        msg = f"{what}: only Linux has input devices that can be read"
        raise DeviceNotFoundError(msg)
    if wanted is not None and "/" in wanted:
        return InputDevice(wanted, what)
    found, refused = _inputs(fits, what)
    chosen = [device for device in found if wanted in (None, device.name)]
    if wanted is None:
        del chosen[1:]
    for device in found:
        if len(chosen) != 1 or device is not chosen[0]:
            device.close()
    if len(chosen) == 1:
        return chosen[0]
    if refused is not None and not chosen:
        raise refused
    which = "" if wanted is None else f" called {shown(wanted)}"
    if chosen:
        paths = ", ".join(device.path for device in chosen)
        msg = f"{what}: several are{which}: {paths}; give a path, as in {FOLDER}/by-id"
    else:
        names = ", ".join(device.name for device in found) or "none"
        msg = f"{what}: there is no {what}{which}; there are: {names}"
    raise DeviceNotFoundError(msg)


def check_input(wanted: object, name: str) -> None:
    """Raise ParameterError unless it can be the path or name of a device, or is None."""
    if wanted is None or (isinstance(wanted, str) and wanted and "\0" not in wanted):
        return
    msg = f"{name}: device must be a name or path, as discover() lists them, not {shown(wanted)}"
    raise ParameterError(msg)


def find_inputs(fits: Callable[[InputDevice], bool], what: str) -> list[DeviceInfo]:
    """Return the devices of a kind that the user may read, those with a name of their own by it."""
    found, _ = _inputs(fits, what)
    names = Counter(device.name for device in found)
    for device in found:
        device.close()
    return [
        DeviceInfo(one.name, {"device": one.name if names[one.name] == 1 else one.path}, one.path)
        for one in found
    ]


def _inputs(
    fits: Callable[[InputDevice], bool], what: str
) -> tuple[list[InputDevice], DeviceBusyError | None]:
    """Return the devices of a kind, open, and why another one cannot be read."""
    found, refused = list[InputDevice](), None
    for path in _paths():
        try:
            device = InputDevice(path, what)
        except DeviceBusyError as error:
            refused = refused or error
            continue
        except DeviceError:
            # it is gone since the folder was read
            continue
        try:
            wanted = fits(device)
        except DeviceError:
            wanted = False
        if wanted:
            found.append(device)
        else:
            device.close()
    return found, refused


def _paths() -> list[str]:
    """Return the paths of all input devices, by their numbers."""
    return sorted(map(str, FOLDER.glob("event*")), key=lambda path: (len(path), path))


def _refused(path: str, what: str, error: OSError) -> DeviceError:
    if isinstance(error, PermissionError):
        return DeviceBusyError(
            f"{what}: your user may not read {path}; add it to the group input (sudo usermod -aG "
            "input $USER), and log in again"
        )
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR):
        return DeviceNotFoundError(f"{what}: there is no {path}; see ls {FOLDER}/by-id")
    return DeviceNotFoundError(f"{what}: {path}: {os.strerror(error.errno or 0)}")


def _numbers(bits: Iterable[int]) -> set[int]:
    """Return the numbers of the bits that are set, the least one of the first byte first."""
    return {8 * k + bit for k, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1}


def _now() -> int:
    return time.clock_gettime_ns(_CLOCK)
