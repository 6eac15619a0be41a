"""map_async: order, bound, errors, cancellation; on its own loop and on one that is given."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import reactivex as rx
from fakes import eventually, ramp
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.subject import Subject

from rxstream import Chunk, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import assert_live_equals_replay, assert_same, recut, run_operator, streams

pytestmark = pytest.mark.real


async def same(item: Any) -> Any:
    await asyncio.sleep(0)
    return item


async def fails(chunk: Chunk[Any]) -> int:
    await asyncio.sleep(0)
    return 1 // (chunk.index - 20) or chunk.index


class Slow:
    """A coroutine function whose calls wait until they are let go, and are counted."""

    def __init__(self) -> None:
        self.waits: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self.cancelled: list[int] = []
        self.most = self.running = 0

    async def __call__(self, number: int) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        gate = asyncio.Event()
        self.waits[number] = (asyncio.get_running_loop(), gate)
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        self.running -= 1
        return number * 10

    def release(self, number: int) -> None:
        assert eventually(lambda: number in self.waits)
        loop, gate = self.waits[number]
        loop.call_soon_threadsafe(gate.set)


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def loops() -> list[str]:
    return [t.name for t in threading.enumerate() if "map_async" in t.name]


# -- order and bound ----------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.data(), st.integers(1, 6))
def test_results_come_in_order_however_calls_end(data: st.DataObject, in_flight: int) -> None:
    slow, got, count = Slow(), list[Any](), 8
    source = rx.from_iterable(range(count)).pipe(ops.map_async(slow, in_flight=in_flight))
    thread = threading.Thread(target=lambda: source.subscribe(got.append, got.append))
    thread.start()
    left = list(range(count))
    while left:  # those that can have begun, in any order
        number = data.draw(st.sampled_from([n for n in left if n < left[0] + in_flight]))
        slow.release(number)
        left.remove(number)
    thread.join(30)
    assert got == [number * 10 for number in range(count)]
    assert slow.most <= in_flight


@settings(max_examples=20)
@given(streams(), st.lists(st.integers(0, 120), max_size=6))
def test_laws(chunks: list[Chunk[Any]], cuts: list[int]) -> None:
    with running_loop() as loop:
        work = ops.map_async(same, in_flight=3, loop=loop)
        out = run_operator(work, chunks)
        assert_same(out, chunks)
        assert_same(run_operator(work, recut(chunks, cuts)), out, joined=True)
        assert_live_equals_replay(work, chunks)


def test_results_come_on_a_thread_of_their_own_not_the_loop() -> None:
    names: set[str] = set()
    work = ops.map_async(same)
    rx.of(1, 2, 3).pipe(work).subscribe(lambda _: names.add(threading.current_thread().name))
    assert len(names) == 1
    assert names.pop().startswith("rxstream-map_async(same)-")


# -- errors and the end -------------------------------------------------------------------------


def test_an_error_comes_after_the_results_before_it_and_names_the_place() -> None:
    got: list[Any] = []
    chunks = [ramp(k, 10) for k in range(0, 50, 10)]
    rx.from_iterable(chunks).pipe(ops.map_async(fails)).subscribe(got.append, got.append)
    assert got[:-1] == [-1, -1]
    assert isinstance(got[-1], ZeroDivisionError)
    assert got[-1].__notes__ == [
        "map_async(fails): in the chunk of ramp at 00:00:00.020000 (sample 20)"
    ]


def test_dispose_cancels_what_is_under_way_and_frees_the_source() -> None:
    slow, numbers = Slow(), itertools.count()
    source: Subject[int] = Subject()
    subscription = source.pipe(ops.map_async(slow, in_flight=3)).subscribe()
    feeder = threading.Thread(target=lambda: [source.on_next(next(numbers)) for _ in range(9)])
    feeder.start()
    assert eventually(lambda: slow.running == 3)
    subscription.dispose()
    feeder.join(30)
    assert not feeder.is_alive()
    assert eventually(lambda: sorted(slow.cancelled) == [0, 1, 2])
    assert eventually(lambda: not loops())


def test_an_error_cancels_what_came_after_it() -> None:
    slow, got = Slow(), list[Any]()

    async def work(number: int) -> int:
        return 1 // number if number == 0 else await slow(number)

    source: Subject[int] = Subject()
    source.pipe(ops.map_async(work)).subscribe(got.append, got.append)
    source.on_next(1)
    source.on_next(0)
    source.on_next(2)
    assert eventually(lambda: slow.running == 2)
    slow.release(1)
    assert eventually(lambda: len(got) == 2)
    assert got[0] == 10
    assert isinstance(got[1], ZeroDivisionError)
    assert eventually(lambda: slow.cancelled == [2])
    assert eventually(lambda: not loops())


def test_the_window_is_the_queue() -> None:
    mic = TimeWindowSubject(0.1)
    slow, out = Slow(), list[Chunk[Any]]()

    async def work(chunk: Chunk[Any]) -> Chunk[Any]:
        if chunk.index < 20:
            await slow(chunk.index)
        return chunk

    mic.pipe(ops.map_async(work, in_flight=2)).subscribe(out.append)
    for k in range(100):
        mic.on_next(ramp(10 * k, 10))
        assert k > 1 or eventually(lambda: slow.running == k + 1)  # noqa: B023 - it is called here
    slow.release(0)
    slow.release(10)
    mic.on_completed()
    assert mic.wait(30 * 10**9)
    assert sum(map(len, out)) + sum(chunk.lost for chunk in out) == 1000
    assert {gap.reason for chunk in out for gap in chunk.gaps} == {"lag"}


# -- a loop that is given -----------------------------------------------------------------------


def test_a_loop_that_is_given_is_used_and_stays() -> None:
    seen: list[asyncio.AbstractEventLoop] = []

    async def work(number: int) -> int:
        seen.append(asyncio.get_running_loop())
        return number

    with running_loop() as loop:
        got = run_operator(ops.map_async(work, loop=loop), [1, 2])  # type: ignore[list-item]
        assert loop.is_running()
        assert set(seen) == {loop}
    assert got == [1, 2]


def test_a_loop_cannot_wait_for_itself() -> None:
    errors: list[Exception] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        failed = asyncio.Event()

        def take(error: Exception) -> None:
            errors.append(error)
            loop.call_soon_threadsafe(failed.set)

        mic = TimeWindowSubject(60)
        work = ops.map_async(same, loop=loop, in_flight=1)
        mic.pipe(work).subscribe(on_error=take, scheduler=AsyncIOScheduler(loop))
        for k in range(3):
            mic.on_next(ramp(10 * k, 10))
        await failed.wait()
        mic.on_completed()

    asyncio.run(main())
    assert isinstance(errors[0], ParameterError)
    assert "leave loop= out" in str(errors[0])


def test_a_loop_that_does_not_run_is_an_error_of_the_stream() -> None:
    loop = asyncio.new_event_loop()
    for _ in range(2):
        with pytest.raises(ParameterError, match="does not run; leave loop= out") as caught:
            run_operator(ops.map_async(same, loop=loop), [ramp(0, 3)])
        assert "map_async(same): in the chunk of ramp" in caught.value.__notes__[0]
        loop.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.map_async(abs), "a coroutine function .* use map_parallel"),  # type: ignore[arg-type]
        (lambda: ops.map_async(3), "a coroutine function .*, not 3"),  # type: ignore[arg-type]
        (lambda: ops.map_async(same, in_flight=0), "in_flight must be .* not 0"),
        (lambda: ops.map_async(same, loop=7), "an event loop, not 7"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


@pytest.mark.parametrize("work", [partial(same), Slow()])
def test_whatever_is_called_and_awaited_will_do(work: Any) -> None:
    ops.map_async(work)
