"""`FileSink`: the base of sinks that write files, which survive the end of their program."""

import os
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Protocol

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration
from rxstream.errors import ChunkError, RxStreamError, SinkError
from rxstream.printable import first_time_logged, get_logger
from rxstream.sinks.base import Sink
from rxstream.sinks.paths import claim, explain, identity, path_to_write, release
from rxstream.sinks.rotation import Rotation

__all__ = ["FileSink", "FileWriter"]

_logger = get_logger(__name__)

# How often a file is made readable [s]: half of the second that a kill may cost, for a flush and a
# busy machine take their time too.
_INTERVAL = 0.5
# How long the thread that flushes waits for a write; one under way flushes after itself [s].
_SHORT = 0.1


class FileWriter(Protocol):
    """One open file of a format; one thread at a time calls it."""

    @property
    def samples(self) -> int:
        """Samples in the file that a reader gets, also after an error."""
        ...

    def write(self, chunk: Chunk) -> None:
        """Write the next chunk.

        Raises
        ------
        OSError
            With its ``errno``; `FileSink` adds path and remedy.
        """
        ...

    def flush(self) -> None:
        """Make all that was written readable, were the program killed now."""
        ...

    def close(self) -> None:
        """Complete the file, or after an error what there is of it; close it whatever happens."""
        ...


