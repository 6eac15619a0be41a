"""Pull instead of push: a reader with a cursor of its own, for loops and for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.concat import concat
from rxstream.errors import ParameterError
from rxstream.window.log import Cursor, Log, Policy, check_policy

__all__ = ["Reader", "iterate_async"]


class Reader:
    """Takes samples when asked; what comes meanwhile waits in the window.

    Iterating gives the chunks as they come. A context manager.

    Parameters
    ----------
    log
        The window.
    policy
        What happens when it is too slow.
    since
        Where to begin [ns]; None for now.
    name
        Name in messages and statistics.
    on_close
        Called once, when the reader is closed.
    """

    def __init__(
        self,
        log: Log,
        policy: Policy = "gap",
        since: int | None = None,
        name: str = "reader",
        on_close: Callable[[], None] | None = None,
    ) -> None:
        check_policy(policy)
        self._log = log
        self._wakeup: SimpleQueue[None] = SimpleQueue()
        self._cursor = Cursor(policy, self._wake, name)
        self._on_close = on_close
        self._held: list[Chunk] = []
        self._closed = False
        log.attach(self._cursor, since)

    def _wake(self) -> None:
        self._wakeup.put(None)

    def _fetch(self, deadline: int | None) -> bool:
        """Add new chunks to those held; return False at the end of the stream."""
        while not self._closed:
            chunks = self._log.take(self._cursor)
            if chunks:
                self._held += chunks
                return True
            if chunks is None:
                if self._log.error is not None:
                    raise self._log.error
                return False
            wait = None if deadline is None else max(0.0, (deadline - now_ns()) / 1e9)
            try:
                self._wakeup.get(timeout=wait)
            except Empty:
                msg = f"{self._log.name}: nothing came in time"
                raise TimeoutError(msg) from None
        return False

    def read(self, n: int | None = None, timeout: Duration | None = None) -> Chunk | None:
        """Return the next ``n`` samples as one chunk, waiting for them.

        Parameters
        ----------
        n
            Number of samples; None for what has come since the last read, at least one chunk.
        timeout
            Longest wait [s]; None for ever.

        Returns
        -------
        chunk
            Fewer samples, or None, only at the end of the stream.

        Raises
        ------
        TimeoutError
            If they did not come in time; what came is kept for the next read.
        """
        if n is not None and n < 1:
            msg = f"read: n must be >= 1, not {n!r}"
            raise ParameterError(msg)
        deadline = None
        if timeout is not None:
            deadline = now_ns() + to_span(timeout, "timeout", zero=True)
        more = True
        while more and (sum(map(len, self._held)) < (n or 0) or not self._held):
            more = self._fetch(deadline)
        if not self._held:
            return None
        joined = concat(self._held)
        self._held = []
        if n is not None and len(joined) > n:
            self._held = [joined[n:]]
            joined = joined[:n]
        return joined

    def close(self) -> None:
        """Stop reading; what waits is dropped."""
        self._closed = True
        self._held = []
        self._log.detach(self._cursor)
        self._wakeup.put(None)
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            while self._held:
                yield self._held.pop(0)
            if not self._fetch(None):
                return

    def __repr__(self) -> str:
        cursor = self._cursor
        state = "closed" if self._closed else f"{self._log.stop - cursor.position} chunks behind"
        return f"<Reader {self._log.name}: {cursor.name}, {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def iterate_async(log: Log, policy: Policy = "gap") -> AsyncIterator[Chunk]:
    """Yield chunks as they come, without holding the event loop."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def wake() -> None:
        # a closed loop has dropped this reader with everything else
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    cursor = Cursor(policy, wake, "async for")
    log.attach(cursor)
    try:
        while True:
            chunks = log.take(cursor)
            if chunks is None:
                break
            for chunk in chunks:
                yield chunk
            if not chunks:
                await event.wait()
                event.clear()
    finally:
        log.detach(cursor)
    if log.error is not None:
        raise log.error
