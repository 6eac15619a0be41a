"""Streams without a steady clock, beside those with one: what the verdict on a rate is worth.

For each kind of `unsteady.py` one stream of each seed, of two to four minutes. All figures are from
10 s on, as live streams and recordings find the verdict by then; losses are counted from the first
chunk on. The peers are given the stated rate, as rxstream is.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.stamp import ClockEvent
from timing import peers
from timing.score import follow, markdown, spelled
from timing.traces import Trace
from timing.unsteady import ALL_KINDS, BEGIN, judge, unsteady

__all__ = ["Result", "clockless", "documented", "measure"]

# A peer is ahead where rxstream's error is larger than this many times its own.
_AHEAD = 1.5
# Times of this much more than arrival's errors are no better than arrival.
_AS_ARRIVAL = 1.1


class Result(NamedTuple):
    """Figures of one stream."""

    p95: dict[str, float]
    """Error that 95 % of the chunks keep within, by method [µs]."""
    ratio: dict[str, float]
    """The same over that of plain arrival, of rxstream live and offline."""
    lost: dict[str, int]
    """Samples reported lost."""
    covered: dict[str, float]
    """Share of errors within the uncertainty."""
    late: int
    """Chunks stamped after their arrival, live and offline together."""
    verdicts: tuple[str, ...]
    """Verdicts of the live model on the rate, in order."""


def measure(job: tuple[str, int]) -> Result:
    """Return the figures of one kind and seed."""
    kind, seed = job
    trace = unsteady(seed, kind)
    stamps, _ = follow(trace)
    events = [event for stamp in stamps for event in stamp.events]
    after = correct_arrays(trace.count, trace.arrival, trace.rate, online=False)
    found = {
        "live": judge(
            trace, np.array([stamp.last for stamp in stamps]),
            np.array([stamp.uncertainty for stamp in stamps]),
            sum(stamp.lost or 0 for stamp in stamps),
        ),
        "offline": judge(trace, after.last, after.uncertainty, _lost(after.events)),
    }  # fmt: skip
    p95 = _peers(trace)
    return Result(
        p95 | {name: verdict.ratio * p95["arrival"] for name, verdict in found.items()},
        {name: verdict.ratio for name, verdict in found.items()},
        {name: verdict.lost for name, verdict in found.items()},
        {name: verdict.covered for name, verdict in found.items()},
        sum(verdict.late for verdict in found.values()),
        tuple(e.kind for e in events if e.kind in ("rate", "unsteady", "steady")),
    )


def _lost(events: Sequence[ClockEvent]) -> int:
    return sum(e.samples or 0 for e in events if e.kind == "gap")


def _peers(trace: Trace) -> dict[str, float]:
    """Return the error of each peer [µs], at least the nanosecond that `judge` counts from."""
    begin, counted = int(trace.arrival[0]), trace.arrival - trace.arrival[0] >= BEGIN
    x, y = trace.units, (trace.arrival - begin) / 1e9
    rows: dict[str, float] = {}
    for name, peer in (peers.ONLINE | peers.OFFLINE).items():
        times: NDArray[np.float64] = y if x is None else peer(x, y, trace)
        if np.isfinite(times).all():
            last = np.rint(times * 1e9).astype(np.int64) + begin
            error = np.abs(last - trace.truth - trace.floor * 1e9)[counted]
            rows[name] = max(float(np.quantile(error, 0.95)), 1.0) / 1e3
    return rows


def clockless(seeds: range, kinds: Sequence[str] = ALL_KINDS) -> dict[str, list[Result]]:
    """Return the figures of all methods on each stream, by kind."""
    jobs = [(kind, seed) for kind in kinds for seed in seeds]
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(measure, jobs))
    whole: dict[str, list[Result]] = {}
    for (kind, _), result in zip(jobs, results, strict=True):
        whole.setdefault(kind, []).append(result)
    return whole


def documented(whole: dict[str, list[Result]]) -> str:
    """Return the tables of `docs/true-time.md`: errors, and what is promised."""
    errors, promises = [], []
    for kind, rows in whole.items():
        errors.append([kind, f"{len(rows)}", *_errors(rows)])
        promises.append([kind, f"{len(rows)}", *_promises(rows)])
    everything = [row for rows in whole.values() for row in rows]
    promises.append(["all", f"{len(everything)}", *_promises(everything)])
    heads = ["stream", "streams", "rxstream live", "offline", "arrival", "best peer"]
    heads += ["pyxdf", "arrival / rxstream live", "some peer 1.5 × better", "of these unsteady"]
    text = markdown(heads, errors)
    heads = ["stream", "streams", "p95 ≤ 1.1 × arrival: live", "offline", "worst: live", "offline"]
    heads += ["reported lost (true: 0)", "covered ≥ 95 %: live", "offline", "after arrival"]
    return text + "\n\n" + markdown([*heads, "declared unsteady", "another rate"], promises)


def _errors(rows: list[Result]) -> list[str]:
    """Return the medians over streams; the best peer is the one of the least median.

    Last are the number of streams on which some online peer is ahead, each with the one that turned
    out best on it, and how many of these streams were declared unsteady.
    """
    median = {
        name: float(np.median([row.p95[name] for row in rows]))
        for name in rows[0].p95
        if all(name in row.p95 for row in rows)
    }
    others = [name for name in peers.ONLINE if name in median and name != "arrival"]
    best = min(others, key=median.__getitem__)
    ahead = [
        row
        for row in rows
        if _AHEAD * min(row.p95[name] for name in peers.ONLINE if name in row.p95) < row.p95["live"]
    ]
    gain = float(np.median([1 / max(row.ratio["live"], 1e-9) for row in rows]))
    return [
        f"**{spelled(median['live'])}**", spelled(median["offline"]), spelled(median["arrival"]),
        f"{spelled(median[best])} ({best})", spelled(median["pyxdf"]),
        f"{gain:{'.3g' if gain < 1000 else '.0f'}}",
        str(len(ahead)), str(sum("unsteady" in row.verdicts for row in ahead)),
    ]  # fmt: skip


def _promises(rows: list[Result]) -> list[str]:
    ways = ("live", "offline")
    kept = [f"{np.mean([row.ratio[way] <= _AS_ARRIVAL for row in rows]):.0%}" for way in ways]
    worst = [f"{max(row.ratio[way] for row in rows):.3g}" for way in ways]
    lost = " / ".join(f"{sum(row.lost[way] for row in rows)}" for way in ways)
    covered = [f"{np.mean([row.covered[way] >= 0.95 for row in rows]):.0%}" for way in ways]
    verdicts = [str(sum(what in row.verdicts for row in rows)) for what in ("unsteady", "rate")]
    return [*kept, *worst, lost, *covered, str(sum(row.late for row in rows)), *verdicts]
