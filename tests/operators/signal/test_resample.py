"""resample: scipy, numpy and pandas on the whole as judges; gaps, times, numbers, the laws."""

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reactivex as rx
import scipy.signal
from fakes import ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from signals import CUTS, HOLES, MS, RATE, SHARES, chunk, lossy, noise

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import check_operator, infos, recut, recut_by_time, run_operator, streams

NUMBERS = infos().filter(lambda info: not info.dtype.names)
ANY_NUMBERS = st.one_of(NUMBERS, infos(regular=False).filter(lambda info: not info.dtype.names))
STAMPS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30, unique=True).map(sorted)
RATES = st.sampled_from([3.0, 10.0, 29.97, 64.0, 100.0])
EPOCH = 1_700_000_000 * 10**9


def keys(stamps: list[int], end: int = 2 * 10**9) -> Chunk[Any]:
    info = StreamInfo("keys", None, (), np.dtype(float))
    data, times = noise(len(stamps)), np.array(stamps) + EPOCH
    return Chunk.stamped(data, times, info, start=EPOCH, end=EPOCH + end)


def points(rate: float, t0: int, t1: int) -> list[int]:
    """Return ``round(k * 1e9 / rate)`` from ``t0`` to ``t1`` [ns], both in."""
    step = Fraction(10**9) / Fraction(str(rate))
    k = range(int(t0 / step) - 2, int(t1 / step) + 3)
    return [t for t in (round(step * i) for i in k) if t0 <= t <= t1]


@given(STAMPS, RATES, CUTS, SHARES)
def test_pandas_agrees_on_hold(
    stamps: list[int], rate: float, cuts: list[int], shares: list[float]
) -> None:
    whole = keys(stamps)
    cut = recut_by_time(recut([whole], cuts), shares)
    out = concat(run_operator(ops.resample(rate, method="previous"), cut))
    at = points(rate, int(whole.time[0]), whole.end - 1)
    assert out.time.tolist() == at
    right = pd.DataFrame({"t": whole.time, "x": whole.data})
    want = pd.merge_asof(pd.DataFrame({"t": np.array(at, np.int64)}), right, on="t")["x"]
    assert out.data.tolist() == want.tolist()
    assert (out.index, out.gaps, out.start, out.end) == (0, (), whole.start, whole.end)
    assert out.rate == pytest.approx(rate, rel=1e-12)


@given(STAMPS, RATES, CUTS, SHARES)
def test_numpy_agrees_on_lines(
    stamps: list[int], rate: float, cuts: list[int], shares: list[float]
) -> None:
    whole = keys(stamps)
    out = concat(run_operator(ops.resample(rate), recut_by_time(recut([whole], cuts), shares)))
    at = points(rate, int(whole.time[0]), int(whole.time[-1]))
    assert out.time.tolist() == at
    want = np.interp(np.array(at) - EPOCH, np.array(stamps), whole.data)
    np.testing.assert_allclose(out.data, want, rtol=0, atol=1e-6)
    assert out.gaps == ()


@given(STAMPS, RATES, st.integers(1, 3 * 10**8), st.sampled_from(["previous", "linear"]), CUTS)
def test_nothing_is_older_than_the_tolerance(
    stamps: list[int], rate: float, tolerance: int, method: Any, cuts: list[int]
) -> None:
    whole = keys(stamps)
    operator = ops.resample(rate, method=method, tolerance=tolerance / 1e9)
    out = concat(run_operator(operator, recut([whole], cuts)))
    everything = concat(run_operator(ops.resample(rate, method=method), [whole]))
    near = []
    for t in everything.time.tolist():
        around = [max(s for s in whole.time.tolist() if s <= t)]
        if method == "linear" and around[0] != t:
            around.append(min(s for s in whole.time.tolist() if s > t))
        near.append(max(abs(t - s) for s in around) <= tolerance)
    assert out.time.tolist() == everything.time[near].tolist()
    assert out.data.tolist() == everything.data[near].tolist()
    last = max(np.flatnonzero(near), default=-1)
    first = out.index if len(out) else 0
    assert first + len(out) + sum(g.lost or 0 for a, g in out.gap_positions if a) == last + 1
    assert all(gap.reason == "dropped" for gap in out.gaps)


