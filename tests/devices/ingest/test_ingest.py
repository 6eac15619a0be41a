"""What real clients post to a server of ours: several at once, killed, slow, wrong."""

import contextlib
import itertools
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from counterparts import certificate, free_port
from fakes import eventually
from posts import half_post, post, posting

from rxstream import Backoff, Chunk, Device
from rxstream.devices import Ingest
from rxstream.devices.ingest import Raw, body, server
from rxstream.devices.messages import Json, Text
from rxstream.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    MissingExtraError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "ingest.md"
CLIENTS = Json([("client", "U8"), ("n", "i4")])
LINES, BYTES = "application/x-ndjson", "application/octet-stream"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def numbers(port: int) -> Iterator[tuple[str, list[Chunk[Any]]]]:
    """An open stream of whole numbers: its url, and the chunks that come."""
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/numbers", Json("i4"), port))
    device.subscribe(chunks.append)
    with device:
        yield f"http://127.0.0.1:{port}/numbers", chunks


def values(chunks: list[Chunk[Any]]) -> list[Any]:
    return [value for chunk in chunks for value in chunk.data.tolist()]


@pytest.mark.parametrize("message", [Json("i4"), Text(20), Raw("<i2", (2,), 1000.0)])
def test_it_keeps_the_rules(port: int, monkeypatch: pytest.MonkeyPatch, message: Any) -> None:
    monkeypatch.setenv("RX_TOKEN", "s3cret")
    source = Ingest("/it", message, port, token="env:RX_TOKEN")
    numbers = itertools.count()
    kind, body = "application/json", None
    if isinstance(message, Text):
        kind = "text/plain"
    if isinstance(message, Raw):
        kind, body = BYTES, np.zeros((10, 2), "<i2").tobytes()

    def feed() -> None:
        given = str(next(numbers)).encode() if body is None else body
        status, _ = post(f"http://127.0.0.1:{port}/it", given, kind, Authorization="Bearer s3cret")
        assert status == 200

    check_source(
        lambda: source, feed=feed, busy=lambda: source,
        absent=lambda: Ingest(port=port, host="192.0.2.1", token="env:RX_TOKEN"),
    )  # fmt: skip


def test_several_clients_at_once_lose_nothing(port: int) -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/all", CLIENTS, port))
    device.subscribe(chunks.append)
    url = f"http://127.0.0.1:{port}/all"
    with device:
        clients = {name: posting(url, name, 200) for name in "abc"}
        done = [int(client.communicate(timeout=60)[0]) for client in clients.values()]
        # an acknowledged sample is in the stream: no need to wait for it
        rows = values(chunks) if eventually(lambda: len(values(chunks)) == 600) else []
    assert done == [200, 200, 200]
    for name in clients:
        assert [n for client, n in rows if client == name] == list(range(200))


def test_each_client_has_its_own_clock_and_counter(port: int) -> None:
    devices = [
        Device(Ingest(f"/{name}", Json([("x", "i4")], time="t"), port, counter_bits=32))
        for name in "ab"
    ]
    begin = time.time()
    for device in devices:
        device.open()
    readers = [device.reader() for device in devices]
    sent: list[tuple[float, int]] = []
    longest = 0.0
    for k in range(5):
        time.sleep(0.02)
        for name, offset in (("a", -1000.0), ("b", 5e8)):
            now = time.time()
            # two samples in a body, the first 15 ms old; one body of each client is lost
            rows = [{"x": 2 * k + i, "t": now - 0.015 * (1 - i) + offset} for i in range(2)]
            if k == 3:
                continue
            sent.append((now, 2 * k))
            status, answer = post(
                f"http://127.0.0.1:{port}/{name}", json.dumps(rows).encode(), X_Counter=str(2 * k)
            )
            assert (status, answer) == (200, {"samples": 2})
            longest = max(longest, time.time() - now)
    found = [reader.read(8, timeout=20) for reader in readers]
    for device in devices:
        device.close()
    for chunk, times in zip(found, (sent[::2], sent[1::2]), strict=True):
        assert chunk.data["x"].tolist() == [0, 1, 2, 3, 4, 5, 8, 9]
        assert [(at.position, at.gap.lost) for at in chunk.gap_positions] == [(6, 2)]
        taken = np.array([time for now, _ in times for time in (now - 0.015, now)])
        errors = chunk.time / 1e9 - taken
        # by as much as a body took on its way
        assert begin - 1 < taken[0]
        assert -1e-3 < errors.min() <= errors.max() < longest + 1e-3
        np.testing.assert_allclose(np.diff(chunk.time)[::2] / 1e9, 0.015, atol=1e-5)


