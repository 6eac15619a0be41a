"""The file that a muxer of FFmpeg writes: pieces that are whole, and an end for the time being."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from rxstream.sinks.output_file import check_size

__all__ = ["VideoOutput"]


class VideoOutput:
    """A file for PyAV that takes what the muxer writes in one piece for each packet.

    A muxer that collects frames keeps them back. `set_tail` puts them behind what it has written,
    for a program that is killed now; what the muxer writes next replaces them.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        # where the next piece goes, and where what the muxer has written ends
        self._position = self._end = 0
        self._piece = bytearray()
        self._tail = b""
        self._failed = False

    # -- for PyAV -----------------------------------------------------------------------------

    def write(self, data: Any) -> int:
        """Take bytes of a piece."""
        self._piece += data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Write the piece, and go to where the next one begins."""
        self.push()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return where the next byte goes."""
        return self._position + len(self._piece)

    def seekable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return False."""
        return False

    # -- for the sink -------------------------------------------------------------------------

    def push(self) -> bytes:
        """Write the piece that has come, and return it.

        Raises
        ------
        OSError
            If it cannot be written: then the file is as it was before, and takes nothing more.
        """
        piece = bytes(self._piece)
        self._piece.clear()
        if self._failed or not piece:
            return piece
        end = self._position + len(piece)
        grows = end > self._end
        self._put(self._position, piece, cut=grows)
        self._position = end
        if grows:
            self._end, self._tail = end, b""
        return piece

    def set_tail(self, tail: bytes) -> None:
        """Put bytes behind what the muxer has written, until it writes more.

        Raises
        ------
        OSError
            As of `push`.
        """
        if not self._failed:
            self._put(self._end, tail, cut=True)
            self._tail = tail

    def patch(self, position: int, data: bytes) -> None:
        """Write over bytes that are there."""
        if not self._failed:
            self._file.seek(position)
            self._file.write(data)

    def close(self) -> None:
        """Close the file, and take nothing more; safe to call twice."""
        self._failed = True
        self._file.close()

    def _put(self, position: int, data: bytes, *, cut: bool) -> None:
        """Write at a position, in one call as a rule; cut off what is behind it."""
        check_size(self._file, self._end + len(self._tail))
        try:
            self._file.seek(position)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            if cut:
                self._file.truncate(position + len(data))
        except OSError:
            self._failed = True
            self._restore()
            raise

    def _restore(self) -> None:
        """Put the file in the state before a write that failed: its blocks are there."""
        with suppress(OSError):
            self._file.truncate(self._end)
            self._file.seek(self._end)
            self._file.write(self._tail)
