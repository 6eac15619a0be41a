"""`Deadline`: cuts off a request that is not over in time."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Deadline"]

# After these a connection has another socket.
_CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Deadline:
    """Bounds the time that a request takes as a whole.

    The timeouts of httpx are those of each read: a server that sends a byte now and then is in time
    for ever. Its connection is shut down from another thread, which ends the read.

    Parameters
    ----------
    span
        Longest time from the question to the end of the answer [s].
    """

    def __init__(self, span: float) -> None:
        self._span = span
        self._guard = threading.Lock()
        self._late = False
        self._socket: socket.socket | None = None

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request has to be given: the sockets of its connection become known by it."""
        return {"trace": self._trace}

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in _CONNECTED:
            with self._guard:
                self._socket = info["return_value"].get_extra_info("socket")
                late = self._late
            if late:
                self._cut()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Cut off the request in the block once it takes too long.

        Raises
        ------
        TimeoutError
            In place of the error that this makes in the block.
        """
        self._late = False
        timer = threading.Timer(self._span, self._expire)
        timer.name, timer.daemon = "rxstream-http-deadline", True
        timer.start()
        try:
            yield
        except Exception as error:
            if not self._late:
                raise
            msg = f"the answer is not complete within {self._span:g} s"
            raise TimeoutError(msg) from error
        finally:
            timer.cancel()
            timer.join()

    def _expire(self) -> None:
        with self._guard:
            self._late = True
        self._cut()

    def _cut(self) -> None:
        with suppress(OSError):  # it is closed already
            if self._socket is not None:
                # not what a TLS socket makes of it, which would be taken out of a read under way
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
