"""Read files of frames and messages, for the programs that show faults of files."""

import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import reactivex as rx

from rxstream import Chunk, Device, Source
from rxstream import operators as ops
from rxstream.devices.camera import Camera
from rxstream.devices.can import CAN_DTYPE, Can


@dataclass
class Read:
    """What came of a file: samples, their times [ns], reasons of gaps, faults, and how it ended."""

    data: list[Any] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def steps(self) -> Any:
        """Time from sample to sample [s]."""
        return np.diff(self.times) / 1e9


def read(source: Source, limit: float = 10.0) -> Read:
    """Return what a source gives until its end, at most for ``limit`` [s]."""
    found, device = Read(), Device(source, history=1)

    def take(chunk: Any) -> None:
        found.data.extend(chunk.data)
        found.times.extend(chunk.time.tolist())
        found.reasons.extend(gap.reason for gap in chunk.gaps)

    def fail(error: Exception) -> None:
        found.error = repr(error)

    device.faults.subscribe(lambda fault: found.faults.append(str(fault)))
    device.subscribe(take, fail)
    try:
        with device:
            device.wait(limit)
    except Exception as error:
        found.error = repr(error)
    return found


def read_can(text: str | bytes, kind: str) -> Read:
    """Return what `Can` gives of a log of these contents."""
    path = Path(tempfile.mkdtemp()) / f"a.{kind}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(Can(path))


def read_video(path: Path) -> Read:
    """Return what `Camera` gives of a video file."""
    return read(Camera(path, pace="max", start=0), 20)


def ffmpeg(*arguments: object) -> None:
    """Make a file."""
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def frames_in(path: Path) -> int:
    """Return how many frames ffprobe can decode."""
    command = [
        "ffprobe", "-v", "quiet", "-count_frames", "-select_streams", "v",
        "-show_entries", "stream=nb_read_frames", "-of", "json", str(path),
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(out)["streams"][0]["nb_read_frames"])


def decoded(rows: Any, database: Any) -> Chunk:
    """Return CAN messages with their signals; raise what `decode_can` reports."""
    found: list[Chunk] = []
    errors: list[Exception] = []
    times = 1_700_000_000_000_000_000 + np.arange(len(rows)) * 1_000_000
    chunk = Chunk.stamped(rows, times, Can("x", interface="virtual").info)
    rx.of(chunk).pipe(ops.decode_can(database)).subscribe(found.append, errors.append)
    if errors:
        raise errors[0]
    return found[0]


def row(identifier: int, data: bytes, flags: int = 0) -> Any:
    """Return one message ``(1,)``."""
    rows = np.zeros(1, CAN_DTYPE)
    rows["arbitration_id"], rows["dlc"], rows["flags"] = identifier, len(data), flags
    rows["data"][0, : len(data)] = list(data)
    return rows
