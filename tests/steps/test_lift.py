"""lift: one step for each subscription, and the Rx contract."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from reactivex import operators as rxo
from reactivex.observer import Observer
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, lift
from rxstream.errors import ParameterError
from rxstream.steps.in_order import lift_in_order

here = ImmediateScheduler()
CHUNK = Chunk.regular(np.arange(4), StreamInfo("a", 1e9, (), np.dtype(int)), start=5)


class Lengths:
    """Give the length of each chunk."""

    def push(self, chunk: Chunk[Any]) -> tuple[int]:
        return (len(chunk),)

    def flush(self) -> tuple[()]:
        return ()


class Sums:
    """Give the sum so far; fail at a number; at the end give it again, or fail."""

    made = 0

    def __init__(self, bad: int | None = None, bad_end: bool = False) -> None:
        Sums.made += 1
        self.total, self.bad, self.bad_end = 0, bad, bad_end
        self.pushed: list[int] = []
        self.flushed = 0

    def push(self, item: int) -> Any:
        self.pushed.append(item)
        if item == self.bad:
            raise ValueError(item)
        self.total += item
        return (self.total,)

    def flush(self) -> Any:
        self.flushed += 1
        if self.bad_end:
            raise ValueError("end")
        return [self.total]


def events(operator: Callable[[Any], Any], source: Any = None) -> list[Any]:
    out: list[Any] = []
    source = rx.from_iterable([1, 2, 3], scheduler=here) if source is None else source
    source.pipe(operator).subscribe(
        out.append, lambda error: out.append(repr(error)), lambda: out.append("done")
    )
    return out


def test_each_subscription_has_a_step_of_its_own() -> None:
    Sums.made = 0
    operator = lift(Sums)
    assert events(operator) == events(operator) == [1, 3, 6, 6, "done"]
    assert Sums.made == 2


def test_generators_are_taken() -> None:
    class Twice:
        def push(self, item: int) -> Iterator[int]:
            yield item
            yield item

        def flush(self) -> Iterator[int]:
            yield 0

    assert events(lift(Twice)) == [1, 1, 2, 2, 3, 3, 0, "done"]


def test_after_an_error_a_step_is_asked_nothing_more() -> None:
    steps: list[Sums] = []

    def make() -> Sums:
        steps.append(Sums(bad=2))
        return steps[-1]

    # this source runs while it is subscribed to, so nobody can stop it
    assert events(lift(make)) == [1, "ValueError(2)"]
    assert steps[0].pushed == [1, 2]
    assert steps[0].flushed == 0


def test_an_error_in_the_middle_of_a_generator() -> None:
    class Half:
        def push(self, item: int) -> Iterator[int]:
            yield item
            raise KeyError(item)

        def flush(self) -> tuple[()]:
            return ()

    assert events(lift(Half)) == ["KeyError(1)"]


def test_an_error_at_the_end() -> None:
    assert events(lift(lambda: Sums(bad_end=True))) == [1, 3, 6, "ValueError('end')"]


def test_an_error_of_the_source_goes_on_and_nothing_is_flushed() -> None:
    assert events(lift(Sums), rx.throw(OSError("gone"), scheduler=here)) == ["OSError('gone')"]


def test_an_error_of_the_subscriber_goes_back_to_who_called() -> None:
    source: Subject[int] = Subject()
    failed: list[Exception] = []
    source.pipe(lift(Sums)).subscribe(lambda _: 1 / 0, failed.append)
    with pytest.raises(ZeroDivisionError):
        source.on_next(1)
    assert failed == []


def test_who_has_enough_gets_no_more() -> None:
    class Many:
        def push(self, item: int) -> list[int]:
            return [item] * 5

        def flush(self) -> list[int]:
            return [9]

    assert events(rx.compose(lift(Many), rxo.take(2))) == [1, 1, "done"]


def test_disposing_stops_the_source() -> None:
    source: Subject[int] = Subject()
    got: list[int] = []
    subscription = source.pipe(lift(Sums)).subscribe(got.append)
    source.on_next(1)
    subscription.dispose()
    assert source.observers == []
    source.on_next(2)
    assert got == [1]


def test_a_step_instead_of_what_makes_one_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Sums or lambda: Sums\(\.\.\.\), not a step"):
        lift(Sums())  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="a class or a function, not None"):
        lift(None)  # type: ignore[arg-type]


def test_a_step_that_lacks_a_part_is_named() -> None:
    class Half:
        def push(self, item: int) -> tuple[int]:
            return (item,)

    with pytest.raises(ParameterError, match="Half: Half is no Step; it lacks flush"):
        rx.of(1).pipe(lift(Half)).subscribe()  # type: ignore[arg-type]


@pytest.mark.parametrize("result", [None, CHUNK])
def test_results_that_are_no_tuple_are_named(result: Any) -> None:
    class Odd:
        def push(self, item: int) -> Any:
            return result if item else ()

        def flush(self) -> Any:
            return result

    for items, came in (((1,), "push"), ((0,), "flush")):
        errors: list[Exception] = []
        rx.from_iterable(items).pipe(lift(Odd)).subscribe(on_error=errors.append)
        assert "Odd returned" in str(errors[0]), came
        assert "(chunk,), or () for none" in str(errors[0])


def test_an_operator_reports_one_error_though_a_cold_source_goes_on() -> None:
    events: list[str] = []
    watcher = Observer(
        lambda _: events.append("next"), lambda _: events.append("error"), lambda: None
    )
    lengths = lift_in_order(Lengths)
    # past `subscribe`, whose guard would hide it
    rx.of(CHUNK, CHUNK, CHUNK).pipe(lengths)._subscribe_core(watcher, None)
    assert events == ["next", "error"]
