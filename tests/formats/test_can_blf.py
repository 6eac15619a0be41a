"""BLF: two readers that others wrote get every field of what we pack."""

from collections import Counter
from pathlib import Path

import can
import numpy as np
import pytest
from vblf.reader import BlfReader

from rxstream.formats.can import CAN_DTYPE, CanFlag, pack, unpack
from rxstream.formats.can_blf import pack_marker, pack_messages
from rxstream.sinks.can_blf import BlfLog

START = 1_700_000_000_123_456_789
F = CanFlag


def messages(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return messages of every kind, with every length, and their times [ns]."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, CAN_DTYPE)
    kinds = [F(0), F.REMOTE, F.ERROR, F.FD, F.FD | F.BRS, F.FD | F.ESI, F.FD | F.BRS | F.ESI]
    for row in rows:
        kind = kinds[rng.integers(len(kinds))]
        extended = F.EXTENDED if rng.integers(2) else F(0)
        row["flags"] = kind | extended | (F.RX if rng.integers(2) or kind & F.ERROR else F(0))
        row["arbitration_id"] = rng.integers(1 << 29 if extended else 1 << 11)
        lengths = [*range(9), 12, 16, 20, 24, 32, 48, 64] if kind & F.FD else range(9)
        row["dlc"] = rng.choice(lengths)
        row["channel"] = rng.integers(300)
        if not kind & F.REMOTE:
            row["data"][: row["dlc"]] = rng.integers(256, size=row["dlc"])
    return rows, START + np.cumsum(rng.integers(0, 10**9, count))


def write(path: Path, rows: np.ndarray, times: np.ndarray, cuts: list[int]) -> BlfLog:
    log = BlfLog(path)
    for part in np.split(np.arange(len(rows)), cuts):
        log.write(rows[part], times[part])
        log.flush()
    return log


@pytest.mark.parametrize("seed", range(5))
def test_python_can_reads_every_field(tmp_path: Path, seed: int) -> None:
    rows, times = messages(seed, 300)
    log = write(tmp_path / "a.blf", rows, times, [1, 20, 20, 250])
    with can.BLFReader(tmp_path / "a.blf") as reader:
        found = list(reader)
        assert reader.object_count == 300
        assert reader.file_size == (tmp_path / "a.blf").stat().st_size
    log.close()
    np.testing.assert_array_equal(pack(found), rows)
    stamps = np.array([message.timestamp for message in found])
    # python-can's times are floats of seconds
    assert np.abs(stamps - times / 1e9).max() < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_a_reader_by_the_letter_of_the_format_reads_every_field(tmp_path: Path, seed: int) -> None:
    rows, times = messages(seed, 300)
    log = write(tmp_path / "a.blf", rows, times, [100])
    log.comment("7 lost", int(times[-1]))
    log.end()
    log.close()
    with BlfReader(tmp_path / "a.blf") as reader:
        *found, marker = list(reader)
        head = reader.file_statistics
    assert (head.object_count, head.file_size) == (301, (tmp_path / "a.blf").stat().st_size)
    assert marker.group_name.rstrip() == "7 lost"
    zero = times[0] // 1_000_000 * 1_000_000
    assert [one.header.object_time_stamp for one in found] == (times - zero).tolist()
    assert [one.channel - 1 for one in found] == rows["channel"].tolist()
    ids = rows["arbitration_id"] | np.where(rows["flags"] & F.EXTENDED, 1 << 31, 0)
    assert [one.frame_id for one in found] == ids.tolist()
    for one, row in zip(found, rows, strict=True):
        assert one.data[: row["dlc"]] == row["data"][: min(row["dlc"], len(one.data))].tobytes()
    kinds = Counter(type(one).__name__ for one in found)
    error = rows["flags"] & F.ERROR != 0
    fd = rows["flags"] & F.FD != 0
    assert kinds == {
        "CanErrorFrameExt": error.sum(), "CanFdMessage": fd.sum(),
        "CanMessage": (~error & ~fd).sum(),
    }  # fmt: skip


def test_a_file_of_python_can_holds_the_same_messages(tmp_path: Path) -> None:
    rows, times = messages(9, 300)
    with can.Logger(tmp_path / "theirs.blf") as logger:
        for message in unpack(can, rows, times):
            logger.on_message_received(message)
    write(tmp_path / "ours.blf", rows, times, []).close()
    ours, theirs = (list(can.LogReader(tmp_path / f"{who}.blf")) for who in ("ours", "theirs"))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.equals(b, timestamp_delta=1e-6)


def test_objects_need_no_padding() -> None:
    rows, times = messages(3, 50)
    assert len(pack_messages(rows, times, START)) % 4 == 0
    for n in range(9):
        assert len(pack_marker("x" * n, START, START)) % 4 == 0
    assert pack_messages(rows[:0], times[:0], START) == b""
