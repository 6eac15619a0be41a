"""can_log: write CAN messages to a log file through python-can (``rxstream[can]``)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, format_time
from rxstream.errors import ChunkError, ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag
from rxstream.optional import import_optional
from rxstream.printable import get_logger
from rxstream.sinks.can_blf import BlfLog
from rxstream.sinks.can_sqlite import SqliteLog
from rxstream.sinks.can_text import TextLog
from rxstream.sinks.file_sink import FileSink, FileWriter
from rxstream.sinks.paths import path_to_write

__all__ = ["can_log"]

_logger = get_logger(__name__)

_SUFFIXES = (".asc", ".blf", ".csv", ".db", ".log", ".trc", ".txt")
# these are written over, which a gzip stream cannot be
_NOT_ZIPPED = (".blf", ".db")
_FIELDS = frozenset(CAN_DTYPE.names or ())
# `CanFlag` bits: a file of this kind cannot hold messages with one of these
_UNFIT = {".trc": CanFlag.REMOTE | CanFlag.ERROR | CanFlag.FD}
# What waits in memory to be written [bytes], some 150 messages: so little that a log that is
# written faster than time, a replay, loses a moment only as well.
_MAX_WAITING = 8 * 1024
# messages packed at a time: a chunk of very many comes in pieces
_MAX_MESSAGES = 1024


class can_log(FileSink):  # noqa: N801 - used like a function
    """Write CAN messages to a log file, of the kind that its suffix says.

    ========= ==========================================================================
    suffix    what it holds
    ========= ==========================================================================
    ``.blf``  everything, times to 1 µs; Vector's, small; the one to choose
    ``.asc``  everything but the data of error frames; times count from the first message;
              read and written as text
    ``.log``  everything but the data of error frames and the length of remote ones; candump
    ``.csv``  not: CAN FD, channel, whether received
    ``.db``   as ``.csv``; SQLite
    ``.trc``  not: CAN FD, remote and error frames (these messages are left out with
              a warning, and ``unfit`` counts them); counts channels from 1; PEAK's
    ``.txt``  for people; cannot be read back
    ========= ==========================================================================

    What came more than a second before can be read, whenever the program is killed: text ends with
    a whole line, a ``.gz`` with a complete gzip stream, ``.blf`` with a container that its header
    counts, ``.db`` with a transaction. MF4 can be read only when it has been closed in order, so it
    is not written: write ``.blf``, and convert it with ``can_logconvert drive.blf drive.mf4``.

    ``.gz`` may follow all but ``.blf`` and ``.db``. Any of them but ``.txt`` can be read again by
    ``Can(path)``. Samples decoded by a database are written as the messages they came from.

    A gap is a comment in ``.asc`` and ``.trc``, and a marker in ``.blf``; other kinds of file have
    none, so there it is logged. ``lost`` counts the missing messages in any case.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced when the first chunk comes.
    rotate
        Start a new file after this time of samples [s]; the names then have the UTC time of the
        first message, ``drive_20261129T215510-250Z.blf``. None: one file.
    keep
        With ``rotate``: files to keep; older ones are deleted. None: all.

    Raises
    ------
    ParameterError
        If the suffix is not one of these, there is no such folder, or an argument is invalid.
    SinkError
        While it writes, e.g. if the disk is full, or the file was removed.
    MissingExtraError
        If python-can is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from rxstream import Chunk, Device
    >>> from rxstream.devices.can import Can
    >>> path = tempfile.mkdtemp() + "/drive.blf"
    >>> info = Can("can0", interface="virtual").info
    >>> messages = np.zeros(2, info.dtype)
    >>> messages["arbitration_id"] = 0x123, 0x124
    >>> with can_log(path) as sink:
    ...     sink.on_next(Chunk.stamped(messages, [1_000_000_000, 1_500_000_000], info))
    >>> log = Device(Can(path))
    >>> _ = log.subscribe(lambda chunk: print([hex(i) for i in chunk.data["arbitration_id"]]))
    >>> with log:
    ...     log.wait(10)
    ['0x123', '0x124']
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rotate: Duration | None = None,
        keep: int | None = None,
    ) -> None:
        suffixes = [suffix.lower() for suffix in path_to_write(path).suffixes]
        self._zipped = suffixes[-1:] == [".gz"]
        self._kind = "".join(suffixes[:-1][-1:] if self._zipped else suffixes[-1:])
        _check_kind(path, self._kind, zipped=self._zipped)
        suffix = "".join(suffixes[-2:] if self._zipped else suffixes[-1:])
        super().__init__(path, rotate=rotate, keep=keep, suffix=suffix)
        self._can = import_optional("can", extra="can")
        self._unfit = 0

    @property
    def unfit(self) -> int:
        """Messages left out because this kind of file cannot hold them."""
        return self._unfit

    def open_file(self, path: Path, chunk: Chunk) -> FileWriter:
        """Open a file."""
        if not set(chunk.data.dtype.names or ()) >= _FIELDS:
            msg = (
                f"can_log writes messages of rxstream.devices.can.Can, not {chunk.info.name} "
                f"({chunk.data.dtype}); for other streams there are csv, wav and video"
            )
            raise ChunkError(msg)
        log: _Log
        if self._kind == ".db":
            log = SqliteLog(path)
        elif self._kind == ".blf":
            log = BlfLog(path)
        else:
            log = TextLog(self._can, path, self._kind, zipped=self._zipped)
        return _LogWriter(log, _UNFIT.get(self._kind, 0), self._leave_out)

    def _leave_out(self, flags: NDArray[np.uint8]) -> None:
        """Count messages that this kind of file cannot hold; the first is logged."""
        if not self._unfit:
            first = int(flags[0])
            remote, error = first & CanFlag.REMOTE, first & CanFlag.ERROR
            kind = "remote" if remote else "error" if error else "CAN FD"
            _logger.warning(
                "%s: this kind of file cannot hold %s messages: they are left out, see .unfit; "
                "write .blf to have all", self.name, kind,
            )  # fmt: skip
        self._unfit += len(flags)


