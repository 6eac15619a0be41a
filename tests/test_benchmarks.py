"""The benchmarks run, and both sides do the same work; no figure is judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
KEYS = {"name", "ours", "peer", "peer_name", "unit", "ratio", "goal"}
TOPICS = ("items to 3 sub", "items to 3 rea", "hand-over", "stalled", "sliding", "rechunk",
          "memory", "late subscriber", "1 s / 50 ms", "band-pass",
          "as-of join", "video", "stream2py reader")  # fmt: skip


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "benchmarks/run.py", "--quick", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_benchmark_runs(tmp_path: Path) -> None:
    """Peers that only `make bench` installs are left out where they are not there."""
    out = tmp_path / "results.json"
    result = bench("--out", str(out))
    assert result.returncode == 0, result.stdout + result.stderr
    results = json.loads(out.read_text())
    assert all(set(entry) == KEYS and entry["ours"] > 0 and entry["peer"] > 0 for entry in results)
    names = [(entry["name"], entry["peer_name"]) for entry in results]
    assert len(set(names)) == len(names)
    for topic in TOPICS:
        assert any(topic in name for name, _ in names), topic


def test_unknown_name_is_refused() -> None:
    result = bench("--only", "no such thing")
    assert result.returncode == 2
    assert "'no such thing'" in result.stderr


def test_the_stamps_of_drivers_are_compared() -> None:
    command = [sys.executable, "benchmarks/timing/driver.py", "--seeds", "1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("µs") >= 12, result.stdout


def test_eight_devices_at_once() -> None:
    """A short run of it: nothing is lost."""
    command = [sys.executable, "benchmarks/eight_devices.py", "--minutes", "0.05"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing lost of" in result.stdout
    for name in ("sound 3", "camera 1", "can", "keyboard"):
        assert f"\n{name} " in result.stdout, result.stdout
