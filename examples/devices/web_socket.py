"""Points from a web socket, with the clock of the server: a driver of asyncio."""

import json
from collections.abc import AsyncIterator
from typing import Any

from rxstream.authoring import source


@source(dtype=[("x", "f8"), ("y", "f8")], requires="websockets")
async def WebSocket(url: str) -> AsyncIterator[Any]:
    """Points that a server sends as JSON: {"t": seconds, "x": …, "y": …}."""
    from websockets.asyncio.client import connect

    async with connect(url, open_timeout=5, close_timeout=0.5) as server:
        yield
        async for text in server:
            point = json.loads(text)
            yield point | {"time": round(point["t"] * 1e9)}
    raise ConnectionError(f"{url} has closed the connection")
