"""What a protocol of a serial line is: what the samples are, and how they are found in bytes."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

from rxstream.data.stream_info import Reading, StreamInfo

__all__ = ["SerialDecoder", "SerialProtocol"]


class SerialDecoder(Protocol):
    """Finds samples in the bytes of one opening."""

    @property
    def missing(self) -> int:
        """How many more bytes it needs at least, >= 1."""
        ...

    def feed(self, data: bytes) -> Sequence[Reading]:
        """Take bytes; return the readings that are complete, each with samples."""
        ...


@runtime_checkable
class SerialProtocol(Hashable, Protocol):
    """What is sent on a line: a frozen dataclass of options, as `Lines` and `Packets` are."""

    @property
    def info(self) -> StreamInfo:
        """What the samples are."""
        ...

    def decoder(self) -> SerialDecoder:
        """Return a decoder for an opening of the line."""
        ...
