"""What the readers of log files let pass: values that no message has, and a file cut off."""

import struct
from pathlib import Path
from typing import Any

from rxstream.errors import FormatError
from rxstream.formats.can import CAN_DTYPE
from rxstream.printable import shown

__all__ = ["check_values", "cut_off", "is_whole"]

_TEXT = (".asc", ".csv", ".log", ".trc")
# of the header of a BLF file: its own size, and that of the file [bytes]
_BLF_HEADER = struct.Struct("<4xL8xQ")
# of an object in it: signature, size
_BLF_OBJECT = struct.Struct("<4s4xL4x")
# bytes of a message that is not CAN FD; its length may say more
_MAX_PLAIN = 8
# values beyond those that a message can have
_IDENTIFIERS = 1 << 8 * CAN_DTYPE["arbitration_id"].itemsize
_LENGTHS = 1 << 8 * CAN_DTYPE["dlc"].itemsize


def check_values(message: Any) -> None:
    """Raise FormatError if a message of python-can has a value that no message has.

    A table of SQLite holds anything in any column. No time at all is one that is out of line.
    """
    identifier, length, time = message.arbitration_id, message.dlc, message.timestamp
    if not (isinstance(identifier, int) and 0 <= identifier < _IDENTIFIERS):
        msg = f"a message has the identifier {shown(identifier)}"
    elif not (isinstance(length, int) and 0 <= length < _LENGTHS):
        msg = f"a message has the length {shown(length)}"
    elif not (time is None or isinstance(time, int | float)):
        msg = f"a message has the time {shown(time)}"
    else:
        return
    raise FormatError(msg)


def is_whole(message: Any) -> bool:
    """Whether a message of python-can has the bytes that its length says."""
    if message.is_remote_frame or message.is_error_frame:
        return True
    length: int = message.dlc if message.is_fd else min(message.dlc, _MAX_PLAIN)
    return len(message.data) >= length


def cut_off(path: Path) -> str:
    """Return how a file ends in the middle of something, or ''."""
    suffix = path.suffix.lower()
    if suffix == ".blf":
        return _cut_off_blf(path)
    if suffix in _TEXT:
        return _cut_off_text(path)
    # those of SQLite and gzip raise
    return ""


def _cut_off_text(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 200))
        last = file.read().rpartition(b"\n")[2].strip()
    # the last line of an ASC file may lack its end
    if not last or last.lower().startswith(b"end"):
        return ""
    return "its last line has no end"


def _cut_off_blf(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        position, expected = _BLF_HEADER.unpack(file.read(_BLF_HEADER.size))
        if expected >= size:
            return "" if expected == size else f"it has {size} of {expected} bytes"
        # its program was killed before the header was up to date
        while position < size:
            file.seek(position)
            head = file.read(_BLF_OBJECT.size)
            if len(head) < _BLF_OBJECT.size:
                return "it ends in the middle of a container"
            signature, length = _BLF_OBJECT.unpack(head)
            if signature != b"LOBJ" or length < _BLF_OBJECT.size:
                return f"there is no container at byte {position}"
            if position + length > size:
                return "it ends in the middle of a container"
            position += length + length % 4
    return ""
