"""A subscriber's worker: on a thread or a scheduler, to the end, whatever the subscriber does."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from fakes import eventually, ramp
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler
from reactivex.testing import ReactiveTest, TestScheduler
from windows import values

from rxstream import Chunk, TimeWindowSubject
from rxstream.errors import ParameterError, SubscriberError
from rxstream.window.log import Cursor, Log

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_a_slow_subscriber_holds_neither_the_producer_nor_the_others() -> None:
    subject = TimeWindowSubject(60.0)
    release, fast, slow = threading.Event(), [], []
    all_fast, all_slow = threading.Event(), threading.Event()

    def take_slowly(chunk: Chunk[Any]) -> None:
        release.wait(10)
        slow.append(chunk)
        if len(slow) == 50:
            all_slow.set()

    def take(chunk: Chunk[Any]) -> None:
        fast.append(chunk)
        if len(fast) == 50:
            all_fast.set()

    subject.subscribe(take_slowly)
    subject.subscribe(take)
    for k in range(50):
        subject.on_next(ramp(10 * k, 10))  # returns although one subscriber is stuck
    assert all_fast.wait(10)
    assert slow == []
    release.set()
    assert all_slow.wait(10)
    assert values(slow) == values(fast) == list(range(500))
    subject.on_completed()
    assert subject.wait(10**10)


def test_a_raising_subscriber_is_cut_off_alone_and_reported() -> None:
    reported: list[SubscriberError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    seen: list[int] = []
    other: list[Chunk[Any]] = []

    def fail_at_three(chunk: Chunk[Any]) -> None:
        seen.append(chunk.index)
        if chunk.index == 3:
            raise ValueError("three")

    subject.subscribe(fail_at_three)
    subject.subscribe(other.append)
    for k in range(6):
        subject.on_next(ramp(k, 1))
    subject.on_completed()
    assert subject.wait(10**10)
    assert seen == [0, 1, 2, 3]
    assert values(other) == list(range(6))
    assert len(reported) == 1
    assert isinstance(reported[0].__cause__, ValueError)


def test_an_immediate_subscribers_exception_does_not_reach_the_producer() -> None:
    reported: list[SubscriberError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    subject.subscribe(lambda _: 1 / 0, scheduler=here)
    subject.on_next(ramp(0, 1))
    assert isinstance(reported[0].__cause__, ZeroDivisionError)
    subject.on_completed()


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


def test_an_error_reaches_every_subscriber_after_the_data() -> None:
    subject = TimeWindowSubject(60.0)
    got: list[list[Any]] = [[], []]
    for events in got:
        subject.subscribe(lambda c, e=events: e.append(c.index), events.append)  # type: ignore[misc]
    subject.on_next(ramp(0, 1))
    subject.on_error(OSError("unplugged"))
    assert subject.wait(10**10)
    for events in got:
        assert events[0] == 0
        assert isinstance(events[1], OSError)
    late: list[Any] = []
    subject.subscribe(late.append, late.append, scheduler=here)
    assert isinstance(late[0], OSError)


def test_dispose_stops_delivery() -> None:
    subject = TimeWindowSubject(60.0)
    got: list[Chunk[Any]] = []
    subscription = subject.subscribe(got.append, scheduler=here)
    subject.on_next(ramp(0, 1))
    subscription.dispose()
    subject.on_next(ramp(1, 1))
    assert values(got) == [0]
    assert subject.log.cursors() == []
    subject.on_completed()


# -- schedulers -----------------------------------------------------------------------------------


def test_virtual_time() -> None:
    scheduler = TestScheduler()
    subject = TimeWindowSubject(60.0)
    on_next = ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, ramp(0, 2)), on_next(230, ramp(2, 3)), ReactiveTest.on_completed(250)
    )
    hot.subscribe(subject, scheduler=scheduler)
    result = scheduler.start(lambda: subject)
    assert [(m.time, m.value.kind) for m in result.messages] == [(210, "N"), (230, "N"), (250, "C")]


def test_block_refuses_a_virtual_scheduler() -> None:
    subject = TimeWindowSubject(1.0)
    errors: list[Exception] = []
    subject.on_lag("block").subscribe(print, errors.append, scheduler=TestScheduler())
    assert isinstance(errors[0], ParameterError)
    assert "virtual" in str(errors[0])


def test_an_event_loop_scheduler_delivers_on_its_own_thread() -> None:
    loop = EventLoopScheduler()
    subject = TimeWindowSubject(60.0)
    names: list[str] = []
    done = threading.Event()
    subject.subscribe(
        lambda _: names.append(threading.current_thread().name),
        on_completed=done.set,
        scheduler=loop,
    )
    for k in range(200):
        subject.on_next(ramp(k, 1))
    subject.on_completed()
    assert done.wait(10)
    assert len(names) == 200
    assert len(set(names)) == 1
    assert names[0] != threading.current_thread().name
    loop.dispose()


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


# -- several threads at once ----------------------------------------------------------------------


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
