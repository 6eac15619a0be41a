"""Can on log files."""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from fakes import eventually

from rxstream import Chunk, Device, concat
from rxstream import operators as ops
from rxstream.devices.can import Can, CanFlag
from rxstream.devices.can import log as reading
from rxstream.errors import (
    DeviceNotFoundError,
    FormatError,
    MissingExtraError,
    ParameterError,
)
from rxstream.formats.can import pack
from rxstream.sinks import can_log
from rxstream.sinks.can_sqlite import SqliteLog

START = 1_700_000_000.0
DBC = """VERSION ""
BO_ 291 Engine: 8 ECU
 SG_ Speed : 0|16@1+ (0.25,0) [0|0] "rpm" ECU
"""


def messages(count: int = 5000) -> list[can.Message]:
    """Return messages 1 ms apart, of all sorts that every kind of log can hold."""
    rng = np.random.default_rng(5)
    return [
        can.Message(
            timestamp=START + i / 1000,
            arbitration_id=int(rng.integers(1 << 11 if i % 3 else 1 << 29)),
            is_extended_id=i % 3 == 0,
            data=rng.bytes(i % 9),
            channel=0,
        )
        for i in range(count)
    ]


def write(path: Path, items: list[can.Message]) -> Path:
    if path.suffix == ".db":
        # python-can's own writer for SQLite loses what it has not written yet when it is stopped
        log = SqliteLog(path)
        log.write(pack(items), np.array([round(item.timestamp * 1e9) for item in items]))
        log.end()
        log.close()
        return path
    with can.Logger(str(path)) as logger:
        for item in items:
            logger.on_message_received(item)
    return path


def read(source: Can, **options: Any) -> list[Chunk]:
    device = Device(source, **options)
    chunks: list[Chunk] = []
    errors: list[Exception] = []
    device.subscribe(chunks.append, errors.append)
    with device:
        assert device.wait(20)
    if errors:
        raise errors[0]
    return chunks


@pytest.mark.parametrize("suffix", ["blf", "asc", "log", "csv", "db", "trc", "asc.gz", "log.gz"])
def test_every_kind_of_log(tmp_path: Path, suffix: str) -> None:
    expected = messages()
    path = write(tmp_path / f"drive.{suffix}", expected)
    chunk = concat(read(Can(str(path))))
    assert len(chunk) == len(expected)
    assert not chunk.gaps
    assert chunk.data["arbitration_id"].tolist() == [m.arbitration_id for m in expected]
    flags = np.where([m.is_extended_id for m in expected], CanFlag.EXTENDED, 0) | CanFlag.RX
    assert (chunk.data["flags"] == flags).all()
    for row, message in zip(chunk.data, expected, strict=True):
        assert row["dlc"] == message.dlc
        assert row["data"].tobytes() == bytes(message.data).ljust(64, b"\0")
    times = chunk.time - (0 if suffix.startswith("asc") else round(START * 1e9))
    assert np.abs(times - np.arange(len(expected)) * 1_000_000).max() <= 1000


def test_a_blf_written_from_a_bus_gives_the_same_chunks(tmp_path: Path) -> None:
    path = tmp_path / "drive.blf"
    device = Device(Can("blf", interface="virtual"))
    heard: list[Chunk] = []
    device.subscribe(heard.append)
    sink = can_log(path)
    device.subscribe(sink)
    with can.Bus("blf", interface="virtual") as bus, device:
        for i, message in enumerate(messages(3000)):
            message.is_fd = message.bitrate_switch = i % 7 == 0
            bus.send(message)
        assert eventually(lambda: sum(map(len, list(heard))) == 3000)
    assert sink.wait(10)
    assert sink.samples == 3000
    live, logged = recut(heard), recut(read(Can(path)))
    assert len(live) == len(logged) == 47
    for ours, theirs in zip(live, logged, strict=True):
        assert (ours.data == theirs.data).all()
        assert ours.index == theirs.index
        assert np.abs(ours.time - theirs.time).max() <= 1000  # python-can counts in float seconds


def recut(chunks: list[Chunk]) -> list[Chunk]:
    whole = concat(chunks)
    return [whole[i : i + 64] for i in range(0, len(whole), 64)]


def test_the_cut_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "drive.blf", messages())
    usual = read(Can(path))
    monkeypatch.setattr(reading, "_MAX_MESSAGES", 77)
    other = read(Can(path))
    assert len(other) > len(usual)
    assert concat(usual) == concat(other)


