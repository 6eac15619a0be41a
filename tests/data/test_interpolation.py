"""sample_at: pandas.merge_asof and numpy.interp as judges; gaps, tolerance, equal times."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.data.interpolation import FAR, GAP, NONE, OK, Method, line, sample_at
from rxstream.errors import ChunkError

STAMPS = st.lists(st.integers(0, 60), max_size=12).map(sorted)
QUERIES = st.lists(st.integers(-5, 65), max_size=20).map(sorted)
TOLERANCES = st.none() | st.integers(0, 20)


def stamped(stamps: list[int], shape: tuple[int, ...] = (), dtype: Any = float) -> Chunk[Any]:
    info = StreamInfo("x", None, shape, np.dtype(dtype))
    data = np.random.default_rng(0).integers(0, 100, (len(stamps), *shape)).astype(dtype)
    return Chunk.stamped(data, stamps, info, start=-100, end=100)


@given(STAMPS, QUERIES, TOLERANCES, st.sampled_from(["previous", "nearest"]))
def test_pandas_agrees(
    stamps: list[int], queries: list[int], tolerance: int | None, method: Any
) -> None:
    chunk, at = stamped(stamps), np.array(queries, np.int64)
    left = pd.DataFrame({"t": at})
    right = pd.DataFrame({"t": chunk.time, "i": np.arange(len(stamps))})
    way: Any = {"previous": "backward", "nearest": "nearest"}[method]
    want = pd.merge_asof(left, right, on="t", direction=way, tolerance=tolerance)["i"]
    got = sample_at(chunk, at, method, tolerance)
    assert got.ok.tolist() == want.notna().tolist()
    assert got.source[got.ok].tolist() == want[want.notna()].tolist()
    assert got.data[got.ok].tolist() == chunk.data[got.source[got.ok]].tolist()
    assert not got.data[~got.ok].any()
    assert set(got.reason[~got.ok]) <= {NONE, FAR}
    assert np.array_equal(got.distance[got.ok], np.abs(chunk.time[got.source] - at)[got.ok]
                          if stamps else got.distance[got.ok])  # fmt: skip


@given(STAMPS.map(lambda t: sorted(set(t))), QUERIES, TOLERANCES, st.sampled_from([(), (2,)]))
def test_numpy_agrees_on_lines(
    stamps: list[int], queries: list[int], tolerance: int | None, shape: tuple[int, ...]
) -> None:
    chunk, at = stamped(stamps, shape), np.array(queries, np.int64)
    got = sample_at(chunk, at, "linear", tolerance)
    for k, t in enumerate(queries):
        around = [s for s in stamps if s == t]
        if not around:
            around = [s for s in stamps if s < t][-1:] + [s for s in stamps if s > t][:1]
        far = [abs(t - s) for s in around]
        if len(far) < 1 + (t not in stamps):
            assert got.reason[k] == NONE
        elif tolerance is not None and max(far) > tolerance:
            assert got.reason[k] == FAR
        else:
            assert got.reason[k] == OK
            assert got.distance[k] == max(far)
    for channel in np.ndindex(shape) if stamps else ():
        want = np.interp(at, np.array(stamps), chunk.data[:, *channel])[got.ok]
        np.testing.assert_allclose(got.data[got.ok][:, *channel], want, rtol=0, atol=1e-12)


@given(
    st.lists(st.tuples(STAMPS, st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=4),
    st.lists(st.integers(0, 320), max_size=40).map(sorted),
)
def test_only_the_nearest_is_taken_across_a_gap(
    runs: list[tuple[list[int], int, int]], queries: list[int]
) -> None:
    """Each stretch between gaps answers alone, from its beginning to the gap after it."""
    t, index, gap, chunks = 0, 0, None, list[Chunk[Any]]()
    info = StreamInfo("x", None, (), np.dtype(float))
    for stamps, rest, lost in runs:
        times = np.array(stamps, np.int64) + t
        end = (int(times[-1]) + len(stamps) if stamps else t) + 1 + rest
        data = np.arange(len(stamps), dtype=float) + index
        chunks.append(Chunk.stamped(data, times, info, start=t, end=end, index=index, gap=gap))
        t, index = end + lost, index + len(stamps)
        gap = Gap(end, t, None, "dropped")
    whole = concat(chunks)
    at = np.array([t for t in queries if t < whole.end], np.int64)
    for method in ("previous", "linear"):
        got = sample_at(whole, at, method)
        for k, t in enumerate(at):
            mine = [c for c in chunks if c.start <= t < c.end]
            alone = sample_at(mine[-1], at[k : k + 1], method) if mine else None
            assert got.ok[k] == (alone is not None and alone.ok[0])
            if alone is not None and got.ok[k]:
                assert got.data[k] == alone.data[0]
            elif not mine:
                assert got.reason[k] == GAP
    nearest = sample_at(whole, at, "nearest")
    assert nearest.ok.all() or not len(whole)


def test_reasons() -> None:
    info = StreamInfo("x", 1e9, (), np.dtype(float))
    lost = Gap(103, 106, 3, "dropped")
    a = Chunk.regular(np.arange(3.0), info, start=100)
    b = Chunk.regular(np.arange(2.0), info, start=106, index=6, gap=lost)
    at = np.array([99, 102, 103, 106, 107, 108, 120])
    previous = sample_at(a + b, at, "previous", 5)
    assert previous.reason.tolist() == [NONE, OK, GAP, OK, OK, OK, FAR]
    assert sample_at(a + b, at, "linear").reason.tolist() == [NONE, OK, GAP, OK, OK, NONE, NONE]
    assert sample_at(b, at[:4], "previous").reason.tolist() == [NONE, NONE, GAP, OK]


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "u8", "f4", "f8", "c16"])
def test_lines_between_numbers_of_every_kind(dtype: str) -> None:
    ends = np.array([0, 100], dtype)
    at = np.array([0.0, 0.25, 0.504, 1.0])
    got = line(np.repeat(ends[:1], 4), np.repeat(ends[1:], 4), at)
    want = at * 100 if np.dtype(dtype).kind in "fc" else np.rint(at * 100)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want.astype(dtype))
    assert np.array_equal(line(got[::-1], got[::-1], at), got[::-1])


def test_whole_numbers_of_64_bits_stay_between_their_ends() -> None:
    big = np.array([2**63 - 1, -(2**63)])
    got = line(big, big[::-1], np.array([0.0, 0.0]))
    assert got.tolist() == big.tolist()


@pytest.mark.parametrize("dtype", [[("id", "u4")], "?", "S3", "M8[ns]"])
def test_there_are_no_lines_between_other_things(dtype: Any) -> None:
    info = StreamInfo("x", 1e9, (), np.dtype(dtype))
    chunk = Chunk.regular(np.zeros(2, dtype), info, start=0)
    methods: tuple[Method, ...] = ("previous", "nearest")
    for method in methods:
        assert sample_at(chunk, np.array([1]), method).ok.all()
    with pytest.raises(ChunkError, match="there are no lines between them"):
        sample_at(chunk, np.array([1]), "linear")
