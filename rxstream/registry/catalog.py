"""What can be opened here, and how it is written on a command line: ``audio:device=3``."""

import ast
import datetime as dt
import difflib
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Literal

from rxstream.acquisition.device import Source
from rxstream.devices import DeviceInfo
from rxstream.errors import ParameterError, RxStreamError
from rxstream.registry.entry_points import device_names, source_class

__all__ = ["DeviceListing", "list_devices", "parse_source", "to_spec"]

_NEXT = re.compile(r",(?=\s*[A-Za-z_]\w*=)")  # a comma before the next option
_SHAPE = re.compile(r"\d+(x\d+)+")
_WRONG = (ValueError, SyntaxError, TypeError, KeyError)
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """One kind of device.

    Attributes
    ----------
    name
        As it is registered.
    about
        What it is, in a line.
    found
        What there is of it, here and now.
    problem
        What keeps it from being looked for, e.g. a driver to install; else empty.
    sought
        Whether it can be looked for at all.
    """

    name: str
    about: str
    found: tuple[DeviceInfo, ...] = ()
    problem: str = ""
    sought: bool = True


def list_devices() -> list[DeviceListing]:
    """Return every registered kind of device and what there is of it."""
    return [_listing(name) for name in device_names()]


def _listing(name: str) -> DeviceListing:
    try:
        cls = source_class(name)
    except Exception as error:  # noqa: BLE001 - somebody else's package may fail in any way
        return DeviceListing(name, "", problem=f"cannot be loaded: {error}")
    about = (cls.__doc__ or "").strip().split("\n")[0].partition(":")[0].rstrip(".")
    discover = getattr(cls, "discover", None)
    if discover is None:
        return DeviceListing(name, about, sought=False)
    try:
        return DeviceListing(name, about, tuple(discover()))
    except RxStreamError as error:
        return DeviceListing(name, about, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a driver may raise anything
        return DeviceListing(name, about, problem=f"{type(error).__name__}: {error}")


def to_spec(name: str, options: Mapping[str, Any]) -> str:
    """Return how a device is written, to be read by `parse_source`.

    Examples
    --------
    >>> to_spec("can", {"interface": "socketcan", "channel": "can0"})
    'can:interface=socketcan,channel=can0'
    """
    if not options:
        return name
    return f"{name}:{','.join(f'{key}={value}' for key, value in options.items())}"


def parse_source(spec: str) -> Source:
    """Return the source that a text like ``"simulated:rate=48000,dtype=int16"`` means.

    Parameters
    ----------
    spec
        The name of a device, and after a colon its options: ``name=value``, comma between them.
        Values are read as the option's type says: ``none``, ``yes``, ``0x100``, a time as
        ``2026-01-31T12:00:00Z``, a shape as ``480x640x3``, several as ``Speed+Torque``; anything
        else as Python writes it.

    Raises
    ------
    DeviceNotFoundError
        If no device has this name.
    ParameterError
        If an option does not exist or its value does not fit.

    Examples
    --------
    >>> parse_source("simulated:rate=8000,shape=2").info.shape
    (2,)
    """
    name, _, rest = spec.partition(":")
    cls = source_class(name.strip())
    known = _options(cls)
    values: dict[str, Any] = {}
    for part in _NEXT.split(rest) if rest.strip() else ():
        key, equals, text = part.strip().partition("=")
        if not equals:
            msg = f"{spec}: {part.strip()!r} is no option; write {name}:option=value,option=value"
            raise ParameterError(msg)
        if known and key not in known:
            raise _unknown(name, key, known)
        hint = known.get(key, Any)
        try:
            values[key] = _value(text.strip(), hint)
        except _WRONG as error:
            msg = f"{name}: {key} must be {_spoken(hint)}, not {text.strip()!r}"
            raise ParameterError(msg) from error
    try:
        source: Source = cls(**values)
    except RxStreamError as error:
        msg = f"{name}: {error}" if name not in str(error).lower() else str(error)
        raise ParameterError(msg) from error
    except (TypeError, ValueError) as error:
        msg = f"{name}: {error}"
        raise ParameterError(msg) from error
    return source


def _unknown(name: str, key: str, known: Mapping[str, Any]) -> ParameterError:
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return ParameterError(f"{name} has no option {key!r}; {hint}It has {', '.join(known)}")


def _options(cls: Any) -> dict[str, Any]:
    """Return the options of a source and the types of their values."""
    if not is_dataclass(cls):
        return {}
    return {item.name: _hint(cls, item) for item in fields(cls) if item.init}


def _hint(cls: Any, item: "Field[Any]") -> Any:
    hint = item.type
    scope = vars(sys.modules[cls.__module__])
    try:
        for _ in range(3):  # an alias may itself be written as text
            hint = eval(hint, dict(scope)) if isinstance(hint, str) else hint  # noqa: S307 - a type that its author wrote
    except (NameError, TypeError):
        hint = Any if item.default is MISSING or item.default is None else type(item.default)
    return hint


def _value(text: str, hint: Any) -> Any:
    """Return a text as a value of a type; raise ValueError if it is none."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if str in arguments and text[:1] not in ("(", "[", "{"):  # a word is no list of one
            arguments = tuple(kind for kind in arguments if kind in _READ)
        return _first(text, sorted(arguments, key=_strictness))
    if origin is Literal:
        return {str(choice): choice for choice in arguments}[text]
    if hint in _READ:
        return _READ[hint](text)
    if hint is Any:
        return _first(text, (type(None), int, float, str))
    if origin is not None and issubclass(origin, Mapping):
        return ast.literal_eval(text)
    if origin is not None and issubclass(origin, Iterable):
        return _several(text)
    if is_dataclass(hint):
        parts = ast.literal_eval(text)
        return hint(*(parts if isinstance(parts, tuple) else (parts,)))  # type: ignore[operator]  # it is a class
    raise ValueError(text)


def _several(text: str) -> Any:
    """Return ``480x640`` or ``a+b`` as a tuple; or what is written as Python writes it."""
    if text[:1] in ("(", "["):
        return ast.literal_eval(text)
    parts = text.split("x") if _SHAPE.fullmatch(text) else text.split("+")
    return tuple(_first(part, (int, str)) for part in parts)


def _none(text: str) -> None:
    if text.lower() not in ("none", ""):
        raise ValueError(text)


_READ: dict[Any, Callable[[str], Any]] = {
    type(None): _none,
    bool: lambda text: _WORDS[text.lower()],
    int: lambda text: int(text, 0),
    float: float,
    dt.datetime: dt.datetime.fromisoformat,
    str: str,
}


def _first(text: str, hints: Iterable[Any]) -> Any:
    for hint in hints:
        try:
            return _value(text, hint)
        except _WRONG:
            continue
    raise ValueError(text)


def _strictness(hint: Any) -> int:
    """Say which type of several to try first: what takes least."""
    order = [*_READ]
    place = order.index(hint) if hint in order else -1
    return place if 0 <= place < len(order) - 1 else len(order) + (hint is str)


def _spoken(hint: Any) -> str:
    """Return what a value of a type is called."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if arguments:
        return " or ".join(dict.fromkeys(_spoken(part) for part in arguments))
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
    if hint is type(None):
        return "none"
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")
