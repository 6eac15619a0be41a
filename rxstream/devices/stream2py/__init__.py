"""stream2py: readers of stream2py and its plugins as they are (needs no extra of ours)."""

from rxstream.devices.stream2py.conversions import (
    AUDIO,
    HEALTH,
    KEYBOARD,
    PLC,
    REQUEST,
    VIDEO,
    VIDEO_FILE,
    WAV,
)
from rxstream.devices.stream2py.source import Conversion, Stream2py, from_stream2py

__all__ = [
    "AUDIO", "HEALTH", "KEYBOARD", "PLC", "REQUEST", "VIDEO", "VIDEO_FILE", "WAV", "Conversion",
    "Stream2py", "from_stream2py",
]  # fmt: skip
