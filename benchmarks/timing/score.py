"""Figures of the shipped clock model and of its peers on one trace."""

import time

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.online.model import ClockModel, Stamp
from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.settings import ClockSettings
from timing import peers
from timing.traces import Trace

__all__ = [
    "COLUMNS", "LOSSES", "Figures", "best", "errors", "follow", "markdown", "merged", "score",
    "spelled",
]  # fmt: skip

Ints = NDArray[np.int64]
Figures = dict[str, dict[str, float]]
"""Figures by method and name."""

COLUMNS = ["rxstream", *peers.ONLINE, "rxstream offline", *peers.OFFLINE]
LOSSES = ("true", "reported", "found", "exact")
"""Figures that count losses: there are, are reported, at the right chunk, with the right size."""

# Figures that are summed over seeds.
_SUMMED = (*LOSSES, "order")
# The first seconds are judged by themselves [ns].
_WARM = 2_000_000_000
# Chunks by which a reported loss may be off: it is found some chunks after it happened.
_NEAR_CHUNKS = 5


def errors(last: Ints, trace: Trace, wall: Ints | int = 0) -> NDArray[np.float64]:
    """Return the errors of the last samples' times ``(n,)`` [µs]; the least delay is no error."""
    return (last - trace.truth - wall) / 1e3 - trace.floor * 1e6


def follow(trace: Trace) -> tuple[list[Stamp], NDArray[np.float64]]:
    """Feed a fresh model as a live stream does; return its stamps and the µs of each chunk."""
    counter = [None] * len(trace.count) if trace.counter is None else trace.counter.tolist()
    bounds = [None] * len(trace.count)
    if trace.lower is not None and trace.upper is not None:
        bounds = list(zip(trace.lower.tolist(), trace.upper.tolist(), strict=True))
    rows = list(zip(trace.count.tolist(), trace.arrival.tolist(), counter, bounds, strict=True))
    push = ClockModel(ClockSettings(trace.rate, trace.quantum, trace.spec)).push
    stamps, clock = [], time.perf_counter_ns
    at = [clock()]
    for n, arrival, c, b in rows:
        stamps.append(push(n, arrival, counter=c, bounds=b))
        at.append(clock())
    return stamps, np.diff(at) / 1e3


def live(trace: Trace) -> dict[str, float]:
    """Return the figures of the model on a live stream."""
    stamps, cost = follow(trace)
    last = np.array([stamp.last for stamp in stamps])
    half_width = np.array([stamp.uncertainty for stamp in stamps]) / 1e3
    events = [event for stamp in stamps for event in stamp.events]
    error = errors(last, trace)
    order = float((np.diff(last) <= 0).sum() + (last > trace.arrival).sum())
    reported = [(e.first, e.samples) for e in events if e.kind in ("gap", "restart")]
    facts = {"covered": float(np.mean(np.abs(error) <= half_width)), "order": order}
    facts |= {"µs per chunk": float(cost.mean()), "median µs": float(np.median(cost))}
    return _figures(error, trace) | facts | _losses(reported, trace)


def afterwards(trace: Trace) -> dict[str, float]:
    """Return the figures of the two passes over a recording."""
    begin = time.perf_counter()
    result = correct_arrays(
        trace.count, trace.arrival, trace.rate, counter=trace.counter, lower=trace.lower,
        upper=trace.upper, quantum=trace.quantum, online=False, counter_spec=trace.spec,
    )  # fmt: skip
    cost = (time.perf_counter() - begin) / len(trace.count) * 1e6
    error = errors(result.last, trace)
    covered = float(np.mean(np.abs(error) <= result.uncertainty / 1e3))
    return _figures(error, trace) | {"µs per chunk": cost, "covered": covered}


def score(trace: Trace, *, offline: bool = True) -> Figures:
    """Return the figures of all methods on one trace."""
    rows = {"rxstream": live(trace)}
    if offline:
        rows["rxstream offline"] = afterwards(trace)
    # The peers read the wall clock.
    wall: Ints | int = 0 if trace.wall is None else trace.wall
    begin = int(trace.arrival[0])
    y = (trace.arrival - begin + wall) / 1e9
    x = y if trace.units is None else trace.units
    for name, peer in (peers.ONLINE | (peers.OFFLINE if offline else {})).items():
        if trace.units is None and name not in ("arrival", "midpoint"):
            continue  # without a device clock there is nothing to fit
        started = time.perf_counter()
        times = peer(x, y, trace)
        cost = (time.perf_counter() - started) / len(y) * 1e6
        if np.isfinite(times).all():
            last = np.rint(times * 1e9).astype(np.int64) + begin
            rows[name] = _figures(errors(last, trace, wall), trace) | {"µs per chunk": cost}
    return rows


def best(rows: Figures, what: str = "p95") -> str:
    """Return the best peer that works online."""
    return min((who for who in peers.ONLINE if who in rows), key=lambda who: rows[who][what])


def merged(runs: list[Figures]) -> Figures:
    """Return medians over the seeds, sums of counts, and mean and worst of the coverage."""
    whole: Figures = {}
    for who in runs[0]:
        whole[who] = {}
        for what in runs[0][who]:
            values = [run[who][what] for run in runs]
            way = np.sum if what in _SUMMED else np.mean if what == "covered" else np.median
            whole[who][what] = float(way(values))
            if what == "covered":
                whole[who]["worst"] = min(values)
    return whole


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table for the documentation."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spelled(value: float) -> str:
    """Return microseconds with a readable unit."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} µs"


def _figures(error: NDArray[np.float64], trace: Trace) -> dict[str, float]:
    """Return p95 after 2 s, the median, p95 about the median, and p95 of the first 2 s [µs]."""
    late = trace.arrival - trace.arrival[0] >= _WARM
    size = np.abs(error)
    return {
        "p95": float(np.quantile(size[late], 0.95)),
        "median": float(np.median(size[late])),
        "wobble": float(np.quantile(np.abs(error[late] - np.median(error[late])), 0.95)),
        "first 2 s": float(np.quantile(size[~late], 0.95)),
    }


def _losses(reported: list[tuple[int, int | None]], trace: Trace) -> dict[str, float]:
    """Return the numbers of `LOSSES`."""
    true, hits, exact = list(trace.gaps) + [(at, -1) for at in trace.restarts], 0, 0
    for chunk, samples in reported:
        near = [gap for gap in true if abs(gap[0] - chunk) <= _NEAR_CHUNKS]
        if near:
            true.remove(near[0])
            hits += 1
            exact += near[0][1] == samples
    count = len(trace.gaps) + len(trace.restarts)
    return {"reported": len(reported), "true": count, "found": hits, "exact": exact}
