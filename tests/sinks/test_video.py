"""video: what is written is read again, with the times beside it."""

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fakes import eventually, ramp
from videos import HEIGHT, WIDTH, LiveTcp, frame, make_video, number_of

from rxstream import Chunk, Device, Gap, StreamInfo, concat
from rxstream.devices.camera import Camera
from rxstream.errors import ChunkError, ParameterError, SinkError, SubscriberError
from rxstream.sinks import csv as csv_sink
from rxstream.sinks.video import video

pytestmark = pytest.mark.slow

START = 1_700_000_000_000_000_000
MS = 1_000_000
INFO = StreamInfo(
    "camera", 30.0, (HEIGHT, WIDTH, 3), np.dtype(np.uint8), channels=("b", "g", "r"),
    device_clock="host",
)  # fmt: skip


def chunk(first: int, n: int, info: StreamInfo = INFO, gap: Gap | None = None) -> Chunk[Any]:
    """Return frames first, first + 1 … at irregular times."""
    data = np.stack([frame(number) for number in range(first, first + n)])
    if info.shape[2:] != (3,):
        data = data[..., 0].reshape(n, *info.shape)
    time = [START + number * 33 * MS + number % 3 * MS for number in range(first, first + n)]
    return Chunk.stamped(data, time, info, gap=gap, index=first)


