"""Can on buses: the virtual one, and serial lines over pseudo-terminals."""

import errno
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from fakes import eventually
from ptys import Drain, PtyLine, pty_line, pty_pair

from rxstream import Chunk, Device, concat
from rxstream import operators as ops
from rxstream.data.clock import now_ns
from rxstream.devices.can import CAN_DTYPE, Can, CanFlag
from rxstream.devices.can.clock import BusClock
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    FormatError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)

pytestmark = pytest.mark.real

DBC = """VERSION ""
BO_ 291 Engine: 8 ECU
 SG_ Speed : 0|32@1+ (0.25,0) [0|0] "rpm" ECU
 SG_ Temperature : 39|8@0- (1,-40) [0|0] "degC" ECU
"""
COUNT = 10_000
SLCAN: dict[str, Any] = {"interface": "slcan", "options": {"sleep_after_open": 0}}


class Collector:
    """Subscribes to a device and keeps what comes, heartbeats included."""

    def __init__(self, device: Device) -> None:
        self.chunks: list[Chunk] = []
        self.errors: list[Exception] = []
        self.done = threading.Event()
        device.with_heartbeats().subscribe(self.chunks.append, self._failed, self.done.set)

    def _failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.done.set()

    @property
    def count(self) -> int:
        return sum(map(len, list(self.chunks)))

    def wait_for(self, count: int, timeout: float = 30.0) -> Chunk:
        assert eventually(lambda: self.count >= count or self.errors, timeout), self.count
        assert not self.errors, self.errors
        return concat(self.chunks)


def numbered(i: int) -> bytes:
    """Return the data of message i: its number, and a temperature."""
    return struct.pack("<IBBBB", i, 40 + i % 50, 0, 0, 0)


def numbers(chunk: Chunk) -> Any:
    return chunk.data["data"][:, :4].copy().view("<u4")[:, 0]


def send(bus: Any, i: int, identifier: int = 0x123) -> None:
    bus.send(can.Message(arbitration_id=identifier, data=numbered(i), is_extended_id=False))


@pytest.fixture
def bus() -> Iterator[Any]:
    """Give the other end of the virtual bus "test"."""
    with can.Bus("test", interface="virtual") as bus:
        yield bus


@pytest.fixture
def line() -> Iterator[PtyLine]:
    """Give a serial line."""
    with pty_line() as line:
        yield line


def test_ten_thousand_messages_on_the_virtual_bus_decoded(bus: Any) -> None:
    device = Device(Can("test", interface="virtual", decode=DBC))
    got = Collector(device)
    sent = np.empty((COUNT, 2), np.int64)
    with device:
        for i in range(COUNT):
            before = now_ns()
            send(bus, i)
            sent[i] = before, now_ns()
        chunk = got.wait_for(COUNT)
    assert len(chunk) == COUNT
    assert not chunk.gaps
    assert (numbers(chunk) == np.arange(COUNT)).all()
    assert (chunk.data["arbitration_id"] == 0x123).all()
    assert (chunk.data["flags"] == CanFlag.RX).all()
    assert (chunk.data["message"] == 0).all()
    assert (chunk.data["Speed"] == np.arange(COUNT) * 0.25).all()
    assert (chunk.data["Temperature"] == np.arange(COUNT) % 50).all()
    # python-can stamps in `send`, in float seconds: some 0.3 µs; clocks are compared to as much
    assert (chunk.time >= sent[:, 0] - 50_000).all()
    assert (chunk.time <= sent[:, 1] + 50_000).all()
    assert len(got.chunks) < COUNT / 10  # many messages in a chunk


def test_ten_thousand_messages_over_slcan(line: PtyLine) -> None:
    device = Device(Can(line.path, decode=DBC, **SLCAN))
    got = Collector(device)
    sent = np.empty(COUNT, np.int64)
    with Drain(line), device:
        for i in range(0, COUNT, 100):
            sent[i : i + 100] = now_ns()
            line.write(b"".join(b"t1238%s\r" % numbered(i + k).hex().encode() for k in range(100)))
        chunk = got.wait_for(COUNT)
        end = now_ns()
    assert (numbers(chunk) == np.arange(COUNT)).all()
    assert (chunk.data["Speed"] == np.arange(COUNT) * 0.25).all()
    assert (chunk.time >= sent - 50_000).all()  # stamped when it was read, after it was written
    assert chunk.time[-1] <= end
    assert (np.diff(chunk.time) > 0).all()


