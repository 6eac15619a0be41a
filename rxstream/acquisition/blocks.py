"""``with`` and ``async with``: open at the first, close at the end of the outermost."""

import asyncio
import threading
from abc import abstractmethod
from typing import Self

from rxstream.acquisition.failures import note_failure

__all__ = ["Blocks"]


class Blocks:
    """What is open inside of blocks; one that another one is inside of closes it, and no other."""

    name: str

    def __init__(self) -> None:
        self._entering = threading.RLock()
        self._entries = 0

    @abstractmethod
    def open(self) -> object:
        """Open it; do nothing if it is open."""

    @abstractmethod
    def close(self) -> None:
        """Close it; do nothing if it is closed."""

    def __enter__(self) -> Self:
        self.open()
        with self._entering:
            self._entries += 1
        return self

    def __exit__(
        self, _kind: object = None, raised: BaseException | None = None, _trace: object = None
    ) -> None:
        with self._entering:
            self._entries -= 1
            inner = self._entries > 0
        if inner:
            return
        try:
            self.close()
        except Exception as error:
            # what the block has raised, SystemExit too, says more, and goes on
            if raised is None:
                raise
            note_failure(self.name, error)

    async def __aenter__(self) -> Self:
        """Open it in another thread, so that the event loop goes on."""
        opening = asyncio.get_running_loop().run_in_executor(None, self.__enter__)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._leave_cancelled)
            raise

    def _leave_cancelled(self, opening: "asyncio.Future[Self]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            threading.Thread(target=self.__exit__, name=f"rxstream-{self.name}-closer").start()

    async def __aexit__(
        self, _kind: object = None, raised: BaseException | None = None, _trace: object = None
    ) -> None:
        """Close it in another thread: subscribers on this event loop can go on."""
        await asyncio.get_running_loop().run_in_executor(None, self.__exit__, None, raised)

    def leave_blocks(self) -> None:
        """Be outside of all, with a new lock, as in a forked child."""
        self._entering, self._entries = threading.RLock(), 0
