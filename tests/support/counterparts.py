"""What devices are made for, on this machine: it can be unplugged, and plugged in again."""

import contextlib
import http.server
import itertools
import json
import os
import secrets
import select
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from fakes import eventually
from ptys import PtyLine

__all__ = [
    "Broker", "Packets", "Plugged", "PointServer", "QuietHttpServer", "SerialLine", "TcpServer",
    "WebServer", "Website", "certificate", "free_port", "interrupting_server",
    "server_context",
]  # fmt: skip


# Below those that systems give to connections and to servers that do not mind: a server that is
# started later, or killed and started again, finds its port free beside other tests.
_PORTS = range(10_000, 32_768)


def free_port() -> int:
    """Return a port of this machine that nobody listens to."""
    while True:
        port = secrets.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def server_context(tls: tuple[Path, Path]) -> ssl.SSLContext:
    """Return the context of a server with this certificate and key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*tls)
    return context


@contextlib.contextmanager
def interrupting_server() -> Iterator[int]:
    """Serve at the port that is returned: who connects is interrupted, as by Ctrl-C."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def interrupt() -> None:
            connection, _ = server.accept()
            connections.append(connection)
            connection.recv(10_000)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
        connections[0].close()


class Plugged:
    """Plugged in while the test runs."""

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        raise NotImplementedError

    def unplug(self) -> None:
        raise NotImplementedError


class _LineServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        self.over = threading.Event()
        super().__init__(("127.0.0.1", port), _Lines)


class _Lines(socketserver.BaseRequestHandler):
    """Sends a line a hundred times a second."""

    def handle(self) -> None:
        assert isinstance(self.server, _LineServer)
        for number in itertools.count():
            if self.server.over.wait(0.01):
                return
            try:
                self.request.sendall(f"line {number}\nand ".encode() + b"another\n")
            except OSError:
                return


