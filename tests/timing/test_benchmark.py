"""The benchmark of the clock model runs."""

import json
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from rxstream.timing import online

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Length of the first streams of `unsteady` [ns].
SPANS = [125_355_417_088, 180_642_777_600, 194_702_710_016, 239_102_888_192]


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of `benchmarks/timing`."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    pytest.importorskip("timing.unsteady")
    return lambda name: import_module(f"timing.{name}")


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


def test_streams_without_a_steady_clock(benchmark):
    clockless, kinds = benchmark("clockless"), benchmark("unsteady").ALL_KINDS
    # Seeds of slow streams: the peers take their time.
    rows = clockless.clockless(range(4, 5), ("random walk", "two modes"))
    (walk,), (modes,) = rows["random walk"], rows["two modes"]
    assert walk.lost == modes.lost == {"live": 0, "offline": 0}
    assert walk.late == modes.late == 0
    assert "unsteady" in walk.verdicts
    assert walk.ratio["live"] <= 1.1
    assert modes.p95["live"] < 0.5 * modes.p95["arrival"]
    assert modes.p95["live"] == pytest.approx(modes.ratio["live"] * modes.p95["arrival"])
    errors, promises = clockless.documented(rows).split("\n\n")
    assert [line.split(" | ")[0] for line in errors.splitlines()[2:]] == [
        "| random walk", "| two modes",
    ]  # fmt: skip
    assert promises.splitlines()[-1].startswith("| all | 2 | 100% | 100% |")
    assert len(kinds) == 7


def test_streams_of_a_seed_stay_the_same(benchmark):
    """Figures are told by their seeds: new kinds must not change the draws of the others."""
    unsteady = benchmark("unsteady").unsteady
    assert [unsteady(seed).name for seed in (0, 1, 2, 3)] == [
        "software-paced 0", "wrong rate 1", "random walk 2", "thin tails 3",
    ]  # fmt: skip
    assert [int(np.ptp(unsteady(seed).arrival)) for seed in (0, 1, 2, 3)] == SPANS


def test_several_chunks_of_a_burst_come_at_once(benchmark):
    trace = benchmark("unsteady").unsteady(1, "bursts")
    apart = np.diff(trace.arrival) / np.median(np.diff(trace.truth))
    assert np.mean(apart < 0.1) >= 0.5
    assert (np.diff(trace.arrival) > 0).all()
    assert (trace.arrival >= trace.truth).all()


def run_constants(*args):
    script = ROOT / "benchmarks" / "timing" / "constants.py"
    done = subprocess.run(
        [sys.executable, str(script), *args],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_constant_is_missing_from_the_table():
    cells = {}
    for block in run_constants("--table").split("**`")[1:]:
        module, rows = block.split("`**")
        for row in rows.strip().splitlines()[2:]:
            names, value, meaning, source = row.strip("| ").split(" | ")
            for name in names.split(", "):
                cells[module, name.strip("`")] = value, meaning, source
    modules = [module.name for module in pkgutil.iter_modules(online.__path__)]
    private = {
        (module, name)
        for module in modules
        for name in vars(import_module(f"{online.__name__}.{module}"))
        if re.fullmatch(r"_[A-Z][A-Z0-9_]*", name)
    }
    assert len(private) > 150
    assert private <= set(cells)
    assert not [key for key, (_, meaning, source) in cells.items() if not (meaning and source)]
    assert cells["floor", "_BEATING"][0] == "60"
    assert cells["floor", "_BEATING"][2] == "study"


def test_the_constants_can_be_tried():
    text = run_constants(
        "--seeds", "1", "--streams", "unsteady", "--only", "wander._SCATTER", "--factors", "0.5"
    )
    assert re.match(r"shipped: .* of 7 streams of unsteady.py 0 worse than", text)
    (row,) = [line for line in text.splitlines() if line.startswith("| `_SCATTER`")]
    # Half of the arrivals scatter more than the other half.
    assert re.search(r"\| covered < 95 % \+[1-7] \|$", row)


def test_the_factors_of_the_uncertainty_can_be_tried():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "timing" / "fit.py"), "--seeds", "1"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| exponential | ") == 2


def test_the_losses_of_simulated_devices_can_be_counted():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "timing" / "drops.py"), "--seeds", "1"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "| 10 Hz | 20 s | " in done.stdout
