"""rewind, on_lag, latest, replay_window: operators that speak with the window."""

import threading
import weakref
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, Manual, ramp
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Device, Reading, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import ChunkError, NotRewindableError, ParameterError

here = ImmediateScheduler()


def filled(n: int = 10) -> TimeWindowSubject:
    subject = TimeWindowSubject(60.0)
    for k in range(n):
        subject.on_next(ramp(10 * k, 10))
    return subject


def numbers(chunks: list[Chunk[Any]]) -> list[int]:
    return [int(v) for chunk in chunks for v in chunk.data]


def test_rewind_marble() -> None:
    """Subscribed at 235, it begins with what came at 210, and goes on with 250."""
    scheduler = TestScheduler()
    subject = TimeWindowSubject(60.0)
    on_next = ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, ramp(0, 10)), on_next(230, ramp(10, 10)), on_next(250, ramp(20, 10)),
        ReactiveTest.on_completed(270),
    )  # fmt: skip
    hot.subscribe(subject, scheduler=scheduler)
    result = scheduler.start(
        lambda: subject.pipe(ops.rewind(0.015)), created=100, subscribed=235, disposed=300
    )
    got = [(m.time, m.value.kind) for m in result.messages]
    # what is there comes in one turn of the scheduler, 5 ms of the first chunk and the second
    assert got == [(236, "N"), (236, "N"), (250, "N"), (270, "C")] or got == [
        (235, "N"), (235, "N"), (250, "N"), (270, "C"),
    ]  # fmt: skip
    assert numbers([m.value.value for m in result.messages[:3]]) == list(range(5, 30))


def test_each_subscription_rewinds_from_its_own_now() -> None:
    subject = filled()
    back = subject.pipe(ops.rewind(0.01))
    first: list[Chunk[Any]] = []
    back.subscribe(first.append, scheduler=here)
    subject.on_next(ramp(100, 10))
    second: list[Chunk[Any]] = []
    back.subscribe(second.append, scheduler=here)
    assert numbers(first) == list(range(90, 110))
    assert numbers(second) == list(range(100, 110))
    subject.on_completed()


@pytest.mark.parametrize("operator", [ops.rewind(1), ops.on_lag("block"), ops.latest()])
def test_on_a_plain_observable_the_remedy_is_named(operator: Any) -> None:
    plain = rx.of(ramp(0, 1))
    with pytest.raises(NotRewindableError, match=r"replay_window"):
        plain.pipe(operator)
    with pytest.raises(NotRewindableError, match=r"first in"):
        Device(Manual()).pipe(ops.map_data(np.abs), operator)


def test_they_work_on_a_device_and_combine() -> None:
    source = Manual()
    with Device(source) as device:
        for k in range(10):
            data = np.arange(10 * k, 10 * k + 10)
            source.emit(Reading(data, arrival=10**18 + (k + 1) * 10 * MS))
        got: list[Chunk[Any]] = []
        device.pipe(ops.rewind(0.05), ops.on_lag("block", name="store"), ops.rechunk(7)).subscribe(
            got.append, scheduler=here
        )
        (cursor, _, _), *others = device._subject.log.cursors()
        assert others == []
        assert (cursor.name, cursor.policy) == ("store", "block")
    assert numbers(got) == list(range(50, 100))


def test_latest_leaves_out_and_tells() -> None:
    subject = TimeWindowSubject(60.0)
    got: list[Chunk[Any]] = []
    at_first, release = threading.Event(), threading.Event()
    subject.pipe(ops.latest(name="plot")).subscribe(
        lambda c: (got.append(c), at_first.set(), release.wait(10))
    )
    subject.on_next(ramp(0, 10))
    assert at_first.wait(10)
    for k in range(1, 6):
        subject.on_next(ramp(10 * k, 10))
    release.set()
    subject.on_completed()
    assert subject.wait(10**10)
    assert numbers(got) == [*range(10), *range(50, 60)]
    assert got[1].gap is not None
    assert (got[1].gap.reason, got[1].gap.lost) == ("lag", 40)


