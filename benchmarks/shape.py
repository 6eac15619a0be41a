"""Windows and rechunking, against what people write with RxPY and numpy."""

import time
from collections import deque
from typing import Any

import numpy as np
import reactivex as rx
from common import Case, sound
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream import operators as ops
from rxstream.operators._window_by_time import _WindowByTime


def _through(operator: Any, chunks: list[Chunk], *, check: int | None = None) -> float:
    """Return µs for each chunk pushed through an Rx operator."""
    source: Subject[Any] = Subject()
    count = 0
    last: Any = None

    def take(item: Any) -> None:
        nonlocal count, last
        count, last = count + 1, item

    source.pipe(operator).subscribe(take)
    begin = time.perf_counter()
    for chunk in chunks:
        source.on_next(chunk)
    took = time.perf_counter() - begin
    assert count
    if check is not None:
        assert len(last) == check, (len(last), check)
    return took / len(chunks) * 1e6


def _ours_step(chunks: list[Chunk]) -> float:
    """The algorithm alone, as it runs on a file: no Rx."""
    step = _WindowByTime(10**9, 10**7, 0, "mark")
    begin = time.perf_counter()
    for chunk in chunks:
        for window in step.push(chunk):
            last = window
    took = time.perf_counter() - begin
    assert len(last) == 48_000
    return took / len(chunks) * 1e6


def _deque_loop(chunks: list[Chunk]) -> float:
    """Keep the last hundred blocks, join them at each step."""
    held: deque[Any] = deque(maxlen=100)
    begin = time.perf_counter()
    for chunk in chunks:
        held.append(chunk.data)
        window = np.concatenate(held)
    took = time.perf_counter() - begin
    assert len(window) == 48_000
    return took / len(chunks) * 1e6


def _deque_operator() -> Any:
    held: deque[Any] = deque(maxlen=100)

    def join(chunk: Chunk) -> Any:
        held.append(chunk.data)
        return np.concatenate(held)

    return rxo.map(join)


def _buffered() -> Any:
    return rx.compose(
        rxo.buffer_with_count(100, 1),
        rxo.map(lambda chunks: np.concatenate([chunk.data for chunk in chunks])),
    )


def _buffered_samples() -> Any:
    """Count samples, as RxPY does it: a hundred buffers are open at a time."""
    return rx.compose(
        rxo.flat_map(lambda chunk: rx.from_iterable(chunk.data)),
        rxo.buffer_with_count(48_000, 480),
        rxo.map(np.array),
    )


def _by_samples(size: int) -> Any:
    """Rechunk as the Rx documentation would: single samples, counted."""
    return rx.compose(
        rxo.flat_map(lambda chunk: rx.from_iterable(chunk.data)),
        rxo.buffer_with_count(size),
        rxo.map(np.array),
    )


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    steps = 210 if quick else 3000
    few = 210 if quick else 1000
    out = []
    for channels, label in ((1, "mono"), (2, "stereo"), (8, "8 channels")):
        chunks = sound(steps / 100, channels)
        goal = 8 if channels > 1 else None
        out.append(
            Case(f"sliding windows 1 s / 10 ms, 48 kHz {label}, without Rx",
                 lambda c=chunks: _ours_step(c), lambda c=chunks: _deque_loop(c),
                 "deque + np.concatenate", "µs/step", False, goal)
        )  # fmt: skip
    for channels, label in ((2, "stereo"), (8, "8 channels")):
        chunks = sound(steps / 100, channels)
        slow = chunks[:few]
        window = ops.window_by_time(1.0, every=0.01)
        out += [
            Case(f"sliding windows 1 s / 10 ms, 48 kHz {label}, in a pipe",
                 lambda c=chunks, w=window: _through(w, c, check=48_000),
                 lambda c=chunks: _through(_deque_operator(), c, check=48_000),
                 "deque + np.concatenate in map", "µs/step", False),
            Case(f"sliding windows 1 s / 10 ms, 48 kHz {label}, in a pipe (2)",
                 lambda c=chunks, w=window: _through(w, c, check=48_000),
                 lambda c=slow: _through(_buffered(), c, check=48_000),
                 "buffer_with_count(100, 1) of chunks + concatenate", "µs/step", False),
        ]  # fmt: skip
    chunks = sound(steps / 100, 0)
    second = chunks[:110]
    out.append(
        Case("sliding windows 1 s / 10 ms, 48 kHz, in a pipe (3)",
             lambda: _through(ops.window_by_time(1.0, every=0.01), chunks, check=48_000),
             lambda: _through(_buffered_samples(), second, check=48_000),
             "buffer_with_count(48000, 480) of samples", "µs/step", False, 100, 3)
    )  # fmt: skip
    tiny = chunks[: 20 if quick else 50]
    out.append(
        Case("rechunk 480 into 4800", lambda: _through(ops.rechunk(4800), chunks, check=4800),
             lambda: _through(_by_samples(4800), tiny, check=4800),
             "samples + buffer_with_count(4800)", "µs/chunk", False, 100)
    )  # fmt: skip
    return out
