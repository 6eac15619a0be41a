"""`Source`: the contract between the author of a device and `Device`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.clock import to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = [
    "Close",
    "Emit",
    "Fail",
    "Source",
    "check_source",
    "check_stalled",
    "discover",
    "is_live",
]

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

    Two options are known by their names: ``every``, the time from one value to the next [s], and
    ``blocksize``, the samples of a reading. See `check_stalled`.
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
    elif isinstance(source, Observable):
        remedy = "it is a stream already: subscribe to it"
    elif not isinstance(source, Source):
        remedy = "it needs `info` and `open(emit, fail)`"
    else:
        return
    msg = f"{shown(source)} is no source; {remedy}"
    raise ParameterError(msg)


def check_stalled(source: Source, span: int) -> None:
    """Raise `ParameterError` if a source pauses for longer than it may, as far as it says.

    Parameters
    ----------
    source
        The device, not open.
    span
        How long it may give no samples, ``stalled_after`` [ns].
    """
    pause, why = _stated_pause(source)
    if span > pause:
        return
    msg = (
        f"stalled_after must be more than the longest pause of the device, not {span / 1e9:g} s: "
        f"{source.info.name} gives a reading each {pause / 1e9:g} s ({why}); give e.g. "
        f"stalled_after={3 * pause / 1e9:g}"
    )
    raise ParameterError(msg)


def _stated_pause(source: Source) -> tuple[int, str]:
    """Return the time from one reading to the next as its options say it [ns], and which do."""
    every, blocksize = getattr(source, "every", None), getattr(source, "blocksize", None)
    if every is not None:
        try:
            return to_span(every, "every"), f"every={shown(every)}"
        except ParameterError:
            return -1, ""  # it means something else
    period = source.info.period
    if period is None:
        return -1, ""
    rate = f"rate={source.info.rate:g}"
    if is_whole(blocksize, 1):
        return round(blocksize * period), f"blocksize={blocksize}, {rate}"
    return round(period), rate
