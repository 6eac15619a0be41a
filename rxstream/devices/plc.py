"""Values of controllers: types of IEC 61131-3, where they stand, and how they become samples."""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Fail
from rxstream.data.stream_info import Reading
from rxstream.errors import DeviceNotFoundError, OverrunError, ParameterError, RxStreamError
from rxstream.printable import error_line, shown

__all__ = [
    "ANSWER_TIMEOUT", "Block", "DataType", "Items", "Layout", "Parse", "Place", "RefusedError",
    "ask", "cells_of", "checked_items", "data_type",
]  # fmt: skip

ANSWER_TIMEOUT = 1.5
"""Longest wait for an answer [s]; less than closing a device waits for one."""

Items: TypeAlias = str | Mapping[str, str] | tuple[tuple[str, str], ...]
"""An address, or the address of each name."""

_NUMBERS = {
    "BOOL": "?", "BYTE": "u1", "USINT": "u1", "SINT": "i1", "WORD": "u2", "UINT": "u2", "INT": "i2",
    "DWORD": "u4", "UDINT": "u4", "DINT": "i4", "REAL": "f4", "LWORD": "u8", "ULINT": "u8",
    "LINT": "i8", "LREAL": "f8",
}  # fmt: skip
_TEXTS = ("CHAR", "STRING")
_TYPE = re.compile(r"(?P<name>[A-Z]+)(?:[\[(](?P<count>\d{1,5})[\])])?", re.ASCII)


class RefusedError(Exception):
    """A controller has answered that it does not give a value; the connection stands."""


@dataclass(frozen=True, slots=True)
class DataType:
    """Type of a value.

    Attributes
    ----------
    name
        As IEC 61131-3 calls it, e.g. ``"REAL"``.
    count
        Length of an array or a text; None: one value.
    """

    name: str
    count: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is a text, of ``count`` characters."""
        return self.name in _TEXTS

    @property
    def base(self) -> np.dtype[Any]:
        """Type of a value, or of one of an array."""
        return np.dtype(f"U{self.count or 1}" if self.is_text else _NUMBERS[self.name])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value: ``()``, or ``(count,)`` of an array."""
        return () if self.is_text or self.count is None else (self.count,)

    @property
    def size(self) -> int:
        """Size of the numbers or characters [bytes]; of bits, a byte each."""
        return (self.count or 1) * (1 if self.is_text else self.base.itemsize)


def data_type(text: str) -> DataType | None:
    """Return a type as it is written; None if there is none such.

    Examples
    --------
    >>> data_type("real[8]")
    DataType(name='REAL', count=8)
    >>> data_type("STRING(20)").base
    dtype('<U20')
    >>> data_type("TIME") is None
    True
    """
    match = _TYPE.fullmatch(text.strip().upper())
    if match is None or match["name"] not in (*_NUMBERS, *_TEXTS):
        return None
    count = None if match["count"] is None else int(match["count"])
    if count == 0 or (match["name"] == "STRING" and count is None):
        return None
    return DataType(match["name"], count)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands.

    Attributes
    ----------
    area
        Memory that it is in, e.g. ``"DB1"``.
    start, size
        First cell and number of cells: bytes, registers, or coils.
    kind
        Type of the value.
    bit
        First bit of a BOOL, from the least of the first cell; None: each cell is one.
    """

    area: str
    start: int
    size: int
    kind: DataType
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Cells that are read by one request."""

    area: str
    start: int
    size: int


Parse: TypeAlias = Callable[[str], Place]
"""Makes a place of an address as it is written; raises ValueError with what an address is."""


def checked_items(given: object, parse: Parse, name: str) -> str | tuple[tuple[str, str], ...]:
    """Return items as they can be hashed; raise ParameterError for one that cannot be.

    Examples
    --------
    >>> def parse(text):
    ...     return Place("DB1", int(text), 4, DataType("REAL"))
    >>> checked_items({"pressure": "0", "flow": "4"}, parse, "S7")
    (('pressure', '0'), ('flow', '4'))
    >>> checked_items({"pressure": "here"}, parse, "S7")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: S7: items: 'pressure': invalid literal for int() ...
    """
    if isinstance(given, str):
        _parsed(given, parse, f"{name}: items")
        return given
    pairs = tuple(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, tuple | list) or not pairs or not all(map(_is_pair, pairs)):
        msg = (
            f"{name}: items must be an address, or a dict with the address of each name, not "
            f"{shown(given)}"
        )
        raise ParameterError(msg)
    names = [item for item, _ in pairs]
    twice = [item for item in names if names.count(item) > 1]
    if twice:
        msg = f"{name}: items: {shown(twice[0])} is there twice; give each a name of its own"
        raise ParameterError(msg)
    for item, address in pairs:
        _parsed(address, parse, f"{name}: items: {shown(item)}")
    return tuple((item, address) for item, address in pairs)


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, tuple | list) and len(pair) == 2
        and all(isinstance(text, str) and text for text in pair)
    )  # fmt: skip


def _parsed(address: str, parse: Parse, name: str) -> Place:
    try:
        return parse(address)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ParameterError(msg) from None


