"""Find devices by name, ours and other people's, through the entry points ``rxstream.devices``."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rxstream.acquisition.device import Backoff, Device, Source
from rxstream.acquisition.stamper import Timestamps
from rxstream.data.clock import Duration
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.window.subject import DEFAULT_BYTES

__all__ = ["device_names", "open_device", "source_class"]

GROUP = "rxstream.devices"


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def device_names() -> list[str]:
    """Return the names that `open_device` knows, sorted.

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


def open_device(
    name: str,
    *,
    history: Duration = 60.0,
    max_bytes: int = DEFAULT_BYTES,
    timestamps: Timestamps = "corrected",
    path_delay: float = 0.0,
    reconnect: Backoff | Duration | bool | None = None,
    **options: Any,
) -> Device:
    """Open a device by name; close it, or use it in ``with``.

    Parameters
    ----------
    name
        As `device_names` lists them.
    history, max_bytes, timestamps, path_delay, reconnect
        Of the `Device`.
    **options
        Of the source, e.g. ``rate=48_000`` for ``"audio"``.

    Raises
    ------
    DeviceNotFoundError
        If no device has this name, or its hardware is not there.
    ParameterError
        If an option does not exist or has a wrong value.

    Examples
    --------
    >>> with open_device("simulated", rate=1000.0) as twin:
    ...     twin.info.rate
    1000.0
    """
    cls = source_class(name)
    try:
        source: Source = cls(**options)
    except TypeError as error:
        known = ", ".join(getattr(cls, "__dataclass_fields__", {})) or "see its documentation"
        msg = f"{name}: {error}; its options are {known}"
        raise ParameterError(msg) from error
    device = Device(
        source, history=history, max_bytes=max_bytes, timestamps=timestamps, path_delay=path_delay,
        reconnect=reconnect,
    )  # fmt: skip
    return device.open()
