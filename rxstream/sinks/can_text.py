"""CAN messages in text files that end with a whole line at every moment."""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.formats.can import unpack
from rxstream.printable import get_logger
from rxstream.sinks.output_file import OutputFile

__all__ = ["TextLog"]

_logger = get_logger(__name__)

# python-can's writers, and the comment that each can hold
_WRITERS = {
    ".asc": ("ASCWriter", "// {}"),
    ".csv": ("CSVWriter", None),
    ".log": ("CanutilsLogWriter", None),
    ".trc": ("TRCWriter", "; {}"),
    ".txt": ("Printer", None),
}


class TextLog:
    """Writer of text: python-can makes the lines, which come to the file whole.

    Parameters
    ----------
    can
        The package python-can.
    path
        Path of the file; an existing one is replaced.
    kind
        Its suffix, without ``.gz``.
    zipped
        Whether it is compressed: each `flush` adds a gzip stream that is complete.
    """

    def __init__(self, can: Any, path: Path, kind: str, *, zipped: bool) -> None:
        self._can, self._path, self._zipped = can, path, zipped
        name, self._comment = _WRITERS[kind]
        self._file = OutputFile(path)
        self._lines = _Lines(path)
        # every reader's encoding has ASCII; only the path in a .trc may have more
        self._text = io.TextIOWrapper(self._lines, encoding="ascii", errors="backslashreplace")
        self._writer = getattr(can, name)(self._text)

    @property
    def waiting(self) -> int:
        """What `flush` would write, at least [bytes]."""
        return self._lines.tell()

    def write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        """Take messages ``(n,)`` and their times [ns]."""
        for message in unpack(self._can, data, times):
            self._writer.on_message_received(message)

    def comment(self, text: str, time: int) -> None:
        """Take a remark at a time [ns]; log it where there can be none."""
        if self._comment is None:
            _logger.warning("%s: %s; this kind of file cannot say so", self._path, text)
        else:
            self._writer.log_event(self._comment.format(text), time / 1e9)

    def flush(self) -> None:
        """Write what was taken."""
        if not self._text.closed:
            self._text.flush()
        if lines := self._lines.take():
            if self._zipped:
                self._file.append(gzip.compress(lines, mtime=0))
            else:
                self._file.append_lines(lines)

    def end(self) -> None:
        """Write what was taken, and the format's last line."""
        self._writer.stop()
        self.flush()

    def close(self) -> None:
        """Close the file, without what was not flushed."""
        self._file.close()


class _Lines(io.BytesIO):
    """Lines in memory that outlive the writer's `close`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        # python-can writes it into a .trc
        self.name = str(path)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        lines = self.getvalue()
        self.seek(0)
        self.truncate()
        return lines

    def close(self) -> None:
        """Do nothing: the writer closes it before the last lines are taken."""
