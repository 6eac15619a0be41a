"""s7: values of a Siemens controller (extra ``s7``)."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import open_generator
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.access import check_host, check_port, unreachable
from rxstream.devices.plc import (
    ANSWER_TIMEOUT,
    Block,
    DataType,
    Items,
    Layout,
    Place,
    RefusedError,
    ask,
    cells_of,
    checked_items,
    data_type,
)
from rxstream.errors import DeviceError
from rxstream.optional import import_optional
from rxstream.printable import error_line, shown
from rxstream.validation import check_range

__all__ = ["S7"]

# Bytes between two values that are read along to save a request, and most of a block: the data of
# an answer of the smallest PDU, 240 bytes, is 222 at most.
_GAP, _BLOCK = 16, 200

# Areas by their letter, English or German, as python-snap7 calls them.
_AREAS = {"I": "PE", "E": "PE", "Q": "PA", "A": "PA", "M": "MK"}

# Types that a width stands for where none is written.
_WIDTHS = {"X": "BOOL", "B": "BYTE", "W": "WORD", "D": "DWORD"}

_ADDRESS = re.compile(
    r"(?:DB(?P<db>\d{1,5})[.:](?:DB(?P<db_width>[XBWD]))?|(?P<area>[IEQAM])(?P<width>[XBWD])?)"
    r"(?P<start>\d{1,5})(?:\.(?P<bit>[0-7]))?(?::(?P<type>.+))?",
    re.ASCII,
)
_FORMS = "'DB1.DBD0:REAL', 'DB1.DBX4.0', 'DB1:6:STRING[20]', 'MW20:INT' or 'I0.3'"

_MAX_RACK, _MAX_SLOT = 7, 31

# What python-snap7 says of a value that the controller does not give.
_REFUSED = "Read operation failed"


def _parse(address: str) -> Place:
    """Return the place of an address of STEP 7, with a type after a colon."""
    match = _ADDRESS.fullmatch(address.strip().upper())
    if match is None:
        msg = f"{shown(address)} is no address; give e.g. {_FORMS}"
        raise ValueError(msg)
    width, bit = match["db_width"] or match["width"], match["bit"]
    kind = _kind(address, match["type"], width, bit)
    if (kind.name == "BOOL") != (bit is not None) or (width == "X" and bit is None):
        msg = f"{shown(address)}: a BOOL needs its bit, and others have none; give e.g. {_FORMS}"
        raise ValueError(msg)
    area = f"DB{int(match['db'])}" if match["db"] else _AREAS[match["area"]]
    first = None if bit is None else int(bit)
    size = kind.size + (2 if kind.name == "STRING" else 0)
    if first is not None:
        size = (first + (kind.count or 1) + 7) // 8
    return Place(area, int(match["start"]), size, kind, first)


def _kind(address: str, written: str | None, width: str | None, bit: str | None) -> DataType:
    if written is None:
        implied = "BOOL" if bit is not None else _WIDTHS.get(width or "", "")
        if implied:
            return DataType(implied)
        msg = f"{shown(address)} has no type; give e.g. {_FORMS}"
        raise ValueError(msg)
    kind = data_type(written)
    if kind is None:
        msg = (
            f"{shown(address)}: {shown(written)} is no type; give BOOL, BYTE, INT, DINT, REAL, "
            "LREAL … of IEC 61131-3, STRING[20], or an array, as REAL[8]"
        )
        raise ValueError(msg)
    return kind


@dataclass(frozen=True, slots=True)
class S7:
    """Values of a Siemens controller (S7-300, 400, 1200, 1500): asked every so often, without rate.

    A sample has a field for each item. All are read one after the other, and the time of the
    sample is between the first question and the last answer: its ``uncertainty`` is half that.

    What the controller refuses is a lost sample: the gap before the next one counts it, and
    `Device.faults` has the reason. One that does not answer within 1.5 s is a lost device.

    Attributes
    ----------
    host
        Name or IP address of the controller.
    items
        Address of each name, ``{"temperature": "DB1.DBD0:REAL", "running": "DB1.DBX4.0"}``; or one
        address without a name, ``"DB1.DBD0:REAL[8]"``, whose samples are numbers or arrays.
    every
        Time from one question to the next [s].
    rack, slot
        Where its processor is: slot 1 of an S7-1200 or 1500, 2 of an S7-300.
    port
        TCP port.

    Examples
    --------
    >>> S7("192.168.0.1", {"temperature": "DB1.DBD0:REAL", "running": "DB1.DBX4.0"}).info.dtype
    dtype([('temperature', '<f4'), ('running', '?')])
    >>> S7("192.168.0.1", "DB1.DBW0:INT[8]").info.shape
    (8,)
    """

    host: str
    items: Items
    every: Duration = 1.0
    rack: int = 0
    slot: int = 1
    port: int = 102

    def __post_init__(self) -> None:
        check_host(self.host, "S7: host")
        object.__setattr__(self, "items", checked_items(self.items, _parse, "S7"))
        to_span(self.every, "S7: every")
        check_range(self.rack, "S7: rack", 0, _MAX_RACK)
        check_range(self.slot, "S7: slot", 0, _MAX_SLOT)
        check_port(self.port, "S7: port")

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        layout = self._layout()
        return StreamInfo("s7", None, layout.shape, layout.dtype, extra={"host": self.host})

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the controller, and ask it once.

        Raises
        ------
        DeviceNotFoundError
            If it does not answer, or has not what is asked for.
        MissingExtraError
            If python-snap7 is not installed.
        """
        return open_generator(
            lambda _: self._ask(fail), self.info, emit, fail,
            every=self.every, requires="rxstream[s7]",
        )  # fmt: skip

    def _layout(self) -> Layout:
        return Layout(self.items, _parse)  # type: ignore[arg-type]  # they are checked

    def _ask(self, fail: Fail) -> Generator[Any, None, None]:
        snap7 = import_optional("snap7", extra="s7")
        client = snap7.Client()
        try:
            self._connect(snap7, client)
            yield from ask("s7", _Reader(snap7, client, self._layout()), fail)
        finally:
            client.disconnect()

    def _connect(self, snap7: Any, client: Any) -> None:
        try:
            client.connect(self.host, self.rack, self.slot, self.port)
        except (snap7.error.S7Error, OSError) as error:
            raise self._unreachable(error) from error
        # what is asked while it is open must come sooner
        client.connection.socket.settimeout(ANSWER_TIMEOUT)

    def _unreachable(self, error: Exception) -> DeviceError:
        found = unreachable("s7", f"{self.host}:{self.port}", error)
        return type(found)(f"{found}; a controller must allow PUT/GET, and have this rack and slot")


