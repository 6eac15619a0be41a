"""Reading an open CAN bus: one wait, then everything that is there, as one reading."""

import errno
import itertools
import select
import struct
from collections import deque
from collections.abc import Mapping
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Fail
from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading
from rxstream.devices.can.clock import BusClock
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    FormatError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.formats.can import CAN_DTYPE, pack
from rxstream.formats.can_decode import StreamDecoder
from rxstream.printable import get_logger, shown

__all__ = ["BusReader", "forward_pieces", "open_bus"]

_logger = get_logger(__name__)

# wait for a message [s]: closing may take that long, and a silent bus reports itself as often
_WAIT = 0.1
# longest time to gather messages into one reading [ns]: on a bus that is never silent, this is
# what it adds to their delay
_MAX_GATHER = 20_000_000
# the same limit for a burst that lay ready, about 0.3 MB
_MAX_MESSAGES = 4096
# Stamps that go back by more [ns] begin a reading of their own. Less is noise: messages of
# several channels may come a little out of order.
_MAX_BACKWARD = 1_000_000
# so many unreadable messages in a row are not noise at the beginning of a serial stream, but the
# wrong speed or no CAN traffic at all
_MAX_GARBLED = 100
# what python-can's parsers raise for bytes that they cannot read
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, struct.error)
# serial interfaces whose recv(0) waits for the next byte: ask the file descriptor first
_BLOCKING = frozenset({"serial", "slcan"})
# of a device that another program holds, or that this user has no right to
_BUSY_ERRNOS = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM, errno.EAGAIN})


class BusReader:
    """Reads messages from an open bus until it is lost.

    Parameters
    ----------
    can
        The package python-can.
    bus
        An open bus.
    interface
        python-can's name of its interface.
    where
        Name of the bus in messages.
    clock
        Maps its stamps to the host clock.
    decoder
        Decodes messages by a database; None: they stay as they are.
    fail
        Takes errors that the reader survives.
    """

    def __init__(
        self, can: Any, bus: Any, interface: str, where: str, clock: BusClock,
        decoder: StreamDecoder | None, fail: Fail,
    ) -> None:  # fmt: skip
        self._bus, self._where, self._clock = bus, where, clock
        self._decoder, self._fail = decoder, fail
        self._error: type[Exception] = can.CanError
        # its recv ignores the timeout, it has its own
        self._serial = interface == "serial"
        self._blocking = interface in _BLOCKING
        self._ready: deque[Reading] = deque()
        self._broken: Exception | None = None
        self._garbled = 0
        self._no_messages = np.empty(0, CAN_DTYPE if decoder is None else decoder.dtype)

    def read(self) -> Reading | None:
        """Return the next messages; an empty reading reports that the bus is silent.

        Raises
        ------
        DeviceLostError
            If the bus is gone.
        FormatError
            If what comes is no CAN traffic, or the database belongs to another bus.
        """
        if self._ready:
            return self._ready.popleft()
        if self._broken is not None:
            raise self._broken
        if self._decoder is not None:
            self._decoder.check()
        asked = now_ns()
        message = self._receive(0.0 if self._serial else _WAIT)
        if message is None:
            return self._silence(asked)
        messages, arrivals = [message], [now_ns()]
        until = arrivals[0] + _MAX_GATHER
        while len(messages) < _MAX_MESSAGES and arrivals[-1] < until:
            message = self._receive(0.0) if not self._blocking or self._has_more() else None
            if message is None:
                break
            messages.append(message)
            arrivals.append(now_ns())
        return self._reading(messages, np.array(arrivals, np.int64))

    def release(self) -> None:
        """Close the bus; a lost one may raise, which is only logged."""
        try:
            self._bus.shutdown()
        except Exception as error:  # noqa: BLE001 - there is nothing left to save
            _logger.debug("%s: closing: %r", self._where, error)

    def _receive(self, timeout: float) -> Any:
        """Return a message or None; keep an error until the messages before it are out."""
        try:
            message = self._bus.recv(timeout)
        except self._error as error:
            # without a cause it is a wrong byte, with one a lost port
            if self._serial and error.__cause__ is None:
                self._skip(error)
            else:
                self._lose(error)
        except _UNREADABLE as error:
            self._skip(error)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            self._lose(error)
        else:
            if message is not None:
                self._garbled = 0
            return message
        return None

    def _lose(self, error: Exception) -> None:
        msg = f"can: {self._where} is lost ({error}); check cable and power, then open it again"
        self._broken = DeviceLostError(msg)
        self._broken.__cause__ = error

    def _skip(self, error: Exception) -> None:
        """Skip bytes that python-can cannot read, as at the beginning of a serial stream."""
        self._garbled += 1
        if self._garbled >= _MAX_GARBLED:
            msg = (
                f"can: what comes from {self._where} is no CAN traffic ({error!r}, {_MAX_GARBLED} "
                "times in a row); check interface, bitrate and the speed of the serial port"
            )
            self._broken = FormatError(msg)
            self._broken.__cause__ = error
        elif self._garbled == 1:
            self._fail(OverrunError(f"can: {self._where}: a garbled message was skipped: {error}"))

    def _has_more(self) -> bool:
        try:
            return bool(select.select([self._bus.fileno()], [], [], 0)[0])
        except (NotImplementedError, OSError, ValueError):
            # Windows can select sockets only: the next `read` takes what is there
            return False

    def _silence(self, asked: int) -> Reading | None:
        if self._broken is not None or now_ns() - asked < _WAIT * 0.5e9:
            return None
        quiet = self._clock.quiet(asked)
        return Reading(self._no_messages, bounds=(quiet, quiet))

    def _reading(self, messages: list[Any], arrivals: NDArray[np.int64]) -> Reading:
        data = pack(messages)
        stamps = np.array([m.timestamp for m in messages], np.float64)
        times = self._clock.push(stamps, arrivals)
        wrong, self._clock.reports.new = self._clock.reports.new, []
        for error in wrong:
            self._fail(error)
        if self._decoder is not None:
            data = self._decoder.decode(data)
        margin = self._clock.half_width
        for part in forward_pieces(times):
            last = int(times[part][-1])
            bounds = None if isnan(margin) else (last - round(margin), last + round(margin))
            arrival = int(arrivals[part][-1])
            self._ready.append(
                Reading(data[part], device_time=times[part], bounds=bounds, arrival=arrival)
            )
        return self._ready.popleft()


