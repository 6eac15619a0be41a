"""Joins of streams that go wrong: each sample is accounted for, and each gap."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from accounting import Books
from faulty_stream import Faulty
from reactivex.subject import Subject

from rxstream import operators as ops
from rxstream.operators import JoinedWindow, Unmatched
from rxstream.steps.heartbeats import keep_heartbeats

SECONDS = 1200
RATE = 100  # [Hz]
LATE = 30  # [s]: how much later than the others the bus comes
PATIENT, HASTY = 45.0, 5.0  # [s]


class World:
    """A sound, a bus that is late, events, and a stream that never says anything."""

    def __init__(self, rate: int = RATE) -> None:
        self.mic = Faulty("mic", 1, SECONDS, RATE, unknown=True)
        self.bus = Faulty("bus", 2, SECONDS, rate, unknown=True)
        self.events = Faulty("events", 3, SECONDS, unknown=True)
        self.silent: Subject[Any] = Subject()
        self.ended = 0

    def listen(self, stream: Any, take: Callable[[Any], object]) -> None:
        def fail(error: Exception) -> None:
            raise error

        def end() -> None:
            self.ended += 1

        keep_heartbeats(stream).subscribe(take, fail, end)

    def run(self) -> None:
        """Let the time pass; the last seconds of the bus never come."""
        for k in range(SECONDS):
            self.mic.second(k)
            self.events.second(k)
            self.bus.second(k - LATE)
        for stream in (self.mic.subject, self.events.subject, self.bus.subject, self.silent):
            stream.on_completed()


class Reports:
    """Which samples of a stream were reported, by which partner, why."""

    def __init__(self, stream: Faulty) -> None:
        self.by: dict[str, Any] = {}
        self.reasons: Counter[tuple[str, str]] = Counter()
        self._count = len(stream.times)

    def take(self, item: Unmatched) -> None:
        numbers = item.chunk.data
        mask = self.by.setdefault(item.partner, np.zeros(self._count, bool))
        assert not mask[numbers].any(), "once"
        mask[numbers] = True
        self.reasons[item.partner, item.reason] += len(numbers)


def test_align() -> None:
    world = World()
    mic, bus, events = world.mic, world.bus, world.events
    end = (SECONDS - LATE) * RATE  # of what comes of the bus
    cases: dict[str, tuple[Faulty, tuple[Any, ...], dict[str, Any]]] = {
        "patient": (mic, (bus.subject,), {"lateness": PATIENT, "tolerance": 0.004}),
        "previous": (
            mic, (bus.subject,), {"lateness": PATIENT, "tolerance": 0, "method": "previous"}
        ),
        "hasty": (mic, (bus.subject, world.silent), {"lateness": HASTY, "tolerance": 0.004}),
        "events": (
            events, (mic.subject,), {"lateness": HASTY, "tolerance": 0.5, "method": "linear"}
        ),
    }  # fmt: skip
    books, reports = dict[str, Books](), dict[str, Reports]()
    for name, (source, others, options) in cases.items():
        books[name], reports[name] = Books(name, source), Reports(source)
        aligned = source.subject.pipe(ops.align(*others, unmatched=reports[name].take, **options))
        world.listen(aligned, partial(take_pair, books[name]))
    world.run()
    assert world.ended == len(cases)
    for name, book in books.items():
        book.check()
        missed = np.logical_or.reduce(list(reports[name].by.values()))
        assert np.array_equal(missed | book.given.astype(bool), ~book.gone), "each has its reason"
    given = books["patient"].given.astype(bool)
    assert np.array_equal(given[:end], ~(mic.gone | bus.gone)[:end])
    assert set(reports["patient"].reasons) == {("bus", "gap"), ("bus", "ended")}
    assert np.array_equal(books["previous"].given, books["patient"].given)
    assert not books["hasty"].given.any()
    hasty = reports["hasty"].reasons
    assert hasty["bus", "late"] > (SECONDS - 60) * RATE * 0.9
    assert hasty["other 2", "not begun"] + hasty["other 2", "ended"] == int((~mic.gone).sum())
    assert set(reports["events"].reasons) == {("mic", "gap")}


def take_pair(book: Books, pair: Any) -> None:
    first, *others = pair
    book.take(first)
    for other in others:
        assert (len(other), other.end) == (len(first), first.end)
        if first.info.rate is not None:
            assert np.array_equal(other.data, first.data)


def test_resample_onto() -> None:
    world = World()
    mic, bus = world.mic, world.bus
    books = {}
    cases: dict[str, dict[str, Any]] = {
        "patient": {"lateness": PATIENT},
        "previous": {"lateness": PATIENT, "method": "previous", "tolerance": 0.004},
        "hasty": {"lateness": HASTY, "tolerance": 0.5},
    }
    for name, options in cases.items():
        books[name] = Books(name, mic)
        world.listen(bus.subject.pipe(ops.resample(onto=mic.subject, **options)), books[name].take)
    world.run()
    assert world.ended == len(books)
    for book in books.values():
        book.check()
    end = (SECONDS - LATE) * RATE
    for name in ("patient", "previous"):
        given = books[name].given.astype(bool)
        assert np.array_equal(given[:end], ~(mic.gone | bus.gone)[:end])
    assert not books["hasty"].given.any()


def test_sessions() -> None:
    world = World()
    book, pauses = Books("sessions", world.events), list[int]()

    def take(session: Any) -> None:
        book.take(session)
        pauses.append(session.start)

    world.listen(world.events.subject.pipe(ops.sessions(0.7, max_duration=5)), take)
    world.run()
    book.check()
    assert len(pauses) > SECONDS / 5


@pytest.mark.parametrize("lateness", [PATIENT, HASTY])
def test_merge_by_time(lateness: float) -> None:
    world = World(2)  # at times that both have, they would take turns, sample by sample
    books = {s.info.name: Books(s.info.name, s) for s in (world.mic, world.bus, world.events)}
    newest = 0

    def take(chunk: Any) -> None:
        nonlocal newest
        if len(chunk):
            assert chunk.time[0] >= newest
            newest = chunk.time[-1]
        books[chunk.info.name].take(chunk)

    others = world.bus.subject, world.silent, world.events.subject
    world.listen(world.mic.subject.pipe(ops.merge_by_time(*others, lateness=lateness)), take)
    world.run()
    check_late(world, books, lateness)


@pytest.mark.parametrize("lateness", [PATIENT, HASTY])
def test_join_windows(lateness: float) -> None:
    world = World()
    books = {s.info.name: Books(s.info.name, s) for s in (world.mic, world.bus, world.events)}

    def take(window: JoinedWindow) -> None:
        for chunk in window.chunks:
            if chunk is not None:
                books[chunk.info.name].take(chunk)
        assert window.chunks[2] is None

    others = world.bus.subject, world.silent, world.events.subject
    join = ops.join_windows(*others, duration=0.7, lateness=lateness)
    world.listen(world.mic.subject.pipe(join), take)
    world.run()
    check_late(world, books, lateness)


def check_late(world: World, books: dict[str, Books], lateness: float) -> None:
    assert world.ended == 1
    last = books["bus"]
    end = int(last.times.searchsorted((SECONDS - LATE) * 10**9))
    last.lost[end:] += 1  # it never came
    for book in books.values():
        book.check()
    for name in ("mic", "events"):
        assert np.array_equal(books[name].given.astype(bool), ~books[name].gone)
    late = last.late[:end] & ~last.gone[:end]
    assert late.mean() > 0.9 if lateness == HASTY else not late.any()
