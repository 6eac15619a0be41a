"""What every stream that keeps a past can do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fakes import MS, Manual, ramp
from reactivex.scheduler import ImmediateScheduler
from windows import filled, values

from rxstream import Chunk, Device, Reading, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.window.rewindable import Rewindable

here = ImmediateScheduler()


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


# -- the same for every kind of them ------------------------------------------------------------


class Kind:
    """A stream that keeps a past, and how chunks get into it."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.push: Callable[[Chunk[Any]], None]
        self.stream: Rewindable
        subject = TimeWindowSubject(60, name="ramp", clock=lambda: 0)
        self.push = subject.on_next
        stack.callback(subject.on_completed)
        if name == "device":
            source = Manual()
            self.stream = stack.enter_context(Device(source, timestamps="arrival"))
            self.push = lambda chunk: source.emit(Reading(chunk.data, arrival=chunk.end))
        elif name == "replay_window":
            self.stream = subject.pipe(ops.replay_window(60))  # type: ignore[assignment]
            stack.callback(self.stream.subscribe(lambda _: None, scheduler=here).dispose)
        else:
            self.stream = {"subject": subject, "view": subject.on_lag("block")}[name]
        for k in range(10):
            self.push(ramp(10 * k, 10))


@pytest.fixture(params=["device", "subject", "view", "replay_window"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    with ExitStack() as stack:
        yield Kind(request.param, stack)


def test_they_look_back(kind: Kind) -> None:
    stream = kind.stream
    assert isinstance(stream, Rewindable)
    assert values([stream.last(0.02)]) == list(range(80, 100))
    assert values([stream.between(15 * MS, 31 * MS)]) == list(range(15, 31))
    assert values([stream.at(42 * MS + 5)]) == [42]
    with pytest.raises(ParameterError, match="before the start"):
        stream.between(5, 4)
    got: list[Chunk[Any]] = []
    stream.past(0.02).subscribe(got.append)
    assert values(got) == list(range(80, 100))
    means = stream.past(0.02, warmup=0.01).pipe(ops.window_by_time(0.01))
    got.clear()
    means.subscribe(got.append)
    assert values(got) == list(range(80, 100))


def test_they_begin_in_the_past_and_go_on(kind: Kind) -> None:
    got: list[Chunk[Any]] = []
    view = kind.stream.rewind(0.02).on_lag("error", name="plot")
    with view.subscribe(got.append, scheduler=here):
        kind.push(ramp(100, 10))
        assert [c.name for c, _, _ in kind.stream.log.cursors() if c.policy == "error"] == ["plot"]
    assert values(got) == list(range(80, 110))
    with pytest.raises(ParameterError, match=r"the history of .* is 60 s"):
        kind.stream.rewind(61)


def test_they_are_read_and_their_readers_have_names(kind: Kind) -> None:
    with kind.stream.reader(rewind=0.02, policy="gap", name="plot") as reader:
        kind.push(ramp(100, 10))
        chunk = reader.read(30, timeout=10)
        assert chunk is not None
        assert values([chunk]) == list(range(80, 110))
        assert "plot" in [cursor.name for cursor, _, _ in kind.stream.log.cursors()]
    assert "plot" not in [cursor.name for cursor, _, _ in kind.stream.log.cursors()]
    with kind.stream.rewind(0.005).reader() as reader:
        assert values([reader.read()]) == list(range(105, 110))  # type: ignore[list-item]
        assert "reader" in [cursor.name for cursor, _, _ in kind.stream.log.cursors()]


def test_past_takes_a_length_or_a_start() -> None:
    with pytest.raises(ParameterError, match="seconds or start=, not both: 1 and 5"):
        TimeWindowSubject(60).past(1, start=5)


def test_their_reprs_say_what_they_hold() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)), name="mic", clock=lambda: 0)
    reader = subject.reader(rewind=0.03, name="plot")
    text = "<TimeWindowSubject mic: 0.1 s of 60 s kept, 0.0072 MB, subscribers: 1>"
    assert repr(subject) == text
    assert repr(reader) == "<Reader mic: plot, 3 chunks behind>"
    reader.close()
    assert repr(reader) == "<Reader mic: plot, closed>"
    assert repr(subject.rewind(2)) == "<WindowView of mic: from 2 s back, on_lag gap>"
    assert repr(subject.rewind(to=5).on_lag("block")) == (
        "<WindowView of mic: from 00:00:00.000000, on_lag block>"
    )
    shared = subject.pipe(ops.replay_window(5))
    assert repr(shared) == "<Stream mic | replay_window(5): 0 s of 5 s kept, subscribers: 0>"
