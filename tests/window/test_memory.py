"""What is held: by slow subscribers, by a window short of bytes, by a subject nobody has."""

import gc
import re
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, Manual, eventually, ramp
from interrupted import AtLine
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from windows import filled, values

from rxstream import Chunk, Device, Gap, Reading, StreamInfo, TimeWindowSubject
from rxstream.data.slab_store import SampleCopies
from rxstream.errors import LagError, RxStreamError, ShortHistoryError
from rxstream.steps.stream import Stream
from rxstream.window.log import Cursor

pytestmark = pytest.mark.real

here = ImmediateScheduler()
FRAMES = StreamInfo("frames", 1000.0, (300, 300), dtype=np.uint8)  # 90 kB each


# -- slow subscribers -----------------------------------------------------------------------------


class Counted:
    """Makes chunks, and knows how many of their arrays are alive."""

    def __init__(self) -> None:
        self.alive = 0
        self.made = 0

    def make(self) -> Chunk[Any]:
        data = np.zeros((1, *FRAMES.shape), np.uint8)
        self.alive += 1
        weakref.finalize(data, self._died)
        k, self.made = self.made, self.made + 1
        return Chunk.regular(data, FRAMES, start=k * MS, index=k)

    def _died(self) -> None:
        self.alive -= 1


def test_a_slow_subscriber_holds_one_chunk() -> None:
    """Seven that hang, with a window of ten frames that passes by."""
    counted, release = Counted(), threading.Event()
    subject = TimeWindowSubject(60.0, max_bytes=10 * 91_000, report=lambda _: None)
    for _ in range(7):
        started = threading.Event()
        subject.rewind(1).subscribe(lambda _, e=started: (e.set(), release.wait(20)))  # type: ignore[func-returns-value,misc]
        for _ in range(80):
            subject.on_next(counted.make())
        assert started.wait(10)
    held = subject.log.stop - subject.log.start
    assert held == 10
    assert counted.alive <= held + 7
    release.set()
    subject.on_completed()
    assert subject.wait(10**10)


def test_who_waits_for_more_holds_none() -> None:
    """Once it has had everything; the window is emptied by time."""
    now, counted, got = 0, Counted(), list[int]()
    subject = TimeWindowSubject(0.01, clock=lambda: now)
    subject.subscribe(lambda chunk: got.append(chunk.index))
    reader = subject.reader()
    for _ in range(5):
        subject.on_next(counted.make())
    assert eventually(lambda: got == list(range(5)))
    assert len(reader.read(5) or ()) == 5
    subject.trim()
    now = 10**10
    subject.trim()
    assert eventually(lambda: counted.alive == 0)
    subject.on_completed()
    reader.close()


def test_what_it_took_is_delivered_and_the_rest_is_reported_as_lost() -> None:
    """Small chunks come in batches: those that it has are no loss, although the window is past."""
    subject = TimeWindowSubject(0.01)  # ten chunks
    got: list[Chunk[Any]] = []
    first, release = threading.Event(), threading.Event()

    def take(chunk: Chunk[Any]) -> None:
        got.append(chunk)
        first.set()
        release.wait(20)

    for k in range(10):
        subject.on_next(ramp(k, 1))
    subject.rewind(0.01).subscribe(take)
    assert first.wait(10)
    for k in range(10, 100):
        subject.on_next(ramp(k, 1))
    release.set()
    subject.on_completed()
    assert subject.wait(10**10)
    assert values(got) == [*range(10), *range(90, 100)]
    assert [chunk.gap for chunk in got if chunk.gap] == [Gap(10 * MS, 90 * MS, 80, "lag")]


