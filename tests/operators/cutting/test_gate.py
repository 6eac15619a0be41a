"""gate: marbles, gaps, the laws; pandas and scipy as judges."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import MS
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from scipy.ndimage import binary_dilation

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.cutting.gate import _Gate
from rxstream.operators.cutting.gate_state import GateState
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import (
    assert_same,
    check_operator,
    infos,
    recut,
    recut_by_time,
    run_operator,
    streams,
)

LEVEL = StreamInfo("level", 1000.0, (), np.dtype(np.float64))
STEREO = StreamInfo("stereo", 1000.0, (2,), np.dtype(np.float64))
EVENTS = StreamInfo("events", None, (), np.dtype(np.float64))
LEVELS = st.lists(st.integers(0, 9), min_size=1, max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=6)
SHARES = st.lists(st.floats(0, 1), max_size=6)


def level(values: list[Any], start: int = 0, info: StreamInfo = LEVEL) -> Chunk[Any]:
    return Chunk.regular(np.array(values, float), info, start=start * MS, index=start)


def passed(chunks: list[Chunk[Any]]) -> list[int]:
    """Return the times [ms] of what passed."""
    return (np.concatenate([c.time for c in chunks]) // MS).tolist()


def naive(values: list[int], times: list[int], on: int, off: int, hold: int) -> list[bool]:
    """Walk through it, one sample after the other."""
    is_open, since, out = False, None, []
    for value, t in zip(values, times, strict=True):
        if since is not None and t - since >= hold:
            is_open = False
        if value < off:
            since = t if since is None else since
            is_open = is_open and t - since < hold
        else:
            since = None
        is_open = is_open or value >= on
        out.append(is_open)
    return out


def test_marble() -> None:
    """Stretches come as they are; between them comes how far it is."""
    scheduler = TestScheduler()
    on_next = ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, level([1, 2, 7])), on_next(220, level([8, 4], 3)),
        on_next(230, level([3, 1, 9], 5)), on_next(240, level([2], 8)),
        ReactiveTest.on_completed(250),
    )  # fmt: skip
    result = scheduler.start(lambda: keep_heartbeats(hot.pipe(ops.gate(6, 3))))
    got = [(m.time, m.value.value.data.tolist(), m.value.value.end // MS)
           for m in result.messages[:-1]]  # fmt: skip
    assert got == [
        (210, [], 2), (210, [7], 3), (220, [8, 4], 5), (230, [3], 6), (230, [], 7), (230, [9], 8),
        (240, [], 9),
    ]  # fmt: skip


@given(LEVELS, st.integers(1, 9), st.integers(1, 9), CUTS)
def test_pandas_agrees(values: list[int], a: int, b: int, cuts: list[int]) -> None:
    off, on = sorted((a, b))
    series = pd.Series(values)
    state = pd.Series(np.where(series >= on, 1.0, np.where(series < off, 0.0, np.nan))).ffill()
    want = np.flatnonzero(state.fillna(0) == 1).tolist()
    assert passed(run_operator(ops.gate(on, off), recut([level(values)], cuts))) == want


@given(LEVELS, st.integers(0, 12), st.integers(0, 12), CUTS, SHARES)
def test_scipy_agrees_on_padding(
    values: list[int], before: int, after: int, cuts: list[int], shares: list[float]
) -> None:
    above = np.array(values) >= 5
    reach = np.arange(-max(before, after), max(before, after) + 1)
    wide = binary_dilation(above, (reach >= -before) & (reach <= after))
    operator = ops.gate(5, before=before / 1000, after=after / 1000)
    out = run_operator(operator, recut(recut_by_time([level(values)], shares), cuts))
    assert passed(out) == np.flatnonzero(wide).tolist()


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(0, 20), CUTS, SHARES,
)  # fmt: skip
def test_hold(
    steps: list[tuple[int, int]], hold: int, cuts: list[int], shares: list[float]
) -> None:
    times = np.cumsum([step for step, _ in steps]).tolist()
    values = [value for _, value in steps]
    chunk = Chunk.stamped(np.array(values, float), [t * MS for t in times], EVENTS)
    want = naive(values, times, 7, 3, hold)
    operator = ops.gate(7, 3, hold=hold / 1000)
    out = run_operator(operator, recut(recut_by_time([chunk], shares), cuts))
    assert passed(out) == [t for t, is_open in zip(times, want, strict=True) if is_open]


def count(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a number for each sample of any stream."""
    if data.dtype.names:
        return data["id"].astype(np.int64)
    return np.abs(data.reshape(len(data), int(np.prod(data.shape[1:]))))[:, 0].astype(np.int64)


