"""What messages from the network are, and what is lost of them."""

from typing import Any

import numpy as np
import pytest

from rxstream import StreamInfo
from rxstream.devices.messages import Json, MessageDecoder, MessageFormat, Text
from rxstream.errors import ParameterError


def decoder(form: MessageFormat) -> MessageDecoder:
    return MessageDecoder(form, StreamInfo("messages", dtype=form.dtype))


def test_texts_are_samples_and_long_ones_are_lost(caplog: pytest.LogCaptureFixture) -> None:
    texts = decoder(Text(5))
    reading = texts.reading("hallo")
    assert reading is not None
    assert reading.data.tolist() == ["hallo"]
    for bad in ("too long", b"\xff", "longer than that"):
        assert texts.reading(bad) is None
    reading = texts.reading("größe".encode())
    assert reading is not None
    assert (reading.data.tolist(), reading.lost) == (["größe"], 3)
    assert len(caplog.records) == 1
    assert "too long" in caplog.text


def test_objects_have_fields_and_a_stamp() -> None:
    form = Json([("x", "f4"), ("where.floor", "i2"), ("name", "U4")], time="t", tick=1e-3)
    reading = decoder(form).reading(
        '[{"t": 1.5, "x": null, "where": {"floor": 2}, "name": "a", "more": []},'
        ' {"t": 2.5, "x": 1, "where": {"floor": -1}, "name": "b"}]'
    )
    assert reading is not None
    assert str(reading.data.tolist()) == "[(nan, 2, 'a'), (1.0, -1, 'b')]"
    assert np.asarray(reading.device_time).tolist() == [1_500_000, 2_500_000]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"1970-01-01T00:00:01.000002Z"', 1_000_002_000),
        ('"1970-01-01T01:00:01+01:00"', 1_000_000_000),
        ('"1970-01-01T00:00:01"', 1_000_000_000),
        ("1796000000.123456789", 1_796_000_000_123_456_717),  # the float that is nearest
        ("1796000000", 1_796_000_000_000_000_000),
    ],
)
def test_stamps_are_numbers_or_iso_texts(text: str, wanted: int) -> None:
    reading = decoder(Json([("x", "f8")], time="t")).reading(f'{{"x": 1, "t": {text}}}')
    assert reading is not None
    assert np.asarray(reading.device_time).tolist() == [wanted]


@pytest.mark.parametrize(
    "message",
    ["", "nonsense", "5", "[5]", "{}", '{"x": 1}', '{"t": 1}', '{"x": "1", "t": 1}',
     '{"x": 1, "t": "soon"}', '{"x": 1, "t": null}', '{"x": 1, "t": true}', '{"x": 300, "t": 1}',
     '{"x": 1.5, "t": 1}', '{"x": 1, "t": 1e300}', '{"x": [1], "t": 1}', '{"x": NaN, "t": 1}',
     '{"x": 1, "t": Infinity}', "[" * 100_000],
)  # fmt: skip
def test_what_does_not_fit_is_lost(message: str) -> None:
    objects = decoder(Json([("x", "u1")], time="t"))
    assert objects.reading(message) is None
    reading = objects.reading('{"x": 1, "t": 1}')
    assert reading is not None
    assert reading.lost == 1


@pytest.mark.parametrize("time", ["1796046117241994", '"9999-12-31"', "-1e30"])
def test_a_time_in_another_unit_is_said(time: str, caplog: pytest.LogCaptureFixture) -> None:
    assert decoder(Json([("x", "u1")], time="t")).reading(f'{{"x": 1, "t": {time}}}') is None
    assert "is no time that int64 nanoseconds can hold; see tick=" in caplog.text


def test_values_and_nothing() -> None:
    values = decoder(Json("f8"))
    assert values.reading("[]") is None
    for message, wanted in (("20.5", [20.5]), ("[1, 2]", [1.0, 2.0])):
        reading = values.reading(message)
        assert reading is not None
        assert (reading.data.tolist(), reading.lost) == (wanted, None)


@pytest.mark.parametrize(
    ("make", "word"),
    [(lambda: Text(0), "longest"), (lambda: Text(1 << 29), "longest"),
     (lambda: Json("nonsense"), "dtype"),
     (lambda: Json("O"), "dtype"), (lambda: Json("f8", time="t"), "time"),
     (lambda: Json([("x", "f8")], tick=0), "tick")],
)  # fmt: skip
def test_wrong_options_are_named(make: Any, word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        make()
