"""audio: a sound card input through PortAudio (``pip install 'rxstream[audio]'``)."""

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import host_clock
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    OverrunError,
    ParameterError,
)
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice, is_positive, is_whole

__all__ = ["Audio"]

Format: TypeAlias = Literal["int16", "int24", "int32", "float32"]
# longest wait for a driver to close [s]: JACK never returns once its server is gone
_CLOSE_TIMEOUT = 2.0
# PortAudio's stream time and a clock that are this close [s] are the same clock
_SAME_CLOCK = 1.0
# Beyond any sound card; PortAudio takes such rates for an error of its own [Hz].
_MAX_RATE = 1e7
# paDeviceUnavailable, paInvalidSampleRate, paInvalidChannelCount of PortAudio's PaErrorCode
_UNAVAILABLE, _BAD_RATE, _BAD_CHANNELS = -9985, -9997, -9998

# PortAudio can list its devices anew only while no stream is open; see `_refresh`
_guard = threading.Lock()
_open_streams: set[int] = set()


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound card input: chunks ``(blocksize, channels)``.

    Times come from the ADC clock that PortAudio reports, through the clock model. If the driver
    overflows, there is an `OverrunError` on `Device.faults`, and a gap where samples are missing.

    Attributes
    ----------
    rate
        Samples per second [Hz].
    channels
        Number of channels.
    device
        PortAudio's number, part of the name, a compiled regular expression, or None for the
        default input. `discover` lists the inputs.
    dtype
        ``"float32"`` in [-1, 1), ``"int16"``, ``"int32"``, or ``"int24"``, which comes as int32
        with its 24 bits on top, so that full scale is that of int32.
    blocksize
        Samples in a chunk; 0 lets the driver choose.
    latency
        Latency to request of the driver [s]; larger is safer, smaller is sooner.

    Examples
    --------
    >>> Audio(rate=44_100, channels=2, dtype="int16").info.dtype
    dtype('int16')
    """

    rate: float = 48_000.0
    channels: int = 1
    device: int | str | re.Pattern[str] | None = None
    dtype: Format = "float32"
    blocksize: int = 480
    latency: float = 0.1

    def __post_init__(self) -> None:
        if not is_positive(self.rate) or self.rate > _MAX_RATE:
            msg = f"Audio: rate must be > 0 and <= {_MAX_RATE:g} Hz, not {shown(self.rate)}"
            raise ParameterError(msg)
        if not is_whole(self.channels, 1):
            msg = f"Audio: channels must be >= 1, not {shown(self.channels)}"
            raise ParameterError(msg)
        check_choice(self.dtype, Format, "Audio: dtype")
        wanted = self.device
        if wanted is not None and not isinstance(wanted, str | re.Pattern) and not is_whole(wanted):
            msg = f"Audio: device must be a number, a name, or a pattern, not {shown(wanted)}"
            raise ParameterError(msg)
        if not is_whole(self.blocksize, 0) or not is_positive(self.latency):
            msg = (
                f"Audio: blocksize must be >= 0 samples and latency > 0 s, not "
                f"{shown(self.blocksize)} and {shown(self.latency)}"
            )
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first sample."""
        dtype = np.dtype("int32" if self.dtype == "int24" else self.dtype)
        unit = "FS" if self.dtype == "float32" else ""
        return StreamInfo(
            "audio", float(self.rate), (self.channels,), dtype, unit, device_clock="host",
            extra={"dtype": self.dtype, "device": str(self.device or "default")},
        )  # fmt: skip

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the inputs of this machine."""
        sd = _backend()
        if not _inputs(sd):
            _refresh(sd)
        default = sd.default.device[0]
        found = []
        for number, about in enumerate(sd.query_devices()):
            if about["max_input_channels"] > 0:
                note = f"{about['max_input_channels']} in, {about['default_samplerate']:g} Hz"
                note += ", default" if number == default else ""
                found.append(DeviceInfo(about["name"], {"device": number}, note))
        return found

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Start the input.

        Raises
        ------
        DeviceNotFoundError
            If there is no such input; the message lists those there are.
        DeviceBusyError
            If another program holds it.
        ParameterError
            If it does not have this rate or so many channels.
        """
        sd = _backend()
        number = _look_up(sd, self.device)
        closing, dtype = threading.Event(), self.info.dtype
        driver = 0  # its thread

        def take(buffer: Any, _frames: int, when: Any, status: Any) -> None:
            nonlocal driver
            driver = threading.get_ident()
            if closing.is_set():
                return
            if status.input_overflow:
                fail(OverrunError("audio: the driver lost samples before this (overflow)"))
            if self.dtype == "int24":
                data = _unpack(buffer, self.channels)
            else:
                data = np.frombuffer(buffer, dtype).reshape(-1, self.channels)
            emit(Reading(data, device_time=to_host(when.inputBufferAdcTime)))

        def finished() -> None:
            if not closing.is_set():
                fail(
                    DeviceLostError(f"audio: the input {_name(sd, number)} has stopped or is gone")
                )

        stream = None
        try:
            # not sd.InputStream: with numpy 2.5 it raises a DeprecationWarning for every buffer
            stream = sd.RawInputStream(
                samplerate=self.rate, channels=self.channels, device=number, dtype=self.dtype,
                blocksize=self.blocksize, latency=self.latency, callback=take,
                finished_callback=finished,
            )  # fmt: skip
            to_host = _clock_of(stream)
            with _guard:
                _open_streams.add(id(stream))
            stream.start()
        except (sd.PortAudioError, ValueError) as error:
            closing.set()
            if stream is not None:
                _shut(stream)
            raise _explained(sd, self, number, error) from error

        # in a thread: a driver whose server is gone may never return
        thread = threading.Thread(target=_shut, args=(stream,), name="audio-close", daemon=True)

        def close() -> None:
            with _guard:
                first = not closing.is_set()
                closing.set()
            if first:
                thread.start()
            # the driver waits for its thread to return from here
            if driver != threading.get_ident():
                thread.join(_CLOSE_TIMEOUT)

        return close