OPERATORS: dict[str, Any] = {
    "plain": {},
    "hold": {"hold": 0.02},
    "before": {"before": 0.03},
    "all": {"hold": 0.001, "before": 0.01, "after": 0.02},
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("regular", [True, False])
def test_the_laws(name: str, regular: bool) -> None:
    check_operator(
        lambda: ops.gate(
            lambda x: count(x) % 13 == 0, lambda x: count(x) % 7 == 3, **OPERATORS[name]
        ),
        source=streams(infos(regular=regular)), regroups=False, conserves=False,
    )  # fmt: skip


@pytest.mark.parametrize("before", [0, 0.02])
def test_an_open_gate_passes_everything(before: float) -> None:
    check_operator(lambda: ops.gate(lambda x: np.ones(len(x), bool), before=before), regroups=False)


@given(streams())
def test_losses_are_marked_also_while_it_is_closed(chunks: list[Chunk[Any]]) -> None:
    closed = concat(
        run_operator(ops.gate(lambda x: np.zeros(len(x), bool), before=0.05), chunks) or chunks
    )
    if len(closed) == 0:
        assert closed.lost == concat(chunks).lost
        assert closed.end == concat(chunks).end


@pytest.mark.parametrize("before", [0, 0.002])
@pytest.mark.parametrize("cuts", [[], [6], [4, 9]])
def test_gaps_keep_their_numbers_while_it_is_closed(before: float, cuts: list[int]) -> None:
    lost = Gap(6 * MS, 9 * MS, 3, "dropped")
    b = Chunk.regular(np.zeros(10), LEVEL, start=9 * MS, index=9, gap=lost)
    out = run_operator(ops.gate(1, before=before), recut([level([0] * 6), b], cuts))
    assert [(c.index - c.lost, c.gap) for c in out if c.gap_positions] == [(6, lost)]
    assert out[-1].end == 19 * MS
    (gap,) = concat(run_operator(ops.rms(0.004), out)).gaps
    assert gap.lost == 1  # that of sample 6


def test_numbers_and_gaps_stay() -> None:
    lost = Gap(4 * MS, 6 * MS, 2, "overrun")
    b = Chunk.regular(np.array([1.0, 9, 9]), LEVEL, start=6 * MS, index=6, gap=lost)
    out = run_operator(ops.gate(5, hold=0.004), [level([1, 9, 9, 1]), b])
    assert passed(out) == [1, 2, 3, 6, 7, 8]  # the gap is not longer than the hold
    assert sum(c.lost for c in out) == 2
    assert [s.index for s in run_operator(ops.samples(), out)] == [1, 2, 3, 6, 7, 8]
    out = run_operator(ops.gate(5, 1, hold=0.001), [level([1, 9, 9, 3]), b])
    assert passed(out) == [1, 2, 3, 7, 8]  # a longer one closes it
    assert concat(out).gaps == (lost,)


def test_before_waits_no_longer_than_it_must() -> None:
    step = [level([0, 0, 0], 0), level([0, 0, 0], 3), level([0, 9, 0], 6), level([0, 0, 0], 9)]
    source: Subject[Any] = Subject()
    got: list[Chunk[Any]] = []
    keep_heartbeats(source.pipe(ops.gate(5, before=0.002))).subscribe(got.append)
    seen: list[int] = []
    for chunk in step:
        source.on_next(chunk)
        seen.append(got[-1].end // MS)
    assert seen == [1, 4, 8, 10]  # the sample at 8 could still come before an opening
    assert passed(got) == [5, 6, 7]


def test_channels_and_predicates() -> None:
    data = [[0, 1], [0, 9], [4, 0], [2, 2], [0, 0]]
    assert (
        len(concat(run_operator(ops.gate(5, 3), [level(data, info=STEREO).between(0, 0)] * 2))) == 0
    )
    assert passed(run_operator(ops.gate(5, 3), [level(data, info=STEREO)])) == [1, 2]
    loud = ops.gate(lambda x: np.abs(x).max(axis=1) > 5, lambda x: x[:, 0] == 2)
    assert passed(run_operator(loud, [level(data, info=STEREO)])) == [1, 2]
    assert passed(run_operator(ops.gate(5, lambda x: x == 2), [level([7, 1, 2, 7])])) == [0, 1, 3]
    assert passed(run_operator(ops.gate(5, 3), [level([7, np.nan, 4, 2, np.nan])])) == [0, 1, 2]


def test_a_whole_chunk_is_passed_without_a_copy() -> None:
    loud, quiet = level([9] * 5), level([0] * 5, 5)
    out = run_operator(ops.gate(5), [loud, quiet])
    assert out[0] is loud
    assert (len(out[1]), out[1].index, out[1].end) == (0, 5, 10 * MS)


def test_one_open_stretch_cut_or_not() -> None:
    whole = level([0, 9, 9, 9, 9, 0])
    assert_same(
        run_operator(ops.gate(5), [whole]),
        run_operator(ops.gate(5), [whole[:3], whole[3:]]),
        joined=True,
    )


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (lambda x: x > 5, r"one bool for each sample, \(2,\), and gave \(2, 2\) bool"),
        (lambda x: x[:, 0], r"gave \(2,\) float64"),
        (lambda _: True, r"gave \(\) bool"),
    ],
)
def test_a_function_must_answer_for_each_sample(test: Any, words: str) -> None:
    with pytest.raises(ChunkError, match=words):
        run_operator(ops.gate(test), [level([[1, 2], [3, 4]], info=STEREO)])


