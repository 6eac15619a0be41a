"""wifi: how well a computer with Linux hears its wireless network (needs no extra)."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rxstream.authoring import DeviceInfo, DeviceNotFoundError, ParameterError, source
from rxstream.data.clock import Duration
from rxstream.printable import shown

__all__ = ["WIFI_DTYPE", "Wifi"]

WIFI_DTYPE = np.dtype([("level", "f4"), ("noise", "f4"), ("quality", "f4")])
"""Level of the signal and noise [dBm], and the quality that the driver makes of it; NaN: not known.
"""

_TABLE = "/proc/net/wireless"

# interface: status, quality, level, noise; a dot marks what is new since the last time
_ROW = re.compile(r"\s*(\S+):\s+[0-9a-f]+\s+(-?\d+)\.?\s+(-?\d+)\.?\s+(-?\d+)\.?(?:\s|$)")

# What the kernel prints where the driver does not know [dBm].
_UNKNOWN = -256

# What a driver prints that has units of its own, no dBm, begins here.
_NO_DBM = 0


def _checked(options: Any) -> Mapping[str, Any]:
    for name in ("interface", "table"):
        if "\0" in getattr(options, name):
            msg = f"Wifi: {name} must be a name, not {shown(getattr(options, name))}"
            raise ParameterError(msg)
    units = {"level": "dBm", "noise": "dBm", "quality": ""}
    return {"interface": options.interface or "any", "units": units}


def _rows(table: str) -> dict[str, tuple[float, float, float]]:
    """Return level, noise and quality of each interface."""
    rows = {}
    for line in Path(table).read_text(encoding="utf-8", errors="replace").splitlines():
        found = _ROW.match(line)
        if found is not None:
            quality, level, noise = map(int, found.groups()[1:])
            rows[found[1]] = (_known(level), _known(noise), float(quality))
    return rows


def _known(level: int) -> float:
    return math.nan if level == _UNKNOWN or level >= _NO_DBM else float(level)


def _here() -> list[DeviceInfo]:
    try:
        names = list(_rows(_TABLE))
    except OSError:  # a system without wireless interfaces has no such table
        return []
    return [DeviceInfo(name, {"interface": name}) for name in names]


@source(every=lambda options: options.every, dtype=WIFI_DTYPE, extra=_checked, discover=_here)
def Wifi(  # noqa: N802 - it becomes a class
    interface: str = "", every: Duration = 1.0, table: str = _TABLE
) -> Iterator[Any]:
    """How well Linux hears its wireless network: level, noise, quality, asked every so often.

    Each sample lies between the times of question and answer. The driver of the card renews its
    values when it hears the network, about ten times a second, so a short ``every`` shows them
    again. As the interface goes, the device is lost.

    Attributes
    ----------
    interface
        Its name, e.g. ``"wlan0"``; empty: the first one.
    every
        Time from one sample to the next [s].
    table
        Path of the kernel's table.

    Raises
    ------
    DeviceNotFoundError
        If there is no such interface, or the kernel has no such table.

    Examples
    --------
    >>> Wifi("wlan0").info.extra["units"]["level"]
    'dBm'
    """
    try:
        rows = _rows(table)
    except FileNotFoundError as error:
        msg = f"wifi: the system has no {table}; it takes Linux with wireless extensions"
        raise DeviceNotFoundError(msg) from error
    name = interface or next(iter(rows), "")
    if name not in rows:
        which = f" {interface}" if interface else ""
        others = ", ".join(rows) or "none"
        msg = f"wifi: there is no wireless interface{which}; there are: {others}"
        raise DeviceNotFoundError(msg)
    info = Wifi(interface, every, table).info
    yield replace(info, extra={**info.extra, "interface": name})
    while True:
        sample = _rows(table).get(name)
        if sample is None:
            msg = f"the wireless interface {name} is gone"
            raise OSError(msg)
        yield sample
