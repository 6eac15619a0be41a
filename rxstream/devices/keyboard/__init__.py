"""keyboard: the keys of a terminal (needs no extra)."""

from rxstream.devices.keyboard.source import KEY_DTYPE, Keyboard, typed

__all__ = ["KEY_DTYPE", "Keyboard", "typed"]
