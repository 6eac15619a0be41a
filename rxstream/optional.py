"""Load an optional package when it is needed, or say which extra has it."""

import errno
import importlib
import os
from typing import Any

from rxstream.errors import MissingExtraError

__all__ = ["import_optional"]

# a package that is there, and cannot be read at the moment
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def import_optional(module: str, *, extra: str, system: str = "") -> Any:
    """Import ``module`` or raise an error that names the remedy.

    Parameters
    ----------
    module
        What to import, e.g. ``"sounddevice"``.
    extra
        The extra of rxstream that installs it.
    system
        What the operating system must have besides, e.g. ``"libportaudio2"`` (Debian's name).

    Raises
    ------
    MissingExtraError
        If the package, or a shared library that it loads, is missing.
    OSError
        If too many files are open to load it.

    Examples
    --------
    >>> import_optional("json", extra="none").loads("[1]")
    [1]
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # sounddevice raises OSError without PortAudio
        for number in _TOO_MANY:
            # what loads shared libraries has the words alone
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), module) from error
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.split(".")[0]
        remedy = f"pip install 'rxstream[{extra}]'"
        if not absent and system:
            remedy = f"install the system package {system} (apt-get install {system})"
        msg = f"{module} cannot be loaded ({error}); {remedy}"
        raise MissingExtraError(msg) from error
