"""Servers of this process: one for each host and port, for all the streams that use it."""

import asyncio
import errno
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rxstream.devices.ingest.asgi import make_asgi
from rxstream.devices.ingest.inlet import Board, Inlet
from rxstream.devices.keepalive import KEEPALIVE
from rxstream.errors import DeviceBusyError, DeviceError, DeviceNotFoundError
from rxstream.optional import import_optional
from rxstream.printable import error_line

__all__ = ["Address", "serve"]

# Longest wait for a server to begin, and for clients to go as it ends [s].
_START, _LEAVE = 5.0, 0.5

# Most connections at a time.
_CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and by which certificates."""

    host: str
    port: int
    cert: str = ""
    key: str = ""
    ca: str = ""

    @property
    def url(self) -> str:
        """Address as clients write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"


_lock = threading.Lock()
_servers: dict[tuple[str, int], "_Server"] = {}


@contextmanager
def serve(address: Address, path: str, inlet: Inlet) -> Iterator[Callable[[], bool]]:
    """Offer an inlet at an address while the context lasts; give what says if it is served.

    Raises
    ------
    DeviceBusyError
        If another program has the port, or another stream of this one the path, or the server of
        this process other certificates.
    DeviceNotFoundError
        If this computer has no such address, or there are no such certificates.
    MissingExtraError
        If uvicorn or starlette is not installed.
    """
    place = address.host, address.port
    with _lock:
        server = _servers.get(place)
        if server is None:
            server = _servers[place] = _Server(address)
        try:
            if server.address != address:
                msg = (
                    f"ingest: {address.url} is served with other certificates by this process; "
                    "give all streams of a port the same cert=, key= and ca="
                )
                raise DeviceBusyError(msg)
            server.board.add(path, inlet)
        except DeviceBusyError:
            _leave(place, server)
            raise
    try:
        yield server.is_alive
    finally:
        inlet.close()
        with _lock:
            _leave(place, server)


def _leave(place: tuple[str, int], server: "_Server") -> None:
    """Stop a server that nobody needs."""
    if server.board.empty:
        _servers.pop(place, None)
        server.stop()


class _Server:
    """uvicorn in a thread of its own."""

    def __init__(self, address: Address) -> None:
        self.address, self.board = address, Board()
        uvicorn = import_optional("uvicorn", extra="ingest")
        config = uvicorn.Config(
            make_asgi(self.board), http="h11", loop="asyncio", ws="none", lifespan="off",
            log_config=None, access_log=False, proxy_headers=False, server_header=False,
            limit_concurrency=_CONNECTIONS,
            **_tls(address),
        )  # fmt: skip
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            msg = (
                f"ingest: no server with cert={address.cert!r}, key={address.key!r}, "
                f"ca={address.ca!r} ({error_line(error)}); give paths of PEM files"
            )
            raise DeviceNotFoundError(msg) from error
        self._listener = _listen(address)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, name=f"rxstream-ingest-{address.port}", daemon=True
        )
        self._thread.start()
        end = time.monotonic() + _START
        while not self._uvicorn.started:
            self._thread.join(0.005)
            if not self._thread.is_alive() or time.monotonic() > end:
                self.stop()
                msg = f"ingest: uvicorn has not begun to serve {address.url}"
                raise DeviceError(msg)

    def _run(self) -> None:
        with self._listener:
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._uvicorn.serve(sockets=[self._listener])
        # what it has given up, or accepted last of all, is closed in the next turns of the loop
        self._listener.cut()
        end = time.monotonic() + _LEAVE
        while self._listener.connections and time.monotonic() < end:
            await asyncio.sleep(0.001)

    def is_alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop it: answers are sent, then connections are cut."""
        self._uvicorn.should_exit = True
        self._thread.join(_LEAVE)
        self._uvicorn.force_exit = True
        # asyncio waits for a goodbye of clients by TLS, which those that are idle never send
        if self._loop is not None:
            # it is closed if all have gone
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._listener.cut)
        self._thread.join(_START)


class _Listener(socket.socket):
    """A socket that listens, and knows what it has accepted; for the thread of the loop."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, client = super().accept()
        self._accepted.add(connection)
        return connection, client

    @property
    def connections(self) -> list[socket.socket]:
        """Those that are not closed."""
        return [one for one in self._accepted if one.fileno() >= 0]

    def cut(self) -> None:
        """End all connections; whoever reads from them closes them then."""
        for connection in self.connections:
            # closed meanwhile, by either side
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _tls(address: Address) -> dict[str, Any]:
    if not address.cert:
        return {}
    options: dict[str, Any] = {
        "ssl_certfile": address.cert, "ssl_keyfile": address.key or None,
    }  # fmt: skip
    if address.ca:
        options |= {"ssl_ca_certs": address.ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _listen(address: Address) -> _Listener:
    """Return a socket that listens at an address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=256)
    except OSError as error:
        if isinstance(error, PermissionError):
            msg = f"ingest: port {address.port} is not allowed ({error}); take one above 1023"
            raise DeviceBusyError(msg) from error
        if error.errno == errno.EADDRINUSE:
            msg = (
                f"ingest: port {address.port} of {address.host} is in use by another program; "
                "close that, or give another port="
            )
            raise DeviceBusyError(msg) from error
        msg = (
            f"ingest: this computer has no address {address.host} ({error_line(error)}); give "
            "host='127.0.0.1' for itself, or '0.0.0.0' for all who can reach it"
        )
        raise DeviceNotFoundError(msg) from error
    # An answer has two parts, of which the second must not wait for a word from the client (40 ms).
    at_once = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in (*KEEPALIVE, at_once):
        # connections inherit them
        listener.setsockopt(*option)
    return _Listener(listener.detach())