def test_errors_of_a_function_name_it() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_operator(ops.gate(1, lambda _: 1 / 0), [level([1])])
    assert "gate: off, asked of level" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.gate(None), "not None"),  # type: ignore[arg-type]
        (lambda: ops.gate("loud"), "a number or a function of samples, not 'loud'"),  # type: ignore[arg-type]
        (lambda: ops.gate(True), "not True"),
        (lambda: ops.gate(1, "off"), "off must be a number"),  # type: ignore[arg-type]
        (lambda: ops.gate(1, 2), "off must not be above on.* 2 > 1"),
        (lambda: ops.gate(float("nan")), "must not be nan"),
        (lambda: ops.gate(1, hold=-1), "hold must be >= 0"),
        (lambda: ops.gate(1, before=-1), "before must be >= 0"),
        (lambda: ops.gate(1, after="1s"), "after must be >= 0 seconds"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_memory_stays_flat() -> None:
    """What may still pass is kept, for `before`; nothing else."""
    step = _Gate(GateState(lambda x: x > 8, None, 0), 20 * MS, 5 * MS)
    held = []
    for k in range(20_000):
        step.push(level([k % 1000 == 0] * 10, 10 * k))
        if k in (1000, 19_999):
            buffer = step._buffer
            held.append((buffer._slabs.nbytes, len(buffer._parts)))  # type: ignore[union-attr]
    assert held[1][0] <= 2 * held[0][0]
    assert held[1][1] < 200
