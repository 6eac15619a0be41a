"""sosfilt and filter_band: scipy on the whole signal as judge; gaps, times, the laws."""

import sys
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from signals import CUTS, MS, RATE, SHARES, chunk, noise

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.operators.signal import kernels
from rxstream.testing import (
    assert_live_equals_replay,
    check_operator,
    infos,
    recut,
    recut_by_time,
    run_operator,
    streams,
)

SOS = scipy.signal.butter(3, [40, 120], "bandpass", output="sos", fs=RATE)
NUMBERS = infos().filter(lambda info: not info.dtype.names)


@given(
    st.integers(1, 400),
    st.sampled_from([(), (2,), (3, 2), (0,), (4,), (7,), (64,)]),
    st.sampled_from(["f8", "f4", "i2", "i8", "?", "c8", "c16", "f2"]),
    CUTS,
)
def test_scipy_agrees_bit_for_bit(
    n: int, shape: tuple[int, ...], dtype: str, cuts: list[int]
) -> None:
    data = noise(n, shape, dtype)
    out = concat(run_operator(ops.sosfilt(SOS), recut([chunk(data)], cuts)))
    kind = {"f8": "f8", "f4": "f4", "c8": "c8", "c16": "c16", "f2": "f4"}.get(dtype, "f8")
    assert out.data.dtype == out.info.dtype == np.dtype(kind)
    wide = data.astype(np.result_type(data, float))
    want = scipy.signal.sosfilt(SOS, wide, axis=0).astype(kind) if data.size else wide
    assert np.array_equal(out.data, want)


@given(st.integers(1, 300), st.sampled_from([2, 6]), CUTS, st.floats(-1e6, 1e6))
def test_a_steady_beginning_makes_no_step(
    n: int, channels: int, cuts: list[int], offset: float
) -> None:
    data = noise(n, (channels,)) + offset
    high = scipy.signal.butter(2, 1.0, "highpass", output="sos", fs=RATE)
    out = concat(run_operator(ops.sosfilt(high, initial="steady"), recut([chunk(data)], cuts)))
    zi = scipy.signal.sosfilt_zi(high)[:, :, None] * data[0]
    assert np.array_equal(out.data, scipy.signal.sosfilt(high, data, axis=0, zi=zi)[0])
    assert np.abs(out.data[0]).max() <= 1e-9 * (1 + np.abs(data[0]).max())


KINDS: dict[str, dict[str, Any]] = {
    "butter": {}, "bessel": {}, "cheby1": {"rp": 0.5}, "cheby2": {"rs": 50},
    "ellip": {"rp": 0.5, "rs": 50},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("low", "high", "edges", "btype"),
    [(40, 90, [40, 90], "band"), (None, 90, 90, "low"), (40, None, 40, "high")],
)
def test_filter_band_is_the_filter_that_scipy_designs(
    kind: Any, low: Any, high: Any, edges: Any, btype: str
) -> None:
    data = noise(500, (2,))
    sos = scipy.signal.iirfilter(
        3, edges, btype=btype, ftype=kind, output="sos", fs=RATE, **KINDS[kind]
    )
    operator = ops.filter_band(low, high, order=3, kind=kind, ripple=0.5, attenuation=50)
    out = concat(run_operator(operator, recut([chunk(data)], [100, 101, 350])))
    assert np.array_equal(out.data, scipy.signal.sosfilt(sos, data, axis=0))


def lossy() -> list[Chunk[Any]]:
    gap = Gap(100 * MS, 130 * MS, 30, "dropped")
    return [chunk(noise(100) + 50), chunk(noise(200, seed=1) + 50, 130, gap)]


@given(CUTS, SHARES, st.sampled_from(["rest", "steady"]))
def test_a_gap_resets(cuts: list[int], shares: list[float], initial: Any) -> None:
    a, b = lossy()
    operator = ops.sosfilt(SOS, initial=initial)
    want = np.concatenate([concat(run_operator(operator, [c])).data for c in (a, chunk(b.data))])
    out = concat(run_operator(operator, recut_by_time(recut(lossy(), cuts), shares)))
    assert np.array_equal(out.data, want)


@given(CUTS, SHARES)
def test_a_gap_is_bridged(cuts: list[int], shares: list[float]) -> None:
    whole = concat(lossy())
    out = concat(
        run_operator(ops.sosfilt(SOS, on_gap="bridge"), recut_by_time(recut(lossy(), cuts), shares))
    )
    assert np.array_equal(out.data, scipy.signal.sosfilt(SOS, whole.data))


def test_it_begins_anew_where_numbers_jump_and_in_a_new_session() -> None:
    data = noise(100)
    after = chunk(data, 300)
    session = chunk(data, 0).shifted(10**10)
    again = run_operator(ops.sosfilt(SOS), [chunk(data), after, chunk(data[:50], 900), session])
    assert np.array_equal(again[0].data, again[1].data)
    assert np.array_equal(again[0].data, again[3].data)
    other = StreamInfo("mic", 2000.0, (), np.dtype(float))
    twice = run_operator(
        ops.filter_band(40, 120), [after, Chunk.regular(data, other, start=10**10)]
    )
    sos = scipy.signal.iirfilter(4, [40, 120], output="sos", fs=2000)
    assert np.array_equal(twice[1].data, scipy.signal.sosfilt(sos, data))