class FileSink(Sink):
    """A sink that writes files of a format.

    What came more than a second before is readable by the usual readers of the format, whenever the
    program is killed (SIGKILL, SIGTERM, SIGHUP); a loss of power may cost what the operating system
    had not put on disk yet. Only one open sink in a process writes to a path. A file that is
    removed, moved or replaced meanwhile ends the sink with an error, within a second.

    An author writes `open_file`, whose writers need not think of threads, rotation, paths, other
    sinks, or errors of the operating system: these get path, cause and remedy here.

    Parameters
    ----------
    path
        Path of the file, with one of `suffixes`; an existing file is replaced when the first chunk
        comes.
    rotate, keep
        See `rxstream.sinks.rotation.Rotation`.
    suffix
        What follows the time in the names of files that are rotated; None: the path's suffix.
    fills_gaps
        Whether gaps become samples.

    Raises
    ------
    ParameterError
        If nothing can be written to the path, or an argument is invalid.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes that the path may have, in lower case; none: any."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rotate: Duration | None = None,
        keep: int | None = None,
        suffix: str | None = None,
        fills_gaps: bool = False,
    ) -> None:
        # absolute, for the program may change its folder while it writes
        self.path = path_to_write(path, *self.suffixes).absolute()
        super().__init__(str(self.path))
        self._rotation = Rotation(self.path, rotate, keep, suffix=suffix, in_time=fills_gaps)
        self._current = self.path
        # a new file is to be opened when something comes for it
        self._next_due = False
        # samples of complete files, and the open one: changed at once, for who reads `samples`
        self._state: tuple[int, FileWriter | None] = 0, None
        self._identity: tuple[int, int] | None = None
        self._flushed = 0.0
        # of the open file, after the last flush [bytes]
        self._size: int | None = None
        self._dirty = False
        self.files: list[Path] = []
        """Paths of the files written, in order; with ``keep`` the first are deleted."""

    # -- for the author -----------------------------------------------------------------------

    @abstractmethod
    def open_file(self, path: Path, chunk: Chunk) -> FileWriter:
        """Open a file, which the first samples of a chunk will go to; called for each file.

        Raises
        ------
        ChunkError, ParameterError
            If the format cannot hold the stream, or would not survive a kill: with the remedy.
        OSError
            With its ``errno``.
        """

    def begin_file(self) -> None:
        """Let what is written next begin a new file, whose name has its time."""
        self._next_due = True

    def paths(self) -> tuple[Path, ...]:
        """Return all paths that no other sink may write to."""
        return (self.path,)

    # -- for the user -------------------------------------------------------------------------

    @property
    def samples(self) -> int:
        """Samples in the files that a reader gets."""
        before, writer = self._state
        return before + (0 if writer is None else writer.samples)

    # -- a sink -------------------------------------------------------------------------------

    def on_subscribe(self) -> None:
        """Take the only subscription, and the path.

        Raises
        ------
        ParameterError
            If another open sink writes to the path.
        """
        claim(self.paths(), self, self.name)
        try:
            super().on_subscribe()
        except RxStreamError:
            if self.closed:
                release(self)
            raise

    def start(self, chunk: Chunk) -> None:
        """Open the first file."""
        info = chunk.info
        if info.dtype.hasobject:
            msg = (
                f"{self.name}: samples of {info.name} are Python objects ({info.dtype}), which no "
                "file holds; make numbers or text of them first, with ops.map_data, or where they "
                "are read"
            )
            raise ChunkError(msg)
        claim(self.paths(), self, self.name)
        self._open(self._rotation.begin, chunk)
        threading.Thread(
            target=_keep_readable,
            args=(weakref.ref(self), self._done),
            name=f"rxstream-{self.path.name}-flush",
            daemon=True,
        ).start()

    def write(self, chunk: Chunk) -> None:
        """Write a chunk to its file, or in pieces to several."""
        for piece, new in self._rotation.pieces(chunk):
            self._next_due |= new
            if not len(piece) and not piece.gap_positions:
                continue
            if self._next_due:
                self._close_file()
                self._open(self._rotation.path_for, piece)
            writer = self._state[1]
            if writer is not None:
                with self._explained():
                    if not self._dirty:
                        self._check_there()
                    self._dirty = True
                    writer.write(piece)
        if time.monotonic() - self._flushed >= _INTERVAL:
            self._flush()

    def finish(self) -> None:
        """Complete the last file."""
        try:
            self._close_file()
        finally:
            release(self)

    # -- inside -------------------------------------------------------------------------------

    def _open(self, path_for: Callable[[Chunk], Path], chunk: Chunk) -> None:
        try:
            path = path_for(chunk)
        except OSError as error:
            raise explain(error, Path(error.filename or self.path)) from error
        self._next_due, self._current = False, path
        # one with the time in its name was made for us
        is_new = path != self.path or identity(path) is None
        try:
            with self._explained():
                writer = self.open_file(path, chunk)
        except BaseException:
            if is_new:
                _remove_empty(path)
            raise
        self.files.append(path)
        self._state = self._state[0], writer
        self._identity = identity(path)
        self._dirty, self._flushed = True, time.monotonic()
        self._rotation.delete_old(self.files)

    def _close_file(self) -> None:
        before, writer = self._state
        if writer is None:
            return
        try:
            with self._explained():
                self._check_there()
        finally:
            try:
                with self._explained():
                    writer.close()
            finally:
                self._state = before + writer.samples, None

    def _flush(self) -> None:
        """Make what was written readable; see that the file is still there."""
        writer = self._state[1]
        if writer is None:
            return
        with self._explained():
            self._check_there()
            if self._dirty:
                writer.flush()
        self._dirty, self._flushed = False, time.monotonic()
        self._size = _size(self._current)

    def _check_there(self) -> None:
        path = self._current
        found = identity(path)
        if self._identity is None:
            # some formats open their file later
            self._identity = found
        elif found != self._identity:
            msg = (
                f"{path}: was removed, moved or replaced while it was written; make a new sink, "
                "and leave its file there"
            )
            self._identity = None
            raise SinkError(msg)
        # formats look at it themselves while they write
        elif not self._dirty and (size := _size(path)) != self._size:
            msg = (
                f"{path}: has {size} bytes where {self._size} were written: another program has "
                "cut it, or writes to it; make a new sink, and leave its file to it alone"
            )
            # said once
            self._dirty = True
            raise SinkError(msg)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RxStreamError:
            raise
        except OSError as error:
            raise explain(error, self._current) from error

    def _tick(self) -> None:
        """Flush for a stream that is silent; called each `_INTERVAL` in a thread of its own."""
        if not self._guard.acquire(timeout=_SHORT):
            return
        try:
            if self._done.is_set():
                return
            try:
                self._flush()
            except Exception as error:
                if isinstance(error, SinkError):
                    # it says path, cause and remedy; whoever raises it again logs it no more
                    if first_time_logged(error):
                        _logger.error("%s", error)
                else:
                    _logger.exception("%s", error)
                self._give_up(error)
                self._unraised = error
        finally:
            self._guard.release()


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None if it is none of a disk, or not there."""
    with suppress(OSError):
        if path.is_file():
            return path.stat().st_size
    return None


def _remove_empty(path: Path) -> None:
    """Remove a file whose beginning could not be written: no reader takes it."""
    with suppress(OSError):
        if path.is_file() and not path.stat().st_size:
            path.unlink()


def _keep_readable(ref: "weakref.ref[FileSink]", done: threading.Event) -> None:
    # weak, so that a sink that is dropped without being closed does not live for ever
    while not done.wait(_INTERVAL):
        sink = ref()
        if sink is None:
            return
        sink._tick()  # noqa: SLF001 - its own thread
        del sink
