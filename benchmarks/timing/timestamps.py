"""True time: the shipped clock model against all peers, in one run.

python benchmarks/timing/timestamps.py [--seeds 20] [--only WORDS] [--quick] [--out FOLDER]
python benchmarks/timing/timestamps.py --xdf FILE ...

First fourteen traces: a table of the error that 95 % of the chunks keep within, after the first
two seconds [µs]; medians over the seeds. The error is that of a chunk's last sample against the
truth plus the least delay, which no one-way method can see. Then streams without a steady clock,
the weak points one by one, and a sweep over streams that nothing was tuned on. Writes
timestamps.json and timestamps.png. With recordings (`--xdf`) nothing else runs; see `xdf.py`.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from timing import clockless, sweep, traces, weak, xdf
from timing.score import COLUMNS, LOSSES, Figures, best, markdown, merged, score, spelled
from timing.traces import TITLES

_WIDTH = max(map(len, TITLES.values())) + 2  # of the first column


def table(results: dict[str, Figures]) -> None:
    """Print the figures of the traces."""
    print("\nerror that 95 % of the chunks keep within, after 2 s [µs]\n")
    print(" " * _WIDTH + "".join(f"{name[:10]:>11}" for name in COLUMNS))
    for trace, rows in results.items():
        cells = [f"{rows[who]['p95']:>11.4g}" if who in rows else f"{'-':>11}" for who in COLUMNS]
        print(f"{TITLES[trace]:{_WIDTH}}" + "".join(cells))
    print("\nagainst the best peer that works online\n")
    print(
        f"{'':{_WIDTH}}{'x better':>10} {'than':15}{'first 2 s':>10}{'lowest_10s':>11}"
        f"{'covered':>9}{'µs/chunk':>9}{'median':>8}  losses: true, reported, found, exact"
    )
    for trace, rows in results.items():
        we, other = rows["rxstream"], best(rows)
        early = rows.get("lowest_10s", rows[other])["first 2 s"]
        losses = ", ".join(f"{we[what]:.0f}" for what in LOSSES)
        print(
            f"{TITLES[trace]:{_WIDTH}}{rows[other]['p95'] / we['p95']:>10.4g} {other:15}"
            f"{we['first 2 s']:>10.4g}{early:>11.4g}{we['covered']:>9.3f}{we['µs per chunk']:>9.1f}"
            f"{we['median µs']:>8.1f}  {losses}" + ("  OUT OF ORDER" if we["order"] else "")
        )


def documented(results: dict[str, Figures]) -> str:
    """Return the tables of `docs/true-time.md`: errors, and losses."""
    errors, losses = [], []
    for trace, rows in results.items():
        we, other = rows["rxstream"], best(rows)
        peers = [spelled(rows[p]["p95"]) if p in rows else "–" for p in ("arrival", "lsl", "dll")]
        row = [
            TITLES[trace],
            f"**{spelled(we['p95'])}**",
            *peers,
            f"{spelled(rows[other]['p95'])} ({other})",
        ]
        after = spelled(rows["rxstream offline"]["p95"])
        errors.append([*row, after, f"{we['covered']:.1%}", f"{we['worst']:.1%}"])
        if we["true"] or we["reported"]:
            shares = [
                f"{we['found'] / we[of]:.3f}" if we[of] else "–" for of in ("reported", "true")
            ]
            counts = [f"{we[what]:.0f}" for what in LOSSES]
            losses.append([TITLES[trace], *counts, *shares])
    heads = ["stream", "rxstream live", "arrival", "LSL", "DLL", "best peer"]
    heads += ["rxstream on recordings", "covered, mean", "worst seed"]
    text = markdown(heads, errors)
    if losses:
        heads = ["stream", *LOSSES, "precision", "recall"]
        text += "\n\n" + markdown(heads, losses)
    return text


def plot(results: dict[str, Figures], path: Path) -> None:
    """Draw the table of errors."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6.5), layout="constrained")
    names = list(results)[::-1]
    colors = plt.get_cmap("tab20").colors
    for i, who in enumerate(name for name in COLUMNS if not name.startswith("rxstream")):
        at = [(rows[who]["p95"], k) for k, n in enumerate(names) if who in (rows := results[n])]
        if at:
            axes.plot(*zip(*at, strict=True), "o", color=colors[i + 2], label=who, alpha=0.8, ms=5)
    for who, mark in (("rxstream", "D"), ("rxstream offline", "d")):
        at = [(results[name][who]["p95"], k) for k, name in enumerate(names)]
        axes.plot(
            *zip(*at, strict=True), mark, color="black", label=who, ms=8 if mark == "D" else 6
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [TITLES[name] for name in names])
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("error that 95 % of the chunks keep within [µs]")
    axes.set_title("Time of the last sample of a chunk, 14 simulated devices")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, dpi=130)


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed of 'unsteady'")
    parser.add_argument(
        "--only", default="", help="part of a trace's name, 'unsteady', 'weak' or 'sweep'"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, to check that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--xdf", type=Path, nargs="+", metavar="FILE", help="recordings of LSL")
    return parser.parse_args()


def main() -> None:
    """Run, print, write."""
    args = arguments()
    if args.xdf:
        print(xdf.report(args.xdf))
        return
    seeds = 1 if args.quick else args.seeds
    results: dict[str, Figures] = {}
    for name, make in traces.TRACES.items():
        if args.only in name or args.only in TITLES[name]:
            results[name] = merged([score(make(seed)) for seed in range(seeds)])
            print(f"{TITLES[name]}: done", flush=True)
    written: dict[str, object] = dict(results)
    args.out.mkdir(parents=True, exist_ok=True)
    if results:
        table(results)
        print("\n" + documented(results))
        plot(results, args.out / "timestamps.png")
    if args.only in ("", "unsteady"):
        rows = clockless.clockless(range(args.first, args.first + seeds))
        print("\nstreams without a steady clock, p95 from 10 s on\n\n" + clockless.documented(rows))
        written["unsteady"] = {
            kind: [row._asdict() for row in members] for kind, members in rows.items()
        }
    if args.only in ("", "weak"):
        written["weak points"] = weak.report(seeds)
    if args.only in ("", "sweep"):
        cells = sweep.sweep(99 if args.quick else 1)
        sweep.report(cells)
        sweep.again(cells)
        written["sweep"] = {" ".join(map(str, cell)): rows for cell, rows in cells.items()}
    path = args.out / "timestamps.json"
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    print(f"\nmedians of {seeds} seeds, one of each stream of the sweep; written to {args.out}")


if __name__ == "__main__":
    main()
