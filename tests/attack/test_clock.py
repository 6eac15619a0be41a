"""Random streams that no clock of the stated rate paces: nothing invented, no worse than arrival.

The goal is that each stream is right in all respects. So far some are not, as docs/true-time.md
says with figures; the shares below are what chance can make of these.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from campaign import seeds

from rxstream.timing import correct_arrays

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# Most streams that may fall short of the goal: some at least, and a share of all.
ALLOWED = {"lost": (2, 0.03), "worse": (2, 0.03), "uncovered": (3, 0.1), "late": (0, 0.0)}


def judged(seed: int, online: bool) -> tuple[str, set[str]]:
    """Return the name of a stream, and in what it falls short."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    from timing.unsteady import judge, unsteady

    trace = unsteady(seed)
    found = correct_arrays(trace.count, trace.arrival, trace.rate, online=online)
    lost = sum(1 for event in found.events if event.kind in ("gap", "restart"))
    verdict = judge(trace, found.last, found.uncertainty, lost)
    short = {
        "lost": verdict.lost > 0, "worse": verdict.ratio > 1.1,
        "uncovered": verdict.covered < 0.95, "late": verdict.late > 0,
    }  # fmt: skip
    assert (np.diff(found.last) > 0).all()
    return trace.name, {what for what, is_so in short.items() if is_so}


@pytest.mark.parametrize("online", [True, False], ids=["live", "recorded"])
def test_streams_without_a_clock(online: bool) -> None:
    chosen = seeds(100)
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(judged, chosen, [online] * len(chosen)))
    counts = Counter(what for _, short in results for what in short)
    print(f"\n{len(results)} streams, {'live' if online else 'recorded'}: {dict(counts)}")
    for what, (some, share) in ALLOWED.items():
        names = [name for name, short in results if what in short]
        assert len(names) <= some + share * len(results), f"{what}: {names}"
