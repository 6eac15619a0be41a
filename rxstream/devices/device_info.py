"""What `discover` of a device returns."""

from typing import Any, NamedTuple

__all__ = ["DeviceInfo"]


class DeviceInfo(NamedTuple):
    """Something that can be opened here and now."""

    name: str
    """What people call it."""
    options: dict[str, Any]
    """What to pass to the source."""
    note: str = ""
    """What else there is to know."""
