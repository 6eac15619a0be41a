"""Live device streams as rewindable Observables.

>>> import rxstream
>>> from rxstream import operators as ops
"""

from rxstream.acquisition.device import Backoff, Device, Source
from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.registry.entry_points import open_device
from rxstream.steps.lift import Step, lift
from rxstream.window.subject import TimeWindowSubject

open = open_device  # noqa: A001 - rxstream.open("audio")

# `open` is left out: a star import must not hide the built-in
__all__ = [
    "Backoff",
    "Chunk",
    "Clip",
    "Device",
    "DeviceCounter",
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
