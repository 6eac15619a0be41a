"""What an author gives: every form of a value, and what does not fit is said with its remedy."""

import math
from typing import Any

import numpy as np
import pytest

from rxstream import DeviceCounter, Reading, StreamInfo
from rxstream.authoring.samples import Samples
from rxstream.errors import ChunkError, ParameterError

XY = [("x", "f8"), ("y", "i2")]


def make(dtype: Any = "f8", shape: tuple[int, ...] = (), **more: Any) -> Samples:
    return Samples(StreamInfo("x", None, shape, np.dtype(dtype), **more))


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "data", "time"),
    [
        ("f8", (), 20.5, [20.5], None),
        ("f8", (), 3, [3.0], None),
        ("f4", (), np.float64(0.1), [np.float32(0.1)], None),
        ("u1", (), 255, [255], None),
        ("U5", (), "hello", ["hello"], None),
        ("?", (), True, [True], None),
        ("f8", (), (20.5, 7), [20.5], 7),
        ("f8", (), [1.0, 2.0], [1.0, 2.0], None),
        ("f8", (), ([1.0, 2.0], [7, 9]), [1.0, 2.0], [7, 9]),
        ("f8", (), np.array([1.0, 2.0]), [1.0, 2.0], None),
        ("f8", (), (np.array([1.0, 2.0]), 7), [1.0, 2.0], 7),
        ("u2", (2,), [1, 2], [[1, 2]], None),
        ("u2", (2,), (1, 2), [[1, 2]], None),
        ("u2", (2,), ((1, 2), 7), [[1, 2]], 7),
        ("u2", (2,), [[1, 2], [3, 4]], [[1, 2], [3, 4]], None),
        ("u2", (2,), np.array([1, 2], "u2"), [[1, 2]], None),
        ("u2", (2,), np.ones((3, 2), "u2"), [[1, 1]] * 3, None),
        (XY, (), (1.5, 2), [(1.5, 2)], None),
        (XY, (), ((1.5, 2), 7), [(1.5, 2)], 7),
        (XY, (), {"x": 1.5, "y": 2, "more": 5}, [(1.5, 2)], None),
        (XY, (), {"x": 1.5, "y": 2, "time": 7}, [(1.5, 2)], 7),
        (XY, (), [(1, 2), {"x": 3, "y": 4}], [(1, 2), (3, 4)], None),
        (XY, (), np.zeros(2, XY), [(0, 0)] * 2, None),
        (XY, (), [], [], None),
        ("i2", (), [], [], None),
        (XY, (), np.zeros(1, XY)[0], [(0, 0)], None),
        ([("time", "i8"), ("v", "f8")], (), {"time": 7, "v": 1}, [(7, 1)], None),
        ([("raw", "u1", (2,)), ("n", "i4")], (), ((1, 2), 7), [((1, 2), 7)], None),
        ([("name", "U4"), ("n", "i4")], (), ("abcd", 7), [("abcd", 7)], None),
        ([("a", "f4"), ("b", "f4"), ("c", "f4")], (), ((1, 2, 3), 7), [(1, 2, 3)], 7),
        ("f8", (), Reading([2.5], lost=3), [2.5], None),
    ],
)
def test_every_form_of_a_value(
    dtype: Any, shape: tuple[int, ...], value: Any, data: Any, time: Any
) -> None:
    reading = make(dtype, shape).reading(value)
    expected = np.array(data, dtype)
    assert reading.data.dtype == expected.dtype
    assert reading.data.shape == expected.shape
    assert np.array_equal(reading.data, expected)
    assert np.array_equal(reading.device_time, time) or reading.device_time == time  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "text"),
    [
        ("i2", (), 20.5, "20.5 does not fit int16; round it, or give dtype=float"),
        ("i2", (), 40_000, "40000 is beyond int16; give a wider dtype"),
        ("u1", (), np.int64(300), "is beyond uint8; give a wider dtype"),
        ("u1", (), -1, "-1 is beyond uint8"),
        ("i8", (), 1 << 70, "does not fit int64; give dtype=float"),
        ("f4", (), 1e300, "is beyond float32; give a wider dtype"),
        ("f8", (), "12.5", "'12.5' does not fit float64; make it a number, e.g. float(text)"),
        ("f8", (), object(), "does not fit float64; convert it, or give another dtype"),
        ("f8", (), {"a": 1}, "does not fit float64"),
        ("f8", (), [[1.0], [2.0, 3.0]], "has parts of different lengths"),
        ("?", (), 1, "1 does not fit bool"),
        ("U4", (), "hello", "'hello' has 5 characters; give dtype 'U5', or cut it"),
        ("U4", (), b"ab", "decode it"),
        ("u2", (2,), [1, 2, 3], "has the shape (3,), not (2,); give one sample, or an array"),
        ("u2", (2,), 5, "has the shape (), not (2,)"),
        ("u2", (), np.ones(3), "samples are float64 of shape (3,), but its StreamInfo says uint16"),
        (XY, (), (1.5,), "(1.5,) is no sample; give a tuple or a dict of x, y"),
        (XY, (), 5.0, "5.0 is no sample; give a tuple or a dict of x, y"),
        (XY, (), {"x": 1.5}, "has no 'y'; give all of x, y"),
        (XY, (), (1.5, 2.5), "y: 2.5 does not fit int16; round it"),
        ([("v", "f4", (2,)), ("n", "i4")], (), ([1, 2, 3], 1), "v: [1, 2, 3] has the shape (3,)"),
    ],
)
def test_what_does_not_fit_is_said(
    dtype: Any, shape: tuple[int, ...], value: Any, text: str
) -> None:
    with pytest.raises(ChunkError) as raised:
        make(dtype, shape).reading(value)
    assert str(raised.value).startswith("x: ")
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1.0, 1.5), "its time is 1.5; give int nanoseconds, e.g. round(seconds * 1e9)"),
        (([1.0], [1.5]), "device_time is 1.5"),
        (([1.0, 2.0], [1, 2, 3]), "device_time has shape (3,) for 2 samples"),
        (Reading(np.zeros(1), counter=70_000), "counter is 70000"),
        (Reading(np.zeros(1), lost=-1), "lost is -1"),
    ],
)
def test_evidence_of_a_wrong_kind_is_said(value: Any, text: str) -> None:
    with pytest.raises(ParameterError, match="x: ") as raised:
        make(counter=DeviceCounter(16)).reading(value)
    assert text in str(raised.value)


def test_numbers_that_are_none_stay() -> None:
    assert math.isnan(make("f4").reading(math.nan).data[0])
    assert make("f4").reading(-math.inf).data[0] == -math.inf