def _backend() -> Any:
    return import_optional("sounddevice", extra="audio", system="libportaudio2")


def _shut(stream: Any) -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)
    with _guard:
        _open_streams.discard(id(stream))


def _unpack(raw: Any, channels: int) -> NDArray[np.int32]:
    """Return packed 24-bit little-endian samples as int32 ``(n, channels)``, left-justified."""
    packed = np.frombuffer(raw, np.uint8).reshape(-1, channels, 3)
    out = np.zeros((len(packed), channels, 4), np.uint8)
    out[..., 1:] = packed
    return out.view("<i4")[..., 0]


def _clock_of(stream: Any) -> Callable[[float], int | None]:
    """Return a function from PortAudio's seconds to host time [ns], or to None.

    PortAudio does not document its clock: ALSA's is the wall clock on Debian, CoreAudio's is
    monotonic, JACK's begins with its server. It is the clock that it agrees with now.
    """
    stamp = stream.time
    wall, steady = time.time(), time.monotonic()
    # a driver without a clock reports 0
    if not stamp:
        return lambda _: None

    def own(stamp: int) -> int:
        return host_clock.from_clock(stamp, lambda: round(stream.time * 1e9))

    # measured for each block: one of its own may stand still while the computer sleeps
    mapped: Callable[[int], int] = own
    if abs(stamp - wall) < _SAME_CLOCK:
        mapped = host_clock.from_realtime
    elif abs(stamp - steady) < _SAME_CLOCK:
        mapped = host_clock.from_monotonic
    return lambda s: mapped(round(s * 1e9)) if s and math.isfinite(s) else None


def _inputs(sd: Any) -> dict[int, str]:
    return {
        number: about["name"]
        for number, about in enumerate(sd.query_devices())
        if about["max_input_channels"] > 0
    }


def _name(sd: Any, number: int | None) -> str:
    if number is None:
        return "(default)"
    return f"{number} {shown(sd.query_devices(number)['name'])}"


def _list(inputs: dict[int, str]) -> str:
    return ", ".join(f"{number}: {shown(name)}" for number, name in inputs.items()) or "none"


def _matching(inputs: dict[int, str], wanted: int | str | re.Pattern[str] | None) -> list[int]:
    if wanted is None:
        return list(inputs)
    if isinstance(wanted, int):
        return [wanted] if wanted in inputs else []
    if isinstance(wanted, str):
        return [n for n, name in inputs.items() if name == wanted] or [
            n for n, name in inputs.items() if wanted.casefold() in name.casefold()
        ]
    return [n for n, name in inputs.items() if wanted.search(name)]


def _refresh(sd: Any) -> bool:
    """Make PortAudio list its devices anew; return whether that was possible.

    PortAudio lists them once, when it is initialised: a device that is plugged in later is missing.
    To initialise it again ends every stream, so this is done only while no `Audio` is open, and
    only when an input was not found. Streams that the program has opened by sounddevice end too.
    """
    with _guard:
        if _open_streams:
            return False
        sd._terminate()  # noqa: SLF001 - sounddevice has no public way
        sd._initialize()  # noqa: SLF001
        return True


def _look_up(sd: Any, wanted: int | str | re.Pattern[str] | None) -> int | None:
    inputs = _inputs(sd)
    if not _matching(inputs, wanted) and _refresh(sd):
        inputs = _inputs(sd)
    if not inputs:
        msg = "audio: this machine has no sound input; plug one in, or use a Simulated"
        raise DeviceNotFoundError(msg)
    if wanted is None:
        return None
    found = _matching(inputs, wanted)
    if not found:
        msg = f"audio: no input {shown(wanted)}; there are {_list(inputs)}"
        raise DeviceNotFoundError(msg)
    if len(found) > 1 and not isinstance(wanted, int):
        names = {inputs[n] for n in found}
        if len(names) > 1:
            msg = f"audio: {shown(wanted)} could be {', '.join(map(repr, sorted(names)))}; say more"
            raise ParameterError(msg)
    return found[0]


def _explained(sd: Any, source: Audio, number: int | None, error: Exception) -> Exception:
    code = error.args[1] if len(error.args) > 1 else None
    name = _name(sd, number)
    about = sd.query_devices(number, "input")
    if code == _BAD_RATE:
        usual = about["default_samplerate"]
        return ParameterError(
            f"audio: input {name} cannot do rate={source.rate:g} Hz; its own is {usual:g} Hz"
        )
    if code == _BAD_CHANNELS:
        most = about["max_input_channels"]
        return ParameterError(
            f"audio: input {name} has {most} channels, not channels={source.channels}"
        )
    if code == _UNAVAILABLE:
        return DeviceBusyError(
            f"audio: input {name} is busy, or its sound server is gone ({error.args[0]}); close "
            "what else uses it"
        )
    return DeviceNotFoundError(f"audio: input {name} cannot be opened: {error}")
