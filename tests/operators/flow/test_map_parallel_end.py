"""map_parallel: subscribers that raise or have enough, dispose, the end; behind a device."""

import itertools
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, eventually, ramp
from pickling import Held
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import SubscriberError
from rxstream.testing import run_operator

pytestmark = pytest.mark.real

# -- the subscriber -----------------------------------------------------------------------------


def test_what_a_subscriber_raises_goes_to_whoever_calls_its_source() -> None:
    def bad(_: object) -> None:
        msg = "mine"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="mine"):
        rx.of(1, 2, 3).pipe(ops.map_parallel(abs, in_flight=1)).subscribe(bad)
    with pytest.raises(ZeroDivisionError):  # no one takes the error: reactivex raises it
        rx.of(0).pipe(ops.map_parallel(lambda x: 1 // x)).subscribe(print)


def test_behind_a_window_it_is_cut_off_alone_and_reported() -> None:
    faults: list[SubscriberError] = []
    mic = TimeWindowSubject(60, report=faults.append)
    good: list[Any] = []
    mic.pipe(ops.map_parallel(len)).subscribe(good.append)
    mic.pipe(ops.map_parallel(len)).subscribe(lambda n: 1 // (n - 3))
    for k in range(4):
        mic.on_next(ramp(3 * k, 3))
    mic.on_completed()
    assert mic.wait(30 * 10**9)
    assert good == [3, 3, 3, 3]
    assert [type(fault.__cause__) for fault in faults] == [ZeroDivisionError]


# -- the end ------------------------------------------------------------------------------------


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if "map_parallel" in t.name]


def test_dispose_cancels_what_has_not_begun_and_frees_the_source() -> None:
    held = Held(9)
    numbers = itertools.count()
    source: Subject[int] = Subject()
    with ThreadPoolExecutor(1) as executor:
        subscription = source.pipe(ops.map_parallel(held, executor, in_flight=3)).subscribe()
        feeder = threading.Thread(target=lambda: [source.on_next(next(numbers)) for _ in range(9)])
        feeder.start()
        assert eventually(lambda: held.begun == [0] and executor._work_queue.qsize() == 2)
        subscription.dispose()
        feeder.join(30)  # it was waiting for a place
        assert not feeder.is_alive()
        assert eventually(lambda: not threads()), "its thread does not wait for the call under way"
        held.release()
    assert held.begun == [0]


def test_a_call_that_is_handed_out_while_disposing_is_cancelled() -> None:
    """The executor stands for one whose queue is taken at that very moment: it never runs it."""
    handed: list[Future[Any]] = []

    class Slow(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            subscription.dispose()
            handed.append(Future())
            return handed[-1]

    source = Subject[int]()
    subscription = source.pipe(ops.map_parallel(abs, executor=Slow())).subscribe(print)
    source.on_next(1)
    assert handed[0].cancelled()


def test_its_own_threads_end_with_it() -> None:
    held = Held(2)
    source: Subject[int] = Subject()
    subscription = source.pipe(ops.map_parallel(held, in_flight=2)).subscribe()
    source.on_next(0)
    source.on_next(1)
    assert eventually(lambda: held.running == 2)
    assert len(threads()) == 3
    subscription.dispose()
    held.release()
    assert eventually(lambda: not threads())
    run_operator(ops.map_parallel(len), [ramp(0, 2)])
    assert eventually(lambda: not threads())


def test_a_subscriber_that_has_enough() -> None:
    source: Subject[int] = Subject()
    got: list[Any] = []
    work = ops.map_parallel(abs, in_flight=2)
    source.pipe(work, rxo.take(2)).subscribe(got.append, None, lambda: got.append("end"))
    for number in range(6):
        source.on_next(number)
    assert eventually(lambda: not source.observers)
    assert got == [0, 1, "end"]


def test_two_stages_on_one_worker() -> None:
    with ThreadPoolExecutor(1) as executor:
        stages = rx.compose(
            ops.map_parallel(lambda x: x + 1, executor, in_flight=2),
            ops.map_parallel(lambda x: x * 10, executor, in_flight=2),
        )
        got: list[int] = []
        rx.from_iterable(range(50)).pipe(stages).subscribe(got.append)
    assert got == [(k + 1) * 10 for k in range(50)]


def test_results_that_are_fed_back() -> None:
    source: Subject[int] = Subject()
    got: list[int] = []

    def again(number: int) -> None:
        got.append(number)
        if number < 20:
            source.on_next(number)

    source.pipe(ops.map_parallel(lambda x: x + 1, in_flight=1)).subscribe(again)
    source.on_next(0)
    assert eventually(lambda: len(got) == 20)
    source.on_completed()
    assert got == list(range(1, 21))


def test_each_subscription_is_a_fresh_one() -> None:
    work = rx.of(1, 2, 3).pipe(ops.map_parallel(lambda x: x * x))
    got: list[int] = []
    work.subscribe(got.append)
    work.subscribe(got.append)
    assert got == [1, 4, 9, 1, 4, 9]


# -- behind a device ----------------------------------------------------------------------------


def test_the_window_is_the_queue() -> None:
    """While calls take their time chunks fall out of the window, and the next one has the gap."""
    mic = TimeWindowSubject(0.1)
    free, begun, out = threading.Event(), list[int](), list[Chunk[Any]]()

    def work(chunk: Chunk[Any]) -> Chunk[Any]:
        begun.append(chunk.index)
        assert free.wait(30)
        return chunk

    mic.pipe(ops.map_parallel(work, in_flight=2)).subscribe(out.append)
    for k in range(2):
        mic.on_next(ramp(10 * k, 10))
    assert eventually(lambda: len(begun) == 2)
    for k in range(2, 100):
        mic.on_next(ramp(10 * k, 10))
    assert len(begun) == 2
    free.set()
    mic.on_completed()
    assert mic.wait(30 * 10**9)
    assert sum(map(len, out)) + sum(chunk.lost for chunk in out) == 1000
    assert {gap.reason for chunk in out for gap in chunk.gaps} == {"lag"}
    assert all(a.end == b.covered_from for a, b in itertools.pairwise(out))


def test_a_past_comes_whole() -> None:
    info = StreamInfo("ramp", 1000.0, (), np.dtype(np.int64))
    mic = TimeWindowSubject(60)
    mic.on_next(Chunk.regular(np.arange(100), info, start=0))
    got: list[int] = []
    windows = rx.compose(ops.rechunk(10), ops.map_parallel(lambda c: int(c.data[0])))
    mic.past(start=50 * MS).pipe(windows).subscribe(got.append)
    assert got == [50, 60, 70, 80, 90]
    mic.on_completed()
