"""can_log: write CAN messages to a log file through python-can (``rxstream[can]``)."""

import logging
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag, unpack
from rxstream.optional import import_optional
from rxstream.sinks.base import Sink
from rxstream.sinks.can_sqlite import SqliteLog
from rxstream.sinks.paths import path_to_write

__all__ = ["can_log"]

_logger = logging.getLogger(__name__)

_SUFFIXES = (".asc", ".blf", ".csv", ".db", ".log", ".mf4", ".trc", ".txt")
# python-can seeks in these, which it cannot in a gzip stream
_NOT_ZIPPED = (".blf", ".db")
_FIELDS = frozenset(CAN_DTYPE.names or ())


class _Format(NamedTuple):
    """Limits of a kind of file."""

    unfit: int = 0
    """`CanFlag` bits: it cannot hold messages with one of these."""
    comment: str | None = None
    """Template of a comment, or None if it can have none."""


_FORMATS = {
    ".asc": _Format(comment="// {}"),
    ".blf": _Format(comment="{}"),
    ".trc": _Format(CanFlag.REMOTE | CanFlag.ERROR | CanFlag.FD, "; {}"),
}


class can_log(Sink):  # noqa: N801 - used like a function
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
    ``.mf4``  everything; needs asammdf
    ``.txt``  for people; cannot be read back
    ========= ==========================================================================

    ``.gz`` may follow all but ``.blf`` and ``.db``. Any of them but ``.txt`` can be read again by
    ``Can(path)``. Samples decoded by a database are written as the messages they came from.

    A gap is a comment in ``.asc`` and ``.trc``, and a marker in ``.blf``; other kinds of file have
    none, so there it is logged. ``lost`` counts the missing messages in any case.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced when the first chunk comes.

    Raises
    ------
    ParameterError
        If the suffix is not one of these, or there is no such folder.
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

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_to_write(path)
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        zipped = suffixes[-1:] == [".gz"]
        kind = "".join(suffixes[:-1][-1:] if zipped else suffixes[-1:])
        if kind not in _SUFFIXES or (zipped and kind in _NOT_ZIPPED):
            msg = (
                f"can_log: {str(path)!r} must end with one of {', '.join(_SUFFIXES)}, and .gz "
                f"may follow, but not on {' or '.join(_NOT_ZIPPED)}"
            )
            raise ParameterError(msg)
        super().__init__(str(self.path))
        self._can = import_optional("can", extra="can")
        self._format = _FORMATS.get(kind, _Format())
        self._writer: Any = None
        self._unfit = 0

    @property
    def unfit(self) -> int:
        """Messages left out because this kind of file cannot hold them."""
        return self._unfit

    def start(self, chunk: Chunk) -> None:
        """Open the file."""
        if not set(chunk.data.dtype.names or ()) >= _FIELDS:
            msg = (
                f"can_log writes messages of rxstream.devices.can.Can, not {chunk.info.name} "
                f"({chunk.data.dtype}); for other streams there are csv, wav and video"
            )
            raise ChunkError(msg)
        self.path.unlink(missing_ok=True)
        if self.path.suffix.lower() == ".db":
            self._writer = SqliteLog(self.path)
        else:
            self._writer = self._can.Logger(str(self.path))

    def write(self, chunk: Chunk) -> None:
        """Write messages, and a comment for each gap."""
        data, done = chunk.data, 0
        times = chunk.time
        for at, gap in chunk.gap_positions:
            self._write(data[done:at], times[done:at])
            self._comment(gap)
            done = at
        self._write(data[done:], times[done:])

    def finish(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.stop()

    def _write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        unfit = data["flags"] & self._format.unfit != 0
        if unfit.any():
            self._leave_out(data["flags"][unfit])
            data, times = data[~unfit], times[~unfit]
        for message in unpack(self._can, data, times):
            self._writer.on_message_received(message)

    def _leave_out(self, flags: NDArray[np.uint8]) -> None:
        if not self._unfit:
            first = int(flags[0])
            remote, error = first & CanFlag.REMOTE, first & CanFlag.ERROR
            kind = "remote" if remote else "error" if error else "CAN FD"
            _logger.warning(
                "%s: this kind of file cannot hold %s messages: they are left out, see .unfit; "
                "write .blf to have all", self.name, kind,
            )  # fmt: skip
        self._unfit += len(flags)

    def _comment(self, gap: Gap) -> None:
        text = f"rxstream: {gap}, until {format_time(gap.end)} UTC"
        if self._format.comment is None:
            _logger.warning("%s: %s; this kind of file cannot say so", self.name, text)
            return
        self._writer.log_event(self._format.comment.format(text), gap.end / 1e9)
