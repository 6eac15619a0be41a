"""The clock model's constants: what they mean, and what others would do.

python benchmarks/timing/constants.py --table [--only WORDS ...]
python benchmarks/timing/constants.py [--seeds 2] [--only WORDS ...] [--factors 0.7 1.3]
                                      [--streams {all,traces,unsteady}]

Prints tables of value, meaning and source of each, and, unless `--table` is asked for, of the
effect of values 30 % smaller and larger. These run, one by one, on the fourteen traces and on the
streams of `unsteady.py`, one of each kind and seed, live. Measured against the shipped value: the
change of the error that 95 % of the chunks keep within (median of the traces; and the worst of them
where that is above 5 %), the coverage of the worst trace where it falls by over 1 %,
losses found or invented; and of the streams without a steady clock the one that gets worst, if by
more than 5 %, and how many more are worse than 1.1 times plain arrival, are covered by less than
95 %, have samples invented, or are declared unsteady. "–" is no effect.
Whole numbers are rounded, shares stay below 1, and what is made of a constant changes with it.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from timing.catalogue import Constant, constants, tables
from timing.score import Figures, follow, live, merged
from timing.traces import TITLES, TRACES, Trace
from timing.unsteady import ALL_KINDS, Verdict, judge, unsteady

# Stamps of drivers are no arrivals: benchmarks/timing/driver.py has figures of those.
ELSEWHERE = ("driver",)


class Run(NamedTuple):
    """Figures with one set of values."""

    traces: Figures
    others: dict[str, Verdict]
    """Streams of `unsteady.py` by name."""
    given_up: int
    """Streams declared unsteady."""


class Job(NamedTuple):
    """One constant with another value, or none."""

    constant: Constant | None
    factor: float
    seeds: int
    streams: str = "all"

    def run(self) -> Run | str:
        """Return the figures, or why there are none."""
        if self.constant is None:
            return _run(self.seeds, self.streams)
        value = changed(self.constant.value, self.factor)
        shipped = [(module, dict(vars(module))) for module in _holders(self.constant)]
        for module, _ in shipped:
            setattr(module, self.constant.name, value)
        _derive(shipped[0][0], self.constant.module)
        try:
            return _run(self.seeds, self.streams)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return f"fails: {type(error).__name__}"
        finally:
            for module, names in shipped:
                vars(module).update(names)


def _holders(constant: Constant) -> list[ModuleType]:
    """Return the module of a constant, and those that import it."""
    own = import_module(f"rxstream.timing.online.{constant.module}")
    others = {one.module for one in _known()} - {constant.module}
    found = [import_module(f"rxstream.timing.online.{name}") for name in sorted(others)]
    shared = not constant.name.startswith("_")
    return [own, *(other for other in found if shared and constant.name in vars(other))]


def changed(value: Any, factor: float) -> Any:
    """Return another value of a constant."""
    if isinstance(value, tuple):
        return tuple(changed(part, factor) for part in value)
    if isinstance(value, int):
        return round(value * factor)
    share = 0 < value < 1 <= value * factor
    return (1 + value) / 2 if share else value * factor


def can_change(constant: Constant) -> bool:
    """Whether other values of a constant can be tried."""
    value = constant.value
    parts = value if isinstance(value, tuple) else (value,)
    numbers = all(isinstance(part, (int, float)) for part in parts)
    return numbers and constant.derived is None and constant.module not in ELSEWHERE


def _derive(module: ModuleType, name: str) -> None:
    """Make anew what is made of other constants."""
    for constant in _known():
        if constant.module == name and constant.derived:
            setattr(module, constant.name, eval(constant.derived, vars(module)))


@cache
def _known() -> list[Constant]:
    return constants()


@cache
def _traces(seeds: int, streams: str) -> tuple[dict[str, list[Trace]], list[Trace]]:
    # A device without a clock has no line, so no constant matters.
    steady = {
        name: [make(seed) for seed in range(seeds)]
        for name, make in TRACES.items()
        if name != "e_plc_rr" and streams != "unsteady"
    }
    kinds = () if streams == "traces" else ALL_KINDS
    return steady, [unsteady(seed, kind) for kind in kinds for seed in range(seeds)]


def _run(seeds: int, streams: str) -> Run:
    steady, others = _traces(seeds, streams)
    figures = {
        name: merged([{"": live(trace)} for trace in traces])[""] for name, traces in steady.items()
    }
    verdicts, given_up = {}, 0
    for trace in others:
        stamps, _ = follow(trace)
        last = np.array([stamp.last for stamp in stamps])
        width = np.array([stamp.uncertainty for stamp in stamps])
        lost = sum(stamp.lost or 0 for stamp in stamps)
        verdicts[trace.name] = judge(trace, last, width, lost)
        given_up += any(event.kind == "unsteady" for stamp in stamps for event in stamp.events)
    return Run(figures, verdicts, given_up)


def effect(run: Run | str, shipped: Run) -> str:
    """Return what is different."""
    if isinstance(run, str):
        return run
    text = _on_traces(run, shipped) if run.traces else []
    ratio = {
        name: v.ratio / max(shipped.others[name].ratio, 1e-9) for name, v in run.others.items()
    }
    if ratio and ratio[worst := max(ratio, key=ratio.__getitem__)] > 1.05:
        text.append(f"{worst} {ratio[worst] - 1:+.0%}")
    for name, count in (("found", _found), ("invented", _invented)):
        if more := count(run) - count(shipped):
            text.append(f"losses {name} {more:+.0f}")
    for name, count in (
        ("worse than arrival", lambda r: sum(v.ratio > 1.1 for v in r.others.values())),
        ("covered < 95 %", lambda r: sum(v.covered < 0.95 for v in r.others.values())),
        ("samples invented", lambda r: sum(v.lost for v in r.others.values())),
        ("unsteady", lambda r: r.given_up),
    ):
        if more := count(run) - count(shipped):
            text.append(f"{name} {more:+d}")
    return "; ".join(text) or "–"


def _on_traces(run: Run, shipped: Run) -> list[str]:
    text = []
    ratio = {name: row["p95"] / shipped.traces[name]["p95"] for name, row in run.traces.items()}
    worst, median = max(ratio, key=ratio.__getitem__), float(np.median(list(ratio.values())))
    if abs(median - 1) >= 0.005:
        text.append(f"errors {median - 1:+.0%}")
    if ratio[worst] > 1.05:
        text.append(f"{TITLES[worst]} {ratio[worst] - 1:+.0%}")
    least, before = (_least_covered(r) for r in (run, shipped))
    if least < before - 0.01:
        text.append(f"covered {least:.0%}")
    return text


def _least_covered(run: Run) -> float:
    return min((row["covered"] for row in run.traces.values()), default=1.0)


def _found(run: Run) -> float:
    return sum(row["found"] for row in run.traces.values())


def _invented(run: Run) -> float:
    return sum(row["reported"] - row["found"] for row in run.traces.values())


def _summary(run: Run) -> str:
    covered, others = _least_covered(run), run.others.values()
    return (
        f"shipped: worst coverage {covered:.1%}, losses found {_found(run):.0f}, invented "
        f"{_invented(run):.0f}; of {len(others)} streams of unsteady.py "
        f"{sum(v.ratio > 1.1 for v in others)} worse than 1.1 x arrival, "
        f"{sum(v.covered < 0.95 for v in others)} covered < 95 %, "
        f"{sum(v.lost for v in others)} samples invented, {run.given_up} unsteady"
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="store_true", help="meaning and source alone")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORDS", help="parts of names or modules"
    )
    parser.add_argument("--streams", choices=("all", "traces", "unsteady"), default="all")
    parser.add_argument("--factors", type=float, nargs="+", default=[0.7, 1.3])
    args = parser.parse_args()
    found = [c for c in constants() if any(word in f"{c.module}.{c.name}" for word in args.only)]
    if args.table:
        print(tables(found, {}, []))
        return
    changes = [(c, factor) for c in found if can_change(c) for factor in args.factors]
    jobs = [Job(*change, args.seeds, args.streams) for change in [(None, 1.0), *changes]]
    with ProcessPoolExecutor() as pool:
        shipped, *others = pool.map(Job.run, jobs)
    if isinstance(shipped, str):
        sys.exit(shipped)
    effects: dict[Constant, list[str]] = {}
    for (constant, _), run in zip(changes, others, strict=True):
        effects.setdefault(constant, []).append(effect(run, shipped))
    print(f"{_summary(shipped)}\n")
    print(tables(found, effects, [f"× {factor:g}" for factor in args.factors]))


if __name__ == "__main__":
    main()
