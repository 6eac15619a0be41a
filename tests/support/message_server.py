"""A server of web sockets that sends what a test gives it; it can be unplugged, and plugged in."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from counterparts import Plugged, free_port, server_context
from fakes import eventually

__all__ = ["MessageServer"]


class MessageServer(Plugged):
    """A server of web sockets that sends what the test gives it.

    Parameters
    ----------
    tls
        Its certificate and key; None: without TLS.
    token
        What the client must give; empty: nothing.
    """

    def __init__(self, tls: tuple[Path, Path] | None = None, token: str = "") -> None:
        self.port = free_port()
        self.url = f"{'wss' if tls else 'ws'}://localhost:{self.port}"
        self._tls, self._token = tls, token
        self.received: list[Any] = []
        self.clients: list[Any] = []
        self.closed_by: list[int | None] = []  # codes of the clients that closed

    def plug(self) -> None:
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        ready.result(10)

    async def _serve(self, ready: "Future[None]") -> None:
        # that of threads would use TLS in two of them, for which OpenSSL is not made
        from websockets.asyncio.server import serve

        context = None if self._tls is None else server_context(self._tls)
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with serve(
            self._handle, "127.0.0.1", self.port, ssl=context, process_request=self._admit
        ) as server:
            ready.set_result(None)
            await self._over.wait()
            server.close(close_connections=False)
            for client in self.clients:
                client.transport.abort()
            self.clients.clear()

    def unplug(self) -> None:
        """Cut all connections, without a word."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def send(self, message: str | bytes) -> None:
        """Send it to all that are connected, of which there is one at least."""
        self._each(lambda client: client.send(message))

    def end(self, code: int) -> None:
        """Close all connections, of which there is one at least."""
        self._each(lambda client: client.close(code))

    def _each(self, act: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        from websockets.exceptions import ConnectionClosed

        assert eventually(lambda: self.clients), "nobody is connected"
        for client in list(self.clients):
            with contextlib.suppress(ConnectionClosed):
                asyncio.run_coroutine_threadsafe(act(client), self._loop).result(20)

    def _admit(self, connection: Any, request: Any) -> Any:
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return connection.respond(401, "no\n")
        return None

    async def _handle(self, client: Any) -> None:
        self.clients.append(client)
        async for message in client:
            self.received.append(message)
        self.closed_by.append(client.close_code)
        if client in self.clients:
            self.clients.remove(client)
