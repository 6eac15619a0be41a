"""http: lines, JSON or events that a web server sends, or answers (extra ``http``)."""

from rxstream.devices.http.source import Http

__all__ = ["Http"]
