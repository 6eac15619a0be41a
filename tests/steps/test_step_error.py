"""Operators given things that are no chunks say so, each of them."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import ramp

from rxstream import Chunk, TimeWindowSubject, lift
from rxstream import operators as ops
from rxstream.errors import NotRewindableError, ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def other() -> Any:
    """Return another stream, with a past."""
    stream = TimeWindowSubject(60.0, name="other", clock=lambda: 0)
    stream.on_next(ramp(0, 10))
    return stream.past()


OPERATORS: dict[str, Callable[[], Any]] = {
    "align": lambda: ops.align(other(), tolerance=0.1),
    "calibrate": lambda: ops.calibrate(2.0),
    "decimate": lambda: ops.decimate(2),
    "detect_gaps": ops.detect_gaps,
    "fill_gaps": lambda: ops.fill_gaps(0.0),
    "filter_band": lambda: ops.filter_band(10, 100),
    "gaps": ops.gaps,
    "gate": lambda: ops.gate(lambda x: x > 0),
    "ignore_gaps": ops.ignore_gaps,
    "join_windows": lambda: ops.join_windows(other(), duration=1.0),
    "map_data": lambda: ops.map_data(np.negative),
    "merge_by_time": lambda: ops.merge_by_time(other()),
    "meter": ops.meter,
    "onset": lambda: ops.onset(1.0),
    "rechunk": lambda: ops.rechunk(2),
    "rechunk in seconds": lambda: ops.rechunk(duration=0.01),
    "replay_window": lambda: ops.replay_window(1),
    "resample": lambda: ops.resample(10.0),
    "resample onto": lambda: ops.resample(onto=other()),
    "rms": lambda: ops.rms(0.1),
    "samples": ops.samples,
    "scan_data": lambda: ops.scan_data(lambda state, x: (state, x), 0),
    "select": lambda: ops.select(0),
    "sessions": lambda: ops.sessions(0.1),
    "sosfilt": lambda: ops.sosfilt(np.array([[1.0, 0, 0, 1, 0, 0]])),
    "spectrogram": lambda: ops.spectrogram(0.1),
    "timestamp_correct": ops.timestamp_correct,
    "window_by_time": lambda: ops.window_by_time(1.0),
}
# These take anything, capture with a function that gives its time. `decode_can` needs a database.
TAKE_ANYTHING = {"capture", "map_async", "map_parallel"}
NEED_A_WINDOW = {"latest", "on_lag", "rewind"}

ITEMS: dict[str, tuple[Any, str]] = {
    "int": (1, "Chunk.regular"),
    "float": (2.5, "Chunk.regular"),
    "str": ("x", "Chunk.regular"),
    "NoneType": (None, "Chunk.regular"),
    "ndarray": (np.arange(4.0), "Chunk.regular"),
    "dict": ({"a": 1}, "Chunk.regular"),
    "list": ([ramp(0, 4), ramp(4, 4)], r"pick one, .* or join"),
    "tuple": ((ramp(0, 4), ramp(0, 4)), r"pick one, .* or join"),
    "list ": ([1, 2], "behind the operators"),
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("kind", ITEMS)
def test_what_is_no_chunk_is_named_with_a_remedy(operator: str, kind: str) -> None:
    item, remedy = ITEMS[kind]
    errors: list[Any] = []
    ended = threading.Event()

    def fail(error: Exception) -> None:
        errors.append(error)
        ended.set()

    rx.of(item).pipe(OPERATORS[operator]()).subscribe(lambda _: None, fail, ended.set)
    assert ended.wait(10)
    (error,) = errors
    assert isinstance(error, ParameterError)
    with pytest.raises(
        ParameterError, match=f"operators take chunks, .* given {kind}.*; .*{remedy}"
    ):
        raise error


def test_every_operator_is_in_the_table() -> None:
    named = {name.split()[0] for name in OPERATORS} | TAKE_ANYTHING | NEED_A_WINDOW
    made = {name for name in ops.__all__ if hasattr(getattr(ops, name), "makes_operator")}
    assert made - {"decode_can"} == named


@pytest.mark.parametrize("operator", [ops.latest(), ops.on_lag("gap"), ops.rewind(1)])
def test_what_needs_a_window_says_so_first(operator: Any) -> None:
    with pytest.raises(NotRewindableError):
        rx.of(1).pipe(operator)


class _Own:
    """A step of a program, on items of its own."""

    def __init__(self, push: Callable[[Any], Any]) -> None:
        self._push = push

    def push(self, item: Any) -> tuple[Any]:
        return (self._push(item),)

    def flush(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize(
    ("push", "expected"),
    [
        (lambda item: item.missing, AttributeError),
        (lambda _item: [].info, AttributeError),  # type: ignore[attr-defined]
        (lambda item: item + "x", TypeError),
        (lambda _item: len(object()), TypeError),  # type: ignore[arg-type]
        (lambda item: 1 // (item - 1), ZeroDivisionError),
    ],
)
def test_an_error_of_a_step_of_its_own_stays_what_it_is(
    push: Callable[[Any], Any], expected: type[Exception]
) -> None:
    errors: list[Any] = []
    rx.of(1).pipe(lift(lambda: _Own(push))).subscribe(lambda _: None, errors.append)
    assert [type(error) for error in errors] == [expected]


def test_a_chunk_that_lacks_something_is_no_item_of_the_wrong_kind() -> None:
    errors: list[Any] = []
    step = _Own(lambda chunk: chunk.nothing)
    rx.of(ramp(0, 1)).pipe(lift(lambda: step)).subscribe(lambda _: None, errors.append)
    assert isinstance(errors[0], AttributeError)
    assert isinstance(ramp(0, 1), Chunk)
