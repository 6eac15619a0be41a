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
from rxstream.optional import import_optional
from rxstream.sinks.base import Sink, path_to_write
from rxstream.sinks.can_sqlite import SqliteLog

__all__ = ["CanLogSink", "can_log"]

_logger = logging.getLogger(__name__)

_SUFFIXES = (".asc", ".blf", ".csv", ".db", ".log", ".mf4", ".trc", ".txt")
_NOT_ZIPPED = (".blf", ".db")  # python-can seeks in them
_FIELDS = {"arbitration_id", "dlc", "data", "flags", "channel"}
# bits of the field "flags", as rxstream.devices.can.CanFlag has them
_EXTENDED, _REMOTE, _ERROR, _FD, _BRS, _ESI, _RX = (1 << k for k in range(7))
_NOT_IN_TRC = _REMOTE | _ERROR | _FD


class _Format(NamedTuple):
    """What a kind of file cannot hold."""

    unfit: int = 0
    """Messages with one of these flags."""
    comment: str | None = None
    """How a remark is written, or None if there is no way."""


_FORMATS = {
    ".asc": _Format(comment="// {}"),
    ".blf": _Format(comment="{}"),
    ".trc": _Format(_NOT_IN_TRC, "; {}"),
}


class CanLogSink(Sink):
    """Made by `can_log`."""

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
        """Write messages, and remarks where some are missing."""
        data, done = chunk.data, 0
        times = chunk.time
        for at, gap in chunk.gap_positions:
            self._write(data[done:at], times[done:at])
            self._remark(gap)
            done = at
        self._write(data[done:], times[done:])

    def finish(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.stop()

    def _write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        write, make = self._writer.on_message_received, self._can.Message
        unfit = self._format.unfit
        rows = zip(
            times.tolist(), data["arbitration_id"].tolist(), data["dlc"].tolist(),
            data["flags"].tolist(), data["channel"].tolist(), data["data"], strict=True,
        )  # fmt: skip
        for time, identifier, dlc, flags, channel, payload in rows:
            if flags & unfit:
                self._leave_out(flags)
                continue
            message = make(
                timestamp=time / 1e9,
                arbitration_id=identifier,
                is_extended_id=bool(flags & _EXTENDED),
                is_remote_frame=bool(flags & _REMOTE),
                is_error_frame=bool(flags & _ERROR),
                is_fd=bool(flags & _FD),
                bitrate_switch=bool(flags & _BRS),
                error_state_indicator=bool(flags & _ESI),
                is_rx=bool(flags & _RX),
                channel=channel,
                dlc=dlc,
                data=payload[:dlc].tobytes(),
            )
            write(message)

    def _leave_out(self, flags: int) -> None:
        self._unfit += 1
        if self._unfit == 1:
            kind = "remote" if flags & _REMOTE else "error" if flags & _ERROR else "CAN FD"
            _logger.warning(
                "%s: this kind of file cannot hold %s messages: they are left out, see .unfit; "
                "write .blf to have all", self.name, kind,
            )  # fmt: skip

    def _remark(self, gap: Gap) -> None:
        text = f"rxstream: {gap}, until {format_time(gap.end)} UTC"
        if self._format.comment is None:
            _logger.warning("%s: %s; this kind of file cannot say so", self.name, text)
            return
        self._writer.log_event(self._format.comment.format(text), gap.end / 1e9)


def can_log(path: str | os.PathLike[str]) -> CanLogSink:
    """Write CAN messages to a log file, of the kind that its suffix says.

    ========= ==========================================================================
    suffix    what it holds
    ========= ==========================================================================
    ``.blf``  everything, times to 1 µs; Vector's, small; the one to choose
    ``.asc``  everything but what error frames say; times count from the first message;
              read and written as text
    ``.log``  everything but what error frames say, and the length of remote frames; candump
    ``.csv``  not: CAN FD, channel, whether received
    ``.db``   as ``.csv``; SQLite
    ``.trc``  not: CAN FD, remote and error frames (these messages are left out, the log
              says so, and ``unfit`` counts them); counts channels from 1; PEAK's
    ``.mf4``  everything; needs asammdf
    ``.txt``  for people; cannot be read back
    ========= ==========================================================================

    ``.gz`` may follow all but ``.blf`` and ``.db``. Any of them but ``.txt`` can be read again by
    ``Can(path)``. Samples decoded by a database are written as the messages they came from.

    Gaps are a remark in the file, in ``.blf`` (a marker), ``.asc`` and ``.trc`` (a comment); the
    others have no room for one, there the log says it. ``lost`` has their number in any case.

    Parameters
    ----------
    path
        Of the file; one that exists is replaced when the first chunk comes.

    Raises
    ------
    ParameterError
        If the suffix is none of these, or there is no such folder.
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
    return CanLogSink(path)
