"""mediasound: the sound of a file or a URL through PyAV (``rxstream[video]``)."""

from rxstream.devices.media_sound.source import MediaSound

__all__ = ["MediaSound"]
