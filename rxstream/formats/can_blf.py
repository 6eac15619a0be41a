"""Vector's Binary Logging Format (BLF): CAN messages as bytes.

A file is a header of 144 bytes and log containers; a container holds objects, zlib compressed.
Every object here is a multiple of 4 bytes long, so none needs padding, and none goes on in the next
container: a file is whole up to its last container.
"""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.formats.can import CanFlag

__all__ = [
    "CONTAINER_OVERHEAD", "HEADER_SIZE", "pack_container", "pack_header", "pack_marker",
    "pack_messages",
]  # fmt: skip

HEADER_SIZE = 144
"""Length of the header of a file [bytes]."""

_CAN_MESSAGE, _LOG_CONTAINER, _CAN_ERROR, _MARKER, _CAN_FD_MESSAGE = 1, 10, 73, 96, 100

# signature, header size, version of the interface, application, compression, version, size of the
# file and of what it holds, objects, build, times of the first and the last object
_FILE_HEADER = struct.Struct("<4s2L4B2Q2L8H8H")
# as in python-can's files, which are all about
_INTERFACE, _APPLICATION = 5, (2, 6, 8, 1)
# signature, header size, header version, object size, object type
_OBJECT = struct.Struct("<4s2H2L")
# compression (2: zlib), size of what is compressed
_CONTAINER = struct.Struct("<H6xL4x")
_ZLIB = 2

CONTAINER_OVERHEAD = _OBJECT.size + _CONTAINER.size
"""What a container adds to the objects in it before compression [bytes]."""

# of an object with a time: flags (2: nanoseconds), client, version, time
_TIMED = struct.Struct("<L2HQ")
_NANOSECONDS = 2
# event type, colors, movable, lengths of group name, marker name and text
_MARKER_BODY = struct.Struct("<3LB3x3L12x")

_HEAD = [
    ("signature", "S4"), ("header_size", "<u2"), ("header_version", "<u2"), ("size", "<u4"),
    ("type", "<u4"), ("flags", "<u4"), ("client", "<u2"), ("version", "<u2"), ("time", "<u8"),
]  # fmt: skip
_MESSAGE_DTYPE = np.dtype(
    [*_HEAD, ("channel", "<u2"), ("kind", "u1"), ("dlc", "u1"), ("id", "<u4"), ("data", "u1", 8)]
)
_FD_DTYPE = np.dtype(
    [*_HEAD, ("channel", "<u2"), ("kind", "u1"), ("dlc", "u1"), ("id", "<u4"), ("length", "<u4"),
     ("bits", "u1"), ("fd", "u1"), ("valid", "u1"), ("_", "V5"), ("data", "u1", 64), ("__", "V4")]
)  # fmt: skip
_ERROR_DTYPE = np.dtype(
    [*_HEAD, ("channel", "<u2"), ("length", "<u2"), ("error", "<u4"), ("ecc", "u1"),
     ("position", "u1"), ("dlc", "u1"), ("_", "V1"), ("frame", "<u4"), ("id", "<u4"),
     ("extra", "<u2"), ("__", "V2"), ("data", "u1", 8)]
)  # fmt: skip

_EXTENDED_ID = 0x80000000
_SENT, _REMOTE = 0x01, 0x80
_FD, _FD_BRS, _FD_ESI = 1, 2, 4
# payloads of CAN FD by their code [bytes]
_FD_LENGTHS = np.array([*range(9), 12, 16, 20, 24, 32, 48, 64])


def pack_messages(data: NDArray[Any], times: NDArray[np.int64], zero: int) -> bytes:
    """Return messages as objects, in their order.

    Parameters
    ----------
    data
        Messages ``(n,)`` with the fields of `CAN_DTYPE`; more fields are ignored.
    times
        Their times, int64 ``(n,)`` [ns].
    zero
        Time in the header of the file [ns]; objects count from it.
    """
    error = data["flags"] & CanFlag.ERROR != 0
    fd = ~error & (data["flags"] & CanFlag.FD != 0)
    kinds = (
        (~error & ~fd, _MESSAGE_DTYPE, _pack_plain),
        (fd, _FD_DTYPE, _pack_fd),
        (error, _ERROR_DTYPE, _pack_error),
    )
    sizes = np.zeros(len(data), np.int64)
    for chosen, dtype, _ in kinds:
        sizes[chosen] = dtype.itemsize
    ends = np.cumsum(sizes)
    out = np.zeros(int(ends[-1]) if len(data) else 0, np.uint8)
    for chosen, dtype, pack in kinds:
        if chosen.any():
            objects = np.zeros(int(chosen.sum()), dtype)
            pack(objects, data[chosen], times[chosen], zero)
            places = (ends - sizes)[chosen, np.newaxis] + np.arange(dtype.itemsize)
            out[places] = objects.view(np.uint8).reshape(len(objects), -1)
    return out.tobytes()


