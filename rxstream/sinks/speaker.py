"""speaker: play a stream of sound."""

import threading
import time
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, SinkError
from rxstream.portaudio import (
    SoundDevice,
    backend,
    check_device,
    device_name,
    explained,
    look_up,
    opened,
    shut,
)
from rxstream.printable import get_logger
from rxstream.sinks.base import Sink
from rxstream.sinks.play_queue import PlayQueue
from rxstream.validation import check_choice

__all__ = ["speaker"]

_logger = get_logger(__name__)

Gaps: TypeAlias = Literal["silence", "skip"]

# Types of samples, and what PortAudio plays them as.
_TYPES = {"int16": "int16", "int32": "int32", "float32": "float32", "float64": "float32"}
# The longest gap that is played in full [s]: nobody waits for one of hours.
_MAX_SILENCE = 60.0
# Longest wait for a driver to play what it has, besides its length, and then to close [s].
_PATIENCE, _CLOSE_TIMEOUT = 3.0, 2.0
# Wait after the end, besides for what the driver holds [s].
_MARGIN = 0.1


class speaker(Sink):  # noqa: N801 - used like a function
    """Play a stream of sound through PortAudio, every sample as it came.

    What comes is held in a buffer of its own, and is played once that is half full. A stream that
    comes faster than it is played waits, as it does in any slow subscriber. Of one that comes too
    late the buffer runs empty: silence is played until it is half full again, which is an underrun,
    counted and logged.

    As the stream ends, or the sink is closed, the rest is played first.

    Parameters
    ----------
    device
        PortAudio's number, the name, part of the name, a compiled regular expression, a function
        that is called with what ``sounddevice.query_devices()`` says of each output, or None for
        the default output.
    gaps
        ``"silence"``: where samples were lost, silence as long as these, up to 60 s; what was
        silent already as nothing came counts. ``"skip"``: nothing.
    buffer
        Length of the buffer [s], besides twice the latency. Half of all is how much later a live
        stream is heard, and then the latency.
    latency
        Latency to request of the driver [s], for its own buffer.

    Raises
    ------
    ParameterError
        If an argument is invalid; with the first chunk, if the output cannot have its rate or
        channels.
    MissingExtraError
        If sounddevice, or PortAudio, is not installed.
    ChunkError
        With the first chunk, if the stream is no sound: irregular, or of another dtype.
    DeviceNotFoundError, DeviceBusyError
        With the first chunk, if there is no such output, or another program holds it.
    SinkError
        If the output is gone.

    Examples
    --------
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> device = Device(Simulated.microphone(duration=3.0))
    >>> subscription = device.subscribe(speaker("USB"))    # doctest: +SKIP
    """

    def __init__(
        self,
        device: SoundDevice = None,
        *,
        gaps: Gaps = "silence",
        buffer: Duration = 0.5,
        latency: Duration = 0.1,
    ) -> None:
        check_device(device, "speaker: device")
        check_choice(gaps, Gaps, "gaps")
        super().__init__("speaker")
        self._device, self._fill = device, gaps == "silence"
        self._buffer = to_span(buffer, "speaker: buffer") / 1e9
        self._latency = to_span(latency, "speaker: latency") / 1e9
        # now, and not with the first chunk
        self._sd = backend()
        self._stream: Any = None
        self._queue: PlayQueue | None = None
        self._rate = 1.0
        self._held = self._latency  # by the driver [s]
        self._over = threading.Event()  # the driver has played all, or has stopped

    @property
    def underruns(self) -> int:
        """How often nothing was there to play while the stream went on, or its driver says so."""
        return 0 if self._queue is None else self._queue.underruns

    @property
    def silence(self) -> float:
        """Silence that was played for want of samples, and for gaps, since the first one [s]."""
        return 0.0 if self._queue is None else self._queue.silent / self._rate

    def start(self, chunk: Chunk) -> None:
        """Open the output."""
        info, sd = chunk.info, self._sd
        if info.rate is None or len(info.shape) > 1 or str(info.dtype) not in _TYPES:
            msg = (
                f"{self.name}: {info.name} is {info.shape} {info.dtype} at rate {info.rate}; what "
                f"is played has regular samples () or (channels,) of {', '.join(_TYPES)}"
            )
            raise ChunkError(msg)
        number = look_up(sd, self._device, "output", self.name)
        channels = info.shape[0] if info.shape else 1
        dtype, self._rate = np.dtype(_TYPES[str(info.dtype)]), info.rate
        self._queue = queue = PlayQueue(
            self.name, channels, dtype,
            # the driver fills its own at once
            capacity=max(2, round((self._buffer + 2 * self._latency) * info.rate)),
        )  # fmt: skip
        begun, given, silent = 0.0, 0, 0

        def give(out: Any, frames: int, _when: Any, status: Any) -> None:
            nonlocal begun, given, silent
            begun = begun or time.monotonic()
            if status.output_underflow:
                queue.note_underrun()
            if not queue.take(np.frombuffer(out, dtype).reshape(-1, channels)):
                given += frames
                return
            # Told to stop, ALSA's plugin for PulseAudio drops what it holds, which may be more than
            # it says; but nothing is played faster than time passes.
            silent += frames
            left = begun + given / self._rate - time.monotonic()
            if min(silent / self._rate, -left) > self._held + _MARGIN:
                self._over.set()

        def finished() -> None:
            queue.fail(f"the output {device_name(sd, number)} has stopped or is gone")
            self._over.set()

        try:
            self._stream = sd.RawOutputStream(
                samplerate=info.rate, channels=channels, device=number, dtype=dtype.name,
                latency=self._latency, callback=give, finished_callback=finished,
            )  # fmt: skip
            opened(self._stream)
            self._held = max(self._held, self._stream.latency)
            self._stream.start()
        except (sd.PortAudioError, ValueError) as error:
            raise explained(
                sd, error, number, "output", self.name, rate=info.rate, channels=channels
            ) from error

    def write(self, chunk: Chunk) -> None:
        """Put the samples into the buffer, and silence for those lost; wait while it is full."""
        done = 0
        for at, gap in chunk.gap_positions:
            self._put(chunk.data[done:at])
            if self._fill:
                self._put_silence(gap)
            done = at
        self._put(chunk.data[done:])

    def _put(self, data: NDArray[Any]) -> None:
        if len(data) and self._queue is not None:
            if data.dtype.kind == "f":
                # what PortAudio makes of NaN is anything
                data = np.nan_to_num(data, posinf=1.0, neginf=-1.0)
            self._queue.put(data.reshape(len(data), -1))

    def _put_silence(self, gap: Gap) -> None:
        lost = gap.lost if gap.lost is not None else round(gap.duration * self._rate)
        most = round(_MAX_SILENCE * self._rate)
        if lost > most:
            _logger.warning("%s: of %s only %g s are played", self.name, gap, _MAX_SILENCE)
        if self._queue is not None:
            self._queue.put_silence(min(lost, most))

    def finish(self) -> None:
        """Play the rest, and close the output."""
        queue, stream = self._queue, self._stream
        if queue is None or stream is None:
            return
        gone, left = queue.has_failed, queue.end()
        in_time = self._over.wait(left / self._rate + 2 * self._held + _PATIENCE)
        # in a thread: a driver whose server is gone may never return
        thread = threading.Thread(target=shut, args=(stream,), name="speaker-close", daemon=True)
        thread.start()
        thread.join(_CLOSE_TIMEOUT)
        if queue.underruns:
            _logger.warning(
                "%s: %d underruns; %.3g s of silence were played in the stream", self.name,
                queue.underruns, self.silence,
            )  # fmt: skip
        # of one that is gone, `write` has said so
        if (queue.left and not (gone and self._error)) or not in_time:
            msg = (
                f"{self.name}: the output stopped before the end, {queue.left} samples and what "
                "its driver held were not played; see that it is there and turned on"
            )
            raise SinkError(msg)
