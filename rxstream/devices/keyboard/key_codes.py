"""Names of keys by their codes, as a terminal with a US layout has them.

The codes are those of <linux/input-event-codes.h>: the place of a key, whatever is printed on it.
"""

__all__ = ["CAPS_LOCK_LED", "NUM_LOCK_LED", "KeyState"]

NUM_LOCK_LED, CAPS_LOCK_LED = 0, 1
"""Codes of LEDs."""

_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"), (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'), (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (86, "<", ">"), (55, "*", "*"), (74, "-", "-"), (78, "+", "+"), (98, "/", "/"),
    (117, "=", "="), (121, ",", ","),
)  # fmt: skip
_CHARACTERS = {
    first + k: pair
    for first, plain, shifted in _ROWS
    for k, pair in enumerate(zip(plain, shifted, strict=True))
}
_NAMES = {
    1: "esc", 14: "backspace", 15: "tab", 28: "enter", 57: "space", 58: "caps_lock",
    **{59 + k: f"f{k + 1}" for k in range(10)}, 69: "num_lock", 70: "scroll_lock", 87: "f11",
    88: "f12", 96: "enter", 99: "print", 102: "home", 103: "up", 104: "page_up", 105: "left",
    106: "right", 107: "end", 108: "down", 109: "page_down", 110: "insert", 111: "delete",
    113: "mute", 114: "volume_down", 115: "volume_up", 116: "power", 119: "pause", 127: "menu",
    163: "next_song", 164: "play_pause", 165: "previous_song",
    **{183 + k: f"f{k + 13}" for k in range(12)}, 207: "play",
}  # fmt: skip
# Of the keypad: with num lock, and without.
_KEYPAD = {
    71: ("7", "home"), 72: ("8", "up"), 73: ("9", "page_up"), 75: ("4", "left"),
    76: ("5", "begin"), 77: ("6", "right"), 79: ("1", "end"), 80: ("2", "down"),
    81: ("3", "page_down"), 82: ("0", "insert"), 83: (".", "delete"),
}  # fmt: skip
_MODIFIERS = {
    29: "ctrl", 97: "right_ctrl", 56: "alt", 100: "right_alt", 42: "shift", 54: "right_shift",
    125: "meta", 126: "right_meta",
}  # fmt: skip
_CTRL, _ALT, _SHIFT = (29, 97), (56, 100), (42, 54)

# Which a terminal cannot distinguish from those without shift.
_WITHOUT_SHIFT = ("space", "enter", "backspace", "esc")


class KeyState:
    """Names keys by what else is down; a key that goes up has the name with which it went down.

    Parameters
    ----------
    held
        Codes of the keys that are down already.
    leds
        Codes of the LEDs that are on.

    Examples
    --------
    >>> keys = KeyState({42}, set())
    >>> keys.push(30, down=True), keys.push(42, down=False), keys.push(30, down=False)
    ('A', 'shift', 'A')
    """

    def __init__(self, held: set[int], leds: set[int]) -> None:
        self.leds = leds
        self._down: dict[int, str] = {}
        for code in sorted(held, key=lambda code: code not in _MODIFIERS):
            self.push(code, down=True)

    def push(self, code: int, *, down: bool) -> str:
        """Return the name of a key that goes down or up."""
        if not down and code in self._down:
            return self._down.pop(code)
        name = self._name(code)
        if down:
            self._down[code] = name
        return name

    def _is_held(self, codes: tuple[int, int]) -> bool:
        return any(code in self._down for code in codes)

    def _name(self, code: int) -> str:
        if code in _MODIFIERS:
            return _MODIFIERS[code]
        ctrl, shift = self._is_held(_CTRL), self._is_held(_SHIFT)
        before = "ctrl+" * ctrl + "alt+" * self._is_held(_ALT)
        if code in _CHARACTERS:
            plain, shifted = _CHARACTERS[code]
            if ctrl:
                return f"{before}{'shift+' * shift}{plain}"
            locked = CAPS_LOCK_LED in self.leds and plain.isalpha()
            return before + (shifted if shift != locked else plain)
        if code in _KEYPAD:
            digit, name = _KEYPAD[code]
            if NUM_LOCK_LED in self.leds and not shift:
                return before + digit
            return f"{before}{'shift+' * (shift and NUM_LOCK_LED not in self.leds)}{name}"
        name = _NAMES.get(code, f"key{code}")
        return f"{before}{'shift+' * (shift and name not in _WITHOUT_SHIFT)}{name}"
