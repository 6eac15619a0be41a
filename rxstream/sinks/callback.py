"""callback: call a function with each chunk."""

from collections.abc import Callable
from typing import ClassVar

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.sinks.base import Sink

__all__ = ["CallbackSink", "callback"]


class CallbackSink(Sink):
    """Made by `callback`."""

    uniform: ClassVar[bool] = False

    def __init__(
        self, function: Callable[[Chunk], object], finish: Callable[[], object] | None = None
    ) -> None:
        super().__init__(f"callback {getattr(function, '__qualname__', repr(function))}")
        self._function, self._finish = function, finish

    def write(self, chunk: Chunk) -> None:
        """Call the function."""
        self._function(chunk)

    def finish(self) -> None:
        """Call the function for the end."""
        if self._finish is not None:
            self._finish()


def callback(
    function: Callable[[Chunk], object], *, finish: Callable[[], object] | None = None
) -> CallbackSink:
    """Call ``function(chunk)`` with each chunk.

    Unlike ``subscribe(function)``, the result counts samples, can be waited for, and keeps the
    error with which the stream ended. The function runs in this subscriber's own thread: it may
    be slow. Gaps are not hidden: look at ``chunk.gap``; heartbeats come as empty chunks.

    Parameters
    ----------
    function
        Takes a `Chunk`. If it raises, this sink alone is closed and cut off from the stream; the
        device reports it on ``device.faults``.
    finish
        Called once, without arguments, when the sink is closed.

    Raises
    ------
    ParameterError
        If one of them cannot be called.

    Examples
    --------
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> twin = Device(Simulated(rate=1000.0, duration=0.03))
    >>> sink = callback(lambda chunk: print(len(chunk)))
    >>> subscription = twin.subscribe(sink)
    >>> with twin:
    ...     sink.wait(10)
    10
    10
    True
    >>> sink.samples
    20
    """
    for name, value in (("function", function), ("finish", finish)):
        if value is not None and not callable(value):
            msg = f"{name} must be something to call, not {value!r}"
            raise ParameterError(msg)
    if function is None:
        msg = "function must be something to call, not None"
        raise ParameterError(msg)
    return CallbackSink(function, finish)
