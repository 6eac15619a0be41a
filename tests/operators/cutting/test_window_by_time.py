"""window_by_time: marbles, gaps, irregular streams, and numpy as the judge."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.testing import run_operator

FLOAT = StreamInfo("f", 1000.0, (), np.dtype(np.float64))
EVENTS = StreamInfo("events", None, (), np.dtype(np.int64))


def bounds(chunks: list[Chunk[Any]]) -> list[tuple[float, float, int]]:
    return [(c.start / MS, c.end / MS, len(c)) for c in chunks]


def lossy(info: StreamInfo = FLOAT) -> list[Chunk[Any]]:
    """Return 0 to 25 ms, a gap of 10 samples, 35 to 60 ms."""
    values = np.arange(60).astype(info.dtype)
    gap = Gap(25 * MS, 35 * MS, 10, "dropped")
    a = Chunk.regular(values[:25], info, start=0)
    return [a, Chunk.regular(values[35:], info, start=35 * MS, index=35, gap=gap)]


def test_marble() -> None:
    """Each window comes when the stream is past its end."""
    scheduler = TestScheduler()
    on_next = ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, ramp(0, 7)), on_next(220, ramp(7, 5)), on_next(230, ramp(12, 3)),
        ReactiveTest.on_completed(240),
    )  # fmt: skip
    result = scheduler.start(lambda: hot.pipe(ops.window_by_time(0.005)))
    got = [(m.time, len(m.value.value)) for m in result.messages[:-1]]
    assert got == [(210, 5), (220, 5), (230, 5)]
    assert result.messages[-1].time == 240


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_numpy_agrees(lengths: list[int], size: int, hop: int) -> None:
    starts = np.cumsum([0, *lengths])
    chunks = [ramp(int(s), n) for s, n in zip(starts, lengths, strict=False)]
    total = int(starts[-1])
    out = run_operator(ops.window_by_time(size / 1000, every=hop / 1000), chunks)
    whole = [c for c in out if c.end - c.start == size * MS and c.start >= 0 and len(c) == size]
    want = sliding_window_view(np.arange(total), size)[::hop] if total >= size else np.empty((0,))
    assert len(whole) == len(want)
    for chunk, values in zip(whole, want, strict=True):
        assert np.array_equal(chunk.data, values)
        assert chunk.start == values[0] * MS


def test_windows_begin_on_the_clock_not_on_the_data() -> None:
    late = [ramp(7, 20)]
    assert bounds(run_operator(ops.window_by_time(0.01), late)) == [
        (7, 10, 3),
        (10, 20, 10),
        (20, 27, 7),
    ]
    at_origin = run_operator(ops.window_by_time(0.01, origin=7 * MS), late)
    assert bounds(at_origin) == [(7, 17, 10), (17, 27, 10)]


def test_a_gap_is_marked() -> None:
    out = run_operator(ops.window_by_time(0.01), lossy())
    # nothing of [30, 35) came, and [25, 30) neither; each has its part of the gap
    assert bounds(out) == [
        (0, 10, 10),
        (10, 20, 10),
        (20, 30, 5),
        (35, 40, 5),
        (40, 50, 10),
        (50, 60, 10),
    ]
    assert out[2].gaps == (Gap(25 * MS, 30 * MS, 5, "dropped"),)
    assert out[3].gaps == (Gap(30 * MS, 35 * MS, 5, "dropped"),)
    assert out[2].coverage == 0.5
    assert concat(out) == concat(lossy())


def test_a_gap_splits() -> None:
    out = run_operator(ops.window_by_time(0.02, on_gap="split"), lossy())
    assert [len(c) for c in out] == [20, 5, 5, 20]
    assert all(at in (0, len(c)) for c in out for at, _ in c.gap_positions)
    assert sum(c.lost for c in out) == 10


def test_lost_samples_become_nan() -> None:
    out = run_operator(ops.window_by_time(0.02, on_gap="nan"), lossy())
    assert [len(c) for c in out] == [20, 20, 20]
    joined = np.concatenate([c.data for c in out])
    assert np.isnan(joined[25:35]).all()
    assert np.array_equal(
        np.delete(joined, slice(25, 35)), np.delete(np.arange(60.0), slice(25, 35))
    )
    assert np.array_equal(np.concatenate([c.time for c in out]), np.arange(60) * MS)
    assert all(c.gap is None for c in out)
    assert [c.index for c in out] == [0, 20, 40]


def test_windows_with_a_gap_are_dropped() -> None:
    out = run_operator(ops.window_by_time(0.01, on_gap="drop"), lossy())
    assert bounds(out) == [(0, 10, 10), (10, 20, 10), (40, 50, 10), (50, 60, 10)]


def test_what_is_dropped_at_the_end_is_reported_there() -> None:
    out = run_operator(ops.window_by_time(2.0, on_gap="drop"), lossy())
    whole = concat(lossy())
    assert [len(c) for c in out] == [0]
    assert out[0].gaps == (Gap(0, whole.end, len(whole) + whole.lost, "dropped"),)
    assert out[0].index == whole.index + len(whole) + whole.lost


def test_what_is_dropped_is_a_gap_of_the_next_window() -> None:
    out = run_operator(ops.window_by_time(0.01, on_gap="drop"), lossy())
    assert [c.gap for c in out] == [None, None, Gap(20 * MS, 40 * MS, 20, "dropped"), None]
    assert [c.index for c in out] == [0, 10, 40, 50]
    assert all(c.coverage == 1.0 for c in out)
    unknown = [lossy()[0], lossy()[1][:0].with_gap(Gap(25 * MS, 35 * MS, None, "disconnect"))]
    rest = Chunk.regular(np.arange(25.0), FLOAT, start=35 * MS, index=25)
    out = run_operator(
        ops.window_by_time(0.01, on_gap="drop"), [unknown[0], rest.with_gap(unknown[1].gaps[0])]
    )
    assert [c.gap for c in out] == [None, None, Gap(20 * MS, 40 * MS, None, "dropped"), None]


def test_overlapping_windows_report_at_the_end_only_what_none_of_them_has() -> None:
    out = run_operator(ops.window_by_time(0.02, every=0.005, on_gap="drop"), lossy())
    assert all(
        not c.gap_positions or c.gap_positions == ((0, Gap(25 * MS, 35 * MS, 10, "dropped")),)
        for c in out
    )
    assert [c.start // MS for c in out if c.gap_positions] == [35]


def test_a_gap_of_unknown_size_is_filled_by_its_length_and_later_numbers_grow() -> None:
    gap = Gap(25 * MS, 35 * MS, None, "disconnect")
    values = np.arange(60.0)
    chunks = [
        Chunk.regular(values[:25], FLOAT, start=0),
        Chunk.regular(values[35:], FLOAT, start=35 * MS, index=25, gap=gap),
    ]
    out = run_operator(ops.window_by_time(0.02, on_gap="nan"), chunks)
    assert [(c.index, len(c), c.gap_positions) for c in out] == [(k, 20, ()) for k in (0, 20, 40)]


@pytest.mark.parametrize("lost", [4, 21, 1 << 40])
def test_a_loss_longer_than_its_time_is_reported_whole(lost: int) -> None:
    """E.g. a counter that jumps says that 2**40 samples are missing from ten milliseconds."""
    gap = Gap(25 * MS, 35 * MS, lost, "dropped")
    a, b = np.arange(25.0), np.arange(25.0)
    chunks = [
        Chunk.regular(a, FLOAT, start=0),
        Chunk.regular(b, FLOAT, start=35 * MS, index=25 + lost, gap=gap),
    ]
    out = run_operator(ops.window_by_time(0.02, on_gap="nan"), chunks)
    assert [len(c) for c in out] == [20, 10, 20]
    assert out[1].gap_positions == ((5, gap),)
    assert [c.index for c in out] == [0, 20, 30 + lost]


def test_a_gap_longer_than_a_window_stays_a_gap() -> None:
    a = Chunk.regular(np.ones(25), FLOAT, start=0)
    gap = Gap(25 * MS, 46 * MS, 21, "dropped")
    b = Chunk.regular(np.ones(14), FLOAT, start=46 * MS, index=46, gap=gap)
    out = run_operator(ops.window_by_time(0.02, on_gap="nan"), [a, b])
    assert [(len(c), c.lost) for c in out] == [(20, 0), (5, 15), (14, 6)]
    assert not any(np.isnan(c.data).any() for c in out)


def test_a_gap_without_length_has_no_room_for_nan() -> None:
    a = Chunk.regular(np.arange(10.0), FLOAT, start=0)
    gap = Gap(10 * MS, 10 * MS, 3, "overrun")
    b = Chunk.regular(np.arange(13.0, 23.0), FLOAT, start=10 * MS, index=13, gap=gap)
    (out, _) = run_operator(ops.window_by_time(0.015, on_gap="nan"), [a, b])
    assert len(out) == 15
    assert out.gap_positions == ((10, gap),)


def test_a_stream_that_leaps_is_an_error_not_a_flood() -> None:
    a = Chunk.stamped(np.array([1]), [0], EVENTS, end=1)
    b = Chunk.stamped(np.array([2]), [10**18], EVENTS, start=1, index=1)
    with pytest.raises(ChunkError, match=r"1e\+09 s of events .* 1000000 windows of 0.01 s"):
        run_operator(ops.window_by_time(0.01), [a, b])


def test_nan_needs_numbers_that_can_be_nan() -> None:
    with pytest.raises(ChunkError, match=r"int64.*map_data"):
        run_operator(
            ops.window_by_time(0.02, on_gap="nan"),
            lossy(StreamInfo("i", 1000.0, (), np.dtype(np.int64))),
        )


def test_windows_entirely_in_a_gap_are_skipped_and_reported_by_the_next() -> None:
    hour = 3600 * 1000
    gap = Gap(10 * MS, hour * MS, hour - 10, "disconnect")
    chunks = [ramp(0, 10), ramp(hour, 10, gap)]
    out = run_operator(ops.window_by_time(0.01), chunks)
    assert bounds(out) == [(0, 10, 10), (hour, hour + 10, 10)]
    assert out[1].gap == gap
    out = run_operator(
        ops.window_by_time(0.01, every=0.001), chunks
    )  # 3.6 million windows, passed over
    assert len(out) < 50


def test_a_gap_at_the_end_is_reported_too() -> None:
    gap = Gap(10 * MS, 3000 * MS, 2990, "disconnect")
    end = Chunk.regular(np.empty(0, np.int64), INFO, start=3000 * MS, index=3000, gap=gap)
    for on_gap in ("mark", "split"):
        out = run_operator(ops.window_by_time(0.01, on_gap=on_gap), [ramp(0, 10), end])
        assert sum(map(len, out)) == 10
        assert sum(c.lost for c in out) == 2990


def test_empty_windows_of_a_sparse_stream_come_too() -> None:
    a = Chunk.stamped(np.array([1]), [5 * MS], EVENTS, start=0, end=5 * MS + 1)
    quiet = Chunk.stamped(np.empty(0, np.int64), [], EVENTS, start=a.end, end=33 * MS, index=1)
    b = Chunk.stamped(np.array([2]), [41 * MS], EVENTS, start=33 * MS, end=50 * MS, index=1)
    out = run_operator(ops.window_by_time(0.01), [a, quiet, b])
    assert bounds(out) == [(0, 10, 1), (10, 20, 0), (20, 30, 0), (30, 40, 0), (40, 50, 1)]


def test_a_sliding_window_is_a_view_of_one_memory() -> None:
    whole = ramp(0, 5000)
    out = run_operator(
        ops.window_by_time(0.1, every=0.01), [whole[k : k + 10] for k in range(0, 5000, 10)]
    )
    full = [c for c in out if len(c) == 100]
    assert len(full) > 400
    shared = sum(np.shares_memory(a.data, b.data) for a, b in pairwise(full))
    assert shared > 0.9 * len(full)
    for chunk in full:  # and nothing was written over while it was held
        assert np.array_equal(chunk.data, np.arange(chunk.index, chunk.index + 100))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.window_by_time(0), "duration must be > 0"),
        (lambda: ops.window_by_time(-1), "duration must be > 0 .* -1"),
        (lambda: ops.window_by_time(1, every=0), "every must be > 0"),
        (lambda: ops.window_by_time("1s"), "seconds or a timedelta"),  # type: ignore[arg-type]
        (
            lambda: ops.window_by_time(1, on_gap="fill"),
            "'mark' or 'split' or 'nan' or 'drop', not 'fill'",
        ),  # type: ignore[arg-type]
        (lambda: ops.window_by_time(1, origin=0.5), "no point in time"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()