@given(HOLES, st.integers(1, 90), st.sampled_from([100.0, 333.0, 3000.0]), CUTS, SHARES)
def test_nothing_goes_across_a_gap(
    holes: list[tuple[int, int]], last: int, rate: float, cuts: list[int], shares: list[float]
) -> None:
    chunks = lossy(holes, last)
    cut = recut_by_time(recut(chunks, cuts), shares)
    methods: tuple[Any, ...] = ("previous", "linear")
    for method in methods:
        out = concat(run_operator(ops.resample(rate, method=method), cut))
        want: list[int] = []
        for c in chunks:
            if len(c):
                end = c.end - 1 if method == "previous" else int(c.time[-1])
                want += points(rate, c.start, end)
        assert out.time.tolist() == want
        period = 1e9 / rate
        lost = [0, *np.cumsum([g.lost for g in out.gaps])]
        after = [sum(1 for at, _ in out.gap_positions if at <= k) for k in range(len(out))]
        numbers = np.arange(len(out)) + [lost[k] for k in after]
        if len(out):
            numbers = numbers - numbers[0]
            np.testing.assert_allclose(out.time - out.time[0], numbers * period, rtol=0, atol=1)


@given(
    st.integers(1, 400),
    st.sampled_from([100.0, 441.0, 999.0, 1000.0, 1500.0, 3000.0]),
    st.sampled_from([(), (2,), (3, 2)]),
    st.sampled_from(["f8", "f4", "i2", "c16"]),
    CUTS,
)
def test_scipy_agrees_on_polyphase(
    n: int, rate: float, shape: tuple[int, ...], dtype: str, cuts: list[int]
) -> None:
    data = noise(n, shape, dtype)
    out = concat(run_operator(ops.resample(rate, method="polyphase"), recut([chunk(data)], cuts)))
    ratio = Fraction(rate) / Fraction(RATE)
    wide = data.astype(np.result_type(data, float))
    want = scipy.signal.resample_poly(wide, ratio.numerator, ratio.denominator, axis=0)
    assert out.data.dtype == out.info.dtype == (np.float32 if dtype == "f4" else wide.dtype)
    scale = 1e-6 if dtype == "f4" else 1e-12
    np.testing.assert_allclose(out.data, want, rtol=scale, atol=4000 * scale)
    np.testing.assert_allclose(out.time, np.arange(len(want)) * (1e9 / rate), rtol=0, atol=0.6)
    assert (out.end, out.index, out.info.rate) == (n * MS, 0, rate)


@given(HOLES, st.integers(1, 90), st.sampled_from([400.0, 999.0, 1500.0]), CUTS, SHARES)
def test_polyphase_takes_each_stretch_alone(
    holes: list[tuple[int, int]], last: int, rate: float, cuts: list[int], shares: list[float]
) -> None:
    chunks = lossy(holes, last)
    cut = recut_by_time(recut(chunks, cuts), shares)
    out = concat(run_operator(ops.resample(rate, method="polyphase"), cut))
    ratio, count, index, slack = Fraction(rate) / Fraction(RATE), 0, 0, 1
    for c in chunks:
        index = c.index + len(c)
        # a stretch is rounded up; only a gap of a result or more makes up for that
        slack += sum(0 <= (gap.lost or 0) * ratio < 1 for gap in c.gaps)
        if len(c):
            alone = out.between(c.start, c.end)
            want = scipy.signal.resample_poly(c.data, ratio.numerator, ratio.denominator)
            np.testing.assert_allclose(alone.data, want, rtol=1e-12, atol=1e-9)
            assert abs(alone[0:1].index - c.index * ratio) <= slack
            count += len(want)
    assert len(out) == count
    assert abs(count + out.lost - index * ratio) < slack + 1
    assert [(g.start, g.end) for g in out.gaps] == [(g.start, g.end) for g in concat(chunks).gaps]


