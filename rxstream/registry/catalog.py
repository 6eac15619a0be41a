"""List what can be opened on this machine."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from rxstream.acquisition.source import discover
from rxstream.devices import DeviceInfo
from rxstream.errors import RxStreamError
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


def list_devices() -> list[DeviceListing]:
    """Return every registered kind of device with what there is of it."""
    return [_listing(name) for name in device_names()]


def _listing(name: str) -> DeviceListing:
    try:
        cls = source_class(name)
    except Exception as error:  # noqa: BLE001 - somebody else's package may fail in any way
        return DeviceListing(name, "", problem=f"cannot be loaded: {error}")
    about = (cls.__doc__ or "").strip().split("\n")[0].partition(":")[0].rstrip(".")
    try:
        with _no_last_resort():
            found = discover(cls)
    except RxStreamError as error:
        return DeviceListing(name, about, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a driver may raise anything
        return DeviceListing(name, about, problem=f"{type(error).__name__}: {error}")
    return DeviceListing(name, about, tuple(found or ()), sought=found is not None)


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
