"""Windows of 1 s each 10 ms over 48 kHz, against the usual code with RxPY and numpy."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import reactivex as rx
from common import Case, sound
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream import operators as ops
from rxstream.operators.cutting.window_by_time import _WindowByTime

# Chunks of a window: it is filled before the measurement.
_FILL = 100


def _ours() -> Any:
    return ops.window_by_time(1.0, every=0.01)


def _deque() -> Any:
    """Keep the last hundred blocks, join them at each step."""
    held: deque[Any] = deque(maxlen=_FILL)

    def join(chunk: Chunk) -> Any:
        held.append(chunk.data)
        return np.concatenate(held)

    return rxo.map(join)


def _buffered() -> Any:
    """Buffer a hundred chunks, begin a new buffer with each."""

    def join(chunks: list[Chunk]) -> Any:
        return np.concatenate([chunk.data for chunk in chunks])

    return rx.compose(rxo.buffer_with_count(_FILL, 1), rxo.map(join))


def _each(chunk: Any) -> Any:
    return rx.from_iterable(chunk.data)


def _buffered_samples(block: int) -> Any:
    """Count samples in RxPY: a hundred buffers are open at a time."""
    return rx.compose(
        rxo.flat_map(_each),
        rxo.buffer_with_count(_FILL * block, block),
        rxo.map(np.array),
    )


def _timed(operator: Any, chunks: list[Chunk]) -> float:
    """Return µs for each chunk that gives a full window."""
    source: Subject[Any] = Subject()
    count = 0
    last: Any = None

    def take(item: Any) -> None:
        nonlocal count, last
        count, last = count + 1, item

    source.pipe(operator).subscribe(take)
    for chunk in chunks[:_FILL]:
        source.on_next(chunk)
    count = 0
    begin = time.perf_counter()
    for chunk in chunks[_FILL:]:
        source.on_next(chunk)
    took = time.perf_counter() - begin
    assert count == len(chunks) - _FILL
    assert len(last) == _length(chunks)
    return took / count * 1e6


def _timed_step(chunks: list[Chunk]) -> float:
    """Time the `Step` alone, as it runs on a file, without Rx."""
    step = _WindowByTime(10**9, 10**7, 0, "mark")
    for chunk in chunks[:_FILL]:
        step.push(chunk)
    begin = time.perf_counter()
    for chunk in chunks[_FILL:]:
        for window in step.push(chunk):
            last = window
    took = time.perf_counter() - begin
    assert len(last) == _length(chunks)
    return took / (len(chunks) - _FILL) * 1e6


def _timed_loop(chunks: list[Chunk]) -> float:
    held: deque[Any] = deque((chunk.data for chunk in chunks[:_FILL]), maxlen=_FILL)
    begin = time.perf_counter()
    for chunk in chunks[_FILL:]:
        held.append(chunk.data)
        window = np.concatenate(held)
    took = time.perf_counter() - begin
    assert len(window) == _length(chunks)
    return took / (len(chunks) - _FILL) * 1e6


def _length(chunks: list[Chunk]) -> int:
    return len(chunks[0]) * _FILL


def _check(peer: Callable[[], Any], chunks: list[Chunk]) -> None:
    """Compare full windows of both, sample by sample."""
    ours, theirs = _windows(_ours(), chunks), _windows(peer(), chunks)
    assert len(ours) == len(theirs) > 0
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _windows(operator: Any, chunks: list[Chunk]) -> list[Any]:
    source: Subject[Any] = Subject()
    got: list[Any] = []
    source.pipe(operator, rxo.map(np.asarray)).subscribe(got.append)
    for chunk in chunks[: _FILL + 8]:
        source.on_next(chunk)
    return [window for window in got if len(window) == _length(chunks)]


def _case(
    label: str,
    chunks: list[Chunk],
    peer: Callable[[], Any],
    peer_name: str,
    goal: float | None,
    repeats: int = 5,
) -> Case:
    return Case(f"sliding windows 1 s / 10 ms, {label}", lambda: _timed(_ours(), chunks),
                lambda: _timed(peer(), chunks), peer_name, "µs/window", False, goal, repeats,
                lambda: _check(peer, chunks))  # fmt: skip


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    rate = 4_800 if quick else 48_000
    more, block = (0.1 if quick else 20.0), rate // 100
    mono, stereo, eight = (
        sound(1 + (more if channels else 0.1), channels, block, rate) for channels in (0, 2, 8)
    )
    joined, counted = "deque + np.concatenate in map", "buffer_with_count(100, 1) + concatenate"
    alone = [
        Case(f"sliding windows 1 s / 10 ms, {label}, without Rx",
             partial(_timed_step, chunks), partial(_timed_loop, chunks),
             "deque + np.concatenate", "µs/window", False, 8)
        for label, chunks in (("stereo", stereo), ("8 channels", eight))
    ]  # fmt: skip
    return [
        _case("stereo", stereo, _deque, joined, 8),
        _case("stereo, chunks counted", stereo, _buffered, counted, 100),
        _case("8 channels", eight, _deque, joined, None),
        _case("8 channels, chunks counted", eight, _buffered, counted, None),
        _case("mono, samples counted", mono, partial(_buffered_samples, block),
              "buffer_with_count(48000, 480) of samples", 100, 1),  # it takes 3 s
        *alone,
    ]  # fmt: skip
