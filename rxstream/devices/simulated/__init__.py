"""simulated: a device that knows the truth (needs no hardware and no extra)."""

from rxstream.devices.simulated.delivery import Lost, Truth
from rxstream.devices.simulated.options import Delay, Drops, Stalls
from rxstream.devices.simulated.signals import can_frames, frame_number
from rxstream.devices.simulated.source import Simulated

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