# -- replay_window ------------------------------------------------------------------------------


def test_a_pipeline_becomes_rewindable_and_runs_once() -> None:
    source: Subject[Chunk[Any]] = Subject()
    calls: list[int] = []

    def double(x: Any) -> Any:
        calls.append(len(x))
        return 2 * x

    shared = source.pipe(ops.map_data(double), ops.replay_window(60))
    first: list[Chunk[Any]] = []
    one = shared.subscribe(first.append, scheduler=here)
    for k in range(5):
        source.on_next(ramp(10 * k, 10))
    second: list[Chunk[Any]] = []
    two = shared.pipe(ops.rewind(0.02)).subscribe(second.append, scheduler=here)
    source.on_next(ramp(50, 10))
    assert numbers(first) == [2 * k for k in range(60)]
    assert numbers(second) == [2 * k for k in range(30, 60)]
    assert len(calls) == 6
    one.dispose()
    two.dispose()
    assert source.observers == []  # when all have left, the source is left too


def test_who_comes_after_all_have_left_gets_nothing_old() -> None:
    source: Subject[Chunk[Any]] = Subject()
    shared = source.pipe(ops.replay_window(60))
    one = shared.subscribe(lambda _: None, scheduler=here)
    source.on_next(ramp(0, 10))
    one.dispose()
    got: list[Chunk[Any]] = []
    two = shared.pipe(ops.rewind(60)).subscribe(got.append, scheduler=here)
    source.on_next(ramp(500, 10))
    assert numbers(got) == list(range(500, 510))
    two.dispose()


def test_a_reader_counts_as_a_subscriber_until_it_is_closed() -> None:
    source: Subject[Chunk[Any]] = Subject()
    shared: Any = source.pipe(ops.replay_window(60))
    with shared.reader(name="plot") as reader:
        assert len(source.observers) == 1
        source.on_next(ramp(0, 10))
        assert reader.read() == ramp(0, 10)
        with shared.reader(rewind=0.005) as second:
            reader.close()
            reader.close()
            assert len(source.observers) == 1
            assert numbers([second.read()]) == list(range(5, 10))
    assert source.observers == []
    assert numbers([shared.last(60)]) == list(range(10))  # until the next one begins


def test_its_window_is_bounded_and_does_not_hold_what_it_was_cut_from() -> None:
    source: Subject[Chunk[Any]] = Subject()
    shared: Any = source.pipe(ops.replay_window(0.1))
    one = shared.subscribe(lambda _: None, scheduler=here)
    for k in range(100):
        source.on_next(ramp(100 * k, 100)[:10])
    held = shared.last(60)
    assert len(held) <= 20
    one.dispose()


def test_errors_pass_through_it() -> None:
    source: Subject[Chunk[Any]] = Subject()
    events: list[Any] = []
    source.pipe(ops.replay_window(60)).subscribe(events.append, events.append, scheduler=here)
    source.on_next(ramp(0, 1))
    source.on_error(OSError("gone"))
    assert isinstance(events[1], OSError)


@pytest.mark.parametrize("how", ["completed", "error"])
def test_when_its_source_has_ended_it_gives_the_past_and_the_end(how: str) -> None:
    source: Subject[Chunk[Any]] = Subject()
    shared: Any = source.pipe(ops.replay_window(60))
    one = shared.subscribe(lambda _: None, lambda _: None, scheduler=here)
    for k in range(5):
        source.on_next(ramp(10 * k, 10))
    source.on_completed() if how == "completed" else source.on_error(OSError("gone"))
    one.dispose()
    events: list[Any] = []
    for _ in range(2):
        events.clear()
        shared.pipe(ops.rewind(0.02)).subscribe(
            events.append, lambda e: events.append(type(e)), lambda: events.append("completed"),
            scheduler=here,
        )  # fmt: skip
        assert numbers(events[:-1]) == list(range(30, 50))
        assert events[-1] == ("completed" if how == "completed" else OSError)
    with shared.reader(rewind=0.02) as reader:
        got = [reader.read(20)]
        assert numbers(got) == list(range(30, 50))
        if how == "completed":
            assert reader.read() is None
    assert source.observers == []


