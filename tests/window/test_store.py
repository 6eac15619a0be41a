"""The rows of a window: numbers, batches, and the bytes that are counted."""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.data.axis import Evidence, IrregularAxis, RegularAxis
from rxstream.data.clock import FOREVER, NEVER
from rxstream.errors import ChunkError
from rxstream.window.store import Store

EVENTS = StreamInfo("events", dtype=np.int64)
N = 2000  # chunks of a measurement


# -- numbers and batches --------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(1, 40), st.tuples(st.integers(0, 300), st.integers(0, 9)))))
def test_numbers_stay_whatever_is_dropped(steps: list[Any]) -> None:
    """Against a list of all chunks there ever were: append some, or trim to a time."""
    store, all_chunks, oldest = Store(), list[Chunk[Any]](), 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                all_chunks.append(ramp(len(all_chunks), 1))
                store.append(all_chunks[-1])
        else:
            limit, keep = step[0] * MS, step[1]
            before = max(oldest, len(all_chunks) - keep)
            assert store.trim(limit, sys.maxsize, before) is False
            while oldest < before and all_chunks[oldest].end <= limit:
                oldest += 1
        assert (store.start, store.stop) == (oldest, len(all_chunks))
        assert store.nbytes == sum(store._sizes[oldest - store._base :])
        for number in range(len(all_chunks)):
            held = number >= oldest
            assert store.get(number) is (all_chunks[number] if held else None)
        for number in range(oldest, len(all_chunks)):
            found = store.read(number)
            assert found == all_chunks[number : number + len(found)]
            assert store.number_at(all_chunks[number].start) == number
            assert store.place(number) == (number * MS, number)
        assert store.chunks(NEVER, FOREVER) == all_chunks[oldest:]
        if all_chunks:
            assert store.place(store.stop) == (len(all_chunks) * MS, len(all_chunks))


def test_bytes_are_what_is_dropped_for() -> None:
    store = Store()
    for k in range(10):
        store.append(ramp(k, 1))
    one = store.nbytes // 10
    assert store.trim(NEVER, 4 * one, 10)
    assert (store.start, store.nbytes) == (6, 4 * one)
    assert not store.trim(8 * MS, 4 * one, 10)
    assert store.start == 8
    assert store.trim(NEVER, 0, 9)
    assert store.start == 9


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 64), (100, 45), (1000, 7), (8000, 1), (1_000_000, 1)]
)
def test_what_is_read_at_once_is_few_bytes_or_one_chunk(samples: int, count: int) -> None:
    store = Store()
    for k in range(100):
        store.append(ramp(samples * k, samples))
    found = store.read(0)
    assert len(found) == count
    assert len(found) == 1 or sum(chunk.nbytes for chunk in found) <= 1 << 16


def test_one_large_chunk_among_small_ones_is_read_in_small_batches() -> None:
    store = Store()
    sizes = [1] * 50 + [20_000] + [1] * 50
    at = 0
    for size in sizes:
        store.append(ramp(at, size))
        at += size
    number, most = 0, 20_000 * 8 + 1000
    while number < store.stop:
        found = store.read(number)
        assert sum(chunk.nbytes for chunk in found) <= max(1 << 16, most)
        number += len(found)
    assert number == len(sizes)


# -- what goes back -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late",
    [
        ramp(5, 3),
        ramp(9, 1),
        ramp(0, 10),
        ramp(10, 5, Gap(8 * MS, 10 * MS, 2, "dropped")),
        Chunk.empty(INFO, 9 * MS, 12 * MS),
    ],
    ids=["back", "overlap", "twice", "gap", "heartbeat"],
)
def test_what_goes_back_or_comes_twice_is_refused(late: Chunk[Any]) -> None:
    store = Store()
    store.append(ramp(0, 10))
    before = store.nbytes
    with pytest.raises(ChunkError, match=r"ramp: a chunk begins at .* before the end of the one"):
        store.append(late)
    store.trim(FOREVER, 0, store.stop)
    with pytest.raises(ChunkError):  # also when the one before it is gone
        store.append(late)
    store.append(ramp(10, 10))
    assert (store.nbytes, store.stop) == (before, 2)


# -- bytes ----------------------------------------------------------------------------------------


def regular(k: int) -> Chunk[Any]:
    return Chunk.regular(np.arange(10), INFO, start=k * 10 * MS, index=10 * k)


def stamped(k: int) -> Chunk[Any]:
    return Chunk.stamped(np.arange(50), k * 1000 + np.arange(50), EVENTS, index=50 * k)


def with_evidence(chunk: Chunk[Any], device_time: Any) -> Chunk[Any]:
    axis, evidence = chunk.axis, Evidence(chunk.end, len(chunk), device_time=device_time)
    made: Any
    if isinstance(axis, RegularAxis):
        made = RegularAxis(axis.origin, axis.period, axis.count, 0, 0.0, evidence)
    else:
        made = IrregularAxis(axis.times(), 0.0, evidence)
    return chunk._replace(axis=made)


