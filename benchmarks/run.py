"""Run all benchmarks: ours and a peer side by side; print a table, write results.json.

python benchmarks/run.py [--only WORDS] [--quick] [--out FILE]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import compose_filter
import compose_join
import compose_windows
import handover
import late
import memory
import readers
import rechunk
import sliding
import stalled
import stream2py_items
import video_files

TOPICS = (
    readers, handover, stalled, sliding, rechunk, memory, late, compose_windows, compose_join,
    compose_filter, video_files, stream2py_items,
)  # fmt: skip


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name; writes only with --out")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that it works")
    parser.add_argument("--out", type=Path, help="default: results.json, of a full run")
    args = parser.parse_args()
    results = []
    print(f"{'benchmark':<56} {'ours':>10} {'peer':>10} {'ratio':>8} {'goal':>6} ok  unit, peer")
    for topic in TOPICS:
        for case in topic.cases(quick=args.quick):
            if args.only in case.name:
                results.append(case.run(1 if args.quick else None))
                print(_line(results[-1], judge=not args.quick), flush=True)
    if not results:
        parser.error(f"--only {args.only!r}: no benchmark has that in its name")
    print("medians; ratio > 1: better than the peer")
    out = args.out
    if out is None and not args.quick and not args.only:
        out = Path(__file__).with_name("results.json")
    if out is not None:
        out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(f"written to {out.name}")


def _line(result: dict[str, Any], *, judge: bool) -> str:
    goal = result["goal"]
    ok = "" if goal is None or not judge else "yes" if result["ratio"] >= goal else "NO"
    return (
        f"{result['name']:<56} {result['ours']:>10.4g} {result['peer']:>10.4g} "
        f"{result['ratio']:>8.3g} {'' if goal is None else f'{goal:.3g}':>6} {ok:<3} "
        f"{result['unit']}, {result['peer_name']}"
    )


if __name__ == "__main__":
    main()
