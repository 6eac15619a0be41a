"""modbus: registers and coils of a Modbus slave, by TCP or a serial line (extra ``modbus``)."""

import re
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

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
from rxstream.errors import ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice, check_range, is_whole

__all__ = ["Modbus"]

_Order: TypeAlias = Literal["big", "little"]
_Parity: TypeAlias = Literal["N", "E", "O"]

# Most registers, and coils, of a request, as the protocol has them.
_REGISTERS, _COILS = 125, 2000

_CELLS = 1 << 16
_MAX_UNIT = 255
_REGISTER_BITS = 16

# Longest wait for the connection [s].
_CONNECT = 5.0

_TABLES = {"coil": "coils", "discrete": "discrete_inputs", "input": "input_registers",
           "holding": "holding_registers"}  # fmt: skip
_BITS = ("coil", "discrete")
_FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}

_ADDRESS = re.compile(
    r"(?P<table>[a-z]+):(?P<start>\d{1,5})(?:\.(?P<bit>\d{1,2}))?(?::(?P<type>.+))?", re.ASCII
)
_FORMS = "'holding:0:REAL', 'input:4:INT[8]', 'holding:7.3:BOOL' or 'coil:2'"

# Reasons of a slave that refuses.
_REASONS = {
    1: "it has no such function", 2: "it has no such address", 3: "it takes no such value",
    4: "it has failed", 5: "it needs more time", 6: "it is busy", 8: "its memory is damaged",
    10: "the gateway has no path to it", 11: "it does not answer the gateway",
}  # fmt: skip


def _parse(address: str) -> Place:
    """Return the place of an address: table, number from 0, and type."""
    match = _ADDRESS.fullmatch(address.strip())
    if match is None or match["table"] not in _TABLES:
        msg = f"{shown(address)} is no address; give e.g. {_FORMS}, numbered from 0"
        raise ValueError(msg)
    table, start = match["table"], int(match["start"])
    kind = data_type(match["type"] or ("BOOL" if table in _BITS else "UINT"))
    if kind is None or (kind.size == (kind.count or 1) and kind.name not in ("BOOL", "STRING")):
        msg = (
            f"{shown(address)}: {shown(match['type'])} is no type of registers; give INT, UINT, "
            "DINT, UDINT, REAL, LREAL … of IEC 61131-3, STRING[20], or an array, as REAL[8]"
        )
        raise ValueError(msg)
    place = _place(address, table, start, kind, match["bit"])
    most = _COILS if table in _BITS else _REGISTERS
    if place.size > most or start + place.size > _CELLS:
        msg = f"{shown(address)} is beyond {most} of one request, or beyond 65535; make it several"
        raise ValueError(msg)
    return place


