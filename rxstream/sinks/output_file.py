"""`OutputFile`: a file that is on disk as it is written, and knows what of it is."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from rxstream.errors import SinkError

__all__ = ["OutputFile", "check_size"]

# what the kernel writes at once [bytes]; some have larger pages, which this divides
_PAGE = 4096


def check_size(file: Any, size: int) -> None:
    """See that an open file has as many bytes as were written; a pipe or device has none.

    Raises
    ------
    SinkError
        If another program has cut it or written to it.
    """
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size != size:
        msg = (
            f"{file.name}: has {found.st_size} bytes where {size} were written: another program "
            "has cut it, or writes to it; make a new sink, and leave its file to it alone"
        )
        raise SinkError(msg)


class OutputFile:
    """A file without a buffer: what `write` has taken, a program that is killed has written.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.size = 0
        """Bytes in the file, also after a `write` that failed."""

    @classmethod
    def begin(cls, path: Path, head: bytes) -> Self:
        """Open a file and write its head; leave nothing if there is no room for that.

        Raises
        ------
        OSError
            If it cannot be opened or written.
        """
        file = cls(path)
        try:
            file.append(head)
        except OSError:
            file.close()
            # not a device of the system
            if path.is_file():
                path.unlink()
            raise
        return file

    def check_size(self) -> None:
        """See that the file is as long as what was written.

        Raises
        ------
        SinkError
            If another program has cut it or written to it.
        """
        check_size(self._file, self.size)

    def write(self, data: Any) -> None:
        """Append bytes, or what has a buffer of them.

        Raises
        ------
        OSError
            If not all of them could be written; `size` counts those that were.
        """
        rest = memoryview(data).cast("B")
        while rest:
            # on a disk that fills up the first call writes a part, the second one raises
            written = self._file.write(rest)
            self.size += written
            rest = rest[written:]

    def append(self, data: Any) -> None:
        """Append all of the bytes or none: the file ends with a whole piece also after an error.

        Raises
        ------
        OSError
            If not all of them could be written.
        """
        self.check_size()
        before = self.size
        try:
            self.write(data)
        except OSError:
            # what is no regular file cannot be cut
            with suppress(OSError):
                self.truncate(before)
            raise

    def append_lines(self, lines: bytes) -> None:
        """Append whole lines, all or none, so that a kill hardly ever cuts one.

        A kill ends a write between two pages of the file, which may take long when the machine is
        busy. So a write has lines of one page only, but for the line that lies on two of them.

        Raises
        ------
        OSError
            If not all of them could be written.
        """
        self.check_size()
        before, done = self.size, 0
        try:
            while done < len(lines):
                room = done + _PAGE - self.size % _PAGE
                end = len(lines) if room >= len(lines) else lines.rfind(b"\n", done, room) + 1
                if end <= done:
                    end = lines.find(b"\n", room) + 1 or len(lines)
                self.write(lines[done:end])
                done = end
        except OSError:
            with suppress(OSError):
                self.truncate(before)
            raise

    def patch(self, position: int, data: bytes) -> None:
        """Write over bytes that are there."""
        self.check_size()
        self._file.seek(position)
        try:
            self._file.write(data)
        finally:
            self._file.seek(self.size)

    def replace_end(self, before: bytes, data: bytes) -> None:
        """Write over the last bytes, which are ``before``; all or none.

        Raises
        ------
        OSError
            If not all of them could be written: then the file ends with ``before`` again.
        """
        self.check_size()
        start = self.size - len(before)
        try:
            # in place, and cut afterwards: so the blocks on the disk stay the file's
            self._put(start, data)
        except OSError:
            with suppress(OSError):
                self._put(start, before)
            raise

    def _put(self, position: int, data: bytes) -> None:
        """Write at a position, the end of the file afterwards."""
        self._file.seek(position)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        if position + len(data) < self.size:
            self._file.truncate()
        self.size = position + len(data)

    def truncate(self, size: int) -> None:
        """Leave the first bytes only."""
        self._file.truncate(size)
        self.size = size
        self._file.seek(size)

    def close(self) -> None:
        """Close it; safe to call twice."""
        self._file.close()
