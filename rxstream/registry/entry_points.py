"""Find devices by name, ours and other people's, through the entry points ``rxstream.devices``."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rxstream.errors import DeviceError, DeviceNotFoundError
from rxstream.printable import error_line, printable, shown

__all__ = ["device_names", "load_error", "source_class"]

GROUP = "rxstream.devices"


def _entries() -> dict[str, EntryPoint]:
    # of two with one name the later one stays: nobody's takes the place of ours
    ordered = sorted(entry_points(group=GROUP), key=lambda entry: _is_ours(entry.value))
    return {entry.name: entry for entry in ordered}


def _is_ours(module: str) -> bool:
    return module.startswith("rxstream.")


def device_names() -> list[str]:
    """Return the registered names, sorted; nothing is loaded for that.

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
    DeviceError
        If the package that registers it fails, or ends the program, when it is loaded.
    """
    entry = _entries().get(name)
    if entry is None:
        names = ", ".join(printable(found) for found in device_names())
        msg = f"no device is called {shown(name)}; there are {names}"
        raise DeviceNotFoundError(msg)
    try:
        found = entry.load()
    except KeyboardInterrupt:
        raise
    # SystemExit too: the module may be a script
    except BaseException as error:
        raise load_error(name, error, _package(entry)) from error
    if not callable(found):
        msg = f"the device {shown(name)} is no class, but {shown(found)}; mend {_package(entry)}"
        raise DeviceError(msg)
    return found


def load_error(name: str, error: BaseException, where: str) -> DeviceError:
    """Return the error that the package ``where`` raised when its device was loaded or made."""
    text = error_line(error)
    return DeviceError(
        f"the device {shown(name)} cannot be loaded ({text}); mend or uninstall {where}"
    )


def _package(entry: EntryPoint) -> str:
    """Return what to mend: the package that registers an entry point, or its module."""
    package = getattr(entry, "dist", None)
    return f"the package {package.name}" if package else f"what registers it, {shown(entry.value)}"