class _Reader:
    """Reads a sample; RefusedError if the controller does not give one of the values."""

    def __init__(self, snap7: Any, client: Any, layout: Layout) -> None:
        self._snap7, self._client, self._layout = snap7, client, layout
        self._blocks = layout.blocks(gap=_GAP, most=_BLOCK)

    def __call__(self) -> NDArray[Any]:
        found = {block: self._read(block) for block in self._blocks}

        def cut(place: Place) -> bytes:
            block = cells_of(self._blocks, place)
            raw = found[block][place.start - block.start :][: place.size]
            # a STRING begins with its longest and its present length
            return raw[2 : 2 + raw[1]] if place.kind.name == "STRING" else raw

        return self._layout.sample(cut)

    def _read(self, block: Block) -> bytes:
        areas = self._snap7.type.Area
        is_data = block.area.startswith("DB")
        area, number = (areas.DB, int(block.area[2:])) if is_data else (areas[block.area], 0)
        try:
            return bytes(self._client.read_area(area, number, block.start, block.size))
        except self._snap7.error.S7ProtocolError as error:
            denied = getattr(error, "error_code", None) is not None
            if not denied and _REFUSED not in str(error):
                raise
            msg = f"the controller refuses {self._layout.of(block)} ({error_line(error)})"
            if denied:
                msg += ", as one does that does not allow PUT/GET"
            raise RefusedError(msg) from error
