"""TimeWindowSubject: what is its own."""

import itertools
import threading
from typing import Any

import pytest
from fakes import ramp
from reactivex.scheduler import ImmediateScheduler

from rxstream import TimeWindowSubject
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
