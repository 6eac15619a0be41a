"""The server of python-snap7, read, killed and started again."""

import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import free_port
from fakes import eventually
from plc_servers import S7Controller
from polled import ServerProcess, freeze, outage

from rxstream import Device
from rxstream.devices import S7
from rxstream.errors import (
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "s7.md"

# Values, their addresses, and how they stand in DB1.
VALUES: dict[str, tuple[str, Any, tuple[int, bytes]]] = {
    "running": ("DB1.DBX10.2", True, (10, b"\x04")),
    "alarms": ("DB1:12.6:BOOL[4]", [True, False, True, True], (12, b"\x40\x03")),
    "mode": ("DB1.DBB14", 200, (14, b"\xc8")),
    "offset": ("DB1.DBW16:INT", -2, (16, struct.pack(">h", -2))),
    "raw": ("DB1.DBW18", 65534, (18, struct.pack(">H", 65534))),
    "total": ("DB1.DBD20:DINT", -70_000, (20, struct.pack(">i", -70_000))),
    "energy": ("DB1:24:ULINT", 1 << 63, (24, struct.pack(">Q", 1 << 63))),
    "phases": ("DB1.DBD32:REAL[3]", [1.5, -2.5, 3.25], (32, struct.pack(">3f", 1.5, -2.5, 3.25))),
    "precise": ("DB1:44:LREAL", 0.1, (44, struct.pack(">d", 0.1))),
    "batch": ("DB1:60:STRING[10]", "Bräu 7", (60, b"\x0a\x06" + "Bräu 7".encode("latin-1"))),
    "code": ("DB1:400:CHAR[4]", "AB12", (400, b"AB12")),
}


def count(server: ServerProcess | S7Controller, every: float = 0.02) -> S7:
    return S7("127.0.0.1", "DB1.DBD0:DINT", every, port=server.port)


def test_values_keep_the_rules() -> None:
    with ServerProcess("s7") as server:
        check_source(
            lambda: count(server), unplug=server.unplug, plug=server.plug,
            absent=lambda: S7("127.0.0.1", "MW0:INT", port=free_port()),
        )  # fmt: skip


def test_a_controller_that_is_killed_and_started_again() -> None:
    with ServerProcess("s7") as server:
        found = outage(count(server), server)
        assert isinstance(freeze(count(server), server), DeviceLostError)
    found.check_counts()


def test_each_type_is_read_as_it_stands() -> None:
    items = {name: address for name, (address, _, _) in VALUES.items()}
    with S7Controller() as controller:
        for _, _, (start, raw) in VALUES.values():
            controller.data[start : start + len(raw)] = raw
        controller.markers[20:22] = struct.pack(">h", -5)
        source = S7("127.0.0.1", items | {"level": "MW20:INT"}, 0.02, port=controller.port)
        with Device(source) as device, device.reader() as reader:
            chunk = reader.read(3, timeout=20)
    assert chunk.dtype == source.info.dtype
    for name, (_, value, _) in VALUES.items():
        np.testing.assert_array_equal(chunk.data[name][-1], value, name)
    assert chunk.data["level"].tolist() == [-5, -5, -5]
    assert chunk.rate is None


def test_a_single_address_gives_plain_arrays() -> None:
    with S7Controller() as controller:
        controller.data[100:108] = struct.pack(">4h", 1, -2, 3, -4)
        source = S7("127.0.0.1", "DB1.DBW100:INT[4]", 0.02, port=controller.port)
        with Device(source) as device, device.reader() as reader:
            chunk = reader.read(2, timeout=20)
    assert chunk.data.tolist() == [[1, -2, 3, -4]] * 2
    assert chunk.dtype == np.dtype("i2")


def test_what_is_refused_is_lost_and_counted() -> None:
    with S7Controller() as controller:
        device = Device(count(controller, every=0.05))
        with device.reader() as reader, device:
            reader.read(3, timeout=20)
            controller.hide()
            assert eventually(lambda: len(device.faults), 20)
            controller.show()
            chunk = reader.read(20, timeout=20)
            faults = list(device.faults)
    assert chunk.lost
    # nothing was refused without being counted: what it counted is what came
    assert np.array_equal(np.diff(chunk.data), np.ones(19))
    assert isinstance(faults[0], OverrunError)
    assert len(faults) == 1
    assert "refuses DB1.DBD0:DINT" in str(faults[0])
    assert chunk.uncertainty < 50_000_000


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no connection to 127.0.0.1:\d+ .*PUT/GET"):
        Device(S7("127.0.0.1", "MW0:INT", port=free_port())).open()
    with S7Controller() as controller:
        absent = S7("127.0.0.1", {"x": "DB7.DBD0:REAL"}, port=controller.port)
        with pytest.raises(DeviceNotFoundError, match=r"refuses DB7.DBD0:REAL .*see the addresses"):
            Device(absent).open()
        controller.deny()
        with pytest.raises(DeviceNotFoundError, match=r"class=0x81, code=0x04.* allow PUT/GET"):
            Device(count(controller)).open()
    monkeypatch.setitem(sys.modules, "snap7", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[s7\]"):
        Device(S7("127.0.0.1", "MW0:INT")).open()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"host": ""}, "host"), ({"host": 5}, "host"), ({"items": {}}, "items"),
        ({"items": 5}, "items"), ({"items": {"x": "DB1"}}, "'x': 'DB1' is no address"),
        ({"items": {"x": 5}}, "items"), ({"items": "DB1.DBD0:TIME"}, "'TIME' is no type"),
        ({"items": "DB1:0"}, "has no type"), ({"items": "DB1.DBD0:BOOL"}, "needs its bit"),
        ({"items": "DB1.DBX0.8"}, "is no address"), ({"items": "DB1.DBW0.3:INT"}, "needs its bit"),
        ({"items": "DB1:0:STRING"}, "'STRING' is no type"),
        ({"items": (("x", "MW0"), ("x", "MW2"))}, "'x' is there twice"),
        ({"every": 0}, "every"), ({"rack": 8}, "rack"), ({"slot": -1}, "slot"),
        ({"port": 0}, "port"), ({"port": "102"}, "port"), ({"host": "plc:102"}, "and port=102"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(word)):
        S7(**{"host": "127.0.0.1", "items": "MW0:INT"} | options)


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with S7Controller() as controller:
        controller.data[0:4] = struct.pack(">f", 20.5)
        exec(block.replace('"192.168.0.1"', f'"127.0.0.1", port={controller.port}'), {})
    assert "temperature" in capsys.readouterr().out
