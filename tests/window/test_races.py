"""What threads do to each other: the window and its subscribers when they meet at a bad moment."""

import asyncio
import logging
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from fakes import eventually, ramp
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler
from reactivex.testing import TestScheduler

from rxstream import Chunk, TimeWindowSubject
from rxstream.errors import SubscriberError
from rxstream.window.log import Cursor, Log
from rxstream.window.reader import Reader, iterate_async

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def values(chunks: list[Chunk[Any]]) -> list[int]:
    return [int(v) for chunk in chunks for v in chunk.data]


class Paused(Log):
    """A log whose reader is stopped right after it has found nothing."""

    def __init__(self) -> None:
        super().__init__(10**12, 1 << 30, "paused")
        self.found_nothing, self.go_on = threading.Event(), threading.Event()

    def take(self, cursor: Cursor) -> Any:
        chunks = super().take(cursor)
        if not chunks and threading.current_thread().name == "stopped":
            self.found_nothing.set()
            self.go_on.wait(10)
        return chunks


def test_the_end_waits_for_the_last_chunk_whoever_delivers_it() -> None:
    """One thread has just found nothing; another delivers the last chunk; a third ends."""
    subject = TimeWindowSubject(60.0)
    log = subject._log = Paused()
    got: list[Any] = []
    in_chunk, release = threading.Event(), threading.Event()

    def take(chunk: Chunk[Any]) -> None:
        in_chunk.set()
        release.wait(10)
        got.append(chunk.index)

    producer = threading.Thread(target=lambda: subject.on_next(ramp(7, 1)))
    subject.on_next(ramp(0, 1))
    subscribing = threading.Thread(
        target=lambda: subject.rewind(to=0).subscribe(
            take, on_completed=lambda: got.append("end"), scheduler=here
        ),
        name="stopped",
    )
    subscribing.start()
    assert in_chunk.wait(10)
    release.set()
    assert log.found_nothing.wait(10)
    release.clear()
    in_chunk.clear()
    producer.start()
    assert in_chunk.wait(10)
    subject.on_completed()
    log.go_on.set()
    subscribing.join()
    release.set()
    producer.join()
    assert got == [0, 7, "end"]


def test_a_subscriber_on_a_dead_scheduler_harms_nobody() -> None:
    reported: list[SubscriberError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    loop = EventLoopScheduler()
    got: list[Chunk[Any]] = []
    subject.subscribe(lambda _: None, scheduler=loop)
    subject.subscribe(got.append, scheduler=here)
    loop.dispose()
    for k in range(3):
        subject.on_next(ramp(k, 1))
    assert values(got) == [0, 1, 2]
    assert len(reported) == 1
    assert len(subject.log.cursors()) == 1
    subject.on_completed()


@pytest.mark.parametrize("make", [AsyncIOScheduler, AsyncIOThreadSafeScheduler])
def test_an_asyncio_scheduler_is_woken_from_any_thread(make: Any) -> None:
    subject = TimeWindowSubject(60.0)
    got: list[int] = []

    async def run() -> None:
        done = asyncio.Event()
        subject.subscribe(
            lambda c: got.append(c.index), on_completed=done.set,
            scheduler=make(asyncio.get_running_loop()),
        )  # fmt: skip

        def produce() -> None:
            for k in range(20):
                subject.on_next(ramp(k, 1))
            subject.on_completed()

        thread = threading.Thread(target=produce)
        thread.start()
        await asyncio.wait_for(done.wait(), 20)
        thread.join()

    asyncio.run(run(), debug=True)
    assert got == list(range(20))


def test_a_report_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def report(_error: SubscriberError) -> None:
        raise RuntimeError("no")

    subject = TimeWindowSubject(60.0, report=report)
    got: list[Chunk[Any]] = []
    subject.subscribe(lambda _: 1 / 0, scheduler=here)
    subject.subscribe(got.append, scheduler=here)
    with caplog.at_level(logging.ERROR):
        subject.on_next(ramp(0, 1))
    assert values(got) == [0]
    assert "no" in caplog.text
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


def test_a_reader_on_a_dead_loop_harms_nobody() -> None:
    class Closed(asyncio.SelectorEventLoop):  # a stand-in: the race itself is too short to hit
        def call_soon_threadsafe(self, *_args: Any, **_options: Any) -> Any:
            raise RuntimeError("Event loop is closed")

    async def run() -> None:
        log = Log(10**12, 1 << 30, "x")
        items = iterate_async(log)
        task = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)  # it waits for the first chunk
        log.append(ramp(0, 1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await items.aclose()  # type: ignore[attr-defined]

    loop = Closed()
    loop.run_until_complete(run())
    loop.close()


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


def test_subscribing_returns_although_others_append_faster_than_it_takes() -> None:
    subject = TimeWindowSubject(3600.0)
    subject.on_next(ramp(0, 1))
    stop, got = threading.Event(), list[int]()
    returned = threading.Event()

    def append_more(chunk: Chunk[Any]) -> None:  # as a quick producer would in its own thread
        got.append(chunk.index)
        if not stop.is_set():
            append = threading.Thread(target=lambda: subject.on_next(ramp(chunk.index + 1, 1)))
            append.start()
            append.join()

    def subscribe() -> None:
        subject.rewind(1).subscribe(append_more, scheduler=here)
        returned.set()

    subscriber = threading.Thread(target=subscribe, daemon=True)
    subscriber.start()
    assert returned.wait(10)
    assert eventually(lambda: len(got) > 200)  # it goes on
    stop.set()
    assert eventually(lambda: len(got) == subject.log.stop)
    assert got == list(range(len(got)))
    subject.on_completed()
