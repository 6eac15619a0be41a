"""decimate: scipy on the whole signal as judge; gaps, times, numbers, the laws."""

import sys
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from signals import CUTS, HOLES, MS, RATE, SHARES, chunk, lossy, noise

from rxstream import Chunk, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.testing import check_operator, infos, recut, recut_by_time, run_operator, streams

NUMBERS = infos().filter(lambda info: not info.dtype.names)


@given(
    st.integers(1, 400),
    st.integers(2, 7),
    st.sampled_from([(), (2,), (3, 2), (0,)]),
    st.sampled_from(["f8", "f4", "i2", "c16"]),
    CUTS,
)
def test_scipy_agrees_with_symmetric_taps(
    n: int, q: int, shape: tuple[int, ...], dtype: str, cuts: list[int]
) -> None:
    data = noise(n, shape, dtype)
    out = concat(run_operator(ops.decimate(q), recut([chunk(data)], cuts)))
    wide = data.astype(np.result_type(data, float))
    want = scipy.signal.decimate(wide, q, ftype="fir", axis=0) if data.size else wide[::q]
    assert out.data.dtype == out.info.dtype == (np.float32 if dtype == "f4" else wide.dtype)
    np.testing.assert_allclose(out.data, want.astype(out.data.dtype), rtol=0, atol=1e-9)
    assert out.time.tolist() == [k * MS for k in range(0, n, q)]
    assert out.end == n * MS
    assert out.info.rate == RATE / q
    assert out.index == 0


@given(st.integers(1, 400), st.integers(2, 7), CUTS)
def test_scipy_agrees_with_a_recursive_filter(n: int, q: int, cuts: list[int]) -> None:
    data = noise(n, (2,))
    out = concat(run_operator(ops.decimate(q, kind="iir"), recut([chunk(data)], cuts)))
    want = scipy.signal.decimate(data, q, ftype="iir", axis=0, zero_phase=False)
    assert np.array_equal(out.data, want)
    assert len(set(np.arange(0, n, q) * MS - out.time)) == 1


