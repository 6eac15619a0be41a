"""Reading an open CAN bus: one wait, then everything that is there, as one reading."""

import itertools
import select
import socket
import struct
from collections import deque
from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Fail
from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading
from rxstream.devices.can.clock import BusClock
from rxstream.devices.can.filters import CanFilter, passed
from rxstream.errors import DeviceLostError, FormatError, OverrunError
from rxstream.formats.can import CAN_DTYPE, pack
from rxstream.formats.can_decode import StreamDecoder
from rxstream.printable import get_logger

__all__ = ["BusReader", "forward_pieces"]

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
    filters, error_frames
        Which messages to take; see `passed`.
    decoder
        Decodes messages by a database; None: they stay as they are.
    fail
        Takes errors that the reader survives.
    """

    def __init__(
        self, can: Any, bus: Any, interface: str, where: str, clock: BusClock, *,
        filters: Sequence[CanFilter], error_frames: bool,
        decoder: StreamDecoder | None, fail: Fail,
    ) -> None:  # fmt: skip
        self._bus, self._where, self._clock = bus, where, clock
        self._filters, self._error_frames = filters, error_frames
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
        return self._reading(messages, np.array(arrivals, np.int64), asked)

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
        if self._broken is None and _is_hung_up(self._bus):
            self._lose(ConnectionError("its server has closed the connection"))
        if self._broken is not None or now_ns() - asked < _WAIT * 0.5e9:
            return None
        return self._heartbeat(self._clock.quiet(asked))

    def _heartbeat(self, until: int) -> Reading:
        return Reading(self._no_messages, bounds=(until, until))

    def _reading(self, messages: list[Any], arrivals: NDArray[np.int64], asked: int) -> Reading:
        data = pack(messages)
        stamps = np.array([m.timestamp for m in messages], np.float64)
        times = self._clock.push(stamps, arrivals)
        wrong, self._clock.reports.new = self._clock.reports.new, []
        for error in wrong:
            self._fail(error)
        # here, and not in python-can, whose filters drop error frames as well
        keep = passed(data, self._filters, error_frames=self._error_frames)
        if not keep.all():
            until = min(int(times[-1]) - _MAX_BACKWARD, self._clock.quiet(asked))
            data, times, arrivals = data[keep], times[keep], arrivals[keep]
            if not len(data):
                return self._heartbeat(until)
        if self._decoder is not None:
            data = self._decoder.decode(data)
        margin = self._clock.half_width
        for part in forward_pieces(times):
            last = int(times[part][-1])
            arrival = int(arrivals[part][-1])
            bounds = None
            if not isnan(margin):
                # it was sent before it came
                bounds = last - round(margin), min(last + round(margin), arrival)
            self._ready.append(
                Reading(data[part], device_time=times[part], bounds=bounds, arrival=arrival)
            )
        return self._ready.popleft()


def _is_hung_up(bus: Any) -> bool:
    """Whether the server of a socketcand bus is gone, which python-can takes for silence."""
    line = getattr(bus, "_SocketCanDaemonBus__socket", None)
    if line is None:
        return False
    try:
        ready = select.select([line], [], [], 0)[0]
        return bool(ready) and not line.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


def forward_pieces(times: NDArray[np.int64]) -> list[slice]:
    """Return the stretches in which times [ns] go back by no more than noise."""
    edges = [0, *(np.flatnonzero(np.diff(times) < -_MAX_BACKWARD) + 1).tolist(), len(times)]
    return [slice(i, j) for i, j in itertools.pairwise(edges)]
