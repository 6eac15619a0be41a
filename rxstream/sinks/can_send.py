"""can_send: send CAN messages on a bus through python-can (``rxstream[can]``)."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ChunkError, SinkError
from rxstream.formats.can import CAN_DTYPE, CanFlag, unpack
from rxstream.formats.can_bus import BusOptions, BusSettings, frozen_options, interface_of
from rxstream.optional import import_optional
from rxstream.printable import get_logger
from rxstream.sinks.base import Sink

__all__ = ["can_send"]

_logger = get_logger(__name__)

_FIELDS = frozenset(CAN_DTYPE.names or ())
# Interfaces that keep for a sender what comes from others, the virtual one without limit: it is
# read and left out. Others are left alone, for their `recv(0)` may wait.
_KEEPS_ALL = frozenset({"socketcan", "socketcand", "udp_multicast", "virtual"})
# bytes that a message can have
_MAX_PLAIN, _FD_LENGTHS = 8, (*range(9), 12, 16, 20, 24, 32, 48, 64)
# messages left out at a time: a sender is to send
_MAX_LEFT_OUT = 10_000
# the bit of an error frame of Linux that says bus off: CAN_ERR_BUSOFF
_BUS_OFF = 0x40


class can_send(Sink):  # noqa: N801 - used like a function
    """Send CAN messages on a bus, as they come.

    The bus is opened with the subscription, or the first chunk, and closed with the sink. Messages
    are sent one after the other, whatever their times are: to send a log at its own pace, replay
    it. A remote frame is sent as one; error frames, which no program can send, are left out,
    which ``unfit`` counts, and the first is logged.

    If the bus does not take a message within ``timeout``, it is full: no other node acknowledges
    what is sent, or somebody with higher priority never stops. That, bus off, and an adapter that
    is gone, is a `SinkError`, which closes the sink, and comes on ``device.faults``; ``sent`` says
    how many messages the bus has taken.

    Parameters
    ----------
    channel, interface, bitrate, data_bitrate, fd, options
        The bus, as of `rxstream.devices.Can`.
    timeout
        Longest wait until the bus takes a message [s].

    Raises
    ------
    ParameterError
        If an argument is invalid; as it is subscribed also if python-can has no such interface, or
        that does not take an option.
    DeviceNotFoundError, DeviceBusyError
        As it is subscribed, if there is no such bus, or it is taken.
    SinkError
        While it sends, if the bus is full, off, or gone.
    ChunkError
        If the stream is none of CAN messages, one has an impossible length or identifier, or is
        one of CAN FD and ``fd`` is not set. Nothing of such a chunk is sent.
    MissingExtraError
        If python-can is not installed, or the driver of the interface.

    Examples
    --------
    >>> import can
    >>> import numpy as np
    >>> from rxstream import Chunk
    >>> from rxstream.devices.can import CAN_DTYPE, Can
    >>> messages = np.zeros(2, CAN_DTYPE)
    >>> messages["arbitration_id"] = 0x123, 0x124
    >>> with can.Bus("sent", interface="virtual") as other:
    ...     with can_send("sent", interface="virtual") as sink:
    ...         sink.on_next(Chunk.stamped(messages, [0, 1], Can("sent").info))
    ...     print(hex(other.recv(1).arbitration_id), sink.sent)
    0x123 2
    """

    def __init__(
        self, channel: Any = None, interface: str | None = None, *, bitrate: int | None = None,
        data_bitrate: int | None = None, fd: bool = False, timeout: Duration = 1.0,
        options: BusOptions = (),
    ) -> None:  # fmt: skip
        self._settings = BusSettings(
            channel, interface, bitrate, data_bitrate, fd, frozen_options(options)
        )
        self._timeout = to_span(timeout, "timeout") / 1e9
        super().__init__(f"can_send {self._settings.where}")
        self._can = import_optional("can", extra="can")
        self._bus: Any = None
        self._keeps_all = False
        self._sent = self._unfit = 0

    @property
    def sent(self) -> int:
        """Messages that the bus has taken."""
        return self._sent

    @property
    def unfit(self) -> int:
        """Error frames, which were left out."""
        return self._unfit

    def on_subscribe(self) -> None:
        """Open the bus; a stream calls this before it subscribes the sink."""
        super().on_subscribe()
        with self._guard:
            try:
                self._open()
            except BaseException as error:
                self._give_up(error)
                raise

    def start(self, chunk: Chunk) -> None:
        """Look at what the messages are; open the bus unless a subscription has."""
        if not set(chunk.data.dtype.names or ()) >= _FIELDS:
            msg = (
                f"{self.name}: sends messages with the fields of CAN_DTYPE, not {chunk.info.name} "
                f"({chunk.data.dtype}); make them with ops.map_data"
            )
            raise ChunkError(msg)
        self._open()

    def write(self, chunk: Chunk) -> None:
        """Send the messages of a chunk."""
        data, times = chunk.data, chunk.time
        errors = data["flags"] & CanFlag.ERROR != 0
        if errors.any():
            self._leave_out(int(errors.sum()))
            data, times = data[~errors], times[~errors]
        self._check(data)
        self._read_others()
        for message in unpack(self._can, data, times):
            # it is ours now, and goes where the bus is
            message.is_rx, message.channel = False, None
            try:
                self._bus.send(message, self._timeout)
            except Exception as error:
                raise self._failure(error) from error
            self._sent += 1
        self._read_others()

    def finish(self) -> None:
        """Close the bus."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

    def _open(self) -> None:
        if self._bus is None:
            self._bus = self._settings.open(self._can)
            interface = self._settings.interface or interface_of(self._can, self._bus)
            self._keeps_all = interface in _KEEPS_ALL

    def _check(self, data: NDArray[Any]) -> None:
        """Raise ChunkError, before anything is sent, if a message cannot be one."""
        flags, lengths, identifiers = data["flags"], data["dlc"], data["arbitration_id"]
        fd = flags & CanFlag.FD != 0
        if fd.any() and not self._settings.fd:
            msg = f"{self.name}: a message of CAN FD, on a bus that is opened without: add fd=True"
            raise ChunkError(msg)
        if (fd & (flags & CanFlag.REMOTE != 0)).any():
            msg = f"{self.name}: a remote frame of CAN FD, which has none; send one of classic CAN"
            raise ChunkError(msg)
        fits = np.where(fd, np.isin(lengths, _FD_LENGTHS), lengths <= _MAX_PLAIN)
        if not fits.all():
            length = int(lengths[~fits][0])
            msg = f"{self.name}: a message has {length} bytes; CAN has 0 to 8, CAN FD {_FD_LENGTHS}"
            raise ChunkError(msg)
        fits = identifiers <= np.where(flags & CanFlag.EXTENDED != 0, 0x1FFF_FFFF, 0x7FF)
        if not fits.all():
            wrong = int(identifiers[~fits][0])
            msg = (
                f"{self.name}: the identifier 0x{wrong:X} is beyond 0x7FF, with CanFlag.EXTENDED "
                "beyond 0x1FFFFFFF"
            )
            raise ChunkError(msg)

    def _leave_out(self, count: int) -> None:
        if not self._unfit:
            _logger.warning("%s: error frames cannot be sent: left out, see .unfit", self.name)
        self._unfit += count

    def _read_others(self) -> None:
        """Read what others send, so that it does not pile up, and see whether the bus is off."""
        for _ in range(_MAX_LEFT_OUT if self._keeps_all else 0):
            try:
                message = self._bus.recv(0.0)
            except Exception as error:
                raise self._failure(error) from error
            if message is None:
                return
            if message.is_error_frame and message.arbitration_id & _BUS_OFF:
                msg = (
                    f"{self.name}: the bus is off after {self._sent} messages: too many failed; "
                    "check bitrate, cable and termination, and restart the interface (on Linux: "
                    "ip link set NAME type can restart)"
                )
                raise SinkError(msg)

    def _failure(self, error: Exception) -> SinkError:
        """Return the error for a message that was not sent."""
        state = ""
        with suppress(Exception):
            found = self._bus.state.name
            state = "" if found == "ACTIVE" else f", its state is {found}"
        why = str(error) or type(error).__name__
        return SinkError(
            f"{self.name}: message {self._sent + 1} was not sent within {self._timeout:g} s "
            f"({why}{state}); see that another node acknowledges, that bitrate and cable are "
            "right, and that the adapter is plugged in"
        )