def test_a_plain_subscription_after_the_end_runs_the_source_again() -> None:
    """Also while another one still has the past of the run that has ended."""
    cold = rx.of(*(ramp(10 * k, 10) for k in range(5)))
    shared: Any = cold.pipe(ops.replay_window(60))
    for _ in range(2):
        got: list[Chunk[Any]] = []
        shared.subscribe(got.append, scheduler=here)
        assert numbers(got) == list(range(50))
    with shared.reader(rewind=0.02) as reader:
        got = []
        shared.subscribe(got.append, scheduler=here)
        assert numbers(got) == list(range(50))
        assert numbers([reader.read(20)]) == list(range(30, 50))


def test_a_source_that_goes_back_ends_it_alone() -> None:
    source: Subject[Chunk[Any]] = Subject()
    events: list[Any] = []
    other: list[Chunk[Any]] = []
    source.pipe(ops.replay_window(60)).subscribe(
        events.append, lambda error: events.append(type(error)), scheduler=here
    )
    source.subscribe(other.append)
    for first in (0, 10, 5, 20):
        source.on_next(ramp(first, 10))
    assert numbers(events[:-1]) == list(range(20))
    assert events[-1] is ChunkError
    assert len(other) == 4


def test_it_holds_neither_samples_nor_stamps_of_what_it_was_cut_from() -> None:
    source: Subject[Chunk[Any]] = Subject()
    shared: Any = source.pipe(ops.replay_window(60))
    one = shared.subscribe(lambda _: None, scheduler=here)
    info = StreamInfo("events", dtype=np.dtype(np.int64))
    whole = Chunk.stamped(np.arange(10_000), np.arange(10_000), info)
    gone = [weakref.ref(whole.data.base), weakref.ref(whole.axis.times())]
    source.on_next(whole[10:20])
    source.on_next(whole[100:101])
    del whole
    assert [ref() for ref in gone] == [None, None]
    assert numbers([shared.last(60)]) == [*range(10, 20), 100]
    one.dispose()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.rewind(-1), "rewind must be >= 0"),
        (lambda: ops.rewind(), "one of them"),
        (lambda: ops.rewind(to=1.5), "no point in time"),  # type: ignore[arg-type]
        (lambda: ops.on_lag("drop"), "'gap' or 'latest' or 'error' or 'block'"),  # type: ignore[arg-type]
        (lambda: ops.replay_window(0), "replay_window must be > 0"),
        (lambda: ops.replay_window(1, max_bytes=0), "max_bytes"),
        (lambda: TimeWindowSubject(5).pipe(ops.rewind(6)), "history of stream is 5 s"),
        (lambda: ops.meter(every=0), "every must be > 0"),
        (lambda: ops.timestamp_correct(rate=-3), "rate must be > 0"),
        (lambda: ops.timestamp_correct(quantum=0), "quantum"),
        (lambda: ops.timestamp_correct(path_delay=-1), "path_delay"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_a_window_that_nobody_has_subscribed_to_says_that_it_does_not_run() -> None:
    source: Subject[Chunk[Any]] = Subject()
    kept = source.pipe(ops.replay_window(60))
    with pytest.raises(ChunkError, match=r"replay_window\(60\) keeps nothing: it runs while"):
        kept.last(1)
    with pytest.raises(ParameterError, match="the end is before the start"):
        kept.between(100, 0)
    with kept.reader():
        with pytest.raises(ChunkError, match="nothing has come yet"):
            kept.last(1)
        source.on_next(ramp(0, 10))
        assert numbers([kept.last(1)]) == list(range(10))
    assert numbers([kept.last(1)]) == list(range(10))
