"""lift_multi: several inputs, one at a time; what comes at once, in the order of its times."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, eventually, ramp
from reactivex import operators as rxo
from reactivex.disposable import Disposable
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.steps.watermark import FOREVER, NEVER, Watermarks

HERE = ImmediateScheduler()
SECOND = 1000 * MS


class Notes:
    """Give what came, and who was late by then."""

    def __init__(self, ports: int = 2, lateness: int = 10 * MS, last: int | None = None) -> None:
        self.marks = Watermarks(ports, lateness)
        self.finished = False
        self.last = last

    def push(self, port: int, chunk: Chunk) -> Iterable[tuple[int, int, list[int]]]:
        if len(chunk) == 13:
            raise ValueError(port)
        self.marks.advance(port, chunk)
        self.finished = chunk.index == self.last
        yield port, chunk.index, self.marks.behind()

    def done(self, port: int) -> Iterable[tuple[int, str]]:
        self.marks.done(port)
        if self.last == -1 - port:
            raise ValueError(port)
        return ((port, "end"),)


def join(*sources: Any, **options: Any) -> tuple[list[Any], Any]:
    """Return what comes out, and the subscription."""
    out: list[Any] = []
    joined = sources[0].pipe(
        lift_multi(lambda: Notes(len(sources), **options), sources[1:], "notes")
    )
    return out, joined.subscribe(out.append, out.append, lambda: out.append("done"))


def pieces(count: int, n: int = 4) -> list[Chunk[Any]]:
    return [ramp(k * n, n) for k in range(count)]


@pytest.mark.parametrize("scheduler", [None, HERE])
def test_what_comes_at_once_is_taken_in_the_order_of_its_times(scheduler: Any) -> None:
    """RxPY's cold sources give after all are subscribed to, or while they are: both at once."""
    a, b = pieces(200), pieces(100, 8)
    out, _ = join(*(rx.from_iterable(items, scheduler=scheduler) for items in (a, b)))
    got = [(index, port) for port, index, *_ in out[:-3]]
    assert [i for i, port in got if port == 0] == [chunk.index for chunk in a]
    assert [i for i, _ in got] == sorted(chunk.index for chunk in a + b)
    assert all(item[2] == [] for item in out[:-3]), "nobody is late"
    assert out[-3:] == [(1, "end"), (0, "end"), "done"]


def test_pasts_come_at_once_too() -> None:
    subjects = [TimeWindowSubject(60, clock=lambda: 0) for _ in range(3)]
    for subject in subjects:
        for chunk in pieces(100):
            subject.on_next(chunk)
    out, _ = join(*(subject.past() for subject in subjects))
    assert out[-1] == "done"
    assert len(out) == 304
    assert all(item[2] == [] for item in out[:300])
    for subject in subjects:
        subject.on_completed()


def test_then_in_the_order_they_come() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out, _ = join(a, b)
    b.on_next(ramp(50, 4))
    a.on_next(ramp(0, 4))
    a.on_completed()
    b.on_completed()
    assert out == [(1, 50, []), (0, 0, [0]), (0, "end"), (1, "end"), "done"]


def test_it_may_be_finished_early() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out, _ = join(a, b, last=4)
    b.on_next(ramp(4, 4))
    a.on_next(ramp(4, 4))
    b.on_error(RuntimeError())
    assert out == [(1, 4, []), "done"]
    assert not a.observers, "it let go of its inputs"
    assert not b.observers


@pytest.mark.parametrize("port", [0, 1])
def test_an_error_of_an_input_goes_on_and_names_the_input(port: int) -> None:
    inputs: list[Any] = [TimeWindowSubject(60, name="mic", clock=lambda: 0), Subject[Any]()]
    if port == 0:
        inputs.reverse()
    out, _ = join(*inputs)
    boom = RuntimeError("boom")
    inputs[port].on_error(boom)
    inputs[1 - port].on_completed()
    assert out == [boom]
    assert boom.__notes__ == [f"notes: this came from {['its source', 'input 1'][port]}"]
    named = RuntimeError("boom")
    mic: Any = Subject()
    mic.name = "mic"
    join(Subject(), mic)
    mic.on_error(named)
    assert named.__notes__ == ["notes: this came from input 1, mic"]


def test_an_error_comes_after_what_was_before_it() -> None:
    boom = RuntimeError("boom")

    def fail_later(observer: Any, _: Any = None) -> Any:
        for chunk in pieces(2):
            observer.on_next(chunk)
        observer.on_error(boom)
        return Disposable()

    failing: Any = rx.create(fail_later)
    out, _ = join(rx.of(*pieces(9)), failing)
    assert out[-1] is boom
    assert [item[1] for item in out[:-1]] == [0, 0, 4, 4]


