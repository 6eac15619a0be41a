"""Every kind of file that sinks write: how to write it, and how its usual readers read it back.

The samples of a case are known by their numbers alone, so a reader's result can be checked, value
by value, against what was given to the sink.
"""

import csv
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can
import cv2
import numpy as np
import soundfile

from rxstream import Chunk, StreamInfo, sinks
from rxstream.devices.can import Can
from rxstream.sinks import Sink
from rxstream.sinks.file_sink import FileSink

__all__ = ["CASES", "Case", "flush"]

START = 1_700_000_000_000_000_000  # time of the first sample [ns]


@dataclass(frozen=True)
class Case:
    """A kind of file."""

    suffix: str
    sink: Callable[[Path], Sink]
    chunk: Callable[[int, int], Chunk]
    """Samples ``i`` to ``j``."""
    read: Callable[[Path], int]
    """Returns how many samples can be read, from the first on; raises if one is wrong."""
    rate: float
    """Samples a second."""
    period: float = 0.02
    """From chunk to chunk [s]."""


def flush(sink: FileSink) -> None:
    """Make what was written readable, as the sink's own thread does: never both at once."""
    with sink._guard:
        sink._flush()


def _chunk(i: int, j: int, data: Any, info: StreamInfo, rate: float) -> Chunk:
    times = START + np.round(np.arange(i, j) * 1e9 / rate).astype(np.int64)
    if info.rate is None:
        return Chunk.stamped(data, times, info)
    return Chunk.regular(data, info, start=int(times[0]), index=i)


def _check(found: Any, right: Any, path: Path) -> int:
    np.testing.assert_array_equal(found, right, err_msg=str(path))
    return len(found)


# -- sound ------------------------------------------------------------------------------------

_RATE = 8000.0  # of sound [Hz]


def _sound(i: int, j: int, dtype: str) -> Any:
    """Return what no shift looks like: two channels of numbers that a hash makes of the index."""
    n = np.arange(2 * i, 2 * j, dtype=np.uint64).reshape(-1, 2)
    mixed = (n * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)
    values = mixed.astype(np.uint16).view(np.int16)
    return values if dtype == "int16" else (values / 32768).astype(dtype)


def _sound_chunk(dtype: str) -> Callable[[int, int], Chunk]:
    info = StreamInfo("mic", _RATE, (2,), np.dtype(dtype))
    return lambda i, j: _chunk(i, j, _sound(i, j, dtype), info, _RATE)


def _read_by_wave(path: Path) -> int:
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return _check(data, _sound(0, len(data), "int16"), path)


def _read_by_soundfile(dtype: str) -> Callable[[Path], int]:
    def read(path: Path) -> int:
        data, _ = soundfile.read(path, dtype=dtype)
        return _check(data, _sound(0, len(data), dtype), path)

    return read


def _read_both(path: Path) -> int:
    return min(_read_by_wave(path), _read_by_soundfile("int16")(path))


def _read_rotated_sound(path: Path) -> int:
    files = sorted(path.parent.glob(f"{path.stem}_*{path.suffix}"))
    data = np.concatenate([soundfile.read(file, dtype="int16")[0] for file in files])
    return _check(data, _sound(0, len(data), "int16"), path)


# -- tables -----------------------------------------------------------------------------------


def _rows(i: int, j: int) -> Any:
    n = np.arange(i, j)
    return np.stack([n, n * 0.1], axis=1)


def _rows_chunk(rate: float) -> Callable[[int, int], Chunk]:
    info = StreamInfo("imu", rate, (2,), np.dtype(np.float64), channels=("x", "y"))
    return lambda i, j: _chunk(i, j, _rows(i, j), info, rate)