def pack_marker(text: str, time: int, zero: int) -> bytes:
    """Return a comment at a time [ns] as a global marker."""
    name = text.encode("ascii", "backslashreplace")
    name += b" " * (-len(name) % 4)
    body = _MARKER_BODY.pack(0, 0xFFFFFF, 0xFF3300, 0, len(name), 0, 0) + name
    size = _OBJECT.size + _TIMED.size
    head = _OBJECT.pack(b"LOBJ", size, 1, size + len(body), _MARKER)
    return head + _TIMED.pack(_NANOSECONDS, 0, 0, max(time - zero, 0)) + body


def pack_container(objects: bytes) -> bytes:
    """Return objects as a container."""
    packed = zlib.compress(objects)
    size = _OBJECT.size + _CONTAINER.size + len(packed)
    head = _OBJECT.pack(b"LOBJ", _OBJECT.size, 1, size, _LOG_CONTAINER)
    # a quirk of the format: as many bytes as its size is beyond a multiple of 4
    return head + _CONTAINER.pack(_ZLIB, len(objects)) + packed + bytes(size % 4)


def pack_header(start: int, stop: int, *, size: int, unpacked: int, count: int) -> bytes:
    """Return the header of a file.

    Parameters
    ----------
    start
        Time that objects count from [ns]; in whole milliseconds, as the header has no finer ones.
    stop
        Time of the last object [ns].
    size
        Size of the file [bytes].
    unpacked
        Size that it would have if nothing were compressed [bytes].
    count
        Number of objects.
    """
    times = *_system_time(start), *_system_time(stop)
    head = _FILE_HEADER.pack(
        b"LOGG",
        HEADER_SIZE,
        _INTERFACE,
        *_APPLICATION,
        size,
        unpacked,
        count & 0xFFFFFFFF,
        0,
        *times,
    )
    return head.ljust(HEADER_SIZE, b"\0")


def _pack_head(objects: NDArray[Any], kind: int, times: NDArray[np.int64], zero: int) -> None:
    objects["signature"], objects["header_version"], objects["type"] = b"LOBJ", 1, kind
    objects["header_size"], objects["size"] = _OBJECT.size + _TIMED.size, objects.dtype.itemsize
    objects["flags"], objects["time"] = _NANOSECONDS, np.maximum(times - zero, 0)


def _pack_common(objects: NDArray[Any], data: NDArray[Any]) -> None:
    # buses are numbered from 1 here
    objects["channel"] = data["channel"] + 1
    extended = np.where(data["flags"] & CanFlag.EXTENDED != 0, _EXTENDED_ID, 0)
    objects["id"] = data["arbitration_id"] | extended.astype(np.uint32)
    objects["data"] = data["data"][:, : objects["data"].shape[1]]


def _pack_plain(
    objects: NDArray[Any], data: NDArray[Any], times: NDArray[np.int64], zero: int
) -> None:
    _pack_head(objects, _CAN_MESSAGE, times, zero)
    _pack_common(objects, data)
    objects["kind"], objects["dlc"] = _kind(data["flags"]), data["dlc"]


def _pack_fd(
    objects: NDArray[Any], data: NDArray[Any], times: NDArray[np.int64], zero: int
) -> None:
    _pack_head(objects, _CAN_FD_MESSAGE, times, zero)
    _pack_common(objects, data)
    flags = data["flags"]
    objects["kind"], objects["valid"] = _kind(flags), data["dlc"]
    objects["dlc"] = np.searchsorted(_FD_LENGTHS, data["dlc"])
    brs, esi = flags & CanFlag.BRS != 0, flags & CanFlag.ESI != 0
    objects["fd"] = _FD + _FD_BRS * brs + _FD_ESI * esi


def _pack_error(
    objects: NDArray[Any], data: NDArray[Any], times: NDArray[np.int64], zero: int
) -> None:
    _pack_head(objects, _CAN_ERROR, times, zero)
    _pack_common(objects, data)
    objects["dlc"] = np.minimum(data["dlc"], 8)


def _kind(flags: NDArray[Any]) -> NDArray[Any]:
    sent, remote = flags & CanFlag.RX == 0, flags & CanFlag.REMOTE != 0
    kind: NDArray[Any] = _SENT * sent + _REMOTE * remote
    return kind


def _system_time(time: int) -> tuple[int, ...]:
    """Return a time [ns] as Windows' SYSTEMTIME: year, month, day of the week, day, h, m, s, ms."""
    t = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=time // 1_000_000)
    clock = t.hour, t.minute, t.second, t.microsecond // 1000
    return (t.year, t.month, t.isoweekday() % 7, t.day, *clock)
