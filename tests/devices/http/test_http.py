"""What a web server sends, which is cut off and comes back, or has an end."""

import contextlib
import itertools
import json
import math
import re
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import WebServer, certificate, free_port
from fakes import eventually

from rxstream import Backoff, Chunk, Device
from rxstream.authoring import now_ns
from rxstream.devices import Http
from rxstream.devices.messages import Json
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "http.md"
NUMBERS = Json("i4")
POINTS = Json([("x", "i4")], time="t")


def point(number: int) -> str:
    return json.dumps({"x": number, "t": 1000 + number / 100})


@pytest.mark.parametrize("path", ["/events", "/lines"])
def test_what_goes_on_keeps_the_rules(path: str) -> None:
    numbers = itertools.count()
    with WebServer() as server:
        check_source(
            lambda: Http(server.url + path, NUMBERS),
            feed=lambda: server.send(str(next(numbers))),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: Http(f"http://localhost:{free_port()}"),
        )  # fmt: skip


def test_what_is_asked_keeps_the_rules() -> None:
    with WebServer() as server:
        check_source(
            lambda: Http(f"{server.url}/now", NUMBERS, every=0.05),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: Http(f"http://localhost:{free_port()}", every=1),
        )  # fmt: skip


def test_events_go_on_after_the_last_that_came() -> None:
    before = threading.active_count()
    with WebServer() as server:
        device = Device(
            Http(f"{server.url}/events", POINTS), reconnect=Backoff(first=0.02, most=0.1)
        )
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        chunks: list[Chunk[Any]] = []
        device.subscribe(chunks.append)
        with device:
            server.send(*map(point, range(100)))
            assert eventually(lambda: chunks and chunks[-1].data["x"][-1] == 99)
            server.unplug()
            assert lost.wait(20)
            # while the line is cut
            server.sent += map(point, range(100, 110))
            server.plug()
            server.send(*map(point, range(110, 200)))
            assert eventually(lambda: chunks[-1].data["x"][-1] == 199)
        last = server.asked[-1]["last-event-id"]
    assert [x for chunk in chunks for x in chunk.data["x"].tolist()] == list(range(200))
    gaps = [at.gap.reason for chunk in chunks for at in chunk.gap_positions]
    assert gaps == ["disconnect"]
    times = np.concatenate([chunk.time for chunk in chunks])
    assert (np.diff(times) > 0).all()
    assert last == "99"
    assert eventually(lambda: threading.active_count() == before)


def test_events_of_the_cut_say_between_which_times_they_happened() -> None:
    chunks: list[Chunk[Any]] = []
    lost = threading.Event()
    with WebServer() as server:
        device = Device(
            Http(f"{server.url}/events", NUMBERS), reconnect=Backoff(first=0.02, most=0.1)
        )
        device.faults.subscribe(lambda _: lost.set())
        device.subscribe(chunks.append)
        with device:
            server.send("0")
            assert eventually(lambda: chunks and chunks[-1].data.tolist() == [0])
            server.unplug()
            assert lost.wait(20)
            happened = []
            for number in (1, 2, 3):
                happened.append(now_ns())
                server.sent.append(str(number))
                time.sleep(0.05)
            server.plug()
            assert eventually(lambda: chunks[-1].data.tolist()[-1:] == [3])
            seen = now_ns()
            # what comes later was not sent again
            server.send("4")
            assert eventually(lambda: chunks[-1].data.tolist()[-1:] == [4])
    again = [chunk for chunk in chunks if set(chunk.data.tolist()) & {1, 2, 3}]
    assert [value for chunk in again for value in chunk.data.tolist()] == [1, 2, 3]
    times = np.concatenate([chunk.time for chunk in again])
    widths = np.concatenate([np.full(len(chunk), chunk.uncertainty) for chunk in again])
    assert (np.abs(times - np.array(happened)) <= widths).all()
    assert (times + widths <= seen).all()
    assert math.isnan(chunks[-1].uncertainty)


def test_events_of_the_cut_keep_the_distances_of_their_stamps() -> None:
    chunks: list[Chunk[Any]] = []
    lost = threading.Event()
    with WebServer() as server:
        device = Device(
            Http(f"{server.url}/events", POINTS), reconnect=Backoff(first=0.02, most=0.1)
        )
        device.faults.subscribe(lambda _: lost.set())
        device.subscribe(chunks.append)
        with device:
            server.send(point(0))
            assert eventually(lambda: chunks and len(chunks[-1]))
            server.unplug()
            assert lost.wait(20)
            server.sent += map(point, range(1, 6))
            # longer than they are apart
            time.sleep(0.1)
            server.plug()
            assert eventually(lambda: chunks[-1].data["x"].tolist()[-1:] == [5])
    again = np.concatenate([chunk.time for chunk in chunks if len(chunk)])[1:]
    np.testing.assert_allclose(np.diff(again), 10e6, rtol=1e-3)


