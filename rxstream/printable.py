r"""Text for people: nothing in it can steer a terminal, and none of it is endless.

Names and notes come from hardware, from files and from other programs. Printed as it is,
``"mic\x1b[2J"`` clears the screen, and a right-to-left override turns the rest of a line around.
"""

import logging
import re
import reprlib
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

__all__ = [
    "MAX_NAME",
    "counted",
    "error_line",
    "error_repr",
    "error_text",
    "first_time_logged",
    "get_logger",
    "guarded",
    "printable",
    "shown",
]

MAX_NAME = 100
"""Longest name of a stream [characters]."""

# Longest line of a traceback [characters].
_MAX_LINE = 500

# What has no look of its own but is part of writing: joiners of Persian, Indic scripts and emoji.
_HARMLESS = "\u200c\u200d"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which has a plural on s.

    Examples
    --------
    >>> counted(1, "sample"), counted(0, "sample")
    ('1 sample', '0 samples')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str, most: int | None = None) -> str:
    r"""Return a text with everything invisible written out, and not longer than ``most``.

    Control characters (of C0, C1, newlines too), overrides of the direction of writing, line
    separators, surrogates and unassigned characters become escapes as in Python's strings. What is
    printable stays as it is, so twice is the same as once.

    Parameters
    ----------
    text
        Any text.
    most
        Most characters; of a longer text the middle is replaced by ``…``. None: no limit.

    Examples
    --------
    >>> printable("mic\x1b[2J \u202e µ"), printable("0123456789", 5)
    ('mic\\x1b[2J \\u202e µ', '01…89')
    """
    if most is not None and len(text) > most:
        # an escape has at most 10 characters, so the ends are cut before the work is done
        text = _cut(text[:most] + text[-most:], most)
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return text if most is None or len(text) <= most else _cut(text, most)


def _cut(text: str, most: int) -> str:
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[len(text) - half :]}"


def _visible(character: str) -> str:
    # other spaces than ASCII's are as harmless as that
    if character.isprintable() or character in _HARMLESS:
        return character
    if character.isspace() and character >= "\xa0" and character not in "\u2028\u2029":
        return character
    return character.encode("unicode_escape").decode("ascii")


# Arrays come in lines.
_NEW_LINE = re.compile(r"\n\s*")


class _Short(reprlib.Repr):
    """A `repr` that looks at a few items only, however many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = 12
        self.maxlevel = 3


_short = _Short()


def shown(value: object, most: int = 80) -> str:
    """Return a value for an error message: its `repr`, printable, at most ``most`` characters.

    Examples
    --------
    >>> shown("fast"), shown(range(10**6)), len(shown("x" * 10**6))
    ("'fast'", 'range(0, 1000000)', 80)
    >>> shown([0.5] * 10**6)
    '[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, ...]'
    """
    try:
        text = _short.repr(value)
    except Exception:  # noqa: BLE001 - the repr of anything may raise anything
        text = f"<{type(value).__name__} without a repr>"
    return printable(_NEW_LINE.sub(" ", text), most)


def guarded(text: Callable[[], str]) -> str:
    """Return what the text of a foreign object is; if that raises, what it has raised.

    Examples
    --------
    >>> guarded(lambda: str(1 / 0))
    '<no text: ZeroDivisionError>'
    """
    try:
        return text()
    except Exception as raised:  # noqa: BLE001 - the code of anybody
        return f"<no text: {type(raised).__name__}>"


def error_text(error: object) -> str:
    """Return the text of an exception, or of another fault, also where its own ``__str__`` raises.

    Examples
    --------
    >>> class Odd(Exception):
    ...     def __str__(self):
    ...         return self.reason
    >>> error_text(Odd()), error_text(OSError("gone"))
    ('<no text: AttributeError>', 'gone')
    """
    return guarded(partial(str, error))


def error_repr(error: object) -> str:
    """Return the `repr` of an exception, or another fault, also where its ``__repr__`` raises.

    Examples
    --------
    >>> error_repr(OSError("gone"))
    "OSError('gone')"
    """
    text = guarded(partial(repr, error))
    return f"{type(error).__name__}{text}" if text.startswith("<no text: ") else text


def error_line(error: BaseException) -> str:
    """Return type and text of an exception.

    Examples
    --------
    >>> error_line(OSError("gone")), error_line(TimeoutError())
    ('OSError: gone', 'TimeoutError')
    """
    kind, text = type(error).__name__, error_text(error)
    return f"{kind}: {text}" if text else kind


# re-entrant: a signal handler may log, too
_logging = threading.RLock()
# Formats nothing but tracebacks.
_formatter = logging.Formatter()


def get_logger(name: str) -> logging.Logger:
    """Return a logger whose tracebacks are printable, whatever a driver or a subscriber raised.

    The records keep their ``exc_info``, for handlers that format it themselves.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_with_printable_traceback)
    return logger


def first_time_logged(error: BaseException) -> bool:
    """Whether an error is to be logged: it has not been yet, whoever else meets it."""
    with _logging:
        if getattr(error, "_rxstream_logged", False):
            return False
        with suppress(Exception):  # one that takes no attributes is logged each time
            error._rxstream_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return True


def _with_printable_traceback(record: logging.LogRecord) -> bool:
    """Write the traceback where a formatter takes it from; let every record pass."""
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        lines = _formatter.formatException(record.exc_info).splitlines()
        record.exc_text = "\n".join(printable(line, _MAX_LINE) for line in lines)
    return True
