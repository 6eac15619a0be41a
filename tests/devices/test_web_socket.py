"""Messages of a server of web sockets that is cut off, comes back, or says that it is over."""

import itertools
import json
import re
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import certificate, free_port, interrupting_server
from fakes import eventually
from message_server import MessageServer
from stamped_batches import assert_distances, stamped_batches

from rxstream import Backoff, Device
from rxstream.devices import WebSocket
from rxstream.devices.messages import Json
from rxstream.errors import DeviceBusyError, DeviceNotFoundError, MissingExtraError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "web_socket.md"
POINTS = Json([("x", "i4")], time="t")


def point(number: int) -> str:
    return json.dumps({"x": number, "t": 1000 + number / 100})


def test_messages_keep_the_rules() -> None:
    numbers = itertools.count()
    with MessageServer() as server:
        check_source(
            lambda: WebSocket(server.url, POINTS), feed=lambda: server.send(point(next(numbers))),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: WebSocket(f"ws://localhost:{free_port()}"),
        )  # fmt: skip


def test_a_server_that_is_cut_off_and_comes_back() -> None:
    before = threading.active_count()
    with MessageServer() as server:
        device = Device(WebSocket(server.url, POINTS), reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device.reader() as reader, device:
            for number in range(100):
                server.send(point(number))
            server.send("nonsense")
            server.send(point(100))
            first = reader.read(101, timeout=20)
            server.unplug()
            assert lost.wait(20)
            server.plug()
            for number in range(200, 300):
                server.send(point(number))
            again = reader.read(100, timeout=20)
    assert first.data["x"].tolist() == list(range(101))
    assert [(at.position, at.gap.lost) for at in first.gap_positions] == [(100, 1)]
    assert again.data["x"].tolist() == list(range(200, 300))
    assert [(at.position, at.gap.reason) for at in again.gap_positions] == [(0, "disconnect")]
    assert eventually(lambda: threading.active_count() == before)


def test_the_clock_of_the_server_spaces_the_samples() -> None:
    with MessageServer() as server:
        device = Device(WebSocket(server.url, POINTS))
        with device.reader() as reader, device:
            # all at once, stamped 10 ms apart
            server.send(json.dumps([json.loads(point(number)) for number in range(50)]))
            chunk = reader.read(50, timeout=20)
    assert np.diff(chunk.time) == pytest.approx(10_000_000, abs=1000)


def test_what_is_sent_by_the_batch_keeps_its_times() -> None:
    with MessageServer() as server:
        device = Device(WebSocket(server.url, POINTS))
        with device.reader() as reader, device:
            for batch in stamped_batches():
                server.send(batch)
            chunk = reader.read(24, timeout=20)
    assert chunk.data["x"].tolist() == list(range(24))
    assert_distances(chunk)


def test_a_server_that_is_over_ends_the_stream() -> None:
    done = threading.Event()
    with MessageServer() as server:
        device = Device(WebSocket(server.url), reconnect=True)
        device.subscribe(lambda _: None, print, done.set)
        with device:
            server.send("last")
            server.end(1000)
            assert done.wait(20)
            assert device.error is None


def test_it_subscribes_with_a_token_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("RX_TOKEN", "s3cret")
    options: dict[str, Any] = {"token": "env:RX_TOKEN", "begin": "all", "ca": str(cert)}
    with MessageServer((cert, key), "s3cret") as server:
        source = WebSocket(server.url, **options)
        assert "s3cret" not in repr(source)
        with Device(source) as device, device.reader() as reader:
            server.send("safe")
            assert reader.read(1, timeout=20).data.tolist() == ["safe"]
            assert eventually(lambda: server.received == ["all"])
        with pytest.raises(DeviceBusyError, match=r"refuses access .*give token="):
            Device(WebSocket(server.url, ca=str(cert))).open()
        with pytest.raises(DeviceNotFoundError, match="not trusted: give ca="):
            Device(WebSocket(server.url)).open()


def test_no_tls_is_used_by_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # OpenSSL loses what one writes while another reads: openings got no answer, one in a hundred
    users: dict[Any, set[int]] = {}

    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            users.setdefault(self, set()).add(threading.get_ident())
            return method(self, *args, **kwargs)

        return call

    for kind in (ssl.SSLObject, ssl.SSLSocket):
        for name in ("do_handshake", "read", "write", "recv", "send", "unwrap", "shutdown"):
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, noted(getattr(kind, name)))
    cert, key = certificate(tmp_path)
    with MessageServer((cert, key)) as server:
        source = WebSocket(server.url, begin="all", ca=str(cert))
        with Device(source) as device, device.reader() as reader:
            server.send("safe")
            assert reader.read(1, timeout=20).data.tolist() == ["safe"]
            assert eventually(lambda: server.received == ["all"])
    # the client's and the server's
    assert [len(threads) for threads in users.values()] == [1, 1]


def test_it_says_that_it_goes_without_an_error() -> None:
    with MessageServer() as server:
        with Device(WebSocket(server.url)):
            assert eventually(lambda: server.clients)
        assert eventually(lambda: server.closed_by == [1000])


def test_a_message_that_is_too_long_is_said() -> None:
    with MessageServer() as server:
        device = Device(WebSocket(server.url, max_bytes=10))
        with device:
            server.send("much too long")
            assert device.wait(20)
            assert "longer than max_bytes=10" in str(device.error)


def test_ctrl_c_while_opening_leaves_nothing() -> None:
    before = threading.active_count()
    with interrupting_server() as port:
        with pytest.raises(KeyboardInterrupt):
            Device(WebSocket(f"ws://127.0.0.1:{port}")).open()
        assert eventually(lambda: threading.active_count() == before)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"url": "http://a"}, "ws://"), ({"url": "ws://me:pw@a/"}, "token="),
        ({"message": "json"}, "message"), ({"token": "s3cret"}, "env:NAME"),
        ({"max_bytes": 0}, "max_bytes"), ({"max_delay": 0}, "max_delay"), ({"begin": 5}, "begin"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word) as caught:
        WebSocket(**{"url": "ws://a"} | options)
    assert "s3cret" not in str(caught.value)


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no connection to ws://.*see that"):
        Device(WebSocket(f"ws://localhost:{free_port()}")).open()
    with pytest.raises(ParameterError, match="RX_NONE"):
        Device(WebSocket("ws://localhost:1", token="env:RX_NONE")).open()
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[websocket\]"):
        Device(WebSocket("ws://localhost:1")).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()
    with MessageServer() as server:

        def feed() -> None:
            for number in itertools.count():
                if over.wait(0.01):
                    return
                if server.clients:
                    server.send(json.dumps({"t": 1000 + number / 100, "x": 1, "y": 2.5}))

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            exec(block.replace("ws://localhost:8000", server.url), {})
        finally:
            over.set()
            thread.join()
    assert "[1. 1. 1.]" in capsys.readouterr().out
