"""Decode the signals of CAN messages by a database (DBC, ARXML, KCD, SYM), many at a time."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import FormatError, ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag
from rxstream.formats.can_database import (
    MessageLayout,
    SignalLayout,
    choose_fields,
    fields_of,
    format_identifiers,
    layout_of,
    load_database,
)
from rxstream.printable import get_logger

__all__ = ["Decoder", "StreamDecoder"]

_logger = get_logger(__name__)

# a decoded sample larger than this [bytes] would fill any window in no time
_MAX_SAMPLE_BYTES = 8192
# After so many messages of so many identifiers, a database that knows none of them is that of
# another bus. With fewer, most of the bus may be asleep.
_MIN_MESSAGES, _MIN_IDENTIFIERS = 1000, 8
_NO_DATA = CanFlag.REMOTE | CanFlag.ERROR
# key of error frames, which have no identifier; no identifier has all its bits set
_NO_IDENTIFIER = 0xFFFF_FFFF


class Decoder:
    """Adds the signals of a database to messages of `CAN_DTYPE`.

    Parameters
    ----------
    database
        Path of a file, the text of a DBC, or a database of cantools.
    signals
        Signals to decode, ``"Signal"`` or ``"Message.Signal"``; None: all.

    Attributes
    ----------
    dtype
        The fields of `CAN_DTYPE`, ``message``, and a float64 for each signal.
    extra
        `StreamInfo.extra` of the decoded stream: the names of ``messages`` (the field ``message``
        is an index into them, or -1), the fields of ``signals``, and their ``units`` and
        ``choices``, if any.
    """

    def __init__(self, database: Any, signals: Iterable[str] | None = None) -> None:
        self._database = load_database(database)
        messages = sorted(self._database.messages, key=lambda m: str(m.name))
        fields = fields_of(messages)
        self._fields = choose_fields(fields, signals)
        self.dtype = np.dtype(
            [*_describe(CAN_DTYPE), ("message", np.int16), *((f, np.float64) for f in self._fields)]
        )
        if self.dtype.itemsize > _MAX_SAMPLE_BYTES:
            msg = (
                f"{len(self._fields)} signals make samples of {self.dtype.itemsize} bytes, and at "
                f"most {_MAX_SAMPLE_BYTES} are taken: choose those you need with "
                "signals=('Message.Signal',)"
            )
            raise ParameterError(msg)
        units, choices = _meanings(messages, fields, set(self._fields))
        self.extra = {
            "messages": tuple(str(m.name) for m in messages),
            "signals": self._fields,
            "units": units,
            "choices": choices,
        }
        self._layouts = {
            id(message): layout_of(number, message, fields, self._fields)
            for number, message in enumerate(messages)
        }
        # by identifier, with bit 31 if extended
        self._found: dict[int, MessageLayout | None] = {}

    def layout(self, key: int) -> MessageLayout | None:
        """Return the message of an identifier, with bit 31 set if it is extended, or None."""
        if key not in self._found:
            try:
                message = self._database.get_message_by_frame_id(
                    key & 0x1FFF_FFFF, force_extended_id=bool(key >> 31)
                )
                extended = bool(message.is_extended_frame) == bool(key >> 31)
                self._found[key] = self._layouts[id(message)] if extended else None
            except KeyError:
                self._found[key] = None
        return self._found[key]

    def decode(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return messages of `CAN_DTYPE` ``(n,)`` with their signals, `dtype` ``(n,)``."""
        out = np.empty(len(raw), self.dtype)
        for name in CAN_DTYPE.names or ():
            out[name] = raw[name]
        out["message"] = -1
        for field in self._fields:
            out[field] = np.nan
        if not len(raw):
            return out
        keys = raw["arbitration_id"].astype(np.uint32)
        keys |= (raw["flags"] & CanFlag.EXTENDED).astype(np.uint32) << np.uint32(31)
        keys[raw["flags"] & CanFlag.ERROR != 0] = _NO_IDENTIFIER
        bits: NDArray[np.uint8] | None = None
        for key in np.unique(keys).tolist():
            layout = None if key == _NO_IDENTIFIER else self.layout(key)
            if layout is None:
                continue
            rows = np.flatnonzero(keys == key)
            out["message"][rows] = layout.number
            rows = rows[raw["flags"][rows] & _NO_DATA == 0]
            if len(rows) and layout.signals:
                if bits is None:
                    bits = np.unpackbits(raw["data"], axis=1, bitorder="little")
                _fill(out, rows, layout.signals, bits[rows], raw["dlc"][rows])
        return out

    def unknown(self, decoded: NDArray[Any]) -> set[int]:
        """Return the identifiers, with bit 31 if extended, that the database does not have."""
        rows = decoded[(decoded["message"] < 0) & (decoded["flags"] & CanFlag.ERROR == 0)]
        extended = (rows["flags"] & CanFlag.EXTENDED).astype(np.int64) << 31
        return set((rows["arbitration_id"].astype(np.int64) | extended).tolist())

    def mismatch(self, where: str, unknown: Iterable[int]) -> FormatError:
        """Return the error for a stream of which the database has no message."""
        theirs = {
            int(m.frame_id) | (1 << 31 if m.is_extended_frame else 0)
            for m in self._database.messages
        }
        return FormatError(
            f"the database does not match: of the identifiers of {where} "
            f"({format_identifiers(unknown)}) it has none; it has {format_identifiers(theirs)}; "
            "give the database of this bus as decode="
        )