def test_polyphase_follows_times_that_were_corrected() -> None:
    info = StreamInfo("mic", RATE, (), np.dtype(float))
    a = Chunk.regular(noise(100), info, start=0, period=1.0001e6)
    b = Chunk.regular(noise(100), info, start=a.end - 300, period=0.9999e6, index=100)
    b = Chunk(b.data, b.axis, a.end, b.end, 100, info)
    for rate in (1500.0, 400.0):
        out = concat(run_operator(ops.resample(rate, method="polyphase"), recut([a, b], [3, 120])))
        known = np.append(np.append(a.time, b.time), b.end)
        want = np.interp(np.arange(len(out)) * RATE / rate, np.arange(201), known)
        np.testing.assert_allclose(out.time, want, rtol=0, atol=300)
        assert np.all(np.diff(out.time) > 0)


@pytest.mark.parametrize("tolerance", [None, 0.01])
@pytest.mark.parametrize("rate", [100.0, 29.97, 1024.0])
def test_the_laws_of_hold(rate: float, tolerance: float | None) -> None:
    check_operator(
        lambda: ops.resample(rate, method="previous", tolerance=tolerance),
        regroups=False, conserves=False, examples=25,
    )  # fmt: skip


@pytest.mark.parametrize("tolerance", [None, 0.01])
@pytest.mark.parametrize("rate", [100.0, 29.97])
def test_the_laws_of_lines(rate: float, tolerance: float | None) -> None:
    check_operator(
        lambda: ops.resample(rate, tolerance=tolerance), source=streams(ANY_NUMBERS),
        regroups=False, conserves=False, examples=25,
    )  # fmt: skip


@pytest.mark.parametrize("rate", [30.0, 100.0, 900.0])
def test_the_laws_of_polyphase(rate: float) -> None:
    check_operator(
        lambda: ops.resample(rate, method="polyphase"), source=streams(NUMBERS),
        regroups=False, conserves=False, examples=25,
    )  # fmt: skip


def test_hold_goes_on_while_nothing_comes_and_stops_at_a_gap() -> None:
    press = keys([0], 10)
    quiet = Chunk.stamped(press.data[:0], [], press.info, start=press.end,
                          end=EPOCH + 250 * MS, index=1)  # fmt: skip
    gap = Gap(quiet.end, quiet.end + 100 * MS, None, "disconnect")
    again = Chunk.stamped(press.data, [EPOCH + 580 * MS], press.info, start=gap.end,
                          end=EPOCH + 750 * MS, index=1, gap=gap)  # fmt: skip
    out = run_operator(ops.resample(10, method="previous"), [press, quiet, again])
    assert [len(c) for c in out] == [1, 2, 0, 2]
    assert [(g.lost, g.reason) for c in out for g in c.gaps] == [(1, "disconnect"), (2, "dropped")]
    assert [c.index for c in out] == [0, 1, 4, 6]


def test_records_are_held() -> None:
    records = chunk(np.array([(1, 2.0), (3, 4.0)], [("id", "u4"), ("x", "f8")]))
    out = concat(run_operator(ops.resample(2000.0, method="previous"), [records]))
    assert out.data["id"].tolist() == [1, 1, 3, 3]
    with pytest.raises(ChunkError, match=r"structured samples.*ops.select"):
        run_operator(ops.resample(2000.0), [records])


@given(STAMPS, STAMPS, st.sampled_from(["previous", "linear"]), CUTS, CUTS)
def test_pandas_and_numpy_agree_on_the_times_of_another(
    stamps: list[int], others: list[int], method: Any, cuts: list[int], other_cuts: list[int]
) -> None:
    whole, other = keys(stamps), keys(others)
    onto = rx.from_iterable(recut([other], other_cuts))
    out = concat(run_operator(ops.resample(onto=onto, method=method), recut([whole], cuts)))
    at = other.time
    if method == "previous":
        right = pd.DataFrame({"t": whole.time, "x": whole.data})
        want = pd.merge_asof(pd.DataFrame({"t": at}), right, on="t")["x"].to_numpy()
    else:
        want = np.interp(at - EPOCH, np.array(stamps), whole.data, left=np.nan, right=np.nan)
    there = ~np.isnan(want)
    assert out.time.tolist() == at[there].tolist()
    np.testing.assert_allclose(out.data, want[there], rtol=0, atol=1e-6)
    assert len(out) + out.lost == len(at)
    assert {gap.reason for gap in out.gaps} <= {"unmatched"}