# -- times --------------------------------------------------------------------------------------


def middle(out: Chunk[Any]) -> float:
    """Return where the energy is [s]."""
    return float(np.average(out.time / 1e9, weights=np.abs(out.data) ** 2))


@pytest.mark.parametrize("kind", ["butter", "bessel", "cheby1"])
@pytest.mark.parametrize(("low", "high", "at"), [(30, 120, 60), (None, 100, 50), (20, None, 260)])
def test_a_burst_lies_where_it_was(kind: Any, low: Any, high: Any, at: float) -> None:
    t = np.arange(4000) / RATE
    burst = chunk(np.exp(-(((t - 2) / 0.2) ** 2)) * np.sin(2 * np.pi * at * t))
    (moved,) = run_operator(ops.filter_band(low, high, kind=kind), [burst])
    (stays,) = run_operator(ops.filter_band(low, high, kind=kind, delay=None), [burst])
    late = middle(stays) - middle(burst)
    assert abs(middle(moved) - middle(burst)) < 0.1 * late + 2e-5
    assert moved.info.extra["delay"] == pytest.approx(late, rel=0.1, abs=2e-5)


def test_the_delay_is_the_group_delay_of_scipy() -> None:
    b, a = scipy.signal.iirfilter(2, [40, 160], fs=RATE)
    _, late = scipy.signal.group_delay((b, a), w=[80], fs=RATE)
    (out,) = run_operator(ops.filter_band(40, 160, order=2), [chunk(noise(10))])
    assert out.start == -round(late[0] * MS)
    assert out.info.extra["delay"] == pytest.approx(late[0] / RATE, rel=1e-6)
    sos = scipy.signal.iirfilter(2, [40, 160], output="sos", fs=RATE)
    (other,) = run_operator(ops.sosfilt(sos), [chunk(noise(10))])  # the band is seen from outside
    assert other.start == pytest.approx(out.start, rel=0.01)
    notch = scipy.signal.tf2sos(*scipy.signal.iirnotch(50, 30, fs=RATE))
    (other,) = run_operator(
        ops.sosfilt(notch), [chunk(noise(10))]
    )  # hardly late beside what it stops
    assert abs(other.start) < 0.1 * MS


@given(streams(NUMBERS), st.sampled_from([0.0, 0.0125, 3.0]))
def test_all_times_are_moved_alike_and_nothing_else(chunks: list[Chunk[Any]], delay: float) -> None:
    out = run_operator(ops.sosfilt(SOS, delay=delay), chunks)
    by = round(delay * 1e9)
    for a, b in zip(chunks, out, strict=True):
        assert (b.start, b.end, b.index, len(b)) == (a.start - by, a.end - by, a.index, len(a))
        assert np.array_equal(b.time, a.time - by)
        assert b.uncertainty == a.uncertainty
        assert b.evidence == a.evidence
        assert [at for at, _ in b.gap_positions] == [at for at, _ in a.gap_positions]
        for g, h in zip(a.gaps, b.gaps, strict=True):
            assert (h.start, h.end, h.lost, h.reason) == (
                g.start - by,
                g.end - by,
                g.lost,
                g.reason,
            )


def test_delays_of_filters_add_up() -> None:
    (out,) = run_operator(lambda s: s.pipe(ops.sosfilt(SOS, delay=0.25), ops.sosfilt(SOS,
    delay=0.5)),
                 [chunk(noise(5), 1000)])  # fmt: skip
    assert out.info.extra["delay"] == 0.75
    assert out.start == 250 * MS


# -- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_gap", ["reset", "bridge"])
@pytest.mark.parametrize("initial", ["rest", "steady"])
def test_the_laws(initial: Any, on_gap: Any) -> None:
    check_operator(
        lambda: ops.sosfilt(SOS, initial=initial, on_gap=on_gap, delay=None),
        source=streams(NUMBERS), regroups=False,
    )  # fmt: skip


def test_the_laws_with_moved_times() -> None:
    check_operator(
        lambda: ops.filter_band(None, 5), source=streams(NUMBERS), regroups=False, conserves=False
    )


def test_live_equals_replay() -> None:
    assert_live_equals_replay(ops.filter_band(40, 120), recut(lossy(), [7, 90, 150]), joined=True)


