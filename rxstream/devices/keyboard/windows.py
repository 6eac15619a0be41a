"""Keys of the console of Windows, by msvcrt. Not tested: no Windows was at hand."""

import threading
from typing import Any

__all__ = ["Console"]

_LOOK = 0.01  # the console can be asked, but not waited for together with something else [s]
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
    """The console, as `Terminal` is on other systems.

    Parameters
    ----------
    signals
        Whether Ctrl-C interrupts the program, or is a key.
    """

    def __init__(self, *, signals: bool) -> None:
        import msvcrt  # only Windows has it

        self._msvcrt: Any = msvcrt
        self._signals = signals
        self._stop = threading.Event()

    def read(self, timeout: float) -> list[str] | None:
        """Wait for keys, up to ``timeout`` [s]; None: it is to be closed."""
        for _ in range(max(1, round(timeout / _LOOK))):
            keys = []
            while self._msvcrt.kbhit():
                keys.append(self._key())
            if self._stop.is_set():
                return None
            if keys:
                return keys
            self._stop.wait(_LOOK)
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
        """Let it go; its mode was never changed."""
