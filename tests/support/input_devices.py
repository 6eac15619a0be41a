"""Stand-ins for ``/dev/input/event*``, of which a machine without a keyboard has none.

A pipe gives events as the kernel lays them out, and a made-up ``ioctl`` answers what the kernel
would be asked. What nobody but a kernel can show, as that it stamps by the clock that was set, has
been seen once with a device of uinput.
"""

import fcntl
import itertools
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from counterparts import Plugged

from rxstream.devices import input_events

__all__ = ["FakeInput", "fake_keyboard", "fake_mouse", "input_folder"]

SYN, KEY, REL, ABS, LED = 0, 1, 2, 3, 0x11

_devices: dict[str, "FakeInput"] = {}
_real = fcntl.ioctl


class FakeInput(Plugged):
    """An input device: it is there from `plug` to `unplug`."""

    def __init__(self, path: Path, name: str, has: dict[int, set[int]]) -> None:
        self.path, self.name, self._has = path, name, has
        self.held, self.leds, self.clock = set[int](), set[int](), 0
        self._fd = -1

    def plug(self) -> None:
        os.mkfifo(self.path)
        # for reading, too: it has a writer from its beginning on
        self._fd = os.open(self.path, os.O_RDWR)
        _devices[str(self.path)] = self

    def unplug(self) -> None:
        if self._fd >= 0:
            self.path.unlink()
            os.close(self._fd)
            self._fd = -1

    def move_to(self, path: Path) -> None:
        """Have another path when it is plugged in again."""
        self.path = path

    def send(self, *events: tuple[int, int, int], report: bool = True) -> int:
        """Send events that belong together; return their stamp on the clock that was set [ns]."""
        stamp = time.clock_gettime_ns(self.clock) // 1000 * 1000
        sent = [*events, *[(SYN, 0, 0)] * report]
        for kind, code, value in sent:
            if kind == KEY and value != 2:
                (self.held.add if value else self.held.discard)(code)
        # at once, as who asks what is held has the kernel drop the events that say so
        os.write(self._fd, b"".join(event(*each, stamp) for each in sent))
        return stamp

    def answer(self, request: int, given: bytes) -> bytes:
        number, size = request & 0xFF, request >> 16 & 0x3FFF
        assert request >> 8 & 0xFF == ord("E")
        if number == 0xA0:
            (self.clock,) = struct.unpack("i", given)
            return given
        assert request >> 30 == 2
        assert len(given) == size
        if number == 0x06:
            return self.name.encode().ljust(size, b"\0")
        numbers = {0x18: self.held, 0x19: self.leds}.get(number, self._has.get(number - 0x20))
        bits = bytearray(size)
        for code in numbers or ():
            bits[code // 8] |= 1 << code % 8
        return bytes(bits)


def event(kind: int, code: int, value: int, stamp: int) -> bytes:
    """Return a ``struct input_event``."""
    seconds, rest = divmod(stamp, 1_000_000_000)
    return struct.pack("@llHHi", seconds, rest // 1000, kind, code, value)


def _ioctl(fd: int, request: int, given: Any = 0, *rest: Any) -> Any:
    device = _devices.get(os.readlink(f"/proc/self/fd/{fd}"))
    return _real(fd, request, given, *rest) if device is None else device.answer(request, given)


@contextmanager
def input_folder(folder: Path) -> Iterator[Path]:
    """Give the folder where input devices are looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(input_events, "FOLDER", folder)
        patch.setattr(fcntl, "ioctl", _ioctl)
        try:
            yield folder
        finally:
            _devices.clear()


_numbers = itertools.count()


def fake_keyboard(folder: Path, name: str = "Keys 3000") -> FakeInput:
    return FakeInput(
        folder / f"event{next(_numbers)}", name, {KEY: set(range(1, 249)), LED: {0, 1, 2}}
    )


def fake_mouse(folder: Path, name: str = "Mouse 7") -> FakeInput:
    return FakeInput(
        folder / f"event{next(_numbers)}", name,
        {KEY: {0x110, 0x111, 0x112}, REL: {0, 1, 8, 11}},
    )  # fmt: skip