class StreamDecoder:
    """Decodes one stream, and logs identifiers that the database does not have, each once.

    Parameters
    ----------
    decoder
        The decoder of the database; streams may share it.
    where
        Name of the stream in messages.
    """

    def __init__(self, decoder: Decoder, where: str = "the stream") -> None:
        self._decoder, self._where = decoder, where
        self.dtype = decoder.dtype
        self._unknown: set[int] = set()
        self._seen = self._matched = 0

    def decode(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return messages with their signals; log identifiers that are not in the database."""
        out = self._decoder.decode(raw)
        new = self._decoder.unknown(out) - self._unknown
        if new:
            self._unknown |= new
            _logger.warning(
                "%s: the database has no %s; such messages pass undecoded, message = -1",
                self._where, format_identifiers(new),
            )  # fmt: skip
        self._seen += len(out)
        self._matched += int((out["message"] >= 0).sum())
        return out

    def check(self, *, ended: bool = False) -> None:
        """Raise `FormatError` if the database evidently belongs to another bus."""
        if self._matched or not self._unknown:
            return
        if ended or (self._seen >= _MIN_MESSAGES and len(self._unknown) >= _MIN_IDENTIFIERS):
            raise self._decoder.mismatch(self._where, self._unknown)


def _meanings(
    messages: list[Any], fields: dict[tuple[str, str], str], wanted: set[str]
) -> tuple[dict[str, str], dict[str, dict[int, str]]]:
    """Return the units of signals, and the names of their values, by field."""
    units: dict[str, str] = {}
    choices: dict[str, dict[int, str]] = {}
    for message in messages:
        for signal in message.signals:
            field = fields[str(message.name), str(signal.name)]
            if field in wanted and signal.unit:
                units[field] = str(signal.unit)
            if field in wanted and signal.choices:
                choices[field] = {int(k): str(v) for k, v in signal.choices.items()}
    return units, choices


def _describe(dtype: np.dtype[Any]) -> list[Any]:
    return [(name, dtype[name].base, dtype[name].shape) for name in dtype.names or ()]


def _raw(signal: SignalLayout, bits: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the number in the bits uint8 ``(n, 512)``, before scaling."""
    length = len(signal.bits)
    weights = np.uint64(1) << np.arange(length, dtype=np.uint64)
    value: NDArray[Any] = (bits[:, signal.bits].astype(np.uint64) * weights).sum(axis=1)
    if signal.floating:
        width = {16: np.float16, 32: np.float32, 64: np.float64}[length]
        return value.astype(f"u{length // 8}").view(width)
    if signal.signed:
        # shift its sign to the top and back
        spare = np.uint64(64 - length)
        return (value << spare).view(np.int64) >> np.int64(spare)
    return value


def _fill(
    out: NDArray[Any],
    rows: NDArray[np.intp],
    signals: tuple[SignalLayout, ...],
    bits: NDArray[np.uint8],
    dlc: NDArray[np.uint8],
) -> None:
    """Write the signals of messages of one identifier; a signal that a message lacks stays NaN."""
    for signal in signals:
        there = signal.last_byte < dlc
        selector = signal.selector
        while selector is not None:
            chooser, values = selector
            there &= np.isin(_raw(chooser, bits), list(values))
            selector = chooser.selector
        if not there.any():
            continue
        out[signal.field][rows[there]] = (
            _raw(signal, bits[there]).astype(np.float64) * signal.scale + signal.offset
        )
