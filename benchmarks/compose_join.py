"""An as-of join of 10⁶ samples with 10⁶ others: for each the last one before it."""

import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import Case
from numpy.typing import NDArray
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo
from rxstream import operators as ops

_MEAN = 1_000_000  # mean distance of samples [ns]
_REACH = 10 * 10**9  # tolerance of the join, longer than any pause [ns]


class Side(NamedTuple):
    """One stream: times [ns] and values."""

    time: NDArray[np.int64]
    value: NDArray[np.float64]


Joined = tuple[float, NDArray[Any], NDArray[Any]]
Runner = Callable[[Side, Side, int], Joined]


def _side(count: int, seed: int) -> Side:
    """Return samples at random times, 1000 a second, no two at the same time."""
    rng = np.random.default_rng(seed)
    return Side(np.cumsum(rng.integers(1, 2 * _MEAN, count)), rng.normal(size=count))


def _chunks(side: Side, size: int, name: str) -> list[Chunk]:
    """Return chunks of ``size`` samples, each covering the time to the next one."""
    info = StreamInfo(name, None, (), np.dtype(np.float64))
    edges = [0, *side.time[size::size].tolist(), int(side.time[-1]) + 1]
    return [
        Chunk.stamped(side.value[k : k + size], side.time[k : k + size], info,
                      start=edges[k // size], end=edges[k // size + 1], index=k)
        for k in range(0, len(side.time), size)
    ]  # fmt: skip


def _in_time(left: Side, right: Side) -> list[tuple[bool, tuple[int, float]]]:
    """Return all samples in order of time, and whether they are of the left stream."""
    both = [
        (t, is_left, (t, value))
        for is_left, side in ((True, left), (False, right))
        for t, value in zip(side.time.tolist(), side.value.tolist(), strict=True)
    ]
    return [(is_left, item) for _, is_left, item in sorted(both)]


# -- each returns the time it took [s], the left values with a partner, and the partners ----------


def _ours(left: Side, right: Side, size: int) -> Joined:
    pairs = list(zip(_chunks(left, size, "left"), _chunks(right, size, "right"), strict=True))
    a, b, got = Subject[Any](), Subject[Any](), list[Any]()
    join = ops.align(b, method="previous", tolerance=_REACH / 1e9)
    a.pipe(join).subscribe(got.append)
    begin = time.perf_counter()
    for one, other in pairs:
        b.on_next(other)
        a.on_next(one)
    b.on_completed()
    a.on_completed()
    took = time.perf_counter() - begin
    return took, *(np.concatenate([pair[k].data for pair in got]) for k in (0, 1))


def _reactivex(left: Side, right: Side, _size: int) -> Joined:
    samples, got = _in_time(left, right), list[Any]()
    a, b = Subject[Any](), Subject[Any]()
    a.pipe(rxo.with_latest_from(b)).subscribe(got.append)
    begin = time.perf_counter()
    for is_left, item in samples:
        (a if is_left else b).on_next(item)
    took = time.perf_counter() - begin
    return took, *_values(got)


def _streamz(left: Side, right: Side, _size: int) -> Joined:
    from streamz import Stream

    samples, got = _in_time(left, right), list[Any]()
    a, b = Stream(), Stream()
    a.combine_latest(b, emit_on=a).sink(got.append)
    begin = time.perf_counter()
    for is_left, item in samples:
        (a if is_left else b).emit(item)
    took = time.perf_counter() - begin
    return took, *_values(got)


def _values(pairs: list[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array([a[1] for a, _ in pairs]), np.array([b[1] for _, b in pairs])


def _pandas(left: Side, right: Side, _size: int) -> Joined:
    one, other = (
        pd.DataFrame({"time": side.time, name: side.value})
        for name, side in (("left", left), ("right", right))
    )
    begin = time.perf_counter()
    both = pd.merge_asof(one, other, on="time", tolerance=_REACH).dropna()
    took = time.perf_counter() - begin
    return took, both["left"].to_numpy(), both["right"].to_numpy()


def _numpy(left: Side, right: Side, _size: int) -> Joined:
    begin = time.perf_counter()
    at = right.time.searchsorted(left.time, side="right") - 1
    near = (at >= 0) & (left.time - right.time[at] <= _REACH)
    one, other = left.value[near], right.value[at[near]]
    return time.perf_counter() - begin, one, other


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    count = 10_000 if quick else 1_000_000
    left, right = _side(count, 1), _side(count, 2)
    few = count // (10 if quick else 20)

    def case(size: int, n: int, peer: Runner, peer_name: str, goal: float) -> Case:
        one, other = (Side(side.time[:n], side.value[:n]) for side in (left, right))

        def check() -> None:
            m = min(n, 20_000)
            a, b = (Side(side.time[:m], side.value[:m]) for side in (left, right))
            for mine, theirs in zip(_ours(a, b, size)[1:], peer(a, b, size)[1:], strict=True):
                np.testing.assert_array_equal(mine, theirs)

        def timed(run: Runner) -> float:
            return run(one, other, size)[0] / n * 1e9

        name = f"as-of join, {n:,} with {n:,}, chunks of {size}"
        return Case(name, partial(timed, _ours), partial(timed, peer), peer_name, "ns/sample",
                    False, goal, 3, check)  # fmt: skip

    out = []
    for size in (10, 100, 1000):
        if importlib.util.find_spec("streamz"):
            out.append(case(size, few, _streamz, "combine_latest(emit_on=) of samples", 5))
        out.append(case(size, few, _reactivex, "with_latest_from of samples", 5))
    out += [
        case(1000, count, _pandas, "pandas merge_asof on the whole", 2 / 3),
        case(1000, count, _numpy, "numpy searchsorted on the whole", 2 / 3),
        case(10_000, count, _numpy, "numpy searchsorted on the whole", 2 / 3),
    ]
    return out
