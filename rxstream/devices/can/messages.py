"""python-can's messages as a structured array."""

import re
from collections.abc import Sequence
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CAN_DTYPE", "CanFlag", "channel_number", "pack"]

CAN_DTYPE = np.dtype(
    [
        ("arbitration_id", np.uint32),
        ("dlc", np.uint8),
        ("data", np.uint8, (64,)),
        ("flags", np.uint8),
        ("channel", np.int16),
    ]
)
"""One message of a CAN bus, 72 bytes.

``dlc`` is the number of bytes of data (for CAN FD too, up to 64), for a remote frame the number
asked for; the bytes of ``data`` behind it are 0. ``flags`` are those of `CanFlag`. ``channel`` is
the number of the bus, or the number at the end of its name (1 for ``"can1"``), or 0.
"""

_DATA = 64
_NUMBER = re.compile(r"\d+$")


class CanFlag(IntFlag):
    """What a message is, bits of the field ``flags``.

    Examples
    --------
    >>> CanFlag(65)
    <CanFlag.EXTENDED|RX: 65>
    """

    EXTENDED = 1
    """The identifier has 29 bits, not 11."""
    REMOTE = 2
    """It asks for data and has none."""
    ERROR = 4
    """An error frame: the bus had an error; data is what the driver tells of it."""
    FD = 8
    """CAN FD."""
    BRS = 16
    """CAN FD: the data was sent at the faster bitrate."""
    ESI = 32
    """CAN FD: its sender is error passive."""
    RX = 64
    """It was received; without it, it was sent by this very interface."""


def pack(messages: Sequence[Any]) -> NDArray[Any]:
    """Return messages of python-can as `CAN_DTYPE` ``(n,)``."""
    out = np.zeros(len(messages), CAN_DTYPE)
    out["arbitration_id"] = [m.arbitration_id for m in messages]
    out["dlc"] = [m.dlc for m in messages]
    out["flags"] = [
        m.is_extended_id + 2 * m.is_remote_frame + 4 * m.is_error_frame + 8 * m.is_fd
        + 16 * m.bitrate_switch + 32 * m.error_state_indicator + 64 * m.is_rx
        for m in messages
    ]  # fmt: skip
    out["channel"] = [channel_number(m.channel) for m in messages]
    data = b"".join([bytes(m.data[:_DATA]).ljust(_DATA, b"\0") for m in messages])
    out["data"] = np.frombuffer(data, np.uint8).reshape(-1, _DATA)
    return out


def channel_number(channel: object) -> int:
    """Return the number of a channel, or that at the end of its name, or 0."""
    if channel is None:
        return 0
    if not isinstance(channel, int):
        found = _NUMBER.search(str(channel))
        channel = int(found[0]) if found else 0
    return channel if 0 <= channel < 1 << 15 else 0