# -- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 10, 1000, 4095, 4097, 100_000])
def test_a_copy_that_is_kept_keeps_a_slab_or_itself(samples: int) -> None:
    copies = SampleCopies[np.int16]((), np.dtype(np.int16))
    data = np.arange(samples, dtype=np.int16)
    found = [copies.copy(data) for _ in range(50)]
    for copy in found:
        assert np.array_equal(copy, data)
        assert not copy.flags.writeable
        whole = copy if copy.base is None else copy.base
        assert isinstance(whole, np.ndarray)
        assert whole.nbytes <= max(1 << 16, copy.nbytes)
    slabs = {id(copy.base): copy.base.nbytes for copy in found if copy.base is not None}
    assert sum(slabs.values()) <= 1.125 * 50 * data.nbytes + (1 << 16)


def test_samples_larger_than_a_slab_are_copied_too() -> None:
    copies = SampleCopies[np.uint8]((500, 500), np.dtype(np.uint8))
    frame = np.ones((1, 500, 500), np.uint8)
    assert np.array_equal(copies.copy(frame), frame)
    assert copies.copy(frame[:0]).shape == (0, 500, 500)


def test_chunks_of_a_device_hold_little_else() -> None:
    source = Manual()
    with Device(source) as device:
        source.emit(np.arange(10))
        source.emit(np.arange(100_000))
        small, large = device.past().pipe(), list[Chunk[Any]]()
        small.subscribe(large.append)
        for chunk in large:
            base = chunk.data.base
            held = chunk.nbytes if base is None else base.nbytes  # type: ignore[union-attr]
            assert held <= max(1 << 16, chunk.nbytes)


# -- too few bytes for the history ----------------------------------------------------------------


def test_a_short_history_is_reported_once_with_figures_and_remedy() -> None:
    reported: list[RxStreamError] = []
    subject = TimeWindowSubject(60.0, max_bytes=100_000, name="mic", report=reported.append)
    for k in range(300):
        subject.on_next(ramp(10 * k, 10))
    (error,) = reported
    assert isinstance(error, ShortHistoryError)
    assert str(error) == (
        "mic: max_bytes, 0.1 MB, holds 1.38 s of the 60 s of history; make it more, as "
        "max_bytes=4_400_000, or the history shorter"
    )
    assert subject.log.nbytes <= 100_000
    subject.on_completed()


@pytest.mark.parametrize("samples", [10, 1000, 40_000])
@pytest.mark.parametrize("max_bytes", [5_000, 100_000])
def test_the_remedy_of_a_short_history_is_enough(samples: int, max_bytes: int) -> None:
    """Also where one chunk alone is more than the bytes allowed."""

    def run(most: int) -> list[RxStreamError]:
        reported: list[RxStreamError] = []
        subject = TimeWindowSubject(60.0, max_bytes=most, report=reported.append)
        for k in range(70_000 // samples + 2):
            subject.on_next(ramp(samples * k, samples))
        subject.on_completed()
        return reported

    (error,) = run(max_bytes)
    remedy = re.search(r"max_bytes=([\d_]+)", str(error))
    assert remedy
    assert run(int(remedy[1])) == []


def test_a_history_bounded_by_time_is_not_reported() -> None:
    reported: list[RxStreamError] = []
    subject = TimeWindowSubject(0.05, max_bytes=10_000, report=reported.append)
    for k in range(100):
        subject.on_next(ramp(10 * k, 10))
    assert reported == []
    subject.on_completed()


def test_a_device_says_that_its_history_is_short() -> None:
    source, t = Manual(), 10**18
    with Device(source, max_bytes=50_000, history=60, timestamps="arrival") as device:
        faults: list[Any] = []
        device.faults.subscribe(faults.append)
        for k in range(200):
            source.emit(Reading(np.arange(10), arrival=t + k * 10 * MS))
        assert eventually(lambda: [type(fault) for fault in faults] == [ShortHistoryError])
        text = str(device.stats())
    assert " of 60 s" in text


def test_rewind_beyond_what_is_held_begins_with_a_gap() -> None:
    subject = filled(
        60.0, *(ramp(10 * k, 10) for k in range(10)), max_bytes=3 * 720, report=lambda _: None
    )
    assert subject.log.start == 7
    got: list[Chunk[Any]] = []
    # from the beginning of the stream, and not from before it
    subject.rewind(50).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(70, 100))
    assert [chunk.gap for chunk in got] == [Gap(0, 70 * MS, 70, "lag"), None, None]
    # from within what was dropped: how many samples that is, nobody knows any more
    got.clear()
    subject.rewind(to=25 * MS).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(70, 100))
    assert [chunk.gap for chunk in got] == [Gap(25 * MS, 70 * MS, None, "lag"), None, None]
    # from within what is held
    got.clear()
    subject.rewind(to=75 * MS).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(75, 100))
    assert [chunk.gap for chunk in got] == [None, None, None]
    errors: list[Exception] = []
    subject.rewind(50).on_lag("error").subscribe(print, errors.append, scheduler=here)
    assert [type(error) for error in errors] == [LagError]
    with subject.reader(rewind=50) as reader:
        chunk = reader.read(30)
    assert chunk is not None
    assert chunk.gap == Gap(0, 70 * MS, 70, "lag")
    subject.on_completed()


