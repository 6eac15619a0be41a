"""Signals by a database: the same as cantools gives, many messages at a time."""

import threading
from pathlib import Path
from typing import Any

import can
import cantools
import numpy as np
import pytest
from fakes import eventually
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, Device, StreamInfo
from rxstream.devices.can import CAN_DTYPE, Can, CanFlag, decode_can
from rxstream.devices.can.decode import Decoder
from rxstream.errors import ChunkError, FormatError, MissingExtraError, ParameterError

DBC = """VERSION ""
BO_ 291 Engine: 8 ECU
 SG_ Speed : 0|16@1+ (0.25,0) [0|0] "rpm" ECU
 SG_ Count : 16|8@1+ (1,0) [0|0] "" ECU
BO_ 2147484000 Gear: 8 ECU
 SG_ Page M : 7|8@0+ (1,0) [0|0] "" ECU
 SG_ Torque m0 : 15|16@0- (0.1,-5) [0|0] "Nm" ECU
 SG_ Pressure m1 : 15|32@0- (1,0) [0|0] "Pa" ECU
 SG_ Count : 63|8@0+ (1,0) [0|0] "" ECU
 SG_ data : 48|4@1+ (1,0) [0|0] "" ECU
VAL_ 2147484000 Page 0 "torque" 1 "pressure" ;
"""


def rows(*messages: tuple[int, bytes, int]) -> Any:
    """Return messages of identifier, data and flags."""
    out = np.zeros(len(messages), CAN_DTYPE)
    for row, (identifier, data, flags) in zip(out, messages, strict=True):
        row["arbitration_id"], row["dlc"], row["flags"] = identifier, len(data), flags
        row["data"][: len(data)] = list(data)
    return out


def test_fields_names_units_and_choices() -> None:
    decoder = Decoder(DBC)
    info = decoder.info(StreamInfo("can", dtype=CAN_DTYPE, extra={"channel": 0}))
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


def test_databases_of_all_sorts(tmp_path: Path) -> None:
    path = tmp_path / "car.dbc"
    path.write_text(DBC)
    loaded = cantools.database.load_string(DBC)
    for database in (DBC, path, str(path), loaded):
        source = Can("can0", interface="virtual", decode=database)
        assert "Speed" in (source.info.dtype.names or ())


def test_some_signals() -> None:
    def chosen(*names: str) -> list[str]:
        return list(Decoder(DBC, names).dtype.names or ())[6:]

    assert chosen("Torque", "Speed") == ["Torque", "Speed"]
    assert chosen("Gear.Torque") == ["Torque"]
    assert chosen("Count") == ["Engine.Count", "Gear.Count"]
    torque = (352, bytes([0, 0, 150, 0, 0, 0, 0x0A, 9]), CanFlag.EXTENDED)
    out = Decoder(DBC, ["Torque"]).decode(rows(torque))  # by a multiplexer that is not chosen
    assert out["Torque"].tolist() == [10.0]


def wide(count: int) -> str:
    lines = [f' SG_ S{k} : {k % 64}|1@1+ (1,0) [0|0] "" E' for k in range(count)]
    blocks = [
        f"BO_ {1 + i // 64} M{i // 64}: 8 E\n" + "\n".join(lines[i : i + 64])
        for i in range(0, count, 64)
    ]
    return 'VERSION ""\n' + "\n".join(blocks) + "\n"


@pytest.mark.parametrize(
    ("database", "signals", "kind", "words"),
    [
        ("none.dbc", None, ParameterError, "no file 'none.dbc'; give the path of a DBC"),
        (17, None, ParameterError, "a cantools database, not 17"),
        ("what is\nthis", None, FormatError, "no CAN database that cantools can read"),
        ('VERSION ""\n', None, FormatError, "has no CAN messages"),
        (DBC, ["Sped"], ParameterError, "has no 'Sped'; it has Engine.Count"),
        (DBC, "Speed", ParameterError, r"e.g. \('Speed',\)"),
        (wide(1024), None, ParameterError, "1024 signals make samples of .* signals="),
    ],
)
def test_what_is_no_database(
    database: Any, signals: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        Can("can0", decode=database, signals=signals)
    with pytest.raises(kind, match=words):
        decode_can(database, signals)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "photo.dbc"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match=r"photo.dbc' is no CAN database"):
        Can("can0", decode=path)


