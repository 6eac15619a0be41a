"""Kill the writer of all kinds of files, and see what can still be read."""

import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import can
import cv2
import soundfile
from fault_programs import pause
from programs import running

WRITER = Path(__file__).with_name("fault_writer.py")
SECONDS = 3.0  # how long it writes [s]


def killed(number: signal.Signals) -> dict[str, float]:
    """Return how much [s] of each file is readable after a signal in the middle of writing."""
    folder = Path(tempfile.mkdtemp())
    with running([sys.executable, WRITER, folder], stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pause(SECONDS)
        process.send_signal(number)
        process.wait(20)
    kinds: dict[str, tuple[Callable[[Path], Any], float]] = {
        # the standard library reads integers only
        "a.wav": (_wave_frames, 48_000.0), "float.wav": (_sound_frames, 48_000.0),
        "a.flac": (_sound_frames, 48_000.0),
        "v.avi": (_frames, 25.0), "v.mkv": (_frames, 25.0), "t.csv": (_rows, 20.0),
        "c.blf": (_messages, 200.0), "c.asc": (_messages, 200.0), "c.log": (_messages, 200.0),
        "c.trc": (_messages, 200.0), "c.db": (_messages, 200.0),
    }  # fmt: skip
    return {name: _read(count, folder / name) / rate for name, (count, rate) in kinds.items()}


def _read(count: Callable[[Path], Any], path: Path) -> float:
    try:
        return float(count(path))
    except Exception:
        return 0.0


def _wave_frames(path: Path) -> int:
    with wave.open(str(path)) as file:
        return int(file.getnframes())


def _sound_frames(path: Path) -> int:
    with soundfile.SoundFile(path) as file:
        return len(file.read(10_000_000))


def _frames(path: Path) -> int:
    capture, n = cv2.VideoCapture(str(path)), 0
    while capture.isOpened() and capture.read()[0]:
        n += 1
    return n


def _rows(path: Path) -> int:
    return path.read_text().count("\n") - 1


def _messages(path: Path) -> int:
    n = 0
    for _ in can.LogReader(path):
        n += 1
    return n
