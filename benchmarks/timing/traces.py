"""Device traces with ground truth: arrivals of chunks, and the true times of their samples.

A device clock runs at ``1 - skew`` and wanders by ±1 ppm in 20 minutes. A chunk is ready when its
last sample is, travels for a delay of a given law, never overtakes the one before it, and waits
where the host stalls. Everything is seeded and simulated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import DeviceCounter

__all__ = ["TITLES", "TRACES", "Trace", "cut", "numbered", "regular"]

Floats = NDArray[np.float64]
Delay = Callable[[np.random.Generator, int], Floats]
"""Draws n delays [s]."""

# Drift of a crystal as the room warms and cools: ±1 ppm in 20 minutes [s].
_WANDER, _WANDER_PERIOD = 1e-6, 1200.0


@dataclass(frozen=True)
class Trace:
    """Arrivals and the truth, one row for each chunk; times are int64 [ns]."""

    name: str
    rate: float | None
    count: NDArray[np.int64]
    arrival: NDArray[np.int64]
    truth: NDArray[np.int64]
    """True time of the last sample."""
    floor: float = 0.0
    """Least delay [s], which arrivals do not show."""
    quantum: int | None = None
    spec: DeviceCounter | None = None
    counter: NDArray[np.int64] | None = None
    lower: NDArray[np.int64] | None = None
    upper: NDArray[np.int64] | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    """Number of the first chunk after a loss, and samples lost."""
    restarts: tuple[int, ...] = ()
    units: Floats | None = field(default=None, compare=False)
    """Device time of the last sample by the naive rules (counts or unwrapped ticks) [s]."""
    wall: NDArray[np.int64] | None = None
    """Lead of the wall clock, which the peers use, over the host clock."""


# -- parts ----------------------------------------------------------------------------------------


def device_clock(x: Floats, skew: float, phase: float) -> Floats:
    """Return the host time [s] at which the device's clock shows ``x`` [s]."""
    w = 2 * np.pi / _WANDER_PERIOD
    return x * (1 - skew) - _WANDER / w * (np.cos(phase) - np.cos(w * x + phase))


def in_order(t: Floats, least: float = 15e-6) -> Floats:
    """Keep the order: each at least this [s] after the one before."""
    steps = np.arange(len(t)) * least
    return np.maximum.accumulate(t - steps) + steps


def stalled(
    t: Floats, rng: np.random.Generator, often: float, shortest: float, longest: float
) -> Floats:
    """Delay chunks that are due while the host stalls, ``often`` times a second, so long [s]."""
    begin = np.sort(rng.uniform(t[0], t[-1], rng.poisson(often * (t[-1] - t[0]))))
    if not len(begin):
        return in_order(t)
    end = begin + rng.uniform(shortest, longest, len(begin))
    which = np.searchsorted(begin, t, side="right") - 1
    held = (which >= 0) & (t < end[np.maximum(which, 0)])
    t = t.copy()
    t[held] = end[which[held]] + rng.exponential(30e-6, held.sum())
    return in_order(t)


def exponential(mean: float) -> Delay:
    return lambda rng, n: rng.exponential(mean, n)


def lognormal(median: float, sigma: float) -> Delay:
    return lambda rng, n: rng.lognormal(np.log(median), sigma, n)


def gamma(shape: float, scale: float) -> Delay:
    return lambda rng, n: rng.gamma(shape, scale, n)


def pareto(shape: float, scale: float) -> Delay:
    return lambda rng, n: scale * rng.pareto(shape, n)


def bimodal(mean: float, other: float, part: float) -> Delay:
    return lambda rng, n: rng.exponential(mean, n) + other * (rng.random(n) < part)


def routes(rng: np.random.Generator, n: int) -> Floats:
    """A network with three routes, a gamma law on each."""
    u = rng.random(n)
    delay = rng.gamma(2.0, 0.3e-3, n) + np.where(u > 0.6, 6e-3, 0)
    return np.where(u > 0.9, delay + rng.uniform(14e-3, 54e-3, n), delay)


