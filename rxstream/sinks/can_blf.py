"""CAN messages in a BLF file that is whole at every moment."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.formats.can_blf import (
    CONTAINER_OVERHEAD,
    HEADER_SIZE,
    pack_container,
    pack_header,
    pack_marker,
    pack_messages,
)
from rxstream.sinks.output_file import OutputFile

__all__ = ["BlfLog"]


class BlfLog:
    """Writer of BLF: a container for what came since the last `flush`, and the header renewed.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._zero: int | None = None
        self._last = self._count = 0
        self._unpacked = HEADER_SIZE
        self._objects = bytearray()
        self._file = OutputFile.begin(path, self._header(HEADER_SIZE))

    @property
    def waiting(self) -> int:
        """What `flush` would write [bytes]."""
        return len(self._objects)

    def write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        """Take messages ``(n,)`` and their times [ns]."""
        if len(data):
            self._objects += pack_messages(data, times, self._begin(int(times[0])))
            self._last, self._count = int(times[-1]), self._count + len(data)

    def comment(self, text: str, time: int) -> None:
        """Take a remark at a time [ns]."""
        self._objects += pack_marker(text, time, self._begin(time))
        self._last, self._count = time, self._count + 1

    def flush(self) -> None:
        """Write what was taken."""
        if not self._objects:
            return
        self._file.append(pack_container(bytes(self._objects)))
        self._unpacked += CONTAINER_OVERHEAD + len(self._objects)
        self._objects.clear()
        self._file.patch(0, self._header(self._file.size))

    def end(self) -> None:
        """Write what was taken."""
        self.flush()

    def close(self) -> None:
        """Close the file, without what was not flushed."""
        self._file.close()

    def _begin(self, time: int) -> int:
        """Return the time that the file counts from [ns], in whole milliseconds as its header."""
        if self._zero is None:
            self._zero = time // 1_000_000 * 1_000_000
        return self._zero

    def _header(self, size: int) -> bytes:
        return pack_header(
            self._zero or 0, self._last, size=size, unpacked=self._unpacked, count=self._count
        )