@given(HOLES, st.integers(1, 90), st.integers(2, 7), CUTS, SHARES)
def test_each_stretch_is_decimated_alone_at_the_same_samples(
    holes: list[tuple[int, int]], last: int, q: int, cuts: list[int], shares: list[float]
) -> None:
    chunks = lossy(holes, last)
    whole = concat(run_operator(ops.decimate(q), recut_by_time(recut(chunks, cuts), shares)))
    index = 0
    for c in chunks:
        n = len(c)
        alone = whole.between(c.start, c.end) if n else whole[:0]
        first = -c.index % q
        wanted = np.arange(c.index, c.index + n)[first::q]
        assert alone.time.tolist() == (wanted * MS).tolist()
        if len(wanted):
            taps = scipy.signal.firwin(20 * q + 1, 1 / q)
            full = np.convolve(c.data, taps)[10 * q : 10 * q + n]
            np.testing.assert_allclose(alone.data, full[first::q], rtol=0, atol=1e-9)
            assert alone[0:1].index == wanted[0] // q
        index = c.index + n
    assert len(whole) + whole.lost == -(-index // q)
    assert [(g.start, g.end) for g in whole.gaps] == [(g.start, g.end) for g in concat(chunks).gaps]


@given(st.integers(1, 400), st.integers(1, 400), st.integers(2, 7))
def test_who_begins_later_gets_the_same(n: int, first: int, q: int) -> None:
    data = noise(n + 400)
    out = concat(run_operator(ops.decimate(q), [chunk(data)]))
    later = concat(run_operator(ops.decimate(q), [chunk(data)[first:]]))
    settled = later.between(min((first + 10 * q) * MS, later.end), later.end)
    assert settled == out.between(settled.start, settled.end)


@pytest.mark.parametrize("kind", ["fir", "iir"])
def test_a_peak_lies_where_it_was(kind: Any) -> None:
    t = np.arange(2000) / RATE
    hump = chunk(np.exp(-(((t - 1.003) / 0.1) ** 2)))
    out = concat(run_operator(ops.decimate(5, kind=kind), recut([hump], [400, 1001])))
    assert np.average(out.time / 1e9, weights=out.data) == pytest.approx(1.003, abs=1e-4)


@given(st.integers(1, 300), st.floats(-1e3, 1e3), CUTS)
def test_a_steady_beginning_makes_no_dip(n: int, offset: float, cuts: list[int]) -> None:
    for kind in ("fir", "iir"):
        operator = ops.decimate(3, kind=kind, initial="steady")
        out = concat(run_operator(operator, recut([chunk(np.full(n, offset))], cuts)))
        ripple = 0.006 if kind == "iir" else 1e-9  # of 0.05 dB, at 0 Hz
        np.testing.assert_allclose(out.data, offset, rtol=ripple, atol=1e-9)


@pytest.mark.parametrize("order", [2, 14, 50])
def test_any_even_order(order: int) -> None:
    data = noise(200)
    out = concat(run_operator(ops.decimate(4, order=order), recut([chunk(data)], [3, 50])))
    want = scipy.signal.decimate(data, 4, n=order, ftype="fir")
    np.testing.assert_allclose(out.data, want, rtol=0, atol=1e-9)


def test_it_is_given_half_the_taps_later() -> None:
    out = run_operator(
        ops.decimate(2), [chunk(noise(100)[k : k + 10], k) for k in range(0, 100, 10)]
    )
    assert [c.end // MS for c in out] == [10, 20, 30, 40, 50, 60, 70, 80, 100]


def test_times_between_nanoseconds_are_those_of_the_samples() -> None:
    info = StreamInfo("mic", 44_100.0, (), np.dtype(float))
    whole = Chunk.regular(noise(2000), info, start=7)
    for kind, late in (("fir", 0), ("iir", None)):
        out = concat(run_operator(ops.decimate(3, kind=kind), recut([whole], [1, 5, 700])))  # type: ignore[arg-type]
        by = whole.start - out.time[0] if late is None else late
        assert np.array_equal(out.time + by, whole.time[::3])
        assert np.array_equal(
            concat(run_operator(ops.decimate(2, kind=kind), [out])).time, out.time[::2]  # type: ignore[arg-type]
        ) or kind == "iir"  # fmt: skip


@pytest.mark.parametrize("initial", ["rest", "steady"])
@pytest.mark.parametrize("kind", ["fir", "iir"])
def test_the_laws(kind: Any, initial: Any) -> None:
    check_operator(
        lambda: ops.decimate(3, kind=kind, initial=initial), source=streams(NUMBERS),
        regroups=False, conserves=False,
    )  # fmt: skip


def test_another_stream_ends_the_one_before() -> None:
    a, b = chunk(noise(100)), chunk(noise(60, seed=1), 100)
    other = StreamInfo("other", 500.0, (), np.dtype(float))
    second = Chunk.regular(b.data, other, start=b.start, index=100)
    out = run_operator(ops.decimate(2), [a, second])
    parts = [concat([c for c in out if c.info.name == name]) for name in ("mic", "other")]
    for part, source in zip(parts, (a, second), strict=True):
        want = scipy.signal.decimate(source.data, 2, ftype="fir")
        np.testing.assert_allclose(part.data, want, rtol=0, atol=1e-9)
    assert parts[1].info.rate == 250.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.decimate(1), "q must be a whole number from 2 to 100000, not 1"),
        (lambda: ops.decimate(2.5), "q must be"),  # type: ignore[arg-type]
        (lambda: ops.decimate(2, kind="cic"), "'fir' or 'iir', not 'cic'"),  # type: ignore[arg-type]
        (lambda: ops.decimate(2, order=0), "order must be a whole number from 1 to 2000000"),
        (lambda: ops.decimate(2, order=7), "order must be even.*not 7"),
        (lambda: ops.decimate(2, initial="zero"), "initial must be"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


@pytest.mark.parametrize("kind", ["fir", "iir"])
def test_errors_name_the_remedy(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    events = Chunk.stamped(noise(1), [5], StreamInfo("keys", None, (), np.dtype(float)))
    with pytest.raises(ChunkError, match=r"keys has no rate.*ops.resample"):
        run_operator(ops.decimate(2, kind=kind), [events])
    record = np.zeros(2, [("id", "u4")])
    with pytest.raises(ChunkError, match=r"ops.select\('id'\)"):
        run_operator(ops.decimate(2, kind=kind), [chunk(record)])
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.decimate(2, kind=kind)
