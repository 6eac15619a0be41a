"""Signals by a database: the same as cantools gives, many messages at a time."""

from typing import Any

import cantools
import numpy as np
from can_cases import DBC, rows
from hypothesis import given
from hypothesis import strategies as st

from rxstream.devices.can import Can, CanFlag
from rxstream.formats.can_decode import Decoder


def test_fields_names_units_and_choices() -> None:
    info = Can(0, interface="virtual", decode=DBC).info
    assert info.dtype.names == (
        "arbitration_id", "dlc", "data", "flags", "channel", "message", "Speed", "Engine.Count",
        "Page", "Torque", "Pressure", "Gear.data", "Gear.Count",
    )  # fmt: skip
    assert info.extra["messages"] == ("Engine", "Gear")
    assert info.extra["units"] == {"Speed": "rpm", "Torque": "Nm", "Pressure": "Pa"}
    assert info.extra["choices"] == {"Page": {0: "torque", 1: "pressure"}}
    assert info.extra["channel"] == 0


def test_signals_are_nan_where_a_message_has_none() -> None:
    engine = (291, bytes([100, 0, 7, 0, 0, 0, 0, 0]), 0)
    torque = (352, bytes([0, 0, 150, 0, 0, 0, 0x0A, 9]), CanFlag.EXTENDED)
    pressure = (352, bytes([1, 0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 8]), CanFlag.EXTENDED)
    out = Decoder(DBC).decode(rows(engine, torque, pressure))
    nan = np.nan
    assert out["message"].tolist() == [0, 1, 1]
    np.testing.assert_array_equal(out["Speed"], [25.0, nan, nan])
    np.testing.assert_array_equal(out["Engine.Count"], [7, nan, nan])
    np.testing.assert_array_equal(out["Page"], [nan, 0, 1])
    np.testing.assert_allclose(out["Torque"], [nan, 10.0, nan])
    np.testing.assert_array_equal(out["Pressure"], [nan, nan, -2])
    np.testing.assert_array_equal(out["Gear.Count"], [nan, 9, 8])
    np.testing.assert_array_equal(out["Gear.data"], [nan, 10, 0])


def test_what_has_no_signals_keeps_its_row() -> None:
    data = bytes(8)
    out = Decoder(DBC).decode(
        rows(
            (291, data, CanFlag.REMOTE), (291, data, CanFlag.ERROR), (291, data, CanFlag.EXTENDED),
            (352, data, 0), (292, data, 0), (291, b"\x04\x00", 0),
        )
    )  # fmt: skip
    assert out["message"].tolist() == [0, -1, -1, -1, -1, 0]
    np.testing.assert_array_equal(out["Speed"], [np.nan] * 5 + [1.0])
    assert np.isnan(out["Engine.Count"][5])  # the message was too short for it
    assert out["arbitration_id"].tolist() == [291, 291, 291, 352, 292, 291]


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, int]:
    """Return a database of messages with one signal each, and their length [bytes]."""
    length = draw(st.sampled_from([1, 2, 8, 8, 8, 24, 64]))
    lines, kinds = [], []
    for k in range(draw(st.integers(1, 5))):
        size = draw(st.sampled_from([1, 3, 8, 12, 16, 31, 32, 33, 63, 64]))
        size = min(size, 8 * length)
        at = draw(st.integers(0, 8 * length - size))
        intel = draw(st.booleans())
        if not intel:  # count from the highest bit of the first byte
            at = 8 * (at // 8) + 7 - at % 8
        signed = draw(st.sampled_from("+-"))
        scale, offset = draw(st.sampled_from([(1, 0), (0.25, -40), (2, 1), (-0.1, 1e3)]))
        lines.append(f"BO_ {100 + k} M{k}: {length} E")
        lines.append(f' SG_ S{k} : {at}|{size}@{int(intel)}{signed} ({scale},{offset}) [0|0] "" E')
        if size in (32, 64) and draw(st.booleans()):
            kinds.append(f"SIG_VALTYPE_ {100 + k} S{k} : {1 if size == 32 else 2};")
    return "\n".join(['VERSION ""', *lines, *kinds, ""]), length


@given(layouts(), st.data())
def test_the_same_as_cantools(layout: tuple[str, int], data: st.DataObject) -> None:
    text, length = layout
    database: Any = cantools.database.load_string(text)
    ids = st.integers(100, 99 + len(database.messages))
    sent = data.draw(
        st.lists(st.tuples(ids, st.binary(min_size=length, max_size=length)), max_size=8)
    )
    out = Decoder(database).decode(rows(*((k, payload, 0) for k, payload in sent)))
    for row, (k, payload) in zip(out, sent, strict=True):
        expected = database.decode_message(k, payload, decode_choices=False)
        for signal in range(len(database.messages)):
            value = expected.get(f"S{signal}", np.nan)
            np.testing.assert_equal(row[f"S{signal}"], np.float64(value))


def test_some_signals() -> None:
    def chosen(*names: str) -> list[str]:
        return list(Decoder(DBC, names).dtype.names or ())[6:]

    assert chosen("Torque", "Speed") == ["Torque", "Speed"]
    assert chosen("Gear.Torque") == ["Torque"]
    assert chosen("Count") == ["Engine.Count", "Gear.Count"]
    torque = (352, bytes([0, 0, 150, 0, 0, 0, 0x0A, 9]), CanFlag.EXTENDED)
    out = Decoder(DBC, ["Torque"]).decode(rows(torque))  # by a multiplexer that is not chosen
    assert out["Torque"].tolist() == [10.0]


def test_ten_thousand_messages_at_once() -> None:
    decoder = Decoder(DBC)
    raw = rows(*[(291, bytes(8), 0), (352, bytes(8), CanFlag.EXTENDED)] * 5000)
    out = decoder.decode(raw)
    assert len(out) == 10_000
    assert (out["message"] == np.arange(10_000) % 2).all()