def rows(path: Path) -> list[dict[str, str]]:
    with Path(f"{path}.times.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def frames(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    got = []
    while (one := capture.read())[0]:
        got.append(one[1])
    capture.release()
    return got, rate


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv", ".mov", ".AVI"])
def test_every_frame_and_its_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    with video(path) as sink:
        assert not path.exists()  # nothing before the first frame
        sink.on_next(chunk(0, 7))
        sink.on_next(chunk(7, 1))
        sink.on_next(chunk(8, 12))
    got, rate = frames(path)
    assert [number_of(data) for data in got] == list(range(20))
    assert rate == 30.0
    table = rows(path)
    assert [int(row["frame"]) for row in table] == list(range(20))
    assert [int(row["time_ns"]) for row in table] == chunk(0, 20).time.tolist()
    assert all(row["gap"] == row["lost"] == "" for row in table)
    assert sink.samples == 20


def test_gaps_are_written_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    first = chunk(0, 2)
    lost = Gap(first.end, START + 165 * MS, 3, "dropped")
    away = Gap(START + 300 * MS, START + 400 * MS, None, "disconnect")
    late = Gap(START + 400 * MS, START + 450 * MS, 1, "lag")
    tail = chunk(20, 1)
    inside = concat([first, chunk(5, 3, gap=lost)])  # a gap within a chunk
    empty = Chunk.stamped(tail.data[:0], [], INFO, start=away.start, end=away.end, gap=away)
    last = Chunk.stamped(tail.data[:0], [], INFO, start=START + 10**9, end=START + 2 * 10**9,
                         gap=Gap(START + 10**9, START + 2 * 10**9, 7, "overrun"))  # fmt: skip
    with video(path) as sink:
        sink.on_next(inside)
        sink.on_next(empty)
        sink.on_next(chunk(20, 1, gap=late))
        sink.on_next(last)
    table = rows(path)
    assert [row["frame"] for row in table] == ["0", "1", "2", "3", "4", "5", ""]
    assert [row["gap"] for row in table] == ["", "", "dropped", "", "", "disconnect", "overrun"]
    assert table[2]["lost"] == "3"
    assert table[2]["gap_start_ns"] == str(lost.start)
    assert table[5]["lost"] == ""  # of one of the two nobody knows
    assert table[5]["gap_end_ns"] == str(late.end)
    assert table[6]["lost"] == "7"
    assert sink.lost == 3 + 1 + 7


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1)])
@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_gray(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    path = tmp_path / f"gray{suffix}"
    with video(path) as sink:
        sink.on_next(chunk(5, 10, StreamInfo("gray", 10.0, shape, np.dtype(np.uint8))))
    got, rate = frames(path)
    assert [number_of(data) for data in got] == list(range(5, 15))
    assert rate == 10.0


def test_red_stays_red(tmp_path: Path) -> None:
    info = StreamInfo("c", 30.0, INFO.shape, np.dtype(np.uint8), channels=("r", "g", "b"))
    one = chunk(1, 3)
    with video(tmp_path / "rgb.avi") as sink:
        sink.on_next(Chunk.stamped(one.data[..., ::-1], one.time, info))
    (data, *_), _ = frames(tmp_path / "rgb.avi")
    assert np.argmax(data[170:210, 10:70].mean(axis=(0, 1))) == 2  # read as B, G, R


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_odd_sizes_lose_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"odd{suffix}"
    info = StreamInfo("odd", 30.0, (HEIGHT - 1, WIDTH - 1, 3), np.dtype(np.uint8))
    whole = chunk(0, 5)
    with video(path) as sink:
        sink.on_next(Chunk.stamped(whole.data[:, :-1, :-1], whole.time, info))
    got, _ = frames(path)
    assert {data.shape for data in got} == {(HEIGHT, WIDTH, 3)}
    assert [number_of(data) for data in got] == list(range(5))


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_lossless_is_lossless(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (5, *INFO.shape), np.uint8)
    with video(tmp_path / f"clip{suffix}", codec="FFV1") as sink:
        sink.on_next(Chunk.regular(data, INFO, start=START))
    got, _ = frames(tmp_path / f"clip{suffix}")
    np.testing.assert_array_equal(np.stack(got), data)


def test_both_files_have_one_writer(tmp_path: Path) -> None:
    with video(tmp_path / "clip.avi") as sink:
        sink.on_next(chunk(0, 1))
        table = csv_sink(sink.times_path)
        with pytest.raises(ParameterError, match=r"another open sink writes .*times\.csv"):
            table.on_next(ramp(0, 3))
        with pytest.raises(ParameterError, match=r"another open sink writes .*clip\.avi"):
            video(tmp_path / "clip.avi").on_next(chunk(0, 1))
        sink.on_next(chunk(1, 1))
    assert len(rows(sink.path)) == len(frames(sink.path)[0]) == 2


@pytest.mark.parametrize("which", ["path", "times_path"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_ends_the_sink(tmp_path: Path, which: str, replaced: bool) -> None:
    sink = video(tmp_path / "clip.mkv")
    sink.on_next(chunk(0, 1))
    path: Path = getattr(sink, which)
    path.unlink()
    if replaced:
        path.write_text("of somebody else")
    assert sink.wait(10)  # nothing more comes, and it is noticed
    assert re.match(rf"{path}: was removed, moved or replaced", str(sink.error))
    if replaced:
        assert path.read_text() == "of somebody else"


def test_without_a_place_for_the_times_there_is_no_video(tmp_path: Path) -> None:
    sink = video(tmp_path / "clip.avi")
    sink.times_path.mkdir()
    with pytest.raises(
        SinkError, match=r"clip\.avi\.times\.csv: cannot be written: Is a directory"
    ):
        sink.on_next(chunk(0, 1))
    assert list(tmp_path.iterdir()) == [sink.times_path]


def test_rate_and_codec(tmp_path: Path) -> None:
    slow, free = tmp_path / "slow.avi", tmp_path / "free.avi"
    with video(slow, rate=5, codec="XVID") as sink:
        sink.on_next(chunk(0, 5))
    with video(free) as sink:
        sink.on_next(chunk(0, 5, StreamInfo("free", None, INFO.shape, INFO.dtype)))
    assert frames(slow)[1] == 5.0
    assert frames(free)[1] == 25.0


def test_nothing_comes(tmp_path: Path) -> None:
    with video(tmp_path / "clip.avi") as sink:
        pass
    assert sink.closed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "options", "word"),
    [
        ("clip.gif", {}, r"\.gif"),
        ("no/clip.avi", {}, "no folder"),
        ("clip.avi", {"rate": 0}, "rate .* 0"),
        ("clip.avi", {"rate": "fast"}, "fast"),
        ("clip.avi", {"rate": True}, "True"),
        ("clip.avi", {"codec": "H.264"}, r"H\.264"),
        ("clip.avi", {"codec": ""}, "''"),
    ],
)
def test_bad_options(tmp_path: Path, path: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        video(tmp_path / path, **options)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2,), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)],
)
def test_what_is_no_frame(tmp_path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    info = StreamInfo("noise", 10.0, shape, np.dtype(dtype))
    sink = video(tmp_path / "clip.avi")
    with pytest.raises(ChunkError, match=r"takes uint8 frames .* of noise; use ops\.map_data"):
        sink.on_next(Chunk.stamped(np.zeros((1, *shape), dtype), [START], info))
    assert sink.closed


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.avi", "ZZZZ"), ("clip.avi", "H264"), ("clip.mp4", "FFV1")]
)
def test_a_codec_that_a_file_cannot_have_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    with pytest.raises(ParameterError, match=f"cannot write codec '{codec}' to a .* there are"):
        video(tmp_path / name, codec=codec)


@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv", "clip.mp4"])
def test_a_rate_that_times_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match=r"90000 frames per second are more than .* rate= for"):
        video(tmp_path / name, rate=90_000)
    sink = video(tmp_path / name)
    with pytest.raises(ParameterError, match="90000 frames per second"):
        sink.on_next(chunk(0, 1, StreamInfo("ticks", 90_000.0, INFO.shape, INFO.dtype)))
    assert list(tmp_path.iterdir()) == []


def test_frames_that_a_codec_cannot_have_are_refused(tmp_path: Path) -> None:
    wide = StreamInfo("wide", 10.0, (2, 70_000), np.dtype(np.uint8))
    sink = video(tmp_path / "clip.avi")
    with pytest.raises(ParameterError, match=r"cannot write frames of 70000 x 2 .* smaller frames"):
        sink.on_next(Chunk.stamped(np.zeros((1, *wide.shape), np.uint8), [START], wide))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [0.2, 29.97, 1000 / 3, 1000.0])
