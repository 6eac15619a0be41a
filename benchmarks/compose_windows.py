"""Windows of 1 s each 50 ms over 8 channels at 48 kHz, and functions of them."""

import importlib.util
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import reactivex as rx
from common import Case, sound
from numpy.lib.stride_tricks import sliding_window_view
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream import operators as ops

_RATE, _BLOCK, _CHANNELS = 48_000, 480, 8
_WINDOW, _STEP = _RATE, _RATE // 20  # samples

Work = Callable[[Any], Any]
Runner = Callable[[list[Chunk], Work], tuple[float, list[Any]]]


def _touch(window: Any) -> Any:
    """Read the window and release it."""
    return window[0] + window[-1]


def _mean_and_rms(window: Any) -> Any:
    """Return mean and rms the fastest way in numpy, each by one pass of BLAS."""
    n = len(window)
    return np.ones(n, window.dtype) @ window / n, _rms(window)


def _rms(window: Any) -> Any:
    return np.sqrt(np.diagonal(window.T @ window) / len(window))


# -- each returns the time it took [s], and the results of all full windows -----------------------


def _ours(chunks: list[Chunk], work: Work) -> tuple[float, list[Any]]:
    windows = ops.window_by_time(1.0, every=0.05)
    took, got = _pushed(rx.compose(windows, rxo.map(lambda w: work(w.data))), chunks)
    # The first windows begin before the stream.
    return took, got[_WINDOW // _STEP - 1 :]


def _ours_rms(chunks: list[Chunk], _work: Work) -> tuple[float, list[Any]]:
    took, got = _pushed(ops.rms(1.0, every=0.05), chunks)
    return took, [level for chunk in got for level in chunk.data]


def _reactivex(chunks: list[Chunk], work: Work) -> tuple[float, list[Any]]:
    def join(blocks: list[Any]) -> Any:
        return work(np.concatenate(blocks))

    blocks = [chunk.data for chunk in chunks]
    count = _WINDOW // _BLOCK
    return _pushed(
        rx.compose(
            rxo.buffer_with_count(count, _STEP // _BLOCK),
            rxo.filter(lambda blocks: len(blocks) == count),
            rxo.map(join),
        ),
        blocks,
    )


def _pushed(operator: Any, items: Iterable[Any]) -> tuple[float, list[Any]]:
    source: Subject[Any] = Subject()
    got: list[Any] = []
    source.pipe(operator).subscribe(got.append)
    begin = time.perf_counter()
    for item in items:
        source.on_next(item)
    return time.perf_counter() - begin, got


def _streamz(chunks: list[Chunk], work: Work) -> tuple[float, list[Any]]:
    """Gather 50 ms first: its sliding window moves by one item."""
    from streamz import Stream

    source, got = Stream(), list[Any]()
    steps = source.partition(_STEP // _BLOCK).map(np.concatenate)
    windows = steps.sliding_window(_WINDOW // _STEP, return_partial=False)
    windows.map(np.concatenate).map(work).sink(got.append)
    blocks = [chunk.data for chunk in chunks]
    begin = time.perf_counter()
    for block in blocks:
        source.emit(block)
    return time.perf_counter() - begin, got


def _ezmsg(chunks: list[Chunk], work: Work) -> tuple[float, list[Any]]:
    """Call its transformer directly, without its message passing."""
    from ezmsg.sigproc.window import WindowSettings, WindowTransformer
    from ezmsg.util.messages.axisarray import AxisArray

    messages = [
        AxisArray(
            chunk.data, dims=["time", "ch"], stream_dim="time",
            axes={"time": AxisArray.TimeAxis(fs=float(_RATE), offset=chunk.start / 1e9)},
        )
        for chunk in chunks
    ]  # fmt: skip
    window = WindowTransformer(
        WindowSettings(newaxis="win", window_dur=1.0, window_shift=0.05, zero_pad_until="none")
    )
    got: list[Any] = []
    begin = time.perf_counter()
    for message in messages:
        got.extend(work(data) for data in window(message).data)
    return time.perf_counter() - begin, got


def _numpy(chunks: list[Chunk], work: Work) -> tuple[float, list[Any]]:
    whole = np.concatenate([chunk.data for chunk in chunks])
    begin = time.perf_counter()
    got = [work(whole[k : k + _WINDOW]) for k in range(0, len(whole) - _WINDOW + 1, _STEP)]
    return time.perf_counter() - begin, got


def _numpy_rms(chunks: list[Chunk], _work: Work) -> tuple[float, list[Any]]:
    """Add up squares over 50 ms, then 20 of those sums at a time."""
    whole = np.concatenate([chunk.data for chunk in chunks])
    begin = time.perf_counter()
    steps = whole.reshape(-1, _STEP, _CHANNELS)
    sums = np.einsum("ktc,ktc->kc", steps, steps)
    got = np.sqrt(sliding_window_view(sums, _WINDOW // _STEP, 0).sum(-1) / _WINDOW)
    return time.perf_counter() - begin, list(got)


def _pandas_rms(chunks: list[Chunk], _work: Work) -> tuple[float, list[Any]]:
    frame = pd.DataFrame(np.concatenate([chunk.data for chunk in chunks]))
    begin = time.perf_counter()
    means = (frame**2).rolling(_WINDOW).mean().iloc[_WINDOW - 1 :: _STEP]
    return time.perf_counter() - begin, list(np.sqrt(means.to_numpy()))


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    chunks = sound(1.2 if quick else 10.0, _CHANNELS, _BLOCK)
    samples = len(chunks) * _BLOCK
    peers = [
        (_ezmsg, "ezmsg-sigproc Window", "ezmsg"),
        (_streamz, "streamz partition, sliding_window", "streamz"),
        (_reactivex, "buffer_with_count(100, 5) of chunks", None),
    ]

    def case(
        what: str, ours: Runner, peer: Runner, peer_name: str, work: Work, goal: float | None
    ) -> Case:
        def check() -> None:
            few, same = chunks[: 3 * _WINDOW // _BLOCK // 2], np.array if work is _touch else work
            mine, theirs = ours(few, same)[1], peer(few, same)[1]
            assert len(mine) == len(theirs) > 0
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

        def timed(run: Runner) -> float:
            return run(chunks, work)[0] / samples * 1e9

        return Case(f"1 s / 50 ms, 8 × 48 kHz: {what}", partial(timed, ours), partial(timed, peer),
                    peer_name, "ns/sample", False, goal, 3, check)  # fmt: skip

    out = []
    for what, work in (("windows", _touch), ("mean and rms", _mean_and_rms)):
        out += [
            case(what, _ours, peer, name, work, 5)
            for peer, name, package in peers
            if package is None or importlib.util.find_spec(package)
        ]
    out += [
        case("mean and rms", _ours, _numpy, "numpy, over windows of the whole", _mean_and_rms, 2/3),
        case("rms alone", _ours_rms, _pandas_rms, "pandas rolling, on the whole", _rms, None),
        case("rms alone", _ours_rms, _numpy_rms, "numpy, sums of steps of the whole", _rms, 2/3),
    ]  # fmt: skip
    return out
