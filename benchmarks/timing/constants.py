"""Effect of the clock model's constants: each 30 % smaller and larger, on the fourteen traces.

python benchmarks/timing/constants.py [--seeds 2] [--only WORDS] [--factors 0.7 1.3]

Each line has one constant with another value, against the shipped ones: the ratio of the errors
that 95 % of the chunks keep within after the first two seconds (median of the traces, and the worst
of them with its name), the share of errors that the uncertainty covers (mean, and the worst trace),
and the losses that were reported and found. Times of the live model; whole numbers are rounded.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from timing.score import live, merged
from timing.traces import TITLES, TRACES

# Modules of `rxstream.timing.online`, and their constants.
CONSTANTS = {
    "buckets": ("_PER_WINDOW", "_MIN_BUCKETS"),
    "delay_shape": (
        "_THIN", "_THIN_RANGE", "_THIN_SOONER", "_THIN_WIDTH", "_SETTLED", "_BENT", "_CAP",
        "_EXCESS_GAIN", "_VARIATION_GAIN", "_SHAPE_GAIN",
    ),
    "envelope": (
        "_MAX_WANDER", "_GIVE_UP", "_MIN_BUCKETS", "_OUTLYING", "_PARTS", "_BIAS_WIDTH",
        "_EARLY_WIDTH",
    ),
    "event_detector": (
        "_MEASURE_LATENCY", "_REVOCABLE_SECONDS", "_MIN_LOST", "_SMALLER_LOSS", "_OVERLAP",
        "_EARLY_LOSS_SPREADS",
    ),
    "floor": ("_WARM_CHUNKS", "_WARM_SECONDS", "_FIRM", "_REARM", "_BEATING", "_SLOPE_NOISE"),
    "loss_test": ("MAX_RUN", "_COMPARED", "_ODDS", "_SIZE_ODDS", "_QUANTUM_SHARE"),
    "model": ("_FRESH_PART", "_DRAIN_PART"),
}  # fmt: skip


class Job(NamedTuple):
    """One constant with another value."""

    module: str
    name: str
    factor: float
    seeds: int

    def run(self) -> dict[str, dict[str, float]]:
        """Return the figures of the traces."""
        module = import_module(f"rxstream.timing.online.{self.module}")
        shipped = getattr(module, self.name)
        value = shipped * self.factor
        setattr(module, self.name, round(value) if isinstance(shipped, int) else value)
        try:
            return {
                name: merged([{"": live(make(seed))} for seed in range(self.seeds)])[""]
                for name, make in TRACES.items()
                if name != "e_plc_rr"  # it has no clock, so no constant matters
            }
        finally:
            setattr(module, self.name, shipped)


def line(figures: dict[str, dict[str, float]], shipped: dict[str, dict[str, float]]) -> str:
    """Return the figures of one job."""
    ratio = {name: row["p95"] / shipped[name]["p95"] for name, row in figures.items()}
    worst = max(ratio, key=ratio.__getitem__)
    covered = [row["covered"] for row in figures.values()]
    reported, found = (sum(row[what] for row in figures.values()) for what in ("reported", "found"))
    return (
        f"{np.median(list(ratio.values())):>7.3f}{ratio[worst]:>8.3f} {TITLES[worst]:30}"
        f"{np.mean(covered):>7.3f}{min(covered):>7.3f}{reported:>9.0f}{found:>7.0f}"
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a constant's name or module")
    parser.add_argument("--factors", type=float, nargs="+", default=[0.7, 1.3])
    args = parser.parse_args()
    jobs = [
        Job(module, name, factor, args.seeds)
        for module, names in CONSTANTS.items()
        for name in names
        if args.only in f"{module}.{name}"
        for factor in args.factors
    ]
    print(
        f"{'constant':36}{'factor':>6}{'median':>7}{'worst':>8} {'p95 against the shipped':30}"
        f"{'covered':>7}{'worst':>7}{'reported':>9}{'found':>7}"
    )
    with ProcessPoolExecutor() as pool:
        shipped, *others = pool.map(Job.run, [Job("model", "_FRESH_PART", 1.0, args.seeds), *jobs])
    print(f"{'shipped':36}{1:>6}{line(shipped, shipped)}")
    for job, figures in zip(jobs, others, strict=True):
        print(f"{job.module + '.' + job.name:36}{job.factor:>6g}{line(figures, shipped)}")


if __name__ == "__main__":
    main()
