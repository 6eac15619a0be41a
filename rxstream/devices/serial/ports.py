"""Serial ports: find and open them."""

import errno
from typing import Any

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.errors import DeviceNotFoundError
from rxstream.optional import import_optional
from rxstream.printable import error_line

__all__ = ["find_ports", "open_port"]


def find_ports(list_ports: Any) -> list[DeviceInfo]:
    """Return the serial ports, those with a serial number by that."""
    found = []
    for port in sorted(list_ports.comports()):
        number = port.serial_number
        name = f"hwgrep://SER={number}" if number and number.isalnum() else port.device
        about = port.description if port.description not in (None, "n/a") else "serial port"
        found.append(DeviceInfo(about, {"port": name}, port.device))
    return found


def open_port(serial: Any, port: str, settings: dict[str, Any]) -> Any:
    """Open a port by its name or URL.

    Raises
    ------
    DeviceNotFoundError
        If there is no such port; the message has those there are.
    OSError
        For whatever else is in the way; pyserial's errors are of this kind.
    """
    dtr = settings.pop("dtr", None)
    try:
        line = serial.serial_for_url(port, do_not_open=True, **settings)
        if dtr is not None:
            line.dtr = dtr
        line.open()
    except serial.SerialException as error:
        # with the number of the system's error, it says what is in the way
        if error.errno not in (None, errno.ENOENT):
            raise
        raise _not_found(port, error) from error
    return line


def _not_found(port: str, error: Exception) -> DeviceNotFoundError:
    list_ports = import_optional("serial.tools.list_ports", extra="serial")
    names = ", ".join(sorted(info.device for info in list_ports.comports())) or "none"
    return DeviceNotFoundError(
        f"serial: there is no {port}; see that it is plugged in. Ports here: {names} "
        f"({error_line(error)})"
    )
