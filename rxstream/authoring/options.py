"""The parameters of a function as a frozen dataclass of options."""

import inspect
import types
import typing
from collections.abc import Callable, Hashable
from dataclasses import MISSING, field, fields, make_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np

from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["check_options", "options_class"]

T = TypeVar("T")

# What a source has besides its options.
_TAKEN = ("info", "live", "open", "discover")


def options_class(
    function: Callable[..., Any],
    base: type[T],
    *,
    without: tuple[str, ...],
    namespace: dict[str, Any],
) -> type[T]:
    """Return a frozen dataclass whose fields are the parameters of a function.

    It has name, module and docstring of the function, so an instance is pickled by where the
    function stands, and its `repr` is a call of it.

    Parameters
    ----------
    function
        The function.
    base
        What the class inherits.
    without
        Parameters that are no options.
    namespace
        Further members of the class.

    Raises
    ------
    ParameterError
        If a parameter cannot be an option.
    """
    signature = inspect.signature(function)
    options = [p for p in signature.parameters.values() if p.name not in without]
    for option in options:
        _check_parameter(function.__name__, option)
    members = {
        "__doc__": function.__doc__ or f"{function.__name__}{signature}",
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    cls = make_dataclass(
        function.__name__,
        [(p.name, _annotation(p), _field(p)) for p in options],
        bases=(base,), namespace=members | namespace, frozen=True,
    )  # fmt: skip
    # make_dataclass has its own ideas of both in Python 3.11
    cls.__module__, cls.__qualname__ = function.__module__, function.__qualname__
    return cls


def _check_parameter(name: str, option: inspect.Parameter) -> None:
    if option.kind not in (option.POSITIONAL_OR_KEYWORD, option.KEYWORD_ONLY):
        msg = f"{name}: {option} cannot be an option; name each option, without *, ** and /"
    elif option.name in _TAKEN or option.name.startswith("_"):
        msg = f"{name}: an option cannot be called {option.name}; choose another name"
    elif option.default is not option.empty and not _is_hashable(option.default):
        msg = (
            f"{name}: the default of {option.name} can be changed; give a tuple, a frozen "
            "dataclass, or None"
        )
    else:
        return
    raise ParameterError(msg)


def _annotation(option: inspect.Parameter) -> Any:
    return Any if option.annotation is option.empty else option.annotation


def _field(option: inspect.Parameter) -> Any:
    default = MISSING if option.default is option.empty else option.default
    return field(default=default, kw_only=option.kind is option.KEYWORD_ONLY)


def check_options(source: Any, function: Callable[..., Any]) -> None:
    """Raise ParameterError if a value is none of its option's type, or can be changed.

    Types of numbers, texts and choices are checked; others are the author's.
    """
    hints = _hints(function)
    name = type(source).__name__
    for item in fields(source):
        value, hint = getattr(source, item.name), hints.get(item.name, Any)
        if not _is_a(value, hint) and value is not item.default:
            msg = f"{name}: {item.name} must be {_described(hint)}, not {shown(value)}"
            raise ParameterError(msg)
        if not _is_hashable(value):
            msg = (
                f"{name}: {item.name} is {shown(value)}, which can be changed; give a tuple, or "
                "what else can be hashed"
            )
            raise ParameterError(msg)


def _is_hashable(value: object) -> bool:
    if not isinstance(value, Hashable):
        return False
    try:
        hash(value)
    except TypeError:  # a tuple of lists
        return False
    return True


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # imported for type checkers alone
        return {}


def _described(hint: Any) -> str:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, choices))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_described, choices))
    return "None" if hint is type(None) else inspect.formatannotation(hint)


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, as far as that can be seen at once."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_is_a(value, kind) for kind in typing.get_args(hint))
    if origin is Literal:
        # not what compares element by element, as an array does
        return _is_hashable(value) and value in typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is int:
        return is_whole(value)
    if hint is float:
        return is_whole(value) or isinstance(value, float | np.floating)
    if hint in (str, bytes):
        return isinstance(value, hint)
    return True
