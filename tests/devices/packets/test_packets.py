"""Packets of real traffic: through loopback, and through a link that goes down and comes up."""

import itertools
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from links import Link, udp_to
from reactivex.scheduler import ImmediateScheduler

from rxstream import Backoff, Chunk, Device, concat
from rxstream.authoring import now_ns
from rxstream.data.clock import host_clock
from rxstream.devices import Packets
from rxstream.devices.packets import listener
from rxstream.errors import DeviceLostError, DeviceNotFoundError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "packets.md"


def may_listen() -> bool:
    if not hasattr(socket, "AF_PACKET"):
        return False
    with suppress(PermissionError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0):
        return True
    return False


if not may_listen():
    pytest.skip("needs packet sockets of Linux, and the right to use them", allow_module_level=True)


@contextmanager
def udp_pair(family: int = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[Any]:
    """Give a socket that sends, and the address and port of one that takes it."""
    with (
        socket.socket(family, socket.SOCK_DGRAM) as far,
        socket.socket(family, socket.SOCK_DGRAM) as near,
    ):
        far.bind((host, 0))
        near.bind((host, 0))
        yield near, far.getsockname()


def test_packets_keep_the_rules() -> None:
    with Link() as link:
        check_source(
            lambda: Packets(link.name), feed=link.send, unplug=link.unplug, plug=link.plug,
            absent=lambda: Packets("nowhere0"),
        )  # fmt: skip


def test_each_packet_comes_once_with_its_addresses_and_the_kernels_time() -> None:
    with udp_pair() as (near, there):
        port = there[1]
        device = Device(Packets("lo", udp_to(port)))
        around = list[tuple[int, int]]()
        with device, device.reader() as reader:
            for k in range(200):
                before = now_ns()
                near.sendto(bytes(k), there)
                around.append((before, now_ns()))
            chunk = reader.read(200, timeout=20)
    data = chunk.data
    assert set(zip(data["protocol"], data["src"], data["dst"], strict=True)) == {
        ("udp", "127.0.0.1", "127.0.0.1")
    }
    assert set(data["src_port"]) == {near_port(data)}
    assert set(data["dst_port"]) == {port}
    assert data["length"].tolist() == [14 + 20 + 8 + k for k in range(200)]
    assert not data["sent"].any()
    assert not chunk.gap_positions
    # of the wall clock, whose distance to ours is measured to some microseconds
    slack = 100_000
    for time_ns, (before, after) in zip(chunk.time.tolist(), around, strict=True):
        assert before - slack <= time_ns <= after + slack


def test_stamps_are_in_order_though_the_wall_clock_is_measured_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Scattered:
        """The host clock, whose distance is measured by up to 0.3 ms too large."""

        errors = itertools.cycle([300_000, 0, 100_000])

        def from_realtime(self, stamp: int) -> int:
            return host_clock.from_realtime(stamp) - next(self.errors)

    monkeypatch.setattr(listener, "host_clock", Scattered())
    with udp_pair() as (near, there), Device(Packets("lo", udp_to(there[1]))) as device:
        for k in range(100):
            near.sendto(bytes(k), there)
            assert eventually(lambda k=k: len(device.last(60)) == k + 1)
        chunk = device.last(60)
        assert (np.diff(chunk.time) > 0).all()
        assert (chunk.data["length"] - 42).tolist() == list(range(100))
        assert not device.faults
        assert not chunk.gap_positions


def near_port(data: Any) -> int:
    return int(data["src_port"][0])


def test_a_connection_over_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError:
            pytest.skip("no IPv6 here")
        port = server.getsockname()[1]
        device = stack.enter_context(Device(Packets("lo")))
        with socket.create_connection(("::1", port)) as connection:
            connection.sendall(b"hello")
        assert eventually(lambda: len(of_port(device, port)) >= 3)
        rows = of_port(device, port)
    assert set(rows["protocol"]) == {"tcp"}
    assert set(rows["src"]) | set(rows["dst"]) == {"::1"}
    assert rows["dst_port"][0] == port


def of_port(device: Device, port: int) -> Any:
    data = device.last(60).data
    return data[(data["src_port"] == port) | (data["dst_port"] == port)]


def test_what_the_kernel_drops_is_a_gap_at_its_place() -> None:
    chunks, go, sent = list[Chunk[Any]](), threading.Event(), 5_000

    def slow(chunk: Chunk[Any]) -> None:
        chunks.append(chunk)
        go.wait(20)

    with udp_pair() as (near, there):
        device = Device(Packets("lo", udp_to(there[1]), buffer_bytes=60_000))
        device.subscribe(slow, scheduler=ImmediateScheduler())
        with device:
            near.sendto(bytes(0), there)
            assert eventually(lambda: chunks)
            for k in range(1, sent):
                near.sendto(bytes(k % 1000), there)
            go.set()
            # as there is room again, the next one says how many were lost before it
            for _ in range(1000):
                near.sendto(bytes(1000), there)
                sent += 1
                if any(chunk.gap_positions for chunk in list(chunks)):
                    break
                time.sleep(0.01)
            assert eventually(lambda: received(chunks) == sent)
    whole = concat(chunks)
    ((position, gap),) = whole.gap_positions
    assert gap.reason == "dropped"
    lengths = (whole.data["length"] - 42).tolist()
    assert lengths == [k % 1000 for k in range(position)] + [1000] * (len(whole) - position)


def received(chunks: list[Chunk[Any]]) -> int:
    """Return how many packets have come, with those that are known to be lost."""
    whole = concat(list(chunks))
    return len(whole) + sum(at.gap.lost or 0 for at in whole.gap_positions)


def test_all_interfaces_and_what_this_computer_sends() -> None:
    with Link() as link, Device(Packets()) as device:
        link.send(0x88B5)
        assert eventually(lambda: len(experiments(device)) >= 2)
        rows = experiments(device)
    assert {(str(row["interface"])[:3], bool(row["sent"])) for row in rows} == {
        ("rxb", True), ("rxa", False),
    }  # fmt: skip
    assert set(rows["length"]) == {60}


def experiments(device: Device) -> Any:
    data = device.last(60).data
    return data[data["protocol"] == "0x88b5"]


def test_a_link_that_goes_down_and_comes_up() -> None:
    with Link() as link:
        device = Device(Packets(link.name), reconnect=Backoff(first=0.02, most=0.1))
        lost_it = threading.Event()
        device.faults.subscribe(lambda _: lost_it.set())
        with device:
            for _ in range(50):
                link.send()
            assert eventually(lambda: len(experiments(device)) == 50)
            link.unplug()
            assert lost_it.wait(20)
            assert isinstance(device.faults[0], DeviceLostError)
            link.plug()
            assert eventually(lambda: device.state == "open")
            for _ in range(50):
                link.send()
            assert eventually(lambda: len(experiments(device)) == 100)
            chunk = device.last(60)
    assert [at.gap.reason for at in chunk.gap_positions] == ["disconnect"]


def test_what_is_in_the_way_is_said() -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no interface nowhere0; there are .*lo"):
        Device(Packets("nowhere0")).open()
    with Link() as link:
        link.unplug()
        with pytest.raises(DeviceNotFoundError, match=f"ip link set {link.name} up"):
            Device(Packets(link.name)).open()


def test_who_may_not_listen_is_told_what_to_do() -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (util-linux)")
    program = "import rxstream; rxstream.open('packets')"
    done = subprocess.run(
        [setpriv, "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-c", program],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "DeviceBusyError: packets: your user may not listen" in done.stderr
    assert "cap_net_raw+ep" in done.stderr


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"interface": "a" * 16}, "interface"), ({"bpf": "udp"}, "tcpdump -ddd"),
        ({"buffer_bytes": 5}, "buffer_bytes"), ({"interface": 5}, "interface"),
        ({"interface": "\ud800"}, "interface"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        Packets(**options)


def test_interfaces_are_found() -> None:
    assert "lo" in {found.options["interface"] for found in Packets.discover()}


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()
    with udp_pair() as (near, there):

        def send() -> None:
            while not over.wait(0.01):
                near.sendto(b"x", there)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            exec(block.replace('"eth0"', '"lo"'), {})
        finally:
            over.set()
            thread.join()
    # whose packets these are, on a computer that does other things as well, is not known
    assert capsys.readouterr().out.count(" -> ") == 3
