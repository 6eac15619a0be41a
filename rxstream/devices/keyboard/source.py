"""keyboard: the keys of a terminal (needs no extra)."""

import sys
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.formats.keys import KEY_DTYPE
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["Keyboard"]


# Longest wait [s]; no system waits for a century.
_MAX_WAIT = 86_400.0


class _Keys(Protocol):
    def read(self, timeout: float) -> list[str] | None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Keyboard:
    r"""The keys of a terminal: irregular samples of `KEY_DTYPE`, one for each key.

    ``key`` is the character typed (``"a"``, ``"é"``) or the name of the key: ``space``, ``enter``,
    ``tab``, ``backspace``, ``esc``, ``up``, ``page_down``, ``f5``, with ``ctrl+``, ``alt+`` and
    ``shift+`` before it. No bytes end the stream, and none are dropped: an unknown escape sequence
    is its own name (``"esc[99~"``), what is longer than any sequence is a key for each character,
    and invalid UTF-8 is ``"\ufffd"``. No key is a control character. A terminal reports keys that
    go down, not their release: ``pressed`` is always true. `typed` returns the text of keys.

    Keys come at once, without Enter, and are not shown. Without keys there are heartbeats. The
    terminal is restored when the device is closed, and at every end of the program but by SIGKILL
    or SIGTERM (whose default ends it at once). Times are those of arrival.

    Attributes
    ----------
    tty
        Path or file descriptor of a terminal; None: the program's own, even if its input comes
        from elsewhere. A notebook has none. Windows: always the console (not tested).
    heartbeat
        Interval of heartbeats while no key is typed [s].
    signals
        Whether Ctrl-C interrupts the program, as usual; else it is the key ``"ctrl+c"``.
    echo
        Whether the terminal shows the keys.

    Examples
    --------
    >>> Keyboard().info.dtype.names
    ('key', 'pressed')
    """

    tty: str | int | None = None
    heartbeat: Duration = 0.1
    signals: bool = True
    echo: bool = False

    def __post_init__(self) -> None:
        if not (self.tty is None or _is_path(self.tty) or _is_descriptor(self.tty)):
            msg = f"Keyboard: tty must be a path or a file descriptor, not {shown(self.tty)}"
            raise ParameterError(msg)
        to_span(self.heartbeat, "Keyboard: heartbeat")
        for name, value in (("signals", self.signals), ("echo", self.echo)):
            if not isinstance(value, bool):
                msg = f"Keyboard: {name} must be True or False, not {shown(value)}"
                raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first key."""
        where = "own" if self.tty is None else str(self.tty)
        return StreamInfo("keyboard", None, (), KEY_DTYPE, extra={"tty": where})

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Listen to the keys.

        Raises
        ------
        DeviceNotFoundError
            If there is no such terminal, or the program has none.
        DeviceBusyError
            If another `Keyboard` of the program reads it, or the program is in the background.
        """
        keys = self._keys()
        nothing = Reading(np.empty(0, KEY_DTYPE))
        wait = min(to_span(self.heartbeat, "heartbeat") / 1e9, _MAX_WAIT)

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

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the terminal of the program, if it has one."""
        if sys.platform == "win32":
            return [DeviceInfo("console", {})]
        from rxstream.devices.keyboard.tty import find_terminal

        name = find_terminal()
        return [DeviceInfo("this terminal", {}, name)] if name else []

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
