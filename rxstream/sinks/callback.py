"""callback: call a function with each chunk."""

from collections.abc import Callable
from typing import ClassVar

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.sinks.base import Sink

__all__ = ["callback"]


class callback(Sink):  # noqa: N801 - used like a function
    """Call ``function(chunk)`` with each chunk.

    Unlike ``subscribe(function)``, the sink counts samples, can be waited for, and keeps the error
    with which the stream ended. The function runs in this subscriber's own thread, so it may be
    slow. Gaps are in ``chunk.gap_positions``.

    Parameters
    ----------
    function
        Function of a `Chunk`. If it raises, this sink alone is closed and cut off from the stream;
        the device reports it on ``device.faults``.
    finish
        Function without arguments, called once when the sink is closed.

    Raises
    ------
    ParameterError
        If ``function`` or ``finish`` is not callable.

    Examples
    --------
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> device = Device(Simulated(rate=1000.0, duration=0.03))
    >>> sink = callback(lambda chunk: print(len(chunk)))
    >>> subscription = device.subscribe(sink)
    >>> with device:
    ...     sink.wait(10)
    10
    10
    10
    True
    >>> sink.samples
    30
    """

    uniform: ClassVar[bool] = False

    def __init__(
        self, function: Callable[[Chunk], object], *, finish: Callable[[], object] | None = None
    ) -> None:
        if not callable(function):
            msg = f"function must be something to call, not {shown(function)}"
            raise ParameterError(msg)
        if finish is not None and not callable(finish):
            msg = f"finish must be something to call, not {shown(finish)}"
            raise ParameterError(msg)
        super().__init__(f"callback {getattr(function, '__qualname__', repr(function))}")
        self._function, self._finish = function, finish

    def write(self, chunk: Chunk) -> None:
        """Call the function."""
        self._function(chunk)

    def finish(self) -> None:
        """Call the function of the end."""
        if self._finish is not None:
            self._finish()
