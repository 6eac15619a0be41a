"""What a slow subscriber did not have is told: before its first chunk, and after the last."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import MS, ramp
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject
from rxstream.window.reader import Reader

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def values(chunks: list[Chunk[Any]]) -> list[int]:
    return [int(v) for chunk in chunks for v in chunk.data]


@pytest.mark.parametrize("policy", ["gap", "latest"])
def test_who_lost_before_the_first_chunk_is_told(policy: Any) -> None:
    """A window of one chunk, a scheduler that is late: the first chunks are gone."""
    subject = TimeWindowSubject(60.0, max_bytes=1)
    loop, go = EventLoopScheduler(), threading.Event()
    loop.schedule(lambda *_: go.wait(10))
    got: list[Chunk[Any]] = []
    done = threading.Event()
    subject.on_lag(policy).subscribe(got.append, on_completed=done.set, scheduler=loop)
    for k in range(5):
        subject.on_next(ramp(10 * k, 10))
    subject.on_completed()
    go.set()
    assert done.wait(10)
    assert values(got) == list(range(40, 50))
    assert got[0].gap == Gap(0, 40 * MS, 40, "lag")
    loop.dispose()


def test_who_lost_the_past_it_asked_for_is_told() -> None:
    subject = TimeWindowSubject(0.05)
    for k in range(5):
        subject.on_next(ramp(10 * k, 10))
    loop, go = EventLoopScheduler(), threading.Event()
    loop.schedule(lambda *_: go.wait(10))
    got: list[Chunk[Any]] = []
    done = threading.Event()
    subject.rewind(to=5 * MS).subscribe(got.append, on_completed=done.set, scheduler=loop)
    for k in range(5, 8):
        subject.on_next(ramp(10 * k, 10))
    subject.on_completed()
    go.set()
    assert done.wait(10)
    assert got[0].gap is not None
    assert (got[0].gap.start, got[0].gap.end, got[0].gap.lost) == (5 * MS, 30 * MS, 25)
    assert values(got) == list(range(30, 80))
    loop.dispose()


@pytest.mark.parametrize("drop", [TimeWindowSubject.trim, lambda s: s.log.clear()])
def test_what_is_lost_at_the_very_end_is_told(drop: Any) -> None:
    now = 0
    subject = TimeWindowSubject(0.05, clock=lambda: now)
    reader = Reader(subject.log)
    subject.on_next(ramp(0, 10))
    assert reader.read() == ramp(0, 10)
    subject.on_next(ramp(10, 10))
    subject.trim()
    now = 10**9
    drop(subject)  # idle for longer than the window
    subject.on_completed()
    last = reader.read()
    assert last is not None
    assert len(last) == 0
    assert last.gap == Gap(10 * MS, 20 * MS, 10, "lag")
    assert reader.read() is None


def test_heartbeats_that_were_skipped_are_no_loss() -> None:
    info = StreamInfo("keys", dtype=np.dtype(np.int64))
    subject = TimeWindowSubject(60.0)
    reader = Reader(subject.log, "latest")
    none, at = np.empty(0, np.int64), 0
    for at in (0, 10, 20):
        subject.on_next(Chunk.stamped(none, none, info, start=at, end=at + 10, index=0))
        if not at:
            reader.read()
    chunk = reader.read()
    assert chunk == Chunk.stamped(none, none, info, start=10, end=30)
    subject.on_completed()