def serial_frame(stamp_ms: int, data: bytes, identifier: int = 0x123) -> bytes:
    """Return a message as python-can's interface "serial" has it on the line."""
    return b"\xaa%s%s%s%s\xbb" % (
        struct.pack("<I", stamp_ms), bytes([len(data)]), struct.pack("<I", identifier), data,
    )  # fmt: skip


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Host times at which messages were read, as the clock of the bus gets them."""
    noted: list[Any] = []
    push = BusClock.push

    def noting(self: BusClock, stamps: Any, arrivals: Any) -> Any:
        noted.append(arrivals.copy())
        return push(self, stamps, arrivals)

    monkeypatch.setattr(BusClock, "push", noting)
    return noted


def test_ten_thousand_messages_over_a_serial_line_with_a_clock_of_its_own(
    line: PtyLine, arrivals: list[Any]
) -> None:
    """Stamps in ms since the adapter's start, 300 ppm fast, become host times."""
    device = Device(Can(line.path, interface="serial", decode=DBC))
    got = Collector(device)
    true = np.empty(COUNT, np.int64)
    tick = threading.Event()
    with device:
        zero = now_ns() - 5_000_000_000  # when the adapter was switched on
        for i in range(0, COUNT, 200):
            frames = b""
            # five bursts, 8 ms apart, of which the adapter keeps four back
            for j in range(i, i + 200, 40):
                tick.wait(0.008)
                true[j : j + 40] = now = now_ns()
                stamp = int((now - zero) * (1 + 300e-6) / 1e6)
                frames += b"".join(serial_frame(stamp, numbered(j + k)) for k in range(40))
            line.write(frames)
        chunk = got.wait_for(COUNT)
    assert (numbers(chunk) == np.arange(COUNT)).all()
    assert (chunk.data["Temperature"] == np.arange(COUNT) % 50).all()
    assert (np.diff(chunk.time) > 0).all()
    arrived = np.concatenate(arrivals)
    assert (chunk.time <= arrived).all()
    # the first bursts find the offset; what was kept back is no later than the rest
    late, error = arrived[400:] - true[400:], np.abs(chunk.time - true)[400:]
    assert np.median(error) < np.median(late)
    # stamps are whole ms
    assert np.quantile(error, 0.99) <= np.quantile(late, 0.99) + 1_000_000


def test_everything_a_message_can_be(bus: Any) -> None:
    messages = [
        can.Message(arbitration_id=0x1ABCDEF0, data=b"12345678"),
        can.Message(arbitration_id=0x7FF, is_extended_id=False, is_remote_frame=True, dlc=5),
        can.Message(is_error_frame=True, data=bytes(8)),
        can.Message(
            arbitration_id=1, is_fd=True, bitrate_switch=True, error_state_indicator=True,
            data=bytes(range(64)),
        ),
    ]  # fmt: skip
    device = Device(Can("test", interface="virtual"))
    got = Collector(device)
    with device:
        for message in messages:
            bus.send(message)
        data = got.wait_for(4).data
    assert data.dtype == CAN_DTYPE
    f = CanFlag
    assert data["flags"].tolist() == [
        f.EXTENDED | f.RX, f.REMOTE | f.RX, f.EXTENDED | f.ERROR | f.RX,
        f.EXTENDED | f.FD | f.BRS | f.ESI | f.RX,
    ]  # fmt: skip
    assert data["arbitration_id"].tolist() == [0x1ABCDEF0, 0x7FF, 0, 1]
    assert data["dlc"].tolist() == [8, 5, 8, 64]
    assert data["data"][3].tolist() == list(range(64))
    assert data["data"][0].tobytes() == b"12345678" + bytes(56)


def test_a_silent_bus_says_so_and_windows_close(bus: Any) -> None:
    device = Device(Can("test", interface="virtual"))
    windows: list[Chunk] = []
    device.pipe(ops.window_by_time(0.05)).subscribe(windows.append)
    got = Collector(device)
    with device:
        send(bus, 0)
        sent = got.wait_for(1).time[0]
        assert eventually(lambda: any(len(window) for window in windows))
        assert eventually(lambda: got.chunks[-1].end > sent + 50_000_000)
        beat = got.chunks[-1]
        assert len(beat) == 0
        assert beat.end <= now_ns()
        send(bus, 1)
        chunk = got.wait_for(2)
    assert not chunk.gaps
    assert numbers(chunk).tolist() == [0, 1]