@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv", "clip.mp4", "clip.mov"])
def test_times_are_those_of_the_rate(tmp_path: Path, name: str, rate: float) -> None:
    with video(tmp_path / name, rate=rate) as sink:
        sink.on_next(chunk(0, 12))
    # Matroska has whole milliseconds, and ffprobe prints microseconds
    limit = 5.1e-4 if name.endswith("mkv") else 2e-6
    np.testing.assert_allclose(probed_times(tmp_path / name), np.arange(12) / rate, atol=limit)


# -- killed, or without room ------------------------------------------------------------------

SMALL = StreamInfo("small", 25.0, (48, 64, 3), np.dtype(np.uint8))
KINDS = [
    ("clip.avi", None), ("clip.avi", "XVID"), ("clip.avi", "FFV1"), ("clip.m4v", None),
    ("clip.mkv", None), ("clip.mkv", "mp4v"), ("clip.mkv", "H264"), ("clip.mkv", "FFV1"),
    ("clip.mov", None), ("clip.mp4", None), ("clip.mp4", "avc1"), ("clip.mp4", "MJPG"),
]  # fmt: skip


def stripes(first: int, n: int) -> Chunk[Any]:
    """Return frames with their numbers as stripes, 8 bits."""
    data = np.zeros((n, 48, 64, 3), np.uint8)
    for i in range(n):
        for bit in range(8):
            data[i, :, bit * 8 : bit * 8 + 8] = 255 * ((first + i) >> bit & 1)
    return Chunk.regular(data, SMALL, start=START + first * 40 * MS, index=first)


def stripes_number(data: np.ndarray) -> int:
    return sum((data[:, bit * 8 + 2 : bit * 8 + 6].mean() > 128) << bit for bit in range(8))


def probed_times(path: Path) -> list[float]:
    command = [
        "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time",
        "-of", "json", str(path),
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(one["pts_time"]) for one in json.loads(out)["frames"]]


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_what_is_counted_is_readable_at_every_moment(
    tmp_path: Path, name: str, codec: str | None
) -> None:
    path, copy = tmp_path / name, tmp_path / f"copy-{name}"

    def check(n: int) -> None:
        copy.write_bytes(path.read_bytes())
        got, rate = frames(copy)
        assert [stripes_number(data) for data in got] == list(range(n))
        assert rate == 25.0
        with av.open(str(copy)) as file:
            assert [one.time for one in file.decode(video=0)] == pytest.approx(np.arange(n) / 25)
        assert probed_times(copy) == pytest.approx(np.arange(n) / 25)
        assert len(rows(path)) == n
        with Device(Camera(copy, pace="max")) as camera:
            seen = [stripes_number(data) for one in camera.reader(rewind=10) for data in one.data]
        assert seen == list(range(n))
        assert list(camera.faults) == []

    with video(path, codec=codec) as sink:
        # one frame, some, and more than a cluster or fragment has
        for n in (1, 8, 40):
            sink.on_next(stripes(sink.samples, n - sink.samples))
            # nothing more comes, and it is on disk nevertheless
            assert eventually(lambda n=n: sink.samples == n and len(rows(path)) == n)
            check(n)
        sink.on_next(stripes(40, 20))
    check(60)


# -- on a device ------------------------------------------------------------------------------


def test_a_live_stream_is_stored_and_read_again(tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.avi", 300)
    seen: list[Chunk[Any]] = []
    path = tmp_path / "stored.avi"
    with LiveTcp(film) as server, video(path) as sink, Device(Camera(server.url)) as camera:
        camera.rewind(10).subscribe(seen.append)
        camera.rewind(10).subscribe(sink)
        with camera.reader(rewind=10) as reader:
            assert reader.read(45, timeout=20) is not None
    table = rows(path)
    assert len(table) == sink.samples >= 45
    times = concat(seen).time.tolist()
    stored = [int(row["time_ns"]) for row in table]
    assert stored == times[: len(stored)]
    with Device(Camera(path, pace="max")) as again:
        got = [number_of(data) for c in again.reader(rewind=10) for data in c.data]
    assert got == list(range(len(got)))
    assert len(got) == len(table)


def test_a_sink_that_fails_is_cut_off_alone(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.avi", 10)
    device = Device(Camera(clip, color="gray", pace="max"))
    seen: list[Chunk[Any]] = []
    faults: list[Exception] = []
    device.subscribe(seen.append)
    device.faults.subscribe(faults.append)
    bad = video(tmp_path / "bad.avi")
    bad.times_path.mkdir()
    device.subscribe(bad)
    with device:
        assert device.wait(20)
    assert len(concat(seen)) == 10
    assert [type(fault) for fault in faults] == [SubscriberError]
