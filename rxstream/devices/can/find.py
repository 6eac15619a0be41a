"""Find CAN buses."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from rxstream.acquisition.device_info import DeviceInfo

__all__ = ["find_buses"]

# no hardware to find, or found only by listening to the network for seconds; serial ports are
# asked for on their own
_NOT_SEARCHED = frozenset({"serial", "socketcand", "udp_multicast", "virtual"})
# longest time for the drivers to answer [s]; python-can's default is 5
_TIMEOUT = 2.0


def find_buses(can: Any) -> list[DeviceInfo]:
    """Return the buses that drivers list, and serial ports that may be slcan adapters."""
    with _quiet():
        searched = sorted(set(can.VALID_INTERFACES) - _NOT_SEARCHED)
        configs = list(can.detect_available_configs(searched, timeout=_TIMEOUT))
        ports = list(can.detect_available_configs("serial", timeout=_TIMEOUT))
    found = []
    for config in configs:
        name = f"{config['interface']} {config.get('channel')}"
        found.append(DeviceInfo(name, _options(config), "CAN interface"))
    for config in ports:
        port = str(config["channel"])
        # the serial ports of the board are no adapters
        if not port.startswith("/dev/ttyS"):
            options = {"channel": port, "interface": "slcan"}
            found.append(DeviceInfo(f"slcan {port}", options, "serial port, if it speaks slcan"))
    return found


def _options(config: dict[str, Any]) -> dict[str, Any]:
    """Return options of `Can` for a configuration of python-can."""
    known = {key: value for key, value in config.items() if key in ("interface", "channel")}
    more = {key: value for key, value in config.items() if key not in known}
    return known | ({"options": more} if more else {})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep python-can from logging every driver that is not installed."""
    logger = logging.getLogger("can")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
