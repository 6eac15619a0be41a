"""Many threads at random: each subscriber has everything once, in order, or gets a gap for it."""

import gc
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes import eventually, ramp
from reactivex import Observable
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler, ThreadPoolScheduler

from rxstream import Chunk, TimeWindowSubject
from rxstream.errors import LagError
from rxstream.window.log import Policy

pytestmark = pytest.mark.real

POLICIES: tuple[Policy, ...] = ("gap", "latest", "error", "block")


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


class Watcher:
    """A subscriber that notes whatever must not happen."""

    def __init__(self, rng: random.Random, leave_after: int | None) -> None:
        self.wrong: list[str] = []
        self.expected: int | None = None
        self.chunks = self.ends = self.inside = 0
        self.leave_after, self.subscription = leave_after, None  # type: int | None, Any
        self.slow = rng.random() < 0.3
        self.tick = threading.Event()
        self.error: Exception | None = None

    def subscribe(self, source: Observable[Chunk], scheduler: Any) -> "Watcher":
        self.subscription = source.subscribe(
            self.on_next, self.on_error, self.on_completed, scheduler=scheduler
        )
        return self

    def on_next(self, chunk: Chunk[Any]) -> None:
        self.inside += 1
        if self.inside > 1:
            self.wrong.append("two threads at once")
        if self.ends:
            self.wrong.append("a chunk after the end")
        lost = sum(gap.lost or 0 for gap in chunk.gaps)
        if self.expected is not None and chunk.index - lost != self.expected:
            self.wrong.append(f"{self.expected} expected, {chunk.index} - {lost} came")
        if not np.array_equal(chunk.data, np.arange(chunk.index, chunk.index + len(chunk))):
            self.wrong.append("other samples")
        self.expected = chunk.index + len(chunk)
        self.chunks += 1
        if self.slow and self.chunks % 8 == 0:
            self.tick.wait(0.0005)
        if self.chunks == self.leave_after and self.subscription is not None:
            self.subscription.dispose()
        self.inside -= 1

    def on_completed(self) -> None:
        self.ends += 1
        if self.inside:
            self.wrong.append("the end came inside a chunk")

    def on_error(self, error: Exception) -> None:
        self.error = error
        self.on_completed()


@pytest.mark.parametrize("seed", range(6))
def test_everything_once_in_order_or_reported(seed: int) -> None:
    rng = random.Random(seed)
    subject = TimeWindowSubject(rng.choice([0.02, 0.2, 60.0]))
    loop, pool = EventLoopScheduler(), ThreadPoolScheduler(3)
    schedulers: list[Any] = [None, None, ImmediateScheduler(), loop, pool]
    stop, started = threading.Event(), threading.Event()
    last = 0

    def produce() -> None:
        nonlocal last
        k = 0
        while not stop.is_set():
            n = 1 + k % 5
            subject.on_next(ramp(k, n))
            k += n
            started.set()
        last = k

    producer = threading.Thread(target=produce)
    producer.start()
    assert started.wait(10)
    watchers = []
    for _ in range(60):
        leave_after = rng.choice([None, None, 1, 5, 70])
        policy = rng.choice(POLICIES)
        source = subject if rng.random() < 0.5 else subject.rewind(rng.random() * 0.02)
        watcher = Watcher(rng, leave_after)
        watchers.append(watcher.subscribe(source.on_lag(policy), rng.choice(schedulers)))
        target = subject.log.stop + rng.randrange(40)
        assert eventually(lambda target=target: subject.log.stop >= target)  # type: ignore[misc]
        if rng.random() < 0.3:
            rng.choice(watchers).subscription.dispose()
    stop.set()
    producer.join(20)
    assert not producer.is_alive()
    subject.on_completed()
    assert subject.wait(20 * 10**9)
    assert eventually(lambda: subject.log.cursors() == [])
    assert [watcher.wrong for watcher in watchers if watcher.wrong] == []
    assert all(watcher.ends <= 1 for watcher in watchers)
    for watcher in watchers:
        if watcher.ends and watcher.error is None and watcher.chunks:
            assert watcher.expected == last
        if watcher.error is not None:
            assert isinstance(watcher.error, LagError)
    loop.dispose()
    pool.executor.shutdown()


def test_subscribing_and_leaving_100_000_times_leaves_nothing() -> None:
    subject = TimeWindowSubject(60.0)
    subject.on_next(ramp(0, 10))

    def come_and_go(times: int) -> int:
        for _ in range(times):
            subject.subscribe(lambda _: None, scheduler=ImmediateScheduler()).dispose()
        gc.collect()
        return len(gc.get_objects())

    before = come_and_go(100)
    assert come_and_go(100_000) < before + 100
    assert subject.log.cursors() == []
    subject.on_completed()


def test_many_subscribe_and_dispose_at_once() -> None:
    """Nobody is forgotten: `wait` and `dispose` know every subscriber, however they came."""
    subject = TimeWindowSubject(60.0)
    gate = threading.Barrier(8)
    kept: list[Any] = []

    def come_and_go() -> None:
        gate.wait()
        for k in range(300):
            subscription = subject.subscribe(lambda _: None)
            if k % 3:
                subscription.dispose()
            else:
                kept.append(subscription)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 800
    assert len(subject.log.cursors()) == 800
    assert len([w for w in subject._workers if not w.done.is_set()]) == 800
    subject.dispose()