def test_no_gap_before_the_stream_began() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(1, 5)))
    for view in (subject.rewind(50), subject.rewind(to=-(10**9)), subject.rewind(0.04)):
        got: list[Chunk[Any]] = []
        view.subscribe(got.append, scheduler=here)
        assert values(got) == list(range(10, 50))
        assert all(chunk.gap is None for chunk in got)
    subject.on_completed()


def test_no_gap_where_only_silence_was_dropped() -> None:
    """Heartbeats of an irregular stream since its beginning: nothing is lost with them."""
    info = StreamInfo("keys", dtype=np.dtype(np.int64))
    subject = TimeWindowSubject(60.0, max_bytes=2 * 2000, report=lambda _: None)
    for k in range(20):
        subject.on_next(Chunk.empty(info, 10 * k, 10 * k + 10))
    subject.on_next(Chunk.stamped(np.arange(1), [205], info, start=200, end=210))
    got: list[Chunk[Any]] = []
    subject.rewind(30).subscribe(got.append, scheduler=here)
    assert values(got) == [0]
    assert got[0].gap is None
    subject.on_completed()


# -- what nobody has ------------------------------------------------------------------------------


def run_cell(subscribe: Callable[[TimeWindowSubject], Any]) -> "weakref.ref[Any]":
    """Make a subject, as a cell of a notebook does, that is dropped without an end."""
    subject = TimeWindowSubject(60.0)
    kept = subscribe(subject)
    data = np.zeros(10, np.int64)
    subject.on_next(Chunk.regular(data, INFO, start=0))
    del kept
    return weakref.ref(data)


def _refers_to_it(subject: TimeWindowSubject) -> Any:
    return subject.subscribe(lambda _: subject.last(1))


FORGOTTEN: dict[str, Callable[[TimeWindowSubject], Any]] = {
    "nobody": lambda subject: None,
    "a thread": lambda subject: subject.subscribe(lambda _: None),
    "one that refers to it": _refers_to_it,
    "immediate": lambda subject: subject.subscribe(lambda _: None, scheduler=here),
    "one that blocks": lambda subject: subject.on_lag("block").subscribe(lambda _: None),
    "a pipeline": lambda subject: _piped(subject).subscribe(lambda _: None),
    "a reader": lambda subject: subject.reader(),
}


def _piped(subject: TimeWindowSubject) -> Stream[Any]:
    from rxstream import operators as ops

    return subject.pipe(ops.rechunk(5), ops.map_data(np.negative), ops.replay_window(60))


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_subject_that_nobody_has_is_freed_with_its_threads(name: str) -> None:
    before = threading.active_count()
    kept = [run_cell(FORGOTTEN[name]) for _ in range(3)]

    def freed() -> bool:
        gc.collect()
        return not any(ref() is not None for ref in kept) and threading.active_count() <= before

    assert eventually(freed)


