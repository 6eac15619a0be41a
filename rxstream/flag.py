"""`Flag`: an event that a signal handler and a finalizer may set, too."""

from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Flag"]


class Flag:
    """An event as `threading.Event`, but one that holds no lock.

    A signal handler runs in the midst of what the main thread does, and a finalizer in the midst
    of anything. Where they set a `threading.Event` that the same thread is about to wait for, they
    wait for a lock of their own thread, for ever.

    Examples
    --------
    >>> flag = Flag()
    >>> flag.wait(0.01), flag.set(), flag.wait(), flag.is_set()
    (False, None, True, True)
    """

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[SimpleQueue[None]] = []

    def is_set(self) -> bool:
        """Whether it has been set."""
        return self._set

    def set(self) -> None:
        """Set it for good, and wake who waits."""
        self._set = True
        for one in list(self._waiting):
            one.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, up to ``timeout`` [s]; return whether it is."""
        if self._set:
            return True
        one: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(one)
        try:
            # who sets it after this line finds the queue
            if not self._set:
                with suppress(Empty):
                    one.get(timeout=None if timeout is None else max(0.0, timeout))
        finally:
            self._waiting.remove(one)
        return self._set
