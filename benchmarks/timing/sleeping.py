"""Real loops that read and sleep, each with a rate that it does not keep, beside a busy computer.

python benchmarks/timing/sleeping.py [--minutes 10] [--busy 2]

Four devices at once, at 1, 10, 100 and 1000 Hz, beside processes that only compute. The value of a
sample is the time at which it was read: that is its true time. Nothing is lost, and no time may lie
after its arrival.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from rxstream import Chunk, Device
from rxstream.authoring import host_time, source
from timing.score import markdown, spelled

_RATES = (1.0, 10.0, 100.0, 1000.0)
# The first part, in which no error is counted [ns].
_BEGIN = 10_000_000_000


def _loop(rate: float) -> Any:
    @source(rate=rate, dtype="i8", name=f"{rate:g} Hz")
    def loop() -> Iterator[Any]:
        yield
        while True:
            yield host_time(time.time())
            time.sleep(1 / rate)

    return loop()


class _Figures:
    """What becomes of the samples of one loop."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.read: list[int] = []
        self.arrivals: list[int] = []
        self.lost = self.gaps = 0

    def take(self, chunk: Chunk) -> None:
        self.times += chunk.time.tolist()
        self.read += chunk.data.tolist()
        self.arrivals += [evidence.arrival for evidence in chunk.evidence]
        self.gaps += len(chunk.gaps)
        self.lost += sum(gap.lost or 0 for gap in chunk.gaps)

    def row(self, rate: float, faults: list[str]) -> list[str]:
        times, read, arrivals = map(np.array, (self.times, self.read, self.arrivals))
        late, from_10_s = (times - arrivals) / 1e3, read - read[0] >= _BEGIN
        error, plain = ((each - read)[from_10_s] / 1e3 for each in (times, arrivals))
        return [
            f"{rate:g} Hz", str(len(times)), f"{self.gaps} / {self.lost}",
            *(spelled(float(np.percentile(np.abs(each), 95))) for each in (error, plain)),
            str(int((late > 0).sum())), "; ".join(faults) or "none",
        ]  # fmt: skip


def measure(seconds: float) -> list[list[str]]:
    """Return a row for each rate."""
    figures = {rate: _Figures() for rate in _RATES}
    faults: dict[float, list[str]] = {rate: [] for rate in _RATES}
    devices = []
    for rate in _RATES:
        device = Device(_loop(rate))
        device.subscribe(figures[rate].take)
        device.faults.subscribe(lambda fault, rate=rate: faults[rate].append(fault.kind))
        devices.append(device)
    for device in devices:
        device.open()
    threading.Event().wait(seconds)
    for device in devices:
        device.close()
    return [figures[rate].row(rate, faults[rate]) for rate in _RATES]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--busy", type=int, default=2, help="processes that only compute")
    chosen = parser.parse_args()
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(chosen.busy)]
    try:
        rows = measure(60 * chosen.minutes)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    heads = [
        "loop",
        "samples",
        "gaps / lost",
        "95 % of errors",
        "of arrival",
        "after arrival",
        "faults",
    ]
    print(markdown(heads, rows))


if __name__ == "__main__":
    main()
