"""simulated: a device that knows the truth (needs no hardware and no extra)."""

from rxstream.devices.simulated.source import (
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
    "Delay",
    "Drops",
    "Lost",
    "Simulated",
    "Stalls",
    "Truth",
    "can_frames",
    "frame_number",
]