def with_gaps(k: int) -> Chunk[Any]:
    at = k * 20 * MS
    pieces = []
    for i in range(3):
        gap = Gap(at + (4 * i) * MS, at + (4 * i + 2) * MS, 2, "dropped")
        pieces.append(
            Chunk.regular(np.arange(2), INFO, start=gap.end, index=20 * k + 4 * i + 2, gap=gap)
        )
    return concat(pieces)


def objects(make: Callable[[int], Any], count: int = 4) -> Callable[[int], Chunk[Any]]:
    info = StreamInfo("objects", dtype=np.dtype(object))

    def chunk(k: int) -> Chunk[Any]:
        data = np.empty(count, object)
        for i in range(count):
            data[i] = make(count * k + i)
        return Chunk.stamped(data, k * 100 + np.arange(count), info)

    return chunk


@dataclass(slots=True)
class Seen:
    """What somebody saw in a picture, as a detector of objects gives it."""

    label: str
    box: tuple[float, ...]
    mask: Any


def text(k: int) -> str:
    return "x" * 1000 + str(k)


def nested(k: int) -> dict[str, Any]:
    return {
        "frame": np.zeros(2000 + k % 7, np.uint8),
        "seen": [Seen(text(k), (k * 1.5, k * 2.5), np.zeros(500)[100:400]) for _ in range(3)],
        "raw": [bytes(500) for _ in range(30)],
    }


KINDS: dict[str, Callable[[int], Chunk[Any]]] = {
    "regular": regular,
    "stamps": stamped,
    "evidence": lambda k: with_evidence(regular(k), 10**18 + k),
    "device stamps of a rate": lambda k: with_evidence(regular(k), np.arange(10) + k),
    "device stamps": lambda k: with_evidence(stamped(k), np.arange(50) + k),
    "gaps": with_gaps,
    "one stamp": lambda k: Chunk.stamped(np.zeros(1, np.int64), [k], EVENTS, index=k),
    "strings": objects(text),
    "dicts of lists of dataclasses": objects(nested, 1),
    "many tuples": objects(lambda k: (text(k), [float(k), float(k + 1)], {k, -k - 9999}), 40),
    "arrays of objects": objects(lambda k: np.array([text(k), None, text(k + 1)], object)),
    "frames": lambda k: ramp(20_000 * k, 20_000),
}


def traced(make: Callable[[int], Chunk[Any]]) -> tuple[int, int]:
    """Return the memory that chunks in a store take, and what is counted."""
    store = Store()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for k in range(N if make is not KINDS["frames"] else N // 20):
            store.append(make(k))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before, store.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", KINDS)
def test_counted_is_what_memory_is_taken(name: str) -> None:
    """Measured by tracemalloc; what a chunk is made of is counted as what a process grows by."""
    taken, counted = traced(KINDS[name])
    assert 0.85 * taken < counted < 1.5 * taken + 200 * N


def test_an_object_that_cannot_be_looked_at_is_counted_all_the_same() -> None:
    class Broken(dict[str, int]):
        def __sizeof__(self) -> int:
            raise ZeroDivisionError

        def values(self) -> Any:
            raise ZeroDivisionError

    loop: list[Any] = []
    loop.append(loop)
    store = Store()
    store.append(objects(lambda k: (Broken(a=1), loop)[k % 2])(0))
    assert 0 < store.nbytes < 10_000


def test_evidence_that_chunks_share_counts_once() -> None:
    reading = with_evidence(
        Chunk.stamped(np.zeros(10_000, np.uint8), np.arange(10_000), StreamInfo("x", dtype="u1")),
        np.arange(10_000),
    )
    whole, parts = Store(), Store()
    whole.append(reading)
    for k in range(100):
        parts.append(reading[100 * k : 100 * k + 100])
    bookkeeping = 99 * 1000
    assert whole.nbytes <= parts.nbytes <= whole.nbytes + bookkeeping
    parts.trim(FOREVER, 0, parts.stop)
    assert parts.nbytes == 0


def test_small_and_large_are_counted_by_themselves() -> None:
    """Whatever order they come and go in, nothing is left when all are dropped."""

    def sizes() -> Iterable[int]:
        rng = np.random.default_rng(1)
        return (int(n) for n in rng.integers(0, 3000, 300))

    store, at = Store(), 0
    for k, size in enumerate(sizes()):
        store.append(ramp(at, size))
        at += size
        if k % 7 == 0:
            store.trim(NEVER, 10_000, store.stop)
            assert store.nbytes <= 10_000
    store.trim(FOREVER, 0, store.stop)
    assert (store.nbytes, store.start) == (0, 300)
