"""Can on log files that hold something else: one error that names the file and the cause."""

import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest

from rxstream.devices.can import Can
from rxstream.errors import EndOfStream, FormatError, OverrunError, RxStreamError, StampError
from rxstream.formats.can import pack
from rxstream.sinks.can_sqlite import SqliteLog

COUNT = 200
SUFFIXES = ["asc", "asc.gz", "blf", "csv", "db", "log", "trc"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a log of each kind."""
    folder = tmp_path_factory.mktemp("logs")
    items = [
        can.Message(timestamp=1.7e9 + k / 1000, arbitration_id=k, data=[k] * 8, channel=0)
        for k in range(COUNT)
    ]
    for suffix in SUFFIXES:
        path = folder / f"whole.{suffix}"
        if suffix == "db":
            # python-can's own writer for SQLite loses what it has not written when it is stopped
            log = SqliteLog(path)
            log.write(pack(items), np.array([round(item.timestamp * 1e9) for item in items]))
            log.end()
            log.close()
            continue
        with can.Logger(str(path)) as logger:
            for item in items:
                logger.on_message_received(item)
    return {suffix: (folder / f"whole.{suffix}").read_bytes() for suffix in SUFFIXES}


def outcome(path: Path) -> tuple[int, Exception | None, list[str]]:
    """Return how many messages a log gives, its error, and what was reported besides."""
    count = 0
    reported: list[Exception] = []
    over = threading.Event()

    def take(reading: Any) -> None:
        nonlocal count
        count += len(reading.data)

    def fail(error: Exception) -> None:
        reported.append(error)
        if not isinstance(error, OverrunError | StampError):
            over.set()

    try:
        close = Can(path).open(take, fail)
    except RxStreamError as error:
        return count, error, []
    assert over.wait(20)
    close()
    *faults, end = reported
    return count, None if isinstance(end, EndOfStream) else end, [str(fault) for fault in faults]


def check(path: Path) -> int:
    """A log ends as it should, or with one error that names the file; return its messages."""
    count, error, faults = outcome(path)
    if error is not None:
        assert type(error) is FormatError
        assert path.name in str(error)
        # for people, and not a whole file of bytes
        assert len(str(error)) < 200 + len(str(path))
    assert all(str(path) in fault for fault in faults)
    return count


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_one_is_read(suffix: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"drive.{suffix}"
    path.write_bytes(whole[suffix])
    assert outcome(path) == (COUNT, None, [])


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(a, b) for a in SUFFIXES for b in ["empty", "noise", *SUFFIXES] if a != b],
)
def test_another_content_is_no_log(
    suffix: str, content: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"drive.{suffix}"
    given = {"empty": b"", "noise": random.Random(5).randbytes(9000)} | whole
    path.write_bytes(given[content])
    assert check(path) == 0
    assert outcome(path)[1] is not None


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_one(suffix: str, seed: int, whole: dict[str, bytes], tmp_path: Path) -> None:
    random_ = random.Random(seed)
    content = bytearray(whole[suffix])
    at = random_.randrange(len(content))
    for name, damaged in {
        "cut": content[:at],
        "noisy": content[:at] + random_.randbytes(len(content) - at),
        "garbled": garble(content, random_),
    }.items():
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(damaged)
        assert check(path) <= COUNT


def garble(content: bytearray, random_: random.Random) -> bytearray:
    garbled = content.copy()
    for _ in range(random_.choice([1, 5, 50])):
        # of text, so that it remains text
        garbled[random_.randrange(len(garbled))] = random_.randrange(32, 127)
    return garbled


# What SQLite holds in any column; the message with it is the last that is looked at.
WRONG = [
    *[("arbitration_id", value) for value in (None, "x", b"\xff", 1e30, -5, 2**40)],
    *[("dlc", value) for value in ("x", b"\xff", 1e30, -5, 2**40)],
    *[("data", value) for value in ("x", 1e30, -5)],
    *[("ts", value) for value in ("x", b"\xff")],
]


@pytest.mark.parametrize(("column", "value"), WRONG)
@pytest.mark.parametrize("row", [1, 120])
def test_a_wrong_value_in_sqlite(
    column: str, value: object, row: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "drive.db"
    path.write_bytes(whole["db"])
    change(path, f"UPDATE messages SET {column} = ? WHERE rowid = ?", value, row)
    assert check(path) == row - 1
    error = outcome(path)[1]
    beyond = f"beyond message {row - 1}" if row > 1 else "as a CAN log"
    assert f"cannot be read {beyond}: " in str(error)
    if column != "data":
        assert str(error).endswith(repr(value))


@pytest.mark.parametrize("value", [None, float("inf"), 1e30, -5])
def test_a_time_out_of_line_in_sqlite(
    value: object, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "drive.db"
    path.write_bytes(whole["db"])
    change(path, "UPDATE messages SET ts = ? WHERE rowid = 120", value)
    count, error, (fault,) = outcome(path)
    assert (count, error) == (COUNT, None)
    assert "of message 120 is out of line" in fault


@pytest.mark.parametrize("column", ["ts", "arbitration_id", "dlc", "data"])
def test_a_column_is_lacking_in_sqlite(
    column: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "drive.db"
    path.write_bytes(whole["db"])
    change(path, f"ALTER TABLE messages DROP COLUMN {column}")
    assert check(path) == 0
    assert isinstance(outcome(path)[1], FormatError)


def change(path: Path, statement: str, *values: object) -> None:
    """Change the messages, in a table without the checks of the one of old."""
    connection = sqlite3.connect(path)
    for each in (
        "CREATE TABLE plain AS SELECT * FROM messages",
        "DROP TABLE messages",
        "ALTER TABLE plain RENAME TO messages",
    ):
        connection.execute(each)
    connection.execute(statement, values)
    connection.commit()
    connection.close()
