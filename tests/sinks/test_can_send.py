"""can_send: on the virtual bus, to an slcan adapter, to a socketcand server; full, off and gone."""

import re
import sys
import threading
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from can_buses import SlcanAdapter, SocketCanServer
from can_cases import rows
from counterparts import free_port
from fakes import eventually

from rxstream import Chunk, Device
from rxstream.devices.can import Can, CanFlag
from rxstream.devices.simulated import Simulated
from rxstream.errors import (
    ChunkError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
    RxStreamError,
    SinkError,
    SubscriberError,
)
from rxstream.sinks import can_send

pytestmark = pytest.mark.real

INFO = Can("can0", interface="virtual").info
PAGE = Path(__file__).parents[2] / "docs" / "devices" / "can.md"
X, F = CanFlag.EXTENDED, CanFlag.FD


def chunk_of(*messages: tuple[int, bytes, int]) -> Chunk[Any]:
    return Chunk.stamped(rows(*messages), range(len(messages)), INFO)


def test_everything_a_message_can_be_is_sent() -> None:
    remote = rows((0x7FF, b"", CanFlag.REMOTE))
    remote["dlc"] = 5
    chunk = chunk_of(
        (0x1ABCDEF0, b"12345678", X | CanFlag.RX), (0x123, b"", 0),
        (1, bytes(range(64)), F | CanFlag.BRS | CanFlag.ESI),
    )  # fmt: skip
    with can.Bus("out", interface="virtual") as other:
        with can_send("out", interface="virtual", fd=True) as sink:
            sink.on_next(chunk)
            sink.on_next(Chunk.stamped(remote, [5], INFO))
        got = [other.recv(10) for _ in range(4)]
    assert sink.sent == sink.samples == 4
    assert [m.arbitration_id for m in got] == [0x1ABCDEF0, 0x123, 1, 0x7FF]
    assert [bytes(m.data) for m in got] == [b"12345678", b"", bytes(range(64)), b""]
    assert [m.is_extended_id for m in got] == [True, False, False, False]
    assert (got[2].is_fd, got[2].bitrate_switch, got[2].error_state_indicator) == (True,) * 3
    assert (got[3].is_remote_frame, got[3].dlc) == (True, 5)


def test_a_bus_is_passed_on_to_another() -> None:
    """A gateway of 2000 messages, each once and in order."""
    with (
        can.Bus("in", interface="virtual") as first,
        can.Bus("out", interface="virtual") as second,
        can_send("out", interface="virtual") as sink,
        Device(Can("in", interface="virtual")) as device,
    ):
        device.subscribe(sink)
        for number in range(2000):
            first.send(can.Message(arbitration_id=number, is_extended_id=True))
        got = [second.recv(10).arbitration_id for _ in range(2000)]
    assert got == list(range(2000))
    assert sink.closed
    assert sink.sent == 2000


def test_an_slcan_adapter_gets_what_is_sent(tmp_path: Path) -> None:
    options = {"sleep_after_open": 0}
    with SlcanAdapter(tmp_path) as adapter:
        with can_send(adapter.path, interface="slcan", bitrate=500_000, options=options) as sink:
            sink.on_next(chunk_of((0x123, b"\xab\xcd", 0), (0x18FF0001, b"\x01", X)))
        seen = b""
        # it is closed before it is opened, and when the sink is
        while not (b"O\r" in seen and seen.endswith(b"C\r")):
            seen += adapter.read()
    assert re.findall(rb"[tT][^\r]*\r", seen) == [b"t1232ABCD\r", b"T18FF0001101\r"]


def test_a_server_gets_what_is_sent_until_it_is_gone() -> None:
    with SocketCanServer() as server:
        options = {"host": "127.0.0.1", "port": server.port}
        sink = can_send("can0", interface="socketcand", options=options)
        sink.on_next(chunk_of((0x123, b"\x01\x02", 0)))
        assert eventually(lambda: server.sent)
        assert server.sent == ["send 123 2 1 2"]
        server.unplug()

        def later() -> bool:
            try:
                sink.on_next(chunk_of((0x123, b"", 0)))
            except SinkError as error:
                assert "socketcand can0: message" in str(error)  # noqa: PT017
                return True
            return False

        assert eventually(later)
    assert sink.closed


def test_a_full_bus_is_an_error_of_this_sink_alone() -> None:
    """The virtual bus is full as a receiver's queue is: two messages, which nobody takes."""
    faults: list[Any] = []
    seen = threading.Event()
    with can.Bus("full", interface="virtual", rx_queue_size=2) as other:
        device = Device(Simulated.can(rate=1000.0, duration=0.02))
        taken: list[int] = []
        device.faults.subscribe(lambda fault: (faults.append(fault), seen.set()))
        device.subscribe(lambda chunk: taken.append(len(chunk)))
        sink = can_send("full", interface="virtual", timeout=0.05)
        device.subscribe(sink)
        with device:
            assert sink.wait(20)
            assert device.wait(20)
            assert seen.wait(20)
        assert other.recv(0) is not None
    assert sink.sent == 2
    assert isinstance(sink.error, SinkError)
    assert "message 3 was not sent within 0.05 s" in str(sink.error)
    assert "see that another node acknowledges" in str(sink.error)
    assert isinstance(faults[0], SubscriberError)
    assert sum(taken) == 20


