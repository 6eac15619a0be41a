"""Serial: a line to a microcontroller, a sensor, a GPS receiver."""

import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import open_generator
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.serial.lines import Lines
from rxstream.devices.serial.nmea import Nmea
from rxstream.devices.serial.packets import Packets
from rxstream.devices.serial.ports import check_port, find_ports, open_port
from rxstream.devices.serial.protocol import SerialDecoder, SerialProtocol
from rxstream.errors import ParameterError
from rxstream.optional import import_optional
from rxstream.printable import get_logger, shown
from rxstream.validation import check_choice, check_range, is_whole

__all__ = ["Serial"]

_log = get_logger(__name__)

_Parity: TypeAlias = Literal["none", "even", "odd"]
_Flow: TypeAlias = Literal["none", "software", "hardware"]

# Longest time without a heartbeat [s].
_BEAT = 0.1

# So many bytes without a sample are no part of one [bytes].
_NOTHING = 4096


@dataclass(frozen=True, slots=True)
class Serial:
    r"""A serial line: lines of text or numbers, packets, or positions of a GPS receiver.

    `Serial.gps` and `Serial.accelerometer` are ready; for others give a protocol: `Lines`,
    `Packets`, `Nmea`, or one of your own, as `SerialProtocol` says. Without one, each line of text
    is a sample.

    **Times.** Those of arrival, or what the protocol has: a rate, a counter, a clock of the device.
    A line or packet arrives when its last byte has, ten bits a byte after its first one, and a USB
    adapter hands bytes over every 1 to 16 ms; ``Device(path_delay=)`` takes a constant off.

    **Losses.** Lines and packets that are damaged are counted; those that a driver dropped are
    missed only by a counter.

    Attributes
    ----------
    port
        ``"/dev/ttyUSB0"``, ``"COM3"``; the adapter that says so of itself, wherever it is plugged
        in: ``"hwgrep://SER=A50285BI"`` by its serial number, ``"hwgrep://VID:PID=0403:6001"``, or
        ``"hwgrep://FT232R"``, an expression found in its description; or another URL of pyserial,
        as ``"socket://host:port"``.
    baud
        Bits per second.
    protocol
        What is sent; None: `Lines`.
    bits, parity, stop_bits, flow
        Bits of a byte, parity, bits after it, and flow control.
    dtr
        State of the DTR line; an Arduino begins anew as it goes on. None: on, as usual.
    begin, finish
        What is written once it is open, and before it is closed, e.g. ``b"start\n"``.

    Examples
    --------
    >>> Serial("/dev/ttyACM0", 115_200, Lines(("x", "y", "z"), rate=100.0, unit="g")).info.shape
    (3,)
    """

    port: str
    baud: int = 9600
    protocol: SerialProtocol | None = None
    bits: int = 8
    parity: _Parity = "none"
    stop_bits: float = 1
    flow: _Flow = "none"
    dtr: bool | None = None
    begin: bytes = b""
    finish: bytes = b""

    def __post_init__(self) -> None:
        check_port(self.port)
        if not is_whole(self.baud, 1):
            msg = f"Serial: baud must be a number of bits per second >= 1, not {shown(self.baud)}"
            raise ParameterError(msg)
        fits = isinstance(self.protocol, SerialProtocol) and not isinstance(self.protocol, type)
        if self.protocol is not None and not fits:
            msg = (
                f"Serial: protocol must be Lines, Packets, Nmea or what has info and decoder, "
                f"not {shown(self.protocol)}"
            )
            raise ParameterError(msg)
        check_range(self.bits, "Serial: bits", 5, 8)
        check_choice(self.parity, _Parity, "Serial: parity")
        check_choice(self.flow, _Flow, "Serial: flow")
        if isinstance(self.stop_bits, bool) or self.stop_bits not in (1, 1.5, 2):
            msg = f"Serial: stop_bits must be 1, 1.5 or 2, not {shown(self.stop_bits)}"
            raise ParameterError(msg)
        if not (self.dtr is None or isinstance(self.dtr, bool)):
            msg = f"Serial: dtr must be True, False or None, not {shown(self.dtr)}"
            raise ParameterError(msg)
        for name, value in (("begin", self.begin), ("finish", self.finish)):
            if not isinstance(value, bytes):
                msg = f"Serial: {name} must be bytes, e.g. b'start\\n', not {shown(value)}"
                raise ParameterError(msg)

    @classmethod
    def gps(
        cls, port: str, baud: int = 9600, sentences: tuple[str, ...] = ("GGA", "RMC")
    ) -> "Serial":
        """Return a GPS receiver that speaks NMEA 0183; see `Nmea`."""
        return cls(port, baud, Nmea(sentences))

    @classmethod
    def accelerometer(
        cls,
        port: str,
        rate: float,
        baud: int = 115_200,
        axes: tuple[str, ...] = ("x", "y", "z"),
        samples: int = 16,
    ) -> "Serial":
        r"""Return an accelerometer of int16 counts, which `operators.calibrate` makes g.

        A packet of it is ``b"\xaa\x55"``, the number of its last sample (16 bits), ``samples``
        times a count for each axis (16 bits each), and a byte that makes the sum of all a multiple
        of 256; least byte first.

        Parameters
        ----------
        port, baud
            As of `Serial`.
        rate
            Samples per second [Hz].
        axes
            Names of its axes.
        samples
            Samples in a packet.

        Examples
        --------
        >>> Serial.accelerometer("/dev/ttyUSB0", rate=1600.0).info.channels
        ('x', 'y', 'z')
        """
        block = (samples, len(axes)) if samples > 1 else (len(axes),)
        layout = [("count", "<u2"), ("counts", "<i2", block), ("sum", "u1")]
        packets = Packets(
            b"\xaa\x55", layout, "counts", samples, "count", check="sum", checksum="negsum",
            rate=rate, unit="count", channels=axes,
        )  # fmt: skip
        return cls(port, baud, packets)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first sample."""
        return self._what.info

    @property
    def _what(self) -> SerialProtocol:
        return Lines() if self.protocol is None else self.protocol

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Open the port and start reading.

        Raises
        ------
        DeviceNotFoundError
            If there is no such port.
        DeviceBusyError
            If somebody else has it open, or the user may not.
        MissingExtraError
            If pyserial is not installed.
        """
        return open_generator(
            lambda _: self._read(), self.info, emit, fail, requires="rxstream[serial]"
        )

    def _read(self) -> Generator[Any, None, None]:
        serial = import_optional("serial", extra="serial")
        decoder = self._what.decoder()
        with closing(open_port(serial, self.port, self._settings(serial))) as line:
            if self.begin:
                line.write(self.begin)
            yield
            try:
                yield from self._decode(line, decoder)
            finally:
                if self.finish:
                    # if it is gone, there is nobody to stop
                    with suppress(serial.SerialException, OSError):
                        line.write(self.finish)
                        line.flush()

    def _settings(self, serial: Any) -> dict[str, Any]:
        return {
            "baudrate": self.baud, "bytesize": self.bits, "stopbits": self.stop_bits,
            "parity": self.parity[0].upper(), "xonxoff": self.flow == "software",
            "rtscts": self.flow == "hardware", "timeout": _BEAT, "write_timeout": 1.0,
            "exclusive": True,
        } | ({} if self.dtr is None else {"dtr": self.dtr})  # fmt: skip

    def _decode(self, line: Any, decoder: SerialDecoder) -> Generator[Any, None, None]:
        """Yield what comes, and a heartbeat at times."""
        beat, nothing = time.monotonic(), 0
        while True:
            data = line.read(max(decoder.missing, line.in_waiting))
            readings = decoder.feed(data)
            yield from readings
            if readings:
                beat, nothing = time.monotonic(), -1
                continue
            if nothing >= 0:
                nothing += len(data)
                if nothing > _NOTHING:
                    nothing = -1
                    _log.warning(
                        "serial %s: no sample in %d bytes, the last of them %s; are baud=%d and "
                        "the protocol right?", self.port, _NOTHING, shown(data), self.baud,
                    )  # fmt: skip
            if time.monotonic() - beat >= _BEAT:
                beat = time.monotonic()
                yield

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the serial ports, those with a serial number by that."""
        return find_ports(import_optional("serial.tools.list_ports", extra="serial"))