def test_without_cantools(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cantools", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[can\]"):
        Can("can0", decode=DBC)


def play(identifiers: list[int], **options: Any) -> tuple[list[Chunk], list[Exception]]:
    """Return what a device and its subscriber get of messages on the virtual bus."""
    device = Device(Can("decode", interface="virtual", **options))
    chunks: list[Chunk] = []
    errors: list[Exception] = []
    device.subscribe(chunks.append, errors.append)
    with can.Bus("decode", interface="virtual") as bus, device:
        for identifier in identifiers:
            bus.send(can.Message(arbitration_id=identifier, is_extended_id=False, data=bytes(8)))
        assert eventually(lambda: errors or sum(map(len, list(chunks))) == len(identifiers))
    return chunks, errors


def test_strangers_pass_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    chunks, errors = play([291, 1, 2] * 100, decode=DBC)
    assert not errors
    assert sum(int((chunk.data["message"] < 0).sum()) for chunk in chunks) == 200
    told = [r.getMessage() for r in caplog.records if "the database has no" in r.getMessage()]
    assert 1 <= len(told) <= 2
    assert "virtual decode" in told[0]
    assert "0x1" in " ".join(told)
    assert "0x2" in " ".join(told)


def test_a_database_that_does_not_match_a_bus() -> None:
    _, errors = play([k % 20 for k in range(2000)], decode=DBC)
    assert len(errors) == 1
    assert isinstance(errors[0], FormatError)
    words = r"virtual decode \(0x0, 0x1, .* 20 in all\) it has none; it has 0x123, 0x160x; give"
    with pytest.raises(FormatError, match=words):
        raise errors[0]


def test_a_bus_that_is_half_asleep_is_not_mistaken_for_another() -> None:
    _, errors = play([1, 2, 3] * 700, decode=DBC)
    assert not errors


def test_decoding_in_the_pipe_gives_the_same() -> None:
    device = Device(Can("pipe", interface="virtual"))
    decoded: list[Chunk] = []
    device.pipe(decode_can(DBC, ["Speed"])).subscribe(decoded.append)
    with can.Bus("pipe", interface="virtual") as bus, device:
        for i in range(50):
            data = (4 * i).to_bytes(8, "little")
            bus.send(can.Message(arbitration_id=291, is_extended_id=False, data=data))
        assert eventually(lambda: sum(map(len, list(decoded))) == 50)
    expected = Can("pipe", interface="virtual", decode=DBC, signals=["Speed"]).info
    assert decoded[0].info == expected
    assert [v for chunk in decoded for v in chunk.data["Speed"]] == [float(i) for i in range(50)]


def test_decoding_in_the_pipe_wants_can_messages() -> None:
    from rxstream.devices.simulated import Simulated

    failed = threading.Event()
    errors: list[Exception] = []
    device = Device(Simulated(rate=1000.0))
    device.pipe(decode_can(DBC)).subscribe(
        lambda _: None, lambda error: (errors.append(error), failed.set())
    )
    with device:
        assert failed.wait(10)
    assert isinstance(errors[0], ChunkError)
    assert "takes CAN messages, not simulated" in str(errors[0])


def test_ten_thousand_messages_at_once() -> None:
    decoder = Decoder(DBC)
    raw = rows(*[(291, bytes(8), 0), (352, bytes(8), CanFlag.EXTENDED)] * 5000)
    out = decoder.decode(raw)
    assert len(out) == 10_000
    assert (out["message"] == np.arange(10_000) % 2).all()
