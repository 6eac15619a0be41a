"""List what can be opened on this machine."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rxstream.acquisition.source import discover
from rxstream.devices import DeviceInfo
from rxstream.errors import DeviceError, RxStreamError
from rxstream.printable import error_line, printable, shown
from rxstream.registry.entry_points import device_names, source_class

__all__ = ["DeviceListing", "list_devices"]


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """One kind of device.

    Attributes
    ----------
    name
        As it is registered.
    about
        What it is, in a line.
    found
        The devices of this kind on this machine, now.
    problem
        Why they cannot be listed, e.g. a driver to install; else empty.
    sought
        Whether this kind can be listed at all.
    """

    name: str
    about: str
    found: tuple[DeviceInfo, ...] = ()
    problem: str = ""
    sought: bool = True


# Longest description and problem [characters].
_MAX_ABOUT, _MAX_PROBLEM = 200, 500


def list_devices() -> list[DeviceListing]:
    """Return every registered kind of device with what there is of it.

    A device of somebody else that fails, or wants to end the program, is listed with its problem.
    """
    return [_listing(name) for name in device_names()]


def _listing(name: str) -> DeviceListing:
    about = ""
    try:
        cls = source_class(name)
        about = _first_line(cls)
        with _no_last_resort():
            found = discover(cls)
        checked = tuple(map(_checked, found or ()))
    except KeyboardInterrupt:
        raise
    except RxStreamError as error:
        return DeviceListing(name, about, problem=printable(str(error), _MAX_PROBLEM))
    # a driver may raise anything, SystemExit too
    except BaseException as error:  # noqa: BLE001 - told as its problem
        return DeviceListing(name, about, problem=printable(error_line(error), _MAX_PROBLEM))
    return DeviceListing(name, about, checked, sought=found is not None)


def _first_line(cls: Any) -> str:
    text = cls.__doc__ if isinstance(cls.__doc__, str) else ""
    line = text.strip().split("\n")[0].partition(":")[0].rstrip(".")
    return printable(line, _MAX_ABOUT)


def _checked(item: Any) -> DeviceInfo:
    """Return what `discover` found; raise DeviceError if that is no `DeviceInfo`."""
    if isinstance(item, DeviceInfo) and isinstance(item.options, Mapping):
        return DeviceInfo(str(item.name), dict(item.options), str(item.note))
    msg = f"its discover() gives {shown(item)}; it must give rxstream.devices.DeviceInfo"
    raise DeviceError(msg)


@contextlib.contextmanager
def _no_last_resort() -> Iterator[None]:
    """Keep the log of drivers off the terminal of a program that has set up no logging.

    python-can warns of every interface whose own driver is not installed.
    """
    handler, logging.lastResort = logging.lastResort, logging.NullHandler()
    try:
        yield
    finally:
        logging.lastResort = handler
