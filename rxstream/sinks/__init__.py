"""Where streams end: ``device.subscribe(wav("a.wav"))``. No driver is loaded by the import."""

from rxstream.sinks.base import Sink
from rxstream.sinks.callback import callback

__all__ = ["Sink", "callback"]
