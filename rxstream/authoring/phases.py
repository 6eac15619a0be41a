"""What a driver raises, by when: as it is opened, or later."""

import errno

from rxstream.acquisition.driver import wrap_error
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
    RxStreamError,
)
from rxstream.printable import error_line

__all__ = ["explain", "explain_leaving", "never_open"]

# What drivers that lock a port or an address give in their own kinds of OSError.
_HELD = (errno.EBUSY, errno.EAGAIN, errno.EADDRINUSE)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def explain(name: str, error: BaseException, *, opening: bool, requires: str = "") -> Exception:
    """Return an error of ours for what a driver raised; that one is its cause.

    Parameters
    ----------
    name
        Name of the stream.
    error
        What was raised; an error of ours is returned as it is.
    opening
        Whether it was raised before the device was open.
    requires
        What to install by pip for the driver.

    Examples
    --------
    >>> explain("scale", FileNotFoundError(2, "No such file", "/dev/ttyUSB0"), opening=True)
    DeviceNotFoundError("scale: FileNotFoundError: [Errno 2] No such file: '/dev/ttyUSB0'")
    >>> explain("scale", OSError(5, "Input/output error"), opening=False)
    DeviceLostError('scale: OSError: [Errno 5] Input/output error')
    """
    if isinstance(error, ImportError) and not isinstance(error, RxStreamError):
        module = (error.name or "").partition(".")[0]
        remedy = f"pip install '{requires}'"
        if not requires:
            remedy = f"install the package that has {module or 'it'}, with pip install"
        missing = MissingExtraError(f"{name}: its driver cannot be loaded ({error}); {remedy}")
        missing.__cause__ = error
        return missing
    number = getattr(error, "errno", None)
    if not opening or isinstance(error, RxStreamError):
        return wrap_error(name, error, DeviceLostError)
    remedy = ""
    if isinstance(error, PermissionError) or number in _FORBIDDEN:
        remedy = (
            "close what else uses it, or give your user access (serial ports on Linux: the group "
            "dialout)"
        )
    elif number in _HELD:
        remedy = "close what else uses it"
    if not remedy:
        return wrap_error(name, error, DeviceNotFoundError)
    busy = DeviceBusyError(f"{name}: {error_line(error)}; {remedy}")
    busy.__cause__ = error
    return busy


def never_open(name: str) -> ParameterError:
    """Return the error for a generator that has ended before its first ``yield``."""
    return ParameterError(f"{name}: it has ended without a yield; yield once the device is open")


def explain_leaving(name: str, error: RuntimeError, block: str) -> DeviceError | None:
    """Return an error of ours where a generator has yielded after it was closed; else None.

    Parameters
    ----------
    name
        Name of the stream.
    error
        What closing it raised.
    block
        What closes a driver in such a generator, e.g. ``with``.
    """
    # as Python says "generator ignored GeneratorExit", of one that is async too
    if "GeneratorExit" not in str(error):
        return None
    return DeviceError(
        f"{name}: it yields after it was closed; close the driver by `{block}` or `finally`, and "
        "let GeneratorExit pass"
    )
