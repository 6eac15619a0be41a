"""Weak points of clock models, one by one: figures for `docs/true-time.md`."""

from dataclasses import replace

import numpy as np

from rxstream.timing.recorded.arrays import correct_arrays
from timing import peers
from timing.score import errors, follow, score
from timing.traces import (
    TITLES,
    TRACES,
    Trace,
    b2_camera_seq,
    bimodal,
    exponential,
    gamma,
    lognormal,
    pareto,
    regular,
    routes,
)  # fmt: skip

__all__ = ["report"]

Row = dict[str, float]
_LAWS = {
    "exponential": exponential(0.5e-3), "gamma": gamma(2.0, 0.5e-3),
    "pareto": pareto(1.5, 0.5e-3), "bimodal": bimodal(0.3e-3, 5e-3, 0.3),
    "log-normal": lognormal(1e-3, 0.8), "three routes": routes,
}  # fmt: skip
_RATES = ((48_000.0, 480, 120.0), (25_600.0, 2560, 300.0), (30.0, 1, 600.0), (1.0, 1, 1800.0))


def report(seeds: int) -> dict[str, dict[str, Row]]:
    """Print all and return them; at most 10 seeds."""
    seeds = min(seeds, 10)
    whole = {
        "uncertainty: share of errors that it covers, and its median [µs]": coverage(seeds),
        "rate off by ±5000 ppm, not announced [µs]": rates(seeds),
        "camera, its constant known: p95 of the wobble [µs]": wobble(seeds),
        "route 4 ms shorter from half-way on: median error against the new floor [µs]": route(
            seeds
        ),
        "p95 of the first 2 s [µs]": first(seeds),
    }
    for title, rows in whole.items():
        print(f"\n{title}\n")
        for name, row in rows.items():
            cells = "".join(f"  {what} {value:.4g}" for what, value in row.items())
            print(f"{name:32}{cells}")
    return whole


def coverage(seeds: int) -> dict[str, Row]:
    """Return the share of errors within the uncertainty, over traces and laws of the delay."""
    made = {TITLES[name]: [make(seed) for seed in range(seeds)] for name, make in TRACES.items()}
    for law, delay in _LAWS.items():
        made[law] = [regular(seed, law, delay=delay, seconds=120.0) for seed in range(seeds)]
    rows = {}
    for name, traces in made.items():
        parts, widths = [], []
        for trace in traces:
            stamps, _ = follow(trace)
            width = np.array([stamp.uncertainty for stamp in stamps]) / 1e3
            error = np.abs(errors(np.array([stamp.last for stamp in stamps]), trace))
            parts.append(np.mean(error <= width))
            widths.append(np.median(width))
        rows[name] = {
            "covered": float(np.mean(parts)), "worst seed": float(np.min(parts)),
            "width": float(np.median(widths)),
        }  # fmt: skip
    return rows


def rates(seeds: int) -> dict[str, Row]:
    """Return errors and false losses of a device that is slower or faster than stated."""
    rows = {}
    for rate, size, seconds in _RATES:
        for skew in (-5e-3, 5e-3):
            found = []
            for seed in range(seeds):
                trace = regular(
                    seed, "rates", rate=rate, size=size, seconds=seconds, skew=skew,
                    quantum=size > 1, stalls=None if rate < 100 else (1.0, 5e-3, 50e-3),
                )  # fmt: skip
                found.append(score(trace, offline=False)["rxstream"])
            rows[f"{rate:g} Hz, {-skew * 1e6:+g} ppm"] = {
                what: float(np.median([row[what] for row in found]))
                for what in ("p95", "first 2 s")
            } | {"losses reported": float(sum(row["reported"] for row in found))}
    return rows


def wobble(seeds: int) -> dict[str, Row]:
    """Return the error of a camera with frame numbers about its median."""
    found = [score(b2_camera_seq(seed)) for seed in range(seeds)]
    names = ("rxstream", "lsl", "dll", "lowest_10s", "hull", "rxstream offline", "pyxdf")
    return {n: {"wobble": float(np.median([row[n]["wobble"] for row in found]))} for n in names}


def route(seeds: int) -> dict[str, Row]:
    """Return errors before and after the route gets shorter: live, and of a recording."""
    rows: dict[str, list[tuple[float, float]]] = {"rxstream": [], "rxstream offline": []}
    for seed in range(seeds):
        trace = regular(
            seed, "route", seconds=600, rate=25_600.0, size=2560, skew=-58e-6, floor=6e-3,
            delay=routes, stalls=None, step=-4e-3,
        )  # fmt: skip
        trace = replace(trace, floor=2e-3)
        half = len(trace.count) // 2
        for name, online in (("rxstream", True), ("rxstream offline", False)):
            result = correct_arrays(
                trace.count, trace.arrival, trace.rate, quantum=trace.quantum, online=online
            )
            error = errors(result.last, trace)
            rows[name].append((float(np.median(error[20:half])), float(np.median(error[half:]))))
    return {
        name: dict(zip(("before", "after"), np.median(pairs, axis=0).tolist(), strict=True))
        for name, pairs in rows.items()
    }


def first(seeds: int) -> dict[str, Row]:
    """Return errors of the first 2 s: of the model, the least delay so far, and a known clock."""
    rows = {}
    for name in ("a_audio", "b2_camera_seq", "c_can32", "d_vib_route", "g1_drop_blocks"):
        traces = [TRACES[name](seed) for seed in range(seeds)]
        rows[TITLES[name]] = {
            who: float(np.median([_early(f(trace), trace) for trace in traces]))
            for who, f in (("rxstream", _ours), ("lowest_10s", _lowest), ("clock known", _known))
        }
    return rows


def _early(error: np.ndarray, trace: Trace) -> float:
    early = trace.arrival - trace.arrival[0] < 2_000_000_000
    return float(np.quantile(np.abs(error[early]), 0.95))


def _ours(trace: Trace) -> np.ndarray:
    return errors(np.array([stamp.last for stamp in follow(trace)[0]]), trace)


def _lowest(trace: Trace) -> np.ndarray:
    begin = trace.arrival[0]
    times = peers.lowest_10s(trace.units, (trace.arrival - begin) / 1e9, trace)
    return errors(np.rint(times * 1e9).astype(np.int64) + begin, trace)


def _known(trace: Trace) -> np.ndarray:
    return np.minimum.accumulate((trace.arrival - trace.truth) / 1e3 - trace.floor * 1e6)
