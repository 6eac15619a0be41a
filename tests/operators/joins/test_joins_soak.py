"""Joins and sessions for hours of virtual time: memory stays flat, no loss goes unreported.

One partner is silent, one comes 30 s late: once it is waited for, once it is not.
"""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from faulty_stream import HOURS, RATE, SECOND, SECONDS, Faulty
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.operators import JoinedWindow, Unmatched
from rxstream.steps.heartbeats import keep_heartbeats

pytestmark = pytest.mark.soak

LATE = 30  # [s]
PATIENCE = pytest.mark.parametrize("patient", [True, False], ids=["patient", "impatient"])
TOTAL = SECONDS * RATE
Streams = Callable[[Subject[Any], Subject[Any], Subject[Any]], Any]


class Tally:
    """Samples that came of each stream, and those that its gaps count, by reason."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()
        self._next: dict[str, int] = {}

    def add(self, chunk: Chunk) -> None:
        """Count a chunk; its samples must be the next ones."""
        name = chunk.info.name
        gone = sum(gap.lost or 0 for at, gap in chunk.gap_positions if at == 0)
        if len(chunk):
            assert chunk.index == self._next.get(name, 0) + gone
        self.came[name] += len(chunk)
        for gap in chunk.gaps:
            self.lost[name, gap.reason] += gap.lost or 0
        self._next[name] = self._next.get(name, 0) + len(chunk) + chunk.lost

    def all_of(self, name: str) -> int:
        """Return how many samples of a stream came or were reported lost."""
        return self.came[name] + sum(n for (which, _), n in self.lost.items() if which == name)


def for_hours(
    make: Streams, take: Callable[[Any], None], rate: int = RATE
) -> tuple[Faulty, Faulty]:
    """Let three streams run through what ``make(mic, bus, silent)`` returns."""
    mic, bus, silent = Subject[Any](), Subject[Any](), Subject[Any]()
    sound, messages = Faulty("mic", 1, SECONDS, RATE, mic), Faulty("bus", 2, SECONDS, rate, bus)
    ends: list[None] = []
    errors: list[Exception] = []
    joined = keep_heartbeats(make(mic, bus, silent))
    joined.subscribe(take, errors.append, lambda: ends.append(None))
    memory = []
    tracemalloc.start()
    try:
        for k in range(SECONDS):
            sound.second(k)
            if k >= LATE:
                messages.second(k - LATE)
            if k in (1200, SECONDS - 1):
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    for k in range(SECONDS - LATE, SECONDS):
        messages.second(k)
    for subject in (mic, bus, silent):
        subject.on_completed()
    if errors:
        raise errors[0]
    assert len(ends) == 1
    assert memory[1] < memory[0] + 100_000
    return sound, messages


def lateness(patient: bool) -> float:
    return 45.0 if patient else 5.0


@PATIENCE
def test_align(patient: bool) -> None:
    tally, why = Tally(), Counter[str]()

    def report(left_out: Unmatched) -> None:
        why[left_out.reason] += len(left_out.chunk)

    def take(pair: tuple[Chunk, Chunk]) -> None:
        tally.add(pair[0])
        np.testing.assert_array_equal(pair[0].data, pair[1].data)

    mic, bus = for_hours(
        lambda mic, bus, _: mic.pipe(
            ops.align(bus, tolerance=0.002, lateness=lateness(patient), unmatched=report)
        ),
        take,
    )
    assert tally.all_of("mic") == TOTAL
    assert sum(why.values()) == mic.samples - tally.came["mic"]
    if patient:
        assert tally.came["mic"] == int((~mic.dropped & ~bus.dropped).sum()) * RATE
        assert set(why) == {"gap"}
    else:  # but before it begins, and in the end, when it is waited for
        assert why["late"] >= mic.samples - 60 * RATE


@PATIENCE
def test_align_with_a_silent_one(patient: bool) -> None:
    tally, why = Tally(), Counter[str]()

    def report(left_out: Unmatched) -> None:
        why[left_out.reason] += len(left_out.chunk)

    mic, _ = for_hours(
        lambda mic, _, silent: mic.pipe(
            ops.align(silent, tolerance=0.002, lateness=lateness(patient), unmatched=report)
        ),
        lambda pair: tally.add(pair[0]),
    )
    assert tally.came["mic"] == 0
    assert tally.all_of("mic") == TOTAL
    assert sum(why.values()) == mic.samples
    assert why["not begun"] >= mic.samples - 60 * RATE
    assert set(why) == {"not begun", "ended"}


@PATIENCE
def test_resample_onto(patient: bool) -> None:
    tally = Tally()
    mic, bus = for_hours(
        lambda mic, bus, _: bus.pipe(
            ops.resample(onto=mic, method="previous", tolerance=0.002, lateness=lateness(patient))
        ),
        tally.add,
    )
    assert tally.all_of("bus") == TOTAL
    both = int((~mic.dropped & ~bus.dropped).sum()) * RATE
    assert tally.came["bus"] == both if patient else tally.came["bus"] < 10 * RATE


@PATIENCE
def test_merge_by_time(patient: bool) -> None:
    tally = Tally()
    last = 0

    def take(chunk: Chunk) -> None:
        nonlocal last
        tally.add(chunk)
        if len(chunk):
            assert chunk.time[0] >= last
            last = chunk.time[-1]

    mic, bus = for_hours(
        lambda mic, bus, silent: mic.pipe(
            ops.merge_by_time(bus, silent, lateness=lateness(patient))
        ),
        take,
        rate=4,
    )
    assert tally.came["mic"] == mic.samples
    assert (tally.all_of("mic"), tally.all_of("bus")) == (TOTAL, SECONDS * 4)
    if patient:
        assert tally.came["bus"] == bus.samples
    else:
        assert tally.lost["bus", "lag"] >= bus.samples - 10 * 4


@PATIENCE
def test_join_windows(patient: bool) -> None:
    tally = Tally()
    starts: list[int] = []

    def take(window: JoinedWindow) -> None:
        starts.append(window.start)
        assert window.chunks[2] is None
        for chunk in window.chunks[:2]:
            if chunk is not None:
                tally.add(chunk)

    mic, bus = for_hours(
        lambda mic, bus, silent: mic.pipe(
            ops.join_windows(bus, silent, duration=10, lateness=lateness(patient))
        ),
        take,
    )
    assert {b - a for a, b in pairwise(starts)} == {10 * SECOND, 20 * SECOND}  # both unplugged
    assert tally.came["mic"] == mic.samples
    assert tally.all_of("mic") == tally.all_of("bus") == TOTAL
    if patient:
        assert tally.came["bus"] == bus.samples
    else:
        assert tally.lost["bus", "lag"] >= bus.samples - 20 * RATE


def typing(seed: int) -> Iterator[Chunk]:
    """Yield hours of keys, a chunk each second; one key in a hundred is lost."""
    rng = np.random.default_rng(seed)
    info = StreamInfo("keys", None, (), np.dtype(np.int64))
    index = 0
    for k in range(SECONDS):
        count = int(rng.integers(0, 4)) if k % 60 < 40 else 0
        start, end = k * SECOND, (k + 1) * SECOND
        times = np.sort(rng.choice(SECOND, count, replace=False)) + start
        gap = None
        if count and rng.random() < 0.02:
            gap, index = Gap(start, start, 1, "dropped"), index + 1
        data = np.arange(index, index + count)
        yield Chunk.stamped(data, times, info, start=start, end=end, index=index, gap=gap)
        index += count


def test_sessions() -> None:
    keys = Subject[Any]()
    tally = Tally()
    count = 0

    def take(chunk: Chunk) -> None:
        nonlocal count
        count += 1
        tally.add(chunk)

    keys.pipe(ops.sessions(10)).subscribe(take)
    sent = lost = 0
    memory = []
    chunks = list(typing(3))
    tracemalloc.start()
    try:
        for k, chunk in enumerate(chunks):
            sent, lost = sent + len(chunk), lost + chunk.lost
            keys.on_next(chunk)
            if k in (1200, SECONDS - 1):
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    keys.on_completed()
    assert count == HOURS * 60
    assert lost > 15 * HOURS
    assert (tally.came["keys"], tally.lost["keys", "dropped"]) == (sent, lost)
    assert memory[1] < memory[0] + 100_000
