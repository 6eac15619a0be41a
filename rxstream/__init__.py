"""Live device streams as rewindable Observables.

>>> import rxstream
>>> from rxstream import operators as ops
"""

from rxstream.chunk import Chunk, concat
from rxstream.clip import Clip
from rxstream.device import Backoff, Device, Source
from rxstream.gap import Gap
from rxstream.info import Counter, Reading, StreamInfo
from rxstream.lift import Step, lift
from rxstream.registry import open_device
from rxstream.subject import TimeWindowSubject

open = open_device  # noqa: A001 - rxstream.open("audio")

# `open` is left out: a star import must not hide the built-in
__all__ = [
    "Backoff",
    "Chunk",
    "Clip",
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
    "open_device",
]
