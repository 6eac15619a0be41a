"""Can against its counterparts: slcan over a pty, a socketcand server, a second process."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from can_buses import SlcanAdapter, SocketCanServer, in_a_network_of_its_own
from counterparts import free_port
from fakes import eventually

from rxstream import Backoff, Chunk, Device, concat
from rxstream.devices.can import Can, CanFilter, CanFlag
from rxstream.errors import DeviceLostError, DeviceNotFoundError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

MULTICAST = Path(__file__).parents[2] / "support" / "can_multicast.py"
SLCAN: dict[str, Any] = {"interface": "slcan", "options": {"sleep_after_open": 0}}


def served(port: int, **options: Any) -> Can:
    where = {"host": "127.0.0.1", "port": port}
    return Can("can0", interface="socketcand", options=where, **options)


def test_an_slcan_adapter_keeps_the_rules(tmp_path: Path) -> None:
    with SlcanAdapter(tmp_path) as adapter:
        check_source(
            lambda: Can(adapter.path, bitrate=500_000, **SLCAN), feed=adapter.send,
            unplug=adapter.unplug, plug=adapter.plug,
            absent=lambda: Can(str(tmp_path / "none"), **SLCAN),
        )  # fmt: skip


def test_a_socketcand_server_keeps_the_rules() -> None:
    with SocketCanServer() as server:
        check_source(
            lambda: served(server.port), feed=server.send,
            unplug=server.unplug, plug=server.plug,
            absent=lambda: served(free_port()),
        )  # fmt: skip


def test_a_virtual_bus_keeps_the_rules_with_filters() -> None:
    wanted = (0x123, CanFilter(0x200, 0x700), {"can_id": 0x18FF0000, "can_mask": 0x1FFF0000})
    with can.Bus("ruled", interface="virtual") as bus:
        message = can.Message(arbitration_id=0x123, is_extended_id=False)
        check_source(
            lambda: Can("ruled", interface="virtual", fd=True, filters=wanted),
            feed=lambda: bus.send(message),
        )


def test_a_server_that_is_killed_and_started_again() -> None:
    chunks: list[Chunk[Any]] = []
    with SocketCanServer() as server:
        device = Device(served(server.port), reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        device.subscribe(chunks.append)
        with device:
            for number in range(200):
                server.send(f"frame 123 {{:.6f}} {number:02X}")
            assert eventually(lambda: sum(map(len, [*chunks])) == 200)
            server.unplug()
            assert lost.wait(20)
            server.plug()
            assert eventually(lambda: device.state == "open")
            for number in range(50):
                server.send(f"frame 123 {{:.6f}} {number:02X}")
            assert eventually(lambda: sum(map(len, [*chunks])) == 250)
    whole = concat(chunks)
    assert whole.data["data"][:, 0].tolist() == [*range(200), *range(50)]
    assert [(at.position, at.gap.reason) for at in whole.gap_positions] == [(200, "disconnect")]
    assert isinstance(device.faults[0], DeviceLostError)
    assert "its server has closed the connection" in str(device.faults[0])


def test_error_frames_of_a_server_are_samples() -> None:
    with (
        SocketCanServer() as server,
        Device(served(server.port, filters=[0x123])) as device,
        device.reader() as reader,
    ):
        server.send("error 20000040 {:.6f}")
        server.send("frame 124 {:.6f} 05")
        server.send()
        data = reader.read(2, timeout=20).data
    assert data["flags"].tolist() == [
        CanFlag.ERROR | CanFlag.EXTENDED | CanFlag.RX, int(CanFlag.RX),
    ]  # fmt: skip
    assert data["arbitration_id"].tolist() == [0x40, 0x123]


@pytest.mark.parametrize("error_frames", [True, False])
@pytest.mark.parametrize("filters", [(), (0x123,)])
def test_error_frames_pass_by_their_option_alone(error_frames: bool, filters: Any) -> None:
    source = Can("erring", interface="virtual", filters=filters, error_frames=error_frames)
    with (
        can.Bus("erring", interface="virtual") as bus,
        Device(source) as device,
        device.reader() as reader,
    ):
        bus.send(can.Message(is_error_frame=True, arbitration_id=4, data=bytes(8)))
        bus.send(can.Message(arbitration_id=0x123, is_extended_id=False))
        data = reader.read(2 if error_frames else 1, timeout=20).data
    erring = (data["flags"] & CanFlag.ERROR != 0).tolist()
    assert erring == ([True, False] if error_frames else [False])


def test_a_bus_of_which_nothing_is_taken_is_silent() -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Can("unwanted", interface="virtual", filters=[0x7FF]))
    device.with_heartbeats().subscribe(chunks.append)
    with can.Bus("unwanted", interface="virtual") as bus, device:
        assert eventually(lambda: chunks)
        before = chunks[-1].end
        # never silent for long enough to say so by itself
        message = can.Message(arbitration_id=0x123, is_extended_id=False)

        def later() -> bool:
            bus.send(message)
            return chunks[-1].end > before + 200_000_000

        assert eventually(later)
    assert not any(map(len, chunks))


def test_can_fd_between_two_processes() -> None:
    result = in_a_network_of_its_own(sys.executable, str(MULTICAST))
    if result is None:
        pytest.skip("this machine gives no network namespace (unshare -rn)")
    assert result.returncode == 0, result.stderr
    got = json.loads(result.stdout)
    f = CanFlag
    fd = f.EXTENDED | f.FD | f.BRS | f.RX
    assert got["numbers"] == list(range(500))
    assert got["flags"] == sorted([int(fd), int(fd | f.ESI)])
    assert got["lengths"] == [64]
    assert got["gaps"] == 0
    assert got["sent"] == 500
    assert got["answers"] == list(range(500))


def test_nobody_changes_the_options_later() -> None:
    filters, options = [0x123, {"can_id": 1, "can_mask": 2}], {"a": [1, 2]}
    source = Can([0, 1], interface="vector", filters=filters, options=options)
    same = Can((0, 1), interface="vector", filters=(0x123, CanFilter(1, 2)), options=source.options)
    filters.clear()
    options.clear()
    assert source == same
    assert hash(source) == hash(same)
    assert source.filters == (0x123, CanFilter(1, 2))
    assert source.options == (("a", (1, 2)),)
    assert Can("a", options={"x": 1, "y": 2}) == Can("a", options={"y": 2, "x": 1})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"options": 5}, "options must be a dict"), ({"options": "ab"}, "options must be a dict"),
        ({"options": {"a": {}}}, r"options: a is \{\}, which can be changed; give a tuple"),
        ({"filters": [CanFilter]}, "is neither"), ({"filters": CanFilter(1, 1)}, "a list"),
        ({"filters": [{"can_id": 1, "can_mask": 1, "x": 2}]}, "filters: .* is neither"),
        ({"filters": [{"can_id": -1, "can_mask": 1}]}, "can_id must be from 0"),
        ({"error_frames": 1}, "error_frames must be True or False"), ({"fd": 1}, "fd must be"),
        ({"bitrate": True}, "bitrate must be"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Can("can0", **options)


def test_a_server_needs_an_address() -> None:
    with pytest.raises(ParameterError, match=r"give options=\{'host'"):
        Can("can0", interface="socketcand").open(print, print)
    with pytest.raises(DeviceNotFoundError, match="see that socketcand is running"):
        served(free_port()).open(print, print)


def test_filters_of_numpy_are_numbers() -> None:
    assert Can("a", filters=np.array([1, 2]).tolist()) == Can("a", filters=[np.int64(1), 2])
