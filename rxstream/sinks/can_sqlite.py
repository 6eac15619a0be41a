"""CAN messages in SQLite, in the table that python-can reads."""

import sqlite3
from pathlib import Path
from typing import Any

__all__ = ["SqliteLog"]

_TABLE = """CREATE TABLE messages
    (ts REAL, arbitration_id INTEGER, extended INTEGER, remote INTEGER, error INTEGER,
     dlc INTEGER, data BLOB)"""
# rows of one transaction: a thousand commits a second would wait for the disk
_MAX_ROWS = 500


class SqliteLog:
    """Writer like python-can's SqliteWriter, which loses the messages it holds when it is stopped.

    Parameters
    ----------
    path
        Path of a file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # any thread may close a sink, but its lock keeps two from using it at a time
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute(_TABLE)
        self._rows: list[tuple[Any, ...]] = []

    def on_message_received(self, message: Any) -> None:
        """Add a message."""
        self._rows.append(
            (
                message.timestamp, message.arbitration_id, message.is_extended_id,
                message.is_remote_frame, message.is_error_frame, message.dlc, bytes(message.data),
            )
        )  # fmt: skip
        if len(self._rows) >= _MAX_ROWS:
            self._flush()

    def stop(self) -> None:
        """Write the rest and close."""
        try:
            self._flush()
        finally:
            self._connection.close()

    def _flush(self) -> None:
        with self._connection:
            self._connection.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?,?)", self._rows)
        self._rows.clear()
