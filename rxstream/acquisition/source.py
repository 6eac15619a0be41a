"""`Source`: the contract between the author of a device and `Device`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["Close", "Emit", "Fail", "Source", "check_source", "discover", "is_live"]

Emit: TypeAlias = "Callable[[Reading | NDArray[Any]], object]"
"""Takes an array ``(n, *shape)`` or a `Reading`; copies it at once, never blocks on a reader.

Returns False where it was dropped since the device is being closed; most sources need not know.
"""

Fail: TypeAlias = Callable[[Exception], None]
"""Takes an error: `OverrunError` and `StampError` are survived, `EndOfStream` ends the stream.

Whatever else a driver gives is reported as well: a text is the message of a `DeviceLostError`.
"""

Close: TypeAlias = Callable[[], None]
"""Stops the hardware; when it has returned, nothing more is emitted."""


@runtime_checkable
class Source(Protocol):
    """A device as its author writes it, once; a frozen dataclass of options will do.

    Two more members are optional, and have defaults:

    ``live``
        Attribute or property: False for what can wait, as a file; it is read as fast as its
        slowest reader takes it. Default True; see `is_live`.
    ``discover()``
        Static method: every device of this kind that can be opened here and now, as a sequence of
        `rxstream.devices.DeviceInfo`. Default: none, and no way to look for them; see `discover`.
    """

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before its first sample; must not touch the hardware."""
        ...

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Start the hardware; call ``emit`` from one thread; return how to stop it.

        What is known only once it is open goes into the `StreamInfo` returned beside; such a
        source emits nothing before it returns.
        """
        ...


def is_live(source: Source) -> bool:
    """Whether a source waits for nobody: a device, not a file."""
    return bool(getattr(source, "live", True))


def discover(kind: Any) -> Sequence[Any] | None:
    """Return the devices that a source class finds here; None if it cannot look for them.

    Raises
    ------
    Exception
        Whatever its driver raises, e.g. `MissingExtraError`.
    """
    look = getattr(kind, "discover", None)
    return None if look is None else tuple(look())


def check_source(source: object) -> None:
    """Raise `ParameterError` if something is no source; name what would make it one."""
    if isinstance(source, type):
        remedy = f"make one: {source.__name__}()"
    elif isinstance(source, str):
        remedy = f"open it by its name: rxstream.open({shown(source)})"
    elif not isinstance(source, Source):
        remedy = "it needs `info` and `open(emit, fail)`"
    else:
        return
    msg = f"{shown(source)} is no source; {remedy}"
    raise ParameterError(msg)
