"""What the README and the how-to show runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent


def blocks(path: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = blocks("README.md")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "all.wav").stat().st_size > 200_000
    assert (tmp_path / "sneeze.wav").stat().st_size > 100_000
    assert "<Chunk microphone" in result.stdout


def test_the_readme_names_every_device_operator_and_sink() -> None:
    from rxstream import devices, operators, sinks

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in [*operators.__all__, *devices.__all__, *sinks.__all__]:
        if name not in ("DeviceInfo", "Sink"):
            assert f"`{name}" in text, f"the README does not name {name}"


def test_the_example_of_composing_runs(tmp_path: Path) -> None:
    (example,) = blocks("docs/compose.md")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for word in ("level", "again", "motion", "second", "burst"):
        assert word in result.stdout  # not at the begin of a line: threads print at the same time


def test_the_how_to_write_an_operator_runs(tmp_path: Path) -> None:
    """All its blocks are one program; what it prints is what the comments say."""
    text = "\n".join(blocks("docs/write-an-operator.md"))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    said = [line.partition("  # ")[2] for line in text.splitlines() if line.startswith("print(")]
    assert result.stdout.splitlines() == said
