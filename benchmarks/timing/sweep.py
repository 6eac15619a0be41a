"""A sweep over streams that nothing was tuned on: rates, chunk sizes, clocks, delays, losses.

Each cell is one stream, seeded by its place in the sweep. Single samples at 8 kHz have delays of a
tenth: a link that carries so many messages is no slower than they are.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice, product
from typing import NamedTuple

import numpy as np

from timing.score import LOSSES, Figures, best, markdown, merged, score, spelled
from timing.traces import Delay, Trace, bimodal, gamma, pareto, regular

__all__ = ["Cell", "again", "cells", "report", "sweep"]

STREAMS = (
    (8_000.0, 1), (8_000.0, 80), (8_000.0, 8_000),
    (96_000.0, 96), (96_000.0, 960), (96_000.0, 9_600), (96_000.0, 96_000),
    (200.0, 1), (200.0, 20), (200.0, 200), (1.0, 1),
)  # fmt: skip
PPM = (0.0, 100.0, -100.0, 500.0, -500.0)
DELAYS: dict[str, Callable[[float], Delay]] = {
    "gamma": lambda scale: gamma(2.0, 0.5e-3 * scale),
    "pareto": lambda scale: pareto(1.5, 0.5e-3 * scale),
    "bimodal": lambda scale: bimodal(0.3e-3 * scale, 5e-3 * scale, 0.3),
}
LOST = ("none", "blocks", "any")


class Cell(NamedTuple):
    """One stream of the sweep."""

    rate: float
    size: int
    ppm: float
    delay: str
    loss: str

    @property
    def stream(self) -> str:
        """Rate [Hz] and size of a chunk."""
        return f"{self.rate:g} Hz / {self.size}"

    def trace(self, seed: int) -> Trace:
        """Return the stream: 8000 chunks, in 1 to 25 minutes; less of the fastest.

        Where samples are lost it is long enough for two losses at least.
        """
        step = self.size / self.rate
        short = 6.0 if self.loss == "none" else 18.0
        seconds = min(max(8000 * step, 60.0), 1500.0) if step >= 1e-3 else short
        least, most = max(1, int(3e-3 * self.rate), self.size // 5), int(0.1 * self.rate)
        blocks = self.loss == "blocks"
        return regular(
            seed, "/".join(map(str, self)), seconds=seconds, rate=self.rate, size=self.size,
            skew=self.ppm * 1e-6, delay=DELAYS[self.delay](1.0 if step >= 1e-3 else 0.1),
            losses=0.0 if self.loss == "none" else 1 / max(8.0, 400 * step),
            lost=(1, 6) if blocks else (least, max(most, 10 * self.size)), blocks=blocks,
            quantum=self.loss != "any",
        )  # fmt: skip


def cells(every: int = 1) -> Iterator[tuple[int, Cell]]:
    """Return each cell, or some, with its seed."""
    whole = product(STREAMS, PPM, DELAYS, LOST)
    return islice(
        ((1000 + k, Cell(*a, b, c, d)) for k, (a, b, c, d) in enumerate(whole)), 0, None, every
    )


def sweep(every: int = 1) -> dict[Cell, Figures]:
    """Return the figures of all methods on each cell."""
    chosen = list(cells(every))
    with ProcessPoolExecutor() as pool:
        return dict(zip((cell for _, cell in chosen), pool.map(_run, chosen), strict=True))


def _run(job: tuple[int, Cell]) -> Figures:
    seed, cell = job
    return score(cell.trace(seed), offline=False)


def again(results: dict[Cell, Figures], seeds: int = 5) -> None:
    """Print the medians of other seeds where a peer was better, to rule out chance."""
    lost = [(seed, cell) for seed, cell in cells() if cell in results and gain(results[cell]) < 1]
    jobs = [(seed + 10_000 * (k + 1), cell) for seed, cell in lost for k in range(seeds)]
    runs: dict[Cell, list[Figures]] = {}
    with ProcessPoolExecutor() as pool:
        for (_, cell), row in zip(jobs, pool.map(_run, jobs), strict=True):
            runs.setdefault(cell, []).append(row)
    medians = {cell: merged(rows) for cell, rows in runs.items()}
    behind = {cell: row for cell, row in medians.items() if gain(row) < 1}
    print(
        f"\na peer was better in {len(lost)} of {len(results)}; "
        f"by the median of {seeds} other seeds in {len(behind)} of those\n"
    )
    heads = ["stream", "clock", "delays", "lost", "rxstream", "best peer", "rxstream / best peer"]
    print(markdown(heads, [_behind(*one) for one in sorted(behind.items(), key=_gain_of)]))


def report(results: dict[Cell, Figures]) -> None:
    """Print medians and extremes of each part of the sweep, and the worst cells."""
    print(f"\nsweep of {len(results)} streams: best online peer of each / rxstream, p95 after 2 s")
    print("first 2 s: rxstream / least delay of 10 s; losses: true, reported, found, exact\n")
    print(f"{'':20}{'median':>9}{'worst':>9}{'first 2 s':>10}{'covered':>9}   losses")
    groups: dict[str, list[Cell]] = {"all": list(results)}
    for cell in results:
        for key in (cell.stream, f"{cell.ppm:+g} ppm", cell.delay, f"losses: {cell.loss}"):
            groups.setdefault(key, []).append(cell)
    for key, members in groups.items():
        rows = [results[cell] for cell in members]
        ratio = [gain(row) for row in rows]
        early = [row["rxstream"]["first 2 s"] / row["lowest_10s"]["first 2 s"] for row in rows]
        covered = np.median([row["rxstream"]["covered"] for row in rows])
        count = [sum(row["rxstream"][what] for row in rows) for what in LOSSES]
        print(
            f"{key:20}{np.median(ratio):>9.3g}{min(ratio):>9.3g}{np.median(early):>10.3g}"
            f"{covered:>9.3f}   " + ", ".join(f"{c:.0f}" for c in count)
        )
    print("\n" + documented(results))
    print("\nthe worst of them\n")
    for cell in sorted(results, key=lambda cell: gain(results[cell]))[:12]:
        _print_cell(cell, results[cell])


def documented(results: dict[Cell, Figures]) -> str:
    """Return the table of `docs/true-time.md`."""
    parts: dict[str, Callable[[Cell], bool]] = {
        "nothing lost": lambda cell: cell.loss == "none",
        "blocks lost": lambda cell: cell.loss == "blocks",
        "any number lost": lambda cell: cell.loss == "any",
        "chunks of one sample": lambda cell: cell.size == 1,
        "chunks of 1 s": lambda cell: cell.size == cell.rate,
        "0 ppm": lambda cell: cell.ppm == 0,
        "±100 ppm": lambda cell: abs(cell.ppm) == 100,
        "±500 ppm": lambda cell: abs(cell.ppm) == 500,
        **{f"{law} delays": lambda cell, law=law: cell.delay == law for law in DELAYS},
        "all": lambda _: True,
    }
    rows = []
    for part, belongs in parts.items():
        figures = [row for cell, row in results.items() if belongs(cell)]
        if figures:
            ratio = [gain(row) for row in figures]
            early = [r["rxstream"]["first 2 s"] / r["lowest_10s"]["first 2 s"] for r in figures]
            better = sum(value > 1 for value in ratio)
            rows.append(
                [
                    part,
                    f"{len(figures)}",
                    f"{np.median(ratio):.3g}",
                    f"{better}",
                    f"{np.median(early):.2g}",
                ]
            )
    heads = ["part", "streams", "median: best peer / rxstream", "rxstream better"]
    return markdown([*heads, "first 2 s / least delay"], rows)


def _print_cell(cell: Cell, row: Figures) -> None:
    print(
        f"{cell.stream:18}{cell.ppm:>+6g} ppm {cell.delay:8}{cell.loss:7}"
        f"{row['rxstream']['p95']:>10.4g} µs{gain(row):>8.3g} x better than {best(row)}"
    )


def _behind(cell: Cell, row: Figures) -> list[str]:
    other = best(row)
    return [
        cell.stream, f"{cell.ppm:+g} ppm", cell.delay, cell.loss, spelled(row["rxstream"]["p95"]),
        f"{spelled(row[other]['p95'])} ({other})", f"{1 / gain(row):.3g}",
    ]  # fmt: skip


def _gain_of(item: tuple[Cell, Figures]) -> float:
    return gain(item[1])


def gain(row: Figures) -> float:
    """Return the error of the best peer of this cell over that of rxstream."""
    return row[best(row)]["p95"] / row["rxstream"]["p95"]
