"""The results of `discover`."""

from typing import Any, NamedTuple

__all__ = ["DeviceInfo"]


class DeviceInfo(NamedTuple):
    """A device that can be opened here and now, as `discover` of its source lists it."""

    name: str
    """Name for people."""
    options: dict[str, Any]
    """Options of the source that open it."""
    note: str = ""
    """Details for people, e.g. its channels and rate."""
