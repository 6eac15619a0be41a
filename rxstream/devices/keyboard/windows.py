"""Keys of the console of Windows, by msvcrt. Not tested."""

import threading
from typing import Any

__all__ = ["Console"]

# interval at which the console is polled [s]: it cannot be waited for together with an event
_POLL_INTERVAL = 0.01
_NAMES = {
    "\r": "enter", "\n": "enter", "\t": "tab", " ": "space", "\x08": "backspace", "\x1b": "esc",
    "\x00": "ctrl+space",
}  # fmt: skip
_SPECIAL = {
    "G": "home", "H": "up", "I": "page_up", "K": "left", "M": "right", "O": "end", "P": "down",
    "Q": "page_down", "R": "insert", "S": "delete", "s": "ctrl+left", "t": "ctrl+right",
    "u": "ctrl+end", "w": "ctrl+home", "\x85": "f11", "\x86": "f12", "\x0f": "shift+tab",
    **{chr(59 + n): f"f{n + 1}" for n in range(10)},
}  # fmt: skip


class Console:
    """The console; the same as `Terminal` on other systems.

    Parameters
    ----------
    signals
        Whether Ctrl-C interrupts the program, or is a key.
    """

    def __init__(self, *, signals: bool) -> None:
        # only Windows has it
        import msvcrt

        self._msvcrt: Any = msvcrt
        self._signals = signals
        self._stop = threading.Event()

    def read(self, timeout: float) -> list[str] | None:
        """Wait for keys, up to ``timeout`` [s]; None after `wake`."""
        for _ in range(max(1, round(timeout / _POLL_INTERVAL))):
            keys = []
            while self._msvcrt.kbhit():
                keys.append(self._key())
            if self._stop.is_set():
                return None
            if keys:
                return keys
            self._stop.wait(_POLL_INTERVAL)
        return []

    def _key(self) -> str:
        character: str = self._msvcrt.getwch()
        if character in "\x00\xe0" and self._msvcrt.kbhit():
            code: str = self._msvcrt.getwch()
            return _SPECIAL.get(code, f"special+{ord(code)}")
        if character == "\x03" and self._signals:
            import _thread

            _thread.interrupt_main()
        if character in _NAMES:
            return _NAMES[character]
        return f"ctrl+{chr(ord(character) + 96)}" if character < " " else character

    def wake(self) -> None:
        """Make `read` return None."""
        self._stop.set()

    def close(self) -> None:
        """Do nothing: the mode of the console was never changed."""