def test_filters_of_a_bus(bus: Any) -> None:
    wanted = [0x123, {"can_id": 0x200, "can_mask": 0x700, "extended": False}]
    device = Device(Can("test", interface="virtual", filters=wanted))
    got = Collector(device)
    with device:
        for k, identifier in enumerate([0x122, 0x123, 0x200, 0x2FF, 0x300, 0x123]):
            send(bus, k, identifier)
        chunk = got.wait_for(4)
    assert chunk.data["arbitration_id"].tolist() == [0x123, 0x200, 0x2FF, 0x123]


def test_closing_is_final(bus: Any) -> None:
    emitted: list[Any] = []
    close = Can("test", interface="virtual").open(emitted.append, emitted.append)
    send(bus, 0)
    assert eventually(lambda: emitted)
    close()
    close()
    count = len(emitted)
    send(bus, 1)
    assert len(emitted) == count
    assert not [t for t in threading.enumerate() if t.name == "rxstream-can"]


def test_a_serial_line_unplugged_is_an_error(line: PtyLine) -> None:
    device = Device(Can(line.path, interface="serial"))
    got = Collector(device)
    with device:
        line.write(serial_frame(1, b"ab"))
        got.wait_for(1)
        line.unplug()
        assert got.done.wait(10)
    assert isinstance(got.errors[0], DeviceLostError)
    assert "open it again" in str(got.errors[0])
    assert got.errors[0].__cause__ is not None


def test_a_serial_line_plugged_in_again_goes_on_after_a_gap(tmp_path: Path) -> None:
    path, got = tmp_path / "pty-b", None
    with pty_pair(tmp_path) as (ours, theirs):
        device = Device(Can(theirs, interface="serial"), reconnect=0.05)
        got = Collector(device)
        device.open()
        write(ours, serial_frame(1000, numbered(0)))
        got.wait_for(1)
    try:
        assert eventually(lambda: device.state == "lost")
        assert not path.exists()
        with pty_pair(tmp_path) as (ours, _):
            assert eventually(lambda: device.state == "open")
            write(ours, serial_frame(2000, numbered(1)))
            chunk = got.wait_for(2)
            device.close()
    finally:
        device.close()
    assert numbers(chunk).tolist() == [0, 1]
    assert [gap.reason for gap in chunk.gaps] == ["disconnect"]
    assert chunk.gaps[0].lost is None


def write(path: str, data: bytes) -> None:
    with Path(path).open("wb", buffering=0) as port:
        port.write(data)


def test_garbled_messages_are_reported_and_skipped(line: PtyLine) -> None:
    device = Device(Can(line.path, **SLCAN))
    got = Collector(device)
    faults: list[Exception] = []
    device.faults.subscribe(faults.append)
    with Drain(line), device:
        line.write(b"t12\rt1232abcd\rtXYZ8\rt1231ff\r")
        data = got.wait_for(2).data
    assert data["dlc"].tolist() == [2, 1]
    assert len(faults) == 2
    assert all(isinstance(fault, OverrunError) for fault in faults)


def test_a_line_that_carries_something_else_is_an_error(line: PtyLine) -> None:
    device = Device(Can(line.path, **SLCAN))
    got = Collector(device)
    with Drain(line), device:
        line.write(b"the quick brown fox\r" * 150)
        assert got.done.wait(20)
    assert isinstance(got.errors[0], FormatError)
    assert "no CAN traffic" in str(got.errors[0])
    assert line.path in str(got.errors[0])


def test_wrong_bytes_on_a_serial_line_are_survived(line: PtyLine) -> None:
    device = Device(Can(line.path, interface="serial"))
    got = Collector(device)
    wrong_end = serial_frame(1, b"ab")[:-1] + b"\x00"
    with device:
        line.write(b"\x01\x02" + serial_frame(1, b"ab") + wrong_end + serial_frame(2, b"cd"))
        data = got.wait_for(2).data
    assert [row["data"][:2].tobytes() for row in data] == [b"ab", b"cd"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channel": "can0", "bitrate": 0}, "bitrate must be"),
        ({"channel": "can0", "fd": True, "data_bitrate": -1}, "data_bitrate must be"),
        ({"channel": "can0", "data_bitrate": 2_000_000}, "add fd=True"),
        ({"channel": "can0", "stamps": "gps"}, "stamps must be 'auto' or 'host'"),
        ({"channel": "can0", "filters": "0x123"}, "filters must be a list"),
        ({"channel": "can0", "filters": [1 << 29]}, "filters: 536870912 is neither"),
        ({"channel": "can0", "filters": [{"can_id": 1}]}, "can_mask"),
        ({"channel": "can0", "signals": ["Speed"]}, "add decode="),
        ({"channel": "can0", "start": 0}, "start=0 is for log files"),
        ({"channel": "can0", "path": "a.blf"}, "channel or path, not both"),
        ({"channel": "a.blf", "bitrate": 500_000}, "bitrate=500000 is for a bus"),
        ({"path": "a.blf", "interface": "virtual"}, "interface='virtual' is for a bus"),
        ({"path": "a.blf", "start": 1.5}, "no point in time"),
    ],
)
def test_wrong_options_are_errors_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Can(**options)