def test_rows_that_have_waited_keep_their_times(port: int) -> None:
    device = Device(Ingest("/", Json([("x", "i4")], time="t"), port, max_delay=5))
    url = f"http://127.0.0.1:{port}/"

    def send(*rows: tuple[int, float]) -> None:
        body = json.dumps([{"x": x, "t": t} for x, t in rows]).encode()
        assert post(url, body) == (200, {"samples": len(rows)})

    # heartbeats have meanwhile said that nothing came until 5 s ago
    with device.reader() as reader, device:
        begin = time.time()
        send((0, begin))
        first = reader.read(1, timeout=20)
        took = time.time() - begin
        time.sleep(0.5)
        send((1, begin + 0.2), (2, begin + 0.3), (3, time.time()))
        chunk = reader.read(3, timeout=20)
    times = (np.concatenate([first.time, chunk.time]) - first.time[0]) / 1e9
    assert chunk.data["x"].tolist() == [1, 2, 3]
    # after the first one, which was on its way for `took` at most
    assert (np.abs(times[1:3] - [0.2, 0.3]) <= took + 1e-3).all()
    np.testing.assert_allclose(times[2] - times[1], 0.1, atol=1e-3)


def test_a_client_that_is_killed_leaves_no_half_body(
    numbers: tuple[str, list[Chunk[Any]]],
) -> None:
    url, chunks = numbers
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]); from posts import half_post\n"
        "head = 'Content-Type: application/x-ndjson\\r\\nContent-Length: 1000'\n"
        "with half_post(sys.argv[1], head, b'1\\n2\\n3\\n'):\n"
        "    print('sent', flush=True); sys.stdin.read()"
    )
    support = str(Path(__file__).parents[2] / "support")
    with subprocess.Popen(
        [sys.executable, "-c", program, url, support],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert client.stdout.readline() == "sent\n"
        client.kill()
        client.wait()
    assert post(url, b"[7, 8]") == (200, {"samples": 2})
    assert eventually(lambda: values(chunks) == [7, 8])


def test_a_body_that_goes_on_is_taken_as_it_comes(port: int) -> None:
    """As `FlaskRequestReader` of flaskstream2py reads the body of a request by chunks."""
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/on", CLIENTS, port, counter_bits=32))
    device.subscribe(chunks.append)
    url = f"http://127.0.0.1:{port}/on"
    with device:
        client = posting(url, "a", 1_000_000, chunked=True)
        assert eventually(lambda: len(values(chunks)) >= 20)
        client.kill()
        client.communicate()
        # it comes back, and counts anew
        again = posting(url, "a", 30, chunked=True)
        assert "200 OK" in again.communicate(timeout=60)[0]
        assert eventually(lambda: values(chunks)[-1] == ("a", 29))
    numbers = [n for _, n in values(chunks)]
    assert numbers == [*range(len(numbers) - 30), *range(30)]
    assert [at.gap.reason for chunk in chunks for at in chunk.gap_positions] == ["restart"]


def test_a_slow_client_holds_up_nobody(numbers: tuple[str, list[Chunk[Any]]]) -> None:
    url, chunks = numbers
    head = "Content-Type: application/x-ndjson\r\nContent-Length: 8"
    with half_post(url, head) as slow:
        for piece in (b"1\n", b"2\n", b"3\n"):
            slow.sendall(piece)
            assert post(url, b"0")[0] == 200
        assert eventually(lambda: values(chunks) == [0, 0, 0])
        slow.sendall(b"4\n")
        assert b"200 OK" in slow.recv(10_000)
    assert eventually(lambda: values(chunks) == [0, 0, 0, 1, 2, 3, 4])


def test_a_silent_client_is_given_up(
    numbers: tuple[str, list[Chunk[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "TIMEOUT", 0.2)
    with half_post(numbers[0], "Content-Type: application/json\r\nContent-Length: 8") as slow:
        slow.settimeout(20)
        answer = slow.recv(10_000)
    assert b"408 Request Timeout" in answer


def test_what_is_too_much_comes_again_later(port: int) -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/", Json("i4"), port, max_bytes=100, max_pending=150))
    device.subscribe(chunks.append)
    url = f"http://127.0.0.1:{port}/"
    with device:
        head = "Content-Type: application/json\r\nContent-Length: 100"
        with half_post(url, head) as slow:
            # its body has room kept once its head is read
            assert eventually(lambda: _status(url, b"1" + b" " * 59) == 503)
            answer = httpx.post(
                url, content=b"1" + b" " * 59, headers={"content-type": "application/json"}
            )
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "are waiting already, of 150 at most" in answer.json()["error"]
            slow.sendall(b"7" + b" " * 99)
            assert b"200 OK" in slow.recv(10_000)
        assert eventually(lambda: _status(url, b"8" + b" " * 59) == 200)
        assert eventually(lambda: values(chunks)[-2:] == [7, 8])


def _status(url: str, body: bytes) -> int:
    return post(url, body)[0]


def test_a_large_body_gets_its_answer(numbers: tuple[str, list[Chunk[Any]]]) -> None:
    url, chunks = numbers
    for size in (2 << 20, 30 << 20):
        status, answer = post(url, b" " * size)
        assert (status, "1048576 at most" in answer["error"]) == (413, True)
    rows = json.dumps(list(range(100_000))).encode()
    assert post(url, rows) == (200, {"samples": 100_000})
    assert eventually(lambda: len(values(chunks)) == 100_000)


def test_closing_waits_for_nobody_and_loses_nothing_acknowledged(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    acknowledged: list[int] = []
    over = threading.Event()

    def client(first: int) -> None:
        for number in itertools.count(first, 3):
            try:
                status = post(url, str(number).encode())[0]
            except OSError:
                status = 0
            if status == 200:
                acknowledged.append(number)
            elif over.is_set():
                return

    chunks: list[Chunk[Any]] = []
    clients = [threading.Thread(target=client, args=(first,)) for first in range(3)]
    for thread in clients:
        thread.start()
    for _ in range(2):
        device = Device(Ingest("/", Json("i4"), port))
        device.subscribe(chunks.append)
        device.open()
        enough = len(acknowledged) + 30
        assert eventually(lambda enough=enough: len(acknowledged) >= enough)  # type: ignore[misc]
        with half_post(url, "Content-Type: application/json\r\nContent-Length: 8") as slow:
            begin = time.monotonic()
            device.close()
            # the slow one would have so long to go on
            assert time.monotonic() - begin < body.TIMEOUT
            slow.settimeout(20)
            assert b"503 Service Unavailable" in slow.recv(10_000)
    over.set()
    for thread in clients:
        thread.join()
    assert set(acknowledged) <= set(values(chunks))
    assert len(set(values(chunks))) == len(values(chunks))


def test_a_port_in_use_is_said(port: int) -> None:
    used = pytest.raises(DeviceBusyError, match=f"port {port} of 127.0.0.1 is in use")
    with socket.create_server(("127.0.0.1", port)), used:
        Device(Ingest("/", port=port)).open()
    taken = pytest.raises(DeviceBusyError, match="path / is taken")
    with Device(Ingest("/", port=port)), taken:
        Device(Ingest("/", port=port)).open()
    with Device(Ingest("/", port=port)):
        pass


def test_a_server_that_ends_by_itself_is_a_loss_and_comes_back(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/", Json("i4"), port), reconnect=Backoff(first=0.02, most=0.1))
    device.subscribe(chunks.append)
    with device:
        assert post(url, b"1")[0] == 200
        # nothing makes it end so, but an error of ours or uvicorn's
        before = server._servers["127.0.0.1", port]
        before._uvicorn.should_exit = True
        assert eventually(lambda: server._servers.get(("127.0.0.1", port)) not in (None, before))
        assert post(url, b"2")[0] == 200
        assert eventually(lambda: values(chunks) == [1, 2])
    gaps = [at.gap.reason for chunk in chunks for at in chunk.gap_positions]
    assert gaps == ["disconnect"]


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_harms_nobody(numbers: tuple[str, list[Chunk[Any]]], seed: int) -> None:
    url, chunks = numbers
    random = np.random.default_rng(seed)
    good = (
        b"POST /numbers HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        b"Content-Length: 4\r\n\r\n1\n2\n"
    )
    where = urlsplit(url)
    for _ in range(100):
        data = bytearray(good)
        for at in random.integers(0, len(data), random.integers(1, 8)):
            data[at] = random.integers(0, 256)
        with socket.create_connection((where.hostname or "", where.port or 0), 20) as client:
            client.sendall(bytes(data[: random.integers(1, len(data) + 1)]))
    assert post(url, b"[123456]") == (200, {"samples": 1})
    assert eventually(lambda: 123456 in values(chunks))


def test_tls_token_and_certificate_of_the_client(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = map(str, certificate(tmp_path))
    monkeypatch.setenv("RX_TOKEN", "s3cret")
    source = Ingest("/safe", Json("i4"), port, token="env:RX_TOKEN", cert=cert, key=key, ca=cert)
    assert "s3cret" not in repr(source)
    url = f"https://localhost:{port}/safe"
    with Device(source) as device:
        assert device.info.extra["url"] == f"https://127.0.0.1:{port}/safe"
        with pytest.raises(DeviceBusyError, match="other certificates"):
            Device(Ingest("/other", port=port)).open()
        trusts = ssl.create_default_context(cafile=cert)
        with httpx.Client(verify=trusts) as client, pytest.raises(httpx.TransportError):
            client.post(url, json=1)
        trusts.load_cert_chain(cert, key)
        with httpx.Client(verify=trusts) as client:
            assert client.post(url, json=1).status_code == 401
            right = {"Authorization": "Bearer s3cret"}
            assert client.post(url, json=1, headers=right).json() == {"samples": 1}
    with pytest.raises(DeviceNotFoundError, match=r"no server with cert='nowhere'"):
        Device(Ingest("/", port=port, cert="nowhere")).open()


@pytest.mark.parametrize("shakes_hands", [True, False])
def test_tls_clients_that_stay_connected_are_cut(
    shakes_hands: bool, port: int, tmp_path: Path
) -> None:
    """They send no goodbye, as one that keeps its connection for the next body."""
    cert, key = map(str, certificate(tmp_path))
    device = Device(Ingest("/safe", Json("i4"), port, cert=cert, key=key))
    device.open()
    with contextlib.ExitStack() as client:
        line = client.enter_context(socket.create_connection(("127.0.0.1", port), 20))
        # what comes below TLS
        raw = client.enter_context(line.dup())
        if shakes_hands:
            trusts = ssl.create_default_context(cafile=cert)
            safe = client.enter_context(trusts.wrap_socket(line, server_hostname="localhost"))
            safe.sendall(b"GET /safe HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"405 Method Not Allowed" in safe.recv(10_000)
        device.close()
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(10_000):
                pass


def test_curl_and_httpx_are_understood(port: int) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl (apt-get install curl)")
    url = f"http://127.0.0.1:{port}"
    devices = [
        Device(Ingest("/json", Json("i4"), port)), Device(Ingest("/text", Text(), port)),
        Device(Ingest("/raw", Raw("<f4", (2,), 100.0), port)),
    ]  # fmt: skip
    chunks: list[list[Chunk[Any]]] = [[], [], []]
    for device, taken in zip(devices, chunks, strict=True):
        device.subscribe(taken.append)
        device.open()
    run = [curl, "-s", "-S", "-m", "20"]
    typed = ["-H", "Content-Type: application/json"]
    for more, answer in (
        ([*typed, "-d", "[1, 2]", f"{url}/json"], '{"samples": 2}'),
        (["-d", "3", f"{url}/json"], "send application/json"),
        ([*typed, "-d", '["a"]', f"{url}/json"], "row 1: 'a' does not fit int32"),
        ([*typed, f"{url}/json"], "send samples by POST, not GET"),
        ([*typed, "-d", "3", f"{url}/nowhere"], "no stream has the path /nowhere"),
        ([*typed, "-H", "Transfer-Encoding: chunked", "-d", "3", f"{url}/json"], '{"samples": 1}'),
    ):
        done = subprocess.run([*run, *more], capture_output=True, text=True, check=True)
        assert answer in done.stdout
    for line in ("one", "two"):
        headers = {"Content-Type": "text/plain"}
        assert httpx.post(f"{url}/text", content=line, headers=headers).status_code == 200
    block = np.arange(20, dtype="<f4").reshape(10, 2)
    headers = {"Content-Type": BYTES, "X-Time": "2026-01-01T00:00:00"}
    assert httpx.post(f"{url}/raw", content=block.tobytes(), headers=headers).status_code == 200
    assert eventually(lambda: values(chunks[0]) == [1, 2, 3])
    assert eventually(lambda: values(chunks[1]) == ["one", "two"])
    assert eventually(lambda: values(chunks[2]) == block.tolist())
    for device in devices:
        device.close()


def test_without_its_drivers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uvicorn", "starlette.requests"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(MissingExtraError, match=r"rxstream\[ingest\]"):
                Device(Ingest(port=free_port())).open()


def test_the_page_runs(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()

    def feed() -> None:
        while not over.wait(0.02):
            try:
                post(f"http://127.0.0.1:{port}/roof", b'{"celsius": 20.5, "t": 5}')
            except OSError:
                continue

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        exec(blocks[0].replace("8000", str(port)), {})
    finally:
        over.set()
        thread.join()
    assert "[20.5 20.5 20.5]" in capsys.readouterr().out