@given(HOLES, st.integers(1, 90), CUTS, SHARES)
def test_values_for_another_do_not_go_across_gaps(
    holes: list[tuple[int, int]], last: int, cuts: list[int], shares: list[float]
) -> None:
    chunks = lossy(holes, last)
    cut = recut_by_time(recut(chunks, cuts), shares)
    info = StreamInfo("clock", 300.0, (), np.dtype(np.int8))
    clock = Chunk.regular(np.zeros(90, np.int8), info, start=500_000, index=7)
    values = run_operator(ops.resample(onto=rx.of(clock), method="previous", tolerance=1), cut)
    out = concat(values)
    full = [(c.start, c.end if c is not chunks[-1] else clock.end) for c in chunks if len(c)]
    assert out.time.tolist() == [t for t in clock.time if any(a <= t < b for a, b in full)]
    assert (out.info.name, out.info.rate, out.info.dtype) == ("mic", 300.0, float)
    assert out.index == 7 + round((out.time[0] - clock.start) * 3e-7) if len(out) else True


def test_the_laws_with_another_stream() -> None:
    clock = Chunk.regular(np.zeros(3000), StreamInfo("clock", 30.0, (), np.dtype(float)), start=0)
    early = streams().map(lambda chunks: [c.shifted(-chunks[0].covered_from) for c in chunks])
    check_operator(
        lambda: ops.resample(onto=rx.of(clock), method="previous", lateness=10**6), source=early,
        regroups=False, conserves=False, examples=25,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.resample(), "rate or onto=, one of them, not None"),
        (lambda: ops.resample(5, onto=rx.empty()), "rate or onto=, one of them"),
        (lambda: ops.resample(onto=[1]), "onto must be an Observable"),  # type: ignore[arg-type]
        (lambda: ops.resample(onto=rx.empty(), method="polyphase"), "onto= are for"),
        (lambda: ops.resample(10, lateness=0), "lateness"),
        (lambda: ops.resample(0), "rate must be > 0 Hz.*not 0"),
        (lambda: ops.resample(float("nan")), "rate must be.*not nan"),
        (lambda: ops.resample(2e9), "to 1e9 Hz"),
        (lambda: ops.resample("10"), "rate must be"),  # type: ignore[arg-type]
        (lambda: ops.resample(10, method="cubic"), "method must be .*not 'cubic'"),  # type: ignore[arg-type]
        (lambda: ops.resample(10, tolerance=-1), "tolerance"),
        (lambda: ops.resample(10, method="polyphase", tolerance=1), "tolerance= and onto= are for"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_errors_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChunkError, match="keys has no rate"):
        run_operator(ops.resample(10, method="polyphase"), [keys([0])])
    with pytest.raises(ChunkError, match=r"too far for one step; use ops.decimate"):
        run_operator(ops.resample(0.001, method="polyphase"), [chunk(noise(2))])
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.resample(10, method="polyphase")


def test_a_stream_that_falls_silent_holds_nobody_up() -> None:
    silent, clock = Subject[Chunk](), Subject[Chunk]()
    out: list[Chunk] = []
    silent.pipe(ops.resample(onto=clock, lateness=2)).subscribe(out.append)
    silent.on_next(ramp(0, 1000))
    for k in range(60):
        clock.on_next(ramp(1000 * k, 1000))
    last = concat(out)
    assert len(last) == 1000
    clock.on_next(ramp(60_000, 1))
    silent.on_completed()
    clock.on_completed()
    assert concat(out).lost == 59_001


def test_heartbeats_go_on_to_a_join_behind() -> None:
    values = Chunk.regular(np.arange(4.0), StreamInfo("v", 1000.0, (), np.float64), start=0)
    clock = Chunk.stamped(np.zeros(2), [MS, 2 * MS], StreamInfo("t", None, (), np.dtype(float)))
    silence = Chunk.empty(clock.info, clock.end, 50 * MS, index=2)
    rest = Chunk.empty(values.info, values.end, 50 * MS, index=4)
    onto = ops.resample(onto=rx.of(clock, silence), method="previous")
    out: list[Any] = []
    keep_heartbeats(rx.of(values, rest).pipe(onto)).subscribe(out.append)
    assert max(chunk.end for chunk in out) > 10 * MS
