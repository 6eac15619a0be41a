"""The parameters of a function are the options: frozen, hashable, picklable, checked."""

import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import authored
import numpy as np
import pytest
from authored import Board

from rxstream import StreamInfo
from rxstream.acquisition.source import discover
from rxstream.authoring import DeviceInfo, source
from rxstream.errors import ParameterError
from rxstream.registry.spec import _construct, _option_types


def test_the_class_is_a_frozen_dataclass_of_the_parameters() -> None:
    board: Any = Board("/dev/x", channels=3)
    assert is_dataclass(board)
    assert [(item.name, item.type) for item in fields(board)][:2] == [
        ("port", str),
        ("rate", float),
    ]
    assert (board.port, board.rate, board.channels, board.mode) == ("/dev/x", 100.0, 3, None)
    with pytest.raises(FrozenInstanceError):
        board.port = "other"
    assert Board.__doc__ == "A board with channels."
    assert (Board.__name__, Board.__module__) == ("Board", "authored")
    parameters = inspect.signature(Board).parameters
    assert list(parameters) == ["port", "rate", "channels", "mode"]
    assert parameters["channels"].kind is inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(TypeError, match="bord"):
        Board(bord="x")  # type: ignore[call-arg]


def test_it_is_hashed_pickled_and_written_out() -> None:
    board = Board("/dev/x", 50.0, mode="fast")
    assert eval(repr(board), vars(authored)) == board
    assert pickle.loads(pickle.dumps(board)) == board
    assert {board: 1}[Board("/dev/x", 50.0, mode="fast")] == 1
    assert board != Board("/dev/x", 51.0, mode="fast")


def test_the_description_follows_the_options() -> None:
    assert Board(channels=3, rate=5.0).info == StreamInfo(
        "board", 5.0, (3,), np.dtype("i2"), "", ("ch0", "ch1", "ch2")
    )


def test_devices_of_a_kind_are_found() -> None:
    here = [DeviceInfo("at the window", {"port": "/dev/x"})]

    @source(discover=lambda: here)
    def Found(port: str = "") -> Any:
        """A device that can be found."""
        yield

    assert discover(Found) == tuple(here)
    assert discover(Board) is None
    assert Found(**here[0].options).info.name == "found"


def test_text_options_are_read_as_their_types_say() -> None:
    types = _option_types(Board)
    assert types["rate"] is float
    assert _construct("board", Board, {"rate": 5.0}).info.rate == 5.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 5}, "Board: port must be str, not 5"),
        ({"rate": "fast"}, "Board: rate must be float, not 'fast'"),
        ({"channels": True}, "Board: channels must be int, not True"),
        ({"mode": "warp"}, "Board: mode must be 'fast' or 'slow' or None, not 'warp'"),
        ({"rate": 0.0}, "rate must be > 0 Hz"),
        ({"channels": -1}, "shape must be"),
    ],
)
def test_bad_options_are_said_where_they_are_written(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as raised:
        Board(**options)
    assert text in str(raised.value)


def test_options_that_can_be_changed_are_refused() -> None:
    @source()
    def Filtered(ids: Any = ()) -> Any:
        yield

    Filtered((1, 2))
    with pytest.raises(ParameterError, match=r"Filtered: ids is \[1, 2\], which can be changed"):
        Filtered([1, 2])
    with pytest.raises(ParameterError, match="give a tuple"):
        Filtered(([1], 2))


def generator(emit: Any) -> Any:
    yield emit


def second(port: str, emit: Any) -> Any:
    yield port, emit


def plain(port: str = "x") -> float:
    return 1.0


def starred(*ports: str) -> Any:
    yield ports


def named_info(info: str) -> Any:
    yield info


def changeable(headers: dict[str, str] = {}) -> Any:  # noqa: B006 - that is the point
    yield headers


async def coroutine() -> None:
    pass


async def slow() -> Any:
    yield


@pytest.mark.parametrize(
    ("function", "more", "text"),
    [
        (plain, {}, "plain: a function that is called again and again needs every="),
        (plain, {"every": 0}, "plain: every must be > 0 seconds"),
        (plain, {"every": 1, "rate": 1.0}, "has no rate of its own; leave out rate=1"),
        (generator, {"every": 1}, "a driver that calls back is not asked"),
        (second, {}, "emit must be the first parameter"),
        (starred, {}, r"starred: \*ports: str cannot be an option"),
        (named_info, {}, "an option cannot be called info"),
        (changeable, {}, "the default of headers can be changed"),
        (coroutine, {}, "an async function must yield"),
        (slow, {"every": 1}, "waits by itself"),
        (int, {}, "source takes a function"),
        (generator, {"dtype": "f3"}, "dtype must be a dtype of numpy"),
        (generator, {"rate": -1}, "rate must be > 0 Hz"),
    ],
)
def test_what_cannot_be_a_source_is_said_at_the_decorator(
    function: Callable[..., Any], more: dict[str, Any], text: str
) -> None:
    with pytest.raises(ParameterError, match=text):
        source(**more)(function)


def test_the_decorator_without_parentheses_is_explained() -> None:
    with pytest.raises(ParameterError, match=r"^plain: write @source\(\), with parentheses"):
        source(plain)  # type: ignore[arg-type]  # that is the point