def _place(address: str, table: str, start: int, kind: DataType, bit: str | None) -> Place:
    is_bit = kind.name == "BOOL"
    if table in _BITS:
        if not is_bit or bit is not None:
            msg = f"{shown(address)}: it holds BOOLs; give e.g. {table}:2, or {table}:2:BOOL[8]"
            raise ValueError(msg)
        return Place(table, start, kind.count or 1, kind)
    if is_bit != (bit is not None):
        msg = f"{shown(address)}: a BOOL in a register needs its bit, others have none; {_FORMS}"
        raise ValueError(msg)
    if bit is None:
        return Place(table, start, (kind.size + 1) // 2, kind)
    first = int(bit)
    if first >= _REGISTER_BITS:
        msg = f"{shown(address)}: bits of a register are from 0, the least, to 15"
        raise ValueError(msg)
    size = (first + (kind.count or 1) + _REGISTER_BITS - 1) // _REGISTER_BITS
    return Place(table, start, size, kind, first)


@dataclass(frozen=True, slots=True)
class Modbus:
    """Registers and coils of a Modbus slave: asked every so often, without a rate.

    A sample has a field for each item. All are read one after the other, and the time of the
    sample is between the first question and the last answer: its ``uncertainty`` is half that.

    What the slave refuses, by an exception, is a lost sample: the gap before the next one counts
    it, and `Device.faults` has the reason. One that does not answer within 1.5 s is a lost device.

    Attributes
    ----------
    address
        Name or IP address of the slave or gateway; with ``baud`` the path of a serial line.
    items
        Address of each name, ``{"voltage": "input:0:REAL", "closed": "coil:2"}``: the table
        (``coil``, ``discrete``, ``input``, ``holding``), the number from 0, and the type, UINT if
        there is none; or one address without a name, ``"holding:0:INT[8]"``, whose samples are
        numbers or arrays.
    every
        Time from one question to the next [s].
    unit
        Number of the slave.
    word_order
        Order of the registers of a longer number: ``"big"``, the first has the highest bits.
    max_gap
        Registers that may be read in vain to save a request; many slaves refuse those that they
        do not have.
    port
        TCP port.
    baud
        Speed of a serial line, for Modbus RTU [bit/s]; None: TCP.
    parity, stop_bits
        Of a serial line.

    Examples
    --------
    >>> Modbus("10.0.0.7", {"voltage": "input:0:REAL", "closed": "coil:2"}).info.dtype
    dtype([('voltage', '<f4'), ('closed', '?')])
    >>> Modbus("/dev/ttyUSB0", "holding:0:INT[8]", baud=19_200).info.shape
    (8,)
    """

    address: str
    items: Items
    every: Duration = 1.0
    unit: int = 1
    word_order: _Order = "big"
    max_gap: int = 0
    port: int = 502
    baud: int | None = None
    parity: _Parity = "N"
    stop_bits: int = 1

    def __post_init__(self) -> None:
        if self.baud is None:
            if isinstance(self.address, str) and self.address.startswith("/"):
                msg = f"Modbus: the serial line {shown(self.address)} needs its speed, baud=19200"
                raise ParameterError(msg)
            check_host(self.address, "Modbus: address")
        object.__setattr__(self, "items", checked_items(self.items, _parse, "Modbus"))
        to_span(self.every, "Modbus: every")
        check_choice(self.word_order, _Order, "Modbus: word_order")
        check_choice(self.parity, _Parity, "Modbus: parity")
        check_port(self.port, "Modbus: port")
        check_range(self.unit, "Modbus: unit", 0, _MAX_UNIT)
        check_range(self.max_gap, "Modbus: max_gap", 0, _REGISTERS)
        check_range(self.stop_bits, "Modbus: stop_bits", 1, 2)
        if self.baud is not None and not is_whole(self.baud, 1):
            msg = f"Modbus: baud must be a speed, e.g. 19200, or None for TCP, not {self.baud!r}"
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        layout = self._layout()
        extra = {"address": self.address, "unit": self.unit}
        return StreamInfo("modbus", None, layout.shape, layout.dtype, extra=extra)

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the slave, and ask it once.

        Raises
        ------
        DeviceNotFoundError
            If it does not answer, or has not what is asked for.
        DeviceBusyError
            If somebody else has the serial line open.
        MissingExtraError
            If pymodbus, or pyserial for a serial line, is not installed.
        """
        return open_generator(
            lambda _: self._ask(fail), self.info, emit, fail,
            every=self.every, requires="rxstream[modbus]",
        )  # fmt: skip

    def _layout(self) -> Layout:
        return Layout(self.items, _parse)  # type: ignore[arg-type]  # they are checked

    def _ask(self, fail: Fail) -> Generator[Any, None, None]:
        client = self._connected() if self.baud is None else self._on_a_line(self.baud)
        try:
            yield from ask("modbus", _Reader(client, self, self._layout()), fail)
        finally:
            client.close()

    def _connected(self) -> Any:
        """Return a client with a connection by TCP."""
        modbus = import_optional("pymodbus.client", extra="modbus")
        client = modbus.ModbusTcpClient(
            self.address, port=self.port, timeout=ANSWER_TIMEOUT, retries=0
        )
        try:
            # not by itself: it says nothing of why it cannot
            client.socket = socket.create_connection((self.address, self.port), _CONNECT)
        except OSError as error:
            raise unreachable("modbus", f"{self.address}:{self.port}", error) from error
        return client

    def _on_a_line(self, baud: int) -> Any:
        """Return a client with a serial line open."""
        serial = import_optional("serial", extra="serial")
        modbus = import_optional("pymodbus.client", extra="modbus")
        line = {"parity": self.parity, "stopbits": self.stop_bits}
        client = modbus.ModbusSerialClient(
            self.address, baudrate=baud, timeout=ANSWER_TIMEOUT, retries=0, **line
        )
        # as above
        client.socket = serial.serial_for_url(
            self.address, baudrate=baud, timeout=ANSWER_TIMEOUT, write_timeout=ANSWER_TIMEOUT,
            exclusive=True, **line,
        )  # fmt: skip
        client.socket.inter_byte_timeout = client.inter_byte_timeout
        return client


class _Reader:
    """Reads a sample; RefusedError if the slave does not give one of the values."""

    def __init__(self, client: Any, options: Modbus, layout: Layout) -> None:
        self._client, self._unit, self._layout = client, options.unit, layout
        self._swaps = options.word_order == "little"
        self._blocks = layout.blocks(gap=options.max_gap, most=_REGISTERS)

    def __call__(self) -> NDArray[Any]:
        found = {block: self._read(block) for block in self._blocks}

        def cut(place: Place) -> bytes:
            block = cells_of(self._blocks, place)
            width = 1 if place.area in _BITS else 2
            start = (place.start - block.start) * width
            raw = found[block][start : start + place.size * width]
            return raw if width == 1 else self._ordered(raw, place)

        return self._layout.sample(cut)

    def _ordered(self, raw: bytes, place: Place) -> bytes:
        """Return the bytes of registers in the order of their value."""
        if place.kind.is_text:
            return raw.partition(b"\0")[0]
        if place.bit is not None:
            return _reversed_in(2, raw)
        size = place.kind.base.itemsize
        # the bytes of a number in reverse, and then those of each register
        return _reversed_in(2, _reversed_in(size, raw)) if self._swaps else raw

    def _read(self, block: Block) -> bytes:
        ask: Callable[..., Any] = getattr(self._client, f"read_{_TABLES[block.area]}")
        answer = ask(block.start, count=block.size, device_id=self._unit)
        what = self._layout.of(block)
        if answer.isError():
            code = answer.exception_code
            reason = _REASONS.get(code, "it does not say why")
            msg = f"slave {self._unit} refuses {what}: {reason} (exception {code})"
            raise RefusedError(msg)
        function = answer.function_code
        if function != _FUNCTIONS[block.area]:
            msg = f"slave {self._unit} has answered function {function}, not {what}"
            raise ConnectionError(msg)
        cells = answer.bits if block.area in _BITS else answer.registers
        # bits come in whole bytes
        size = -(-block.size // 8) * 8 if block.area in _BITS else block.size
        if len(cells) != size:
            msg = f"slave {self._unit} has answered {len(cells)} cells, not the {size} of {what}"
            raise ConnectionError(msg)
        if block.area in _BITS:
            return bytes(map(int, cells[: block.size]))
        return b"".join(cell.to_bytes(2, "big") for cell in cells)


def _reversed_in(size: int, raw: bytes) -> bytes:
    """Return bytes, reversed in each group of ``size``."""
    return b"".join(raw[k : k + size][::-1] for k in range(0, len(raw), size))
