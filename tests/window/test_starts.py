"""Where a subscription begins: in the past, at a time, without a seam."""

import random
import threading
from typing import Any

import numpy as np
import pytest
from fakes import MS, eventually, ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from windows import filled, values

from rxstream import Chunk, Gap, TimeWindowSubject
from rxstream.window.rewindable import Rewindable

pytestmark = pytest.mark.real

here = ImmediateScheduler()


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


# -- in the future --------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=20),
    st.integers(-10, 200),
    st.integers(0, 10),
    st.sampled_from(["gap", "latest", "error", "block"]),
)
def test_rewind_to_a_time_begins_there_in_the_past_or_the_future(
    sizes: list[int], begin: int, before: int, policy: Any
) -> None:
    """However the stream is cut, and however much of it is there when it is subscribed to."""
    subject = TimeWindowSubject(60.0, clock=lambda: 0)
    got: list[Chunk[Any]] = []
    at = 0
    for k, size in enumerate(sizes):
        if k == before:
            view = subject.rewind(to=begin * MS).on_lag(policy)
            view.subscribe(got.append, scheduler=here)
        subject.on_next(ramp(at, size))
        at += size
    subject.on_completed()
    if before >= len(sizes):
        return
    if policy == "latest":
        # of what was there only the newest chunk is wanted
        there = sum(sizes[: max(0, before - 1)])
        begin = max(begin, there)
    assert values(got) == list(range(max(begin, 0), at))
    if got and policy != "latest":
        assert all(chunk.gap is None for chunk in got)
    if got and begin >= 0:
        assert got[0].start == begin * MS


def test_what_is_dropped_before_the_time_it_begins_at_is_no_loss() -> None:
    subject = TimeWindowSubject(60.0, max_bytes=2 * 720, report=lambda _: None)
    loop, go, done = EventLoopScheduler(), threading.Event(), threading.Event()
    loop.schedule(lambda *_: go.wait(10))
    got: list[list[Chunk[Any]]] = [[], []]
    errors: list[Exception] = []
    # while the loop is busy, a window of two chunks goes by
    subject.on_next(ramp(0, 10))
    subject.rewind(to=85 * MS).on_lag("error").subscribe(
        got[0].append, errors.append, scheduler=loop
    )
    subject.rewind(to=55 * MS).subscribe(got[1].append, on_completed=done.set, scheduler=loop)
    for k in range(1, 10):
        subject.on_next(ramp(10 * k, 10))
    subject.on_completed()
    go.set()
    assert done.wait(10)
    assert errors == []
    assert values(got[0]) == list(range(85, 100))
    assert values(got[1]) == list(range(80, 100))
    assert [chunk.gap for chunk in got[1]] == [Gap(55 * MS, 80 * MS, 25, "lag"), None]
    loop.dispose()


def test_a_reader_begins_in_the_future_too() -> None:
    subject = filled(60.0, ramp(0, 10))
    with subject.rewind(to=25 * MS).reader() as reader:
        for k in range(1, 5):
            subject.on_next(ramp(10 * k, 10))
        subject.on_completed()
        assert [value for chunk in reader for value in values([chunk])] == list(range(25, 50))


def test_a_stream_that_ends_before_gives_nothing_but_its_end() -> None:
    subject = filled(60.0, ramp(0, 10))
    got: list[Any] = []
    subject.rewind(to=25 * MS).subscribe(
        got.append, on_completed=lambda: got.append("end"), scheduler=here
    )
    subject.on_next(ramp(10, 10))
    subject.on_completed()
    assert got == ["end"]