def test_its_subscribers_get_what_is_there_and_no_end() -> None:
    got: list[int] = []
    ends: list[str] = []
    release = threading.Event()
    subject: TimeWindowSubject | None = TimeWindowSubject(60.0)
    assert subject is not None
    subject.subscribe(
        lambda chunk: (release.wait(10), got.append(chunk.index)),  # type: ignore[func-returns-value]
        on_completed=lambda: ends.append("end"),
    )
    for k in range(200):
        subject.on_next(ramp(k, 1))
    gone = weakref.ref(subject)
    before = threading.active_count()
    subject = None
    release.set()

    def freed() -> bool:
        gc.collect()
        return gone() is None and threading.active_count() < before

    assert eventually(freed)
    assert got == list(range(200))
    assert ends == []


def test_its_readers_end() -> None:
    subject: TimeWindowSubject | None = TimeWindowSubject(60.0)
    assert subject is not None
    reader = subject.reader()
    subject.on_next(ramp(0, 5))
    subject = None
    gc.collect()
    assert values([chunk for chunk in reader]) == list(range(5))  # noqa: C416 - it is iterated
    reader.close()


def test_its_subscribers_on_a_scheduler_end() -> None:
    loop, got = EventLoopScheduler(), list[int]()
    subject: TimeWindowSubject | None = TimeWindowSubject(60.0)
    assert subject is not None
    subject.subscribe(lambda chunk: got.append(chunk.index), scheduler=loop)
    subject.on_next(ramp(0, 5))
    gone = weakref.ref(subject)
    subject = None

    def freed() -> bool:
        gc.collect()
        return gone() is None

    assert eventually(freed)
    assert got == [0]
    loop.dispose()


def test_its_subscribers_on_a_scheduler_get_what_is_there() -> None:
    """More than one batch, and the loop is busy while the subject is forgotten."""
    loop, got, go = EventLoopScheduler(), list[int](), threading.Event()
    subject = TimeWindowSubject(60.0)
    loop.schedule(lambda *_: go.wait(10))
    subject.subscribe(lambda chunk: got.append(chunk.index), scheduler=loop)
    for k in range(500):
        subject.on_next(ramp(k, 1))
    subject.log.forget()
    go.set()
    assert eventually(lambda: got == list(range(500)))
    assert eventually(lambda: subject.log.cursors() == [])
    subject.on_completed()
    loop.dispose()


def test_it_is_forgotten_while_another_thread_holds_its_window() -> None:
    """A finalizer that waits for a lock may wait for ever: for the thread whose start it is in."""
    subject, got = TimeWindowSubject(60.0), list[int]()
    reader, log = subject.reader(), subject.log
    subject.on_next(ramp(0, 1))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with log._lock:
            held.set()
            release.wait(20)

    threading.Thread(target=hold, daemon=True).start()
    assert held.wait(10)
    thread = threading.Thread(target=log.forget, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    release.set()
    got.extend(chunk.index for chunk in reader)
    assert got == [0]


@pytest.mark.parametrize("action", ["attach", "take"])
def test_a_reader_ends_at_whichever_of_its_lines_the_subject_is_forgotten(action: str) -> None:
    """As a finalizer may come between any two lines, in the same thread or beside it."""
    number, where = 0, "first"
    while where:
        subject, woken = TimeWindowSubject(60.0), threading.Event()
        log, cursor = subject.log, Cursor("gap", woken.set, "one")
        if action == "take":
            log.attach(cursor)
        with AtLine(number, log.forget) as line:
            taken = log.attach(cursor) if action == "attach" else log.take(cursor)
        where, number = line.where, number + 1
        log.forget()
        assert taken is None or woken.is_set(), where
        assert log.take(cursor) is None, where
        subject.on_completed()
    assert number > 3
