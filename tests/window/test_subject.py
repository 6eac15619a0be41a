"""TimeWindowSubject: what plain RxPY gets wrong (design, section 2), one test each."""

import gc
import random
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, eventually, ramp
from reactivex import Observable
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject
from rxstream.errors import ChunkError, LagError, ParameterError, SubscriberError
from rxstream.window.rewindable import Rewindable

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def filled(history: float, *chunks: Chunk[Any], **options: Any) -> TimeWindowSubject:
    subject = TimeWindowSubject(history, **options)
    for chunk in chunks:
        subject.on_next(chunk)
    return subject


def values(chunks: list[Chunk[Any]]) -> list[int]:
    return [int(v) for chunk in chunks for v in chunk.data]


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


def test_the_window_is_in_sample_time() -> None:
    # all of it arrives at once; only sample time counts
    subject = filled(0.5, *(ramp(100 * k, 100) for k in range(20)), clock=lambda: 0)
    assert subject.log.held == pytest.approx(0.5)
    assert values([subject.last(10)]) == list(range(1500, 2000))
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


def test_the_window_is_bounded_in_bytes() -> None:
    chunk_bytes = ramp(0, 1000).nbytes + 512
    subject = filled(3600.0, *(ramp(1000 * k, 1000) for k in range(50)), max_bytes=5 * chunk_bytes)
    assert subject.log.nbytes == 5 * chunk_bytes
    assert values([subject.last(3600)]) == list(range(45_000, 50_000))
    subject.on_completed()


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


def test_lag_is_told_as_a_gap() -> None:
    subject = TimeWindowSubject(0.1)  # ten chunks
    got, error = stuck(subject, subject, 100)
    assert error == []
    assert values(got) == [*range(10), *range(910, 1010)]
    assert got[1].gap == Gap(10 * MS, 910 * MS, 900, "lag")
    assert [chunk.gap for chunk in got[2:]] == [None] * 9


def test_latest_takes_the_newest_and_tells_what_it_left_out() -> None:
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


def test_block_refuses_a_virtual_scheduler() -> None:
    subject = TimeWindowSubject(1.0)
    errors: list[Exception] = []
    subject.on_lag("block").subscribe(print, errors.append, scheduler=TestScheduler())
    assert isinstance(errors[0], ParameterError)
    assert "virtual" in str(errors[0])


def test_rewind_begins_in_the_past_and_goes_on() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    got: list[Chunk[Any]] = []
    subject.rewind(0.035).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(65, 100))
    subject.on_next(ramp(100, 10))
    assert values(got) == list(range(65, 110))
    assert got[0].start == 65 * MS
    subject.on_completed()


def test_rewind_to_a_time() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    got: list[Chunk[Any]] = []
    subject.rewind(to=np.datetime64(42 * MS, "ns")).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(42, 100))
    subject.on_completed()


def test_rewind_and_policy_combine_in_any_order() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    for view in (
        subject.rewind(0.02).on_lag("block", name="store"),
        subject.on_lag("block", name="store").rewind(0.02),
    ):
        assert isinstance(view, Rewindable)
        got: list[Chunk[Any]] = []
        view.subscribe(got.append, scheduler=here)
        assert values(got) == list(range(80, 100))
    assert [cursor.name for cursor, _, _ in subject.log.cursors()] == ["store", "store"]
    subject.on_completed()


def test_seam_of_a_late_subscriber_1000_trials_under_load() -> None:
    """Subscribers that come at random moments, with random rewinds: no duplicate, no hole."""
    rng = random.Random(7)
    subject = TimeWindowSubject(3600.0, max_bytes=1 << 30)
    stop = threading.Event()

    def produce() -> None:
        k = 0
        while not stop.is_set():
            n = 1 + k % 7
            subject.on_next(ramp(k, n))
            k += n
            if k % 50 == 0:
                stop.wait(0.0005)  # let the others have the interpreter
        subject.on_completed()

    producer = threading.Thread(target=produce)
    results: list[list[np.ndarray[Any, Any]]] = []
    producer.start()
    assert eventually(lambda: subject.log.stop > 100)
    live: list[Any] = []
    for trial in range(1000):
        got: list[np.ndarray[Any, Any]] = []
        enough = threading.Event()

        def take(chunk: Chunk[Any], got: list[Any] = got, enough: threading.Event = enough) -> None:
            got.append(chunk.data)
            if len(got) > 30:
                enough.set()

        source = subject if trial % 4 == 0 else subject.rewind(rng.random() * 0.05)
        live.append((source.subscribe(take), enough))
        results.append(got)
        if len(live) >= 4:
            subscription, enough = live.pop(0)
            assert enough.wait(20)
            subscription.dispose()
    stop.set()
    producer.join()
    assert subject.wait(20 * 10**9)
    assert len(results) == 1000
    for got in results:
        steps = np.diff(np.concatenate(got))
        assert (steps == 1).all(), "a duplicate or a hole at the seam"


def test_two_producers_are_serialised() -> None:
    """All subscribers see one order, whichever thread produces."""
    subject = TimeWindowSubject(3600.0)
    seen: list[list[int]] = [[], []]
    for got in seen:
        subject.subscribe(lambda chunk, got=got: got.append(chunk.index))  # type: ignore[misc]
    info = INFO

    def produce(offset: int) -> None:
        for k in range(300):
            subject.on_next(Chunk.regular(np.zeros(1, np.int64), info, start=k, index=offset + k))

    threads = [threading.Thread(target=produce, args=(n * 1000,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subject.on_completed()
    assert subject.wait(10**10)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 600


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


def test_looking_back() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    assert values([subject.between(15 * MS, 31 * MS)]) == list(range(15, 31))
    assert values([subject.at(42 * MS + 5)]) == [42]
    assert values([subject.last(0.005)]) == list(range(95, 100))
    past: list[Chunk[Any]] = []
    view = subject.past(0.02)
    for _ in range(2):
        past.clear()
        view.subscribe(past.append)
        assert values(past) == list(range(80, 100))
    assert subject.between(15 * MS, 31 * MS) == subject.between(15 * MS, 20 * MS) + subject.between(
        20 * MS, 31 * MS
    )
    with pytest.raises(ChunkError, match="no sample"):
        subject.at(-1)
    subject.on_completed()


def test_views_outlive_the_window() -> None:
    subject = TimeWindowSubject(0.02)
    subject.on_next(ramp(0, 10))
    view = subject.last(0.01)
    for k in range(1, 100):
        subject.on_next(ramp(10 * k, 10))
    assert values([view]) == list(range(10))
    subject.on_completed()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TimeWindowSubject(-1), "history must be > 0"),
        (lambda: TimeWindowSubject(float("nan")), "history"),
        (lambda: TimeWindowSubject(1, max_bytes=0), "max_bytes"),
        (lambda: TimeWindowSubject(1).rewind(-2), "rewind must be >= 0 .* -2"),
        (lambda: TimeWindowSubject(1).rewind(5), "history of stream is 1 s"),
        (lambda: TimeWindowSubject(1).rewind(), "one of them"),
        (lambda: TimeWindowSubject(1).rewind(1, to=5), "one of them"),
        (lambda: TimeWindowSubject(1).on_lag("drop"), "gap, latest, error, block"),  # type: ignore[arg-type]
        (lambda: TimeWindowSubject(1).between(5, 4), "before the start"),
        (lambda: TimeWindowSubject(1).at(3.5), "no point in time"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


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