def _read_rows(*paths: Path) -> int:
    found: list[list[str]] = []
    for path in paths:
        assert path.read_bytes().endswith(b"\n"), f"{path} ends in the middle of a row"
        with path.open(newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["time_ns", "lost", "x", "y"]
        found += rows
    data = np.array([[float(x), float(y)] for _, _, x, y in found]).reshape(-1, 2)
    return _check(data, _rows(0, len(data)), paths[0])


def _read_rotated_rows(path: Path) -> int:
    return _read_rows(*sorted(path.parent.glob(f"{path.stem}_*{path.suffix}")))


# -- CAN --------------------------------------------------------------------------------------

_CAN_RATE = 250.0  # [1/s]


def _messages(i: int, j: int) -> Chunk:
    info = Can("x", interface="virtual").info
    rows = np.zeros(j - i, info.dtype)
    n = np.arange(i, j)
    rows["arbitration_id"], rows["dlc"] = n % 2000, 8
    rows["data"][:, :8] = n.astype("<i8").view(np.uint8).reshape(-1, 8)
    return _chunk(i, j, rows, info, _CAN_RATE)


def _read_messages(path: Path) -> int:
    n = 0
    with can.LogReader(path) as reader:
        for message in reader:
            assert message.arbitration_id == n % 2000, (path, n, message)
            assert int.from_bytes(message.data, "little") == n, (path, n, message)
            n += 1
    return n


def _read_rotated_messages(path: Path) -> int:
    n = 0
    for file in sorted(path.parent.glob(f"{path.name.split('.')[0]}_*")):
        with can.LogReader(file) as reader:
            for message in reader:
                assert int.from_bytes(message.data, "little") == n, (file, n, message)
                n += 1
    return n


def _can(suffix: str) -> Case:
    return Case(suffix, sinks.can_log, _messages, _read_messages, _CAN_RATE)


# -- video ------------------------------------------------------------------------------------

_FRAMES = 25.0  # [1/s]
_CAMERA = StreamInfo("cam", _FRAMES, (48, 64, 3), np.dtype(np.uint8))


def _brightness(n: Any) -> Any:
    # far enough from frame to frame for codecs with losses
    return 20 + n * 40 % 200


def _frames(i: int, j: int) -> Chunk:
    gray = _brightness(np.arange(i, j)).astype(np.uint8)
    data = np.broadcast_to(gray[:, None, None, None], (j - i, 48, 64, 3)).copy()
    return _chunk(i, j, data, _CAMERA, _FRAMES)


def _read_frames(path: Path) -> int:
    capture, n = cv2.VideoCapture(str(path)), 0
    while True:
        got, frame = capture.read()
        if not got:
            break
        assert abs(frame.mean() - _brightness(n)) < 15, (path, n, frame.mean())
        n += 1
    capture.release()
    with path.with_name(path.name + ".times.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    assert len(rows) <= n, f"{path}: times of {len(rows)} frames, of which {n} are there"
    return len(rows)


def _video(suffix: str, codec: str | None = None) -> Case:
    def sink(path: Path) -> Sink:
        return sinks.video(path, codec=codec)

    return Case(suffix, sink, _frames, _read_frames, _FRAMES, 1 / _FRAMES)


def _slow_video(suffix: str) -> Case:
    # far fewer frames come than the rate at which the file plays says
    return Case(suffix, sinks.video, _frames, _read_frames, 3.0, 1 / 3)


CASES = {
    "wav": Case(".wav", sinks.wav, _sound_chunk("int16"), _read_both, _RATE),
    "wav of floats": Case(
        ".wav", sinks.wav, _sound_chunk("float32"), _read_by_soundfile("float32"), _RATE
    ),
    "rotated wav": Case(
        ".wav", lambda path: sinks.wav(path, rotate=1.0), _sound_chunk("int16"),
        _read_rotated_sound, _RATE,
    ),
    "flac": Case(".flac", sinks.wav, _sound_chunk("int16"), _read_by_soundfile("int16"), _RATE),
    "csv": Case(".csv", sinks.csv, _rows_chunk(500.0), _read_rows, 500.0),
    "rotated csv": Case(
        ".csv", lambda path: sinks.csv(path, rotate=1.0), _rows_chunk(500.0),
        _read_rotated_rows, 500.0,
    ),
    "csv of a slow sensor": Case(".csv", sinks.csv, _rows_chunk(4.0), _read_rows, 4.0, 0.25),
    "blf": _can(".blf"),
    "asc": _can(".asc"),
    "candump": _can(".log"),
    "can csv": _can(".csv"),
    "trc": _can(".trc"),
    "sqlite": _can(".db"),
    "zipped asc": _can(".asc.gz"),
    "rotated blf": Case(
        ".blf", lambda path: sinks.can_log(path, rotate=1.0), _messages, _read_rotated_messages,
        _CAN_RATE,
    ),
    "avi": _video(".avi"),
    "lossless avi": _video(".avi", "FFV1"),
    "mkv": _video(".mkv"),
    "mkv of H.264": _video(".mkv", "H264"),
    "mov": _video(".mov"),
    "mp4": _video(".mp4"),
    "mp4 of H.264": _video(".mp4", "H264"),
    "avi of a slow camera": _slow_video(".avi"),
    "mkv of a slow camera": _slow_video(".mkv"),
    "mp4 of a slow camera": _slow_video(".mp4"),
}  # fmt: skip