class _Log(Protocol):
    """A file of one format; what it takes waits in memory until `flush`."""

    @property
    def waiting(self) -> int: ...
    def write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None: ...
    def comment(self, text: str, time: int) -> None: ...
    def flush(self) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...


class _LogWriter:
    """Writes chunks to a log."""

    def __init__(
        self, log: _Log, unfit: int, leave_out: Callable[[NDArray[np.uint8]], None]
    ) -> None:
        self._log, self._unfit, self._leave_out = log, unfit, leave_out
        self._taken = 0
        self._failed = False
        self.samples = 0

    def write(self, chunk: Chunk) -> None:
        data, done = chunk.data, 0
        times = chunk.time
        for at, gap in chunk.gap_positions:
            self._put(data[done:at], times[done:at])
            text = f"rxstream: {gap}, until {format_time(gap.end)} UTC"
            self._log.comment(text, gap.end)
            done = at
        self._put(data[done:], times[done:])

    def flush(self) -> None:
        self._do(self._log.flush)

    def close(self) -> None:
        try:
            # a disk that was full takes no last line either
            if not self._failed:
                self._do(self._log.end)
        finally:
            self._log.close()

    def _put(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        unfit = data["flags"] & self._unfit != 0
        if unfit.any():
            self._leave_out(data["flags"][unfit])
            data, times = data[~unfit], times[~unfit]
        for i in range(0, len(data), _MAX_MESSAGES):
            self._log.write(data[i : i + _MAX_MESSAGES], times[i : i + _MAX_MESSAGES])
            self._taken += len(data[i : i + _MAX_MESSAGES])
            if self._log.waiting >= _MAX_WAITING:
                self.flush()

    def _do(self, write: Callable[[], None]) -> None:
        try:
            write()
        except BaseException:
            self._failed = True
            raise
        self.samples = self._taken


def _check_kind(path: object, kind: str, *, zipped: bool) -> None:
    if kind == ".mf4":
        msg = (
            f"can_log: {str(path)!r}: an MF4 file can be read only when it has been closed in "
            "order, and a killed program would leave nothing; write .blf, and convert it: "
            "can_logconvert drive.blf drive.mf4"
        )
        raise ParameterError(msg)
    if kind not in _SUFFIXES or (zipped and kind in _NOT_ZIPPED):
        msg = (
            f"can_log: {str(path)!r} must end with one of {', '.join(_SUFFIXES)}, and .gz "
            f"may follow, but not on {' or '.join(_NOT_ZIPPED)}"
        )
        raise ParameterError(msg)
