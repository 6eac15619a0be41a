"""A serial line on a pseudo-terminal: unplugged, plugged in again, held by somebody else."""

import itertools
import logging
import re
import sys
import threading
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import Packets as PacketLine
from counterparts import SerialLine, free_port
from fakes import eventually
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

import rxstream
from rxstream import Backoff, Device
from rxstream.devices import Serial
from rxstream.devices.serial import Lines
from rxstream.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "serial.md"


def test_lines_keep_the_rules(tmp_path: Path) -> None:
    numbers = itertools.count()
    with SerialLine(tmp_path) as line:
        port = str(line.path)
        check_source(
            lambda: Serial(port), feed=lambda: line.write(b"line %d\n" % next(numbers)),
            unplug=line.unplug, plug=line.plug,
            absent=lambda: Serial("/dev/nowhere"), busy=lambda: Serial(port),
        )  # fmt: skip


def test_an_accelerometer_keeps_the_rules(tmp_path: Path) -> None:
    with PacketLine(tmp_path) as line:
        check_source(
            lambda: Serial.accelerometer(str(line.path), rate=1600.0), feed=line.send,
            unplug=line.unplug, plug=line.plug,
        )  # fmt: skip


def sentences(number: int) -> bytes:
    """Return what a receiver says of a time, ten of which are a second."""
    time = f"{12 + number // 36_000:02}{number // 600 % 60:02}{number / 10 % 60:05.2f}"
    at = "4807.038,N,01131.000,E"
    out = b""
    for body in (
        f"GPGGA,{time},{at},1,08,0.9,545.4,M,47.0,M,,",
        f"GPRMC,{time},A,{at},1,2,230394,,",
    ):
        out += b"$%s*%02X\r\n" % (body.encode(), reduce(xor, body.encode()))
    return out


def test_a_receiver_keeps_the_rules(tmp_path: Path) -> None:
    numbers = itertools.count()
    with SerialLine(tmp_path) as line:
        check_source(
            lambda: Serial.gps(str(line.path)), feed=lambda: line.write(sentences(next(numbers))),
            unplug=line.unplug, plug=line.plug,
        )  # fmt: skip


