"""Find devices by name, ours and other people's, through the entry points ``rxstream.devices``."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rxstream.errors import DeviceNotFoundError

__all__ = ["device_names", "source_class"]

GROUP = "rxstream.devices"


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def device_names() -> list[str]:
    """Return the registered names, sorted.

    Examples
    --------
    >>> "audio" in device_names()
    True
    """
    return sorted(_entries())


def source_class(name: str) -> Any:
    """Return the source class with this name.

    Raises
    ------
    DeviceNotFoundError
        If no installed package registers it; the message lists those there are.
    """
    entry = _entries().get(name)
    if entry is None:
        msg = f"no device is called {name!r}; there are {', '.join(device_names())}"
        raise DeviceNotFoundError(msg)
    return entry.load()
