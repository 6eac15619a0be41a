"""packets: what passes through a network interface (Linux, needs no extra)."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from rxstream.authoring import DeviceInfo, ParameterError, Reading, now_ns, source
from rxstream.devices.packets.bpf import parse
from rxstream.devices.packets.listener import Listener, Packet, interfaces
from rxstream.validation import check_range

__all__ = ["PACKET_DTYPE", "Packets"]

PACKET_DTYPE = np.dtype([
    ("interface", "U16"), ("sent", np.bool_), ("protocol", "U8"), ("src", "U45"), ("dst", "U45"),
    ("src_port", "u2"), ("dst_port", "u2"), ("length", "u4"),
])  # fmt: skip
"""A packet: its interface, whether this computer sent it, protocol, addresses, ports, and length
with the header of the link [bytes]. Without addresses or ports these are ``""`` and 0."""

# Longest time without a heartbeat [s].
_BEAT = 0.1

# A packet that was stamped so long ago has come [ns]: the kernel stamps it some microseconds before
# it can be read.
_ON_ITS_WAY = 1_000_000

# The buffer is as large as the kernel takes, which doubles what it is given.
_LEAST_BUFFER, _MOST_BUFFER = 2048, 1 << 30


def _checked(options: Any) -> Mapping[str, Any]:
    name = options.interface
    if not name.isprintable() or len(name.encode()) > 15:
        msg = f"Packets: interface must be a name of up to 15 bytes, e.g. 'eth0', not {name!r}"
        raise ParameterError(msg)
    if options.bpf:
        parse(options.bpf, "Packets: bpf")
    check_range(options.buffer_bytes, "Packets: buffer_bytes", _LEAST_BUFFER, _MOST_BUFFER)
    return {"interface": name or "all"}


def _here() -> list[DeviceInfo]:
    # others have interfaces, too, and no packet sockets
    names = interfaces() if hasattr(socket, "AF_PACKET") else []
    return [DeviceInfo(name, {"interface": name}, state) for name, state in names]


@source(dtype=PACKET_DTYPE, device_clock="host", extra=_checked, discover=_here)
def Packets(  # noqa: N802 - it becomes a class
    interface: str = "", bpf: str = "", buffer_bytes: int = 8_000_000
) -> Iterator[Any]:
    r"""Packets that pass through a network interface of Linux: a sample of `PACKET_DTYPE` each.

    ``protocol`` is that of the transport (``"tcp"``, ``"udp"``, ``"icmp"``, ``"icmp6"``), else that
    of the network (``"arp"``), else a number (``"ip253"``, ``"0x88cc"``). Later fragments of a
    packet have no ports.

    **Times.** The kernel stamps each packet as it takes it from the driver of the card, or gives
    it to that.

    **Losses.** What the kernel drops while its buffer is full is a gap at its place, with its
    number.

    Attributes
    ----------
    interface
        Its name, e.g. ``"eth0"``; empty: all.
    bpf
        Filter of the kernel: what ``tcpdump -ddd "udp port 53"`` prints; empty: all packets.
    buffer_bytes
        Buffer of the kernel for what was not read yet; without the right ``CAP_NET_ADMIN`` it is
        no larger than ``net.core.rmem_max``.

    Raises
    ------
    DeviceNotFoundError
        If there is no such interface, it is down, or the system is not Linux.
    DeviceBusyError
        If the user may not listen: that takes the right ``CAP_NET_RAW``.

    Examples
    --------
    >>> Packets("eth0").info.dtype.names[-3:]
    ('src_port', 'dst_port', 'length')
    """
    program = parse(bpf, "Packets: bpf") if bpf else []
    nothing = np.empty(0, PACKET_DTYPE)
    with closing(Listener(interface, program, buffer_bytes)) as listener:
        yield
        while True:
            quiet = now_ns() - _ON_ITS_WAY
            packets = listener.read(_BEAT)
            if not packets:
                yield Reading(nothing, bounds=(quiet, quiet))
            for part in _alike(packets):
                yield _reading(part)


def _alike(packets: list[Packet]) -> Iterator[list[Packet]]:
    """Yield packets in parts that have losses before their first one alone, and all stamps."""
    begin = 0
    for k, packet in enumerate(packets):
        other = (packet.stamp is None) != (packets[begin].stamp is None)
        if k > begin and (packet.dropped or other):
            yield packets[begin:k]
            begin = k
    if packets:
        yield packets[begin:]


def _reading(packets: list[Packet]) -> Reading:
    rows = [(x.interface, x.sent, *x.headers, x.length) for x in packets]
    first = packets[0]
    stamps = None if first.stamp is None else np.array([x.stamp for x in packets], np.int64)
    return Reading(np.array(rows, PACKET_DTYPE), device_time=stamps, lost=first.dropped or None)
