"""PortAudio, as inputs and outputs share it: find a device, open it, close it, say what is wrong.

PortAudio lists its devices once, when it is initialised: one that is plugged in later is missing.
To initialise it again ends every stream of the program, so this is done only while none is open
here, and only when a device was not found.
"""

import re
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, TypeAlias

from rxstream.errors import DeviceBusyError, DeviceNotFoundError, ParameterError
from rxstream.optional import import_optional
from rxstream.printable import error_line, shown
from rxstream.validation import is_whole

__all__ = [
    "MAX_RATE", "Direction", "SoundDevice", "backend", "check_device", "device_name", "devices",
    "explained", "look_up", "opened", "refresh", "shut",
]  # fmt: skip

Direction: TypeAlias = Literal["input", "output"]

SoundDevice: TypeAlias = int | str | re.Pattern[str] | Callable[[Mapping[str, Any]], object] | None
"""Which device: its number, its name or a part of that, a pattern, a function, or the default."""

MAX_RATE = 1e7
"""Beyond any sound card; PortAudio takes such rates for an error of its own [Hz]."""

# paDeviceUnavailable, paInvalidSampleRate, paInvalidChannelCount of PortAudio's PaErrorCode
_UNAVAILABLE, _BAD_RATE, _BAD_CHANNELS = -9985, -9997, -9998

_guard = threading.Lock()
_open_streams: set[int] = set()


def backend() -> Any:
    """Return the package sounddevice."""
    return import_optional("sounddevice", extra="audio", system="libportaudio2")


def check_device(wanted: object, where: str) -> None:
    """Raise ParameterError unless it can choose a device.

    Examples
    --------
    >>> check_device("USB", "Audio: device")
    >>> check_device(lambda about: True, "Audio: device")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: Audio: device is a function without a place in a module, ...
    """
    if wanted is None or isinstance(wanted, str) or is_whole(wanted):
        return
    if isinstance(wanted, re.Pattern):
        if isinstance(wanted.pattern, bytes):
            msg = f"{where} is a pattern of bytes, {shown(wanted)}; names are text"
            raise ParameterError(msg)
        return
    if not callable(wanted) or not isinstance(wanted, Hashable):
        msg = (
            f"{where} must be a number, a name, a pattern, or a function that can be hashed, not "
            f"{shown(wanted)}"
        )
        raise ParameterError(msg)
    if "<" in getattr(wanted, "__qualname__", ""):
        msg = (
            f"{where} is a function without a place in a module, {shown(wanted)}, which no other "
            "process could be given; write it with def, outside of other functions"
        )
        raise ParameterError(msg)


def devices(sd: Any, direction: Direction) -> dict[int, Mapping[str, Any]]:
    """Return what PortAudio says of each input, or output, by its number."""
    return {
        number: about
        for number, about in enumerate(sd.query_devices())
        if about[f"max_{direction}_channels"] > 0
    }


def device_name(sd: Any, number: int | None) -> str:
    """Return the name of a device for messages."""
    if number is None:
        return "(default)"
    return f"{number} {shown(sd.query_devices(number)['name'])}"


def refresh(sd: Any) -> bool:
    """Make PortAudio list its devices anew; return whether that was possible.

    Streams that the program has opened by sounddevice itself end, too.
    """
    with _guard:
        if _open_streams:
            return False
        sd._terminate()  # noqa: SLF001 - sounddevice has no public way
        sd._initialize()  # noqa: SLF001
        return True


def look_up(sd: Any, wanted: SoundDevice, direction: Direction, name: str) -> int | None:
    """Return the number of a device; None for the default.

    Parameters
    ----------
    sd
        The package sounddevice.
    wanted
        Which one.
    direction
        Whether it records or plays.
    name
        Name of the stream or sink for messages.

    Raises
    ------
    DeviceNotFoundError
        If there is none; the message lists those there are.
    ParameterError
        If several devices of other names are meant, or the function raises.
    """
    there = devices(sd, direction)
    if not _matching(there, wanted, name) and refresh(sd):
        there = devices(sd, direction)
    if not there:
        remedy = "plug one in, or use a Simulated" if direction == "input" else "plug one in"
        msg = f"{name}: this machine has no sound {direction}; {remedy}"
        raise DeviceNotFoundError(msg)
    if wanted is None:
        return None
    found = _matching(there, wanted, name)
    if not found:
        names = ", ".join(f"{number}: {shown(about['name'])}" for number, about in there.items())
        msg = f"{name}: no {direction} {shown(wanted)}; there are {names}"
        raise DeviceNotFoundError(msg)
    names_found = {there[number]["name"] for number in found}
    if len(names_found) > 1:
        could = ", ".join(map(repr, sorted(names_found)))
        msg = f"{name}: {shown(wanted)} could be {could}; say more"
        raise ParameterError(msg)
    return found[0]


def _matching(there: Mapping[int, Mapping[str, Any]], wanted: SoundDevice, name: str) -> list[int]:
    """Return the numbers of the devices that are meant."""
    if wanted is None:
        return list(there)
    if isinstance(wanted, str):
        return [n for n, about in there.items() if about["name"] == wanted] or [
            n for n, about in there.items() if wanted.casefold() in about["name"].casefold()
        ]
    if isinstance(wanted, re.Pattern):
        return [n for n, about in there.items() if wanted.search(about["name"])]
    if not callable(wanted):
        return [int(wanted)] if wanted in there else []
    found = []
    for number, about in there.items():
        try:
            meant = bool(wanted(about))
        except Exception as error:
            msg = (
                f"{name}: device: {shown(wanted)} raised {error_line(error)} for "
                f"{shown(about['name'])}; it gets what sounddevice.query_devices() says of each"
            )
            raise ParameterError(msg) from error
        if meant:
            found.append(number)
    return found


def opened(stream: Any) -> None:
    """Note that a stream is open."""
    with _guard:
        _open_streams.add(id(stream))


def shut(stream: Any) -> None:
    """Close a stream; what it has not played is dropped. Never returns if its server hangs."""
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)
    with _guard:
        _open_streams.discard(id(stream))


def explained(
    sd: Any, error: Exception, number: int | None, direction: Direction, name: str, *,
    rate: float, channels: int,
) -> Exception:  # fmt: skip
    """Return an error of ours for what PortAudio raised as a stream was opened.

    Parameters
    ----------
    sd, error, number, direction, name
        The package, what was raised, which device, and who wanted it.
    rate, channels
        What was asked for [Hz].
    """
    code = error.args[1] if len(error.args) > 1 else None
    what = f"{name}: {direction} {device_name(sd, number)}"
    about = sd.query_devices(number, direction)
    if code == _BAD_RATE:
        usual = about["default_samplerate"]
        return ParameterError(f"{what} cannot do rate={rate:g} Hz; its own is {usual:g} Hz")
    if code == _BAD_CHANNELS:
        most = about[f"max_{direction}_channels"]
        return ParameterError(f"{what} has {most} channels, not channels={channels}")
    if code == _UNAVAILABLE:
        return DeviceBusyError(
            f"{what} is busy, or its sound server is gone ({error.args[0]}); close what else uses "
            "it"
        )
    return DeviceNotFoundError(f"{what} cannot be opened: {error}")
