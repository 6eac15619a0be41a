"""align against pandas and numpy, however the streams are cut and whichever comes first."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from alignment import aligned, joined
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, StreamInfo
from rxstream.data.equal_stamps import EqualStamps
from rxstream.testing import assert_same, recut, recut_by_time, streams

MS = 1_000_000
TIMES = st.lists(st.integers(0, 400), max_size=40).map(sorted)
DISTINCT = st.lists(st.integers(0, 400), max_size=40, unique=True).map(sorted)
CUTS = st.lists(st.integers(0, 40), max_size=5)
SHARES = st.lists(st.floats(0, 1), max_size=5)
ORDER = st.lists(st.integers(0, 2), max_size=40)


def stamped(name: str, times: Sequence[int], dtype: Any = float) -> Chunk[Any]:
    """Return samples at some milliseconds, from 0 to 500 ms; the values are random."""
    values = np.random.default_rng(len(times)).integers(-1000, 1000, len(times)).astype(dtype)
    stamps = [t * MS for t in times]
    info = StreamInfo(name, None, (), np.dtype(dtype))
    return Chunk.stamped(values, stamps, info, start=0, end=500 * MS)


def check(
    a: Chunk[Any], b: Chunk[Any], times: list[int], values: list[Any], got: list[Any]
) -> None:
    """Raise if not exactly the samples of ``a`` at ``times`` came, with these values of ``b``."""
    ours, theirs = joined(got)
    assert ours.time.tolist() == times
    np.testing.assert_allclose(theirs.data, values, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(theirs.time, ours.time)
    assert len(ours) + ours.lost == len(a)
    assert ours.end == a.end
    assert theirs.info.name == b.info.name


@pytest.mark.parametrize("direction", ["nearest", "backward"])
@given(TIMES, st.data(), st.integers(0, 60), CUTS, SHARES, ORDER)
def test_as_of_like_pandas(
    direction: Any, left: list[int], data: st.DataObject, tolerance: int, cuts: list[int],
    shares: list[float], order: list[int],
) -> None:  # fmt: skip
    # of two that are equally near, pandas takes another one for "nearest"
    right = data.draw(DISTINCT if direction == "nearest" else TIMES)
    a, b = stamped("a", left), stamped("b", right)
    frames = [pd.DataFrame({"t": np.array(c.time), "y": c.data}) for c in (a, b)]
    frames[0]["stamp"], frames[1]["partner"] = EqualStamps().of(a), frames[1]["t"]
    merged = pd.merge_asof(frames[0][["t", "stamp"]], frames[1], on="t", direction=direction)
    # to a sample before, the distance is that of the stamp
    back, ahead = merged["stamp"] - merged["partner"], merged["partner"] - merged["t"]
    merged = merged[np.maximum(back, ahead) <= tolerance * MS].dropna()
    method = "nearest" if direction == "nearest" else "previous"
    pieces = recut([a], cuts), recut_by_time([b], shares)
    got = aligned(pieces, order, method=method, tolerance=tolerance / 1000)
    check(a, b, merged["t"].tolist(), merged["y"].tolist(), got)


@given(TIMES, DISTINCT, CUTS, SHARES, ORDER)
def test_lines_like_numpy(
    left: list[int], right: list[int], cuts: list[int], shares: list[float], order: list[int]
) -> None:
    a, b = stamped("a", left), stamped("b", right)
    got = aligned((recut_by_time([a], shares), recut([b], cuts)), order, method="linear")
    check_lines(a, b, nearby(a, b, 10**12), got)


def nearby(a: Chunk[Any], b: Chunk[Any], tolerance: int) -> list[tuple[int, int]]:
    """Return which times have both neighbours near, in the plainest way, and where lines are cut.

    A sample that was moved on from a partner's own time has that partner.
    """
    good, right = [], b.time.tolist()
    for t, stamp in zip(a.time.tolist(), EqualStamps().of(a).tolist(), strict=True):
        before = [r for r in right if r <= t]
        after = [r for r in right if r >= t]
        if before and before[-1] >= stamp:
            good.append((t, before[-1]))
        elif before and after and max(stamp - before[-1], after[0] - t) <= tolerance:
            good.append((t, t))
    return good


def check_lines(a: Chunk[Any], b: Chunk[Any], good: list[tuple[int, int]], got: list[Any]) -> None:
    """Raise if not exactly the samples of ``a`` came that are ``good``, with values of lines."""
    values = np.interp([at for _, at in good], b.time, b.data).tolist() if good else []
    check(a, b, [t for t, _ in good], values, got)


@given(TIMES, DISTINCT, st.integers(0, 60), CUTS, ORDER)
def test_both_ends_of_a_line_are_near(
    left: list[int], right: list[int], tolerance: int, cuts: list[int], order: list[int]
) -> None:
    a, b = stamped("a", left), stamped("b", right)
    got = aligned(
        (recut([a], cuts), recut([b], cuts)), order, method="linear", tolerance=tolerance / 1000
    )
    check_lines(a, b, nearby(a, b, tolerance * MS), got)


@pytest.mark.parametrize("method", ["nearest", "previous", "linear"])
@given(streams(), streams(), streams(), st.floats(0, 0.2), CUTS, SHARES, ORDER)
def test_how_it_is_cut_and_who_comes_first_does_not_matter(
    method: Any, a: list[Chunk], b: list[Chunk], c: list[Chunk], tolerance: float,
    cuts: list[int], shares: list[float], order: list[int],
) -> None:  # fmt: skip
    base = a[0].covered_from
    b, c = ([x.shifted(base - s[0].covered_from) for x in s] for s in (b, c))
    if method == "linear" and any(s[0].info.dtype.names for s in (b, c)):
        return
    options = {"method": method, "tolerance": tolerance}
    reports: list[Any] = []
    whole = aligned((a, b, c), [], unmatched=reports.append, **options)
    for cut in (
        (recut(a, cuts), recut_by_time(b, shares), recut(c, [])),
        (recut_by_time(a, shares), recut(b, cuts), recut_by_time(c, shares[:1])),
    ):
        again: list[Any] = []
        got = aligned(cut, order, unmatched=again.append, **options)
        assert_same(joined(got), joined(whole))
        assert reasons(again) == reasons(reports)
    result = joined(whole)
    source = recut(a, [])[0]
    assert len(result[0]) + result[0].lost == len(source) + source.lost or any(
        gap.lost is None for gap in source.gaps
    )
    for chunk in result[1:]:
        np.testing.assert_array_equal(chunk.time, result[0].time)
        assert chunk.gap_positions == result[0].gap_positions
    for items in whole:
        for x, y in pairwise(items):
            assert (x.start, x.end, x.index) == (y.start, y.end, y.index)


def reasons(reports: list[Any]) -> list[tuple[int, str, str]]:
    return sorted((int(t), item.partner, item.reason) for item in reports for t in item.chunk.time)
