"""fill_gaps and ignore_gaps: values, times, the laws, and pandas as the judge."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.testing import (
    assert_same,
    check_operator,
    infos,
    recut_by_time,
    run_operator,
    streams,
)

FLOAT = StreamInfo("f", 1000.0, (), np.dtype(np.float64))
BYTES = StreamInfo("b", 1000.0, (2,), np.dtype(np.uint8))
RECORD = StreamInfo("r", 1000.0, (), np.dtype([("id", "u4"), ("value", "f8")]))


def around(gap: Gap, info: StreamInfo = FLOAT, n: int = 3) -> list[Chunk[Any]]:
    """Return n samples before a gap and n after."""
    values = np.arange(1, 2 * n + 1).reshape(-1, *(1 for _ in info.shape))
    data = np.zeros((2 * n, *info.shape), info.dtype)
    if info.dtype.names:
        data["id"] = values
    else:
        data[...] = 10 * values
    a = Chunk.regular(data[:n], info, start=gap.start - n * MS)
    return [
        a,
        Chunk.regular(data[n:], info, start=gap.end, index=n + (gap.lost or 0), gap=gap),
    ]


def gap(length: int, lost: int | None, start: int = 3 * MS) -> Gap:
    return Gap(start, start + length, lost, "dropped")


# -- fill_gaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "want"),
    [
        (7, [7, 7, 7]),
        (np.nan, [np.nan] * 3),
        ("previous", [30, 30, 30]),
        ("linear", [32.5, 35, 37.5]),
    ],
)
def test_lost_samples_come_at_the_times_they_had(how: Any, want: list[float]) -> None:
    out = run_operator(ops.fill_gaps(how), around(gap(3 * MS, 3)))
    whole = concat(out)
    assert np.array_equal(whole.data, [10, 20, 30, *want, 40, 50, 60], equal_nan=True)
    assert np.array_equal(whole.time, np.arange(9) * MS)
    assert [c.index for c in out] == [0, 3, 6]
    assert not whole.gap_positions


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=40),
    st.lists(st.booleans(), min_size=40, max_size=40),
    st.sampled_from(["previous", "linear", -5.0]),
    st.lists(st.floats(0, 1), max_size=5),
)
def test_pandas_agrees(values: list[int], kept: list[bool], how: Any, shares: list[float]) -> None:
    here = np.array([True, *kept[: len(values) - 2], True])
    data = np.array(values, float)
    chunks, lost = [], 0
    for k in range(len(values)):
        if not here[k]:
            lost += 1
            continue
        hole = Gap((k - lost) * MS, k * MS, lost, "dropped") if lost else None
        chunks.append(Chunk.regular(data[k : k + 1], FLOAT, start=k * MS, index=k, gap=hole))
        lost = 0
    series = pd.Series(np.where(here, data, np.nan), pd.to_datetime(np.arange(len(values)) * MS))
    want = {"previous": series.ffill, "linear": lambda: series.interpolate("time")}.get(
        how, lambda: series.fillna(how)
    )()
    whole = concat(run_operator(ops.fill_gaps(how), recut_by_time(chunks, shares)))
    np.testing.assert_allclose(whole.data, want.to_numpy(), rtol=1e-12, atol=1e-9)
    assert np.array_equal(whole.time, np.arange(len(values)) * MS)


CASES: dict[str, tuple[Any, Any]] = {
    "previous": ("previous", infos()),
    "zero": (0, infos()),
    "line": ("linear", infos().filter(lambda info: not info.dtype.names)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_laws_of_fill_gaps(name: str) -> None:
    how, source = CASES[name]
    check_operator(
        lambda: ops.fill_gaps(how), source=streams(source), regroups=False, conserves=False
    )


@given(streams(infos()))
def test_every_sample_comes_and_every_loss_is_filled_or_marked(chunks: list[Chunk[Any]]) -> None:
    whole, out = concat(chunks), run_operator(ops.fill_gaps("previous"), chunks)
    filled = concat(out) if out else whole[:0]
    made = np.isin(filled.time, whole.time, invert=True)
    assert np.array_equal(filled.time[~made], whole.time)
    assert filled.lost + made.sum() >= whole.lost
    assert np.all(np.diff(filled.time) > 0)


def test_what_was_filled_stays_visible() -> None:
    out = concat(run_operator(ops.fill_gaps("previous"), around(gap(3 * MS, 3))))
    assert [part.uncertainty for part in out.axis.parts()] == [0, 3 * MS, 0]
    assert out.uncertainty == 3 * MS
    assert out[:3].uncertainty == 0
    assert out[4:5].uncertainty == 3 * MS
    windows = run_operator(ops.window_by_time(0.003), [out])
    assert [w.uncertainty for w in windows] == [0, 3 * MS, 0]


def test_of_an_unknown_number_as_many_come_as_fit_and_later_ones_count_on() -> None:
    out = run_operator(ops.fill_gaps(0), around(gap(4 * MS, None)))
    assert [(len(c), c.index) for c in out] == [(3, 0), (4, 3), (3, 7)]


def test_a_long_gap_stays_a_gap() -> None:
    hours = gap(3 * 3600 * 1000 * MS, 3 * 3600 * 1000)
    assert_same(run_operator(ops.fill_gaps(0), around(hours)), around(hours))
    assert len(concat(run_operator(ops.fill_gaps(0, limit=0.002), around(gap(3 * MS, 3))))) == 6
    assert len(concat(run_operator(ops.fill_gaps(0), around(gap(1000 * MS, 1000))))) == 1006
    assert len(concat(run_operator(ops.fill_gaps(0), around(gap(1001 * MS, 1001))))) == 6
    slow = StreamInfo("plc", 0.5, (), np.dtype(float))  # a sample every two seconds
    a = Chunk.regular(np.ones(1), slow, start=0)
    lost = Gap(a.end, a.end + 20 * 10**9, 10, "dropped")
    b = Chunk.regular(np.ones(1), slow, start=lost.end, index=11, gap=lost)
    assert len(concat(run_operator(ops.fill_gaps(0), [a, b]))) == 12


def test_gaps_one_after_the_other_count_together() -> None:
    one, other = gap(3 * MS, 3), gap(2 * MS, 2, start=6 * MS)
    a, b = around(one)
    b = Chunk.regular(b.data, FLOAT, start=8 * MS, index=8, gap=other).with_gap(one)
    assert len(concat(run_operator(ops.fill_gaps("previous"), [a, b]))) == 11
    assert len(concat(run_operator(ops.fill_gaps("previous", limit=0.004), [a, b]))) == 6
    line = concat(run_operator(ops.fill_gaps("linear"), [a, b])).data
    np.testing.assert_allclose(line[2:9], 30 + 10 / 6 * np.arange(7))


@pytest.mark.parametrize(
    "odd", [gap(0, 3), gap(3 * MS, 1 << 40), gap(500 * MS, 3), gap(3 * MS, 0)], ids=str
)
def test_what_has_no_room_stays_a_gap(odd: Gap) -> None:
    assert_same(run_operator(ops.fill_gaps(0), around(odd)), around(odd))


def test_nothing_is_made_up_where_there_is_no_neighbour() -> None:
    a, b = around(gap(3 * MS, 3))
    end = Chunk.regular(np.empty(0), FLOAT, start=6 * MS, index=6, gap=gap(3 * MS, 3))
    for how, first, last in (("previous", 3, 6), ("linear", 3, 3), (0, 6, 6)):
        start = run_operator(ops.fill_gaps(how), [b])
        assert sum(map(len, start)) == first
        assert sum(c.lost for c in start) == 6 - first
        stop = run_operator(ops.fill_gaps(how), [a, end])
        assert sum(map(len, stop)) == last
        assert sum(c.lost for c in stop) == 6 - last
        assert stop[-1].end == 6 * MS


def test_whole_numbers_are_rounded() -> None:
    out = concat(run_operator(ops.fill_gaps("linear"), around(gap(3 * MS, 3), BYTES)))
    assert out.data.dtype == np.uint8
    assert out.data[3:6].tolist() == [[32, 32], [35, 35], [38, 38]]
    down = around(gap(3 * MS, 3), BYTES)
    down = [down[0], down[1].with_data(down[1].data[::-1] * 0)]
    assert concat(run_operator(ops.fill_gaps("linear"), down)).data[3:6, 0].tolist() == [22, 15, 8]


def test_records_and_samples_of_any_shape() -> None:
    out = concat(run_operator(ops.fill_gaps("previous"), around(gap(3 * MS, 3), RECORD)))
    assert out.data["id"].tolist() == [1, 2, 3, 3, 3, 3, 4, 5, 6]
    out = concat(run_operator(ops.fill_gaps((9, 0.5)), around(gap(3 * MS, 3), RECORD)))
    assert out.data[4].tolist() == (9, 0.5)
    out = concat(run_operator(ops.fill_gaps(np.array([1, 2])), around(gap(3 * MS, 3), BYTES)))
    assert out.data[3:6].tolist() == [[1, 2]] * 3


@pytest.mark.parametrize(
    ("how", "info", "words"),
    [
        (np.nan, INFO, "int64.*map_data"),
        (0.5, INFO, "int64.*map_data"),
        (256, BYTES, r"\(2,\) uint8, which cannot be that"),
        (np.zeros(3), BYTES, "cannot be that"),
        (1e300, StreamInfo("f", 1.0, (), np.dtype(np.float32)), "float32"),
        ("linear", RECORD, "use 'previous'"),
        ("linear", StreamInfo("keys", 1.0, (), np.dtype(bool)), "bool.*use 'previous'"),
        (
            "previous",
            StreamInfo("events", None, (), np.dtype(np.int64)),
            "events has no rate.*gaps",
        ),
    ],
)
def test_what_a_stream_cannot_have_is_an_error_downstream(
    how: Any, info: StreamInfo, words: str
) -> None:
    chunk = Chunk.stamped(np.zeros((1, *info.shape), info.dtype), [1], info)
    with pytest.raises(ChunkError, match=words):
        run_operator(ops.fill_gaps(how), [chunk])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.fill_gaps("interpolate"), "'linear', not 'interpolate'"),  # type: ignore[arg-type]
        (lambda: ops.fill_gaps(None), "takes a value"),  # type: ignore[arg-type]
        (lambda: ops.fill_gaps(abs), "takes a value"),  # type: ignore[arg-type]
        (lambda: ops.fill_gaps(0, limit=0), "limit must be > 0"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


# -- ignore_gaps ----------------------------------------------------------------------------------


def test_drop_gaps_takes_only_the_marks() -> None:
    out = run_operator(ops.ignore_gaps(), [concat(around(gap(3 * MS, 3)))])
    assert [c.gap_positions for c in out] == [(), ()]
    assert [(c.start // MS, c.end // MS, c.index, len(c)) for c in out] == [
        (0, 3, 0, 3),
        (3, 9, 6, 3),
    ]
    assert concat(out).time.tolist() == [t * MS for t in (0, 1, 2, 6, 7, 8)]
    assert run_operator(ops.ignore_gaps(), [ramp(0, 3)])[0] == ramp(0, 3)


def test_the_laws_of_drop_gaps() -> None:
    check_operator(ops.ignore_gaps, regroups=False, conserves=False)


@given(streams())
def test_drop_gaps_passes_every_sample_with_its_time_and_number(chunks: list[Chunk[Any]]) -> None:
    whole, out = concat(chunks), run_operator(ops.ignore_gaps(), chunks)
    assert not any(c.gap_positions for c in out)
    assert np.array_equal(np.concatenate([c.time for c in out]), whole.time)
    numbers = [s.index for s in run_operator(ops.samples(), chunks)]
    assert [s.index for s in run_operator(ops.samples(), out)] == numbers
