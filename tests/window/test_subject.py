"""TimeWindowSubject: what is its own."""

import itertools
import threading
from typing import Any

import pytest
from fakes import MS, ramp
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import ImmediateScheduler
from windows import values

from rxstream import Chunk, TimeWindowSubject
from rxstream.errors import ChunkError, ParameterError

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_two_producers_are_serialised() -> None:
    """All subscribers see one order, whichever thread produces; what goes back is refused."""
    subject = TimeWindowSubject(3600.0)
    seen: list[list[int]] = [[], []]
    for got in seen:
        subject.subscribe(lambda chunk, got=got: got.append(chunk.index))  # type: ignore[misc]
    next_time, refused = itertools.count(), list[int]()

    def produce() -> None:
        for _ in range(300):
            k = next(next_time)
            try:
                subject.on_next(ramp(k, 1))
            except ChunkError:
                refused.append(k)

    threads = [threading.Thread(target=produce) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subject.on_completed()
    assert subject.wait(10**10)
    assert seen[0] == seen[1] == sorted(seen[0])
    assert sorted([*seen[0], *refused]) == list(range(600))


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
        (lambda: TimeWindowSubject(1).on_lag("drop"), "'gap' or 'latest' or 'error' or 'block'"),  # type: ignore[arg-type]
        (lambda: TimeWindowSubject(1).between(5, 4), "before the start"),
        (lambda: TimeWindowSubject(1).at(3.5), "no point in time"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


# -- what RxPY asks of a subject ------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda subject: subject.on_next(ramp(0, 1)),
        lambda subject: subject.on_error(OSError("gone")),
        lambda subject: subject.on_completed(),
        lambda subject: subject.reader(),
    ],
    ids=["on_next", "on_error", "on_completed", "reader"],
)
def test_after_dispose_it_takes_nothing(use: Any) -> None:
    subject = TimeWindowSubject(60.0)
    subject.on_next(ramp(0, 1))
    subject.dispose()
    subject.dispose()
    with pytest.raises(DisposedException):
        use(subject)
    assert (subject.log.nbytes, subject.log.cursors()) == (0, [])


@pytest.mark.parametrize("scheduler", [here, None])
def test_who_subscribes_after_dispose_gets_the_error(scheduler: Any) -> None:
    subject = TimeWindowSubject(60.0)
    subject.dispose()
    events: list[Any] = []
    for stream in (subject, subject.on_lag("block"), subject.rewind(1)):
        stream.subscribe(
            events.append, lambda e: events.append(type(e)), lambda: events.append("end"),
            scheduler=scheduler,
        )  # fmt: skip
    assert events == [DisposedException] * 3


def test_dispose_is_no_end_for_who_is_subscribed() -> None:
    subject = TimeWindowSubject(60.0)
    events: list[Any] = []
    subject.subscribe(
        lambda chunk: events.append(chunk.index), events.append, lambda: events.append("end"),
        scheduler=here,
    )  # fmt: skip
    subject.on_next(ramp(0, 1))
    subject.dispose()
    assert events == [0]


@pytest.mark.parametrize("error", [None, OSError("gone")])
def test_it_knows_how_it_ended(error: Exception | None) -> None:
    subject = TimeWindowSubject(60.0)
    assert (subject.is_stopped, subject.exception) == (False, None)
    if error is None:
        subject.on_completed()
    else:
        subject.on_error(error)
    assert (subject.is_stopped, subject.exception) == (True, error)
    subject.on_error(ValueError("later"))
    subject.on_next(ramp(0, 1))  # taken silently, as after the end of any Subject
    assert (subject.is_stopped, subject.exception) == (True, error)
    assert subject.log.stop == 0


def test_what_goes_back_is_refused_and_changes_nothing() -> None:
    subject = TimeWindowSubject(60.0)
    got: list[Chunk[Any]] = []
    subject.subscribe(got.append, scheduler=here)
    for first in (0, 10, 20):
        subject.on_next(ramp(first, 10))
    for late in (ramp(10, 10), ramp(20, 10), ramp(25, 10), ramp(0, 5)):
        with pytest.raises(ChunkError, match="begins at"):
            subject.on_next(late)
    subject.on_next(ramp(40, 10))
    assert values(got) == [*range(30), *range(40, 50)]
    assert values([subject.between(5 * MS, 25 * MS)]) == list(range(5, 25))
    assert values([subject.at(29 * MS)]) == [29]
    subject.on_completed()


@pytest.mark.parametrize("item", [5, None, [ramp(0, 1)], "chunk"])
def test_it_takes_chunks(item: Any) -> None:
    with pytest.raises(ParameterError, match="take chunks"):
        TimeWindowSubject(60.0).on_next(item)
