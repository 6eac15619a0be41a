"""sessions: marbles, gaps, the laws, and pandas as the judge."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.cutting.sessions import _Sessions
from rxstream.testing import (
    assert_same,
    check_operator,
    infos,
    recut,
    recut_by_time,
    run_operator,
    streams,
)

KEYS = StreamInfo("keys", None, (), np.dtype(np.int64))


def keys(times: list[int], *, start: int, end: int, index: int = 0, gap: Gap | None = None) -> Any:
    """Return events whose values are their times [ms]."""
    stamps = [t * MS for t in times]
    return Chunk.stamped(
        np.array(times, np.int64), stamps, KEYS, start=start * MS, end=end * MS, index=index,
        gap=gap,
    )  # fmt: skip


def test_marble() -> None:
    """A session comes when the stream, or a heartbeat, is past its last event and the gap."""
    scheduler = TestScheduler()
    on_next = ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, keys([1, 4], start=0, end=5)),
        on_next(220, keys([], start=5, end=13, index=2)),
        on_next(230, keys([], start=13, end=14, index=2)),  # 4 + 10
        on_next(240, keys([20, 29, 39], start=14, end=40, index=2)),
        ReactiveTest.on_completed(250),
    )
    result = scheduler.start(lambda: hot.pipe(ops.sessions(0.01)))
    got = [(m.time, m.value.value.data.tolist()) for m in result.messages[:-1]]
    assert got == [(230, [1, 4]), (240, [20, 29]), (250, [39])]


def test_a_session_reaches_from_before_its_first_to_after_its_last() -> None:
    out = run_operator(
        ops.sessions(0.01, before=0.003, after=0.005), [keys([7, 9, 30], start=0, end=99)]
    )
    assert [(c.start // MS, c.end // MS, c.index) for c in out] == [(4, 14, 0), (27, 35, 2)]
    (point, _) = run_operator(ops.sessions(0.01), [keys([7, 30], start=0, end=99)])
    assert (point.start, point.end) == (7 * MS, 7 * MS + 1)


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=60),
    st.integers(1, 30),
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.floats(0, 1), max_size=6),
)
def test_pandas_agrees(times: list[int], gap: int, cuts: list[int], shares: list[float]) -> None:
    times.sort()
    series = pd.Series(times)
    want = [g.tolist() for _, g in series.groupby((series.diff() >= gap).cumsum())]
    chunk = keys(times, start=0, end=1000)
    out = run_operator(ops.sessions(gap / 1000), [chunk])
    assert [c.data.tolist() for c in out] == want
    assert_same(
        run_operator(ops.sessions(gap / 1000), recut(recut_by_time([chunk], shares), cuts)), out
    )


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=60),
    st.integers(1, 50),
    st.lists(st.floats(0, 1), max_size=6),
)
def test_no_session_is_longer_than_the_longest(
    times: list[int], max_duration: int, shares: list[float]
) -> None:
    times.sort()
    want: list[list[int]] = []
    for t in times:
        if not want or t - want[-1][-1] >= 20 or t - want[-1][0] >= max_duration:
            want.append([])
        want[-1].append(t)
    chunk = keys(times, start=0, end=1000)
    operator = ops.sessions(0.02, max_duration=max_duration / 1000)
    assert [c.data.tolist() for c in run_operator(operator, [chunk])] == want
    assert_same(
        run_operator(operator, recut_by_time([chunk], shares)), run_operator(operator, [chunk])
    )


@pytest.mark.parametrize("gap", [0.001, 0.03])
def test_the_laws(gap: float) -> None:
    check_operator(
        lambda: ops.sessions(gap, before=0.01, after=0.005, max_duration=0.1),
        source=streams(infos(regular=False)),
        conserves=False,
    )


@given(streams(infos(regular=False)))
def test_every_event_comes_once_with_the_gaps_before_it(chunks: list[Chunk[Any]]) -> None:
    whole, out = concat(chunks), run_operator(ops.sessions(0.01), chunks)
    if out:
        assert np.array_equal(np.concatenate([c.time for c in out]), whole.time)
        assert sum(c.lost for c in out) == sum(
            g.lost or 0 for p, g in whole.gap_positions if p < len(whole)
        )
    want = [s.index for s in run_operator(ops.samples(), chunks)]
    assert [s.index for s in run_operator(ops.samples(), out)] == want


def test_a_gap_is_no_pause() -> None:
    lost = Gap(10 * MS, 15 * MS, 2, "overrun")
    chunks = [keys([2, 8], start=0, end=10), keys([16], start=15, end=20, index=4, gap=lost)]
    (out,) = run_operator(ops.sessions(0.01), chunks)
    assert out.gap_positions == ((2, lost),)
    first, second = run_operator(ops.sessions(0.005, before=0.005), [*chunks])[1:]
    assert (first.data.tolist(), second.data.tolist()) == ([8], [16])
    assert second.gap == lost
    assert second.start == 11 * MS


def test_memory_stays_flat() -> None:
    step = _Sessions(5 * MS, 0, 0, 50 * MS)
    held = []
    for k in range(20_000):
        step.push(keys([10 * k, 10 * k + 1], start=10 * k, end=10 * k + 4, index=2 * k))
        step.push(keys([], start=10 * k + 4, end=10 * k + 10, index=2 * k + 2))
        if k in (1000, 19_999) and step._buffer is not None:
            buffer = step._buffer
            held.append((buffer._slabs.nbytes, len(buffer._parts)))  # type: ignore[union-attr]
    assert held[1][0] <= 2 * held[0][0]
    assert held[1][1] < 200


def test_a_stream_with_a_rate_needs_a_gate() -> None:
    with pytest.raises(ChunkError, match=r"ramp has a rate of 1000 Hz.*ops\.gate"):
        run_operator(ops.sessions(1), [ramp(0, 3)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.sessions(0), "pause must be > 0"),
        (lambda: ops.sessions("2s"), "pause must be > 0 seconds"),  # type: ignore[arg-type]
        (lambda: ops.sessions(1, before=-1), "before must be >= 0"),
        (lambda: ops.sessions(1, after=float("nan")), "after must be >= 0"),
        (lambda: ops.sessions(1, max_duration=0), "max_duration must be > 0"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()
