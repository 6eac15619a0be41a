"""python-can's messages as a structured array, and back."""

import re
from collections.abc import Iterator, Sequence
from enum import IntFlag
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CAN_DTYPE", "CanFlag", "channel_number", "pack", "unpack"]

# the longest payload of CAN FD [bytes]
_MAX_PAYLOAD = 64

CAN_DTYPE = np.dtype(
    [
        ("arbitration_id", np.uint32),
        ("dlc", np.uint8),
        ("data", np.uint8, (_MAX_PAYLOAD,)),
        ("flags", np.uint8),
        ("channel", np.int16),
    ]
)
"""One message of a CAN bus, 72 bytes.

``dlc`` is the number of bytes of data (for CAN FD too, up to 64), for a remote frame the number
requested; the bytes of ``data`` behind it are 0. ``flags`` are those of `CanFlag`. ``channel`` is
the number of the bus, or the number at the end of its name (1 for ``"can1"``), or 0.
"""

_TRAILING_NUMBER = re.compile(r"\d+$")


class CanFlag(IntFlag):
    """Kind of a message, bits of the field ``flags``.

    Examples
    --------
    >>> CanFlag(65)
    <CanFlag.EXTENDED|RX: 65>
    """

    EXTENDED = 1
    """The identifier has 29 bits, not 11."""
    REMOTE = 2
    """Remote frame: it requests data and has none."""
    ERROR = 4
    """Error frame: the bus had an error; data is the driver's description of it."""
    FD = 8
    """CAN FD."""
    BRS = 16
    """CAN FD: the data was sent at the faster bitrate."""
    ESI = 32
    """CAN FD: its sender is error passive."""
    RX = 64
    """Received; without it, sent by this very interface."""


# python-can's names of the flags
_ATTRIBUTES = {
    "is_extended_id": CanFlag.EXTENDED,
    "is_remote_frame": CanFlag.REMOTE,
    "is_error_frame": CanFlag.ERROR,
    "is_fd": CanFlag.FD,
    "bitrate_switch": CanFlag.BRS,
    "error_state_indicator": CanFlag.ESI,
    "is_rx": CanFlag.RX,
}


def pack(messages: Sequence[Any]) -> NDArray[Any]:
    """Return messages of python-can as `CAN_DTYPE` ``(n,)``."""
    out = np.zeros(len(messages), CAN_DTYPE)
    out["arbitration_id"] = [m.arbitration_id for m in messages]
    out["dlc"] = [m.dlc for m in messages]
    # spelled out: a loop over _ATTRIBUTES takes five times as long, and this is for every message
    out["flags"] = [
        m.is_extended_id + 2 * m.is_remote_frame + 4 * m.is_error_frame + 8 * m.is_fd
        + 16 * m.bitrate_switch + 32 * m.error_state_indicator + 64 * m.is_rx
        for m in messages
    ]  # fmt: skip
    out["channel"] = [channel_number(m.channel) for m in messages]
    data = b"".join([bytes(m.data[:_MAX_PAYLOAD]).ljust(_MAX_PAYLOAD, b"\0") for m in messages])
    out["data"] = np.frombuffer(data, np.uint8).reshape(-1, _MAX_PAYLOAD)
    return out


def unpack(can: Any, data: NDArray[Any], times: NDArray[np.int64]) -> Iterator[Any]:
    """Yield the messages of python-can that `pack` would turn into ``data``.

    Parameters
    ----------
    can
        The package.
    data
        Messages ``(n,)`` with the fields of `CAN_DTYPE`; more fields are ignored.
    times
        Their times, int64 ``(n,)`` [ns].
    """
    rows = zip(
        times.tolist(), data["arbitration_id"].tolist(), data["dlc"].tolist(),
        data["flags"].tolist(), data["channel"].tolist(), data["data"], strict=True,
    )  # fmt: skip
    for time, identifier, dlc, flags, channel, payload in rows:
        yield can.Message(
            timestamp=time / 1e9,
            arbitration_id=identifier,
            channel=channel,
            dlc=dlc,
            data=payload[:dlc].tobytes(),
            **_attributes_of(flags),
        )


@cache
def _attributes_of(flags: int) -> dict[str, bool]:
    """Return the attributes of a message by its flags, of which there are few combinations."""
    return {name: bool(flags & flag) for name, flag in _ATTRIBUTES.items()}


def channel_number(channel: object) -> int:
    """Return the number of a channel, or that at the end of its name, or 0."""
    if channel is None:
        return 0
    if not isinstance(channel, int):
        found = _TRAILING_NUMBER.search(str(channel))
        channel = int(found[0]) if found else 0
    return channel if 0 <= channel < 1 << 15 else 0
