"""Decode the bytes of a terminal into keys: UTF-8, control characters, escape sequences.

The sequences are those of xterm, VT220 and the Linux console (xterm's "ctlseqs" document).
"""

import codecs
import re

__all__ = ["Decoder"]

_ESC = "\x1b"
_PLAIN = {
    "\r": "enter", "\n": "enter", "\t": "tab", " ": "space", "\x7f": "backspace",
    "\x08": "backspace", "\x00": "ctrl+space", "\x1c": "ctrl+\\", "\x1d": "ctrl+]",
    "\x1e": "ctrl+^", "\x1f": "ctrl+_", _ESC: "esc",
}  # fmt: skip
_LETTERS = {
    "A": "up", "B": "down", "C": "right", "D": "left", "E": "begin", "F": "end", "H": "home",
    "P": "f1", "Q": "f2", "R": "f3", "S": "f4", "Z": "shift+tab", "M": "enter",
}  # fmt: skip
_NUMBERS = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "page_up", 6: "page_down", 7: "home",
    8: "end", 11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8",
    20: "f9", 21: "f10", 23: "f11", 24: "f12", 25: "f13", 26: "f14", 28: "f15", 29: "f16",
    31: "f17", 32: "f18", 33: "f19", 34: "f20", 200: "paste_begin", 201: "paste_end",
}  # fmt: skip
# of the parameter less 1; 8 is Meta, which some terminals send for Alt
_MODIFIERS = ((4, "ctrl+"), (10, "alt+"), (1, "shift+"))
# Longest escape sequence [characters]: keys have 3 to 8, and its name must fit into `KEY_DTYPE`.
_MAX_SEQUENCE = 30
_SEQUENCE = re.compile(r"\x1b(?:\[\[[A-E]|\[[0-?]*[ -/]*[@-~]|O[0-9]?[ -/:-~])")
_PARTIAL = re.compile(r"\x1b(?:\[\[|\[[0-?]*[ -/]*|O[0-9]?)?\Z")
_PARTS = re.compile(r"\x1b([\[O])(\d{0,3})(?:;(\d{1,2}))?([~A-Za-z])\Z")
# An 8-bit control character means Esc and a letter: the sequences of a terminal in 8-bit mode.
_SEVEN_BIT = {code: _ESC + chr(code - 0x40) for code in range(0x80, 0xA0)}


class Decoder:
    r"""Decodes bytes, in any pieces, into names of keys.

    No bytes are an error, and none are dropped: invalid UTF-8 is ``"\ufffd"``, an unknown escape
    sequence is its own name (``"esc[99~"``), and what is too long for one is a key for each
    character. So a key has 1 to 32 characters, none of them a control character. Which keys come
    does not depend on the pieces.

    Examples
    --------
    >>> decoder = Decoder()
    >>> decoder.feed(b"a\x1b[A\x1b[1;5C\xc3"), decoder.feed(b"\xa9\x01")
    (['a', 'up', 'ctrl+right'], ['é', 'ctrl+a'])
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        # the beginning of an escape sequence, or the key Esc
        self._held = ""

    @property
    def waiting(self) -> bool:
        """Whether it holds an Esc that may begin a sequence."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[str]:
        """Decode the next bytes; return the complete keys."""
        text = self._held + self._text.decode(data).translate(_SEVEN_BIT)
        self._held = ""
        keys, at = [], 0
        while at < len(text):
            if text[at] == _ESC and _is_partial(text, at):
                self._held = text[at:]
                break
            key, at = _next(text, at)
            keys.append(key)
        return keys

    def flush(self) -> list[str]:
        """Return the keys of an unfinished sequence, of which nothing more has come."""
        text, self._held = self._held, ""
        keys, at = [], 0
        while at < len(text):
            key, at = _next(text, at)
            keys.append(key)
        return keys


def _is_partial(text: str, at: int) -> bool:
    """Whether the rest of the text is a sequence that is not complete yet."""
    return len(text) - at < _MAX_SEQUENCE and _PARTIAL.match(text, at) is not None


def _next(text: str, at: int) -> tuple[str, int]:
    """Return the key that begins at ``text[at]``, and where the next one begins."""
    if text[at] != _ESC:
        return _single(text[at]), at + 1
    found = _SEQUENCE.match(text, at, at + _MAX_SEQUENCE)
    if found is not None:
        return _named(found[0]), found.end()
    # the key Esc, and then perhaps something else that begins with it
    after = text[at + 1 : at + 2]
    if after in ("", _ESC):
        return "esc", at + 1
    return _modified("alt+", _single(after)), at + 2


def _modified(prefix: str, key: str) -> str:
    return f"ctrl+{prefix}{key[5:]}" if key.startswith("ctrl+") else prefix + key


def _single(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if character < " ":
        return f"ctrl+{chr(ord(character) + 96)}"
    return character


def _named(sequence: str) -> str:
    """Return the name of an escape sequence; an unknown one is its own name."""
    itself = "esc" + sequence[1:]
    # the Linux console
    if sequence.startswith(_ESC + "[["):
        return f"f{ord(sequence[3]) - 64}" if len(sequence) > 3 else itself
    found = _PARTS.match(sequence)
    if found is None:
        return itself
    kind, number, modifier, letter = found.groups()
    # an old form puts the modifier here: Esc O 5 P
    if kind == "O" and number:
        number, modifier = "", number
    bits = int(modifier or 1) - 1
    if not 0 <= bits < 16:
        return itself
    if letter == "~":
        name = _NUMBERS.get(int(number or 1))
    else:
        # another number makes it a report of the terminal, as of the place of its cursor
        name = _LETTERS.get(letter) if number in ("", "1") else None
    # only the keypad sends that; otherwise it begins the report of a mouse
    if name is None or (letter == "M" and kind == "["):
        return itself
    return "".join(prefix for bit, prefix in _MODIFIERS if bits & bit) + name
