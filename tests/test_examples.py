"""The examples on real components: keys in a pty, sound in a PulseAudio, video from ffmpeg."""

import csv
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest
import soundfile
from fakes import eventually
from ptys import pty_line
from pulse import RATE, PrivatePulse, noise
from videos import HEIGHT, WIDTH, LiveTcp, frame, numbers_of

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parent.parent / "examples"
MIC = "audio:device=pulse,dtype=int16"


class Running:
    """An example as a user starts it; ended by Ctrl-C."""

    def __init__(self, name: str, *arguments: str | Path) -> None:
        command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def says(self, word: str, count: int = 1) -> bool:
        found = lambda: sum(word in line for line in list(self.lines)) >= count  # noqa: E731
        return eventually(lambda: found() or self.process.poll() is not None, 40) and found()

    def __enter__(self) -> Self:
        assert self.says("Ctrl-C ends it"), self.lines
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(30) == 0, self.lines
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    with PrivatePulse() as daemon:
        yield daemon


def find(sound: np.ndarray[Any, Any], part: np.ndarray[Any, Any]) -> int:
    """Return where a sound begins in another; it is bit-exact or not there."""
    for start in np.flatnonzero(sound == part[0]):
        if np.array_equal(sound[start : start + len(part)], part):
            return int(start)
    return -1


def read(path: Path) -> np.ndarray[Any, Any]:
    sound, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return np.asarray(sound)


def tone(hertz: float, seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    angle = 2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE
    return (16_000 * np.cos(angle)).astype(np.int16)


def test_record_as_you_type(pulse: PrivatePulse, tmp_path: Path) -> None:
    """What was said before the first key is in the file of the session, bit by bit."""
    said = noise(0.6, seed=5)
    options = ("--before", "4", "--after", "0.3", "--gap", "0.6", "--out", tmp_path, "--mic", MIC)
    with pty_line() as line:
        keys = f"keyboard:tty={line.path}"
        with Running("record_as_you_type.py", *options, "--keys", keys) as example:
            pulse.play(np.concatenate([said, np.zeros(RATE // 2, np.int16)]))
            line.write("hé".encode())
            line.write(b"x\x7f!\r")
            assert example.says(".wav", 1), example.lines
            line.write(b"second")
            assert example.says(".wav", 2), example.lines
    texts = sorted(tmp_path.glob("*.txt"))
    assert [path.read_text() for path in texts] == ["hé!\n", "second"]
    heard = read(texts[0].with_suffix(".wav"))
    place = find(heard, said)
    assert place >= 0
    # the session ends 0.3 s after its last key, so what lies before the keys is all the rest
    assert place + len(said) < len(heard) - 0.3 * RATE
    assert "wav: " in example.lines[1]


def test_tag_sound_events(pulse: PrivatePulse, tmp_path: Path) -> None:
    pause = np.zeros(RATE * 8 // 10, np.int16)
    sounds = {"noise": noise(0.4, seed=6), "tone 1000 Hz": tone(1000, 0.4)}
    options = ("--level", "-26", "--out", tmp_path, "--mic", MIC)
    with Running("tag_sound_events.py", *options) as example:
        pulse.play(np.concatenate([sounds["noise"], pause, sounds["tone 1000 Hz"], pause[:9600]]))
        assert example.says(".wav", 2), example.lines
    with (tmp_path / "tags.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tags = [row["tag"].split()[0] for row in rows]
    assert tags == ["noise", "tone"]
    assert float(rows[1]["tag"].split()[1]) == pytest.approx(1000, abs=5)
    for row, sound in zip(rows, sounds.values(), strict=True):
        assert float(row["duration_s"]) == pytest.approx(
            0.5, abs=0.05
        )  # and the pause that ends it
        assert find(read(tmp_path / row["file"]), sound) >= 0
    apart = (int(rows[1]["start_ns"]) - int(rows[0]["start_ns"])) / 1e9
    assert apart == pytest.approx(1.2, abs=0.05)


def alarm(path: Path) -> Path:
    """Make a video of 4 s whose frames 30 to 35 are half red."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (WIDTH, HEIGHT))
    for number in range(120):
        data = frame(number)
        if 30 <= number <= 35:
            data[150:] = (20, 20, 220)
        writer.write(data)
    writer.release()
    return path


def frames_in(path: Path) -> list[int]:
    capture = cv2.VideoCapture(str(path))
    found = []
    while True:
        good, data = capture.read()
        if not good:
            break
        found.append(data)
    capture.release()
    return numbers_of(found)


def test_save_before_and_after(pulse: PrivatePulse, tmp_path: Path) -> None:
    """A red frame and a loud noise each give sound and frames, from before to after."""
    out, bang = tmp_path / "clips", noise(0.3, seed=7)
    with LiveTcp(alarm(tmp_path / "alarm.avi")) as server:
        options = ("--before", "0.7", "--after", "0.5", "--level", "-26", "--out", out)
        cam = f"camera:source={server.url}"
        with Running("save_before_after.py", *options, "--mic", MIC, "--cam", cam) as example:
            assert example.says(": red", 1), example.lines
            pulse.play(bang)
            assert example.says("loud", 1), example.lines
    whys = {path.parent: path.read_text() for path in sorted(out.glob("*/why.txt"))}
    red = next(folder for folder, why in whys.items() if why.startswith("red"))
    numbers = frames_in(red / "cam.mkv")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] <= 30 - 15
    assert numbers[-1] >= 35 + 10
    heard = read(red / "mic.wav")
    assert len(heard) / RATE == pytest.approx(len(numbers) / 30, abs=0.1)
    loud = next(folder for folder, why in whys.items() if "loud" in why)
    assert find(read(loud / "mic.wav"), bang) >= 0
    assert len(frames_in(loud / "cam.mkv")) > 30


def test_all_run_without_hardware(tmp_path: Path) -> None:
    options = {
        "record_as_you_type.py": ("--gap", "0.3", "--before", "0.5", "--after", "0.1"),
        "tag_sound_events.py": (),
        "save_before_after.py": ("--before", "0.5", "--after", "0.3"),
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(options)
    running = []
    for name, more in options.items():
        out = tmp_path / name
        running.append((out, Running(name, "--simulated", "--seconds", "4", "--out", out, *more)))
    for out, example in running:
        with example:
            assert eventually(lambda e=example: e.process.poll() is not None, 40)  # type: ignore[misc]
        assert any(out.rglob("*.wav")), example.lines
