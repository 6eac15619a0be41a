"""Random streams from numbered seeds: the kinds that devices, files and operators give."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.data.gap import GapReason
from rxstream.testing import recut, recut_by_time

__all__ = ["LAYOUTS", "random_cuts", "random_stream"]

_STRUCTURED = np.dtype([("id", np.uint32), ("value", np.float64), ("raw", np.uint8, (4,))])
LAYOUTS: dict[str, tuple[tuple[int, ...], Any]] = {
    "scalar": ((), np.float64),
    "single": ((2,), np.float32),
    "matrix": ((3, 2), np.float64),
    "whole": ((2,), np.int16),
    "structured": ((), _STRUCTURED),
}
_RATES = (1000.0, 100.0, 30.0, 12.5, 44_100.0)
_REASONS: tuple[GapReason, ...] = ("overrun", "dropped", "disconnect", "restart")
_SIZES = (0, 0, 1, 1, 2, 3, 7, 24)


def _samples(rng: np.random.Generator, info: StreamInfo, first: int, n: int) -> NDArray[Any]:
    """Return samples ``(n, *shape)`` that rise, fall, and stand still; now and then one is NaN."""
    numbers = np.arange(first, first + n)
    wave = np.round(4 * np.sin(numbers / 5.0)) + numbers % 3
    data = np.zeros((n, *info.shape), info.dtype)
    if info.dtype.names:
        data["id"], data["value"] = numbers, wave
        return data
    data[...] = wave.reshape((n,) + (1,) * len(info.shape))
    if info.shape:
        data[..., -1] *= -1
    if info.dtype.kind == "f" and n and rng.random() < 0.03:
        data[rng.integers(n)] = np.nan
    return data


def _regular(
    rng: np.random.Generator, info: StreamInfo, kind: str, t: int, index: int, gap: Gap | None
) -> Chunk[Any]:
    n = int(rng.choice(_SIZES))
    data, period = _samples(rng, info, index, n), info.period or 0.0
    if kind == "stamped" and n:
        jitter = rng.uniform(0, 0.8 * period, n)
        times = t + (np.arange(n) * period + jitter).astype(np.int64)
        end = max(int(times[-1]) + 1, t + round(n * period))
        return Chunk.stamped(data, times, info, start=t, end=end, index=index, gap=gap)
    # the clock of a device is off by a little, and not always by as much
    true = period * (1 + rng.uniform(-0.003, 0.003)) if kind == "drifting" else period
    return Chunk.regular(data, info, start=t, index=index, gap=gap, period=true)


def _irregular(
    rng: np.random.Generator, info: StreamInfo, t: int, index: int, gap: Gap | None
) -> Chunk[Any]:
    n = int(rng.choice(_SIZES))
    span = int(rng.integers(n + 1, 10**8))
    # a coarse clock gives equal stamps
    tick = int(rng.choice((1, 1000, 10**7)))
    times = np.sort(rng.integers(0, span, n)) // tick * tick + t
    data = _samples(rng, info, index, n)
    return Chunk.stamped(data, times, info, start=t, end=t + span, index=index, gap=gap)


def _gap(rng: np.random.Generator, info: StreamInfo, t: int) -> Gap:
    lost = (0, 1, 3, 50, None)[int(rng.integers(5))]
    length = int(rng.choice((0, 0, 1, 10**7, 10**8)))
    if length and lost and info.period is not None and rng.random() < 0.7:
        length = round(lost * info.period)
    return Gap(t, t + length, lost, _REASONS[int(rng.integers(len(_REASONS)))])


def random_stream(
    rng: np.random.Generator,
    kind: str,
    layout: str,
    *,
    name: str = "stream",
    begin: int = 10**12,
    loose: bool = True,
) -> list[Chunk[Any]]:
    """Return chunks in order, as a device, a file, or an operator would give them.

    Parameters
    ----------
    kind
        ``"grid"``, ``"drifting"`` (its period changes from chunk to chunk), ``"stamped"`` (with a
        rate, and a stamp for each sample), ``"irregular"``.
    layout
        One of `LAYOUTS`.
    begin
        Time of its start [ns].
    loose
        Whether numbers may jump without a gap, as behind a gate.
    """
    shape, dtype = LAYOUTS[layout]
    rate = None if kind == "irregular" else float(rng.choice(_RATES))
    info = StreamInfo(name, rate, shape, np.dtype(dtype), "V")
    t, index, gap = begin, int(rng.choice((0, 0, 7, 1000))), None
    out: list[Chunk[Any]] = []
    if rng.random() < 0.1:
        gap = _gap(rng, info, t)
        t, index = gap.end, index + (gap.lost or 0)
    for _ in range(int(rng.integers(1, 9))):
        if rate is None:
            chunk = _irregular(rng, info, t, index, gap)
        else:
            chunk = _regular(rng, info, kind, t, index, gap)
        out.append(chunk)
        t, index, gap = chunk.end, index + len(chunk), None
        chance = rng.random()
        if chance < 0.3:
            gap = _gap(rng, info, t)
            t, index = gap.end, index + (gap.lost or 0)
        elif loose and chance < 0.4:
            silent = int(rng.choice((1, 10**6, 10**8)))
            out.append(Chunk.empty(info, t, t + silent, index=index))
            t += silent
            index += int(rng.choice((0, 0, 1, 5)))
    return out


def random_cuts(rng: np.random.Generator, chunks: Sequence[Chunk[Any]]) -> list[list[Chunk[Any]]]:
    """Return the same stream in other chunks: whole, cut by samples and times, by single samples.

    A chunk has no place for a jump of the numbers, so none goes across one.
    """
    out: list[list[Chunk[Any]]] = [[], [], []]
    for stretch in _without_jumps(chunks):
        count = sum(map(len, stretch))
        by_time = recut_by_time(stretch, rng.random(4).tolist())
        both = [*recut(by_time, rng.integers(0, count + 1, 4).tolist())]
        both = recut_by_time(both, rng.random(2).tolist()) if rng.random() < 0.5 else both
        for cut, more in zip(
            out, ([concat(stretch)], both, recut(by_time, range(count + 1))), strict=True
        ):
            cut += more
    return out


def _without_jumps(chunks: Sequence[Chunk[Any]]) -> list[list[Chunk[Any]]]:
    """Return stretches of a stream in which the numbers of the samples go on."""
    out: list[list[Chunk[Any]]] = []
    for chunk in chunks:
        if out and out[-1][-1].next_index == chunk.first_index:
            out[-1].append(chunk)
        else:
            out.append([chunk])
    return out
