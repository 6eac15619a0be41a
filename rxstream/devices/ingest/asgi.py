"""The app for servers that speak ASGI: uvicorn, and with it Starlette and FastAPI."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any, TypeAlias

from rxstream.devices.http.pieces import Pieces
from rxstream.devices.ingest.body import TIMEOUT, Body, open_body
from rxstream.devices.ingest.inlet import MOUNTED, Board
from rxstream.devices.ingest.refusal import Refusal, answer
from rxstream.optional import import_optional

__all__ = ["AsgiApp", "asgi_app", "make_asgi"]

AsgiApp: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]],
    Awaitable[None],
]

# How often a body that says nothing sees whether its stream is closed [s].
_LOOK = 0.1

# Bodies up to this size are parsed where they come [bytes]; others in a thread beside.
_SMALL = 1 << 15


def asgi_app() -> AsgiApp:
    """Return an app that takes samples for each open ``Ingest(path, port=None)`` of this process.

    Mount it in an app of Starlette or FastAPI, or let any server that speaks ASGI run it.

    Raises
    ------
    MissingExtraError
        If starlette is not installed.

    Examples
    --------
    >>> from starlette.applications import Starlette
    >>> from starlette.routing import Mount
    >>> app = Starlette(routes=[Mount("/ingest", asgi_app())])
    """
    return make_asgi(MOUNTED)


def make_asgi(board: Board) -> AsgiApp:
    """Return an app that takes samples for the inlets of a board."""
    requests = import_optional("starlette.requests", extra="ingest")
    responses = import_optional("starlette.responses", extra="ingest")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            msg = f"ingest takes samples by HTTP, not by {scope['type']}"
            raise NotImplementedError(msg)
        request = requests.Request(scope, receive)
        try:
            content, status, headers = await _take(board, request), 200, {}
        except Refusal as refusal:
            content, status, headers = refusal.content, refusal.status, refusal.headers
        except requests.ClientDisconnect:
            # what it had sent of a whole body is nothing, and nobody is there for an answer
            return
        response = responses.Response(content, status, headers, "application/json")
        await response(scope, receive, send)

    return app


async def _take(board: Board, request: Any) -> bytes:
    """Take a request; return the answer to it."""
    # some servers give the path with that of the app, others without
    root, path = request.scope.get("root_path", ""), request.scope["path"]
    if path == root or path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    with open_body(board, request.method, path, request.headers) as body:
        async for data in _received(request, body):
            await _taken(body.feed(data))
        large = body.size > _SMALL
        await _taken(await asyncio.to_thread(body.end) if large else body.end())
    return answer(samples=body.count)


async def _received(request: Any, body: Body) -> AsyncIterator[bytes]:
    """Give the bytes of a body as they come; raise Refusal if they do not."""
    pieces, came = Pieces(request.stream()), time.monotonic()
    try:
        while True:
            while not await pieces.ready(_LOOK):
                body.check(time.monotonic() - came)
            data = await pieces.next()
            if data is None:
                return
            came = time.monotonic()
            if data:
                yield data
    finally:
        await pieces.close()


async def _taken(future: Future[None] | None) -> None:
    if future is None:
        return
    try:
        # shielded: others may wait for it
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), TIMEOUT)
    except TimeoutError:
        raise Refusal(503, f"it is not taken within {TIMEOUT:g} s; send it again later") from None
