"""What windows and the windows of the past hold in memory, and what they refuse."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import run_operator

S = 10**9
here = ImmediateScheduler()


def most_held(operator: Any, info: StreamInfo, length: int, count: int) -> int:
    """Return the most bytes traced after a chunk, while a subscriber keeps the newest result."""
    assert info.rate is not None
    source: Subject[Chunk[Any]] = Subject()
    newest: list[Any] = [None]
    data = np.zeros((length, *info.shape), info.dtype)
    subscription = source.pipe(operator).subscribe(
        lambda item: newest.__setitem__(0, item), scheduler=here
    )
    tracemalloc.start()
    most = 0
    for k in range(count):
        start = round(k * length * S / info.rate)
        source.on_next(Chunk.regular(data, info, start=start, index=k * length))
        most = max(most, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    subscription.dispose()
    return most


FRAMES = StreamInfo("cam", 30.0, (480, 640, 3), np.dtype(np.uint8))
FRAME = 480 * 640 * 3


@pytest.mark.parametrize(
    ("make", "frames"),
    [
        (lambda: ops.window_by_time(0.1), 21),
        (lambda: ops.window_by_time(0.1, every=1 / 30), 21),
        (lambda: ops.rechunk(3), 13),
        (lambda: ops.replay_window(60, max_bytes=20 * FRAME), 23),
    ],
)
def test_few_pictures_are_held(make: Callable[[], Any], frames: int) -> None:
    assert most_held(make(), FRAMES, 1, 60) <= frames * FRAME


@pytest.mark.parametrize(
    "make",
    [
        lambda: ops.rechunk(duration=3600),
        lambda: ops.window_by_time(3600),
        lambda: ops.window_by_time(1e8),
    ],
)
def test_long_windows_reserve_nothing(make: Callable[[], Any]) -> None:
    info = StreamInfo("mic", 48_000.0, (8,), np.dtype(np.float32))
    assert most_held(make(), info, 480, 100) < 4 * 100 * 480 * 32


def test_short_chunks_are_kept_in_slabs_that_fit_the_bytes() -> None:
    info = StreamInfo("mic", 48_000.0, (8,), np.dtype(np.float32))
    most = most_held(ops.replay_window(60, max_bytes=10**7), info, 480, 1500)
    assert 9e6 < most < 11e6  # of 23 MB


@pytest.mark.parametrize("most", [1.5, 0, -1, float("inf"), "1e6", True, None])
def test_bytes_are_whole_numbers(most: Any) -> None:
    with pytest.raises(ParameterError, match="max_bytes must be a whole number >= 1"):
        ops.replay_window(60, max_bytes=most)


def numbers(k: int, shape: tuple[int, ...], dtype: str = "i8") -> Chunk[Any]:
    info = StreamInfo("x", 10.0, shape, np.dtype(dtype))
    return Chunk.regular(np.full((5, *shape), k, dtype), info, start=k * S // 2, index=5 * k)


def test_what_changes_its_shape_ends_replay_window_and_nobody_else() -> None:
    source: Subject[Chunk[Any]] = Subject()
    mine: list[Any] = []
    others: list[Any] = []
    kept = source.pipe(ops.replay_window(60))
    kept.subscribe(mine.append, mine.append, scheduler=here)
    source.subscribe(others.append, others.append)
    chunks = [numbers(0, (2,)), numbers(1, (2,)), numbers(2, (3,)), numbers(3, (2,), "f4")]
    for chunk in chunks:
        source.on_next(chunk)
    assert others == chunks
    assert mine[:2] == chunks[:2]
    assert len(mine) == 3
    assert isinstance(mine[2], ChunkError)
    assert "ops.map_data" in str(mine[2])
    again: list[Any] = []  # who comes after that finds an empty window, as after any end
    late = kept.subscribe(again.append, again.append, scheduler=here)
    source.on_next(chunks[3])
    late.dispose()
    assert again == [chunks[3]]


def test_replay_window_takes_heartbeats_of_any_dtype() -> None:
    source: Subject[Chunk[Any]] = Subject()
    got: list[Any] = []
    kept = source.pipe(
        ops.map_data(lambda x: np.array([f"{v:03}" for v in x])), ops.replay_window(60)
    )
    subscription = keep_heartbeats(kept).subscribe(got.append, got.append, scheduler=here)
    beat = Chunk.stamped(np.empty(0, "i8"), [], StreamInfo("x", 10.0, (), "i8"), start=0, end=0)  # type: ignore[arg-type]
    for chunk in (beat, numbers(0, ()), numbers(1, ())):
        source.on_next(chunk)
    assert [len(chunk) for chunk in got] == [0, 5, 5]
    past = kept.between(0, S)  # type: ignore[attr-defined]
    subscription.dispose()
    assert past.data.tolist() == ["000"] * 5 + ["001"] * 5


TEXTS = ops.map_data(lambda x: np.array(["yes" if v < 7 else "perhaps" for v in x]))


@pytest.mark.parametrize("make", [lambda: ops.rechunk(2), lambda: ops.window_by_time(1.0)])
def test_text_is_not_cut_off(make: Callable[[], Any]) -> None:
    info = StreamInfo("x", 10.0, (), np.dtype(np.int64))
    whole = Chunk.regular(np.arange(10), info, start=0)
    beat = Chunk.stamped(np.empty(0, np.int64), [], info, start=0, end=0)
    out = run_operator(lambda source: source.pipe(TEXTS, make()), [beat, whole[:3], whole[3:5]])
    assert [text for chunk in out for text in chunk.data] == ["yes"] * 5
    with pytest.raises(ChunkError, match=r"<U3 and x \(\) <U7.*astype\('<U7'\)"):
        run_operator(lambda source: source.pipe(TEXTS, make()), [whole[:5], whole[5:]])


@pytest.mark.parametrize("gap", [Gap(S, S, None, "dropped"), Gap(S, 2 * S, None, "dropped")])
@pytest.mark.parametrize("on_gap", ["mark", "split", "drop"])
def test_more_than_a_million_windows_are_refused_after_a_gap_too(gap: Gap, on_gap: Any) -> None:
    info = StreamInfo("x", None, (), np.dtype(np.int64))
    one = Chunk.stamped(np.arange(1), [S - 1], info)
    beat = Chunk.stamped(np.empty(0, np.int64), [], info, start=gap.end, end=32_000 * S, gap=gap)
    with pytest.raises(ChunkError, match="more than 1000000 windows"):
        run_operator(ops.window_by_time(0.01, on_gap=on_gap), [one, beat])


def test_windows_that_lie_in_a_gap_do_not_count() -> None:
    info = StreamInfo("x", None, (), np.dtype(np.int64))
    one = Chunk.stamped(np.arange(1), [S - 1], info)
    gap = Gap(S, 10**6 * S, None, "disconnect")
    late = Chunk.stamped(np.arange(1), [gap.end], info, index=1, gap=gap, end=gap.end + S)
    out = run_operator(ops.window_by_time(0.01), [one, late])
    assert sum(map(len, out)) == 2
    assert len(out) < 200
