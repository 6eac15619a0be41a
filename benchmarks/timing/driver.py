"""Stamps that a sound driver makes itself: times of rxstream and of peers from the same ones.

python benchmarks/timing/driver.py [--seeds 10]

The stamps are simulated, after what PortAudio on PulseAudio reports
(`rxstream/timing/online/driver.py`), at 48 kHz with a clock that is 80 ppm off; the truth is known.
Errors are those of each block's end after the first 5 s. The peers are those of `timing/peers.py`,
which take each block for an arrival.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from rxstream.timing.online.driver import DriverStamps
from timing import peers
from timing.score import spelled

# Nominal rate [Hz], error of the clock, length of a run and its start that is left out [s].
_RATE, _PPM, _LENGTH, _WARM = 48_000, 80.0, 120.0, 5.0
_PEERS = ("arrival", "lsl", "dll", "kalman", "hull_switched", "lowest_10s", "gstreamer")


class Scene(NamedTuple):
    """Blocks of one length [s], and the errors of their stamps ``(n,)`` [s]."""

    length: float
    errors: Callable[[np.random.Generator, int], Any]
    lost: float = 0.0  # before the middle block, unreported [s]


def _quiet(rng: np.random.Generator, n: int) -> Any:
    """Return errors of some ten microseconds; one in a hundred is early, as after a stall."""
    early = (rng.random(n) < 0.01) * rng.uniform(0, 0.02, n)
    return rng.normal(0, 20e-6, n) - early


def _busy(rng: np.random.Generator, n: int) -> Any:
    """Return errors of up to 10 ms for six in ten, four in a row alike."""
    groups = -(-n // 4)
    late = (rng.random(groups) < 0.6) * rng.uniform(0, 0.01, groups)
    return _quiet(rng, n) + np.repeat(late, 4)[:n]


SCENES = {
    "quiet, 10 ms": Scene(0.01, _quiet),
    "busy, 10 ms": Scene(0.01, _busy),
    "quiet, 50 ms": Scene(0.05, _quiet),
    "busy, 50 ms": Scene(0.05, _busy),
    "100 ms lost, 10 ms": Scene(0.01, _quiet, 0.1),
    "100 ms lost, 50 ms": Scene(0.05, _quiet, 0.1),
}


def run(scene: Scene, seed: int) -> dict[str, float]:
    """Return the 95 % quantile of the errors [µs] of each method, and the coverage of ours."""
    rng = np.random.default_rng(seed)
    n = round(_LENGTH / scene.length)
    block = scene.length * (1 + _PPM * 1e-6)
    begin = np.arange(n) * block
    begin[n // 2 :] += scene.lost
    end = begin + block
    stamp = begin + scene.errors(rng, n)

    driver, count = DriverStamps(1e9 / _RATE), round(scene.length * _RATE)
    pushed = [driver.push(count, 10**18 + round(1e9 * s)) for s in stamp.tolist()]
    ours = np.array([end - 10**18 for end, _, _ in pushed]) / 1e9
    half_width = np.array([width for _, _, width in pushed]) / 1e9
    late = end >= _WARM
    error = np.abs(ours - end)
    x, y = np.arange(1, n + 1) * scene.length, stamp + scene.length
    theirs = {name: peers.ONLINE[name](x, y, None) for name in _PEERS}
    return {
        "rxstream": _p95(error[late]),
        **{name: _p95(np.abs(times - end)[late]) for name, times in theirs.items()},
        "covered": float(np.mean(error[late] <= half_width[late])),
        "lost": sum(lost for _, lost, _ in pushed) / (scene.lost * _RATE) if scene.lost else 0.0,
    }


def _p95(error: Any) -> float:
    return float(np.percentile(error, 95)) * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    columns = ("rxstream", *_PEERS)
    print("| stamps |", " | ".join(columns), "| covered | of the loss found |")
    print("|---" * (len(columns) + 3) + "|")
    for name, scene in SCENES.items():
        runs = [run(scene, seed) for seed in seeds]
        mid = {key: float(np.median([found[key] for found in runs])) for key in runs[0]}
        cells = [spelled(mid[key]) for key in columns]
        found = f"{mid['lost']:.1%}" if scene.lost else "–"
        print(f"| {name} |", " | ".join(cells), f"| {mid['covered']:.1%} | {found} |")


if __name__ == "__main__":
    main()
