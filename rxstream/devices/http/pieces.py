"""`Pieces`: the bytes of a body as they come, for which one can wait for a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

__all__ = ["Pieces"]


class Pieces:
    """Asks for the next bytes ahead, so that a wait that ends early cuts nothing off.

    Parameters
    ----------
    stream
        Gives the bytes.
    """

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._asked: asyncio.Task[bytes | None] | None = None

    async def ready(self, timeout: float) -> bool:
        """Whether bytes, the end or an error are there within ``timeout`` [s]."""
        task = self._ask()
        await asyncio.wait({task}, timeout=max(0.0, timeout))
        return task.done()

    async def next(self) -> bytes | None:
        """Return the next bytes; None at the end; raise what the stream raises."""
        task = self._ask()
        try:
            return await task
        finally:
            self._asked = None

    async def close(self) -> None:
        """Ask for no more."""
        task, self._asked = self._asked, None
        if task is not None:
            task.cancel()
            # what it still had to say is nobody's
            with suppress(asyncio.CancelledError, Exception):
                await task

    def _ask(self) -> asyncio.Task[bytes | None]:
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._next())
        return self._asked

    async def _next(self) -> bytes | None:
        return await anext(self._stream, None)
