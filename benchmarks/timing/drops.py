"""Losses of simulated devices without numbers, from the first second on: how many are found.

``python benchmarks/timing/drops.py`` prints a table; ``--seeds 2`` is a short look. A loss of one
to three chunks comes each 3 or 20 s, at random; the clocks are 80 ppm off.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from rxstream.devices import Simulated
from rxstream.devices.simulated import Drops
from rxstream.timing import correct_arrays
from timing.score import markdown

# Rate [Hz], mean time between losses, and length of a stream [s].
CASES = ((10.0, 3.0, 300.0), (10.0, 20.0, 300.0), (100.0, 3.0, 60.0), (1000.0, 3.0, 60.0))


def measure(rate: float, every: float, seconds: float, seed: int) -> tuple[int, int, int]:
    """Return the samples lost, those reported and not taken back, and the clocks given up."""
    source = Simulated(rate=rate, ppm=80.0, seed=seed, drops=Drops(every), signal="zeros")
    readings = list(source.readings(seconds))
    counts = np.array([len(reading.data) for reading in readings])
    arrivals = np.array([reading.arrival for reading in readings], np.int64)
    events = correct_arrays(counts, arrivals, rate, online=True).events
    found = sum(e.samples or 0 for e in events if e.kind in ("gap", "overlap"))
    lost = sum(loss.samples for loss in source.truth.lost)
    return lost, found, any(e.kind == "unsteady" for e in events)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16)
    seeds = parser.parse_args().seeds
    rows = []
    for rate, every, seconds in CASES:
        results = np.array([measure(rate, every, seconds, seed) for seed in range(seeds)])
        lost, found, given_up = results.sum(axis=0)
        rows.append([f"{rate:g} Hz", f"{every:g} s", f"{lost}", f"{found}", f"{given_up}"])
    print(markdown(["rate", "a loss each", "lost", "reported", "clocks given up"], rows))


if __name__ == "__main__":
    main()