def test_what_is_sent_by_the_batch_keeps_its_times() -> None:
    class Batches(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10_000)
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            self.request.sendall(head.encode())
            for batch in range(4):
                # heartbeats meanwhile must not say that nothing is to come
                time.sleep(0.3)
                now = time.monotonic()
                stamps = [now - 0.25 + 0.05 * k for k in range(6)]
                rows = [{"x": 6 * batch + k, "t": t} for k, t in enumerate(stamps)]
                self.request.sendall(f"data: {json.dumps(rows)}\n\n".encode())
            self.request.recv(10_000)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Batches) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        device = Device(Http(f"http://127.0.0.1:{server.server_address[1]}/", POINTS))
        with device.reader() as reader, device:
            chunk = reader.read(24, timeout=20)
        server.shutdown()
        thread.join()
    assert chunk.data["x"].tolist() == list(range(24))
    within = np.diff(chunk.time).reshape(-1)[[k for k in range(23) if k % 6 != 5]]
    np.testing.assert_allclose(within, 50e6, rtol=1e-3)


def test_what_is_kept_and_sent_at_once_keeps_the_distances_of_its_stamps() -> None:
    class Kept(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10_000)
            kept = "".join(f"data: {point(number)}\n\n" for number in range(5))
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            self.request.sendall((head + kept).encode())
            self.request.recv(10_000)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Kept) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        device = Device(Http(f"http://127.0.0.1:{server.server_address[1]}/", POINTS))
        with device.reader() as reader, device:
            chunk = reader.read(5, timeout=20)
        server.shutdown()
        thread.join()
    np.testing.assert_allclose(np.diff(chunk.time), 10e6, rtol=1e-3)


def test_a_device_that_was_closed_begins_anew() -> None:
    with WebServer() as server:
        source = Http(f"{server.url}/events", NUMBERS)
        for value in (1, 2):
            device = Device(source)
            with device.reader() as reader, device:
                server.send(str(value))
                assert reader.read(1, timeout=20).data.tolist() == [value]
            assert eventually(lambda: not server.listeners)
            server.sent.append("-1")
    assert not any("last-event-id" in asked for asked in server.asked)


def test_lines_are_cut_off_and_come_back() -> None:
    with WebServer() as server:
        device = Device(
            Http(f"{server.url}/lines", NUMBERS), reconnect=Backoff(first=0.02, most=0.1)
        )
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device.reader() as reader, device:
            server.send("1", "nonsense", "2")
            first = reader.read(2, timeout=20)
            server.unplug()
            assert lost.wait(20)
            server.plug()
            server.send("3", "4")
            again = reader.read(2, timeout=20)
    assert first.data.tolist() == [1, 2]
    assert [(at.position, at.gap.lost) for at in first.gap_positions] == [(1, 1)]
    assert again.data.tolist() == [3, 4]
    assert [at.gap.reason for at in again.gap_positions] == ["disconnect"]


def test_a_file_has_an_end() -> None:
    with WebServer() as server:
        server.sent += ["1", "2", "3"]
        device = Device(Http(f"{server.url}/file", NUMBERS), reconnect=True)
        values: list[int] = []
        done = threading.Event()
        device.subscribe(lambda chunk: values.extend(chunk.data.tolist()), print, done.set)
        with device:
            assert done.wait(20)
    assert values == [1, 2, 3]


def test_what_is_asked_lies_between_question_and_answer() -> None:
    with WebServer() as server:
        server.sent.append("[1, 2]")
        device = Device(Http(f"{server.url}/now", NUMBERS, every=0.02))
        with device.reader() as reader, device:
            chunk = reader.read(6, timeout=20)
    assert chunk.data.tolist() == [1, 2] * 3
    assert chunk.info.rate is None
    assert chunk.uncertainty < 1e9


