"""True time: the shipped clock model against all peers on all traces, in one run.

python benchmarks/timestamps.py [--seeds 20] [--only WORDS] [--quick] [--out FOLDER]

Prints a table of the error that 95 % of the chunks keep within, after the first two seconds
[µs]; medians over the seeds. The error is that of a chunk's last sample against the truth plus the
least delay, which no one-way method can see. Writes timestamps.json and timestamps.png.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

import timing_peers
import timing_traces
from timing_traces import Trace

from rxstream.timing.arrays import correct_arrays

Ints = NDArray[np.int64]
COLUMNS = ["rxstream", *timing_peers.ONLINE, "rxstream offline", *timing_peers.OFFLINE]


def errors(last: Ints, trace: Trace, wall: Ints | int = 0) -> NDArray[np.float64]:
    """Return the errors ``(n,)`` [µs]."""
    return (last - trace.truth - wall) / 1e3 - trace.floor * 1e6


def ours(trace: Trace, *, online: bool) -> tuple[Ints, dict[str, float]]:
    """Run the shipped model; return times [ns], and what it costs and covers."""
    begin = time.perf_counter()
    result = correct_arrays(
        trace.count, trace.arrival, trace.rate, counter=trace.counter, lower=trace.lower,
        upper=trace.upper, quantum=trace.quantum, online=online, counter_spec=trace.spec,
    )  # fmt: skip
    cost = (time.perf_counter() - begin) / len(trace.count) * 1e6
    covered = float(np.mean(np.abs(errors(result.last, trace)) <= result.uncertainty / 1e3))
    facts = {"µs per chunk": cost, "covered": covered, "order": order(result.last, trace)}
    told = [(event.chunk, event.samples) for event in result.events if event.kind == "gap"]
    return result.last, facts | losses(told, trace)


def order(last: Ints, trace: Trace) -> float:
    """Return how often times do not rise, or lie after their arrival."""
    return float((np.diff(last) <= 0).sum() + (last > trace.arrival).sum())


def losses(told: list[tuple[int, int | None]], trace: Trace) -> dict[str, float]:
    """Return how many losses were told, are true, and were found within 5 chunks."""
    true, hits, exact = list(trace.gaps), 0, 0
    for chunk, samples in told:
        near = [gap for gap in true if abs(gap[0] - chunk) <= 5]
        if near:
            true.remove(near[0])
            hits += 1
            exact += near[0][1] == samples
    return {"told": len(told), "true": len(trace.gaps), "found": hits, "exact": exact}


def figures(error: NDArray[np.float64], trace: Trace) -> dict[str, float]:
    """Return p95 after 2 s, the median, and p95 of the first 2 s [µs]."""
    late = trace.arrival - trace.arrival[0] >= 2_000_000_000
    size = np.abs(error)
    return {
        "p95": float(np.quantile(size[late], 0.95)),
        "median": float(np.median(size[late])),
        "first 2 s": float(np.quantile(size[~late], 0.95)),
    }


def one(trace: Trace) -> dict[str, dict[str, float]]:
    """Return the figures of everybody on one trace."""
    rows = {}
    for name, online in (("rxstream", True), ("rxstream offline", False)):
        last, facts = ours(trace, online=online)
        rows[name] = figures(errors(last, trace), trace) | facts
    wall: Any = 0 if trace.wall is None else trace.wall  # the peers' clock
    begin = int(trace.arrival[0])
    y = (trace.arrival - begin + wall) / 1e9
    x = y if trace.units is None else trace.units
    for name, peer in {**timing_peers.ONLINE, **timing_peers.OFFLINE}.items():
        if trace.units is None and name not in ("arrival", "midpoint"):
            continue  # no device clock: nothing to fit
        started = time.perf_counter()
        times = peer(x, y, trace)
        cost = (time.perf_counter() - started) / len(y) * 1e6
        if np.isfinite(times).all():
            last = np.rint(times * 1e9).astype(np.int64) + begin
            rows[name] = figures(errors(last, trace, wall), trace) | {"µs per chunk": cost}
    return rows


def merged(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return medians over the seeds; counts are summed."""
    counts = ("told", "true", "found", "exact", "order")
    return {
        who: {
            what: float((np.sum if what in counts else np.median)([run[who][what] for run in runs]))
            for what in runs[0][who]
        }
        for who in runs[0]
    }


def table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print everything."""
    print("\nerror that 95 % of the chunks keep within, after 2 s [µs]\n")
    print(f"{'':16}" + "".join(f"{name[:10]:>11}" for name in COLUMNS))
    for trace, rows in results.items():
        cells = [f"{rows[who]['p95']:>11.4g}" if who in rows else f"{'-':>11}" for who in COLUMNS]
        print(f"{trace:16}" + "".join(cells))
    print("\nagainst the best peer that works online\n")
    for trace, rows in results.items():
        peers = {who: rows[who] for who in timing_peers.ONLINE if who in rows}
        best = min(peers, key=lambda who: peers[who]["p95"])
        we, early = rows["rxstream"], rows.get("lowest_10s", rows[best])
        text = (
            f"{trace:16}{peers[best]['p95'] / we['p95']:>10.4g} x better than {best:<14}"
            f" first 2 s {we['first 2 s']:>7.4g} (lowest_10s {early['first 2 s']:>7.4g})"
            f"  covered {we['covered']:.3f}  {we['µs per chunk']:.1f} µs/chunk"
        )
        if we["told"] or we["true"]:
            text += (
                f"  losses: {we['true']:.0f}, told {we['told']:.0f}, right {we['found']:.0f}, "
                f"exact {we['exact']:.0f}"
            )
        print(text + ("" if not we["order"] else "  OUT OF ORDER"))


def picture(results: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Draw the table."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("no picture: matplotlib is not installed")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6.5), layout="constrained")
    names = list(results)[::-1]
    colours = plt.get_cmap("tab20").colors
    for i, who in enumerate(name for name in COLUMNS if not name.startswith("rxstream")):
        at = [(rows[who]["p95"], k) for k, n in enumerate(names) if who in (rows := results[n])]
        axes.plot(*zip(*at, strict=True), "o", color=colours[i + 2], label=who, alpha=0.8, ms=5)
    for who, mark in (("rxstream", "D"), ("rxstream offline", "d")):
        at = [(results[name][who]["p95"], k) for k, name in enumerate(names)]
        axes.plot(
            *zip(*at, strict=True), mark, color="black", label=who, ms=8 if mark == "D" else 6
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("error that 95 % of the chunks keep within [µs]")
    axes.set_title("Time of the last sample of a chunk, 14 simulated devices")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="part of a trace's name")
    parser.add_argument("--quick", action="store_true", help="one seed: only that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    results = {}
    for name, make in timing_traces.TRACES.items():
        if args.only not in name:
            continue
        results[name] = merged([one(make(s)) for s in range(1 if args.quick else args.seeds)])
        print(f"{name}: done", flush=True)
    table(results)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "timestamps.json"
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    picture(results, args.out / "timestamps.png")
    print(f"\nmedians of {1 if args.quick else args.seeds} seeds; written to {args.out}")


if __name__ == "__main__":
    main()
