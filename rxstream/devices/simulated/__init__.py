"""simulated: a device that knows the truth (needs no hardware and no extra)."""

from rxstream.devices.simulated.source import (
    KEY_DTYPE,
    Delay,
    Drops,
    Lost,
    Simulated,
    Stalls,
    Truth,
    can_frames,
    frame_number,
)

__all__ = [
    "KEY_DTYPE",
    "Delay",
    "Drops",
    "Lost",
    "Simulated",
    "Stalls",
    "Truth",
    "can_frames",
    "frame_number",
]
