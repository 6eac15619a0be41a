"""Can(decode=): databases of all sorts, and those of another bus."""

from pathlib import Path
from typing import Any

import can
import cantools
import pytest
from can_cases import DBC
from fakes import eventually

from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.devices.can import Can
from rxstream.errors import FormatError, MissingExtraError, ParameterError


def test_databases_of_all_sorts(tmp_path: Path) -> None:
    path = tmp_path / "car.dbc"
    path.write_text(DBC)
    loaded = cantools.database.load_string(DBC)
    for database in (DBC, path, str(path), loaded):
        source = Can("can0", interface="virtual", decode=database)
        assert "Speed" in (source.info.dtype.names or ())


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
        ops.decode_can(database, signals)


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


def test_strangers_pass_and_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    chunks, errors = play([291, 1, 2] * 100, decode=DBC)
    assert not errors
    assert sum(int((chunk.data["message"] < 0).sum()) for chunk in chunks) == 200
    logged = [r.getMessage() for r in caplog.records if "the database has no" in r.getMessage()]
    assert 1 <= len(logged) <= 2
    assert "virtual decode" in logged[0]
    assert "0x1" in " ".join(logged)
    assert "0x2" in " ".join(logged)


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
