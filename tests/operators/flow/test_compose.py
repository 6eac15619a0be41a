"""compose: one pipeline, a fresh state for each subscription, mistakes found when it is built."""

from typing import Any

import pytest
import reactivex as rx
from fakes import ramp
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import check_operator


def test_each_subscription_has_a_fresh_state() -> None:
    pipeline = ops.compose(ops.rechunk(7), ops.compose(ops.map_data(lambda x: -x)), ops.rechunk(5))
    source: Subject[Chunk[Any]] = Subject()
    derived = source.pipe(pipeline)
    first, second, other = list[int](), list[int](), list[int]()
    derived.subscribe(lambda chunk: first.extend(chunk.data))
    source.on_next(ramp(0, 9))
    derived.subscribe(lambda chunk: second.extend(chunk.data))
    rx.of(ramp(0, 3)).pipe(pipeline, rxo.take(1)).subscribe(lambda c: other.extend(c.data))
    source.on_next(ramp(9, 9))
    source.on_completed()
    assert first == [-k for k in range(18)]
    assert second == [-k for k in range(9, 18)]
    assert other == [0, -1, -2]


def test_laws() -> None:
    check_operator(lambda: ops.compose(ops.map_data(lambda x: x[..., None]), ops.rechunk(5)))


def test_none_changes_nothing() -> None:
    source = rx.of(1, 2)
    assert ops.compose()(source) is source


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.compose(ops.rechunk(5), 3), "argument 2 is 3, no operator"),  # type: ignore[call-overload]
        (lambda: ops.compose(rx.of(1)), "argument 1 is .*Observable"),  # type: ignore[arg-type]
        (lambda: ops.compose(ops.latest), r"argument 1 is latest itself; call it: latest\(...\)"),
        (lambda: ops.compose(rxo.distinct_until_changed), "call it: distinct_until_changed"),
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()
