"""can_log: every kind of log, what it cannot hold, and gaps."""

import sys
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from fakes import eventually, ramp

from rxstream import Chunk, Device, Gap, concat
from rxstream.devices.can import CAN_DTYPE, Can, CanFlag
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.sinks import can_log

pytestmark = pytest.mark.slow

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
INFO = Can("can0", interface="virtual").info
F = CanFlag
PLAIN = [F.RX, F.EXTENDED | F.RX]
ALL = [
    *PLAIN, F(0), F.REMOTE | F.RX, F.FD | F.RX, F.FD | F.BRS | F.ESI | F.EXTENDED | F.RX,
]  # fmt: skip


def messages(count: int, kinds: list[CanFlag], start: int = START, **gap_positions: Any) -> Chunk:
    """Return messages of these kinds in turn, 10 ms apart."""
    rng = np.random.default_rng(count)
    data = np.zeros(count, CAN_DTYPE)
    data["flags"] = [kinds[i % len(kinds)] for i in range(count)]
    data["channel"] = np.arange(count) % 2
    for row in data:
        extended = row["flags"] & F.EXTENDED
        row["arbitration_id"] = rng.integers(1 << 29 if extended else 1 << 11)
        row["dlc"] = 64 if row["flags"] & F.FD else rng.integers(9)
        if not row["flags"] & F.REMOTE:
            row["data"][: row["dlc"]] = rng.integers(256, size=row["dlc"])
    times = start + np.arange(count) * SECOND // 100
    return Chunk.stamped(data, times, INFO, **gap_positions)


def read(path: Path) -> Chunk:
    chunks: list[Chunk] = []
    device = Device(Can(path))
    device.subscribe(chunks.append)
    with device:
        assert device.wait(10)
    return concat(chunks)


@pytest.mark.parametrize(
    ("suffix", "kinds", "unheld"),
    [
        ("blf", ALL, ""),
        ("asc", ALL, ""),
        ("asc.gz", ALL, ""),
        ("log", [*PLAIN, F(0), F.FD | F.RX, F.FD | F.BRS | F.ESI | F.EXTENDED | F.RX], ""),
        ("csv", [*PLAIN, F.EXTENDED | F.REMOTE | F.RX], "channel"),
        ("db", [*PLAIN, F.EXTENDED | F.REMOTE | F.RX], "channel"),
        ("trc", PLAIN, "channel"),
    ],
)
def test_what_a_log_holds_comes_back(
    tmp_path: Path, suffix: str, kinds: list[CanFlag], unheld: str
) -> None:
    path = tmp_path / f"drive.{suffix}"
    chunk = messages(1000, kinds)
    with can_log(path) as sink:
        for i in range(0, 1000, 130):
            sink.on_next(chunk[i : i + 130])
    assert (sink.samples, sink.unfit) == (1000, 0)
    back = read(path)
    for field in set(CAN_DTYPE.names or ()) - {unheld}:
        np.testing.assert_array_equal(back.data[field], chunk.data[field], field)
    zero = back.time[0] if suffix.startswith("asc") else START
    assert np.abs(back.time - zero - (chunk.time - START)).max() <= 1000


def test_error_frames_keep_their_place(tmp_path: Path) -> None:
    for suffix in ("blf", "asc", "log"):
        path = tmp_path / f"drive.{suffix}"
        chunk = messages(30, [F.RX, F.ERROR | F.EXTENDED | F.RX])
        with can_log(path) as sink:
            sink.on_next(chunk)
        back = read(path)
        assert ((back.data["flags"] & F.ERROR != 0) == (np.arange(30) % 2 == 1)).all()


def test_messages_that_do_not_fit_are_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drive.trc"
    with can_log(path) as sink:
        sink.on_next(messages(60, [*PLAIN, F.FD | F.RX, F.REMOTE | F.RX]))
    assert sink.unfit == 30
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 1
    assert "drive.trc: this kind of file cannot hold CAN FD messages" in logged[0]
    assert len(read(path)) == 30


