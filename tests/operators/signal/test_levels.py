"""rms and spectrogram: numpy and scipy on the whole as judges; gaps, times, numbers, the laws."""

import sys
import tracemalloc
import warnings
from typing import Any, Literal

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from reactivex.subject import Subject
from signals import CUTS, HOLES, MS, RATE, SHARES, chunk, lossy, noise

from rxstream import Chunk, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.testing import check_operator, infos, recut, recut_by_time, run_operator, streams

NUMBERS = infos().filter(lambda info: not info.dtype.names)
WIDTH = st.integers(2, 40)
HOP = st.integers(1, 50)
KINDS = st.sampled_from(["f8", "f4", "i2"])
SHAPES = st.sampled_from([(), (2,), (3, 2)])


def joined(operator: Any, chunks: list[Chunk[Any]]) -> Chunk[Any]:
    return concat(run_operator(operator, chunks))


@given(st.integers(41, 400), WIDTH, HOP, SHAPES, st.sampled_from(["f8", "f4", "i2", "c8"]), CUTS)
def test_numpy_agrees_on_rms(
    n: int, width: int, hop: int, shape: tuple[int, ...], dtype: str, cuts: list[int]
) -> None:
    data = noise(n, shape, dtype)
    out = joined(ops.rms(width / RATE, every=hop / RATE), recut([chunk(data)], cuts))
    windows = sliding_window_view(np.abs(data.astype(np.result_type(data, float))), width, axis=0)
    want = np.sqrt((windows[::hop] ** 2).mean(axis=-1))
    assert out.data.dtype == ("f4" if dtype in ("f4", "c8") else "f8")
    np.testing.assert_allclose(out.data, want, rtol=1e-6 if out.data.dtype == "f4" else 1e-12)
    assert out.time.tolist() == [(k * hop + width // 2) * MS for k in range(len(want))]
    missing = len(want) * hop + width // 2  # the middle of the next window
    assert (out.index, out.info.rate, out.end) == (0, RATE / hop, min(n, missing) * MS)


@given(st.integers(41, 400), WIDTH, HOP, SHAPES, KINDS, CUTS, st.booleans())
def test_scipy_agrees_on_the_spectrogram(
    n: int, width: int, hop: int, shape: tuple[int, ...], dtype: str, cuts: list[int], flat: bool
) -> None:
    data = noise(n, shape, dtype)
    hop = min(hop, width)
    operator = ops.spectrogram(
        width / RATE, every=hop / RATE, detrend="constant" if flat else "none"
    )
    out = joined(operator, recut([chunk(data)], cuts))
    f, t, want = scipy.signal.spectrogram(
        data.astype(float), RATE, "hann", width, width - hop, axis=0,
        detrend="constant" if flat else False,
    )  # fmt: skip
    want = np.moveaxis(want, -1, 0)
    atol = (1e-6 if dtype == "f4" else 1e-12) * np.abs(want).max()
    np.testing.assert_allclose(out.data, want, rtol=1e-6 if dtype == "f4" else 1e-9, atol=atol)
    assert out.info.shape == (len(f), *shape)
    np.testing.assert_allclose(out.info.extra["frequencies"], f)
    np.testing.assert_allclose(out.time / 1e9, np.floor(t * RATE + 1e-9) / RATE)


@pytest.mark.parametrize("window", ["boxcar", ("tukey", 0.3), np.hamming(32)])
@pytest.mark.parametrize("scaling", ["density", "spectrum", "magnitude"])
def test_windows_and_scalings_of_scipy(window: Any, scaling: Any) -> None:
    data = noise(200, (2,))
    out = joined(
        ops.spectrogram(0.032, window=window, scaling=scaling), recut([chunk(data)], [50, 51])
    )
    kind = "density" if scaling == "density" else "spectrum"
    _, _, want = scipy.signal.spectrogram(data, RATE, window, 32, 16, axis=0, scaling=kind)
    want = np.moveaxis(want, -1, 0)
    want = np.sqrt(want) if scaling == "magnitude" else want
    np.testing.assert_allclose(out.data, want, rtol=1e-9, atol=1e-12 * want.max())


def test_the_short_time_fft_of_scipy_agrees() -> None:
    data = noise(400)
    weights = scipy.signal.get_window("hann", 64)
    stft = scipy.signal.ShortTimeFFT(weights, 16, RATE, scale_to="psd", fft_mode="onesided2X")
    want = stft.spectrogram(data, detr="constant").T
    out = joined(ops.spectrogram(0.064, every=0.016), [chunk(data)])
    at = [round(t * RATE) // 16 - stft.p_min for t in out.time / 1e9]
    np.testing.assert_allclose(out.data, want[at], rtol=1e-9, atol=1e-9 * want.max())
    np.testing.assert_allclose(out.info.extra["frequencies"], stft.f)


@given(HOLES, st.integers(1, 90), st.integers(2, 30), HOP, CUTS, SHARES, st.booleans())
def test_no_window_reaches_over_a_gap_and_all_that_lack_are_told(
    holes: list[tuple[int, int]], last: int, width: int, hop: int, cuts: list[int],
    shares: list[float], is_rms: bool,
) -> None:  # fmt: skip
    chunks = lossy(holes, last)
    op: Any = ops.rms if is_rms else ops.spectrogram
    out = run_operator(
        op(width / RATE, every=hop / RATE), recut_by_time(recut(chunks, cuts), shares)
    )
    total = sum(a + b for a, b in holes) + last
    numbers = [
        k for k in range(total // hop + 1)
        if any(c.index <= k * hop and k * hop + width <= c.index + len(c) for c in chunks)
    ]  # fmt: skip
    if not out:
        assert not numbers
        return
    whole = concat(out)
    got = run_operator(ops.samples(), [whole]) if is_rms else [
        s for c in out for s in [whole.between(t, t + 1) for t in c.time]
    ]  # fmt: skip
    assert [s.index for s in got] == numbers
    assert whole.time.tolist() == [(k * hop + width // 2) * MS for k in numbers]
    if numbers:
        inside = sum(g.lost or 0 for at, g in whole.gap_positions if 0 < at < len(whole))
        assert inside == numbers[-1] - numbers[0] + 1 - len(numbers)
    for t in (g.start for g in concat(chunks).gaps):  # every gap is in one that is reported
        assert any(g.start <= t <= g.end for g in whole.gaps)
    for a, b in zip(whole.gaps, whole.gaps[1:], strict=False):
        assert a.end <= b.start


@given(st.integers(1, 300), st.integers(2, 30), HOP)
def test_who_begins_later_gets_the_same(first: int, width: int, hop: int) -> None:
    data = chunk(noise(400))
    operator = ops.rms(width / RATE, every=hop / RATE)
    out, later = joined(operator, [data]), joined(operator, [data[first:]])
    if len(later):
        t0 = int(later.time[0])
        assert later.between(t0, later.end) == out.between(t0, out.end)


@given(st.integers(2, 23), st.integers(2, 9), st.sampled_from(["f8", "f4", "i2", "c8"]), CUTS)
def test_windows_of_whole_blocks_do_not_depend_on_the_cuts(
    blocks: int, hop: int, dtype: str, cuts: list[int]
) -> None:
    data = noise(400, (2,), dtype)
    operator = ops.rms(blocks * hop / RATE, every=hop / RATE)
    out = joined(operator, recut([chunk(data)], cuts))
    assert out == joined(operator, [chunk(data)])  # to the last bit
    squares = np.abs(data.astype(np.result_type(data, float))) ** 2
    want = np.sqrt(sliding_window_view(squares, blocks * hop, axis=0)[::hop].mean(axis=-1))
    np.testing.assert_allclose(out.data, want, rtol=1e-6 if out.data.dtype == "f4" else 1e-12)


@pytest.mark.parametrize("every", [1, 10])
def test_a_long_stream_does_not_drift(every: int) -> None:
    """After something a million times louder, the level is what it was."""
    data = np.full(100_000, 1e-3)
    data[50_000:50_100] = 1e9
    out = joined(ops.rms(0.1, every=every / RATE), recut([chunk(data)], [10, 50_050, 77_777]))
    np.testing.assert_allclose(out.data[50_150 // every :], 1e-3, rtol=1e-12)


def test_frequencies_and_units_are_told() -> None:
    mono = StreamInfo("mic", RATE, (), np.dtype(np.int16), "V", extra={"gain": 3})
    (out, *_) = run_operator(
        ops.spectrogram(0.008), [Chunk.regular(noise(20, (), "i2"), mono, start=0)]
    )
    assert out.info.channels == ("0 Hz", "125 Hz", "250 Hz", "375 Hz", "500 Hz")
    assert out.info.unit == "V²/Hz"
    assert out.info.extra["gain"] == 3
    stereo = StreamInfo("mic", RATE, (2,), np.dtype(float), "V", ("left", "right"))
    whole = Chunk.regular(noise(20, (2,)), stereo, start=0)
    (out, *_) = run_operator(ops.spectrogram(0.008, scaling="magnitude"), [whole])
    assert (out.info.channels, out.info.unit) == (("left", "right"), "V")
    tone = np.sqrt(2) * np.sin(2 * np.pi * 125 * np.arange(64) / RATE)
    (out, *_) = run_operator(ops.spectrogram(0.064, scaling="magnitude"), [chunk(tone)])
    assert out.data[0].max() == pytest.approx(1.0)


def test_results_come_as_soon_as_their_window_is_full() -> None:
    out = run_operator(
        ops.rms(0.02, every=0.01), [chunk(noise(100)[k : k + 10], k) for k in range(0, 50, 10)]
    )
    assert [(c.data.shape[0], c.end // MS) for c in out] == [
        (1, 11),
        (1, 21),
        (1, 31),
        (1, 41),
        (0, 50),
    ]


def test_little_is_kept_between_windows_far_apart() -> None:
    """An hour of samples must not pile up until the next level is due."""
    info = StreamInfo("mic", RATE, (1000,), np.dtype(float))
    block = np.zeros((100, 1000))  # 0.8 MB
    tracemalloc.start()
    source: Subject[Any] = Subject()
    source.pipe(ops.rms(0.1, every=3600)).subscribe(lambda _: None)
    for k in range(200):
        source.on_next(Chunk.regular(block, info, start=k * 100 * MS, index=k * 100))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6


# -- laws, errors -------------------------------------------------------------------------------

OPERATORS: dict[str, Any] = {
    "rms": lambda: ops.rms(0.005),
    "rms-each": lambda: ops.rms(0.01, every=0.001),
    "rms-blocks": lambda: ops.rms(0.012, every=0.004),
    "rms-sparse": lambda: ops.rms(0.003, every=0.05),
    "spectrogram": lambda: ops.spectrogram(0.08),
    "spectrogram-sparse": lambda: ops.spectrogram(0.2, every=0.3, window="boxcar"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_laws(name: str) -> None:
    source = streams(NUMBERS.filter(lambda info: info.rate != 12.5))
    check_operator(OPERATORS[name], source=source, regroups=False, conserves=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.rms(0), "duration must be > 0"),
        (lambda: ops.rms(1, every=0), "every must be > 0"),
        (lambda: ops.spectrogram(-1), "duration must be > 0"),
        (lambda: ops.spectrogram(1, every=0), "every must be > 0"),
        (lambda: ops.spectrogram(1, window="hanning window"), "'hanning window' is none that"),
        (lambda: ops.spectrogram(1, window=("kaiser",)), "is none that scipy.signal.get_window"),
        (lambda: ops.spectrogram(1, window=[1, np.nan]), "two finite weights"),
        (lambda: ops.spectrogram(1, window=3.0), "two finite weights"),  # type: ignore[arg-type]
        (lambda: ops.spectrogram(1, scaling="dB"), "'magnitude', not 'dB'"),  # type: ignore[arg-type]
        (lambda: ops.spectrogram(1, detrend="linear"), "'none', not 'linear'"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_errors_downstream_name_the_remedy() -> None:
    events = Chunk.stamped(noise(1), [5], StreamInfo("keys", None, (), np.dtype(float)))
    for operator in (ops.rms(1), ops.spectrogram(1)):
        with pytest.raises(ChunkError, match=r"keys has no rate.*ops.resample"):
            run_operator(operator, [events])
        with pytest.raises(ChunkError, match=r"ops.select\('id'\)"):
            run_operator(operator, [chunk(np.zeros(2, [("id", "u4")]))])
    with pytest.raises(ChunkError, match=r"complex128.*ops.map_data"):
        run_operator(ops.spectrogram(1), [chunk(noise(3, (), complex))])
    with pytest.raises(ParameterError, match="less than two samples of mic at 1000 Hz"):
        run_operator(ops.spectrogram(0.001), [chunk(noise(3))])
    with pytest.raises(ParameterError, match="5 weights, the duration is 8 samples"):
        run_operator(ops.spectrogram(0.008, window=np.ones(5)), [chunk(noise(3))])


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.spectrogram(1)


@pytest.mark.parametrize("detrend", ["constant", "none"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e300])
def test_a_sample_that_is_no_finite_power_is_no_warning(
    value: float, detrend: Literal["constant", "none"]
) -> None:
    data = np.ones(1000)
    data[520] = value
    whole = Chunk.regular(data, StreamInfo("x", 1000.0, (), np.dtype(np.float64)), start=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = joined(ops.spectrogram(0.1, detrend=detrend), [whole])
    finite = np.isfinite(frames.data).all(axis=1)
    assert np.flatnonzero(~finite).tolist() == [9, 10]
