"""List what can be opened on this machine."""

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from rxstream.acquisition.driver import DriverCall
from rxstream.acquisition.source import discover
from rxstream.data.clock import Duration, to_span
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
    needs
        Options without which it cannot be opened.
    """

    name: str
    about: str
    found: tuple[DeviceInfo, ...] = ()
    problem: str = ""
    sought: bool = True
    needs: tuple[str, ...] = ()


# Longest description and problem [characters].
_MAX_ABOUT, _MAX_PROBLEM = 200, 500

# Wait for the drivers, all of them together [s]. Loading one from a slow disk takes seconds.
_TIMEOUT = 10.0


def list_devices(timeout: Duration = _TIMEOUT) -> list[DeviceListing]:
    """Return every registered kind of device with what there is of it.

    All are looked for side by side. A device of somebody else that fails, wants to end the program
    or hangs is listed with its problem; one that hangs keeps its thread.

    Parameters
    ----------
    timeout
        Longest wait for all of them together [s].
    """
    wait = to_span(timeout, "timeout") / 1e9
    deadline = time.monotonic() + wait
    with _no_last_resort():
        searches = [_Search(name) for name in device_names()]
        for search in searches:
            search.call.wait(deadline - time.monotonic())
    return [search.listing(wait) for search in searches]


class _Search:
    """Looks for one kind of device, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name, self._about, self._doing = name, "", "loading it"
        self._needs: tuple[str, ...] = ()
        self._found: tuple[DeviceInfo, ...] | None = None
        self.call = DriverCall(name, "discover", self._look)

    def _look(self) -> None:
        cls = source_class(self._name)
        self._about, self._needs = _first_line(cls), _needed(cls)
        self._doing = f"discover() of {shown(cls)}"
        found = discover(cls)
        self._found = None if found is None else tuple(map(_checked, found))

    def listing(self, waited: float) -> DeviceListing:
        """Return what was found within the time that was ``waited`` [s]."""
        error = self.call.error
        if not self.call.done:
            problem = f"{self._doing} has not returned within {waited:.3g} s; it is given up"
        elif error is None:
            sought = self._found is not None
            return DeviceListing(
                self._name, self._about, self._found or (), sought=sought, needs=self._needs
            )
        else:
            # a driver may raise anything, SystemExit too
            problem = str(error) if isinstance(error, RxStreamError) else error_line(error)
        return DeviceListing(self._name, self._about, problem=printable(problem, _MAX_PROBLEM))


def _first_line(cls: Any) -> str:
    text = cls.__doc__ if isinstance(cls.__doc__, str) else ""
    line = text.strip().split("\n")[0].partition(":")[0].rstrip(".")
    return printable(line, _MAX_ABOUT)


def _needed(cls: Any) -> tuple[str, ...]:
    """Return the options of a source that have no default."""
    options = fields(cls) if is_dataclass(cls) else ()
    return tuple(
        item.name for item in options
        if item.init and item.default is MISSING and item.default_factory is MISSING
    )  # fmt: skip


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