def test_a_start_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.asc", messages(10))
    chunk = concat(read(Can(path, start=np.datetime64("2024-05-06T07:08:09"))))
    first = np.datetime64("2024-05-06T07:08:09", "ns").astype(np.int64)
    assert np.abs(chunk.time - first - np.arange(10) * 1_000_000).max() <= 1000


def test_any_name_by_path(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.log", messages(10))
    assert len(concat(read(Can(path=path)))) == 10


def test_filters_of_a_log(tmp_path: Path) -> None:
    items = [
        can.Message(timestamp=START + k, arbitration_id=identifier, is_extended_id=long)
        for k, (identifier, long) in enumerate(
            [(0x122, False), (0x123, False), (0x123, True), (0x200, False), (0x12345, True)]
        )
    ]
    path = write(tmp_path / "drive.blf", items)
    mask = {"can_id": 0x200, "can_mask": 0x700, "extended": False}
    chunk = concat(read(Can(path, filters=[0x123, 0x12345, mask])))
    assert chunk.data["arbitration_id"].tolist() == [0x123, 0x200, 0x12345]
    assert chunk.data["flags"].tolist() == [64, 64, 65]


def test_a_slow_subscriber_gets_every_message(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.blf", messages())
    device = Device(Can(path), history=0.2)  # a window of 200 messages
    got: list[Chunk] = []
    pause = threading.Event()

    def slow(chunk: Chunk) -> None:
        pause.wait(0.02)
        got.append(chunk)

    device.subscribe(slow)
    with device:
        assert device.wait(20)
    whole = concat(got)
    assert len(whole) == 5000
    assert not whole.gaps


def test_times_that_go_back_are_reported(tmp_path: Path) -> None:
    items = messages(300)
    for message in items[150:]:
        message.timestamp -= 0.1
    path = write(tmp_path / "drive.csv", items)
    chunk = concat(read(Can(path)))
    assert len(chunk) == 300
    assert [(at, gap.reason, gap.lost) for at, gap in chunk.gap_positions] == [(150, "overlap", 0)]
    assert (np.diff(chunk.time) > 0).all()


PLACES = [[1], [40], [41, 42, 43], [38, 39, 40, 41], [0], [99], [0, 50, 99]]
# A first or a last time that lies behind might be true.
GARBLED = [(text, at) for text in ("nan", "inf", "9e9", "1e11", "-1e12") for at in PLACES]
GARBLED += [("5.0", at) for at in PLACES[:4]]


@pytest.mark.parametrize(("garbled", "at"), GARBLED)
def test_garbled_times_of_a_log_move_no_others(
    tmp_path: Path, garbled: str, at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_MESSAGES", 32)  # 40 is where the second reading begins
    seconds = [f"{START + i / 1000:.6f}" for i in range(100)]
    for i in at:
        seconds[i] = garbled
    path = tmp_path / "drive.log"
    path.write_text("".join(f"({second}) can0 123#01\n" for second in seconds))
    device = Device(Can(path))
    reader = device.reader()
    with device:
        chunks = list(reader)
        faults = [str(fault) for fault in device.faults]
    chunk = concat(chunks)
    assert len(chunk) == 100
    assert (np.diff(chunk.time) > 0).all()
    error = np.abs(chunk.time - round(START * 1e9) - np.arange(100) * 1_000_000)
    others = np.setdiff1d(np.arange(100), at)
    assert error[others].max() <= 1000
    assert error[at].max() < 1_100_000 * len(at)
    assert chunk.gaps == ()
    assert len([fault for fault in faults if "out of line" in fault]) == 1


def test_decoded_while_it_is_read(tmp_path: Path) -> None:
    items = [
        can.Message(
            timestamp=START + i / 100, arbitration_id=291, is_extended_id=False,
            data=(4 * i).to_bytes(8, "little"),
        )
        for i in range(100)
    ]  # fmt: skip
    path = write(tmp_path / "drive.blf", items)
    speeds: list[float] = []
    device = Device(Can(path, decode=DBC))
    device.pipe(ops.map_data(lambda data: data["Speed"])).subscribe(
        lambda chunk: speeds.extend(chunk.data.tolist())
    )
    with device:
        assert device.wait(10)
    assert speeds == [float(i) for i in range(100)]


def test_a_database_of_another_bus_is_an_error_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.blf", [m for m in messages(50) if m.arbitration_id != 291])
    with pytest.raises(FormatError, match=r"drive.blf.*has none; it has 0x123; give the database"):
        read(Can(path, decode=DBC))


def refuse(*_: Any) -> None:
    raise AssertionError


def opens(source: Can) -> None:
    source.open(refuse, refuse)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"there is no file '.*none.blf'"):
        opens(Can(tmp_path / "none.blf"))
    assert not (tmp_path / "none.blf").exists()


def test_a_suffix_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "drive.mp3"
    path.write_bytes(b"x")
    with pytest.raises(ParameterError, match=r"drive.mp3' has no suffix that python-can reads"):
        opens(Can(path=path))


@pytest.mark.parametrize("suffix", ["blf", "asc", "log", "csv", "db", "trc", "log.gz"])
@pytest.mark.parametrize("content", [b"", b"time_ns,lost,x\n1,0,2.5\n" * 9, bytes(range(256)) * 20])
def test_a_file_that_is_no_log(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"drive.{suffix}"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"drive\."):
        opens(Can(path))


def test_a_log_that_breaks_off(tmp_path: Path) -> None:
    whole = write(tmp_path / "drive.log", messages(3000)).read_text()
    path = tmp_path / "broken.log"
    path.write_text(whole[: len(whole) // 2] + "\nwhat is this\n")
    device = Device(Can(path))
    chunks: list[Chunk] = []
    errors: list[Exception] = []
    device.subscribe(chunks.append, errors.append)
    with device:
        assert device.wait(10)
    count = len(concat(chunks))
    assert 1000 < count < 2000
    assert isinstance(errors[0], FormatError)
    assert f"beyond message {count}" in str(errors[0])


def test_mf4_without_asammdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["can.io.mf4"], "asammdf", None)
    path = tmp_path / "drive.mf4"
    path.write_bytes(b"x")
    with pytest.raises(MissingExtraError, match="pip install asammdf"):
        opens(Can(path))


def test_closing_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.blf", messages())
    emitted: list[Any] = []
    more = threading.Event()

    def emit(reading: Any) -> None:
        emitted.append(reading)
        more.set()

    close: Callable[[], None] = Can(path).open(emit, refuse)
    assert more.wait(10)
    close()
    count = len(emitted)
    close()
    assert len(emitted) == count


def test_opened_twice_it_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "drive.db", messages(100))
    device = Device(Can(path))
    for _ in range(2):
        chunks: list[Chunk] = []
        device.subscribe(chunks.append)
        with device:
            assert device.wait(10)
        assert len(concat(chunks)) == 100
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# -- cut off ----------------------------------------------------------------------------------


def faults_of(path: Path) -> tuple[int, list[str]]:
    """Return how many messages a log gives until its end, and what is reported."""
    device, count, faults = Device(Can(path)), 0, []
    device.faults.subscribe(lambda fault: faults.append(str(fault)))

    def take(chunk: Chunk) -> None:
        nonlocal count
        count += len(chunk)

    device.subscribe(take)
    with device:
        assert device.wait(10)
    assert eventually(lambda: len(faults) == len(list(device.faults)))
    return count, faults


@pytest.mark.parametrize("suffix", ["asc", "blf", "csv", "log", "trc"])
def test_a_whole_log_is_not_called_cut_off(tmp_path: Path, suffix: str) -> None:
    ours = tmp_path / f"ours.{suffix}"
    with can_log(ours) as sink:
        sink.on_next(read(Can(write(tmp_path / f"theirs.{suffix}", messages(300))))[0])
    assert faults_of(tmp_path / f"theirs.{suffix}") == (300, [])
    count, faults = faults_of(ours)
    assert (count > 0, faults) == (True, [])


def test_a_blf_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.blf", messages(8000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    count, (fault,) = faults_of(path)
    assert 1000 < count < 8000
    assert f"it has {path.stat().st_size} of {len(whole)} bytes: it was cut off" in fault


def test_a_blf_whose_program_was_killed_is_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "drive.blf"
    with can_log(path) as sink:
        for _ in range(10):
            sink.on_next(read(Can(write(tmp_path / "a.log", messages(200))))[0])
    whole = bytearray(path.read_bytes())
    # what a header says that nobody has brought up to date
    whole[16:24] = (144).to_bytes(8, "little")
    path.write_bytes(whole)
    assert faults_of(path)[1] == []
    path.write_bytes(whole[:-100])
    (fault,) = faults_of(path)[1]
    assert "it ends in the middle of a container" in fault


def test_a_line_without_its_end_is_reported_and_half_a_message_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "drive.asc", [can.Message(timestamp=1.7e9, data=[255] * 8)] * 50)
    text = path.read_text()
    path.write_text(text[: text.rindex("FF FF FF") - 3])
    count, faults = faults_of(path)
    assert count == 49
    assert len(faults) == 2
    assert "its last line has no end" in faults[0]
    assert "1 messages have fewer bytes than their length" in faults[1]
