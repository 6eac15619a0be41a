"""http: lines, JSON, events or images that a web server sends, or answers (extra ``http``)."""

from rxstream.devices.http.frames import Jpeg
from rxstream.devices.http.source import Http

__all__ = ["Http", "Jpeg"]
