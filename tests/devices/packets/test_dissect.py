"""What packets say of themselves: by hand, cut short, and garbled."""

import random

import pytest
from campaign import first_seed

from rxstream.devices.packets.bpf import parse
from rxstream.devices.packets.dissect import dissect
from rxstream.errors import ParameterError

PORTS = bytes.fromhex("1f900035")
ADDRESSES = bytes([10, 0, 0, 1, 10, 0, 0, 2])
FAR = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002")
ENDS = ("2001:db8::1", "2001:db8::2")


def ipv4(protocol: int, *, fragment: int = 0, options: bytes = b"") -> bytes:
    head = bytes([0x45 + len(options) // 4, 0, 0, 0, 0, 0, fragment >> 8, fragment & 255, 64])
    return head + bytes([protocol, 0, 0]) + ADDRESSES + options + PORTS


def ipv6(*kinds: int, first: int, fragment: int = 0) -> bytes:
    """Return a packet whose headers are ``first`` and then ``kinds``."""
    data = bytes([0x60, 0, 0, 0, 0, 0, first, 64]) + FAR
    for after in kinds:
        data += bytes([after, 0, fragment >> 8, fragment & 255, 0, 0, 0, 0])
    return data + PORTS


@pytest.mark.parametrize(
    ("ethertype", "data", "expected"),
    [
        (0x0800, ipv4(6), ("tcp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x0800, ipv4(17, options=bytes(8)), ("udp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x0800, ipv4(132), ("sctp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x0800, ipv4(1), ("icmp", "10.0.0.1", "10.0.0.2", 0, 0)),
        (0x0800, ipv4(253), ("ip253", "10.0.0.1", "10.0.0.2", 0, 0)),
        # the first fragment says that more follow, the others where they belong
        (0x0800, ipv4(17, fragment=0x2000), ("udp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x0800, ipv4(17, fragment=0x0010), ("udp", "10.0.0.1", "10.0.0.2", 0, 0)),
        (0x86DD, ipv6(first=17), ("udp", *ENDS, 8080, 53)),
        (0x86DD, ipv6(60, 6, first=0), ("tcp", *ENDS, 8080, 53)),
        (0x86DD, ipv6(17, first=44, fragment=1), ("udp", *ENDS, 8080, 53)),
        (0x86DD, ipv6(17, first=44, fragment=8), ("udp", *ENDS, 0, 0)),
        (0x86DD, ipv6(first=58), ("icmp6", *ENDS, 0, 0)),
        # a tag of a virtual network, and one of the provider before it
        (0x8100, b"\0\5\x08\0" + ipv4(6), ("tcp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x88A8, b"\0\5\x81\0\0\7\x08\0" + ipv4(6), ("tcp", "10.0.0.1", "10.0.0.2", 8080, 53)),
        (0x0806, b"\0\1\x08\1\6\4\0\1" + bytes(20), ("arp", "", "", 0, 0)),
        (0x88CC, b"\x02\x07", ("0x88cc", "", "", 0, 0)),
        (0x0800, ipv4(6)[:15], ("ipv4", "", "", 0, 0)),
        (0x0800, ipv4(6)[:-2], ("tcp", "10.0.0.1", "10.0.0.2", 0, 0)),
        (0x86DD, b"", ("ipv6", "", "", 0, 0)),
    ],
)  # fmt: skip
def test_what_a_packet_says(ethertype: int, data: bytes, expected: tuple[object, ...]) -> None:
    assert dissect(ethertype, data) == expected


def test_garbled_packets_raise_nothing_and_fit() -> None:
    chance = random.Random(first_seed())
    whole = [ipv4(6), ipv6(60, 17, first=0), b"\0\1\x08\0\6\4\0\1" + bytes(20)]
    for _ in range(20_000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data) + 1)])
        found = dissect(chance.choice((0x0800, 0x86DD, 0x0806, 0x8100, 5)), cut)
        assert len(found.protocol) <= 8
        assert max(len(found.src), len(found.dst)) <= 45
        assert max(found.src_port, found.dst_port) < 1 << 16


@pytest.mark.parametrize(
    "text",
    ["", "udp port 53", "2\n6 0 0 1", "1\n6 0 0", "1\n6 0 256 0", "1\n6 0 0 -1", "0", "1\n6 0 0 x"],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="bpf must be what tcpdump -ddd prints"):
        parse(text, "bpf")
