"""can: a CAN bus, or a log file of one, through python-can (``pip install 'rxstream[can]'``)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Time, to_ns
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.can.bus import BusReader, open_bus
from rxstream.devices.can.clock import BusClock, Stamps
from rxstream.devices.can.find import find_buses, interface_of
from rxstream.devices.can.log import LogReader, is_log
from rxstream.errors import ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag
from rxstream.formats.can_decode import Decoder, StreamDecoder
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice

__all__ = ["CAN_DTYPE", "Can", "CanFlag"]

# options that a log file does not take
_BUS_ONLY = ("interface", "bitrate", "data_bitrate", "fd", "stamps", "options")


@dataclass(frozen=True, slots=True)
class Can:
    """A CAN bus, by any interface of python-can, or a log file of one.

    Emits messages as they come, structured samples `CAN_DTYPE` ``(n,)``: all that lay ready when
    the bus was read are one chunk. Remote and error frames are samples too; see `CanFlag`. While
    the bus is silent, it emits an empty chunk every 0.1 s.

    **Times.** Stamps of the interface, on the host clock. If it or the kernel stamps with the wall
    clock (socketcan, udp_multicast, virtual, slcan …), that stamp. If the adapter has a clock of
    its own (kvaser, pcan, vector, serial …), its stamps are mapped to the host clock by the
    messages of least delay, which takes out its drift. Otherwise the time of arrival. The kind is
    found out from the interface and the first message, unless ``stamps`` gives it.

    **Log files** (ASC, BLF, candump ``.log``, CSV, SQLite ``.db``, TRC, MF4, or gzipped) are read
    as fast as subscribers take them; the stream completes at their end. Times are those in the
    log: an ASC counts from its beginning, so from 1970 on, unless ``start`` is given. Messages
    that go back in time by more than 1 ms begin a chunk with a ``Gap(reason="overlap")``.

    **Losses.** CAN messages are not numbered, so messages that an adapter dropped are not detected.

    Attributes
    ----------
    channel
        Channel of the interface: ``"can0"``, ``"/dev/ttyUSB0"``, 0 …; or the path of a log file,
        recognized by its suffix.
    interface
        python-can's name: ``"socketcan"``, ``"slcan"``, ``"pcan"``, ``"virtual"`` …; None: as
        python-can is configured.
    bitrate, data_bitrate
        Bitrate of the bus, and of the data of CAN FD [bit/s]; None: as the interface is set.
    fd
        CAN FD.
    filters
        Messages to take: identifiers (those above 0x7FF have 29 bits), or dicts of python-can,
        ``{"can_id": 0x100, "can_mask": 0x700, "extended": False}``; empty: all.
    decode
        Database to decode by: path of a DBC (or ARXML, KCD, SYM), the text of a DBC, or a
        database of cantools. Samples then have the fields that `operators.decode_can` describes.
    signals
        Signals to decode, ``"Signal"`` or ``"Message.Signal"``; None: all. All signals are in every
        sample, so choose some of a large database, or decode later, by ``ops.decode_can``.
    path
        Path of a log file with any suffix; instead of ``channel``.
    start
        Time of the first message of a log file; None: as in the file.
    stamps
        Clock of the interface's stamps: ``"host"``, the wall clock; ``"device"``, the adapter's
        own; ``"arrival"``: ignore them; ``"auto"``: find out.
    options
        More options of the interface, e.g. ``{"sleep_after_open": 0}`` for slcan, which otherwise
        waits 2 s for adapters that reset when they are opened.

    Examples
    --------
    >>> import can
    >>> from rxstream import Device
    >>> with Device(Can("demo", interface="virtual")) as device, device.reader() as reader:
    ...     with can.Bus("demo", interface="virtual") as bus:
    ...         bus.send(can.Message(arbitration_id=0x123, data=b"abc", is_extended_id=False))
    ...     chunk = reader.read(1, timeout=10)
    >>> hex(chunk.data["arbitration_id"][0]), bytes(chunk.data["data"][0][:3])
    ('0x123', b'abc')
    """

    channel: Any = None
    interface: str | None = None
    bitrate: int | None = None
    data_bitrate: int | None = None
    fd: bool = False
    filters: Sequence[int | Mapping[str, Any]] = ()
    decode: Any = None
    signals: Iterable[str] | None = None
    path: str | os.PathLike[str] | None = None
    start: Time | None = None
    stamps: Stamps = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    _decoder: Decoder | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("bitrate", "data_bitrate"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value > 0):
                msg = f"{name} must be a number of bits per second > 0, not {shown(value)}"
                raise ParameterError(msg)
        if self.data_bitrate is not None and not self.fd:
            msg = f"data_bitrate={self.data_bitrate} is for CAN FD: add fd=True, or leave it out"
            raise ParameterError(msg)
        check_choice(self.stamps, Stamps, "stamps")
        self._check_kind()
        _filters(self.filters)
        if self.signals is not None and self.decode is None:
            msg = f"signals={shown(self.signals)} needs the database they are in: add decode="
            raise ParameterError(msg)
        if self.decode is not None:
            object.__setattr__(self, "_decoder", Decoder(self.decode, self.signals))

    def __hash__(self) -> int:
        # the other options may be lists and dicts, whose order may not count
        return hash((str(self.channel), self.interface, self.bitrate, str(self.path), self.stamps))

    def _check_kind(self) -> None:
        if self.path is not None and self.channel is not None:
            msg = f"give channel or path, not both: {shown(self.channel)} and {self.path!r}"
            raise ParameterError(msg)
        if self._file is None:
            if self.start is not None:
                msg = f"start={shown(self.start)} is for log files; a bus is live"
                raise ParameterError(msg)
            return
        if self.start is not None:
            to_ns(self.start)
        fields = type(self).__dataclass_fields__
        for name in _BUS_ONLY:
            value = getattr(self, name)
            if value not in (fields[name].default, {}):
                msg = (
                    f"{name}={shown(value)} is for a bus; {self._file!r} is a log file: leave "
                    "it out"
                )
                raise ParameterError(msg)

    @property
    def _file(self) -> str | None:
        """Path of the log file, or None for a bus."""
        if self.path is not None:
            return str(os.fspath(self.path))
        if self.interface is None and is_log(self.channel):
            return str(os.fspath(self.channel))
        return None

    @property
    def live(self) -> bool:
        """True for a bus, False for a file."""
        return self._file is None

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first message."""
        extra: dict[str, Any] = {"path": self._file}
        if self.live:
            extra = {"interface": self.interface, "channel": self.channel, "bitrate": self.bitrate}
        dtype, decoder = CAN_DTYPE, self._decoder
        if decoder is not None:
            dtype, extra = decoder.dtype, extra | decoder.extra
        return StreamInfo("can", None, (), dtype, device_clock="host", extra=extra)

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Open the bus or file and start reading.

        Raises
        ------
        ParameterError
            If python-can has no such interface, the interface does not take an option, or
            python-can does not know the suffix of the file.
        DeviceNotFoundError
            If there is no such bus or file.
        DeviceBusyError
            If the bus is taken.
        FormatError
            If the file is no log.
        MissingExtraError
            If python-can is not installed, or the driver of the interface.
        """
        can = import_optional("can", extra="can")
        where = self._where
        decoder = None if self._decoder is None else StreamDecoder(self._decoder, where)
        filters = _filters(self.filters)
        if self._file is not None:
            start = None if self.start is None else to_ns(self.start)
            log = LogReader(can, self._file, start, filters, decoder, fail)
            return poll(log.read, emit, fail, name="can", release=log.release)
        options: dict[str, Any] = dict(self.options)
        wanted = {"bitrate": self.bitrate, "data_bitrate": self.data_bitrate,
                  "fd": self.fd or None, "can_filters": filters or None}  # fmt: skip
        options |= {key: value for key, value in wanted.items() if value is not None}
        bus = open_bus(can, self.channel, self.interface, where, options)
        interface = self.interface or interface_of(can, bus)
        clock = BusClock(interface, self.stamps)
        reader = BusReader(can, bus, interface, where, clock, decoder, fail)
        return poll(reader.read, emit, fail, name="can", release=reader.release)

    @property
    def _where(self) -> str:
        if self._file is not None:
            return repr(self._file)
        return " ".join(str(part) for part in (self.interface, self.channel) if part is not None)

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the buses that drivers list, and serial ports that may be slcan adapters."""
        return find_buses(import_optional("can", extra="can"))


def _filters(filters: Sequence[int | Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the filters as dicts of python-can."""
    if isinstance(filters, str | Mapping | np.ndarray) or not isinstance(filters, Iterable):
        msg = f"filters must be a list of identifiers or dicts, not {shown(filters)}"
        raise ParameterError(msg)
    made: list[Mapping[str, Any]] = []
    for wanted in filters:
        if isinstance(wanted, Mapping) and {"can_id", "can_mask"} <= wanted.keys():
            made.append(wanted)
        elif isinstance(wanted, int | np.integer) and 0 <= wanted < 1 << 29:
            long = wanted > 0x7FF
            mask = 0x1FFF_FFFF if long else 0x7FF
            made.append({"can_id": int(wanted), "can_mask": mask, "extended": long})
        else:
            msg = (
                f"filters: {shown(wanted)} is neither an identifier from 0 to 0x1FFFFFFF "
                "nor a dict "
                "with can_id and can_mask"
            )
            raise ParameterError(msg)
    return made
