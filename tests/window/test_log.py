"""The shared log: what it keeps, and what a cursor gets that falls out of it."""

import gc
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, eventually, ramp
from reactivex import Observable
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from reactivex.testing import TestScheduler
from windows import filled, values

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject
from rxstream.errors import LagError
from rxstream.window.log import Cursor, Log
from rxstream.window.reader import Reader

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_the_window_is_in_sample_time() -> None:
    # all of it arrives at once; only sample time counts
    subject = filled(0.5, *(ramp(100 * k, 100) for k in range(20)), clock=lambda: 0)
    assert subject.log.held == pytest.approx(0.5)
    assert values([subject.last(10)]) == list(range(1500, 2000))
    subject.on_completed()


def test_the_window_is_bounded_in_bytes() -> None:
    chunk_bytes = filled(1, ramp(0, 1000), clock=lambda: 0).log.nbytes
    assert ramp(0, 1000).nbytes < chunk_bytes < ramp(0, 1000).nbytes + 1000
    subject = filled(3600.0, *(ramp(1000 * k, 1000) for k in range(50)), max_bytes=5 * chunk_bytes)
    assert subject.log.nbytes == 5 * chunk_bytes
    assert values([subject.last(3600)]) == list(range(45_000, 50_000))
    subject.on_completed()


def test_an_idle_window_is_freed_when_it_is_past() -> None:
    subject = TimeWindowSubject(0.2)
    data = np.arange(10, dtype=np.int64)
    kept = weakref.ref(data)
    subject.on_next(Chunk.regular(data, INFO, start=0))
    assert subject.log.nbytes > 0
    del data
    assert eventually(lambda: subject.log.nbytes == 0)
    gc.collect()
    assert kept() is None
    subject.on_next(ramp(10, 10))  # it goes on afterwards, and is freed again
    assert eventually(lambda: subject.log.nbytes == 0)
    subject.on_completed()


def test_a_completed_window_stays_until_it_is_dropped() -> None:
    subject = filled(0.05, ramp(0, 10))
    subject.on_completed()
    assert not eventually(lambda: subject.log.nbytes == 0, timeout=0.2)
    assert values([subject.last(1)]) == list(range(10))


def test_views_outlive_the_window() -> None:
    subject = TimeWindowSubject(0.02)
    subject.on_next(ramp(0, 10))
    view = subject.last(0.01)
    for k in range(1, 100):
        subject.on_next(ramp(10 * k, 10))
    assert values([view]) == list(range(10))
    subject.on_completed()


def test_between_in_silence_lies_where_what_comes_next_begins() -> None:
    subject = TimeWindowSubject(60, name="keys", clock=lambda: 0)
    info = StreamInfo("keys", None, (), np.dtype(np.int64))
    for k, at in enumerate((1, 5, 9)):
        subject.on_next(Chunk.stamped(np.array([k]), [at], info, index=k))
    found = [subject.between(x, y) for x, y in ((0, 1), (3, 5), (6, 7), (20, 30))]
    assert [(len(c), c.start, c.index) for c in found] == [
        (0, 1, 0),
        (0, 5, 1),
        (0, 9, 2),
        (0, 9, 2),
    ]


