"""What a CAN database says: where each signal lies in which message, and what it is called."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.devices.can.messages import CAN_DTYPE
from rxstream.errors import FormatError, ParameterError
from rxstream.optional import import_optional

__all__ = ["Layout", "Signal", "chosen", "fields_of", "layout_of", "load_database", "shown"]

_LISTED = 8


class Signal(NamedTuple):
    """Where a signal lies in a message, and what its number means."""

    field: str
    bits: NDArray[np.intp]
    """Columns of the unpacked bits, lowest first."""
    last_byte: int
    signed: bool
    floating: bool
    scale: float
    offset: float
    selector: "tuple[Signal, frozenset[int]] | None"
    """The multiplexer and the values for which the signal is there."""


class Layout(NamedTuple):
    """One message of the database."""

    number: int
    signals: tuple[Signal, ...]


def load_database(database: Any) -> Any:
    """Return a database of cantools from a path, the text of a DBC, or itself.

    Raises
    ------
    ParameterError
        If it is none of these, or there is no such file.
    FormatError
        If it cannot be parsed.
    """
    cantools = import_optional("cantools", extra="can")
    if hasattr(database, "messages") and hasattr(database, "get_message_by_frame_id"):
        return database
    if not isinstance(database, str | os.PathLike):
        msg = f"decode must be the path or text of a DBC, or a cantools database, not {database!r}"
        raise ParameterError(msg)
    text = isinstance(database, str) and "\n" in database
    if not text and not Path(database).is_file():
        msg = f"decode: there is no file {os.fspath(database)!r}; give the path of a DBC"
        raise ParameterError(msg)
    what = "the text" if text else repr(os.fspath(database))
    try:
        if text:
            loaded = cantools.database.load_string(database)
        else:
            loaded = cantools.database.load_file(os.fspath(database))
    except (cantools.Error, ValueError, KeyError, SyntaxError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        msg = f"decode: {what} is no CAN database that cantools can read: {first}"
        raise FormatError(msg) from error
    if not getattr(loaded, "messages", None):
        msg = f"decode: {what} has no CAN messages in it"
        raise FormatError(msg)
    return loaded


def shown(keys: Iterable[int]) -> str:
    """Return identifiers, with bit 31 if extended, for people to read; a few of them."""
    some = sorted(keys)
    texts = [f"0x{k & 0x1FFF_FFFF:X}" + ("x" if k >> 31 else "") for k in some[:_LISTED]]
    if len(some) > _LISTED:
        texts.append(f"… {len(some)} in all")
    return ", ".join(texts) or "none"


def fields_of(messages: list[Any]) -> dict[tuple[str, str], str]:
    """Return the field of each (message, signal): the signal's name where it is alone with it."""
    count = Counter(str(s.name) for m in messages for s in m.signals)
    taken = {*(CAN_DTYPE.names or ()), "message"}
    return {
        (str(m.name), str(s.name)): str(s.name)
        if count[str(s.name)] == 1 and s.name not in taken
        else f"{m.name}.{s.name}"
        for m in messages
        for s in m.signals
    }


def chosen(fields: dict[tuple[str, str], str], signals: Iterable[str] | None) -> tuple[str, ...]:
    """Return the fields of the wanted signals, in their order; all of them for None."""
    if signals is None:
        return tuple(fields.values())
    if isinstance(signals, str):
        msg = f"signals must be a list of names, e.g. ({signals!r},), not {signals!r}"
        raise ParameterError(msg)
    names: list[str] = []
    for wanted in signals:
        found = [
            field
            for (message, signal), field in fields.items()
            if wanted in (field, signal, f"{message}.{signal}")
        ]
        if not found:
            some = ", ".join(sorted(fields.values())[:_LISTED])
            msg = f"signals: the database has no {wanted!r}; it has {some} … ({len(fields)} in all)"
            raise ParameterError(msg)
        names += found
    return tuple(dict.fromkeys(names))


def layout_of(
    number: int, message: Any, fields: dict[tuple[str, str], str], wanted: Iterable[str]
) -> Layout:
    """Return where the wanted signals of a message lie."""
    made: dict[str, Signal] = {}
    by_name = {s.name: s for s in message.signals}

    def make(signal: Any) -> Signal:
        if signal.name not in made:
            selector = None
            if signal.multiplexer_ids and signal.multiplexer_signal in by_name:
                chooser = make(by_name[signal.multiplexer_signal])
                selector = chooser, frozenset(signal.multiplexer_ids)
            field = fields[str(message.name), str(signal.name)]
            made[signal.name] = _signal(field, signal, selector)
        return made[signal.name]

    found = [make(signal) for signal in message.signals]
    keep = set(wanted)
    return Layout(number, tuple(s for s in found if s.field in keep))


def _signal(field: str, signal: Any, selector: "tuple[Signal, frozenset[int]] | None") -> Signal:
    """Return where a signal lies: bit ``8 * byte + bit`` counted from the lowest of each byte."""
    at, bits = signal.start, []
    for _ in range(signal.length):
        bits.append(at)
        if signal.byte_order == "little_endian":
            at += 1
        else:  # from the highest down, and from the lowest of a byte to the highest of the next
            at = at - 1 if at % 8 else at + 15
    if signal.byte_order != "little_endian":
        bits.reverse()
    return Signal(
        field, np.array(bits, np.intp), max(bits) // 8, bool(signal.is_signed),
        bool(signal.is_float), float(signal.conversion.scale), float(signal.conversion.offset),
        selector,
    )  # fmt: skip
