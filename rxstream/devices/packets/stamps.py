"""When the kernel took a packet from the driver of the card."""

import contextlib
import socket
import struct
import time

__all__ = ["ANCILLARY", "TIMESTAMPING", "read_stamp", "request_stamps", "wait_for_stamps"]

# Of <asm-generic/socket.h>; Python has no name for it. With SO_TIMESTAMPNS a packet that has no
# stamp would get that of its reading.
TIMESTAMPING = 37

# Flags of <linux/net_tstamp.h>: the kernel stamps what it receives, and says so.
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4

# Three times: that of the kernel, one that is no longer used, that of the card.
_STAMPS = struct.Struct("@6l")

ANCILLARY = socket.CMSG_SPACE(_STAMPS.size) if hasattr(socket, "CMSG_SPACE") else 0
"""Space for a stamp beside a packet [bytes]."""

# Longest wait for the first stamp, and for a packet to ourselves [s].
_TIMEOUT, _TRY = 1.0, 0.01


def request_stamps(line: socket.socket) -> None:
    """Have what a socket receives stamped."""
    line.setsockopt(socket.SOL_SOCKET, TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)


def read_stamp(value: bytes) -> int:
    """Return the time on the wall clock [ns] in what came beside a packet."""
    seconds, rest, *_ = _STAMPS.unpack(value)
    return int(seconds) * 1_000_000_000 + int(rest)


def wait_for_stamps() -> None:
    """Wait until the kernel stamps packets.

    It begins some milliseconds after the first socket of the computer asks for it. To see that, a
    packet is sent to ourselves; where none passes, as without a loopback interface, it is not seen.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        request_stamps(line)
        line.settimeout(_TRY)
        deadline = time.monotonic() + _TIMEOUT
        with contextlib.suppress(OSError):
            line.bind(("127.0.0.1", 0))
            while time.monotonic() < deadline:
                line.sendto(b"", line.getsockname())
                with contextlib.suppress(TimeoutError):
                    if line.recvmsg(1, ANCILLARY)[1]:
                        return
                time.sleep(_TRY / 10)