def refuse(*_: Any) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"interface": "slcam"}, ParameterError, "no interface 'slcam'; there are .*slcan"),
        ({"interface": "cantact", "channel": 0}, MissingExtraError, "driver of cantact cannot be"),
        ({"interface": "kvaser", "channel": 0}, MissingExtraError, "driver of kvaser cannot be"),
        ({"interface": "pcan", "channel": 0}, MissingExtraError, "driver of pcan cannot be"),
        ({"interface": "slcan", "channel": "/dev/none"}, DeviceNotFoundError, "slcan /dev/none"),
        ({"interface": "serial", "channel": "/dev/none"}, DeviceNotFoundError, "/dev/none"),
        ({"interface": "socketcan", "channel": "can99"}, DeviceNotFoundError, "can99"),
        ({"interface": "slcan", "channel": ""}, ParameterError, "does not take these options"),
    ],
)
def test_a_bus_that_cannot_be_opened(options: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Can(**options).open(refuse, refuse)


def test_options_that_an_interface_refuses(line: PtyLine) -> None:
    source = Can(line.path, bitrate=12_345, **SLCAN)
    with pytest.raises(ParameterError, match=r"does not take these options: Invalid bitrate"):
        source.open(refuse, refuse)


def test_no_interface_and_none_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CAN_INTERFACE", raising=False)
    with pytest.raises(ParameterError, match=r"no interface for can0: give interface=, one of"):
        Can("can0").open(refuse, refuse)


def test_a_bus_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs an adapter that admits one program alone, so the answer of the system is made up."""

    def busy(**_: Any) -> None:
        raise can.CanInitializationError("no") from OSError(errno.EBUSY, "Device busy")

    monkeypatch.setattr(can, "Bus", busy)
    with pytest.raises(DeviceBusyError, match="virtual test is taken"):
        Can("test", interface="virtual").open(refuse, refuse)


def test_without_python_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[can\]"):
        Can("test", interface="virtual").open(refuse, refuse)


def test_an_error_of_the_bus_comes_after_the_messages_before_it(
    bus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The virtual bus never fails by itself, so its queue is made to."""
    real: Callable[..., Any] = can.interfaces.virtual.VirtualBus._recv_internal

    def broken(self: Any, timeout: float | None) -> Any:
        if self is not bus and not self.queue.qsize() and self.poisoned.is_set():
            raise can.CanOperationError("bus off")
        return real(self, timeout)

    poisoned = threading.Event()
    monkeypatch.setattr(can.interfaces.virtual.VirtualBus, "poisoned", poisoned, raising=False)
    monkeypatch.setattr(can.interfaces.virtual.VirtualBus, "_recv_internal", broken)
    device = Device(Can("test", interface="virtual"))
    got = Collector(device)
    with device:
        for i in range(100):
            send(bus, i)
        poisoned.set()
        assert got.done.wait(10)
    assert numbers(concat(got.chunks)).tolist() == list(range(100))
    assert isinstance(got.errors[0], DeviceLostError)
    assert "bus off" in str(got.errors[0])


def test_what_is_known_before_opening() -> None:
    info = Can("can0", interface="socketcan", bitrate=500_000).info
    assert info.rate is None
    assert info.shape == ()
    assert info.dtype == CAN_DTYPE
    assert info.extra == {"interface": "socketcan", "channel": "can0", "bitrate": 500_000}
    assert Can("can0").live
    assert not Can("drive.blf").live
    assert not Can(Path("drive.ASC.GZ")).live
    assert not Can(path="drive").live
    assert Can("drive.blf", interface="virtual").live


def test_discovery_lists_what_can_be_opened() -> None:
    for found in Can.discover():
        source = Can(**found.options)
        assert source.live
        assert found.name
