"""A packet socket of Linux: packets with the kernel's stamps, and how many it has dropped."""

import contextlib
import errno
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rxstream.data.clock import host_clock
from rxstream.devices.packets.bpf import Program, attach
from rxstream.devices.packets.dissect import Headers, dissect
from rxstream.devices.packets.stamps import (
    ANCILLARY,
    TIMESTAMPING,
    read_stamp,
    request_stamps,
    wait_for_stamps,
)
from rxstream.errors import DeviceBusyError, DeviceLostError, DeviceNotFoundError

__all__ = ["Listener", "Packet", "interfaces"]

# Options of sockets and what comes with packets, as <asm-generic/socket.h> and
# <linux/if_packet.h> number them; Python has no names for these.
_RXQ_OVFL, _RCVBUFFORCE = 40, 33
_ALL_PROTOCOLS, _OUTGOING = 0x0003, 4

# Kinds of links with an Ethernet header: Ethernet, and loopback.
_ETHERNET, _HEADER = (1, 772), 14

# Bytes of a packet that are looked at: link, IPv6 with some options, ports.
_BYTES = 256
_ANCILLARY = 2 * ANCILLARY

# Packets come in order. By so much the stamp of one may seem to lie before the last one's: two
# processors stamp, and the distance of the wall clock is measured each time anew [ns].
_SCATTER = 1_000_000

# Most packets that have come before there is a filter.
_MOST_SKIPPED = 100_000

# Most packets that are taken together.
_BATCH = 256

_COUNT = struct.Struct("@I")


class Packet(NamedTuple):
    """A packet that was received, or sent by this computer."""

    interface: str
    sent: bool
    headers: Headers
    length: int
    """With the header of the link [bytes]."""
    stamp: int | None
    """On the host clock [ns]; None if the kernel gave it none."""
    dropped: int
    """Packets that were dropped right before it."""


class Listener:
    """Listens to an interface, or to all.

    Parameters
    ----------
    interface
        Its name; empty: all.
    program
        Filter of the kernel; empty: none.
    buffer_bytes
        What the kernel keeps until it is read [bytes].

    Raises
    ------
    DeviceNotFoundError
        If there is no such interface, or it is down.
    DeviceBusyError
        If the user may not listen.
    """

    def __init__(self, interface: str, program: Program, buffer_bytes: int) -> None:
        if not hasattr(socket, "AF_PACKET"):
            msg = "packets: only Linux has packet sockets"
            raise DeviceNotFoundError(msg)
        self._interface = interface
        self._dropped: int | None = None  # so far, as the last packet has it
        self._newest = 0  # stamp so far
        self._buffer = bytearray(_BYTES)
        try:
            # of no protocol nothing comes: that of one interface is named together with it
            kind = 0 if interface else socket.htons(_ALL_PROTOCOLS)
            self._line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, kind)
        except PermissionError as error:
            msg = (
                "packets: your user may not listen to the network; run the program as root, or "
                "give its Python the right: sudo setcap cap_net_raw+ep $(readlink -f python)"
            )
            raise DeviceBusyError(msg) from error
        self._ready = select.poll()
        self._ready.register(self._line, select.POLLIN)
        try:
            self._begin(program, buffer_bytes)
        except BaseException:
            self._line.close()
            raise

    def _begin(self, program: Program, buffer_bytes: int) -> None:
        line = self._line
        line.setblocking(False)
        request_stamps(line)
        wait_for_stamps()
        line.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
        try:
            line.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, buffer_bytes)
        except PermissionError:
            # as much as the system grants to anybody
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        attach(line, program)
        if self._interface:
            self._bind(line)
        else:
            self._skip(line)

    def _skip(self, line: socket.socket) -> None:
        """Pass over what came before the filter was there."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_SKIPPED):
                line.recv_into(self._buffer)

    def _bind(self, line: socket.socket) -> None:
        try:
            line.bind((self._interface, _ALL_PROTOCOLS))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            names = ", ".join(name for name, _ in interfaces())
            msg = f"packets: there is no interface {self._interface}; there are {names}"
            raise DeviceNotFoundError(msg) from error
        if line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ENETDOWN:
            name = self._interface
            msg = f"packets: the interface {name} is down; bring it up: ip link set {name} up"
            raise DeviceNotFoundError(msg)

    def read(self, timeout: float) -> list[Packet]:
        """Wait for packets up to ``timeout`` [s]; return those there are.

        Raises
        ------
        DeviceLostError
            If the interface is down, or gone.
        """
        return list(self._take()) if self._ready.poll(timeout * 1000) else []

    def _take(self) -> Iterator[Packet]:
        # of the wall clock, which may be set at any time: its distance is that of now
        ahead = host_clock.from_realtime(0)
        for _ in range(_BATCH):
            try:
                length, ancillary, _, address = self._line.recvmsg_into(
                    [self._buffer], _ANCILLARY, socket.MSG_TRUNC
                )
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                msg = f"packets: the interface {self._interface} is down, or gone"
                raise DeviceLostError(msg) from error
            yield self._packet(length, ancillary, address, ahead)

    def _packet(
        self, length: int, ancillary: list[tuple[int, int, bytes]], address: Any, ahead: int
    ) -> Packet:
        """Return what was received; ``length`` is that of the packet, also where it was cut."""
        stamp, dropped = None, 0
        interface, ethertype, direction, link, _ = address
        data = bytes(self._buffer[: min(length, _BYTES)])
        for _level, kind, value in ancillary:
            if kind == TIMESTAMPING:
                stamp = read_stamp(value) + ahead
                if 0 < self._newest - stamp < _SCATTER:
                    stamp = self._newest
                self._newest = stamp
            elif kind == _RXQ_OVFL:
                (dropped,) = _COUNT.unpack(value)
        before = dropped if self._dropped is None else self._dropped
        lost, self._dropped = (dropped - before) & 0xFFFFFFFF, dropped
        headers = dissect(ethertype, data[_HEADER:] if link in _ETHERNET else data)
        return Packet(interface, direction == _OUTGOING, headers, length, stamp, lost)

    def close(self) -> None:
        """Stop listening."""
        self._line.close()


def interfaces() -> list[tuple[str, str]]:
    """Return the name of each interface, and whether it is up, as the system says it."""
    found = []
    for _, name in socket.if_nameindex():
        state = ""
        with contextlib.suppress(OSError):
            state = Path(f"/sys/class/net/{name}/operstate").read_text(encoding="ascii").strip()
        found.append((name, state))
    return found
