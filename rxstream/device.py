"""A device: a hot, rewindable Observable of chunks with an open/close life."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from rxstream.chunk import Reading, StreamInfo

__all__ = ["Close", "Emit", "Fail", "Source"]

Emit: TypeAlias = "Callable[[Reading | NDArray[Any]], None]"
"""Takes an array ``(n, *shape)`` or a `Reading`; copies it at once, never blocks on a reader."""

Fail: TypeAlias = Callable[[Exception], None]
"""Takes an error: `OverrunError` is survived and told, `EndOfStream` completes the stream."""

Close: TypeAlias = Callable[[], None]
"""Stops the hardware; when it has returned, nothing more is emitted."""


@runtime_checkable
class Source(Protocol):
    """What the author of a device writes, once; a frozen dataclass of options will do."""

    @property
    def info(self) -> StreamInfo:
        """What is known before the first sample; must not touch the hardware."""
        ...

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Start the hardware; call ``emit`` from one thread; return how to stop it."""
        ...
