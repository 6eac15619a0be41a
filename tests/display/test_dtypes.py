"""Samples of every dtype that numpy has can be looked at: as text, drawn, and in a notebook."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from fakes import Manual

from rxstream import Chunk, Clip, Device, Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.window.subject import TimeWindowSubject

mpl.use("Agg")

T0 = 10**18
PLAIN = [
    *["?", "i1", "i8", "u1", "u8", "f2", "f4", "f8", "g", ">f8", "c8", "c16", "G"],
    *["S0", "S5", "U0", "U3", "V0", "V8", "O"],
    *["M8", "M8[Y]", "M8[D]", "M8[ns]", "M8[as]", ">M8[s]", "m8", "m8[Y]", "m8[us]"],
]
STRUCTURED: list[Any] = [
    [],
    [("a", "i4"), ("b", "f8")],
    [("t", "M8"), ("x", "i4")],
    [("t", "m8"), ("x", "O")],
    [("t", "M8", (2,)), ("x", "S2")],
    [("n", [("k", "c8"), ("s", "S2")]), ("v", "V3")],
    [("long", "g")],
]
SHAPES = [(), (2,), (0,), (2, 3), (9, 9), (9, 9, 3)]
# Without a unit neither pandas nor xarray takes dates.
UNITLESS = ["M8", "m8", [("t", "M8"), ("x", "i4")], [("d", [("t", "m8", (2,))])]]


class Odd:
    """An object that can be neither shown nor compared."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise ValueError

    def __eq__(self, other: object) -> bool:
        raise ValueError


def samples(dtype: np.dtype[Any], n: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return samples of any bits, NaN and NaT among them, or objects of all kinds."""
    rng = np.random.default_rng(7)
    made = np.zeros((n, *shape), dtype)
    if dtype.char == "O":
        flat = made.reshape(-1)
        for i in range(len(flat)):
            flat[i] = [None, Odd(), "x", 3, np.nan, [1], b"\xff"][i % 7]
    elif dtype.kind == "U":
        made[...] = "é\x1b"[: max(1, dtype.itemsize // 4)]
    elif dtype.kind == "b":
        made[...] = rng.integers(0, 2, made.shape)
    elif not dtype.hasobject and made.nbytes:
        made = np.frombuffer(rng.bytes(made.nbytes), made.dtype).reshape(made.shape)
    return made


def chunk_of(dtype: Any, n: int, shape: tuple[int, ...], rate: float | None) -> Chunk:
    data = samples(np.dtype(dtype), n, shape)
    info = StreamInfo("x", rate=rate, shape=data.shape[1:], dtype=data.dtype)
    if rate is not None:
        return Chunk.regular(data, info, start=T0)
    return Chunk.stamped(data, T0 + np.arange(n) * 10**7, info, start=T0, end=T0 + 10**10)


@pytest.mark.parametrize("rate", [100.0, None])
@pytest.mark.parametrize("dtype", [*PLAIN, *STRUCTURED], ids=str)
def test_a_chunk_is_shown(dtype: Any, rate: float | None) -> None:
    for shape in SHAPES:
        for n in (0, 1, 5, 700):
            if n * int(np.prod(shape)) > 1400:
                continue
            chunk = chunk_of(dtype, n, shape, rate)
            assert repr(chunk).startswith("<Chunk x: ")
            assert str(chunk) == repr(chunk)
            assert "<b>x</b>" in chunk._repr_html_()
            assert repr(chunk.info).startswith("StreamInfo(")


@pytest.mark.parametrize("dtype", [*PLAIN, *STRUCTURED], ids=str)
def test_a_chunk_and_a_clip_are_drawn(dtype: Any) -> None:
    for n, shape, rate in ((0, (), None), (5, (), 100.0), (5, (0,), None), (5, (9, 9), None)):
        chunk = chunk_of(dtype, n, shape, rate)
        chunk.plot().figure.canvas.draw()
        events = (chunk[:1],) if n else ()
        clip = Clip(events, (T0,) * len(events), T0, T0 + 10**9, {"x": chunk})
        assert repr(clip).startswith("<Clip ")
        assert "<b>x</b>" in clip._repr_html_()
        clip.plot()[0].figure.canvas.draw()


@pytest.mark.parametrize("dtype", [*PLAIN, *STRUCTURED], ids=str)
def test_a_stream_and_its_statistics_are_shown(dtype: Any) -> None:
    chunk = chunk_of(dtype, 5, (), None)
    subject = TimeWindowSubject(20, name="x")
    subject.on_next(chunk)
    subject.on_completed()
    assert repr(subject.past(20)) == "<Stream x.past(20)>"
    assert repr(subject.last(20)).startswith("<Chunk x: 5 ")
    source = Manual(chunk.info)
    with Device(source) as device:
        source.emit(Reading(chunk.data, device_time=chunk.time))
        assert device.error is None
        assert "<Device x: open" in repr(device)
        assert repr(device.last(5)).startswith("<Chunk x: 5 ")
        stats = device.stats()
        assert "5 samples" in str(stats)
        assert repr(stats)


@pytest.mark.parametrize("dtype", UNITLESS, ids=str)
@pytest.mark.parametrize("n", [0, 3])
def test_a_table_of_dates_without_a_unit_says_what_to_do(dtype: Any, n: int) -> None:
    pytest.importorskip("pandas")
    chunk = chunk_of(dtype, n, (), 100.0)
    for table in (chunk.to_pandas, chunk.to_xarray):
        with pytest.raises(ParameterError, match=r"x: its .* have no unit.*astype\('.*\[ns\]'\)"):
            table()
