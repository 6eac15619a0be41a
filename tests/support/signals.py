"""Signals for operators on signals: noise, gaps, and what is left of a stream between them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from rxstream import Chunk, Gap, StreamInfo

MS = 1_000_000
RATE = 1000.0
CUTS = st.lists(st.integers(0, 400), max_size=8)
SHARES = st.lists(st.floats(0, 1), max_size=6)
HOLES = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 60)), max_size=3)
"""Samples after each other, and samples lost after them."""


def noise(n: int, shape: tuple[int, ...] = (), dtype: Any = float, seed: int = 0) -> NDArray[Any]:
    """Return samples ``(n, *shape)`` around zero, up to some thousands."""
    rng = np.random.default_rng(seed)
    values = 1000 * rng.standard_normal((n, *shape))
    if np.dtype(dtype).kind == "c":
        values = values + 1j * values[::-1]
    return values.astype(dtype)


def chunk(data: NDArray[Any], index: int = 0, gap: Gap | None = None) -> Chunk[Any]:
    """Return samples at 1 kHz, the first with this number, at as many ms."""
    info = StreamInfo("mic", RATE, data.shape[1:], data.dtype)
    return Chunk.regular(data, info, start=index * MS, index=index, gap=gap)


def lossy(holes: list[tuple[int, int]], last: int, shape: tuple[int, ...] = ()) -> list[Chunk[Any]]:
    """Return noise with holes, one chunk for each stretch, the last one ``last`` long."""
    total = sum(a + b for a, b in holes) + last
    data, index, out, gap = noise(total, shape), 0, [], None
    for n, lost in [*holes, (last, 0)]:
        out.append(chunk(data[index : index + n], index, gap))
        index += n
        gap = Gap(index * MS, (index + lost) * MS, lost, "dropped")
        index += lost
    return out