# -- errors, the kernel -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.sosfilt([1, 2]), r"\(sections, 6\).*not \(2,\)"),
        (lambda: ops.sosfilt("x"), r"\(sections, 6\)"),
        (lambda: ops.sosfilt(np.zeros((0, 6))), r"\(sections, 6\)"),
        (lambda: ops.sosfilt([[1, 0, 0, 2, 0, 0]]), "1 in column 3"),
        (lambda: ops.sosfilt([[np.nan, 0, 0, 1, 0, 0]]), "finite"),
        (lambda: ops.sosfilt(SOS, initial="zero"), "'rest' or 'steady', not 'zero'"),  # type: ignore[arg-type]
        (lambda: ops.sosfilt(SOS, on_gap="drop"), "'reset' or 'bridge', not 'drop'"),  # type: ignore[arg-type]
        (lambda: ops.sosfilt(SOS, delay="phase"), "'group', seconds, or None, not 'phase'"),
        (lambda: ops.sosfilt(SOS, delay=-1), "delay must be >= 0"),
        (lambda: ops.sosfilt([[1, 0, 0, 1, -1, 0]], initial="steady"), "never settles.*'rest'"),
        (lambda: ops.filter_band(None, None), "low, high, or both"),
        (lambda: ops.filter_band(0, 5), "low must be > 0 Hz .*None, not 0"),
        (lambda: ops.filter_band(1, float("inf")), "high must be > 0 Hz and finite"),
        (lambda: ops.filter_band(1, "2"), "high must be"),  # type: ignore[arg-type]
        (lambda: ops.filter_band(5, 5), "low must be below high, not 5 and 5"),
        (lambda: ops.filter_band(1, 2, order=0), "order must be"),
        (lambda: ops.filter_band(1, 2, kind="fir"), "'butter' or .*not 'fir'"),  # type: ignore[arg-type]
        (lambda: ops.filter_band(1, 2, ripple=0), "ripple must be > 0 dB"),
        (lambda: ops.filter_band(1, 2, attenuation=-3), "attenuation must be > 0 dB"),
        (lambda: ops.filter_band(1, 2, initial="x"), "initial must be"),  # type: ignore[arg-type]
        (lambda: ops.filter_band(1, 2, on_gap="x"), "on_gap must be"),  # type: ignore[arg-type]
        (lambda: ops.filter_band(1, 2, delay="x"), "delay must be"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_errors_downstream_name_the_remedy() -> None:
    with pytest.raises(ParameterError, match=r"high=600 Hz, but mic has 1000 Hz.* below 500 Hz"):
        run_operator(ops.filter_band(10, 600), [chunk(noise(3))])
    with pytest.raises(ParameterError, match="low=500 Hz"):
        run_operator(ops.filter_band(500, None), [chunk(noise(3))])
    events = Chunk.stamped(noise(1), [5], StreamInfo("keys", None, (), np.dtype(float)))
    with pytest.raises(ChunkError, match=r"keys has no rate.*ops.resample"):
        run_operator(ops.sosfilt(SOS), [events])
    record = np.zeros(2, [("id", "u4"), ("value", "f8")])
    with pytest.raises(ChunkError, match=r"structured samples.*ops.select\('id'\)"):
        run_operator(ops.sosfilt(SOS), [chunk(record)])
    with pytest.raises(ChunkError, match=r"U1, and this needs numbers"):
        run_operator(ops.sosfilt(SOS), [chunk(np.array(["a"]))])


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import is made to fail: it cannot be uninstalled for one test."""
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.sosfilt(SOS)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.filter_band(1, 2)


def test_what_numba_compiles_is_what_scipy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a state that is not rest. Where it is missing, nothing would be compared."""
    assert kernels.load_compiled() is not None
    data, half = noise(200, (9,)), scipy.signal.butter(5, 60, output="sos", fs=RATE)
    fast = kernels.bank(half, 9, data.dtype)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "load_compiled", lambda: None)
        plain = kernels.bank(half, 9, data.dtype)
    assert type(fast) is not type(plain)
    results = []
    for which in (fast, plain):
        which.begin(scipy.signal.sosfilt_zi(half), data[0], np.ones(9, bool))
        x = data.copy()
        which.run(x[:70])
        which.run(x[70:])
        results.append(x)
    assert np.array_equal(*results)


def test_without_numba_scipy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import is made to fail: it cannot be uninstalled for one test."""
    data = noise(50, (8,))
    kernels.load_compiled.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "rxstream.operators.signal.compiled", None)
        assert kernels.load_compiled() is None
        out = concat(run_operator(ops.sosfilt(SOS), [chunk(data)]))
    kernels.load_compiled.cache_clear()
    assert np.array_equal(out.data, scipy.signal.sosfilt(SOS, data, axis=0))


@pytest.mark.parametrize("kernel", [None, lambda sos, x, zi: None])
def test_another_scipy_is_called_by_its_front_door(
    kernel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What scipy calls inside is taken away, or replaced by what gives something else."""
    kernels.load_kernel.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("scipy.signal._sosfilt._sosfilt", kernel)
        fallback = kernels.load_kernel()
    kernels.load_kernel.cache_clear()
    assert fallback is not kernels.load_kernel()
    data = noise(50, (2,)).T.copy()
    want = scipy.signal.sosfilt(SOS, data, axis=1)
    state = np.zeros((2, len(SOS), 2))
    fallback(SOS, data[:, :20], state)
    fallback(SOS, data[:, 20:], state)
    assert np.array_equal(data, want)