class TcpServer(Plugged):
    """A TCP server that sends lines."""

    def __init__(self) -> None:
        self.port = free_port()

    def plug(self) -> None:
        self._server = _LineServer(self.port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def unplug(self) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class PointServer(Plugged):
    """A server of web sockets that sends points with a clock of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"

    def plug(self) -> None:
        from websockets.sync.server import serve

        self._over = threading.Event()
        self._connections: list[Any] = []
        self._server = serve(self._send, "127.0.0.1", self.port)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def unplug(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _send(self, connection: Any) -> None:
        from websockets.exceptions import ConnectionClosed

        self._connections.append(connection)
        try:
            for number in itertools.count():
                if self._over.wait(0.01):
                    return
                at = time.monotonic() + 1000  # its own clock
                connection.send(json.dumps({"t": at, "x": number, "y": -number, "more": 1}))
        except ConnectionClosed:
            pass


class Website(Plugged):
    """A web server whose connections can be cut; ``serve`` makes it.

    Attributes
    ----------
    listeners
        Connections that go on.
    over
        Set while it is unplugged.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.listeners: list[socket.socket] = []
        self.over = threading.Event()

    def serve(self) -> "QuietHttpServer":
        raise NotImplementedError

    def plug(self) -> None:
        self.over.clear()
        self._server = self.serve()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def unplug(self) -> None:
        """Cut all connections, without a word."""
        for listener in list(self.listeners):
            with contextlib.suppress(OSError):
                # not by a method of TLS, which belongs to the thread that serves it
                socket.socket.shutdown(listener, socket.SHUT_RDWR)
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class QuietHttpServer(http.server.ThreadingHTTPServer):
    """It waits for its connections, and says nothing of those who have gone."""

    daemon_threads = False
    block_on_close = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


class WebServer(Website):
    """A web server: ``/events`` and ``/lines`` that go on, ``/file`` with an end, and ``/now``.

    Parameters
    ----------
    tls
        Its certificate and key; None: without TLS.
    token
        What the client must give; empty: nothing.
    """

    def __init__(self, tls: tuple[Path, Path] | None = None, token: str = "") -> None:
        super().__init__()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.tls, self.token = tls, token
        self.sent: list[str] = []
        self.asked: list[dict[str, str]] = []

    def serve(self) -> QuietHttpServer:
        server = _HttpServer(("localhost", self.port), _Answers)
        server.owner = self
        if self.tls is not None:
            server.socket = server_context(self.tls).wrap_socket(server.socket, server_side=True)
        return server

    def send(self, *messages: str) -> None:
        """Send messages to who listens, of whom there is one at least."""
        assert eventually(lambda: self.listeners), "nobody listens"
        self.sent += messages


class _HttpServer(QuietHttpServer):
    owner: WebServer


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self) -> None:
        assert isinstance(self.server, _HttpServer)
        owner = self.server.owner
        owner.asked.append({name.lower(): text for name, text in self.headers.items()})
        # without a word, as servers close idle connections
        self.close_connection = True
        if owner.token and self.headers.get("Authorization") != f"Bearer {owner.token}":
            self._whole(401, "no")
        elif self.path == "/now":
            self._whole(200, owner.sent[-1] if owner.sent else "0")
        elif self.path == "/file":
            self._whole(200, "\n".join(owner.sent))
        elif self.path in ("/events", "/lines"):
            self._go_on(owner, self.path)
        else:
            self._whole(404, "nothing here")

    def _whole(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _go_on(self, owner: WebServer, path: str) -> None:
        last = self.headers.get("Last-Event-ID")
        at = len(owner.sent) if last is None else int(last) + 1
        self.send_response(200)
        if path == "/events":
            self.send_header("Content-Type", "text/event-stream")
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        owner.listeners.append(self.connection)
        try:
            # a client that has asked says no more, but that it goes
            while not (owner.over.is_set() or select.select([self.connection], [], [], 0.005)[0]):
                for text in owner.sent[at:]:
                    if path == "/events":
                        self.wfile.write(f"id: {at}\ndata: {text}\n\n".encode())
                    else:
                        line = f"{text}\n".encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    at += 1
        finally:
            owner.listeners.remove(self.connection)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return the paths of a certificate of this machine, which signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl (apt-get install openssl)")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


class SerialLine(Plugged):
    """A serial line, by a name that stays."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "serial"
        self._line: PtyLine | None = None

    def plug(self) -> None:
        self._line = PtyLine.open()
        os.symlink(self._line.path, self.path)

    def unplug(self) -> None:
        if self._line is not None:
            self.path.unlink()
            self._line.unplug()
            self._line = None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        assert self._line is not None
        self._line.write(data)

    def read(self, timeout: float = 10.0) -> bytes:
        """Return what was written to the port."""
        assert self._line is not None
        return self._line.read(timeout)


class Packets(SerialLine):
    """A serial line with packets of `examples/devices/accelerometer.py`."""

    _count = 0

    def send(self, *, lost: int = 0, garbage: bytes = b"") -> None:
        """Send a packet of 16 samples, after garbage, and after so many that get lost."""
        self._count += 16 + lost
        numbers = np.arange(self._count - 16, self._count) & 0x7FFF
        data = np.stack([numbers, -numbers, numbers], 1).astype("<i2")
        packet = b"\xaa\x55" + struct.pack("<H", self._count & 0xFFFF) + data.tobytes()
        self.write(garbage + packet + bytes([-sum(packet) % 256]))


class Broker(Plugged):
    """An MQTT broker.

    Parameters
    ----------
    tls
        Its certificate and key; None: without TLS.
    user
        Name and password that it asks for; None: anybody may.
    folder
        Where its configuration is written, for these.
    """

    def __init__(
        self,
        tls: tuple[Path, Path] | None = None,
        user: tuple[str, str] | None = None,
        folder: Path = Path(),
    ) -> None:
        self.port = free_port()
        self._tls, self._user = tls, user
        path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if path is None:
            pytest.skip("needs mosquitto (apt-get install mosquitto)")
        self._command = [path, "-p", str(self.port)]
        if tls is not None and user is not None:
            passwords, config = folder / "passwords", folder / "mosquitto.conf"
            passwords.write_text(":".join(user) + "\n")
            subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
            config.write_text(
                f"listener {self.port}\nallow_anonymous false\npassword_file {passwords}\n"
                f"certfile {tls[0]}\nkeyfile {tls[1]}\nuser root\n"
            )
            self._command = [path, "-c", str(config)]

    def plug(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert eventually(self._is_there), "mosquitto does not listen"

    def unplug(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def _is_there(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, messages: list[tuple[str, str]], *, retain: bool = False) -> None:
        """Publish texts to topics."""
        from paho.mqtt import publish

        extra: dict[str, Any] = {}
        if self._tls is not None and self._user is not None:
            extra["tls"] = {"ca_certs": str(self._tls[0])}
            extra["auth"] = dict(zip(("username", "password"), self._user, strict=True))
        packets: list[Any] = [
            {"topic": topic, "payload": text, "qos": 1, "retain": retain}
            for topic, text in messages
        ]
        publish.multiple(packets, hostname="localhost", port=self.port, **extra)

    def publish(self, topic: str) -> Callable[[], None]:
        """Return a function that publishes a number."""
        from paho.mqtt import publish

        numbers = itertools.count()
        return lambda: publish.single(
            topic, str(next(numbers)), hostname="127.0.0.1", port=self.port
        )
