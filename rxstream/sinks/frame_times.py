"""The times of frames in a file of their own, beside a video."""

import csv
import io
from collections import deque
from collections.abc import Sequence
from functools import reduce
from itertools import islice
from pathlib import Path

from rxstream.data.gap import Gap
from rxstream.errors import SinkError
from rxstream.sinks.output_file import OutputFile
from rxstream.sinks.paths import explain, identity

__all__ = ["FrameTimes"]

# rows written at a time, so that a disk that fills up takes some of very many
_MAX_ROWS = 100
_HEADER = ("frame", "time_ns", "gap", "lost", "gap_start_ns", "gap_end_ns")


class FrameTimes:
    """Writes a row for each frame, never before the frame itself can be read.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.

    Raises
    ------
    SinkError
        If it cannot be written, here and by all methods.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = OutputFile.begin(path, _lines([_HEADER]))
        except OSError as error:
            raise explain(error, path) from error
        self._identity = identity(path)
        # rows of frames that are not in the video yet
        self._rows: deque[tuple[object, ...]] = deque()
        self._count = 0
        self.frames = 0
        """Rows of frames written."""

    def add_frame(self, time: int, gaps: Sequence[Gap]) -> None:
        """Keep the row of a frame at a time [ns], and of the gaps right before it."""
        self._rows.append((self._count, time, *_cells(gaps)))
        self._count += 1

    def flush(self, frames: int) -> None:
        """Write the rows of the first frames, which can be read."""
        while self.frames < min(frames, self._count):
            rows = list(islice(self._rows, min(frames - self.frames, _MAX_ROWS)))
            self._put(rows)
            self.frames += len(rows)
            for _ in rows:
                self._rows.popleft()

    def check_there(self) -> None:
        """Raise `SinkError` if the file was removed, moved or replaced."""
        if identity(self._path) != self._identity:
            msg = (
                f"{self._path}: was removed, moved or replaced while it was written; make a new "
                "sink, and leave its files there"
            )
            raise SinkError(msg)

    def add_last(self, gaps: Sequence[Gap]) -> None:
        """Write a row for gaps after the last frame."""
        if gaps:
            self._put([("", "", *_cells(gaps))])

    def remove(self) -> None:
        """Close and delete the file, where there is no video."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, rows: list[tuple[object, ...]]) -> None:
        try:
            self._file.append_lines(_lines(rows))
        except OSError as error:
            raise explain(error, self._path) from error


def _lines(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(gaps: Sequence[Gap]) -> tuple[object, ...]:
    if not gaps:
        return ("", "", "", "")
    gap = reduce(Gap.join, gaps)
    return (gap.reason, "" if gap.lost is None else gap.lost, gap.start, gap.end)
