"""Random streams that no clock of the stated rate paces, or with delays unlike most others.

Software-paced: a loop reads and sleeps, each turn takes a little longer. Wrong rate: a steady
clock, 0.5 to 4 times as fast as stated. Random walk: each step has an error of its own. All others
have a steady clock of the stated rate. Thin tails: delays with few near the least; normal jitter:
normally distributed ones. Bursts: several chunks come at once. Two modes: part of the chunks take a
longer route. Nothing is lost, and the truth is known.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from timing.traces import Trace, in_order, ns

__all__ = ["ALL_KINDS", "BEGIN", "KINDS", "Verdict", "judge", "unsteady"]

Floats = NDArray[np.float64]

KINDS = ("software-paced", "wrong rate", "random walk", "thin tails")
"""Kinds that take turns from seed to seed."""
ALL_KINDS = (*KINDS, "normal jitter", "bursts", "two modes")
"""Those, and kinds that must be asked for."""

BEGIN = 10_000_000_000
"""First part of a stream, in which no error is counted [ns]."""
# Length of a stream at least [s].
_SECONDS = 120.0


def unsteady(seed: int, kind: str | None = None) -> Trace:
    """Return the stream of a seed; by default the four `KINDS` take turns."""
    kind = kind or KINDS[seed % len(KINDS)]
    rng = np.random.default_rng([seed, ALL_KINDS.index(kind)])
    chunks = float(np.exp(rng.uniform(np.log(1.0), np.log(500.0))))  # a second
    size = 1 if rng.random() < 0.7 else int(rng.integers(2, 200))
    period = 1 / chunks
    n = int(_SECONDS * rng.uniform(1.0, 2.0) * chunks)
    factor = 1.0
    if kind == "software-paced":
        steps = period + _overshoot(rng, n, period)
        if rng.random() < 0.3:
            factor = float(np.mean(steps)) / period  # the true mean is stated
    elif kind == "random walk":
        spread = period * np.exp(rng.uniform(np.log(1e-3), np.log(0.3)))
        steps = np.maximum(period + spread * rng.standard_normal(n), 0.01 * period)
    else:
        steps = np.full(n, period * (1 + rng.uniform(-200e-6, 200e-6)))
        if kind == "wrong rate":
            factor = float(np.exp(rng.uniform(np.log(0.5), np.log(4.0))))
    taken = 1.7e9 + np.cumsum(steps)
    came = taken + _DELAYS.get(kind, _delay)(rng, n, period)
    if kind == "bursts":
        came = _held(rng, came, period)
    n = len(came)
    arrival, truth, rate = ns(in_order(came)), ns(taken[:n]), chunks * size / factor
    return Trace(
        f"{kind} {seed}", rate, np.full(n, size), arrival, truth,
        floor=float((arrival - truth).min()) / 1e9, units=np.arange(1, n + 1) * size / rate,
    )  # fmt: skip


def _overshoot(rng: np.random.Generator, n: int, period: float) -> Floats:
    """Return by how much each turn of a loop is longer than asked for [s]."""
    mean = min(np.exp(rng.uniform(np.log(20e-6), np.log(3e-3))), 0.5 * period)
    law = rng.integers(4)
    if law == 0:
        over = rng.exponential(mean, n)
    elif law == 1:
        over = rng.gamma(4.0, mean / 4, n)
    elif law == 2:
        over = mean * rng.lognormal(-0.32, 0.8, n)
    else:
        over = np.maximum(mean + mean / 4 * rng.standard_normal(n), 0.0)
    # collections of garbage, other processes: now and then a turn is much longer
    if rng.random() < 0.5:
        often = rng.random(n) < 1 / max(1.0, rng.uniform(2, 20) / period)
        over[often] += rng.uniform(2e-3, 60e-3, often.sum())
    return over


def _delay(rng: np.random.Generator, n: int, period: float) -> Floats:
    scale = np.exp(rng.uniform(np.log(10e-6), np.log(min(5e-3, period))))
    law = rng.integers(3)
    if law == 0:
        return rng.exponential(scale, n)
    if law == 1:
        return rng.gamma(2.0, scale, n)
    return rng.exponential(scale / 3, n) + 5 * scale * (rng.random(n) < 0.2)


def _thin(rng: np.random.Generator, n: int, period: float) -> Floats:
    sd = np.exp(rng.uniform(np.log(50e-6), np.log(min(5e-3, period / 3))))
    law = rng.integers(4)
    if law == 0:
        return 6 * sd + sd * rng.standard_normal(n)
    if law == 1:
        return rng.uniform(0, 3.5 * sd, n)
    if law == 2:
        return 3 * sd * rng.weibull(3.0, n)
    return rng.triangular(0, 2.4 * sd, 4.8 * sd, n)


def _normal(rng: np.random.Generator, n: int, period: float) -> Floats:
    sd = np.exp(rng.uniform(np.log(50e-6), np.log(min(5e-3, period / 3))))
    return np.maximum(6 * sd + sd * rng.standard_normal(n), 0.0)


def _two_modes(rng: np.random.Generator, n: int, period: float) -> Floats:
    scale = np.exp(rng.uniform(np.log(10e-6), np.log(min(2e-3, period / 3))))
    longer = scale * np.exp(rng.uniform(np.log(5.0), np.log(50.0)))
    return rng.gamma(2.0, scale, n) + longer * (rng.random(n) < rng.uniform(0.1, 0.9))


def _held(rng: np.random.Generator, came: Floats, period: float) -> Floats:
    """Let chunks wait, for a number of them or until somebody looks; a second at most, or two.

    A last burst that has not its number is left out: it would not have come yet.
    """
    size = int(rng.integers(2, max(2, min(16, round(1 / period))) + 1))
    if rng.random() < 0.5:
        came = came[: len(came) // size * size]
        released = np.maximum.accumulate(came)[np.arange(len(came)) // size * size + size - 1]
    else:
        every = size * period * rng.uniform(0.7, 1.3)
        released = (came[0] // every + np.ceil((came - came[0] // every * every) / every)) * every
    return released + rng.exponential(20e-6, len(came))


_DELAYS = {"thin tails": _thin, "normal jitter": _normal, "two modes": _two_modes}


class Verdict(NamedTuple):
    """Figures of one stream, from 10 s on."""

    lost: int
    """Samples reported lost, from the first chunk on; none was."""
    ratio: float
    """Error that 95 % of the chunks keep within, over that of plain arrival."""
    covered: float
    """Share of errors within the uncertainty."""
    late: int
    """Chunks stamped after their arrival."""


def judge(trace: Trace, last: NDArray[np.int64], uncertainty: Floats, lost: int) -> Verdict:
    """Return the figures of times for a trace."""
    from_10_s = trace.arrival - trace.arrival[0] >= BEGIN
    floor = trace.floor * 1e9
    error = np.abs(last - trace.truth - floor)[from_10_s]
    plain = np.abs(trace.arrival - trace.truth - floor)[from_10_s]
    ratio = float(np.quantile(error, 0.95) / max(np.quantile(plain, 0.95), 1.0))
    covered = float(np.mean(error <= uncertainty[from_10_s]))
    return Verdict(lost, ratio, covered, int((last > trace.arrival).sum()))
