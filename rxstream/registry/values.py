"""Option values as text: ``yes``, ``0x100``, ``480x640x3``, ``Speed+Torque``."""

import ast
import datetime as dt
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, Literal

__all__ = ["UNREADABLE", "describe", "read_value"]

# What `read_value` raises for a text that is no value of the type.
UNREADABLE = (
    ValueError, SyntaxError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
    MemoryError,
)  # fmt: skip

_SHAPE = re.compile(r"\d+(x\d+)+")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_value(text: str, hint: Any) -> Any:
    """Return a text as a value of the type ``hint``; raise one of `UNREADABLE` if it is none.

    Examples
    --------
    >>> read_value("0x100", int), read_value("480x640", tuple[int, ...])
    (256, (480, 640))
    """
    hint = _expanded(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        # a word is not a list of one word
        if str in arguments and text[:1] not in ("(", "[", "{"):
            arguments = tuple(kind for kind in arguments if kind in _READERS)
        return _first_fit(text, sorted(arguments, key=_strictness))
    if origin is Literal:
        return {str(choice): choice for choice in arguments}[text]
    if hint in _READERS:
        return _READERS[hint](text)
    if hint is Any:
        return _first_fit(text, (type(None), int, float, str))
    if origin is not None and issubclass(origin, Mapping):
        return ast.literal_eval(text)
    if origin is not None and issubclass(origin, Iterable):
        return _several(text)
    if is_dataclass(hint):
        parts = ast.literal_eval(text)
        return hint(*(parts if isinstance(parts, tuple) else (parts,)))  # type: ignore[operator]  # it is a class
    raise ValueError(text)


def _expanded(hint: Any) -> Any:
    """Return what an alias made by a ``type`` statement stands for, e.g. numpy's DTypeLike."""
    while hasattr(hint, "__value__"):
        hint = hint.__value__
    return hint


def _several(text: str) -> Any:
    """Return ``480x640``, ``a+b`` or a Python literal as a tuple."""
    if text[:1] in ("(", "["):
        return ast.literal_eval(text)
    parts = text.split("x") if _SHAPE.fullmatch(text) else text.split("+")
    return tuple(_first_fit(part, (int, str)) for part in parts)


def _none(text: str) -> None:
    if text.lower() not in ("none", ""):
        raise ValueError(text)


# In the order in which the types of a union are tried: what accepts least comes first.
_READERS: dict[Any, Callable[[str], Any]] = {
    type(None): _none,
    bool: lambda text: _BOOLEANS[text.lower()],
    int: lambda text: int(text, 0),
    float: float,
    dt.datetime: dt.datetime.fromisoformat,
    str: str,
}


def _first_fit(text: str, hints: Iterable[Any]) -> Any:
    for hint in hints:
        try:
            return read_value(text, hint)
        except UNREADABLE:
            continue
    raise ValueError(text)


def _strictness(hint: Any) -> int:
    """Return the place of a type in a union: plain ones first, text last of all."""
    order = [*_READERS]
    if hint is str:
        return len(order) + 1
    return order.index(hint) if hint in order else len(order)


def describe(hint: Any) -> str:
    """Return what a value of a type is called in an error message."""
    hint = _expanded(hint)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if arguments:
        return " or ".join(dict.fromkeys(describe(part) for part in arguments))
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
    if hint is type(None):
        return "none"
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")