class Lenient(Notes):
    """Goes on without a port that fails."""

    def failed(self, port: int, error: Exception) -> Iterable[tuple[int, str]]:
        self.marks.done(port)
        if str(error) == "raise":
            raise ValueError(port)
        yield port, str(error)


def test_a_step_may_go_on_without_an_input_that_fails() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out: list[Any] = []
    joined = a.pipe(lift_multi(Lenient, [b], "lenient"))
    joined.subscribe(out.append, out.append, lambda: out.append("done"))
    boom = RuntimeError("boom")
    b.on_error(boom)
    a.on_next(ramp(0, 4))
    a.on_completed()
    assert out == [(1, "boom"), (0, 0, []), (0, "end"), "done"]
    assert not hasattr(boom, "__notes__"), "others may get it too"


def test_an_error_of_the_source_comes_after_what_a_step_makes_of_it() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out: list[Any] = []
    joined = a.pipe(lift_multi(Lenient, [b], "lenient"))
    joined.subscribe(out.append, out.append, lambda: out.append("done"))
    boom = RuntimeError("boom")
    a.on_error(boom)
    b.on_next(ramp(0, 4))
    assert out == [(0, "boom"), boom]
    assert boom.__notes__ == ["lenient: this came from its source"]
    out.clear()
    failing = rx.throw(RuntimeError("raise")).pipe(lift_multi(Lenient, [rx.never()], "lenient"))
    failing.subscribe(out.append, out.append)
    assert [repr(item) for item in out] == ["ValueError(0)"]


class Anything:
    """Gives what came, chunks or not."""

    finished = False

    def __init__(self) -> None:
        self.marks = Watermarks(2, 10 * MS)

    def push(self, port: int, item: Any) -> Iterable[tuple[int, Any]]:
        return ((port, item),)

    def done(self, port: int) -> Iterable[tuple[int, Any]]:
        return ()


@pytest.mark.parametrize("scheduler", [None, HERE])
def test_items_may_be_anything(scheduler: Any) -> None:
    items = [None, KeyError("a value"), (), "text"]
    out: list[Any] = []
    joined = rx.from_iterable(items, scheduler=scheduler).pipe(
        lift_multi(Anything, [rx.of(ramp(0, 4))], "anything")
    )
    joined.subscribe(out.append, out.append, lambda: out.append("done"))
    assert [item for port, item in out[:-1] if port == 0] == items
    assert [item for port, item in out[:-1] if port == 1] == [ramp(0, 4)]
    assert out[-1] == "done"


def test_heartbeats_of_our_streams_come_in_and_stay_within() -> None:
    source, other = TimeWindowSubject(60, clock=lambda: 0), Subject[Any]()
    ours = source.pipe(ops.map_data(np.negative))
    within: list[Any] = []
    outside: list[Any] = []
    joined = ours.pipe(ops.merge_by_time(other))
    joined.with_heartbeats().subscribe(within.append, scheduler=HERE)
    joined.subscribe(outside.append, scheduler=HERE)
    source.on_next(ramp(0, 4))
    source.on_next(Chunk.empty(ramp(0, 1).info, 4 * MS, 9 * MS, index=4))
    for stream in (source, other):
        stream.on_completed()
    assert [(len(chunk), chunk.end) for chunk in within] == [(4, 4 * MS), (0, 9 * MS)]
    assert [(len(chunk), chunk.end) for chunk in outside] == [(4, 4 * MS)]


def test_an_error_of_the_step_goes_downstream() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out, _ = join(a, b)
    b.on_next(ramp(0, 13))
    a.on_next(ramp(0, 4))
    assert [repr(item) for item in out] == ["ValueError(1)"]
    out, _ = join(rx.of(ramp(0, 2)), rx.empty(), last=-2)
    assert [repr(item) for item in out] == ["ValueError(1)"]


def test_nothing_comes_after_dispose() -> None:
    a, b = Subject[Any](), Subject[Any]()
    out, subscription = join(a, b)
    a.on_next(ramp(0, 4))
    subscription.dispose()
    b.on_next(ramp(0, 4))
    a.on_completed()
    assert len(out) == 1
    assert not a.observers
    assert not b.observers


def test_dispose_from_within_stops_at_once() -> None:
    a = rx.from_iterable(pieces(9))
    got: list[Any] = []
    joined = a.pipe(lift_multi(Notes, [rx.from_iterable(pieces(9))], "notes"), rxo.take(3))
    joined.subscribe(got.append)
    assert len(got) == 3


