"""Serial ports: find and open them."""

import errno
import os
import re
from collections import Counter
from typing import Any

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.optional import import_optional
from rxstream.printable import error_line, shown

__all__ = ["check_port", "find_ports", "open_port"]


# What pyserial calls the URL of a port that is found by what it says of itself.
_GREP = "hwgrep://"


def check_port(port: object) -> None:
    """Raise ParameterError unless it can be the name of a port, a URL or an identity."""
    if not isinstance(port, str) or not port:
        msg = f"Serial: port must be a name, e.g. '/dev/ttyUSB0', not {shown(port)}"
        raise ParameterError(msg)
    if port.startswith(_GREP):
        wanted = port.removeprefix(_GREP).partition("&")[0]
        try:
            # a number is no expression
            re.compile("" if wanted.startswith("SER=") else wanted)
        except re.error as error:
            msg = f"Serial: port {shown(port)} has no regular expression: {error}"
            raise ParameterError(msg) from None
        if not wanted:
            msg = f"Serial: port {shown(port)} names no port, as {_GREP}SER=A50285BI does"
            raise ParameterError(msg)


def find_ports(list_ports: Any) -> list[DeviceInfo]:
    """Return the serial ports, those with a serial number of their own by that."""
    found, ports = [], sorted(list_ports.comports())
    numbers = Counter(port.serial_number for port in ports)
    for port in ports:
        number = port.serial_number
        own = number and numbers[number] == 1 and "&" not in number
        about = port.description if port.description not in (None, "n/a") else "serial port"
        name = f"{_GREP}SER={number}" if own else port.device
        found.append(DeviceInfo(about, {"port": name}, port.device))
    return found


def open_port(serial: Any, port: str, settings: dict[str, Any]) -> Any:
    """Open a port by its name, URL or identity.

    Raises
    ------
    DeviceNotFoundError
        If there is no such port, or several are; the message has those there are.
    OSError
        For whatever else is in the way; pyserial's errors are of this kind.
    """
    dtr = settings.pop("dtr", None)
    name = _identified(port)
    try:
        line = serial.serial_for_url(name, do_not_open=True, **settings)
        if dtr is not None:
            line.dtr = dtr
        line.open()
    except serial.SerialException as error:
        # with the number of the system's error, it says what is in the way
        if error.errno not in (None, errno.ENOENT):
            raise
        raise _not_found(port, error) from error
    return line


def _identified(port: str) -> str:
    """Return the name of the port that has an identity now; what is none, as it is."""
    # with options, as n=, it is for pyserial
    if not port.startswith(_GREP) or "&" in port:
        return port
    wanted = port.removeprefix(_GREP)
    found = [one for one in _ports() if _is(one, wanted)]
    if len(found) == 1:
        return str(found[0].device)
    if not found:
        raise _not_found(port)
    names = ", ".join(f"{one.device} ({one.hwid})" for one in found)
    msg = f"serial: {port} is any of {names}; say more, as its serial number: {_GREP}SER=..."
    raise DeviceNotFoundError(msg)


def _is(port: Any, wanted: str) -> bool:
    """Whether a port has an identity: a number as a whole, or else an expression."""
    kind, _, value = wanted.partition("=")
    if kind == "SER":
        return str(port.serial_number or "").casefold() == value.casefold()
    if kind == "VID:PID":
        given = "" if port.vid is None else f"{port.vid:04X}:{port.pid:04X}"
        return given == value.upper()
    texts = (port.device, port.description, port.hwid)
    return any(re.search(wanted, text or "", re.IGNORECASE) for text in texts)


def _ports() -> list[Any]:
    list_ports = import_optional("serial.tools.list_ports", extra="serial")
    return sorted(list_ports.comports())


def _not_found(port: str, error: Exception | None = None) -> DeviceNotFoundError:
    names = ", ".join(str(one.device) for one in _ports()) or "none"
    why = f" ({error_line(error)})" if error is not None else ""
    if "://" in port and not port.startswith(_GREP):
        return DeviceNotFoundError(f"serial: nothing answers at {port}; see its address{why}")
    if os.path.exists(port):
        return DeviceNotFoundError(f"serial: {port} is no serial port. Ports here: {names}{why}")
    return DeviceNotFoundError(
        f"serial: there is no {port}; see that it is plugged in. Ports here: {names}{why}"
    )