def test_a_bus_that_goes_off_is_an_error() -> None:
    """The virtual bus never goes off by itself: its error frame is sent by the test."""
    with can.Bus("off", interface="virtual") as other:
        sink = can_send("off", interface="virtual")
        sink.on_next(chunk_of((1, b"", 0)))
        other.send(can.Message(arbitration_id=0x44, is_error_frame=True, data=bytes(8)))
        with pytest.raises(SinkError, match=r"the bus is off after 1 messages.*type can restart"):
            sink.on_next(chunk_of((2, b"", 0)))
        assert sink.closed
        assert other.recv(0).arbitration_id == 1
        assert other.recv(0) is None


def test_what_others_send_does_not_pile_up() -> None:
    other = can.Bus("busy", interface="virtual")
    with other, can_send("busy", interface="virtual") as sink:
        sink.on_next(chunk_of((1, b"", 0)))
        for _ in range(100):
            other.send(can.Message(arbitration_id=5))
        assert sink._bus.queue.qsize() == 100
        sink.on_next(chunk_of((1, b"", 0)))
        assert sink._bus.queue.qsize() == 0


def test_error_frames_are_counted_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    with can.Bus("erring", interface="virtual") as other:
        with can_send("erring", interface="virtual") as sink:
            sink.on_next(chunk_of((4, bytes(8), CanFlag.ERROR | X), (5, b"", 0)))
        assert other.recv(10).arbitration_id == 5
    assert (sink.sent, sink.unfit) == (1, 1)
    assert "can_send virtual erring: error frames cannot be sent" in caplog.text


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ((1, bytes(12), F), "a message of CAN FD, on a bus that is opened without: add fd=True"),
        ((1, bytes(9), 0), r"a message has 9 bytes; CAN has 0 to 8"),
        ((0x800, b"", 0), "the identifier 0x800 is beyond 0x7FF"),
        ((1 << 29, b"", X), "the identifier 0x20000000 is beyond"),
    ],
)
def test_what_is_no_message_is_refused_before_anything_is_sent(message: Any, words: str) -> None:
    with can.Bus("strict", interface="virtual") as other:
        sink = can_send("strict", interface="virtual")
        with pytest.raises(ChunkError, match=words):
            sink.on_next(chunk_of((1, b"", 0), message))
        assert sink.closed
        assert other.recv(0) is None


def test_a_length_that_can_fd_has_not() -> None:
    sink = can_send("strict", interface="virtual", fd=True)
    with pytest.raises(ChunkError, match=r"a message has 11 bytes; .* 8, 12, 16"):
        sink.on_next(chunk_of((1, bytes(11), F)))


def test_a_remote_frame_that_can_fd_has_not() -> None:
    sink = can_send("strict", interface="virtual", fd=True)
    with pytest.raises(ChunkError, match="a remote frame of CAN FD, which has none"):
        sink.on_next(chunk_of((1, b"", F | CanFlag.REMOTE)))


def test_another_stream_is_refused() -> None:
    info = Simulated(rate=10.0).info
    chunk = Chunk.stamped(np.zeros(1, info.dtype), [0], info)
    with pytest.raises(ChunkError, match="sends messages with the fields of CAN_DTYPE"):
        can_send("a", interface="virtual").on_next(chunk)


def test_a_bus_that_is_not_there_refuses_the_subscription() -> None:
    device = Device(Simulated.can())
    for options, kind, words in (
        ({"interface": "slcan", "channel": "/dev/none"}, DeviceNotFoundError, "/dev/none"),
        ({"interface": "slcam"}, ParameterError, "no interface 'slcam'"),
        (
            {"interface": "socketcand", "options": {"host": "127.0.0.1", "port": free_port()}},
            DeviceNotFoundError, "socketcand is running",
        ),
    ):  # fmt: skip
        sink = can_send(**options)  # type: ignore[arg-type]
        with pytest.raises(kind, match=words):
            device.subscribe(sink)
        assert sink.closed
        with pytest.raises(RxStreamError, match="make a new sink"):
            device.subscribe(sink)


def test_a_sink_that_gets_nothing_closes_its_bus() -> None:
    sink = can_send("idle", interface="virtual")
    device = Device(Simulated.can())
    subscription = device.subscribe(sink)
    assert "idle" in can.interfaces.virtual.channels
    subscription.dispose()
    assert "idle" not in can.interfaces.virtual.channels
    assert sink.closed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bitrate": 0}, "bitrate must be"), ({"data_bitrate": 5}, "add fd=True"),
        ({"timeout": 0}, "timeout"), ({"options": 5}, "options must be a dict"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        can_send("can0", **options)


def test_without_python_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[can\]"):
        can_send("can0")


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()
    with can.Bus("demo", interface="virtual") as bus, can.Bus("b", interface="virtual") as other:

        def feed() -> None:
            while not over.wait(0.01):
                bus.send(can.Message(arbitration_id=0x123, data=b"\x05", is_extended_id=False))

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            for block in blocks:
                exec(block.replace('interface="socketcan"', 'interface="virtual"'), {})
        finally:
            over.set()
            thread.join()
        assert other.recv(10).arbitration_id == 0x124
    assert "0x123 5" in capsys.readouterr().out
