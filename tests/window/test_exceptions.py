"""A subscriber that raises, whatever and wherever: it alone is cut off, and that is reported."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fakes import Manual, eventually, ramp
from reactivex import Observer, abc
from reactivex.scheduler import (
    CurrentThreadScheduler,
    EventLoopScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
    ThreadPoolScheduler,
)
from reactivex.scheduler.eventloop import AsyncIOScheduler, AsyncIOThreadSafeScheduler
from reactivex.testing import TestScheduler
from windows import values

from rxstream import Chunk, Device, TimeWindowSubject
from rxstream.errors import RxStreamError, SubscriberError
from rxstream.window.starts import StartPosition

here = ImmediateScheduler()
KINDS = (ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit)
Advance = Callable[[], Any]


@contextmanager
def nothing_made(scheduler: abc.SchedulerBase | None) -> Iterator[tuple[Any, Advance]]:
    yield scheduler, lambda: None


@contextmanager
def event_loop() -> Iterator[tuple[Any, Advance]]:
    loop = EventLoopScheduler()
    yield loop, lambda: None
    loop.dispose()


@contextmanager
def thread_pool() -> Iterator[tuple[Any, Advance]]:
    pool = ThreadPoolScheduler(2)
    yield pool, lambda: None
    pool.executor.shutdown()


@contextmanager
def asyncio_loop(make: Callable[[asyncio.AbstractEventLoop], Any]) -> Iterator[tuple[Any, Advance]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield make(loop), lambda: None
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextmanager
def virtual_time() -> Iterator[tuple[Any, Advance]]:
    scheduler = TestScheduler()
    yield scheduler, scheduler.start


# Each gives a scheduler, and what lets it do its work.
SCHEDULERS = {
    "none": lambda: nothing_made(None),
    "immediate": lambda: nothing_made(here),
    "current thread": lambda: nothing_made(CurrentThreadScheduler.singleton()),
    "event loop": event_loop,
    "new thread": lambda: nothing_made(NewThreadScheduler()),
    "thread pool": thread_pool,
    "asyncio": lambda: asyncio_loop(AsyncIOScheduler),
    "asyncio thread-safe": lambda: asyncio_loop(AsyncIOThreadSafeScheduler),
    "virtual": virtual_time,
}


def in_thread(work: Callable[[], Any]) -> list[BaseException]:
    """Run something in a thread that is not the main one; return what comes out of it."""
    out: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            out.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return out


@pytest.mark.parametrize(
    ("where", "way"),
    [("on_next", "subscribe"), ("on_next", "attach"), ("on_completed", "subscribe"),
     ("on_error", "attach")],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_it_alone_is_cut_off_and_reported(
    name: str, kind: type[BaseException], where: str, way: str
) -> None:
    reported: list[RxStreamError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    others: list[list[Chunk[Any]]] = [[] for _ in range(4)]
    calls: list[str] = []

    def call(method: str) -> Callable[..., None]:
        def called(*_: Any) -> None:
            calls.append(method)
            if method == where:
                raise kind("mine")

        return called

    bad = Observer[Any](call("on_next"), call("on_error"), call("on_completed"))

    with SCHEDULERS[name]() as (scheduler, advance):
        # before and after it, in the thread that appends and in threads of their own
        subject.subscribe(others[0].append, scheduler=here)
        subject.subscribe(others[1].append)
        if way == "attach":
            subject.attach(bad, scheduler, StartPosition())
        else:
            subject.subscribe(bad.on_next, bad.on_error, bad.on_completed, scheduler=scheduler)
        subject.subscribe(others[2].append, scheduler=here)
        subject.subscribe(others[3].append)

        def work() -> None:
            for k in range(5):
                subject.on_next(ramp(k, 1))
                advance()
            if where == "on_error":
                subject.on_error(OSError("gone"))
            else:
                subject.on_completed()
            advance()

        assert in_thread(work) == []
        assert subject.wait(10**10)
    assert all(values(got) == [0, 1, 2, 3, 4] for got in others)
    mine = [error for error in reported if isinstance(error.__cause__, kind)]
    assert len(mine) == 1
    assert isinstance(mine[0], SubscriberError)
    # the others have no on_error, and raise nothing
    assert len(reported) == 1
    assert calls == (["on_next"] if where == "on_next" else ["on_next"] * 5 + [where])
    assert subject.log.cursors() == []


@pytest.mark.parametrize("name", SCHEDULERS)
def test_who_waits_for_the_end_finds_it_reported(name: str) -> None:
    early: list[bool] = []
    subject = TimeWindowSubject(60.0, report=lambda _: early.append(subject.wait(0)))

    def fail(*_: Any) -> None:
        raise ValueError("mine")

    with SCHEDULERS[name]() as (scheduler, advance):
        subject.attach(Observer[Any](on_completed=fail), scheduler, StartPosition())
        subject.on_completed()
        advance()
        assert subject.wait(10**10)
    assert early == [False], "nobody who waits goes on before the report"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("way", ["subscribe", "attach"])
def test_what_ends_the_program_comes_out_in_its_main_thread(
    kind: type[BaseException], way: str
) -> None:
    """By ^C or sys.exit, where the program itself appends; the others have been woken then."""
    reported: list[RxStreamError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    others: list[list[Chunk[Any]]] = [[] for _ in range(3)]

    def bad(_: Any) -> None:
        raise kind("mine")

    subject.subscribe(others[0].append, scheduler=here)
    if way == "attach":
        subject.attach(Observer(bad), here, StartPosition())
    else:
        subject.subscribe(bad, scheduler=here)
    subject.subscribe(others[1].append, scheduler=here)
    subject.subscribe(others[2].append)
    with pytest.raises(kind, match="mine"):
        subject.on_next(ramp(0, 1))
    assert [type(error.__cause__) for error in reported] == [kind]
    assert len(subject.log.cursors()) == 3
    subject.on_next(ramp(1, 1))
    subject.on_completed()
    assert subject.wait(10**10)
    assert all(values(got) == [0, 1] for got in others)


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_out_of_subscribe_where_the_past_is_delivered_there(
    kind: type[BaseException],
) -> None:
    reported: list[RxStreamError] = []
    subject = TimeWindowSubject(60.0, report=reported.append)
    subject.on_next(ramp(0, 5))

    def bad(_: Any) -> None:
        raise kind("mine")

    def subscribe() -> None:
        subject.rewind(1).subscribe(bad, scheduler=here)

    if kind in (KeyboardInterrupt, SystemExit):
        with pytest.raises(kind):
            subscribe()
    else:
        subscribe()
    assert in_thread(subscribe) == []
    assert [type(error.__cause__) for error in reported] == [kind, kind]
    assert subject.log.cursors() == []
    subject.on_completed()


def test_several_that_end_the_program_at_once_are_all_cut_off() -> None:
    subject = TimeWindowSubject(60.0, report=lambda _: None)
    called: list[int] = []

    def bad(number: int) -> Callable[[Any], None]:
        def raises(_: Any) -> None:
            called.append(number)
            raise KeyboardInterrupt

        return raises

    for number in range(3):
        subject.subscribe(bad(number), scheduler=here)
    with pytest.raises(KeyboardInterrupt):
        subject.on_next(ramp(0, 1))
    assert called == [0, 1, 2]
    assert subject.log.cursors() == []
    subject.on_completed()


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_that_raises_harms_nobody(kind: type[BaseException]) -> None:
    def report(_: RxStreamError) -> None:
        raise kind("no")

    subject = TimeWindowSubject(60.0, report=report)
    got: list[Chunk[Any]] = []
    subject.subscribe(lambda _: 1 / 0, scheduler=here)
    subject.subscribe(got.append, scheduler=here)
    assert in_thread(lambda: subject.on_next(ramp(0, 1))) == []
    assert values(got) == [0]
    subject.on_completed()


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_goes_on(kind: type[BaseException]) -> None:
    """In the thread of its driver nothing comes out, and its fault says what was raised."""
    source = Manual()
    with Device(source) as device:
        faults: list[Any] = []
        other: list[Chunk[Any]] = []
        device.faults.subscribe(faults.append)

        def bad(_: Any) -> None:
            raise kind("mine")

        device.subscribe(bad, scheduler=here)
        device.subscribe(other.append)
        for k in range(3):
            assert in_thread(lambda k=k: source.emit(ramp(k, 1).data)) == []  # type: ignore[misc]
        assert eventually(lambda: values(other) == [0, 1, 2])
        assert eventually(lambda: [type(fault.__cause__) for fault in faults] == [kind])
        assert device.state == "open"