def ns(t: Floats) -> NDArray[np.int64]:
    return np.rint(t * 1e9).astype(np.int64)


# -- a regular device -----------------------------------------------------------------------------


def regular(
    seed: int,
    name: str = "regular",
    *,
    seconds: float = 300.0,
    rate: float = 48_000.0,
    size: int = 480,
    skew: float = 37e-6,
    floor: float = 1.3e-3,
    delay: Delay | None = None,
    stalls: tuple[float, float, float] | None = (1.0, 5e-3, 50e-3),
    losses: float = 0.0,
    lost: tuple[int, int] = (1, 6),
    blocks: bool = True,
    quantum: bool = True,
    step: float = 0.0,
) -> Trace:
    """Return a trace of chunks of ``size`` samples.

    Parameters
    ----------
    losses
        Rate of losses [1/s].
    lost
        Least size of a loss, and one above the largest: chunks if ``blocks``, else samples.
    quantum
        Whether the trace states that whole chunks are lost.
    step
        Rise of the floor half-way [s].
    """
    rng = np.random.default_rng([seed, *map(ord, name)])
    chunks = max(int(seconds * rate / size), 8)
    missing = np.zeros(chunks, np.int64)
    if losses:
        margin = chunks // 40
        at = rng.choice(np.arange(margin, chunks - margin), int(losses * seconds), replace=False)
        missing[at] = rng.integers(*lost, len(at)) * (size if blocks else 1)
    index = (np.arange(chunks) + 1) * size + np.cumsum(missing)
    truth = 1000 + rng.random() + device_clock(index / rate, skew, rng.uniform(0, 2 * np.pi))
    arrival = truth + floor + (delay or exponential(0.5e-3))(rng, chunks)
    arrival[chunks // 2 :] += step
    arrival = in_order(arrival) if stalls is None else stalled(arrival, rng, *stalls)
    return Trace(
        name, rate, np.full(chunks, size), ns(arrival), ns(truth), floor,
        quantum=size if quantum else None,
        gaps=tuple((int(i), int(missing[i])) for i in np.flatnonzero(missing)),
        units=np.arange(1, chunks + 1) * size / rate,
    )  # fmt: skip


def cut(trace: Trace, start: int, stop: int | None = None) -> Trace:
    """Return the chunks from ``start`` to before ``stop``."""
    part = slice(start, stop)
    rows = ("count", "arrival", "truth", "counter", "lower", "upper", "units", "wall")
    changes = {row: getattr(trace, row) for row in rows}
    return replace(trace, **{row: None if v is None else v[part] for row, v in changes.items()})


def numbered(trace: Trace, bits: int = 32, start: int = 0) -> Trace:
    """Return the trace with a counter of samples."""
    lost = np.zeros(len(trace.count), np.int64)
    for at, samples in trace.gaps:
        lost[at] = samples
    index = np.cumsum(trace.count + lost) + start
    return replace(
        trace,
        counter=index % (1 << bits),
        spec=DeviceCounter(bits),
        units=index / (trace.rate or 1.0),
    )


# -- the fourteen ---------------------------------------------------------------------------------


def a_audio(seed: int) -> Trace:
    """Sound, 48 kHz in blocks of 10 ms, exponential delay of 0.5 ms, stalls of 5-50 ms."""
    return regular(seed, "a_audio", seconds=600)


def a2_audio_adc(seed: int) -> Trace:
    """The same with stamps of the converter, floored to 1 ms."""
    trace = regular(seed, "a2_audio_adc")
    rng = np.random.default_rng([seed, 22])
    noisy = trace.truth + rng.integers(-100_000, 100_000, len(trace.truth))
    stamp = noisy // 1_000_000 * 1_000_000
    upper = np.minimum(stamp + 1_100_000, trace.arrival)
    return replace(trace, lower=stamp - 100_000, upper=upper, floor=0.0)


def b_camera(seed: int) -> Trace:
    """Frames, 30 a second, log-normal delay of 8 ms; one to three lost every 200."""
    return regular(
        seed, "b_camera", seconds=600, rate=30.0, size=1, skew=-22e-6, floor=15e-3,
        delay=lognormal(8e-3, 0.6), stalls=None, losses=0.15, lost=(1, 4),
    )  # fmt: skip


def b2_camera_seq(seed: int) -> Trace:
    """The same with 16-bit frame numbers."""
    return numbered(replace(b_camera(seed), name="b2_camera_seq"), bits=16)


def c_can32(seed: int) -> Trace:
    """CAN messages, 500 a second, polled every 10 ms; 32-bit µs ticks that wrap."""
    return _can(seed, "c_can32", 32, 600.0, 30e-3)


def c2_can16(seed: int) -> Trace:
    """The same with 16-bit ticks, which wrap every 65 ms, and stalls of up to 200 ms."""
    return _can(seed, "c2_can16", 16, 300.0, 200e-3)


def _can(seed: int, name: str, bits: int, seconds: float, stall: float) -> Trace:
    rng = np.random.default_rng([seed, *map(ord, name)])
    x = in_order(np.cumsum(rng.exponential(1 / 500.0, int(seconds * 510))), 120e-6)
    x = x[x < seconds]
    truth = 1000 + rng.random() + device_clock(x, 100e-6, rng.uniform(0, 2 * np.pi))
    polls = truth[0] + np.arange(int(seconds / 0.01) + 2) * 0.01
    polls = stalled(polls + rng.exponential(0.15e-3, len(polls)), rng, 0.3, 5e-3, stall)
    ready = in_order(truth + 0.2e-3 + rng.exponential(0.05e-3, len(truth)), 1e-6)
    poll = np.searchsorted(polls, ready)
    poll = poll[poll < len(polls)]
    last = np.flatnonzero(np.diff(poll, append=-1))
    ticks = np.floor(x * 1e6).astype(np.int64)
    start = 2**32 - int(seconds / 2 * 1e6) if bits == 32 else int(rng.integers(0, 2**bits))
    return Trace(
        name, None, np.diff(last, prepend=-1), ns(polls[poll[last]]), ns(truth[last]), 0.2e-3,
        spec=DeviceCounter(bits, 1e6, "ticks"), counter=(ticks[last] + start) % 2**bits,
        units=_unwrapped((ticks[last] + start) % 2**bits, bits) / 1e6,
    )  # fmt: skip


def _unwrapped(counter: NDArray[np.int64], bits: int) -> Floats:
    """Unwrap the usual way: smaller than before means one turn."""
    return np.cumsum(np.diff(counter, prepend=counter[0]) % (1 << bits)).astype(np.float64)


def d_vib_route(seed: int) -> Trace:
    """Vibration, 25.6 kHz in blocks of 0.1 s over a network whose floor rises by 4 ms."""
    return regular(
        seed, "d_vib_route", seconds=900, rate=25_600.0, size=2560, skew=-58e-6, floor=2e-3,
        delay=routes, stalls=None, step=4e-3,
    )  # fmt: skip


def e_plc_rr(seed: int) -> Trace:
    """A PLC that is polled ten times a second and has no clock."""
    rng = np.random.default_rng([seed, 5])
    n = 6000
    sent = 1000 + np.arange(n) * 0.1 + rng.exponential(0.3e-3, n)
    sent = in_order(sent + np.where(rng.random(n) < 0.01, rng.uniform(0, 30e-3, n), 0))
    truth = sent + 1e-3 + rng.exponential(1e-3, n) + rng.uniform(0, 5e-3, n)
    back = 1e-3 + rng.exponential(2e-3, n)
    back += np.where(rng.random(n) < 0.02, rng.uniform(0, 40e-3, n), 0)
    arrival = ns(truth + back)
    return Trace(
        "e_plc_rr", None, np.ones(n, np.int64), arrival, ns(truth), lower=ns(sent), upper=arrival
    )


def e2_plc_rr_tick(seed: int) -> Trace:
    """The same with a ms tick of a crystal that is 45 ppm fast."""
    trace = e_plc_rr(seed)
    rng = np.random.default_rng([seed, 55])
    x = (trace.truth - trace.truth[0]) / 1e9
    x = 2 * x - device_clock(x, 45e-6, rng.uniform(0, 2 * np.pi))
    ticks = np.floor(x * 1e3 + rng.random()).astype(np.int64) + 12_345
    return replace(
        trace, name="e2_plc_rr_tick", spec=DeviceCounter(32, 1e3, "ticks"), counter=ticks,
        units=ticks / 1e3,
    )  # fmt: skip


def f_restart(seed: int) -> Trace:
    """Sound with a count of samples; the device restarts after 1.2 to 2.5 s, its count at 0."""
    trace = regular(seed, "f_restart")
    rng = np.random.default_rng([seed, 6])
    half, pause = len(trace.count) // 2, int(rng.uniform(1.2e9, 2.5e9))
    truth, arrival = trace.truth.copy(), trace.arrival.copy()
    truth[half:] += pause
    arrival[half:] += pause
    for start in (0, half):  # the driver hands over its first blocks at once
        ready = truth[start + 5] + int(trace.floor * 1e9)
        arrival[start : start + 5] = np.maximum(arrival[start : start + 5], ready)
    arrival = ns(in_order((arrival - arrival[0]) / 1e9)) + arrival[0]
    index = np.cumsum(trace.count)
    index[half:] -= index[half - 1]
    return replace(
        trace, truth=truth, arrival=arrival, counter=index, spec=DeviceCounter(32), restarts=(half,)
    )


def g1_drop_blocks(seed: int) -> Trace:
    """Sound that loses one to five whole blocks every 8 s, without numbers."""
    return regular(seed, "g1_drop_blocks", losses=1 / 8)


def g2_drop_any(seed: int) -> Trace:
    """Sound that loses 100 to 5000 samples every 8 s, without numbers."""
    return regular(seed, "g2_drop_any", losses=1 / 8, lost=(100, 5000), blocks=False, quantum=False)


def g3_drop_seq(seed: int) -> Trace:
    """The same with a count of samples."""
    return numbered(replace(g2_drop_any(seed), name="g3_drop_seq"))


def h_ntp_step(seed: int) -> Trace:
    """Sound on a host whose wall clock is slewed and steps; rxstream's host clock is not."""
    trace = regular(seed, "h_ntp_step")
    part = (trace.arrival - trace.arrival[0]) / (trace.arrival[-1] - trace.arrival[0])
    wall = np.where(part > 0.5, 0.35, 0) + np.where(part > 0.75, -0.08, 0)
    wall += 500e-6 * 300 * np.clip(part - 0.2, 0, 0.1)
    return replace(trace, wall=ns(wall))


TRACES: dict[str, Callable[[int], Trace]] = {
    make.__name__: make
    for make in (
        a_audio, a2_audio_adc, b_camera, b2_camera_seq, c_can32, c2_can16, d_vib_route, e_plc_rr,
        e2_plc_rr_tick, f_restart, g1_drop_blocks, g2_drop_any, g3_drop_seq, h_ntp_step,
    )
}  # fmt: skip
TITLES = {
    "a_audio": "sound",
    "a2_audio_adc": "sound, ADC stamps of 1 ms",
    "b_camera": "camera, frames lost",
    "b2_camera_seq": "camera, frames lost, numbered",
    "c_can32": "CAN, 32-bit ticks",
    "c2_can16": "CAN, 16-bit ticks",
    "d_vib_route": "vibration, route gets longer",
    "e_plc_rr": "polled PLC",
    "e2_plc_rr_tick": "polled PLC, ticks of 1 ms",
    "f_restart": "sound, restart",
    "g1_drop_blocks": "sound, blocks lost",
    "g2_drop_any": "sound, samples lost",
    "g3_drop_seq": "sound, samples lost, counted",
    "h_ntp_step": "sound, wall clock steps",
}
"""Names of the traces for readers."""
