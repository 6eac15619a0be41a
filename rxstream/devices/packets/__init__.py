"""packets: what passes through a network interface (Linux, needs no extra)."""

from rxstream.devices.packets.source import PACKET_DTYPE, Packets

__all__ = ["PACKET_DTYPE", "Packets"]
