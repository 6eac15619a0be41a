"""Pull instead of push: a reader with a cursor of its own, for loops and for asyncio."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from queue import Empty, SimpleQueue
from time import monotonic

from rxstream.data.chunk import Chunk
from rxstream.errors import LagError
from rxstream.steps.heartbeats import HeartbeatFilter
from rxstream.steps.pull import BaseReader, LoopWakeup
from rxstream.validation import check_choice
from rxstream.window.log import Cursor, Log, Policy

__all__ = ["Reader", "iterate_async"]


class Reader(BaseReader[Chunk]):
    """Takes samples when asked; what comes meanwhile waits in the window.

    Iterating gives the chunks as they come, those with samples. A context manager.

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
        Called once, when the reader is closed, or dropped without that.
    """

    def __init__(
        self,
        log: Log,
        policy: Policy = "gap",
        since: int | None = None,
        name: str = "reader",
        on_close: Callable[[], None] | None = None,
    ) -> None:
        check_choice(policy, Policy, "policy")
        super().__init__(log.name)
        self._log = log
        self._wakeup = _Wakeup()
        # The log knows the cursor, and that not the reader: one that nobody has is forgotten.
        self._cursor = Cursor(policy, self._wakeup.call, name)
        self._filter = HeartbeatFilter()
        self._failure: LagError | None = None  # raised after the gaps that are kept
        log.attach(self._cursor, since)
        self._leave = weakref.finalize(self, _leave, log, self._cursor, on_close)
        self._leave.atexit = False

    def poll(self) -> list[Chunk] | None:
        """Return what has come, without waiting for it; None at the end of the stream."""
        while not self._closed:
            try:
                chunks = None if self._failure else self._log.take(self._cursor)
            except LagError as error:
                self._failure, chunks = error, None
            if chunks is None:
                found = list(self._filter.flush())
            elif self._cursor.dense and not self._filter.kept:
                found = chunks
            else:
                found = self._filter.push_all(chunks)
            if found:
                return found
            if chunks is None:
                failure = self._failure or self._log.error
                if failure is not None:
                    raise failure
                return None
            # Only when nothing is there does the log wake the cursor again.
            if not chunks:
                return []
        return None

    def _take(self, timeout: float | None) -> list[Chunk] | None:
        deadline = None if timeout is None else monotonic() + timeout
        while (found := self.poll()) is not None and not found:
            wait = None if deadline is None else max(0.0, deadline - monotonic())
            try:
                self._wakeup.queue.get(timeout=wait)
            except Empty:
                msg = f"{self._log.name}: nothing came in time"
                raise TimeoutError(msg) from None
        return found

    def call_on_wake(self, wake: Callable[[], None]) -> None:
        """Call a function, on any thread, when there may be something to `poll`."""
        self._wakeup.function = wake

    def close(self) -> None:
        """Stop reading; what waits is dropped."""
        super().close()
        self._wakeup.call()
        self._leave()

    def __repr__(self) -> str:
        cursor = self._cursor
        state = "closed" if self._closed else f"{self._log.stop - cursor.position} chunks behind"
        return f"<Reader {self._log.name}: {cursor.name}, {state}>"


class _Wakeup:
    """Wakes whoever waits for a cursor, without knowing the reader."""

    __slots__ = ("function", "queue")

    def __init__(self) -> None:
        self.queue: SimpleQueue[None] = SimpleQueue()
        self.function: Callable[[], None] | None = None

    def call(self) -> None:
        self.queue.put(None)
        if self.function is not None:
            self.function()


def _leave(log: Log, cursor: Cursor, on_close: Callable[[], None] | None) -> None:
    """Forget the cursor of a reader that is closed, or that nobody has any more."""
    log.detach(cursor)
    if on_close is not None:
        on_close()


async def iterate_async(attach: Callable[[], Reader]) -> AsyncIterator[Chunk]:
    """Yield the chunks of a reader as they come, without holding the event loop.

    Parameters
    ----------
    attach
        Makes the reader, when the iteration begins.
    """
    wakeup, event = LoopWakeup(), asyncio.Event()
    with attach() as reader:
        wakeup.end_by(reader.close)
        reader.call_on_wake(wakeup)
        while True:
            wakeup.arm(event)
            found = reader.poll()
            if found is None:
                return
            for chunk in found:
                yield chunk
            if not found:
                await event.wait()
                event.clear()
