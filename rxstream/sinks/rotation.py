"""Rotation: one file after the other, each of some seconds, the oldest deleted."""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.printable import get_logger, shown
from rxstream.validation import is_whole

__all__ = ["Rotation"]

_logger = get_logger(__name__)

# files of less are many, and their names of milliseconds would be taken soon
_MIN_SPAN = 1_000_000_000  # [ns]


class Rotation:
    """Cuts a stream into files by sample time, names them, and deletes the oldest.

    Parameters
    ----------
    path
        ``drive.asc`` gives ``drive_20261129T215510-250Z.asc``, by the UTC time of its first
        sample. A file of that name is never replaced: the next is
        ``drive_20261129T215510-250Z_002.asc``. So the names sort by time.
    rotate
        Sample time of each file [s], at least 1; None: one file, at ``path`` itself.
    keep
        Files to keep, the one that is written counted in; older ones of these names are deleted,
        also those of an earlier run. None: all.
    suffix
        The part of the name that comes after the time, e.g. ``".asc.gz"``; None: the path's suffix.
    in_time
        Whether gaps are cut at the seams too, for files that fill them.

    Raises
    ------
    ParameterError
        If an argument is invalid.
    """

    def __init__(
        self,
        path: Path,
        rotate: Duration | None,
        keep: int | None,
        *,
        suffix: str | None = None,
        in_time: bool = False,
    ) -> None:
        if rotate is None and keep is not None:
            msg = f"keep={shown(keep)} needs rotate=: how long each file is [s]"
            raise ParameterError(msg)
        if keep is not None and not is_whole(keep, 1):
            msg = f"keep must be a whole number of files >= 1, not {shown(keep)}"
            raise ParameterError(msg)
        self._span = None if rotate is None else to_span(rotate, "rotate")
        if self._span is not None and self._span < _MIN_SPAN:
            msg = f"rotate must be at least 1 s, not {shown(rotate)}"
            raise ParameterError(msg)
        self._path, self._keep, self._in_time = path, keep, in_time
        self._suffix = path.suffix if suffix is None else path.name[-len(suffix) :]
        self._until = 0
        self._begun = False

    def begin(self, chunk: Chunk) -> Path:
        """Return the path of the first file."""
        if self._span is not None:
            self._until = self._first(chunk) + self._span
        return self.path_for(chunk)

    def pieces(self, chunk: Chunk) -> Iterator[tuple[Chunk, bool]]:
        """Yield a chunk in pieces, each with whether a new file begins with it.

        The pieces together are the chunk. A gap between two files belongs to the later one, or is
        cut if gaps are filled.
        """
        if self._span is None or chunk.end <= self._until:
            yield chunk, False
        elif self._in_time:
            yield from self._in_pieces_of_time(chunk, self._span)
        else:
            yield from self._in_pieces_of_samples(chunk, self._span)

    def path_for(self, chunk: Chunk) -> Path:
        """Return the path of the file that begins with a chunk, which nobody else can take.

        That of a first file is as given; where one follows nevertheless, its name has the time too.

        Raises
        ------
        OSError
            If there can be no file of that name, with its path.
        """
        first, self._begun = not self._begun, True
        if self._span is None and first:
            return self._path
        stem = f"{self._stem}_{_utc(self._first(chunk))}"
        path, number = self._path.with_name(stem + self._suffix), 1
        while not _reserve(path):
            number += 1
            path = self._path.with_name(f"{stem}_{number:03}{self._suffix}")
        return path

    def delete_old(self, written: Sequence[Path]) -> None:
        """Delete the oldest files beyond those to keep.

        The files ``written`` by this program are the newest, in their order, and the last one
        stays: a machine without a clock may find files of later times there.
        """
        if self._keep is None:
            return
        name = re.compile(
            rf"{re.escape(self._stem)}_(\d{{8,}}T\d{{6}}-\d{{3}}Z)(?:_(\d{{3,}}))?{re.escape(self._suffix)}"
        )
        found = [
            (match[1], int(match[2] or 1), path)
            for path in self._path.parent.iterdir()
            if (match := name.fullmatch(path.name))
        ]
        earlier = [path for *_, path in sorted(found) if path not in written]
        there = {path for *_, path in found}
        for path in [*earlier, *(path for path in written if path in there)][: -self._keep]:
            try:
                path.unlink()
            except OSError as error:
                _logger.warning("%s: cannot be deleted: %s", path, os.strerror(error.errno or 0))

    @property
    def _stem(self) -> str:
        return self._path.name[: len(self._path.name) - len(self._suffix)]

    def _first(self, chunk: Chunk) -> int:
        """Return the time [ns] at which a file that begins with a chunk begins."""
        if self._in_time:
            return chunk.covered_from
        return chunk.axis.at(0) if len(chunk) else chunk.start

    def _in_pieces_of_time(self, chunk: Chunk, span: int) -> Iterator[tuple[Chunk, bool]]:
        new = False
        while self._until < chunk.end:
            start = chunk.covered_from
            if start < self._until:
                yield chunk.between(start, self._until), new
                chunk, start = chunk.between(self._until, chunk.end), self._until
            self._until += ((start - self._until) // span + 1) * span
            new = True
        yield chunk, new

    def _in_pieces_of_samples(self, chunk: Chunk, span: int) -> Iterator[tuple[Chunk, bool]]:
        new = False
        while (i := chunk.axis.find(self._until)) < len(chunk):
            if i:
                yield chunk[:i], new
            chunk = chunk[i:]
            self._until += ((chunk.axis.at(0) - self._until) // span + 1) * span
            new = True
        yield chunk, new


def _reserve(path: Path) -> bool:
    """Make an empty file, which another program then does not take; return False if it has."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    except OSError as error:
        # Windows says so of a folder of that name
        if error.errno == errno.EACCES and path.exists():
            return False
        raise
    return True


def _utc(time: int) -> str:
    """Return a time [ns] as in ``20261129T215510-250Z``."""
    text = str(np.datetime64(time // 1_000_000, "ms"))
    # no dot: readers take what follows the first one for the suffix
    return text.replace("-", "").replace(":", "").replace(".", "-") + "Z"
