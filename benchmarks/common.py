"""Parts of every benchmark: a case, its run, and the streams."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rxstream import Chunk, StreamInfo


def _nothing() -> None:
    """Check nothing beforehand: both functions check their own results."""


@dataclass(frozen=True)
class Case:
    """Two functions that do the same work and return the same kind of figure.

    ``check`` compares the results of both, outside of what is timed.
    """

    name: str
    ours: Callable[[], float]
    peer: Callable[[], float]
    peer_name: str
    unit: str
    higher_is_better: bool
    goal: float | None = None
    repeats: int = 5
    check: Callable[[], None] = _nothing

    def run(self, repeats: int | None = None) -> dict[str, Any]:
        """Run both in turn, A B A B, after a warm-up; return the medians and their ratio."""
        count = repeats or self.repeats
        self.check()
        if count > 1:
            self.ours(), self.peer()
        pairs = [(self.ours(), self.peer()) for _ in range(count)]
        ours = statistics.median(a for a, _ in pairs)
        peer = statistics.median(b for _, b in pairs)
        ratios = [a / b if self.higher_is_better else b / a for a, b in pairs]
        return {
            "name": self.name, "ours": ours, "peer": peer, "peer_name": self.peer_name,
            "unit": self.unit, "ratio": statistics.median(ratios), "goal": self.goal,
        }  # fmt: skip


def sound(seconds: float, channels: int, block: int = 480, rate: float = 48_000.0) -> list[Chunk]:
    """Return float32 sound in blocks, on one ideal grid, in memory that was touched."""
    shape = (channels,) if channels else ()
    info = StreamInfo("sound", rate, shape, np.dtype(np.float32))
    n = round(seconds * rate) // block * block
    second = np.random.default_rng(1).normal(size=(block * 100, *shape)).astype(np.float32)
    data = np.resize(second, (n, *shape))
    whole = Chunk.regular(data, info, start=0)
    return [whole[k : k + block] for k in range(0, n, block)]


def small(count: int, samples: int = 10) -> list[Chunk]:
    """Return many small chunks: 10 samples at 1 kHz."""
    info = StreamInfo("small", 1000.0, (), np.dtype(np.int64))
    return [
        Chunk.regular(np.arange(k, k + samples), info, start=k * 1_000_000, index=k)
        for k in range(0, count * samples, samples)
    ]
