"""keyboard: the keys of a terminal, or of an input device of Linux (needs no extra)."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.input_events import check_input
from rxstream.devices.keyboard.input_keys import ANY, find_keyboards, open_keys
from rxstream.errors import DeviceError, DeviceNotFoundError, ParameterError
from rxstream.formats.keys import KEY_DTYPE
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["Keyboard"]


# Longest wait [s]; no system waits for a century.
_MAX_WAIT = 86_400.0

# The same of an input device, which nothing wakes before.
_INPUT_WAIT = 0.1


class _Keys(Protocol):
    def read(self, timeout: float) -> list[str] | None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Keyboard:
    r"""The keys of a terminal, or of an input device: irregular samples of `KEY_DTYPE`.

    ``key`` is the character typed (``"a"``, ``"é"``) or the name of the key: ``space``, ``enter``,
    ``tab``, ``backspace``, ``esc``, ``up``, ``page_down``, ``f5``, with ``ctrl+``, ``alt+`` and
    ``shift+`` before it. No bytes end the stream, and none are dropped: an unknown escape sequence
    is its own name (``"esc[99~"``), what is longer than any sequence is a key for each character,
    and invalid UTF-8 is ``"\ufffd"``. No key is a control character. `typed` returns the text of
    keys.

    **A terminal** reports keys that go down, not their release: ``pressed`` is always true. Keys
    come at once, without Enter, and are not shown. Without keys there are heartbeats. The
    terminal is restored when the device is closed, and at every end of the program but by SIGKILL
    or SIGTERM (whose default ends it at once). Times are those of arrival.

    **An input device** of Linux reports keys that go down and up, those too that are meant for
    other programs, with the kernel's stamps. Their names are those of a US layout: it is the place
    of a key that is known. ``shift``, ``ctrl``, ``alt`` and ``meta``, with ``right_`` before them
    on the right side, are keys as well; a key that goes up has the name with which it went down.
    What the kernel repeats while a key is held is left out. If it drops keys that are not read in
    time, that is a fault, and those that have changed meanwhile follow.

    Attributes
    ----------
    tty
        Path or file descriptor of a terminal; None: the program's own, even if its input comes
        from elsewhere; if it has none, as a notebook, the first keyboard that can be read.
        Windows: always the console (not tested).
    heartbeat
        Interval of heartbeats while no key is typed [s]; of an input device 0.1 s at most.
    signals
        Whether Ctrl-C interrupts the program, as usual; else it is the key ``"ctrl+c"``. Of a
        terminal.
    echo
        Whether the terminal shows the keys.
    device
        Name of an input device, which finds it wherever it is plugged in; its path, as
        ``"/dev/input/event3"``; or ``"any"``, the first keyboard that can be read. None: a
        terminal.

    Examples
    --------
    >>> Keyboard().info.dtype.names
    ('key', 'pressed')
    """

    tty: str | int | None = None
    heartbeat: Duration = 0.1
    signals: bool = True
    echo: bool = False
    device: str | None = None

    def __post_init__(self) -> None:
        if not (self.tty is None or _is_path(self.tty) or _is_descriptor(self.tty)):
            msg = f"Keyboard: tty must be a path or a file descriptor, not {shown(self.tty)}"
            raise ParameterError(msg)
        check_input(self.device, "Keyboard")
        if self.device is not None and self.tty is not None:
            msg = "Keyboard: give a tty or a device, not both"
            raise ParameterError(msg)
        to_span(self.heartbeat, "Keyboard: heartbeat")
        for name, value in (("signals", self.signals), ("echo", self.echo)):
            if not isinstance(value, bool):
                msg = f"Keyboard: {name} must be True or False, not {shown(value)}"
                raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first key."""
        if self.device is not None:
            return _info({"device": self.device}, "host")
        return _info({"tty": "own" if self.tty is None else str(self.tty)}, "own")

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Listen to the keys.

        Raises
        ------
        DeviceNotFoundError
            If there is no such terminal or input device, or the program has none.
        DeviceBusyError
            If another `Keyboard` of the program reads the terminal, the program is in the
            background, or the user may not read the input device.
        """
        if self.device is not None:
            return self._open_input(self.device, emit, fail)
        try:
            keys = self._keys()
        except DeviceNotFoundError:
            if self.tty is None and sys.platform == "linux":
                with suppress(DeviceError):
                    return self._open_input(ANY, emit, fail)
            raise
        nothing, wait = Reading(np.empty(0, KEY_DTYPE)), self._wait

        def read() -> Reading | None:
            found = keys.read(wait)
            if not found:
                return None if found is None else nothing
            data = np.zeros(len(found), KEY_DTYPE)
            data["key"], data["pressed"] = found, True
            return Reading(data)

        stop = poll(read, emit, fail, name="keyboard", release=keys.close)

        def close() -> None:
            keys.wake()
            stop()

        return close

    def _open_input(self, device: str, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:
        """Listen to the keys of an input device."""
        keys, wait = open_keys(device, fail), min(self._wait, _INPUT_WAIT)
        close = poll(lambda: keys.read(wait), emit, fail, name="keyboard", release=keys.close)
        return close, _info({"device": keys.name}, "host")

    @property
    def _wait(self) -> float:
        return min(to_span(self.heartbeat, "heartbeat") / 1e9, _MAX_WAIT)

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the terminal of the program, if it has one, and keyboards that can be read."""
        if sys.platform == "win32":
            return [DeviceInfo("console", {})]
        from rxstream.devices.keyboard.tty import find_terminal

        name = find_terminal()
        own = [DeviceInfo("this terminal", {}, name)] if name else []
        return own + find_keyboards()

    def _keys(self) -> _Keys:
        if sys.platform == "win32":
            from rxstream.devices.keyboard.windows import Console

            return Console(signals=self.signals)
        from rxstream.devices.keyboard.tty import open_terminal

        return open_terminal(self.tty, signals=self.signals, echo=self.echo)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _is_descriptor(value: object) -> bool:
    return is_whole(value, 0) and value < 1 << 31


def _info(extra: dict[str, Any], clock: Literal["host", "own"]) -> StreamInfo:
    return StreamInfo("keyboard", None, (), KEY_DTYPE, device_clock=clock, extra=extra)
