"""Signals of CAN messages by a database (DBC, ARXML, KCD, SYM), many messages at a time."""

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.can.database import (
    Layout,
    Signal,
    chosen,
    fields_of,
    layout_of,
    load_database,
    shown,
)
from rxstream.devices.can.messages import CAN_DTYPE, CanFlag
from rxstream.errors import ChunkError, FormatError, ParameterError

__all__ = ["DecodeStep", "Decoder"]

_logger = logging.getLogger(__name__)

_WIDEST = 8192  # a decoded sample larger than this [bytes] would fill any window in no time
_ENOUGH, _KINDS = (
    1000,
    8,
)  # messages and identifiers after which a database that knows none is wrong
_NO_DATA = CanFlag.REMOTE | CanFlag.ERROR


class Decoder:
    """Adds the signals of a database to messages of `CAN_DTYPE`.

    Parameters
    ----------
    database
        Path of a file, the text of a DBC, or a database of cantools.
    signals
        Those wanted, ``"Signal"`` or ``"Message.Signal"``; None: all.

    Attributes
    ----------
    dtype
        The fields of `CAN_DTYPE`, ``message``, and a float64 for each signal.
    names
        Of the messages; the field ``message`` is the index, or -1.
    units, choices
        Of the signals that have any, by field.
    """

    def __init__(self, database: Any, signals: Iterable[str] | None = None) -> None:
        self._database = load_database(database)
        messages = sorted(self._database.messages, key=lambda m: str(m.name))
        self.names = tuple(str(m.name) for m in messages)
        fields = fields_of(messages)
        self._wanted = chosen(fields, signals)
        self.dtype = np.dtype(
            [*_describe(CAN_DTYPE), ("message", np.int16), *((f, np.float64) for f in self._wanted)]
        )
        if self.dtype.itemsize > _WIDEST:
            msg = (
                f"{len(self._wanted)} signals make samples of {self.dtype.itemsize} bytes, and at "
                f"most {_WIDEST} are taken: choose those you need with signals=('Message.Signal',)"
            )
            raise ParameterError(msg)
        self.units, self.choices = _meanings(messages, fields, set(self._wanted))
        self._layouts = {
            id(message): layout_of(number, message, fields, self._wanted)
            for number, message in enumerate(messages)
        }
        self._found: dict[int, Layout | None] = {}  # by identifier, with bit 31 if extended

    def known(self, key: int) -> Layout | None:
        """Return what the database says of an identifier, with bit 31 set if it is extended."""
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

    def info(self, info: StreamInfo) -> StreamInfo:
        """Return what is known of the decoded stream."""
        extra = {
            **info.extra,
            "messages": self.names,
            "signals": self._wanted,
            "units": self.units,
            "choices": self.choices,
        }
        return info.like(np.empty((0, *info.shape), self.dtype), extra=extra)

    def decode(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return messages of `CAN_DTYPE` ``(n,)`` with their signals, `dtype` ``(n,)``."""
        out = np.empty(len(raw), self.dtype)
        for name in CAN_DTYPE.names or ():
            out[name] = raw[name]
        out["message"] = -1
        for field in self._wanted:
            out[field] = np.nan
        if not len(raw):
            return out
        keys = raw["arbitration_id"].astype(np.uint32)
        keys |= (raw["flags"] & CanFlag.EXTENDED).astype(np.uint32) << np.uint32(31)
        keys[raw["flags"] & CanFlag.ERROR != 0] = 0xFFFF_FFFF  # has no identifier
        bits: NDArray[np.uint8] | None = None
        for key in np.unique(keys).tolist():
            layout = None if key == 0xFFFF_FFFF else self.known(key)
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

    def strangers(self, decoded: NDArray[Any]) -> set[int]:
        """Return identifiers, with bit 31 if extended, that the database does not have."""
        rows = decoded[(decoded["message"] < 0) & (decoded["flags"] & CanFlag.ERROR == 0)]
        extended = (rows["flags"] & CanFlag.EXTENDED).astype(np.int64) << 31
        return set((rows["arbitration_id"].astype(np.int64) | extended).tolist())

    def wrong(self, where: str, strangers: Iterable[int]) -> FormatError:
        """Return the error for a stream of which the database knows nothing."""
        theirs = {
            int(m.frame_id) | (1 << 31 if m.is_extended_frame else 0)
            for m in self._database.messages
        }
        return FormatError(
            f"the database does not match: of the identifiers of {where} ({shown(strangers)}) it "
            f"has none; it has {shown(theirs)}; give the database of this bus as decode="
        )


class DecodeStep:
    """Decodes a stream; tells what the database does not know, once for each identifier.

    Parameters
    ----------
    decoder
        Of the database.
    where
        What messages call the stream.
    """

    def __init__(self, decoder: Decoder, where: str = "the stream") -> None:
        self.decoder, self._where = decoder, where
        self._strangers: set[int] = set()
        self._seen = self._matched = 0
        self._infos: tuple[StreamInfo, StreamInfo] | None = None

    def decode(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return messages with their signals; log identifiers that are not in the database."""
        out = self.decoder.decode(raw)
        new = self.decoder.strangers(out) - self._strangers
        if new:
            self._strangers |= new
            _logger.warning(
                "%s: the database has no %s; such messages pass undecoded, message = -1",
                self._where, shown(new),
            )  # fmt: skip
        self._seen += len(out)
        self._matched += int((out["message"] >= 0).sum())
        return out

    def check(self, *, ended: bool = False) -> None:
        """Raise `FormatError` if the database evidently belongs to another bus."""
        if self._matched or not self._strangers:
            return
        if ended or (self._seen >= _ENOUGH and len(self._strangers) >= _KINDS):
            raise self.decoder.wrong(self._where, self._strangers)

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        """Take a chunk of `CAN_DTYPE`, give it with its signals."""
        if chunk.data.dtype != CAN_DTYPE:
            msg = f"decode_can takes CAN messages, not {chunk.info.name} ({chunk.data.dtype})"
            raise ChunkError(msg)
        if self._infos is None or self._infos[0] is not chunk.info:
            self._infos = chunk.info, self.decoder.info(chunk.info)
        return (chunk.with_data(self.decode(chunk.data), self._infos[1]),)

    def flush(self) -> tuple[()]:
        """At the end, a database that knew nothing of it is an error."""
        self.check(ended=True)
        return ()


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


def _raw(signal: Signal, bits: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the number in the bits uint8 ``(n, 512)``, before scaling."""
    length = len(signal.bits)
    weights = np.uint64(1) << np.arange(length, dtype=np.uint64)
    value: NDArray[Any] = (bits[:, signal.bits].astype(np.uint64) * weights).sum(axis=1)
    if signal.floating:
        width = {16: np.float16, 32: np.float32, 64: np.float64}[length]
        return value.astype(f"u{length // 8}").view(width)
    if signal.signed:  # shift its sign to the top and back
        spare = np.uint64(64 - length)
        return (value << spare).view(np.int64) >> np.int64(spare)
    return value


def _fill(
    out: NDArray[Any],
    rows: NDArray[np.intp],
    signals: tuple[Signal, ...],
    bits: NDArray[np.uint8],
    dlc: NDArray[np.uint8],
) -> None:
    """Write the signals of messages of one kind; those that are not there stay NaN."""
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
