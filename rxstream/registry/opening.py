"""Open a device by its name and options: ``rxstream.open("audio:device=3")``."""

from typing import Any

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.device import Device
from rxstream.acquisition.stamper import Timestamps
from rxstream.data.clock import Duration
from rxstream.registry.spec import make_source
from rxstream.window.subject import DEFAULT_BYTES, DEFAULT_HISTORY

__all__ = ["open"]


def open(  # noqa: A001 - users write rxstream.open, as they write gzip.open
    spec: str,
    *,
    name: str | None = None,
    history: Duration = DEFAULT_HISTORY,
    max_bytes: int = DEFAULT_BYTES,
    timestamps: Timestamps = "corrected",
    path_delay: Duration = 0.0,
    reconnect: Backoff | Duration | bool | None = None,
    stalled_after: Duration | None = None,
    **options: Any,
) -> Device:
    """Open a device by name; close it, or use it in ``with``.

    Parameters
    ----------
    spec
        As ``rxstream devices`` lists it: ``"audio"``, or with options ``"audio:device=3"``.
    name, history, max_bytes, timestamps, path_delay, reconnect, stalled_after
        Of the `Device`.
    **options
        Of the source, e.g. ``rate=48_000`` for ``"audio"``; in place of those of ``spec``, or
        beside them.

    Raises
    ------
    DeviceNotFoundError
        If no device has this name, or its hardware is not there.
    ParameterError
        If an option does not exist or has a wrong value.

    Examples
    --------
    >>> with open("simulated:shape=2", rate=1000.0, name="left and right") as device:
    ...     device.info.rate, device.info.shape
    (1000.0, (2,))
    """
    device = Device(
        make_source(spec, options), name=name, history=history, max_bytes=max_bytes,
        timestamps=timestamps, path_delay=path_delay, reconnect=reconnect,
        stalled_after=stalled_after,
    )  # fmt: skip
    return device.open()
