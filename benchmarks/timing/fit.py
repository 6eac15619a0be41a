"""Share of the errors that the uncertainty holds with other factors than those in `envelope.py`.

python benchmarks/timing/fit.py [--seeds 3]

The uncertainty of a line is 8.5 times its bias where the delays near the floor are known, and 3
times the standard errors of its height and slope before. Each table has the share of errors held
(mean over streams of 1 Hz to 1 kHz, and the worst of them) if the whole uncertainty were that much
wider or narrower. The middle column, a share of 1, is the shipped factor.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numpy.typing import NDArray

from timing.score import errors, follow, markdown
from timing.traces import bimodal, exponential, gamma, lognormal, pareto, regular

LAWS = {
    "exponential": exponential(0.5e-3), "gamma": gamma(2.0, 0.5e-3),
    "log-normal": lognormal(1e-3, 0.8), "pareto": pareto(1.5, 0.5e-3),
    "bimodal": bimodal(0.3e-3, 5e-3, 0.3),
}  # fmt: skip
RATES = ((1.0, 1, 600.0), (100.0, 1, 120.0), (1000.0, 1, 30.0))
SHARES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
FACTORS = {"settled": 8.5, "first seconds": 3.0}


def needed(law: str, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return the share of errors held by each width, in the first 10 s and after them."""
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in FACTORS}
    for rate, size, seconds in RATES:
        trace = regular(
            seed, f"fit {law} {rate}", rate=rate, size=size, seconds=seconds, delay=LAWS[law],
            stalls=None,
        )  # fmt: skip
        stamps, _ = follow(trace)
        error = np.abs(errors(np.array([stamp.last for stamp in stamps]), trace)) * 1e3
        ratio = error / np.array([stamp.uncertainty for stamp in stamps])
        early = trace.arrival - trace.arrival[0] < 10_000_000_000
        parts["settled"].append(ratio[~early])
        parts["first seconds"].append(ratio[early])
    return {name: np.array([[np.mean(r <= s) for s in SHARES] for r in rows])
            for name, rows in parts.items()}  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    found = {law: [needed(law, seed) for seed in range(args.seeds)] for law in LAWS}
    for name, factor in FACTORS.items():
        rows = []
        for law, runs in found.items():
            held = np.concatenate([run[name] for run in runs])
            cells = zip(held.mean(axis=0), held.min(axis=0), strict=True)
            rows.append([law, *(f"{mean:.1%} ({worst:.1%})" for mean, worst in cells)])
        print(f"\n{name}: errors held, mean (worst stream), for factors around {factor}\n")
        print(markdown(["delay", *(f"{factor * share:.3g}" for share in SHARES)], rows))


if __name__ == "__main__":
    main()
