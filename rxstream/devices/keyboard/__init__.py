"""keyboard: the keys of a terminal (needs no extra)."""

from rxstream.devices.keyboard.source import Keyboard
from rxstream.formats.keys import KEY_DTYPE, typed

__all__ = ["KEY_DTYPE", "Keyboard", "typed"]