def with_gap() -> Chunk:
    gap = Gap(START + SECOND // 10, START + SECOND, 7, "lag")
    later = messages(10, PLAIN, START + SECOND, gap=gap)
    return messages(10, PLAIN) + later


@pytest.mark.parametrize("suffix", ["blf", "asc", "trc"])
def test_a_gap_is_a_remark(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"drive.{suffix}"
    with can_log(path) as sink:
        sink.on_next(with_gap())
    assert sink.lost == 7
    assert not caplog.records
    assert len(read(path)) == 20  # remarks are no messages
    if suffix != "blf":
        lines = path.read_text().splitlines()
        at = [i for i, line in enumerate(lines) if "7 samples lost (lag), until 22:13:21" in line]
        assert len(at) == 1


def test_a_gap_that_a_file_cannot_hold_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drive.log"
    with can_log(path) as sink:
        sink.on_next(with_gap())
    assert "7 samples lost (lag)" in caplog.text
    assert "cannot say so" in caplog.text
    assert len(read(path)) == 20


def test_the_text_for_people(tmp_path: Path) -> None:
    path = tmp_path / "drive.txt"
    with can_log(path) as sink:
        sink.on_next(messages(3, PLAIN))
    assert len(path.read_text().splitlines()) == 3


def test_a_decoded_stream_is_written_as_it_came(tmp_path: Path) -> None:
    dbc = 'VERSION ""\nBO_ 291 Engine: 2 E\n SG_ Speed : 0|16@1+ (0.25,0) [0|0] "rpm" E\n'
    path = tmp_path / "drive.blf"
    device = Device(Can("logged", interface="virtual", decode=dbc))
    sink = can_log(path)
    device.subscribe(sink)
    done = 0
    with can.Bus("logged", interface="virtual") as bus, device, device.reader() as reader:
        for i in range(500):
            data = i.to_bytes(2, "little")
            bus.send(can.Message(arbitration_id=291, is_extended_id=False, data=data))
        while done < 500:
            done += len(reader.read(500 - done, timeout=10))
    assert sink.wait(10)
    back = read(path)
    assert back.data.dtype == CAN_DTYPE
    assert (back.data["data"][:, :2].copy().view("<u2")[:, 0] == np.arange(500)).all()


@pytest.mark.parametrize("suffix", ["blf", "db", "log"])
def test_an_old_file_is_replaced_by_the_first_message(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"drive.{suffix}"
    for count in (20, 5):
        with can_log(path) as sink:
            sink.on_next(messages(count, PLAIN))
    assert len(read(path)) == 5
    can_log(path).close()
    assert len(read(path)) == 5


def test_other_streams_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "drive.blf"
    sink = can_log(path)
    with pytest.raises(ChunkError, match=r"can_log writes messages .* not ramp \(int64\)"):
        sink.on_next(ramp(0, 3))
    assert not path.exists()


KINDS = ["asc", "asc.gz", "blf", "csv", "db", "log", "log.gz", "trc"]


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_counted_is_readable_at_every_moment(tmp_path: Path, suffix: str) -> None:
    path, copy = tmp_path / f"drive.{suffix}", tmp_path / f"copy.{suffix}"
    with can_log(path) as sink:
        for count in (300, 301, 350):
            done = sink.samples
            sink.on_next(messages(count - done, PLAIN, START + done * SECOND))
            # nothing more comes, and it is on disk nevertheless
            eventually(lambda count=count: sink.samples == count)
            for file in tmp_path.glob("drive*"):
                file.with_name(file.name.replace("drive", "copy")).write_bytes(file.read_bytes())
            assert len(list(can.LogReader(copy))) == count


def test_the_header_of_a_blf_is_true_before_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "drive.blf"
    with can_log(path) as sink:
        sink.on_next(messages(100, ALL))
        eventually(lambda: sink.samples == 100)
        with can.BLFReader(path) as reader:
            assert (reader.object_count, reader.file_size) == (100, path.stat().st_size)
            assert (reader.start_timestamp, reader.stop_timestamp) == (
                START / 1e9,
                START / 1e9 + 0.99,
            )


def test_files_are_rotated_and_the_oldest_deleted(tmp_path: Path) -> None:
    chunk = messages(500, PLAIN)  # 5 s
    with can_log(tmp_path / "drive.asc.gz", rotate=1, keep=3) as sink:
        for i in range(0, 500, 30):
            sink.on_next(chunk[i : i + 30])
    names = [f"drive_20231114T22132{second}-000Z.asc.gz" for second in (2, 3, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.name for path in sink.files][-3:] == names
    assert sink.samples == 500
    back = concat([read(tmp_path / name) for name in names[:1]])
    np.testing.assert_array_equal(back.data["data"], chunk.data["data"][200:300])


def test_a_kind_that_would_not_survive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"killed program would leave nothing; write \.blf"):
        can_log(tmp_path / "drive.mf4")


@pytest.mark.parametrize("name", ["drive", "drive.mp3", "drive.gz", "drive.blf.gz", "drive.db.gz"])
def test_suffixes_that_nobody_writes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match=r"must end with one of .asc, .blf, .* and .gz may"):
        can_log(tmp_path / name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no folder"):
        can_log(tmp_path / "none" / "drive.blf")


def test_without_python_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[can\]"):
        can_log(tmp_path / "drive.blf")
