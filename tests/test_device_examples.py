"""The devices of examples/: in twenty lines each they keep the rules on the real thing."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import Broker, Packets, PointServer, TcpServer, free_port

from rxstream import Device
from rxstream.testing import check_source

pytestmark = pytest.mark.real

FOLDER = Path(__file__).parent.parent / "examples" / "devices"
MOST_LINES = 20
NAMES = {
    "accelerometer": "Accelerometer",
    "health": "Health",
    "mqtt": "Mqtt",
    "tcp_lines": "TcpLines",
    "web_socket": "WebSocket",
}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


def example(name: str) -> Any:
    return getattr(import_module(name), NAMES[name])


def test_these_are_all() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_twenty_lines_at_most(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text()
    (device,) = (node for node in ast.parse(text).body if hasattr(node, "decorator_list"))
    first, last = device.decorator_list[0].lineno, device.end_lineno
    lines = [line for line in text.splitlines()[first - 1 : last] if line.strip()]
    assert len(lines) <= MOST_LINES, f"{len(lines)} lines"


def test_lines_of_a_tcp_server() -> None:
    lines = example("tcp_lines")
    with TcpServer() as server:
        check_source(
            lambda: lines("127.0.0.1", server.port),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: lines("127.0.0.1", free_port()),
        )  # fmt: skip


def test_points_of_a_web_socket() -> None:
    points = example("web_socket")
    with PointServer() as server:
        check_source(
            lambda: points(server.url), unplug=server.unplug, plug=server.plug,
            absent=lambda: points(f"ws://127.0.0.1:{free_port()}"),
        )  # fmt: skip


# paho leaves a pair of sockets to the collector, which may take them before it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_numbers_of_a_broker() -> None:
    numbers = example("mqtt")
    with Broker() as broker:
        check_source(
            lambda: numbers("lab/#", "127.0.0.1", broker.port), feed=broker.publish("lab/celsius"),
            unplug=broker.unplug, plug=broker.plug,
            absent=lambda: numbers("lab/#", "127.0.0.1", free_port()),
        )  # fmt: skip


def test_the_health_of_the_computer() -> None:
    check_source(lambda: example("health")(0.05))


def test_an_accelerometer(tmp_path: Path) -> None:
    device = example("accelerometer")
    with Packets(tmp_path) as line:
        check_source(
            lambda: device(str(line.path)), feed=line.send,
            unplug=line.unplug, plug=line.plug,
            absent=lambda: device("/dev/nowhere"),
            busy=lambda: device(str(line.path)),
        )  # fmt: skip


def test_an_accelerometer_counts_what_is_lost_and_skips_garbage(tmp_path: Path) -> None:
    with Packets(tmp_path) as line:
        device = Device(example("accelerometer")(str(line.path)), timestamps="arrival")
        with device, device.reader() as reader:
            for number in range(40):
                garbage = b"\xaa\x55 noise \xaa" if number == 5 else b""
                line.send(lost=48 if number == 10 else 0, garbage=garbage)
            chunk = reader.read(640, timeout=20)
    numbers = np.r_[0:160, 208:688]
    assert np.array_equal(chunk.data[:, 0], numbers)
    assert np.array_equal(chunk.data[:, 1], -numbers)
    assert [(at.position, at.gap.lost) for at in chunk.gap_positions] == [(160, 48)]
