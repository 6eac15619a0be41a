"""The server of asyncua, subscribed to, cut off, killed and started again."""

import datetime as dt
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import free_port
from plc_servers import OpcServer
from polled import ServerProcess, freeze, outage

from rxstream import Device
from rxstream.data.clock import now_ns
from rxstream.devices import OpcUa
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "opcua.md"
COUNT = "ns=2;s=count"
MS = 1_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[OpcServer]:
    """A server for all tests: it takes seconds to start."""
    with OpcServer() as server:
        yield server


def test_changes_keep_the_rules(server: OpcServer) -> None:
    numbers = iter(range(1, 1_000_000))
    check_source(
        lambda: OpcUa(server.url, {"count": COUNT}, every=0.02),
        feed=lambda: server.write("count", float(next(numbers))),
        unplug=server.unplug, plug=server.plug,
        absent=lambda: OpcUa(f"opc.tcp://127.0.0.1:{free_port()}", COUNT),
    )  # fmt: skip


def test_a_server_that_is_killed_and_started_again() -> None:
    with ServerProcess("opcua") as server:
        found = outage(OpcUa(server.url, COUNT, every=0.02), server)
        error = freeze(OpcUa(server.url, COUNT), server)
    assert isinstance(error, DeviceLostError)
    assert "has not answered within 2 s" in str(error)
    before = np.array([sample["value"] for sample in found.before])
    after = np.array([sample["value"] for sample in found.after])
    assert (np.diff(before) == 1).all()
    assert (np.diff(after) == 1).all()
    assert before[-1] < 1_000_000 <= after[0]
    assert found.reasons == ["disconnect"]
    assert found.resumed <= 2.0


def test_nothing_is_lost_between_two_sendings(server: OpcServer) -> None:
    server.wrong = -dt.timedelta(hours=1)  # the clock of the source is
    device = Device(OpcUa(server.url, COUNT, every=0.5))
    with device.reader() as reader, device:
        reader.read(1, timeout=20)
        before = now_ns()
        stamps = server.write("count", *(1e6 + k for k in range(300)))
        chunk = reader.read(300, timeout=20)
        after = now_ns()
    server.wrong = dt.timedelta(0)
    assert np.array_equal(chunk.data["value"], 1e6 + np.arange(300))
    assert chunk.data["good"].all()
    assert not chunk.gaps
    # they came in a message or two, and have the times of their source; but for the first of them
    # if a busy machine got the value before them late
    assert np.median(np.abs(np.diff(chunk.time) - np.diff(stamps))) < MS
    assert before <= chunk.time[0] < chunk.time[-1] <= after


def test_several_nodes_come_in_order_of_time(server: OpcServer) -> None:
    items = {"number": COUNT, "state": "ns=2;s=flag"}
    device = Device(OpcUa(server.url, items, every=0.3))
    with device.reader() as reader, device:
        first = reader.read(2, timeout=20)
        server.write("count", 3e6)
        server.write("flag", True)
        server.write("count", 3e6 + 1)
        chunk = reader.read(3, timeout=20)
        server.write("flag", False)
    assert set(first.data["node"]) == {"number", "state"}
    assert chunk.data.tolist() == [
        ("number", 3e6, True), ("state", 1.0, True), ("number", 3e6 + 1, True),
    ]  # fmt: skip


def test_texts_arrays_and_values_that_are_missing(server: OpcServer) -> None:
    texts = OpcUa(server.url, "ns=2;s=text", "U8", every=0.02)
    points = OpcUa(server.url, {"p": "ns=2;s=point"}, ("f4", (3,)), every=0.02)
    counts = OpcUa(server.url, {"c": COUNT}, every=0.02)
    first, second, third = Device(texts), Device(points), Device(counts)
    with (
        first.reader() as of_texts, second.reader() as of_points, third.reader() as of_counts,
        first, second, third,
    ):  # fmt: skip
        for reader in (of_texts, of_points, of_counts):
            reader.read(1, timeout=20)
        server.write("text", "much too long", "runs")
        server.write("point", None, status=0x808D0000)
        server.write("point", [1.0, 2.0, 3.0])
        server.write("count", 4e6, status=0x808D0000)  # BadOutOfService
        server.write("count", 4e6 + 1, status=0x480)
        text = of_texts.read(1, timeout=20)
        point = of_points.read(2, timeout=20)
        count = of_counts.read(2, timeout=20)
        faults = [str(fault) for fault in (*first.faults, *third.faults)]
    assert text.data["value"].tolist() == ["runs"]
    assert text.gap is not None
    assert text.gap.lost == 1
    assert np.isnan(point.data["value"][0]).all()
    assert point.data["value"][1].tolist() == [1, 2, 3]
    # a bad status is said; one of a queue that overflowed is a loss before it
    assert count.data["good"].tolist() == [False, True]
    assert [(at.position, at.gap.lost) for at in count.gap_positions] == [(1, 1)]
    assert "has 13 characters" in faults[0]
    assert "dropped changes of c, one at least; give a larger queue=" in faults[1]


def test_it_needs_user_and_password(
    server: OpcServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    monkeypatch.setenv("RX_WRONG", "wrong")
    known = OpcUa(server.url, COUNT, user="lab", password=f"file:{secret}")
    device = Device(known)
    with device.reader() as reader, device:
        assert len(reader.read(1, timeout=20)) == 1
    with pytest.raises(DeviceBusyError, match=r"refuses access .*give user= and password="):
        Device(OpcUa(server.url, COUNT, user="lab", password="env:RX_WRONG")).open()


def test_what_is_in_the_way_is_said(server: OpcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no connection to opc.tcp://.*see that it"):
        Device(OpcUa(f"opc.tcp://127.0.0.1:{free_port()}", COUNT)).open()
    absent = OpcUa(server.url, {"count": COUNT, "x": "ns=2;s=nowhere"})
    with pytest.raises(DeviceNotFoundError, match=r"refuses x \(ns=2;s=nowhere\): BadNodeId"):
        Device(absent).open()
    monkeypatch.setitem(sys.modules, "asyncua", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[opcua\]"):
        Device(OpcUa(server.url, COUNT)).open()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"url": "http://plant"}, "opc.tcp://"), ({"url": "opc.tcp://a:b@plant"}, "password="),
        ({"items": "Temperature"}, "is no node"), ({"items": {"x": "s=a", "y": "s=a"}}, "twice"),
        ({"items": {}}, "items"), ({"items": "ns=0;i=5"}, "no node"), ({"items": "g=5"}, "no node"),
        ({"dtype": [("x", "f8")]}, "dtype"), ({"dtype": "O"}, "dtype"),
        ({"dtype": "noise"}, "dtype"), ({"every": 0}, "every"), ({"sampling": -1}, "sampling"),
        ({"queue": 0}, "queue"), ({"user": 5}, "user"), ({"password": "s3cret"}, "env:NAME"),
        ({"password": "env:A"}, "needs a user"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(word)) as caught:
        OpcUa(**{"url": "opc.tcp://plant", "items": COUNT} | options)
    assert "s3cret" not in str(caught.value)


def test_the_page_runs(server: OpcServer, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    block = block.replace("opc.tcp://192.168.0.5:4840", server.url)
    exec(block.replace("ns=2;s=Boiler.Temperature", COUNT), {})
    assert "temperature" in capsys.readouterr().out
