"""The memory of windows and of what waits for subscribers is what `max_bytes` promises."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import first_seed, trials
from memory_cases import CASES

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc"),
]

PROGRAM = Path(__file__).parents[1] / "support" / "memory_cases.py"
LIMIT = 100.0  # [s]; on an idle machine none takes a tenth


def drawn() -> list[str]:
    """Return the loads of this run: all of a whole campaign, else a few, each time others."""
    return sorted(random.Random(first_seed()).sample(sorted(CASES), trials(len(CASES))))


def run(*arguments: str | Path) -> dict[str, int]:
    """Run a load in a process of its own; return how much that grew, and what it may."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        capture_output=True, text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROGRAM.parent), *sys.path])},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found: dict[str, int] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("load", drawn())
def test_memory_is_bounded(load: str) -> None:
    found = run(PROGRAM, load)
    assert 0 <= found["grown"] <= found["allowed"], load


def test_the_measure_sees_what_is_held() -> None:
    """A load that keeps 100 MB grows by as much: the campaign can fail."""
    code = (
        "import numpy as np, memory_cases as m\n"
        "kept = []\n"
        "def hold():\n    kept.append(np.ones(100 * m.MB, np.uint8))\n    return m.allowed()\n"
        "m.case(hold)\nm.main('hold')\n"
    )
    found = run("-c", code)
    assert found["grown"] > 90_000_000 > found["allowed"]
