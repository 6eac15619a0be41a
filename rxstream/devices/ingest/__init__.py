"""ingest: samples that clients post to this computer by HTTP (extra ``ingest``)."""

from rxstream.devices.ingest.asgi import asgi_app
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.source import Ingest
from rxstream.devices.ingest.wsgi import wsgi_app

__all__ = ["Ingest", "Raw", "asgi_app", "wsgi_app"]