class Layout:
    """Which cells have the values, and how they become a sample.

    Parameters
    ----------
    items
        As `checked_items` returns them.
    parse
        Makes a place of an address.

    Attributes
    ----------
    dtype, shape
        Of a sample: a field for each name, or a value or array without one.

    Examples
    --------
    >>> def parse(text):
    ...     return Place("DB1", int(text), 4, DataType("REAL"))
    >>> layout = Layout((("pressure", "0"), ("flow", "4")), parse)
    >>> layout.dtype
    dtype([('pressure', '<f4'), ('flow', '<f4')])
    >>> layout.blocks(gap=0, most=100)
    [Block(area='DB1', start=0, size=8)]
    >>> import struct
    >>> layout.sample(lambda place: struct.pack(">f", place.start + 0.5))
    array([(0.5, 4.5)], dtype=[('pressure', '<f4'), ('flow', '<f4')])
    """

    def __init__(self, items: str | tuple[tuple[str, str], ...], parse: Parse) -> None:
        self._single = isinstance(items, str)
        pairs = (("", items),) if isinstance(items, str) else items
        self._places = {name: parse(address) for name, address in pairs}
        self._addresses = dict(pairs)
        kinds = {name: place.kind for name, place in self._places.items()}
        self.dtype: np.dtype[Any]
        self.shape: tuple[int, ...] = ()
        if self._single:
            self.dtype, self.shape = kinds[""].base, kinds[""].shape
        else:
            self.dtype = np.dtype([(name, kind.base, kind.shape) for name, kind in kinds.items()])

    def blocks(self, *, gap: int, most: int) -> list[Block]:
        """Return what to read: values at most ``gap`` cells apart in blocks of at most ``most``."""
        places = sorted(self._places.values(), key=lambda place: (place.area, place.start))
        found: list[Block] = []
        for place in places:
            last = found[-1] if found else None
            if last is not None and last.area == place.area:
                end = max(last.start + last.size, place.start + place.size)
                near = place.start - (last.start + last.size) <= gap
                if near and end - last.start <= most:
                    found[-1] = Block(last.area, last.start, end - last.start)
                    continue
            found.append(Block(place.area, place.start, place.size))
        return found

    def of(self, block: Block) -> str:
        """Return what is in a block, as it was written."""
        end = block.start + block.size
        return ", ".join(
            self._addresses[name] for name, place in self._places.items()
            if place.area == block.area and block.start <= place.start < end
        )  # fmt: skip

    def sample(self, cut: Callable[[Place], bytes]) -> NDArray[Any]:
        """Return a sample as an array ``(1, *shape)``.

        Parameters
        ----------
        cut
            Returns what stands at a place: numbers with the most significant byte first, bits with
            the least significant byte first, characters alone of a text.
        """
        values = {name: _value(cut(place), place) for name, place in self._places.items()}
        if self._single:
            return np.array(values[""], self.dtype).reshape(1, *self.shape)
        return np.array([tuple(values.values())], self.dtype)


def _value(raw: bytes, place: Place) -> Any:
    kind = place.kind
    if kind.is_text:
        return raw.decode("latin-1")[: kind.count or 1]
    count = kind.count or 1
    if kind.name == "BOOL":
        cells = np.frombuffer(raw, np.uint8)
        first = place.bit
        bits = cells if first is None else np.unpackbits(cells, bitorder="little")[first:]
        values: NDArray[Any] = bits[:count] != 0
    else:
        values = np.frombuffer(raw, kind.base.newbyteorder(">"), count).astype(kind.base)
    return values if kind.count is not None else values[0]


def ask(
    name: str, read: Callable[[], NDArray[Any]], fail: Fail
) -> Generator[Reading | None, None, None]:
    """Read each time it is resumed; the first time, before the device counts as open.

    What the controller refuses later is a lost sample: the gap before the next one counts it, and
    `Device.faults` has the reason, once until it answers again.

    Parameters
    ----------
    name
        Name of the stream.
    read
        Returns a sample ``(1, *shape)``; raises RefusedError.
    fail
        Takes what was refused.

    Raises
    ------
    DeviceNotFoundError
        If the first is refused, or not answered.
    """
    try:
        read()
    except RefusedError as error:
        msg = f"{name}: {error}; see the addresses and types of items"
        raise DeviceNotFoundError(msg) from error
    except RxStreamError:
        raise
    except Exception as error:
        msg = (
            f"{name}: it does not answer ({error_line(error)}); see its address, and that no "
            "other program is connected to it"
        )
        raise DeviceNotFoundError(msg) from error
    yield None
    lost, reason = 0, ""
    while True:
        try:
            sample = read()
        except RefusedError as error:
            lost += 1
            if str(error) != reason:
                reason = str(error)
                msg = f"{name}: {reason}; samples are lost until it answers"
                fail(OverrunError(msg, reason="dropped"))
            yield None
        else:
            yield Reading(sample, lost=lost or None)
            lost, reason = 0, ""


def cells_of(blocks: Iterable[Block], place: Place) -> Block:
    """Return the block that has a place."""
    return next(
        block for block in blocks
        if block.area == place.area
        and block.start <= place.start <= block.start + block.size - place.size
    )  # fmt: skip
