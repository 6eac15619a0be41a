"""Text for people: nothing in it steers a terminal, and none of it is endless."""

import importlib
import io
import logging
import pickle
import pkgutil
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rxstream
from rxstream import errors
from rxstream.acquisition.failures import note_failure
from rxstream.printable import (
    error_line,
    error_repr,
    error_text,
    get_logger,
    printable,
    shown,
)


@given(st.text(st.characters(exclude_categories=())), st.integers(5, 50))
def test_nothing_invisible_is_left_whatever_it_was(text: str, most: int) -> None:
    whole, cut = printable(text), printable(text, most)
    for result in (whole, cut):
        assert all(
            c.isprintable() or c in "\u200c\u200d" or unicodedata.category(c) == "Zs"
            for c in result
        )
        assert printable(result) == result
    assert len(cut) <= most
    assert cut == whole or ("…" in cut and cut[0] == whole[0] and cut[-1] == whole[-1])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("mic", "mic"), ("a\\n", "a\\n"), ("é\u00a0ü\u3000", "é\u00a0ü\u3000"),
        ("می\u200cخواهم", "می\u200cخواهم"), ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\nb\r\tc", r"a\nb\r\tc"), ("\x9b2J\x85", r"\x9b2J\x85"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("\u2028\u2029", r"\u2028\u2029"), ("\ud800", r"\ud800"), ("\U000e0041", r"\U000e0041"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)  # fmt: skip
def test_what_becomes_of_it(text: str, want: str) -> None:
    assert printable(text) == want


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "value",
    [
        [0.5] * 10**6, "x" * 10**6, b"x" * 10**6, 10**5000, {i: i for i in range(10**5)},
        np.zeros((1000, 1000)), Broken(), "\x1b[2J\u202e", [["\x1b"] * 9] * 9, [Broken()],
        type("x" * 10**6, (), {}), np.zeros(3, [("a" * 500, int)]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_in_errors_are_short_and_printable(value: object) -> None:
    text = shown(value)
    assert 0 < len(text) <= 80
    assert text.isprintable()


ERRORS = [
    thing
    for thing in vars(errors).values()
    if isinstance(thing, type) and issubclass(thing, errors.RxStreamError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_printable_and_of_a_bounded_length(kind: type[Exception]) -> None:
    assert str(kind("mic\x1b[2J\n\u202e: gone")) == r"mic\x1b[2J\n\u202e: gone"
    long = str(kind("mic: " + "9" * 10**6 + "; the remedy"))
    assert len(long) == 500
    assert long.startswith("mic: 9")
    assert long.endswith("9; the remedy")
    assert str(kind()) == ""
    again = pickle.loads(pickle.dumps(kind("a\x1b")))
    assert type(again) is kind
    assert str(again) == r"a\x1b"


def test_a_number_too_long_for_python_to_print_is_named() -> None:
    limit = sys.get_int_max_str_digits()
    assert "int" in shown(10 ** (limit + 1))


def test_tracebacks_in_the_log_are_printable() -> None:
    out, evil = io.StringIO(), "gone\x1b[2J\x1b]0;x\x07\n\u202e" + "y" * 10**5
    logger = get_logger("rxstream.test_printable")
    handler = logging.StreamHandler(out)
    logger.addHandler(handler)
    try:
        try:
            try:
                raise OSError(evil)
            except OSError as error:
                raise errors.DeviceLostError(evil) from error
        except errors.DeviceLostError:
            logger.exception("it is lost")
        logger.error("without one", exc_info=None)
    finally:
        logger.removeHandler(handler)
    text = out.getvalue()
    assert not [c for c in text.replace("\n", "") if not c.isprintable()]
    for words in ("it is lost", "OSError: gone\\x1b[2J", "DeviceLostError: gone", "without one"):
        assert words in text
    assert len(text) < 5000


def test_every_logger_of_the_library_writes_so() -> None:
    for info in pkgutil.walk_packages(rxstream.__path__, "rxstream."):
        logger = getattr(importlib.import_module(info.name), "_logger", None)
        assert logger is None or logger.filters, info.name


class UnprintableError(Exception):
    """A driver's own error, with a bug in it."""

    def __str__(self) -> str:
        raise KeyError("no text")

    def __repr__(self) -> str:
        raise OSError("no repr")


@pytest.mark.parametrize("make", [getattr(errors, name) for name in errors.__all__])
def test_an_error_that_cannot_be_printed_does_no_harm(make: type[Exception]) -> None:
    """What takes an error over is called in threads that must not end by it."""
    foreign = UnprintableError()
    assert error_text(foreign) == "<no text: KeyError>"
    assert error_repr(foreign) == "UnprintableError<no text: OSError>"
    assert error_line(foreign) == "UnprintableError: <no text: KeyError>"
    if issubclass(make, errors.RxStreamError):
        assert str(make(foreign)) in {"<no text: KeyError>", "<no text: OSError>"}
        assert "OSError" in repr(make(foreign))
    note_failure("mic", foreign)
    assert rxstream.failed()[-1] == "mic: UnprintableError: <no text: KeyError>"
