"""Long streams as devices give them: the laws hold after memory has been let go many times."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.operators.cutting.rechunk import _Rechunk
from rxstream.operators.cutting.window_by_time import _WindowByTime
from rxstream.steps.lift import Step
from rxstream.testing import assert_same, run_operator

SOUND = StreamInfo("sound", 8000.0, (2,), np.dtype(np.float32))
BUS = StreamInfo("bus", None, (), np.dtype([("id", np.uint32), ("value", np.float64)]))


def sound(count: int, seed: int = 1, losses: bool = True) -> Iterator[Chunk[Any]]:
    """Give chunks with a grid each, as a corrected clock makes them, and drops now and then."""
    rng = np.random.default_rng(seed)
    t, index, gap = 1_700_000_000_123_456_789, 0, None
    for _ in range(count):
        n = int(rng.choice([80, 80, 80, 37, 1, 160]))
        data = np.arange(index, index + n, dtype=np.float32)[:, None].repeat(2, 1)
        period = 125_000 * (1 + rng.normal(0, 1e-4))
        chunk = Chunk.regular(data, SOUND, start=t, index=index, gap=gap, period=period)
        yield chunk
        t, index, gap = chunk.end, index + n, None
        if losses and rng.random() < 0.02:
            lost = int(rng.integers(1, 2000))
            gap = Gap(t, t + lost * 125_000, lost, "dropped")
            t, index = gap.end, index + lost


def bus(count: int, seed: int = 1) -> Iterator[Chunk[Any]]:
    """Give messages in bursts, heartbeats, and silence."""
    rng = np.random.default_rng(seed)
    t, index = 1_700_000_000_000_000_001, 0
    for _ in range(count):
        n = int(rng.choice([0, 0, 1, 3, 20]))
        end = t + int(rng.integers(1, 30_000_000))
        data = np.zeros(n, BUS.dtype)
        data["id"] = np.arange(index, index + n)
        stamps = np.sort(rng.integers(t, end, n))
        yield Chunk.stamped(data, stamps, BUS, start=t, end=end, index=index)
        t, index = end, index + n


OPERATORS: dict[str, Callable[[], Any]] = {
    "rechunk": lambda: ops.rechunk(500),
    "rechunk-small": lambda: ops.rechunk(7),
    "rechunk-hop": lambda: ops.rechunk(800, hop=90),
    "rechunk-split": lambda: ops.rechunk(500, on_gap="split"),
    "window": lambda: ops.window_by_time(0.25),
    "window-sliding": lambda: ops.window_by_time(0.5, every=0.02),
    "window-odd": lambda: ops.window_by_time(0.3, every=0.07),
    "window-drop": lambda: ops.window_by_time(0.1, on_gap="drop"),
}


@pytest.mark.parametrize("stream", [sound, bus], ids=["sound", "bus"])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_result_does_not_depend_on_the_chunks(
    name: str, stream: Callable[[int], Iterator[Chunk[Any]]]
) -> None:
    chunks = list(stream(900))
    whole = concat(chunks)
    cut = [whole[k : k + 211] for k in range(0, len(whole), 211)]
    want = run_operator(OPERATORS[name](), chunks)
    assert_same(run_operator(OPERATORS[name](), [whole]), want)
    assert_same(run_operator(OPERATORS[name](), cut), want)


@pytest.mark.parametrize("name", ["rechunk", "rechunk-small", "rechunk-split", "window"])
@pytest.mark.parametrize("stream", [sound, bus], ids=["sound", "bus"])
def test_nothing_is_lost(name: str, stream: Callable[[int], Iterator[Chunk[Any]]]) -> None:
    chunks = list(stream(900))
    whole, out = concat(chunks), concat(run_operator(OPERATORS[name](), chunks))
    np.testing.assert_array_equal(out.time, whole.time)
    assert out.data.tobytes() == whole.data.tobytes()
    assert out.lost == whole.lost


@pytest.mark.parametrize("stream", [sound, bus], ids=["sound", "bus"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: _Rechunk(800, 90, None, None, split=False),
        lambda: _WindowByTime(500_000_000, 20_000_000, 0, "mark"),
        lambda: _WindowByTime(300_000_000, 70_000_000, 0, "drop"),
    ],
    ids=["rechunk", "window", "window-drop"],
)
def test_memory_stays_flat(
    make: Callable[[], Step[Chunk[Any], Chunk[Any]]],
    stream: Callable[[int], Iterator[Chunk[Any]]],
) -> None:
    step = make()
    held = []
    for k, chunk in enumerate(stream(6000)):
        for _ in step.push(chunk):
            pass
        if k in (1000, 3000, 5999):
            buffer = step._buffer  # type: ignore[attr-defined]
            lists = sum(len(getattr(buffer, s)) for s in ("_parts", "_part_starts", "_offsets"))
            held.append((buffer._slabs.nbytes, lists, len(buffer.gap_positions)))
    assert held[2][0] <= 3 * held[0][0]  # a slab more or less
    assert all(lists < 1000 and gap_positions < 50 for _, lists, gap_positions in held)


def test_overlapping_windows_of_messages_share_memory_too() -> None:
    """The rate of a bus is unknown; it is learned, so that windows become views."""
    windows = [
        w for w in run_operator(ops.window_by_time(0.5, every=0.02), bus(3000)) if len(w) > 20
    ]
    late = windows[len(windows) // 2 :]
    pairs = list(pairwise(late))
    shared = sum(np.shares_memory(a.data, b.data) for a, b in pairs)
    assert shared > 0.9 * len(pairs)
