"""Run all benchmarks: ours and a peer side by side; print a table, write results.json.

python benchmarks/run.py [--only WORDS] [--quick]
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import shape
import window


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    args = parser.parse_args()
    results = []
    print(f"{'benchmark':<62} {'ours':>12} {'peer':>12}  {'ratio':>8} {'goal':>6}  unit, peer")
    for case in [*window.cases(quick=args.quick), *shape.cases(quick=args.quick)]:
        if args.only not in case.name:
            continue
        result = case.run(1 if args.quick else None)
        results.append(result)
        goal = "" if case.goal is None else f"{case.goal:.3g}"
        mark = "" if case.goal is None or result["ratio"] >= case.goal else "  BELOW THE GOAL"
        print(
            f"{case.name:<62} {result['ours']:>12.4g} {result['peer']:>12.4g}  "
            f"{result['ratio']:>8.3g} {goal:>6}  {case.unit}, {case.peer_name}{mark}",
            flush=True,
        )
    args.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(f"medians; ratio > 1: better than the peer; written to {args.out.name}")


if __name__ == "__main__":
    main()
