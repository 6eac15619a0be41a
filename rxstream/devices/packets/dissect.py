"""What the first bytes of a packet say: protocol, addresses, ports."""

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

__all__ = ["Headers", "dissect"]

# Ethertypes, as <linux/if_ether.h> has them.
_IPV4, _ARP, _IPV6, _TAGGED = 0x0800, 0x0806, 0x86DD, (0x8100, 0x88A8)

_NAMES = {
    1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah",
    58: "icmp6", 89: "ospf", 132: "sctp",
}  # fmt: skip
_WITH_PORTS = (6, 17, 132)

# Headers of IPv6 that come before the protocol: hop by hop, routing, fragment, for the destination.
_FRAGMENT = 44
_BEFORE = (0, 43, _FRAGMENT, 60)

_TAG, _PORTS = struct.Struct("!H"), struct.Struct("!HH")


class Headers(NamedTuple):
    """Protocol, addresses and ports of a packet; what it does not say is empty, or 0."""

    protocol: str
    src: str = ""
    dst: str = ""
    src_port: int = 0
    dst_port: int = 0


def dissect(ethertype: int, data: bytes) -> Headers:
    r"""Return what a packet says of itself; one that is cut short or garbled says less.

    Parameters
    ----------
    ethertype
        What the link says that it is.
    data
        The packet from its first header behind the link's on.

    Examples
    --------
    >>> dissect(0x0806, bytes.fromhex("0001080006040001" "0242ac110002" "0a000001" "000000000000"
    ...     "0a000002"))
    Headers(protocol='arp', src='10.0.0.1', dst='10.0.0.2', src_port=0, dst_port=0)
    >>> dissect(0x88CC, b"").protocol
    '0x88cc'
    """
    while ethertype in _TAGGED and len(data) >= 4:
        ethertype, data = _TAG.unpack_from(data, 2)[0], data[4:]
    known = _KNOWN.get(ethertype)
    if known is None:
        return Headers(f"0x{ethertype:04x}")
    name, read = known
    try:
        return read(data)
    except (struct.error, IndexError, ValueError, OSError):
        return Headers(name)


def _ipv4(data: bytes) -> Headers:
    length, protocol = (data[0] & 15) * 4, data[9]
    src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    # the ports are in the first fragment
    begins = not (data[6] & 0x1F or data[7])
    return _with_ports(protocol, src, dst, data[length:] if begins else b"")


def _ipv6(data: bytes) -> Headers:
    protocol, at, begins = data[6], 40, True
    src = socket.inet_ntop(socket.AF_INET6, data[8:24])
    dst = socket.inet_ntop(socket.AF_INET6, data[24:40])
    while protocol in _BEFORE and len(data) >= at + 8:
        length = 8 if protocol == _FRAGMENT else 8 + 8 * data[at + 1]
        if protocol == _FRAGMENT:
            begins = not (data[at + 2] or data[at + 3] & 0xF8)
        protocol, at = data[at], at + length
    return _with_ports(protocol, src, dst, data[at:] if begins else b"")


def _arp(data: bytes) -> Headers:
    if data[2:6] != b"\x08\x00\x06\x04":  # not of IPv4 on what has MAC addresses
        return Headers("arp")
    return Headers("arp", socket.inet_ntoa(data[14:18]), socket.inet_ntoa(data[24:28]))


def _with_ports(protocol: int, src: str, dst: str, rest: bytes) -> Headers:
    name = _NAMES.get(protocol, f"ip{protocol}")
    if protocol not in _WITH_PORTS or len(rest) < _PORTS.size:
        return Headers(name, src, dst)
    return Headers(name, src, dst, *_PORTS.unpack_from(rest))


_Reader: TypeAlias = Callable[[bytes], Headers]

_KNOWN: dict[int, tuple[str, _Reader]] = {
    _IPV4: ("ipv4", _ipv4), _IPV6: ("ipv6", _ipv6), _ARP: ("arp", _arp),
}  # fmt: skip
