"""can: a CAN bus, or a log file of one, through python-can (``pip install 'rxstream[can]'``)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Time, to_ns
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.can.bus import BusReader
from rxstream.devices.can.clock import BusClock, Stamps
from rxstream.devices.can.filters import CanFilter, freeze_filters, made_filters
from rxstream.devices.can.find import find_buses
from rxstream.devices.can.log import LogReader, is_log
from rxstream.errors import ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag
from rxstream.formats.can_bus import BusOptions, BusSettings, frozen_options, interface_of
from rxstream.formats.can_decode import Decoder, StreamDecoder
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice, check_flag

__all__ = ["CAN_DTYPE", "Can", "CanFilter", "CanFlag"]

# options that a log file does not take
_BUS_ONLY = ("interface", "bitrate", "data_bitrate", "fd", "stamps", "options")
# interfaces that filter before a message comes here, and let error frames pass: those of the kernel
_FILTERS_ITSELF = frozenset({"socketcan"})


@dataclass(frozen=True, slots=True)
class Can:
    """A CAN bus, by any interface of python-can, or a log file of one.

    Emits messages as they come, structured samples `CAN_DTYPE` ``(n,)``: all that lay ready when
    the bus was read are one chunk. Remote and error frames are samples too; see `CanFlag`. While
    the bus is silent, it emits an empty chunk every 0.1 s.

    Options are kept so that they can be hashed: lists as tuples, filters as `CanFilter`.

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
        Messages to take: identifiers (those above 0x7FF have 29 bits), ``CanFilter(0x100, 0x700,
        extended=False)``, or dicts of python-can with these names; empty: all.
    error_frames
        Whether error frames are samples; they have no identifier, so filters let them pass.
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
    filters: Sequence[int | CanFilter | Mapping[str, Any]] = ()
    error_frames: bool = True
    decode: Any = None
    signals: Iterable[str] | None = None
    path: str | os.PathLike[str] | None = None
    start: Time | None = None
    stamps: Stamps = "auto"
    options: BusOptions = ()
    _decoder: Decoder | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._freeze()
        check_flag(self.fd, "fd")
        check_flag(self.error_frames, "error_frames")
        check_choice(self.stamps, Stamps, "stamps")
        # checks the bitrates
        _ = self._bus
        self._check_kind()
        if self.signals is not None and self.decode is None:
            msg = f"signals={shown(self.signals)} needs the database they are in: add decode="
            raise ParameterError(msg)
        if self.decode is not None:
            object.__setattr__(self, "_decoder", Decoder(self.decode, self.signals))

    def _freeze(self) -> None:
        """Make lists tuples, and dicts too, so that nobody can change the options."""
        if isinstance(self.channel, list):
            object.__setattr__(self, "channel", tuple(self.channel))
        object.__setattr__(self, "filters", freeze_filters(self.filters))
        object.__setattr__(self, "options", frozen_options(self.options))
        if self.signals is not None and not isinstance(self.signals, str):
            try:
                object.__setattr__(self, "signals", tuple(self.signals))
            except TypeError:
                msg = f"signals must be names, as ['EngineSpeed'], not {shown(self.signals)}"
                raise ParameterError(msg) from None

    @property
    def _bus(self) -> BusSettings:
        options = frozen_options(self.options)
        return BusSettings(
            self.channel, self.interface, self.bitrate, self.data_bitrate, self.fd, options
        )

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
            if value != fields[name].default:
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
        filters = made_filters(self.filters)
        taken: dict[str, Any] = {
            "filters": filters, "error_frames": self.error_frames, "decoder": decoder, "fail": fail
        }  # fmt: skip
        if self._file is not None:
            start = None if self.start is None else to_ns(self.start)
            log = LogReader(can, self._file, start, **taken)
            return poll(log.read, emit, fail, name="can", release=log.release)
        more: dict[str, Any] = {}
        if filters and self.interface in _FILTERS_ITSELF:
            more["can_filters"] = [wanted.for_driver for wanted in filters]
        bus = self._bus.open(can, **more)
        interface = self.interface or interface_of(can, bus)
        clock = BusClock(interface, self.stamps)
        reader = BusReader(can, bus, interface, where, clock, **taken)
        return poll(reader.read, emit, fail, name="can", release=reader.release)

    @property
    def _where(self) -> str:
        return self._bus.where if self._file is None else repr(self._file)

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the buses that drivers list, and serial ports that may be slcan adapters."""
        return find_buses(import_optional("can", extra="can"))
