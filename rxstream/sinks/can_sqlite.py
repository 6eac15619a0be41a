"""CAN messages in SQLite, in the table that python-can reads."""

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.formats.can import CanFlag
from rxstream.printable import get_logger

__all__ = ["SqliteLog"]

_logger = get_logger(__name__)

_TABLE = """CREATE TABLE messages
    (ts REAL, arbitration_id INTEGER, extended INTEGER, remote INTEGER, error INTEGER,
     dlc INTEGER, data BLOB)"""
_INSERT = "INSERT INTO messages VALUES (?,?,?,?,?,?,?)"
# about what a row takes [bytes]
_ROW = 64


class SqliteLog:
    """Writer of a database: each `flush` is a transaction.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[tuple[Any, ...]] = []
        # what a killed program may have left would be taken for a part of the new file
        for old in (path, *(Path(f"{path}-{kind}") for kind in ("journal", "wal", "shm"))):
            # an empty one is a name that was taken for us
            if old.exists() and old.stat().st_size:
                old.unlink(missing_ok=True)
        # opened first, for SQLite does not say why it cannot
        path.touch()
        # any thread may close a sink, but its lock keeps two from using it at a time
        self._connection = sqlite3.connect(path, check_same_thread=False)
        try:
            # a write-ahead log: transactions need not wait for the disk, and none is half done
            # after a loss of power either; where there can be none, SQLite keeps its journal
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            with self._connection:
                self._connection.execute(_TABLE)
        except sqlite3.Error as error:
            self._connection.close()
            raise _system_error(error) from error

    @property
    def waiting(self) -> int:
        """What `flush` would write, about [bytes]."""
        return _ROW * len(self._rows)

    def write(self, data: NDArray[Any], times: NDArray[np.int64]) -> None:
        """Take messages ``(n,)`` and their times [ns]."""
        self._rows += _rows_of(data, times)

    def comment(self, text: str, time: int) -> None:
        """Log a remark: there is no place for it in the table."""
        _logger.warning("%s: %s; this kind of file cannot say so", self._path, text)

    def flush(self) -> None:
        """Write what was taken."""
        if not self._rows:
            return
        try:
            with self._connection:
                self._connection.executemany(_INSERT, self._rows)
        except sqlite3.Error as error:
            raise _system_error(error) from error
        self._rows.clear()

    def end(self) -> None:
        """Write what was taken, and make it one file."""
        self.flush()
        try:
            self._connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise _system_error(error) from error

    def close(self) -> None:
        """Close the file, without what was not flushed."""
        self._connection.close()


def _rows_of(data: NDArray[Any], times: NDArray[np.int64]) -> Iterator[tuple[Any, ...]]:
    width = data["data"].shape[1] if data["data"].ndim > 1 else 0
    payloads = np.ascontiguousarray(data["data"]).tobytes()
    flags = data["flags"]
    kinds = CanFlag.EXTENDED, CanFlag.REMOTE, CanFlag.ERROR
    columns = zip(
        (times / 1e9).tolist(), data["arbitration_id"].tolist(),
        *((flags & kind != 0).tolist() for kind in kinds), data["dlc"].tolist(), strict=True,
    )  # fmt: skip
    # a remote frame has a length, but no bytes
    for i, (time, identifier, extended, remote, error, dlc) in enumerate(columns):
        payload = b"" if remote else payloads[i * width : i * width + dlc]
        yield time, identifier, extended, remote, error, dlc, payload


def _system_error(error: sqlite3.Error) -> OSError:
    """Return SQLite's error as one of the operating system."""
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return OSError(errno.ENOSPC if full else errno.EIO, str(error))
