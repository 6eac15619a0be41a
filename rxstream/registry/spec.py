"""Devices as text: ``audio:device=3``."""

import difflib
import re
import sys
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import SimpleNamespace
from typing import Any

from rxstream.acquisition.source import Source
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import DeviceError, ParameterError, RxStreamError
from rxstream.printable import error_text, shown
from rxstream.registry.entry_points import load_error, source_class
from rxstream.registry.values import UNREADABLE, describe, read_value

__all__ = ["make_source", "to_spec"]

# A value may hold commas (a URL, a name of a microphone): only one before `option=` separates.
_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_]\w*=)")


def to_spec(name: str, options: Mapping[str, Any]) -> str:
    """Return a device as the text that `make_source` reads.

    Examples
    --------
    >>> to_spec("can", {"interface": "socketcan", "channel": "can0"})
    'can:interface=socketcan,channel=can0'
    """
    if not options:
        return name
    return f"{name}:{','.join(f'{key}={value}' for key, value in options.items())}"


def make_source(spec: str, options: Mapping[str, Any] | None = None) -> Source:
    """Return the source that a text like ``"simulated:rate=48000,dtype=int16"`` means, not open.

    Parameters
    ----------
    spec
        The name of a device, and after a colon its options: ``name=value``, comma between them.
        Values are read as the option's type says: ``none``, ``yes``, ``0x100``, a time as
        ``2026-01-31T12:00:00Z``, a shape as ``480x640x3``, several as ``Speed+Torque``; anything
        else as Python writes it.
    options
        More options, as values.

    Raises
    ------
    DeviceNotFoundError
        If no device has this name.
    ParameterError
        If an option does not exist, stands twice, or has a value that does not fit.
    DeviceError
        If the device is somebody else's, and fails when it is loaded or made.

    Examples
    --------
    >>> make_source("simulated:rate=8000,shape=2").info.shape
    (2,)
    """
    if not isinstance(spec, str):
        msg = f"a device is opened by its name, e.g. 'audio:device=3', not {shown(spec)}"
        raise ParameterError(msg)
    name, _, rest = spec.partition(":")
    name = name.strip()
    cls = source_class(name)
    known = _option_types(cls)
    values: dict[str, Any] = {}
    for part in _SEPARATOR.split(rest) if rest.strip() else ():
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals:
            msg = f"{name}: {shown(key)} is no option; write {name}:option=value,option=value"
            raise ParameterError(msg)
        _check_option(name, key, known, values)
        try:
            values[key] = read_value(text, known.get(key, Any))
        except UNREADABLE as error:
            msg = f"{name}: {key} must be {describe(known.get(key, Any))}, not {shown(text)}"
            raise ParameterError(msg) from error
    for key, value in (options or {}).items():
        _check_option(name, key, known, values)
        values[key] = value
    return _construct(name, cls, values)


def _check_option(name: str, key: str, known: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if key in values:
        msg = f"{name}: {key} is given twice"
        raise ParameterError(msg)
    if known and key not in known:
        near = difflib.get_close_matches(key, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        msg = f"{name} has no option {shown(key)}{hint} It has {', '.join(known)}"
        raise ParameterError(msg)


def _check_complete(name: str, cls: Any, values: Mapping[str, Any]) -> None:
    """Raise ParameterError if an option is not given that has no default."""
    if not is_dataclass(cls):
        return
    missing = [
        item.name for item in fields(cls)
        if item.init and item.default is MISSING and item.default_factory is MISSING
        and item.name not in values
    ]  # fmt: skip
    if missing:
        needs = ",".join(f"{option}=…" for option in missing)
        msg = f"{name} needs {needs}; rxstream devices {name} explains its options"
        raise ParameterError(msg)


def _construct(name: str, cls: Any, values: Mapping[str, Any]) -> Source:
    _check_complete(name, cls, values)
    try:
        source: Source = cls(**values)
        fits = isinstance(source, Source) and isinstance(source.info, StreamInfo)
    except (ParameterError, TypeError, ValueError, OverflowError) as error:
        ours = isinstance(error, RxStreamError) and name in error_text(error).lower()
        msg = error_text(error) if ours else f"{name}: {error_text(error)}"
        raise ParameterError(msg) from error
    except (KeyboardInterrupt, RxStreamError):
        raise
    # the code of somebody else, SystemExit too
    except BaseException as error:
        raise load_error(name, error, f"what registers it, {shown(cls)}") from error
    if not fits:
        msg = f"{name} is no source: it needs `info`, a StreamInfo, and `open(emit, fail)`"
        raise DeviceError(msg)
    return source


def _option_types(cls: Any) -> dict[str, Any]:
    """Return the options of a source and the types of their values; empty if it is no dataclass."""
    if not is_dataclass(cls):
        return {}
    return {
        item.name: _option_type(cls, item)
        for item in fields(cls)
        if item.init and not item.name.startswith("_")
    }


def _option_type(cls: Any, item: "Field[Any]") -> Any:
    hint = SimpleNamespace(__annotations__={"value": item.type})
    try:
        return typing.get_type_hints(hint, vars(sys.modules[cls.__module__]))["value"]
    except (NameError, TypeError):
        # the type is imported for type checkers alone; its default shows what is meant
        return type(item.default) if isinstance(item.default, bool | int | float | str) else Any