def test_what_dies_with_a_chunk_may_use_the_window() -> None:
    """A callback on the end of an array runs where the array is dropped: inside the log."""
    subject = TimeWindowSubject(60.0, max_bytes=1)
    subscription = subject.subscribe(lambda _: None, scheduler=TestScheduler())
    data = np.zeros(10, np.int64)
    seen: list[int] = []

    def gone() -> None:
        subscription.dispose()
        seen.append(len(subject.last(1)))

    weakref.finalize(data, gone)
    subject.on_next(Chunk.regular(data, ramp(0, 1).info, start=0))
    del data

    thread = threading.Thread(target=lambda: subject.on_next(ramp(10, 5)), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert seen == [5]
    subject.on_completed()


def test_who_finds_nothing_just_after_an_append_is_not_woken_by_it() -> None:
    """It would have been woken twice: two threads delivered to one subscriber at a time."""

    class Interrupted:  # a lock after whose release another thread comes first
        def __init__(self, lock: Any) -> None:
            self.lock, self.then = lock, list[Callable[[], object]]()

        def __enter__(self) -> None:
            self.lock.__enter__()

        def __exit__(self, *error: object) -> None:
            self.lock.__exit__(*error)
            if self.then:
                self.then.pop()()

    woken: list[str] = []
    log = Log(10**12, 1 << 30, "x")
    cursor = Cursor("gap", lambda: woken.append("once"), "it")
    log.append(ramp(0, 1))
    log.attach(cursor, since=0)
    assert woken == ["once"]  # it has taken a chunk, and comes back
    assert log.take(cursor) == [ramp(0, 1)]

    def come_back() -> None:
        assert log.take(cursor) == [ramp(1, 1)]
        assert log.take(cursor) == []

    log._lock = interrupted = Interrupted(log._lock)  # type: ignore[assignment]
    interrupted.then.append(come_back)
    log.append(ramp(1, 1))
    assert woken == ["once"]
    log.append(ramp(2, 1))
    assert woken == ["once", "once"]


# -- lag ------------------------------------------------------------------------------------------


def stuck(
    subject: TimeWindowSubject, view: Observable[Chunk[Any]], n: int
) -> tuple[list[Any], Any]:
    """Subscribe, hold the subscriber at its first chunk while n more come, then let it go."""
    got: list[Any] = []
    first, release = threading.Event(), threading.Event()
    error: list[Exception] = []

    def take(chunk: Chunk[Any]) -> None:
        got.append(chunk)
        first.set()
        release.wait(10)

    view.subscribe(take, error.append)
    subject.on_next(ramp(0, 10))
    assert first.wait(10)
    for k in range(1, n + 1):
        subject.on_next(ramp(10 * k, 10))
    release.set()
    subject.on_completed()
    assert subject.wait(10**10)
    return got, error


def test_lag_is_reported_as_a_gap() -> None:
    subject = TimeWindowSubject(0.1)  # ten chunks
    got, error = stuck(subject, subject, 100)
    assert error == []
    assert values(got) == [*range(10), *range(910, 1010)]
    assert got[1].gap == Gap(10 * MS, 910 * MS, 900, "lag")
    assert [chunk.gap for chunk in got[2:]] == [None] * 9


def test_latest_takes_the_newest_and_reports_what_it_left_out() -> None:
    subject = TimeWindowSubject(60.0)
    got, error = stuck(subject, subject.on_lag("latest"), 100)
    assert error == []
    assert values(got) == [*range(10), *range(1000, 1010)]
    assert got[1].gap == Gap(10 * MS, 1000 * MS, 990, "lag")


def test_lag_is_an_error_for_who_asks() -> None:
    subject = TimeWindowSubject(0.1, name="mic")
    got, error = stuck(subject, subject.on_lag("error"), 100)
    assert values(got) == list(range(10))
    assert isinstance(error[0], LagError)
    assert "mic" in str(error[0])
    assert "900 samples" in str(error[0])


@pytest.mark.parametrize("policy", ["gap", "latest"])
def test_losses_before_the_first_chunk_are_reported(policy: Any) -> None:
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


def test_losses_of_the_requested_past_are_reported() -> None:
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
def test_losses_at_the_very_end_are_reported(drop: Any) -> None:
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
    cursor = Cursor("latest", lambda: None, "newest")
    subject.log.attach(cursor)
    none, at = np.empty(0, np.int64), 0
    for at in (0, 10, 20):
        subject.on_next(Chunk.stamped(none, none, info, start=at, end=at + 10, index=0))
        if not at:
            subject.log.take(cursor)
    (chunk,) = subject.log.take(cursor) or []
    assert chunk == Chunk.stamped(none, none, info, start=10, end=30)
    subject.on_completed()


# -- blocking -------------------------------------------------------------------------------------


def test_block_holds_the_producer_and_loses_nothing() -> None:
    subject = TimeWindowSubject(0.1)
    got: list[Chunk[Any]] = []
    pause = threading.Event()
    view = subject.on_lag("block")
    view.subscribe(lambda chunk: (pause.wait(0.001), got.append(chunk)))
    for k in range(200):
        subject.on_next(ramp(10 * k, 10))
    subject.on_completed()
    assert subject.wait(10**10)
    assert values(got) == list(range(2000))
    assert all(chunk.gap is None for chunk in got)


def test_disposing_a_blocking_subscriber_frees_the_producer() -> None:
    subject = TimeWindowSubject(0.02)
    at_first, release = threading.Event(), threading.Event()
    subscription = subject.on_lag("block").subscribe(lambda _: (at_first.set(), release.wait(10)))
    done = threading.Event()

    def produce() -> None:
        for k in range(20):
            subject.on_next(ramp(10 * k, 10))
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    assert at_first.wait(10)
    assert not done.wait(0.05)
    subscription.dispose()
    assert done.wait(10)
    release.set()
    thread.join()
    subject.on_completed()


@pytest.mark.parametrize("scheduler", [here, None])
def test_who_blocks_itself_is_not_waited_for(scheduler: Any) -> None:
    """A subscriber that feeds what it is subscribed to, with a window of one chunk."""
    got: list[int] = []

    def feed_back(chunk: Chunk[Any]) -> None:
        got.append(chunk.index)
        if chunk.index == 0:
            for k in range(1, 4):
                subject.on_next(ramp(k, 1))

    done = threading.Event()
    subject = TimeWindowSubject(60.0, max_bytes=1)
    subject.on_lag("block").subscribe(feed_back, on_completed=done.set, scheduler=scheduler)
    producer = threading.Thread(target=lambda: subject.on_next(ramp(0, 1)), daemon=True)
    producer.start()
    assert eventually(lambda: got == [0, 1, 2, 3])
    subject.on_completed()
    assert done.wait(10)
    producer.join()


def test_two_blocked_subscribers_and_one_leaves() -> None:
    subject = TimeWindowSubject(60.0, max_bytes=1)
    stuck = [threading.Event(), threading.Event()]
    got: list[list[int]] = [[], []]
    subscriptions = [
        subject.on_lag("block").subscribe(
            lambda c, k=k: (got[k].append(c.index), stuck[k].wait(10))  # type: ignore[misc]
        )
        for k in range(2)
    ]
    done = threading.Event()

    def produce() -> None:
        for k in range(200):
            subject.on_next(ramp(k, 1))
        subject.on_completed()
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    assert eventually(lambda: got[0] and got[1])
    stuck[0].set()
    assert not done.wait(0.05)  # the second one holds it
    subscriptions[1].dispose()
    assert done.wait(10)
    stuck[1].set()
    producer.join()
    assert subject.wait(10**10)
    assert got[0] == list(range(200))


@pytest.mark.parametrize("how", ["end", "dispose"])
def test_ending_frees_a_held_producer(how: str) -> None:
    subject = TimeWindowSubject(60.0, max_bytes=1)
    reader = Reader(subject.log, "block")
    done = threading.Event()

    def produce() -> None:
        with suppress(DisposedException):
            for k in range(5):
                subject.on_next(ramp(k, 1))
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    assert not done.wait(0.05)
    if how == "end":
        subject.on_completed()
    else:
        subject.dispose()
    assert done.wait(10)
    producer.join()
    reader.close()
