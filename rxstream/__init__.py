"""Live device streams as rewindable Observables.

>>> import rxstream
>>> from rxstream import operators as ops
"""

from rxstream.chunk import Chunk, Counter, Gap, Reading, StreamInfo, concat
from rxstream.device import Backoff, Device, Source
from rxstream.lift import Step, lift
from rxstream.registry import open_device as open  # noqa: A004 - rxstream.open, as in io.open
from rxstream.subject import TimeWindowSubject

__all__ = [
    "Backoff",
    "Chunk",
    "Counter",
    "Device",
    "Gap",
    "Reading",
    "Source",
    "Step",
    "StreamInfo",
    "TimeWindowSubject",
    "concat",
    "lift",
    "open",
]
