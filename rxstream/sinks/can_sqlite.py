"""CAN messages in SQLite, in the table that python-can reads."""

import sqlite3
from pathlib import Path
from typing import Any

__all__ = ["SqliteLog"]

_TABLE = """CREATE TABLE messages
    (ts REAL, arbitration_id INTEGER, extended INTEGER, remote INTEGER, error INTEGER,
     dlc INTEGER, data BLOB)"""
_ROWS = 500


class SqliteLog:
    """Does what python-can's SqliteWriter does, which loses what it holds when it is stopped.

    Parameters
    ----------
    path
        Of a file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # a sink is closed by whichever thread comes first, and never used by two at a time
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
        if len(self._rows) >= _ROWS:
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
