"""The server of pymodbus, by TCP and by a serial line, read, killed and started again."""

import itertools
import re
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import free_port
from fakes import eventually
from plc_servers import ModbusSlave
from polled import ServerProcess, freeze, outage
from ptys import pty_pair

from rxstream import Backoff, Device
from rxstream.devices import Modbus
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "modbus.md"


def registers(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(raw) // 2}H", raw)


def count(server: ServerProcess | ModbusSlave, every: float = 0.02) -> Modbus:
    return Modbus("127.0.0.1", "holding:0:DINT", every, port=server.port)


def test_registers_keep_the_rules() -> None:
    with ServerProcess("modbus") as server:
        check_source(
            lambda: count(server), unplug=server.unplug, plug=server.plug,
            absent=lambda: Modbus("127.0.0.1", "coil:0", port=free_port()),
        )  # fmt: skip


def test_a_slave_that_is_killed_and_started_again() -> None:
    with ServerProcess("modbus") as server:
        found = outage(count(server), server)
        assert isinstance(freeze(count(server), server), DeviceLostError)
    found.check_counts()


# Values, their addresses, and their registers from number 2 on.
VALUES: dict[str, tuple[str, Any, bytes]] = {
    "plain": ("holding:2", 65534, struct.pack(">H", 65534)),
    "signed": ("holding:3:INT", -2, struct.pack(">h", -2)),
    "voltage": ("holding:4:REAL", 230.5, struct.pack(">f", 230.5)),
    "energy": ("holding:6:ULINT", 1 << 63, struct.pack(">Q", 1 << 63)),
    "phases": ("holding:10:DINT[2]", [70_000, -70_000], struct.pack(">2i", 70_000, -70_000)),
    "alarm": ("holding:14.9:BOOL", True, b"\x02\x00"),
    "states": ("holding:14.8:BOOL[3]", [False, True, False], b""),
    "name": ("holding:15:STRING[5]", "Pump", b"Pump\0\0"),
}


def test_each_type_is_read_as_it_stands() -> None:
    items = {name: address for name, (address, _, _) in VALUES.items()}
    items |= {"level": "input:1:INT", "open": "coil:1", "all": "discrete:0:BOOL[4]"}
    raw = b"".join(part for _, _, part in VALUES.values())
    with ModbusSlave(registers=registers(raw)) as slave:
        source = Modbus("127.0.0.1", items, 0.05, port=slave.port)
        with Device(source) as device, device.reader() as reader:
            chunk = reader.read(2, timeout=20)
    assert chunk.dtype == source.info.dtype
    for name, (_, value, _) in VALUES.items():
        np.testing.assert_array_equal(chunk.data[name][-1], value, name)
    assert chunk.data["level"].tolist() == [7, 7]
    assert chunk.data["open"].tolist() == [False, False]
    assert chunk.data["all"][0].tolist() == [True, False, True, False]
    assert chunk.rate is None
    assert chunk.uncertainty < 50_000_000


def test_the_lowest_word_may_come_first() -> None:
    high, low = registers(struct.pack(">f", 230.5))
    words = (low, high, *reversed(registers(struct.pack(">q", -5))))
    with ModbusSlave(registers=words) as slave:
        items = {"voltage": "holding:2:REAL", "total": "holding:4:LINT"}
        source = Modbus("127.0.0.1", items, 0.05, word_order="little", port=slave.port)
        with Device(source) as device, device.reader() as reader:
            assert reader.read(1, timeout=20).data.tolist() == [(230.5, -5)]


def test_what_is_refused_is_lost_and_counted() -> None:
    with ModbusSlave() as slave:
        device = Device(count(slave, every=0.05))
        with device.reader() as reader, device:
            first = reader.read(3, timeout=20)
            slave.refuses = 6
            assert eventually(lambda: len(device.faults), 20)
            slave.refuses = 0
            chunk = reader.read(10, timeout=20)
            faults = list(device.faults)
    assert chunk.lost
    assert "dropped" in [gap.reason for gap in chunk.gaps]
    # a question that was refused counted nothing
    assert np.array_equal(chunk.data, first.data[-1] + 1 + np.arange(10))
    assert isinstance(faults[0], OverrunError)
    assert len(faults) == 1
    assert "refuses holding:0:DINT: it is busy (exception 6)" in str(faults[0])


def test_times_are_as_good_as_they_say() -> None:
    with ModbusSlave() as slave:
        slave.delays = [0.0, 0.02, 0.005, 0.03, 0.001]
        device = Device(count(slave, every=0.05))
        with device.reader() as reader, device:
            chunks = [reader.read(1, timeout=20) for _ in range(20)]
    for chunk in chunks:
        looked = slave.looked[int(chunk.data[0])]
        assert abs(int(chunk.time[0]) - looked) <= chunk.uncertainty
    # a busy machine may leave out a turn
    assert all(chunk.gap is None or chunk.gap.reason == "overrun" for chunk in chunks)


def test_a_serial_line_whose_slave_is_switched_off_and_on(tmp_path: Path) -> None:
    items = {"count": "holding:0:DINT", "level": "holding:2:INT[2]"}
    with pty_pair(tmp_path) as (near, far):
        source = Modbus(near, items, 0.05, baud=115_200)
        device = Device(source, reconnect=Backoff(first=0.05, most=0.2))
        with device.reader() as reader:
            with ModbusSlave(serial=far, registers=(5, 6)) as slave:
                device.open()
                before = reader.read(4, timeout=20)
                with pytest.raises(DeviceBusyError, match="close what else uses it"):
                    Device(Modbus(near, "holding:0", baud=115_200)).open()
                slave.refuses = 4
                assert eventually(lambda: len(device.faults), 20)
            assert eventually(lambda: device.state == "lost", 20)
            with ModbusSlave(serial=far, first=1000, registers=(7, 8)):
                after = reader.read(4, timeout=20)
                device.close()
    assert before.data["count"].tolist() == [1, 2, 3, 4]
    assert before.data["level"][0].tolist() == [5, 6]
    assert (np.diff(after.data["count"][after.data["count"] >= 1000]) == 1).all()
    assert after.data["level"][-1].tolist() == [7, 8]
    assert "disconnect" in [gap.reason for gap in after.gaps]
    with pytest.raises(DeviceNotFoundError, match="No such file"):
        Device(Modbus("/dev/no-such-line", "coil:0", baud=9600)).open()


@pytest.mark.parametrize(
    ("function", "registers", "words"),
    [(3, 3, "3 cells, not the 1"), (3, 0, "0 cells"), (4, 1, "function 4, not holding:0")],
)
def test_an_answer_to_another_question_is_no_sample(
    function: int, registers: int, words: str
) -> None:
    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for number in itertools.count():
                if len(question := self.request.recv(12)) < 12:
                    return
                kind, count = (function, registers) if number > 2 else (3, 1)
                body = bytes([question[6], kind, 2 * count]) + b"\0\7" * count
                head = question[:4] + len(body).to_bytes(2, "big")
                self.request.sendall(head + body)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        source = Modbus("127.0.0.1", "holding:0", every=0.02, port=server.server_address[1])
        device = Device(source)
        with device.reader() as reader, device:
            assert reader.read(2, timeout=20).data.tolist() == [7, 7]
            assert device.wait(20)
        server.shutdown()
        thread.join()
    assert words in str(device.error)


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no connection to 127.0.0.1:\d+ .*see that it"):
        Device(Modbus("127.0.0.1", "coil:0", port=free_port())).open()
    with ModbusSlave() as slave:
        absent = Modbus("127.0.0.1", {"x": "holding:900:REAL"}, port=slave.port)
        with pytest.raises(DeviceNotFoundError, match=r"refuses holding:900:REAL: it has no such"):
            Device(absent).open()
    with socket.create_server(("127.0.0.1", 0)) as full:
        threading.Thread(target=lambda: full.accept()[0].close()).start()
        with pytest.raises(DeviceNotFoundError, match=r"does not answer \(.*no other program"):
            Device(Modbus("127.0.0.1", "coil:0", port=full.getsockname()[1])).open()
    monkeypatch.setitem(sys.modules, "pymodbus.client", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[modbus\]"):
        Device(Modbus("127.0.0.1", "coil:0")).open()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"address": ""}, "address"), ({"items": {}}, "items"), ({"items": "40001"}, "no address"),
        ({"items": "register:0"}, "no address"), ({"items": "holding:0:BYTE"}, "'BYTE' is no type"),
        ({"items": "holding:0:BOOL"}, "needs its bit"), ({"items": "holding:0.16:BOOL"}, "to 15"),
        ({"items": "coil:0:INT"}, "it holds BOOLs"), ({"items": "holding:0:REAL[63]"}, "several"),
        ({"items": "holding:65535:REAL"}, "beyond 65535"), ({"every": -1}, "every"),
        ({"unit": 256}, "unit"), ({"word_order": "middle"}, "word_order"), ({"port": 0}, "port"),
        ({"max_gap": -1}, "max_gap"), ({"baud": 0}, "baud"), ({"parity": "even"}, "parity"),
        ({"stop_bits": 3}, "stop_bits"), ({"address": "10.0.0.5:502"}, "'10.0.0.5' and port=502"),
        ({"address": "tcp://plc"}, "alone, not 'tcp://plc'; give 'plc'"),
        ({"address": "/dev/ttyUSB0"}, "needs its speed, baud="),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(word)):
        Modbus(**{"address": "127.0.0.1", "items": "coil:0"} | options)


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with ModbusSlave(registers=registers(struct.pack(">f", 230.5))) as slave:
        exec(block.replace('"192.168.0.7"', f'"127.0.0.1", port={slave.port}'), {})
    assert "230.5" in capsys.readouterr().out
