"""A NaN in a recursive filter: one NaN, and the filter begins anew, however the stream is cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import assert_same, recut, run_operator

SOS = signal.iirfilter(2, (10, 200), btype="bandpass", output="sos", fs=1000.0)
BAD = (np.nan, np.inf, -np.inf)


def stream(data: Any, index: int = 0, gap: Gap | None = None) -> Chunk[Any]:
    info = StreamInfo("x", 1000.0, data.shape[1:], data.dtype)
    return Chunk.regular(data, info, start=index * 1_000_000, index=index, gap=gap)


def noise(n: int, channels: int, dtype: Any = np.float64) -> Any:
    data = np.random.default_rng(1).standard_normal((n, channels)) + 3
    return data.astype(dtype)


def filtered(column: Any, initial: str) -> Any:
    """Return what scipy gives for each stretch of finite values by itself, else NaN."""
    out = np.full(len(column), np.nan, column.dtype)
    finite = np.isfinite(column)
    edges = np.flatnonzero(np.diff(finite, prepend=False, append=False))
    for i, j in edges.reshape(-1, 2):
        state = np.zeros((len(SOS), 2))
        if initial == "steady":
            state = signal.sosfilt_zi(SOS) * column[i]
        out[i:j] = signal.sosfilt(SOS, column[i:j].astype(np.float64), zi=state)[0]
    return out


@pytest.mark.parametrize("initial", ["rest", "steady"])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "f8"), (2, "f4"), (5, "f8")])
@given(
    bad=st.lists(
        st.tuples(st.integers(0, 59), st.integers(0, 4), st.sampled_from(BAD)), max_size=9
    ),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_each_stretch_is_filtered_by_itself(
    initial: Any, channels: int, dtype: str, bad: list[Any], cuts: list[int]
) -> None:
    data = noise(60, channels, dtype)
    for row, column, value in bad:
        data[row, column % channels] = value
    whole = stream(data)
    out = run_operator(ops.sosfilt(SOS, initial=initial), recut([whole], cuts))
    want = np.stack([filtered(data[:, k], initial) for k in range(channels)], axis=1)
    np.testing.assert_array_equal(concat(out).data, want)


@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_what_fill_gaps_makes_nan_does_not_last(cuts: list[int]) -> None:
    first, gap = stream(noise(100, 2)), Gap(100_000_000, 110_000_000, 10, "dropped")
    second = stream(noise(90, 2), 110, gap)
    fill, band = ops.fill_gaps(np.nan), ops.filter_band(10, 200)
    out = run_operator(band, run_operator(fill, recut([first, second], cuts)))
    whole = concat(out)
    assert np.isnan(whole.data).all(axis=1).sum() == 10
    reset = concat(run_operator(band, [first, second]))
    np.testing.assert_array_equal(whole.data[110:], reset.data[100:])


def test_as_scipy_if_asked_for() -> None:
    data = noise(60, 2)
    data[20, 0] = np.nan
    out = concat(run_operator(ops.sosfilt(SOS, on_nan="propagate"), [stream(data)]))
    assert np.isnan(out.data[20:, 0]).all()
    np.testing.assert_array_equal(out.data, signal.sosfilt(SOS, data, axis=0))


def test_a_gap_that_is_bridged_does_not_hide_a_nan() -> None:
    data = noise(60, 1)
    data[29] = np.nan
    whole = stream(data)
    bridge = ops.filter_band(10, 200, on_gap="bridge")
    gap = Gap(whole.time[30].item(), whole.time[30].item(), 0, "dropped")
    parted = [whole[:30], whole[30:].with_gap(gap)]
    out, again = (concat(run_operator(bridge, chunks)) for chunks in ([whole], parted))
    np.testing.assert_array_equal(out.data, again.data)
    assert np.isnan(out.data).sum() == 1


def test_of_decimate_too() -> None:
    data = noise(400, 1)
    data[100] = np.nan
    out = concat(run_operator(ops.decimate(2, kind="iir"), [stream(data)]))
    assert np.isnan(out.data).sum() == 1


def test_large_numbers_are_finite() -> None:
    """Their sum is not, which is the quick look."""
    data = np.full((50, 2), 1e308)
    sos = [[1e-9, 0, 0, 1, -0.5, 0]]
    out = concat(run_operator(ops.sosfilt(sos), [stream(data)]))
    np.testing.assert_array_equal(out.data, signal.sosfilt(sos, data, axis=0))


def test_whole_numbers_have_none() -> None:
    data = np.arange(50, dtype=np.int16)[:, None]
    assert_same(run_operator(ops.sosfilt(SOS), [stream(data)]),
                run_operator(ops.sosfilt(SOS, on_nan="propagate"), [stream(data)]))  # fmt: skip


def test_the_choice_is_checked() -> None:
    with pytest.raises(ParameterError, match="on_nan"):
        ops.filter_band(1, 2, on_nan="ignore")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="on_nan"):
        ops.sosfilt(SOS, on_nan=None)  # type: ignore[arg-type]