def test_what_is_fed_back_comes_after_what_is_being_given() -> None:
    a, b = Subject[Any](), Subject[Any]()
    got: list[Any] = []

    def on_next(item: Any) -> None:
        if item[:2] == (0, 0):
            b.on_next(ramp(8, 4))
        got.append(item[:2])

    a.pipe(lift_multi(Notes, [b], "notes")).subscribe(on_next)
    a.on_next(ramp(0, 4))
    assert got == [(0, 0), (1, 8)]


def test_a_subscriber_that_raises_gets_no_error_from_the_step() -> None:
    a, b = Subject[Any](), Subject[Any]()
    errors: list[Any] = []

    def on_next(_: Any) -> None:
        raise KeyError

    a.pipe(lift_multi(Notes, [b], "notes")).subscribe(on_next, errors.append)
    with pytest.raises(KeyError):
        a.on_next(ramp(0, 4))
    assert not errors


def test_the_observer_never_sees_two_at_once() -> None:
    sources = [Subject[Any]() for _ in range(4)]
    inside, most, seen = [0], [0], [0]

    def on_next(_: Any) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.0001)
        seen[0] += 1
        inside[0] -= 1

    make = lift_multi(lambda: Notes(4, 10 * SECOND), sources[1:], "notes")
    sources[0].pipe(make).subscribe(on_next)

    def feed(source: Any) -> None:
        for chunk in pieces(100):
            source.on_next(chunk)

    threads = [threading.Thread(target=feed, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], seen[0]) == (1, 400)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be silent, however busy the machine is; who waits in vain is seen."""
    monkeypatch.setattr("rxstream.steps.multi._MAX_WAIT", 600.0)


class Fed:
    """An input with a thread of its own, which begins with the subscription or by `go`.

    Its subscription returns when ``until`` returns.
    """

    def __init__(
        self,
        items: Iterable[Chunk[Any]],
        *,
        go: threading.Event | None = None,
        until: Callable[[], object] = lambda: None,
    ) -> None:
        self.items, self.go, self.until = items, go, until
        self.given, self.over = threading.Event(), threading.Event()
        self.stream: Any = rx.create(self._subscribe)

    def _subscribe(self, observer: Any, _: Any = None) -> Any:
        threading.Thread(target=self._feed, args=(observer,)).start()
        self.until()
        return Disposable()

    def _feed(self, observer: Any) -> None:
        if self.go is not None:
            self.go.wait(60)
        for item in self.items:
            observer.on_next(item)
            self.given.set()
        observer.on_completed()
        self.over.set()


def late(out: list[Any]) -> list[Any]:
    return [item for item in out[:-1] if item[1] != "end" and item[2]]


@pytest.mark.usefixtures("patient")
def test_a_thread_waits_for_inputs_that_are_subscribed_to_after_it() -> None:
    """Else it has given all by then, and the others are late from their first chunk on."""
    early = Fed(pieces(100, 20))
    # either it has given all, or it waits
    last = Fed(pieces(100, 20), go=threading.Event(), until=lambda: early.over.wait(0.3))
    out, _ = join(last.stream, early.stream, lateness=100 * MS)
    assert last.go is not None
    last.go.set()
    assert eventually(lambda: out[-1:] == ["done"])
    assert (len(out), late(out)) == (203, [])
    assert eventually(lambda: early.over.is_set() and last.over.is_set())


@pytest.mark.usefixtures("patient")
def test_what_comes_at_once_waits_for_a_thread() -> None:
    out: list[Any] = []
    begun = threading.Event()

    def slowly() -> Iterator[Chunk[Any]]:
        first, *rest = pieces(100, 20)
        yield first
        begun.wait(60)
        yield from rest

    def on_next(item: Any) -> None:
        out.append(item)
        begun.set()

    behind = Fed(slowly())
    behind.until = lambda: behind.given.wait(60)
    make = lift_multi(lambda: Notes(2, 100 * MS), [behind.stream], "notes")
    at_once = rx.from_iterable(pieces(100, 20)).pipe(make)
    at_once.subscribe(on_next, out.append, lambda: out.append("done"))
    assert eventually(lambda: out[-1:] == ["done"])
    assert (len(out), late(out)) == (203, [])
    assert eventually(behind.over.is_set)


def test_a_subscription_that_needs_a_thread_gets_it() -> None:
    """A join must not hold who it waits for."""
    early = Fed(pieces(100, 20))
    gets: list[bool] = []
    last = Fed(pieces(100, 20), until=lambda: gets.append(early.over.wait(60)))
    out, _ = join(last.stream, early.stream, lateness=100 * MS)
    assert gets == [True]
    assert eventually(lambda: out[-1:] == ["done"])
    assert len(out) == 203
    assert eventually(last.over.is_set)


@pytest.mark.usefixtures("patient")
def test_two_that_are_behind_do_not_wait_for_each_other() -> None:
    """A third is ahead of both: neither makes the other later."""
    ahead, go = Subject[Any](), threading.Event()
    two = [Fed(pieces(100, 20), go=go) for _ in range(2)]
    out, _ = join(ahead, *(one.stream for one in two), lateness=100 * MS)
    for chunk in pieces(100, 20):
        ahead.on_next(chunk)
    ahead.on_completed()
    go.set()
    assert eventually(lambda: out[-1:] == ["done"])
    assert len(out) == 304
    assert eventually(lambda: all(one.over.is_set() for one in two))


@pytest.mark.usefixtures("patient")
def test_two_with_a_pause_at_once_do_not_wait_for_each_other() -> None:
    """What each waits with says that it has nothing before."""
    go = threading.Event()
    two = [Fed([ramp(k * 1000, 1) for k in range(20)], go=go) for _ in range(2)]
    out, _ = join(*(one.stream for one in two), lateness=100 * MS)
    go.set()
    assert eventually(lambda: out[-1:] == ["done"])
    indices = [index for _, index, *_ in out[:-1] if index != "end"]
    assert indices == sorted(2 * [k * 1000 for k in range(20)])
    assert eventually(lambda: all(one.over.is_set() for one in two))


@pytest.mark.real
@pytest.mark.usefixtures("patient")
def test_threads_that_replay_wait_for_each_other() -> None:
    """Each input has a worker of its own, which gives 20 s as fast as it can."""
    subjects = [TimeWindowSubject(60, clock=lambda: 0) for _ in range(3)]
    for subject in subjects:
        for chunk in pieces(1000, 20):
            subject.on_next(chunk)
        subject.on_completed()
    views = [subject.rewind(to=-1) for subject in subjects]
    out, _ = join(*views, lateness=100 * MS)
    assert eventually(lambda: out[-1:] == ["done"])
    assert len(out) == 3004
    assert late(out) == []


def test_a_silent_input_is_waited_for_a_moment_only() -> None:
    ahead, silent = TimeWindowSubject(3600, clock=lambda: 0), Subject[Any]()
    out, _ = join(ahead, silent)
    for chunk in pieces(1000, 100):
        ahead.on_next(chunk)
    assert eventually(lambda: len(out) == 1000)
    silent.on_next(ramp(99_990, 4))  # it has caught up, and is silent again
    for chunk in pieces(1010, 100)[1000:]:
        ahead.on_next(chunk)
    assert eventually(lambda: len(out) == 1011)
    ahead.on_completed()


def test_dispose_wakes_who_waits() -> None:
    ahead = TimeWindowSubject(3600, clock=lambda: 0)
    _, subscription = join(ahead, rx.never())
    for chunk in pieces(10, 100):
        ahead.on_next(chunk)
    subscription.dispose()
    ahead.on_completed()
    assert ahead.drain(10) == []


def test_watermarks() -> None:
    marks = Watermarks(3, 10)
    assert (marks.deadline(0), marks.frontier, marks.behind()) == (None, NEVER, [])
    marks.advance(0, ramp(0, 4))
    assert (marks.deadline(0), marks.deadline(1), marks.frontier) == (4 * MS, -10, -10)
    marks.advance(0, ramp(4, 1))
    marks.advance(1, ramp(2, 2))
    assert (marks.deadline(2), marks.frontier, marks.behind()) == (4 * MS - 10, 4 * MS - 10, [2])
    assert marks.behind(4 * MS + 11) == [1, 2]
    assert (marks.end(1), marks.end(2)) == (4 * MS, NEVER)
    marks.done(2)
    assert (marks.frontier, marks.behind()) == (4 * MS, [])
    marks.done(0)
    marks.done(1)
    assert marks.frontier == FOREVER


def test_watermarks_may_count_from_the_end_of_chunks() -> None:
    marks = Watermarks(2, 10, from_end=True)
    marks.advance(0, ramp(0, 4))
    assert (marks.newest, marks.deadline(1)) == (4 * MS, 4 * MS - 10)
    marks.advance_to(1, 9 * MS, 8 * MS)
    assert (marks.newest, marks.end(1), marks.behind()) == (9 * MS, 8 * MS, [0, 1])


def test_others_are_streams() -> None:
    subject: Any = TimeWindowSubject(60, name="mic")
    assert stream_names([subject, rx.never()], "f") == ["mic", None]
    with pytest.raises(ParameterError, match="f needs another stream"):
        stream_names([], "f")
    with pytest.raises(ParameterError, match="5 is no stream"):
        stream_names([5], "f")
