"""`source_from_functions`: a source of three functions that a driver has anyway."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from rxstream.acquisition.source import Close, Emit, Fail, Source
from rxstream.authoring.generators import open_generator
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["source_from_functions"]

H = TypeVar("H")


def source_from_functions(
    open: Callable[[], H],  # noqa: A002 - what the driver calls it
    read: Callable[[H], Any],
    close: Callable[[H], object],
    info: StreamInfo,
    *,
    every: Duration | None = None,
) -> Source:
    """Return a source made of the functions of a driver.

    Parameters
    ----------
    open
        Function that opens the device, and returns what the others take.
    read
        Function that returns the next value, as `source` describes them; None if nothing came
        within its own timeout of 0.1 s or less. `EndOfStream` or `StopIteration` is the end.
    close
        Function that closes the device.
    info
        Description of the stream.
    every
        Time from one ``read`` to the next, of a device that answers when it is asked [s].

    Raises
    ------
    ParameterError
        If one of them is no function, or ``info`` no `StreamInfo`.

    Examples
    --------
    >>> import threading
    >>> import numpy as np
    >>> info, done = StreamInfo("letters", None, (), np.dtype("U1")), threading.Event()
    >>> letters = source_from_functions(lambda: iter("ab"), next, lambda text: None, info)
    >>> close = letters.open(lambda reading: print(reading.data), lambda end: done.set())
    ['a']
    ['b']
    >>> done.wait(10), close()
    (True, None)
    """
    for name, function in (("open", open), ("read", read), ("close", close)):
        if not callable(function):
            msg = f"{name} must be a function, not {shown(function)}"
            raise ParameterError(msg)
    if not isinstance(info, StreamInfo):
        msg = f"info must be a StreamInfo, not {shown(info)}"
        raise ParameterError(msg)
    if every is not None:
        to_span(every, "every")
    return _FunctionSource(open, read, close, info, every)


@dataclass(frozen=True)
class _FunctionSource:
    begin: Callable[[], Any]
    read: Callable[[Any], Any]
    end: Callable[[Any], object]
    info: StreamInfo
    every: Duration | None

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        return open_generator(lambda _: self._values(), self.info, emit, fail, every=self.every)

    def _values(self) -> Generator[Any, None, None]:
        handle = self.begin()
        try:
            yield
            while True:
                try:
                    value = self.read(handle)
                except StopIteration:
                    return
                yield value
        finally:
            self.end(handle)
