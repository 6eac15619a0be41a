"""csv: what is written is read back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import MS, Manual, ramp

from rxstream import Chunk, Device, Gap, StreamInfo
from rxstream.devices.can import Can
from rxstream.errors import ChunkError, ParameterError
from rxstream.sinks import csv


def write(path: Path, *chunks: Chunk, **options: Any) -> list[str]:
    with csv(path, **options) as sink:
        for chunk in chunks:
            sink.on_next(chunk)
    return path.read_text(encoding="utf-8").splitlines()


def chunk_of(data: Any, **info: Any) -> Chunk:
    stream = StreamInfo("imu", 1000.0, data.shape[1:], data.dtype, **info)
    return Chunk.regular(data, stream, start=1_700_000_000_123_456_789)


def test_times_in_full_and_a_column_for_the_samples(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.csv", ramp(0, 2), ramp(2, 1))
    assert lines == ["time_ns,lost,ramp", "0,0,0", "1000000,0,1", "2000000,0,2"]


def test_another_column_for_people(tmp_path: Path) -> None:
    data = np.array([[1, -2]], np.int16)
    chunk = chunk_of(data, channels=("x", "y"))
    lines = write(tmp_path / "a.csv", chunk, iso=True, gaps="comment", delimiter=";")
    assert lines == [
        "time_ns;time;x;y",
        "1700000000123456789;2023-11-14T22:13:20.123456789Z;1;-2",
    ]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u8", "?", "M8[ns]", "U3", "S3"])
def test_every_value_is_read_back_exactly(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(3)
    values: Any
    if dtype in ("f2", "f4", "f8"):
        values = (rng.normal(size=200) * 10.0 ** rng.integers(-4, 4, 200)).astype(dtype)
        values[:3] = np.nan, np.inf, -np.inf
    elif dtype == "u8":
        values = rng.integers(1 << 63, (1 << 64) - 1, 200, dtype=np.uint64)
    else:
        values = rng.integers(0, 100, 200).astype(dtype)
    lines = write(tmp_path / "a.csv", chunk_of(values))
    texts = [line.split(",")[2] for line in lines[1:]]
    if dtype == "?":
        assert texts == [str(value) for value in values.tolist()]
    else:
        np.testing.assert_array_equal(np.array(texts).astype(values.dtype), values)


def test_samples_of_many_numbers(tmp_path: Path) -> None:
    grid = np.arange(12).reshape(2, 2, 3)
    header = write(tmp_path / "a.csv", chunk_of(grid))[0]
    assert header == "time_ns,lost,imu[0][0],imu[0][1],imu[0][2],imu[1][0],imu[1][1],imu[1][2]"
    lines = write(tmp_path / "a.csv", chunk_of(grid, channels=("r", "g", "b")))
    assert lines[0] == "time_ns,lost,imu[0][r],imu[0][g],imu[0][b],imu[1][r],imu[1][g],imu[1][b]"
    assert lines[2].split(",")[2:] == ["6", "7", "8", "9", "10", "11"]
    assert write(tmp_path / "a.csv", chunk_of(np.zeros((1, 2), "i4")))[0].endswith("imu[0],imu[1]")


def test_structured_samples_by_field(tmp_path: Path) -> None:
    inner = np.dtype([("lat", "f8"), ("lon", "f8")])
    dtype = np.dtype([("lost", "i4"), ("gps", inner), ("acc", "f4", (2,)), ("id", "u1", (3,))])
    data = np.zeros(2, dtype)
    data["lost"], data["id"] = (5, 6), (1, 171, 255)
    data["gps"]["lon"], data["acc"] = -0.5, (0.1, 2)
    lines = write(tmp_path / "a.csv", chunk_of(data))
    assert lines[0] == "time_ns,lost,lost_,gps.lat,gps.lon,acc[0],acc[1],id"
    assert lines[1].split(",", 1)[1] == "0,5,0.0,-0.5,0.1,2.0,01abff"
    data = data.reshape(1, 2)
    assert write(tmp_path / "a.csv", chunk_of(data))[0].split(",")[2:4] == [
        "imu[0].lost",
        "imu[0].gps.lat",
    ]


def test_can_messages_show_their_data_alone(tmp_path: Path) -> None:
    info = Can("can0", interface="virtual").info
    data = np.zeros(2, info.dtype)
    data["arbitration_id"], data["dlc"] = 0x123, (2, 0)
    data["data"][:, :2] = (0xAB, 0x01)
    lines = write(tmp_path / "a.csv", Chunk.stamped(data, [1, 2], info))
    assert lines[0] == "time_ns,lost,arbitration_id,dlc,data,flags,channel"
    assert lines[1:] == ["1,0,291,2,ab01,0,0", "2,0,291,0,,0,0"]


def gappy() -> list[Chunk]:
    first = Gap(2 * MS, 5 * MS, 3, "dropped")
    second = Gap(6 * MS, 8 * MS, 2, "overrun")
    unknown = Gap(9 * MS, 11 * MS, None, "disconnect")
    trailing = ramp(12, 0, Gap(12 * MS, 14 * MS, 2, "lag"))
    return [ramp(0, 2), ramp(5, 1, first) + ramp(8, 1, second), ramp(11, 1, unknown), trailing]


def test_gaps_in_a_column(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", *gappy(), ramp(14, 2))
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["ramp"].tolist() == [0, 1, 5, 8, 11, 14, 15]
    assert table["lost"].tolist() == [0, 0, 3, 2, -1, 2, 0]
    assert (table["time_ns"] == table["ramp"] * MS).all()


def test_gaps_as_comments(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.csv", *gappy(), gaps="comment")
    assert [line[:1] == "#" for line in lines] == [
        False, False, False, True, False, True, False, True, False, True,
    ]  # fmt: skip
    assert lines[3] == "# gap of 0.003 s, 3 samples lost (dropped), from 2000000 to 5000000"
    assert pd.read_csv(tmp_path / "a.csv", comment="#")["ramp"].tolist() == [0, 1, 5, 8, 11]


def test_how_the_stream_is_cut_does_not_matter(tmp_path: Path) -> None:
    whole = gappy()[0] + gappy()[1] + gappy()[2]
    once = write(tmp_path / "a.csv", whole)
    pieces = write(tmp_path / "b.csv", *(whole[i : i + 1] for i in range(len(whole))))
    assert once == pieces


def test_from_a_device(tmp_path: Path) -> None:
    source = Manual()
    device = Device(source)
    sink = csv(tmp_path / "a.csv")
    device.subscribe(sink)
    with device:
        for k in range(20):
            source.emit(np.arange(50) + 50 * k)
    assert sink.wait(10)
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["ramp"].tolist() == list(range(1000))
    assert table["time_ns"].is_monotonic_increasing


def test_nothing_is_written_before_the_first_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("precious")
    csv(path).close()
    assert path.read_text() == "precious"
    assert len(write(path, ramp(0, 0, Gap(0, MS, 1, "lag")))) == 1


def test_images_are_no_table(tmp_path: Path) -> None:
    chunk = chunk_of(np.zeros((1, 2000, 3000, 3), np.uint8))
    sink = csv(tmp_path / "a.csv")
    with pytest.raises(ChunkError, match=r"more than 4096 columns; images go to video\(\)"):
        sink.on_next(chunk)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gaps": "skip"}, "gaps must be 'column' or 'comment', not 'skip'"),
        ({"delimiter": ",,"}, "delimiter must be one character .* not ',,'"),
        ({"delimiter": "."}, "not '.'"),
        ({"delimiter": "e"}, "not 'e'"),
    ],
)
def test_wrong_arguments(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        csv(tmp_path / "a.csv", **options)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no folder"):
        csv(tmp_path / "none" / "a.csv")