def test_it_gives_a_token_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("RX_TOKEN", "s3cret")
    with WebServer((cert, key), "s3cret") as server:
        for path, every in (("/lines", None), ("/now", 0.05)):
            source = Http(server.url + path, NUMBERS, every, token="env:RX_TOKEN", ca=str(cert))
            assert "s3cret" not in repr(source)
            device = Device(source)
            with device.reader() as reader, device:
                if every is None:
                    server.send("7")
                assert reader.read(1, timeout=20).data.tolist() == [7]
            with pytest.raises(DeviceBusyError, match=r"refuses access .*give token="):
                Device(Http(server.url + path, every=every, ca=str(cert))).open()
            with pytest.raises(DeviceNotFoundError, match="not trusted: give ca="):
                Device(Http(server.url + path, every=every)).open()


@pytest.mark.parametrize(
    ("pieces", "pause", "words"),
    [(100, 0.0, "longer than max_bytes=50"), (40, 0.1, "not complete within 1.5 s")],
)
def test_an_answer_without_end_is_a_lost_device(pieces: int, pause: float, words: str) -> None:
    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            first = not asked
            asked.append(self.request.recv(10_000))
            size = 1 if first else pieces
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
            self.request.sendall(head.encode())
            with contextlib.suppress(OSError):
                for _ in range(size):
                    self.request.sendall(b"1")
                    time.sleep(0.0 if first else pause)

    asked: list[bytes] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with Device(Http(url, NUMBERS, every=0.05, max_bytes=50)) as device:
            assert device.wait(20)
            assert words in str(device.error)
            assert isinstance(device.error, DeviceLostError)
        server.shutdown()
        thread.join()


class Dripping(socketserver.BaseRequestHandler):
    """Answers the first ``good`` questions, and then a byte of a header now and then, for ever."""

    good = 0

    def handle(self) -> None:
        for _ in range(self.good):
            if not self.request.recv(10_000):
                return
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
        self.request.recv(10_000)
        with contextlib.suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                self.request.sendall(b"a")
                time.sleep(0.05)


@contextlib.contextmanager
def dripping(good: int, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run such a server; give its URL."""
    handler = type("Handler", (Dripping,), {"good": good})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        kind = "http" if context is None else "https"
        try:
            yield f"{kind}://localhost:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("secure", [False, True])
def test_headers_without_end_are_cut_off(secure: bool, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = None
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
    ca = str(cert) if secure else ""
    with dripping(3, context) as url, Device(Http(url, NUMBERS, every=0.05, ca=ca)) as device:
        assert device.wait(20)
        assert device.stats().flow.samples == 2
        assert "not complete within 1.5 s" in str(device.error)
        assert isinstance(device.error, DeviceLostError)
    with (
        dripping(0, context) as url,
        pytest.raises(DeviceNotFoundError, match=r"not complete within 1\.5 s"),
        Device(Http(url, NUMBERS, every=0.05, ca=ca)),
    ):
        pass


@pytest.mark.parametrize("every", [None, 0.05])
def test_a_wrong_path_is_said(every: float | None) -> None:
    with WebServer() as server, pytest.raises(DeviceNotFoundError, match="HTTP 404; see the path"):
        Device(Http(f"{server.url}/nowhere", every=every)).open()


def test_a_message_without_end_is_a_loss() -> None:
    with WebServer() as server:
        device = Device(Http(f"{server.url}/lines", max_bytes=1000))
        with device.reader() as reader, device:
            server.send("x" * 1_000_000)
            with pytest.raises(DeviceLostError, match="max_bytes"):
                reader.read(1, timeout=20)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"url": "ws://a"}, "http://"), ({"url": "http://me:pw@a/"}, "token="),
        ({"message": 5}, "message"), ({"token": "s3cret"}, "env:NAME"), ({"every": 0}, "every"),
        ({"every": 1, "body": "lines"}, "leave out body"), ({"body": "sse"}, "body"),
        ({"max_bytes": 0}, "max_bytes"), ({"max_delay": 0}, "max_delay"), ({"event": 5}, "event"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word) as caught:
        Http(**{"url": "http://a"} | options)
    assert "s3cret" not in str(caught.value)


def test_without_its_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for every in (None, 1):
        with pytest.raises(MissingExtraError, match=r"rxstream\[http\]"):
            Device(Http("http://localhost:1", every=every)).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    over = threading.Event()
    with WebServer() as server:

        def feed() -> None:
            while not over.wait(0.02):
                server.sent.append('{"celsius": 20.5}')

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            exec(block.replace("http://localhost:8000", server.url), {})
        finally:
            over.set()
            thread.join()
    assert "[20.5 20.5 20.5]" in capsys.readouterr().out