def test_unplugged_and_plugged_in_again_all_else_is_there(tmp_path: Path) -> None:
    board = Serial(str(tmp_path / "serial"), protocol=Lines(("x",)))
    before = threading.active_count()
    with SerialLine(tmp_path) as line:
        device = Device(board, reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device, device.reader() as reader:
            line.write(b"\n" + b"".join(b"%d\n" % k for k in range(100)))
            first = reader.read(100, timeout=20)
            line.unplug()
            assert lost.wait(20)
            line.plug()
            # what is written before the port is open again is not for us
            line.read(0.0)
            feeding = threading.Event()

            def feed() -> None:
                while not feeding.wait(0.02):
                    line.write(b"-1\n")

            thread = threading.Thread(target=feed)
            thread.start()
            again = reader.read(1, timeout=20)
            feeding.set()
            thread.join()
            line.write(b"".join(b"%d\n" % k for k in range(100)) + b"-2\n")
            rest = list[float]()
            while not rest or rest[-1] != -2:
                rest += reader.read(1, timeout=20).data.tolist()
    assert first.data.tolist() == list(range(100))
    assert not first.gap_positions
    (at,) = again.gap_positions
    assert (at.position, at.gap.reason) == (0, "disconnect")
    assert [x for x in rest if x >= 0] == list(range(100))
    assert threading.active_count() == before


def test_packets_count_what_is_lost(tmp_path: Path) -> None:
    with PacketLine(tmp_path) as line:
        device = Device(Serial.accelerometer(str(line.path), 1600.0), timestamps="arrival")
        with device, device.reader() as reader:
            for number in range(40):
                garbage = b"\xaa\x55 noise \xaa" if number == 5 else b""
                line.send(lost=48 if number == 10 else 0, garbage=garbage)
            chunk = reader.read(640, timeout=20)
    assert np.array_equal(chunk.data[:, 0], np.r_[0:160, 208:688])
    assert [(at.position, at.gap.lost) for at in chunk.gap_positions] == [(160, 48)]


def test_it_is_begun_and_finished_by_what_is_written(tmp_path: Path) -> None:
    with SerialLine(tmp_path) as line:
        with Device(Serial(str(line.path), begin=b"start\n", finish=b"stop\n")):
            assert line.read() == b"start\n"
        assert line.read() == b"stop\n"


def test_a_wrong_speed_is_seen_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logged = threading.Event()
    logger = logging.getLogger("rxstream.devices.serial.source")

    def note(record: logging.LogRecord) -> bool:
        logged.set()
        return True

    logger.addFilter(note)
    try:
        with SerialLine(tmp_path) as line, Device(Serial(str(line.path), 300)):
            for _ in range(3):
                line.write(b"\xf0\x80" * 1500)
            assert logged.wait(20)
    finally:
        logger.removeFilter(note)
    assert len(caplog.records) == 1
    assert "baud=300" in caplog.text


def test_what_is_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no /dev/nowhere; see that .* Ports here"):
        Device(Serial("/dev/nowhere")).open()
    with pytest.raises(DeviceNotFoundError, match=r"/dev/null is no serial port\. Ports here"):
        Device(Serial("/dev/null")).open()
    url = f"socket://127.0.0.1:{free_port()}"
    with pytest.raises(DeviceNotFoundError, match=f"nothing answers at {url}; see its address"):
        Device(Serial(url)).open()
    with pytest.raises(DeviceNotFoundError, match="no hwgrep://SER=1"):
        Device(Serial("hwgrep://SER=1")).open()
    with (
        SerialLine(tmp_path) as line,
        Device(Serial(str(line.path))),
        pytest.raises(DeviceBusyError, match="close what else uses it"),
    ):
        Device(Serial(str(line.path))).open()
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[serial\]"):
        Device(Serial("/dev/nowhere")).open()


def adapter(path: str, number: str | None, product: int = 0x6001) -> ListPortInfo:
    """Return what pyserial says of an adapter: made up, for a pseudo-terminal has no number."""
    found = ListPortInfo(path)
    found.serial_number, found.description = number, "FT232R USB UART"
    found.vid, found.pid = 0x0403, product
    found.hwid = f"USB VID:PID=0403:{product:04X} SER={number} LOCATION=1-1"
    return found


@pytest.mark.parametrize("port", ["SER=A50285BI", "SER=a50285bi", "VID:PID=0403:6001", "A50.*BI"])
def test_an_adapter_is_found_by_what_it_says_of_itself(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SerialLine(tmp_path) as line:
        here = adapter(str(line.path), "A50285BI")
        # its number begins as the other one's, which is a whole
        other = adapter("/dev/nowhere", "A50285", 0x6015)
        monkeypatch.setattr(list_ports, "comports", lambda *_, **__: [other, here])
        with Device(Serial(f"hwgrep://{port}")) as device, device.reader() as reader:
            line.write(b"\nhere\n")
            assert reader.read(1, timeout=20).data.tolist() == ["here"]


def test_an_adapter_that_comes_back_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    ports = list[ListPortInfo]()
    monkeypatch.setattr(list_ports, "comports", lambda *_, **__: list(ports))
    first, second, other = (SerialLine(tmp_path / name) for name in ("1", "2", "1"))
    with first:
        ports.append(adapter(str(first.path), "A50285BI"))
        (found,) = Serial.discover()
        assert found.options == {"port": "hwgrep://SER=A50285BI"}
        device = Device(Serial(**found.options), reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device, device.reader() as reader:
            first.write(b"\nbefore\n")
            before = reader.read(1, timeout=20)
            # another adapter has its name by then
            ports[:] = [adapter(str(other.path), "B1")]
            first.unplug()
            assert lost.wait(20)
            assert eventually(lambda: "there is no hwgrep://SER=A50285BI" in str(device.error))
            with other, second:
                ports.append(adapter(str(second.path), "A50285BI"))
                assert eventually(lambda: device.state == "open")
                second.write(b"\nafter\n")
                after = reader.read(1, timeout=20)
    assert before.data.tolist() == ["before"]
    assert after.data.tolist() == ["after"]
    assert [at.gap.reason for at in after.gap_positions] == ["disconnect"]


def test_what_several_adapters_are_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [adapter("/dev/ttyUSB0", "0001"), adapter("/dev/ttyUSB1", "0001")]
    monkeypatch.setattr(list_ports, "comports", lambda *_, **__: list(ports))
    names = [found.options["port"] for found in Serial.discover()]
    assert names == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    for port in ("SER=0001", "VID:PID=0403:6001", "FT232R"):
        with pytest.raises(DeviceNotFoundError, match=r"is any of /dev/ttyUSB0 .*; say more"):
            Device(Serial(f"hwgrep://{port}")).open()


def test_a_serial_number_may_be_any(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [adapter("/dev/nowhere", "A(1]*"), adapter("/dev/ttyUSB1", None)]
    monkeypatch.setattr(list_ports, "comports", lambda *_, **__: list(ports))
    numbered, plain = (found.options["port"] for found in Serial.discover())
    assert (numbered, plain) == ("hwgrep://SER=A(1]*", "/dev/ttyUSB1")
    with pytest.raises(DeviceNotFoundError, match="/dev/nowhere"):
        Device(Serial(numbered)).open()


@pytest.mark.parametrize("port", ["", 5, "hwgrep://", "hwgrep://("])
def test_wrong_ports_are_named(port: Any) -> None:
    with pytest.raises(ParameterError, match="port"):
        Serial(port)


def test_it_is_opened_by_name(tmp_path: Path) -> None:
    with SerialLine(tmp_path) as line, rxstream.open(f"serial:port={line.path}") as device:
        assert device.info.name == "serial"


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with SerialLine(tmp_path) as line:
        over = threading.Event()

        def feed() -> None:
            while not over.wait(0.02):
                line.write(b"20.5,40\n")

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            exec(first.replace("/dev/ttyACM0", str(line.path)), {})
        finally:
            over.set()
            thread.join()
    assert "[[20.5 40. ]" in capsys.readouterr().out
    exec(second, {})
