"""scan_data: values against numpy and scipy, state, gaps, the laws, errors."""

from typing import Any

import numpy as np
import pytest
import scipy.signal
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import check_operator, infos, recut, recut_by_time, run_operator, streams

CUTS = st.lists(st.integers(0, 60), max_size=8)
EVENTS = StreamInfo("events", None, (), np.dtype(np.int64))


def total(before: Any, data: NDArray[Any]) -> tuple[NDArray[Any], Any]:
    sums = before + np.cumsum(data, axis=0)
    return sums, sums[-1]


def numbered(before: list[int], data: NDArray[Any]) -> tuple[NDArray[Any], list[int]]:
    """Count samples of any stream, in a state that is changed in place."""
    numbers = np.arange(before[0], before[0] + len(data))
    before[0] += len(data)
    return numbers, before


def lossy() -> list[Chunk[Any]]:
    return [ramp(0, 5), ramp(8, 6, Gap(5 * MS, 8 * MS, 3, "dropped"))]


def test_marble() -> None:
    scheduler, on_next = TestScheduler(), ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, ramp(0, 3)), on_next(220, ramp(3, 0)), on_next(230, ramp(3, 2)),
        ReactiveTest.on_completed(300),
    )  # fmt: skip
    sums = ops.scan_data(total, 0, unit="m")
    result: Any = scheduler.start(lambda: keep_heartbeats(hot.pipe(sums)))
    got = [(m.time, m.value.value.data.tolist()) for m in result.messages[:-1]]
    assert got == [(210, [0, 1, 3]), (220, []), (230, [6, 10])]
    assert result.messages[0].value.value.info.unit == "m"


@given(st.integers(1, 60), CUTS)
def test_numpy_agrees(n: int, cuts: list[int]) -> None:
    out = concat(run_operator(ops.scan_data(total, 0), recut([ramp(0, n)], cuts)))
    assert out.data.tolist() == np.cumsum(np.arange(n)).tolist()
    assert np.array_equal(out.time, ramp(0, n).time)


@given(st.integers(1, 60), CUTS)
def test_a_recursive_filter_agrees_with_scipy(n: int, cuts: list[int]) -> None:
    """The state is made of the stream's info: one for each channel."""
    b, a = scipy.signal.butter(2, 0.2)
    data = np.random.default_rng(1).standard_normal((n, 3))
    whole = Chunk.regular(data, StreamInfo("x", 1000.0, (3,), data.dtype), start=0)
    operator = ops.scan_data(
        lambda zi, x: scipy.signal.lfilter(b, a, x, axis=0, zi=zi),
        lambda info: np.zeros((2, *info.shape)),
    )
    out = concat(run_operator(operator, recut([whole], cuts)))
    assert np.array_equal(out.data, scipy.signal.lfilter(b, a, data, axis=0))


@given(CUTS, st.lists(st.floats(0, 1), max_size=6))
def test_a_gap_resets_or_not(cuts: list[int], shares: list[float]) -> None:
    chunks = recut_by_time(recut(lossy(), cuts), shares)
    anew = concat(run_operator(ops.scan_data(total, 100), chunks))
    assert anew.data.tolist() == [100, 101, 103, 106, 110, 108, 117, 127, 138, 150, 163]
    kept = concat(run_operator(ops.scan_data(total, 100, on_gap="bridge"), chunks))
    assert kept.data.tolist() == [*anew.data[:5], *(anew.data[5:] + 10)]
    assert kept.gaps == lossy()[1].gaps


def test_each_subscription_has_a_state_of_its_own() -> None:
    state = [10]
    operator = ops.scan_data(numbered, state)
    for _ in range(2):
        assert concat(run_operator(operator, lossy()[:1])).data.tolist() == [10, 11, 12, 13, 14]
    assert state == [10]


def test_it_begins_anew_where_numbers_jump() -> None:
    out = run_operator(ops.scan_data(numbered, [0]), [ramp(0, 3), ramp(7, 2)])
    assert [c.data.tolist() for c in out] == [[0, 1, 2], [0, 1]]


def test_the_function_sees_no_empty_chunks() -> None:
    """Those at the very beginning wait: shape and dtype of the results are not known yet."""
    out = run_operator(ops.scan_data(total, 0.5), [ramp(0, 0), ramp(0, 0), ramp(0, 2), ramp(2, 0)])
    assert [c.data.tolist() for c in out] == [[], [0.5, 1.5], []]
    assert {c.info.dtype for c in out} == {np.dtype(float)}
    quiet = [Chunk.stamped(np.empty(0, np.int64), [], EVENTS, start=k, end=k + 1) for k in range(3)]
    assert run_operator(ops.scan_data(total, 0), quiet) == [concat(quiet)]
    gap = Gap(0, 5 * MS, 5, "dropped")
    assert concat(run_operator(ops.scan_data(total, 0), [ramp(5, 0, gap), ramp(5, 1)])).gaps == (
        gap,
    )


@pytest.mark.parametrize("on_gap", ["reset", "bridge"])
def test_the_laws(on_gap: Any) -> None:
    check_operator(lambda: ops.scan_data(numbered, [0], on_gap=on_gap), regroups=False)


def test_the_laws_with_another_shape() -> None:
    check_operator(
        lambda: ops.scan_data(total, lambda info: np.zeros(info.shape)),
        source=streams(infos(floating=True)), regroups=False,
    )  # fmt: skip


def test_errors_name_the_place() -> None:
    with pytest.raises(ChunkError, match=r"made \(1,\) of \(5,\)"):
        run_operator(ops.scan_data(lambda s, x: (x[:1], s), 0), lossy())
    with pytest.raises(ChunkError, match=r"return \(data, state\), and gave ndarray"):
        run_operator(ops.scan_data(lambda s, x: x, 0), lossy())  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError) as caught:
        run_operator(ops.scan_data(lambda s, x: (x, 1 // s), 0), lossy())
    assert "ramp at 00:00:00.000000 (sample 0)" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.scan_data(3, 0), "needs a function"),  # type: ignore[arg-type]
        (lambda: ops.scan_data(total, 0, on_gap="keep"), "'reset' or 'bridge', not 'keep'"),  # type: ignore[arg-type]
        (lambda: ops.scan_data(total, 0, units="g"), "has no units"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()
