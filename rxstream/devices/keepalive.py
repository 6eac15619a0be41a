"""Options of a socket by which the system sees that the other side is gone, without a word."""

import socket

__all__ = ["KEEPALIVE"]

# Seconds of silence before the system asks whether the other side is there, between questions, and
# how many: a cut cable is seen within 20 s.
_TIMES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 5}

KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _TIMES.items()
        if hasattr(socket, name)
    ),
)
"""Arguments of ``setsockopt``: a cut cable is seen within 20 s (Linux)."""
