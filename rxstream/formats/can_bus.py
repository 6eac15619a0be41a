"""Opening a bus of python-can: its options, and what is in the way."""

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rxstream.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
)
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["BusOptions", "BusSettings", "frozen_options", "interface_of"]

# of a device that another program holds, or that this user has no right to
_BUSY_ERRNOS = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM, errno.EAGAIN})
# longest wait for a socketcand server [s]: python-can tries for 10 s, without a pause
_CONNECT_TIMEOUT = 2.0

BusOptions: TypeAlias = Mapping[str, Any] | tuple[tuple[str, Any], ...]
"""More options of an interface, by name; kept as pairs, which can be hashed."""


@dataclass(frozen=True, slots=True)
class BusSettings:
    """What a bus of python-can is opened with.

    Attributes
    ----------
    channel, interface
        As python-can has them.
    bitrate, data_bitrate
        Bitrate of the bus, and of the data of CAN FD [bit/s].
    fd
        CAN FD.
    options
        More options of the interface.

    Raises
    ------
    ParameterError
        If a bitrate is none.
    """

    channel: Any = None
    interface: str | None = None
    bitrate: int | None = None
    data_bitrate: int | None = None
    fd: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name in ("bitrate", "data_bitrate"):
            value = getattr(self, name)
            if value is not None and not is_whole(value, 1):
                msg = f"{name} must be a number of bits per second > 0, not {shown(value)}"
                raise ParameterError(msg)
        if self.data_bitrate is not None and not self.fd:
            msg = f"data_bitrate={self.data_bitrate} is for CAN FD: add fd=True, or leave it out"
            raise ParameterError(msg)

    @property
    def where(self) -> str:
        """Name of the bus in messages."""
        parts = (self.interface, self.channel)
        return " ".join(str(part) for part in parts if part is not None) or "the configured bus"

    def open(self, can: Any, **more: Any) -> Any:
        """Return an open bus.

        Parameters
        ----------
        can
            The package python-can.
        **more
            More options.

        Raises
        ------
        ParameterError
            If python-can has no such interface, or that does not take an option.
        MissingExtraError
            If the driver of the interface is not installed.
        DeviceBusyError, DeviceNotFoundError
            If the bus is taken or not there.
        """
        interface, where = self.interface, self.where
        if interface is not None and interface not in can.VALID_INTERFACES:
            msg = f"python-can has no interface {shown(interface)}; there are {_listed(can)}"
            raise ParameterError(msg)
        options = dict(self.options)
        if interface == "socketcand":
            _see_server(where, options)
        wanted = {"bitrate": self.bitrate, "data_bitrate": self.data_bitrate, "fd": self.fd or None}
        options |= {key: value for key, value in wanted.items() if value is not None} | more
        try:
            return can.Bus(channel=self.channel, interface=interface, **options)
        except Exception as error:
            raise _opening_error(can, interface, where, error) from error


def interface_of(can: Any, bus: Any) -> str:
    """Return python-can's name of the interface of a bus that its configuration has chosen."""
    for name, (module, cls) in can.interfaces.BACKENDS.items():
        if type(bus).__name__ == cls and type(bus).__module__ == module:
            return str(name)
    return type(bus).__name__


def frozen_options(options: BusOptions) -> tuple[tuple[str, Any], ...]:
    """Return options as pairs in the order of their names; raise ParameterError if they are none.

    Examples
    --------
    >>> frozen_options({"b": [1, 2], "a": 0})
    (('a', 0), ('b', (1, 2)))
    """
    try:
        pairs = dict(options)
        named = all(isinstance(name, str) for name in pairs)
    except (TypeError, ValueError):
        named = False
    if not named or isinstance(options, str):
        msg = f"options must be a dict of an interface's options, not {shown(options)}"
        raise ParameterError(msg)
    frozen = tuple(sorted((name, _frozen(value)) for name, value in pairs.items()))
    for name, value in frozen:
        try:
            hash(value)
        except TypeError:
            msg = f"options: {name} is {shown(value)}, which can be changed; give a tuple"
            raise ParameterError(msg) from None
    return frozen


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _listed(can: Any) -> str:
    return ", ".join(sorted(can.VALID_INTERFACES))


def _see_server(where: str, options: Mapping[str, Any]) -> None:
    """Raise DeviceNotFoundError unless a socketcand server answers."""
    host, port = options.get("host"), options.get("port")
    if not isinstance(host, str) or not is_whole(port, 1):
        msg = f"can: {where}: give options={{'host': ..., 'port': 29536}} of its server"
        raise ParameterError(msg)
    try:
        socket.create_connection((host, port), _CONNECT_TIMEOUT).close()
    except OSError as error:
        msg = (
            f"can: no server of {where} at {host}:{port} ({error}); see that socketcand is running"
        )
        raise DeviceNotFoundError(msg) from error


def _opening_error(can: Any, interface: str | None, where: str, error: Exception) -> Exception:
    """Return the error to raise for one that `can.Bus` raised."""
    if interface is None and isinstance(error, can.CanInterfaceNotImplementedError):
        return ParameterError(
            f"can: no interface for {where}: give interface=, one of {_listed(can)} (or the path "
            f"of a log file, or a configuration of python-can); {error}"
        )
    if _is_missing(can, error):
        return MissingExtraError(
            f"can: the driver of {interface} cannot be loaded ({error}); install what the "
            "documentation of python-can names for it"
        )
    if _is_busy(error):
        return DeviceBusyError(
            f"can: {where} is taken or may not be used ({error}); close the program that has it, "
            "or ask for the right"
        )
    if isinstance(error, ValueError | TypeError) or isinstance(error.__cause__, ValueError):
        return ParameterError(f"can: {where} does not take these options: {error}")
    return DeviceNotFoundError(
        f"can: {where} cannot be opened ({error}); check the channel, that the adapter is plugged "
        "in, and on Linux that the network interface is up (ip link)"
    )


def _is_missing(can: Any, error: Exception) -> bool:
    # kvaser without its library raises NameError, and pcan an OSError without an errno
    kinds = (can.CanInterfaceNotImplementedError, ImportError, NameError)
    library = isinstance(error, OSError) and error.errno is None and "library" in str(error)
    return isinstance(error, kinds) or library


def _is_busy(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _BUSY_ERRNOS:
            return True
        # pyserial raises this without an errno
        if "exclusively lock" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
