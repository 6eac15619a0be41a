"""The benchmark of the clock model runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


def test_it_runs_and_writes(tmp_path):
    command = [
        sys.executable, str(ROOT / "benchmarks" / "timing" / "timestamps.py"),
        "--quick", "--only", "e2_plc", "--out", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "| stream | rxstream live | arrival |" in done.stdout
    assert "| polled PLC, ticks of 1 ms | **" in done.stdout
    rows = json.loads((tmp_path / "timestamps.json").read_text())["e2_plc_rr_tick"]
    best = min(row["p95"] for who, row in rows.items() if not who.startswith("rxstream"))
    assert rows["rxstream"]["p95"] < best
    assert rows["rxstream"]["order"] == 0
    assert (tmp_path / "timestamps.png").stat().st_size > 10_000


def test_the_constants_can_be_tried():
    script = ROOT / "benchmarks" / "timing" / "constants.py"
    done = subprocess.run(
        [sys.executable, str(script), "--seeds", "1", "--only", "_BEATING", "--factors", "0.7"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shipped, tried = done.stdout.splitlines()[1:]
    assert shipped.startswith("shipped")
    assert tried.startswith("floor._BEATING")


def test_the_factors_of_the_uncertainty_can_be_tried():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "timing" / "fit.py"), "--seeds", "1"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| exponential | ") == 2
