"""audio: a sound card input through PortAudio (``pip install 'rxstream[audio]'``)."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import host_clock, now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import DeviceLostError, OverrunError, ParameterError
from rxstream.portaudio import (
    MAX_RATE,
    SoundDevice,
    backend,
    check_device,
    device_name,
    devices,
    explained,
    look_up,
    opened,
    refresh,
    shut,
)
from rxstream.printable import shown
from rxstream.validation import check_choice, is_positive, is_whole

__all__ = ["Audio"]

Format: TypeAlias = Literal["int16", "int24", "int32", "float32"]
# longest wait for a driver to close [s]: JACK never returns once its server is gone
_CLOSE_TIMEOUT = 2.0
# PortAudio's stream time and a clock that are this close [s] are the same clock
_SAME_CLOCK = 1.0
# How long the first blocks are held until it is known how far ADC times lie ahead of arrivals;
# PulseAudio's are out for some 50 ms from the start. Then that is looked at for this long [ns].
_TRIAL, _WATCHED = 250_000_000, 2_000_000_000
# Beyond any sound card, as many as a WAV file can have; and beyond the buffer of any driver [s].
_MAX_CHANNELS, _MAX_LATENCY = 65_535, 60.0
# A block may end after it came by the noise of the mapping between clocks [ns]. As much as ADC
# times are moved may change by half of what a clock may be off, so that no step is seen in them.
_NOISE, _SLEW = 1_000_000, 5e-4


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound card input: chunks ``(blocksize, channels)``.

    Times come from the ADC clock that PortAudio reports, through the clock model. The first blocks
    are held for 0.25 s: if by that clock some end after they came, as on the monitor of a sink of
    PulseAudio, all times are moved back by as much. If the driver overflows, there is an
    `OverrunError` on `Device.faults`, and a gap where samples are missing.

    Attributes
    ----------
    rate
        Samples per second [Hz].
    channels
        Number of channels.
    device
        PortAudio's number, the name, part of the name, a compiled regular expression, or None for
        the default input. `discover` lists the inputs. Or a function that is called with what
        ``sounddevice.query_devices()`` says of each input, e.g. ``{"name": "USB Mic", ...}``, and
        returns whether it is meant; one of a module, so that the options can be pickled.
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
    device: SoundDevice = None
    dtype: Format = "float32"
    blocksize: int = 480
    latency: float = 0.1

    def __post_init__(self) -> None:
        if not is_positive(self.rate) or self.rate > MAX_RATE:
            msg = f"Audio: rate must be > 0 and <= {MAX_RATE:g} Hz, not {shown(self.rate)}"
            raise ParameterError(msg)
        if not is_whole(self.channels, 1) or self.channels > _MAX_CHANNELS:
            msg = (
                f"Audio: channels must be from 1 to {_MAX_CHANNELS}, not {shown(self.channels)}; "
                "`rxstream devices` says how many an input has"
            )
            raise ParameterError(msg)
        check_choice(self.dtype, Format, "Audio: dtype")
        check_device(self.device, "Audio: device")
        if not is_whole(self.blocksize, 0) or not is_positive(self.latency):
            msg = (
                f"Audio: blocksize must be >= 0 samples and latency > 0 s, not "
                f"{shown(self.blocksize)} and {shown(self.latency)}"
            )
            raise ParameterError(msg)
        if max(self.latency, self.blocksize / self.rate) > _MAX_LATENCY:
            msg = (
                f"Audio: latency, and blocksize / rate, must be <= {_MAX_LATENCY:g} s, not "
                f"{self.latency:g} and {self.blocksize / self.rate:g} s; to keep more sound give "
                "Device(history=)"
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
        sd = backend()
        inputs = devices(sd, "input")
        if not inputs and refresh(sd):
            inputs = devices(sd, "input")
        default = sd.default.device[0]
        found = []
        for number, about in inputs.items():
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
        sd = backend()
        number = look_up(sd, self.device, "input", "audio")
        closing, dtype = threading.Event(), self.info.dtype
        causal = _CausalTimes(emit, self.rate)
        driver = [0]  # its thread

        def take(buffer: Any, _frames: int, when: Any, status: Any) -> None:
            driver[0] = threading.get_ident()
            if closing.is_set():
                return
            if status.input_overflow:
                fail(OverrunError("audio: the driver lost samples before this (overflow)"))
            if self.dtype == "int24":
                data = _unpack(buffer, self.channels)
            else:
                data = np.frombuffer(buffer, dtype).reshape(-1, self.channels)
            causal.take(Reading(data, device_time=to_host(when.inputBufferAdcTime)))

        def finished() -> None:
            if not closing.is_set():
                name = device_name(sd, number)
                fail(DeviceLostError(f"audio: the input {name} has stopped or is gone"))

        stream = None
        try:
            # not sd.InputStream: with numpy 2.5 it raises a DeprecationWarning for every buffer
            stream = sd.RawInputStream(
                samplerate=self.rate, channels=self.channels, device=number, dtype=self.dtype,
                blocksize=self.blocksize, latency=self.latency, callback=take,
                finished_callback=finished,
            )  # fmt: skip
            to_host = _clock_of(stream)
            opened(stream)
            stream.start()
        except (sd.PortAudioError, ValueError) as error:
            closing.set()
            if stream is not None:
                shut(stream)
            raise explained(
                sd, error, number, "input", "audio", rate=self.rate, channels=self.channels
            ) from error
        return _close_of(stream, closing, driver)


def _close_of(stream: Any, closing: threading.Event, driver: list[int]) -> Close:
    """Return what closes a stream, whose thread is named in ``driver``."""
    # in a thread: a driver whose server is gone may never return
    once = threading.Lock()
    thread = threading.Thread(target=shut, args=(stream,), name="audio-close", daemon=True)

    def close() -> None:
        with once:
            first = not closing.is_set()
            closing.set()
        if first:
            thread.start()
        # the driver waits for its thread to return from here
        if driver[0] != threading.get_ident():
            thread.join(_CLOSE_TIMEOUT)

    return close


class _CausalTimes:
    """Passes blocks on with ADC times by which none ends after it came.

    A sound server that has rendered ahead, or that knows no delay, gives times by which a block
    ends after its arrival. They lie on a line all the same, and better than arrivals do; so all of
    them are moved back by as much as the latest ones lie ahead. How much that is shows the trial,
    for which the first blocks are held; afterwards it changes slowly.

    Parameters
    ----------
    emit
        Argument of ``Source.open``.
    rate
        Samples per second [Hz].
    """

    __slots__ = ("_begun", "_emit", "_held", "_latest", "_lead", "_rate", "_turned")

    def __init__(self, emit: Emit, rate: float) -> None:
        self._emit, self._rate = emit, rate
        self._held: list[Reading] | None = []
        self._begun = self._turned = 0  # arrival of the first block, and of one in `_WATCHED` [ns]
        self._latest = [0, 0]  # most that a block ended after its arrival, before and since [ns]
        self._lead = 0.0  # by how much times are moved back [ns]

    def take(self, block: Reading) -> None:
        """Pass on a block, or hold it."""
        arrival, stamp = now_ns(), block.device_time
        if not isinstance(stamp, int):
            self._release()
            self._emit(block)
            return
        length = len(block.data) / self._rate * 1e9
        self._note(stamp + round(length) - arrival, arrival)
        wanted = max(self._latest)
        wanted = wanted if wanted > _NOISE else 0
        if self._held is None:
            self._lead += min(max(wanted - self._lead, -_SLEW * length), _SLEW * length)
            self._emit(replace(block, device_time=stamp - round(self._lead)))
            return
        # the driver uses its buffer again
        self._held.append(replace(block, data=block.data.copy(), arrival=arrival))
        if arrival - self._begun >= _TRIAL:
            self._lead = wanted
            self._release()

    def _note(self, ahead: int, arrival: int) -> None:
        """Note by how much a block ends after its arrival [ns]."""
        self._begun = self._begun or arrival
        if arrival - self._turned >= _WATCHED:
            self._turned, self._latest = arrival, [self._latest[1], ahead]
        self._latest[1] = max(self._latest[1], ahead)

    def _release(self) -> None:
        """Pass on the blocks that are held."""
        held, self._held = self._held or [], None
        for block in held:
            stamp = block.device_time
            moved = stamp - round(self._lead) if isinstance(stamp, int) else stamp
            self._emit(replace(block, device_time=moved))


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
