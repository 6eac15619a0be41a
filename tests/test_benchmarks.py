"""The benchmarks run, and both sides do the same work; no figure is judged here."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_benchmark_runs(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, "benchmarks/run.py", "--quick", "--out", str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    results = json.loads(out.read_text())
    assert len(results) >= 10
    keys = {"name", "ours", "peer", "peer_name", "unit", "ratio", "goal"}
    assert all(set(entry) == keys and entry["ours"] > 0 and entry["peer"] > 0 for entry in results)
