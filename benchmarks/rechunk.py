"""Blocks of 480 into 4800: against Rx, counting samples and counting chunks."""

import time
from typing import Any

import numpy as np
import reactivex as rx
from common import Case, sound
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream import operators as ops

_BLOCK, _SIZE = 480, 4800


def _each(chunk: Any) -> Any:
    return rx.from_iterable(chunk.data)


def _by_samples() -> Any:
    """Rechunk by counting single samples."""
    return rx.compose(
        rxo.flat_map(_each),
        rxo.buffer_with_count(_SIZE),
        rxo.map(np.array),
    )


def _by_chunks() -> Any:
    """Rechunk by counting chunks, which works where all have one length."""

    def join(chunks: list[Chunk]) -> Any:
        return np.concatenate([chunk.data for chunk in chunks])

    return rx.compose(rxo.buffer_with_count(_SIZE // _BLOCK), rxo.map(join))


def _timed(operator: Any, chunks: list[Chunk]) -> float:
    """Return µs for each input chunk; check the output."""
    source: Subject[Any] = Subject()
    got: list[Any] = []
    source.pipe(operator).subscribe(got.append)
    begin = time.perf_counter()
    for chunk in chunks:
        source.on_next(chunk)
    took = time.perf_counter() - begin
    assert all(len(item) == _SIZE for item in got)
    whole = np.concatenate([np.asarray(item) for item in got])
    assert np.array_equal(whole, np.concatenate([chunk.data for chunk in chunks]))
    return took / len(chunks) * 1e6


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    short, long = sound(0.2 if quick else 3.0, 0), sound(0.2 if quick else 30.0, 0)
    return [
        Case("rechunk 480 into 4800, samples counted", lambda: _timed(ops.rechunk(_SIZE), short),
             lambda: _timed(_by_samples(), short), "buffer_with_count(4800) of samples",
             "µs/chunk", False, 100),
        Case("rechunk 480 into 4800, chunks counted", lambda: _timed(ops.rechunk(_SIZE), long),
             lambda: _timed(_by_chunks(), long), "buffer_with_count(10) + concatenate",
             "µs/chunk", False),
    ]  # fmt: skip
