"""window_by_time and rechunk against pandas (resample, rolling) and numpy, on random streams."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import MS
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.testing import recut, recut_by_time, run_operator

EVENTS = StreamInfo("events", None, (), np.dtype(np.float64))
SOUND = StreamInfo("sound", 1000.0, (2,), np.dtype(np.float64))
FLOAT = StreamInfo("f", 1000.0, (), np.dtype(np.float64))
TIMES = st.sets(st.integers(0, 400), max_size=60).map(sorted)
SHARES = st.lists(st.floats(0, 1), max_size=8)
SPAN = st.integers(1, 60)


def events(times: list[int], begin: int = 0, end: int = 401) -> Chunk[Any]:
    """Return events with their times [ms] as values; the stream covers begin to end [ms]."""
    stamps = [t * MS for t in times]
    return Chunk.stamped(np.array(times, float), stamps, EVENTS, start=begin * MS, end=end * MS)


def series(times: list[int]) -> "pd.Series[float]":
    return pd.Series(np.array(times, float), pd.to_datetime([t * MS for t in times]))


def lossy(kept: list[bool]) -> list[Chunk[Any]]:
    """Return samples 0, 1, 2 ... at 1 kHz, one a chunk, and gaps for those not kept."""
    chunks, before = [], -1
    for k in np.flatnonzero(kept).tolist():
        lost = k - before - 1
        gap = Gap((before + 1) * MS, k * MS, lost, "dropped") if lost else None
        data = np.array([float(k)])
        chunks.append(Chunk.regular(data, FLOAT, start=k * MS, index=k, gap=gap))
        before = k
    return chunks


@given(TIMES, SPAN, SHARES)
def test_pandas_resample_agrees_on_tumbling_windows(
    times: list[int], span: int, shares: list[float]
) -> None:
    """Windows without events come too, as the heartbeats go on."""
    edges = pd.to_datetime(np.arange(0, 401, span) * MS)
    binned = series(times).resample(f"{span}ms", origin="epoch").agg(["count", "sum"])
    want = binned.reindex(edges, fill_value=0)
    out = run_operator(ops.window_by_time(span / 1000), recut_by_time([events(times)], shares))
    assert [c.start // MS for c in out] == list(range(0, 401, span))
    assert [c.end // MS for c in out[:-1]] == list(range(span, 401, span))[: len(out) - 1]
    assert out[-1].end == 401 * MS
    assert [len(c) for c in out] == want["count"].tolist()
    assert [c.data.sum() for c in out] == want["sum"].tolist()
    assert all(c.coverage == 1.0 for c in out)


@given(TIMES, SPAN, SPAN, st.integers(0, 50), SHARES)
def test_pandas_rolling_agrees_on_sliding_windows(
    times: list[int], span: int, every: int, origin: int, shares: list[float]
) -> None:
    out = run_operator(
        ops.window_by_time(span / 1000, every=every / 1000, origin=origin * MS),
        recut_by_time([events(times)], shares),
    )
    whole = [c for c in out if c.end - c.start == span * MS]
    ends = [c.end // MS for c in whole]
    assert ends == [e for e in range(span, 402) if (e - span - origin) % every == 0]
    marks = sorted({*times, *ends})
    ones = pd.Series([float(t in times) for t in marks], pd.to_datetime([t * MS for t in marks]))
    if marks:
        counts = ones.rolling(f"{span}ms", closed="left").sum().fillna(0)
        assert [len(c) for c in whole] == counts[pd.to_datetime([e * MS for e in ends])].tolist()
    for chunk in whole:
        assert all(chunk.start <= t < chunk.end for t in chunk.time)


@given(
    st.integers(1, 300), SPAN, SPAN, st.integers(0, 100), st.lists(st.integers(0, 300), max_size=8)
)
@pytest.mark.parametrize("seconds", [True, False])
def test_numpy_agrees_on_rechunk(
    seconds: bool, total: int, size: int, hop: int, start: int, cuts: list[int]
) -> None:
    data = np.arange(2.0 * total).reshape(total, 2)
    chunks = recut([Chunk.regular(data, SOUND, start=start * MS, index=start)], cuts)
    operator = (
        ops.rechunk(duration=size / 1000, hop=hop / 1000) if seconds else ops.rechunk(size, hop=hop)
    )
    out = run_operator(operator, chunks)
    full = [c for c in out if len(c) == size]
    want = sliding_window_view(data, size, axis=0)[::hop].swapaxes(1, 2) if total >= size else []
    assert np.array_equal(
        np.array([c.data for c in full]).reshape(-1, size, 2), np.array(want).reshape(-1, size, 2)
    )
    assert [c.start for c in full] == [(start + k * hop) * MS for k in range(len(full))]
    assert [c.end - c.start for c in full] == [size * MS] * len(full)


@given(st.lists(st.booleans(), max_size=80).map(lambda kept: [True, *kept, True]), SPAN, SHARES)
def test_bounds_and_fill_of_windows_of_a_lossy_stream(
    kept: list[bool], span: int, shares: list[float]
) -> None:
    total, mask = len(kept), np.array(kept)
    chunks = recut_by_time(lossy(kept), shares)
    seen = {}
    for chunk in run_operator(ops.window_by_time(span / 1000), chunks):
        begin = (chunk.end // MS - 1) // span * span
        inside = mask[begin : min(begin + span, total)]
        seen[begin] = len(inside)
        assert len(chunk) == inside.sum()
        assert chunk.end == min(begin + span, total) * MS
        lost_before = sum(g.end - g.start for at, g in chunk.gap_positions if at == 0) // MS
        assert chunk.lost >= (~inside).sum()
        if lost_before <= inside.argmax():  # no window before it lay wholly in a gap
            assert chunk.covered_from == begin * MS
            assert chunk.lost == (~inside).sum()
            within = (chunk.end - chunk.start) / MS
            assert chunk.coverage == pytest.approx(
                1 - (~mask[chunk.start // MS : chunk.end // MS]).sum() / within
            )
    wanted = {b for b in range(0, total, span) if mask[b : b + span].any()}
    assert set(seen) == wanted


@given(st.lists(st.booleans(), max_size=80).map(lambda kept: [True, *kept, True]), SPAN, SHARES)
def test_pandas_asfreq_agrees_on_nan(kept: list[bool], span: int, shares: list[float]) -> None:
    chunks = lossy(kept)
    values = pd.Series(
        [c.data[0] for c in chunks], pd.to_datetime([c.start for c in chunks])
    ).asfreq("1ms")
    out = run_operator(ops.window_by_time(span / 1000, on_gap="nan"), recut_by_time(chunks, shares))
    data, times = np.concatenate([c.data for c in out]), np.concatenate([c.time for c in out])
    want = values[pd.to_datetime(times)]
    np.testing.assert_array_equal(data, want.to_numpy())
    assert not values[~values.index.isin(want.index)].notna().any()
    # a gap longer than a window stays a gap
    assert all(len(c) + c.lost == (c.end - c.covered_from) // MS for c in out)