def forward_pieces(times: NDArray[np.int64]) -> list[slice]:
    """Return the stretches in which times [ns] go back by no more than noise."""
    edges = [0, *(np.flatnonzero(np.diff(times) < -_MAX_BACKWARD) + 1).tolist(), len(times)]
    return [slice(i, j) for i, j in itertools.pairwise(edges)]


def open_bus(
    can: Any, channel: Any, interface: str | None, where: str, options: Mapping[str, Any]
) -> Any:
    """Return an open bus of python-can.

    Raises
    ------
    ParameterError
        If python-can has no such interface, or that does not take an option.
    MissingExtraError
        If the driver of the interface is not installed.
    DeviceBusyError, DeviceNotFoundError
        If the bus is taken or not there.
    """
    if interface is not None and interface not in can.VALID_INTERFACES:
        msg = f"python-can has no interface {shown(interface)}; there are {_listed(can)}"
        raise ParameterError(msg)
    try:
        return can.Bus(channel=channel, interface=interface, **options)
    except Exception as error:
        raise _opening_error(can, interface, where, error) from error


def _listed(can: Any) -> str:
    return ", ".join(sorted(can.VALID_INTERFACES))


def _opening_error(can: Any, interface: str | None, where: str, error: Exception) -> Exception:
    """Return the error to raise for one that `can.Bus` raised."""
    if interface is None and isinstance(error, can.CanInterfaceNotImplementedError):
        return ParameterError(
            f"can: no interface for {where}: give interface=, one of {_listed(can)} (or the path "
            f"of a log file, or a configuration of python-can); {error}"
        )
    if _is_missing(can, error):
        return MissingExtraError(
            f"can: the driver of {interface} cannot be loaded ({error}); install what the "
            "documentation of python-can names for it"
        )
    if _is_busy(error):
        return DeviceBusyError(
            f"can: {where} is taken or may not be used ({error}); close the program that has it, "
            "or ask for the right"
        )
    if isinstance(error, ValueError | TypeError) or isinstance(error.__cause__, ValueError):
        return ParameterError(f"can: {where} does not take these options: {error}")
    return DeviceNotFoundError(
        f"can: {where} cannot be opened ({error}); check the channel, that the adapter is plugged "
        "in, and on Linux that the network interface is up (ip link)"
    )


def _is_missing(can: Any, error: Exception) -> bool:
    # kvaser without its library raises NameError, and pcan an OSError without an errno
    kinds = (can.CanInterfaceNotImplementedError, ImportError, NameError)
    library = isinstance(error, OSError) and error.errno is None and "library" in str(error)
    return isinstance(error, kinds) or library


def _is_busy(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _BUSY_ERRNOS:
            return True
        # pyserial raises this without an errno
        if "exclusively lock" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
