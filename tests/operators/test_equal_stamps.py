"""Equal stamps, set apart by nanoseconds: durations and tolerances are as between the stamps."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, StreamInfo, concat
from rxstream import operators as ops
from rxstream.testing import recut, run_operator

MS = 1_000_000
EVENTS = StreamInfo("events", None, (), np.dtype(np.int64))
# in the ticks of a coarse clock
TICKS = st.lists(st.integers(0, 30), min_size=1, max_size=25).map(sorted)
CUTS = st.lists(st.integers(0, 25), max_size=5)


def events(ticks: list[int], info: StreamInfo = EVENTS) -> Chunk[Any]:
    stamps = np.array(ticks) * MS
    return Chunk.stamped(np.arange(len(ticks)), stamps, info, start=-MS, end=100 * MS)


def values(chunks: list[Any]) -> list[list[int]]:
    return [chunk.data.tolist() for chunk in chunks if len(chunk)]


def test_the_reported_cases() -> None:
    chunk = events([0, 0, 1])
    assert values(run_operator(ops.sessions(0.001), [chunk])) == [[0, 1], [2]]
    assert values(run_operator(ops.sessions(0.001), [chunk[:1], chunk[1:2], chunk[2:]])) == [
        [0, 1], [2],
    ]  # fmt: skip
    pairs = run_operator(ops.align(rx.of(events([0])), tolerance=0), [events([0, 0, 5])])
    assert [pair[0].data.tolist() for pair in pairs if len(pair[0])] == [[0, 1]]


@given(TICKS, st.integers(1, 4), st.integers(3, 12), CUTS)
def test_sessions(ticks: list[int], pause: int, longest: int, cuts: list[int]) -> None:
    want: list[list[int]] = [[0]]
    opened = ticks[0]
    for number, (a, b) in enumerate(pairwise(ticks), 1):
        if b - a >= pause or b - opened >= longest:
            want.append([])
            opened = b
        want[-1].append(number)
    sessions = ops.sessions(pause / 1e3, max_duration=longest / 1e3)
    assert values(run_operator(sessions, recut([events(ticks)], cuts))) == want


@given(TICKS, st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), st.data(), CUTS)
def test_gate(
    ticks: list[int], hold: int, before: int, after: int, data: Any, cuts: list[int]
) -> None:
    """What passes is what an oracle in whole ticks says: times of equal stamps are equal."""
    loud = data.draw(st.lists(st.booleans(), min_size=len(ticks), max_size=len(ticks)))
    passes = [False] * len(ticks)
    is_open, since, closed = False, None, -100
    for k, (tick, on) in enumerate(zip(ticks, loud, strict=True)):
        was_open = is_open
        if on:
            is_open, since = True, None
        else:
            since = tick if since is None else since
            if is_open and tick - since >= hold:
                is_open, closed = False, since + hold
        if is_open and not was_open:
            for j in range(k):
                passes[j] |= 0 < before >= tick - ticks[j]
        passes[k] |= is_open or tick - after < closed
    gate = ops.gate(
        lambda x: np.array(loud)[x], hold=hold / 1e3, before=before / 1e3, after=after / 1e3
    )
    out = run_operator(gate, recut([events(ticks)], cuts))
    assert [k for chunk in values(out) for k in chunk] == np.flatnonzero(passes).tolist()


@given(TICKS, st.integers(1, 5), CUTS)
def test_onset(ticks: list[int], holdoff: int, cuts: list[int]) -> None:
    """Every second sample is loud."""
    want, free = list[int](), -100
    for k, tick in enumerate(ticks):
        if k % 2 and tick >= free:
            want.append(k)
            free = tick + holdoff
    loud = events(ticks).with_data(np.arange(len(ticks)) % 2)
    out = run_operator(ops.onset(1, holdoff=holdoff / 1e3), recut([loud], cuts))
    times = events(ticks).time[want].tolist()
    assert [t for chunk in out for t in chunk.time.tolist()] == times


@pytest.mark.parametrize("method", ["previous", "nearest", "linear"])
@given(source=TICKS, partner=TICKS, tolerance=st.integers(0, 3), cuts=CUTS)
def test_align(
    method: Any, source: list[int], partner: list[int], tolerance: int, cuts: list[int]
) -> None:
    """Which samples have a partner is decided between stamps."""
    want = []
    for k, tick in enumerate(source):
        back = min((tick - p for p in partner if p <= tick), default=1000)
        ahead = min((p - tick for p in partner if p >= tick), default=1000)
        reach = {"previous": back, "nearest": min(back, ahead), "linear": max(back, ahead)}[method]
        if method == "linear" and back == 0:
            reach = 0
        if reach <= tolerance:
            want.append(k)
    other = StreamInfo("other", None, (), np.dtype(np.int64))
    join = ops.align(
        rx.of(events(partner, other)), tolerance=tolerance / 1e3, method=method, lateness=10
    )
    pairs = run_operator(join, recut([events(source)], cuts))
    assert concat([pair[0] for pair in pairs]).data.tolist() == want


@given(TICKS, CUTS)
def test_windows(ticks: list[int], cuts: list[int]) -> None:
    """Stamps at the edge of a window belong to the one that begins there, all of them."""
    out = run_operator(ops.window_by_time(0.005), recut([events(ticks)], cuts))
    groups: dict[int, list[int]] = {}
    for k, tick in enumerate(ticks):
        groups.setdefault(tick // 5, []).append(k)
    assert values(out) == list(groups.values())
