"""calibrate: values of a unit, at the same times."""

from typing import Any

import numpy as np
import pytest
import reactivex as rx

from rxstream import Chunk, StreamInfo
from rxstream import operators as ops
from rxstream.devices import Serial, Simulated
from rxstream.errors import ChunkError, ParameterError
from rxstream.testing import check_operator, infos, run_operator, streams

NUMBERS = infos().filter(lambda info: info.dtype.kind in "iuf")


def test_laws() -> None:
    check_operator(lambda: ops.calibrate(0.25, -1.0, "g"), source=streams(NUMBERS), regroups=False)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("i1", "f4"), ("u1", "f4"), ("i2", "f4"), ("u2", "f4"), ("i4", "f8"), ("i8", "f8"),
     ("f2", "f4"), ("f4", "f4"), ("f8", "f8")],
)  # fmt: skip
def test_values_are_floats_that_hold_the_raw_ones(dtype: str, wanted: str) -> None:
    kind = np.dtype(dtype)
    most = np.iinfo(kind).max if kind.kind in "iu" else 3
    info = StreamInfo("raw", 10.0, (), kind, unit="count")
    raw = np.array([0, 1, most], kind)
    chunk = Chunk.regular(raw, info, start=5)
    (out,) = run_operator(ops.calibrate(2.0, 1.0), [chunk], heartbeats=False)
    assert out.data.dtype == out.info.dtype == wanted
    assert out.data.tolist() == (raw.astype(wanted) * 2 + 1).tolist()
    assert out.info.unit == "count"
    assert (out.start, out.end, out.index) == (chunk.start, chunk.end, chunk.index)
    assert chunk.data.tolist() == raw.tolist()


def test_each_channel_has_its_own() -> None:
    info = Serial.accelerometer("a", rate=100.0).info
    chunk = Chunk.regular(np.array([[1, 2, 3], [4, 5, 6]], "i2"), info, start=0)
    calibrated = ops.calibrate([1, 10, 100], (0.5, 0, 0), "g")
    (out,) = run_operator(calibrated, [chunk], heartbeats=False)
    assert out.data.tolist() == [[1.5, 20, 300], [4.5, 50, 600]]
    assert (out.info.unit, out.info.channels) == ("g", ("x", "y", "z"))


def test_sound_becomes_pressure() -> None:
    sound = Simulated.microphone().info
    chunk = Chunk.regular(np.full((4, *sound.shape), 0.1, sound.dtype), sound, start=0)
    (out,) = run_operator(ops.calibrate(1 / 0.05, unit="Pa"), [chunk], heartbeats=False)
    assert np.allclose(out.data, 2.0)
    assert out.info.unit == "Pa"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"scale": 0}, "scale must not be 0"), ({"scale": "2"}, "scale"),
        ({"scale": True}, "scale"), ({"scale": []}, "scale"), ({"scale": [[1.0]]}, "scale"),
        ({"scale": [1, "a"]}, "scale"), ({"offset": np.nan}, "offset"),
        ({"offset": None}, "offset"), ({"scale": [1, [2]]}, "scale"), ({"unit": 5}, "unit"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        ops.calibrate(**arguments)


@pytest.mark.parametrize(
    ("info", "data", "word"),
    [
        (StreamInfo("a", 1.0, (), [("x", "f4")]), np.zeros(1, [("x", "f4")]), "ops.select"),  # type: ignore[arg-type]
        (StreamInfo("a", 1.0, (), "U4"), np.array(["x"], "U4"), "takes numbers"),  # type: ignore[arg-type]
        (StreamInfo("a", 1.0, (), "?"), np.array([True]), "takes numbers"),  # type: ignore[arg-type]
        (StreamInfo("a", 1.0, (3,)), np.zeros((1, 3), "f4"), "scale has 2 values"),
        (StreamInfo("a", 1.0, ()), np.zeros(1, "f4"), "scale has 2 values"),
    ],
)  # fmt: skip
def test_other_samples_end_the_stream(info: StreamInfo, data: Any, word: str) -> None:
    errors: list[Exception] = []
    chunk = Chunk.regular(data, info, start=0)
    rx.of(chunk).pipe(ops.calibrate([1.0, 2.0])).subscribe(print, errors.append)
    (error,) = errors
    assert isinstance(error, ChunkError)
    assert word in str(error)
