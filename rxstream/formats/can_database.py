"""The messages of a CAN database: where each signal lies in which message, and its name."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import FormatError, ParameterError
from rxstream.formats.can import CAN_DTYPE
from rxstream.optional import import_optional
from rxstream.printable import shown

__all__ = [
    "MessageLayout",
    "SignalLayout",
    "choose_fields",
    "fields_of",
    "format_identifiers",
    "layout_of",
    "load_database",
]

# names or identifiers that an error message lists: two lines of it
_MAX_LISTED = 8


class SignalLayout(NamedTuple):
    """Place of a signal in a message, and the meaning of its number."""

    field: str
    bits: NDArray[np.intp]
    """Columns of the unpacked bits, lowest first."""
    last_byte: int
    signed: bool
    floating: bool
    scale: float
    offset: float
    selector: "tuple[SignalLayout, frozenset[int]] | None"
    """The multiplexer and the values for which the signal is there."""


class MessageLayout(NamedTuple):
    """One message of the database."""

    number: int
    signals: tuple[SignalLayout, ...]


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
        msg = (
            "decode must be the path or text of a DBC, or a cantools database, not "
            f"{shown(database)}"
        )
        raise ParameterError(msg)
    text = isinstance(database, str) and "\n" in database
    if not text and not os.path.isfile(database):
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


def format_identifiers(keys: Iterable[int]) -> str:
    """Return the first few identifiers as text; those with bit 31 are extended."""
    some = sorted(keys)
    texts = [f"0x{k & 0x1FFF_FFFF:X}" + ("x" if k >> 31 else "") for k in some[:_MAX_LISTED]]
    if len(some) > _MAX_LISTED:
        texts.append(f"… {len(some)} in all")
    return ", ".join(texts) or "none"


def fields_of(messages: list[Any]) -> dict[tuple[str, str], str]:
    """Return the field of each (message, signal): the signal's name where that is unique."""
    count = Counter(str(s.name) for m in messages for s in m.signals)
    taken = {*(CAN_DTYPE.names or ()), "message"}
    return {
        (str(m.name), str(s.name)): str(s.name)
        if count[str(s.name)] == 1 and s.name not in taken
        else f"{m.name}.{s.name}"
        for m in messages
        for s in m.signals
    }


def choose_fields(
    fields: dict[tuple[str, str], str], signals: Iterable[str] | None
) -> tuple[str, ...]:
    """Return the fields of the selected signals, in their order; all of them for None."""
    if signals is None:
        return tuple(fields.values())
    if isinstance(signals, str):
        msg = f"signals must be a list of names, e.g. ({shown(signals)},), not {shown(signals)}"
        raise ParameterError(msg)
    names: list[str] = []
    for wanted in signals:
        found = [
            field
            for (message, signal), field in fields.items()
            if wanted in (field, signal, f"{message}.{signal}")
        ]
        if not found:
            some = ", ".join(sorted(fields.values())[:_MAX_LISTED])
            msg = (
                f"signals: the database has no {shown(wanted)}; it has {some} … "
                f"({len(fields)} in all)"
            )
            raise ParameterError(msg)
        names += found
    return tuple(dict.fromkeys(names))


def layout_of(
    number: int, message: Any, fields: dict[tuple[str, str], str], selected: Iterable[str]
) -> MessageLayout:
    """Return the layout of the selected signals of a message."""
    made: dict[str, SignalLayout] = {}
    by_name = {s.name: s for s in message.signals}

    def make(signal: Any) -> SignalLayout:
        if signal.name not in made:
            selector = None
            if signal.multiplexer_ids and signal.multiplexer_signal in by_name:
                chooser = make(by_name[signal.multiplexer_signal])
                selector = chooser, frozenset(signal.multiplexer_ids)
            field = fields[str(message.name), str(signal.name)]
            made[signal.name] = _signal(field, signal, selector)
        return made[signal.name]

    found = [make(signal) for signal in message.signals]
    keep = set(selected)
    return MessageLayout(number, tuple(s for s in found if s.field in keep))


def _signal(
    field: str, signal: Any, selector: "tuple[SignalLayout, frozenset[int]] | None"
) -> SignalLayout:
    """Return the layout of a signal; bit ``8 * byte + bit``, from the lowest of each byte."""
    at, bits = signal.start, []
    for _ in range(signal.length):
        bits.append(at)
        if signal.byte_order == "little_endian":
            at += 1
        else:
            # Motorola: from the highest down, and from the lowest of a byte to the highest of the
            # next
            at = at - 1 if at % 8 else at + 15
    if signal.byte_order != "little_endian":
        bits.reverse()
    return SignalLayout(
        field, np.array(bits, np.intp), max(bits) // 8, bool(signal.is_signed),
        bool(signal.is_float), float(signal.conversion.scale), float(signal.conversion.offset),
        selector,
    )  # fmt: skip
