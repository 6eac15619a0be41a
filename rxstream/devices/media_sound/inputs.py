"""An opened sound of PyAV: blocks of samples, their times in the container, what is missing."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Fail
from rxstream.data.clock import now_ns
from rxstream.devices.camera.locations import no_stream, shown
from rxstream.errors import DeviceLostError, FormatError, OverrunError, ParameterError
from rxstream.formats.pcm import Encoding, encode
from rxstream.printable import error_line

__all__ = ["Block", "SoundInput", "open_sound"]

# Formats whose length PyAV only estimates, by the bitrate: they cannot be seen to be cut off.
_ESTIMATED = frozenset({"aac", "ac3", "adts", "amr", "eac3", "mp3"})
# What is written to a pipe says this length of a WAV file, or more [bytes].
_UNKNOWN_LENGTH = 0x7FFF_F000
# How much of a stream FFmpeg looks at before it gives anything [µs]: its 5 s would be waited for.
_LOOKED_AT = "1000000"
# shortest loss of a recording at its end that is one [s], and as a part of its length
_LEAST_MISSING, _PART_MISSING = 0.5, 0.02


class Block(NamedTuple):
    """Samples that were decoded at once."""

    data: NDArray[Any]
    """``(n, channels)``."""
    time: int
    """Time of the first one in the container [ns]."""
    lost: int
    """Samples missing right before it."""
    arrival: int
    """Host time [ns] at which it was there."""


class SoundInput:
    """An opened track of sound.

    Parameters
    ----------
    av, container, track
        The package PyAV, the container, and its track of sound.
    encoding
        How samples are given.
    where
        Its path or URL.
    remote
        Whether it comes over the network, so that it may have no end.
    timeout
        Longest wait for more to come over the network [s].
    """

    def __init__(
        self, av: Any, container: Any, track: Any, encoding: Encoding, where: str, *,
        remote: bool, timeout: float,
    ) -> None:  # fmt: skip
        context = track.codec_context
        self._av, self._container, self._track = av, container, track
        self._encoding, self._where = encoding, where
        self._remote, self._timeout = remote, timeout
        self._cut = "" if remote else _cut_off(where)
        self.rate, self.channels = int(context.sample_rate), int(context.layout.nb_channels)
        length = track.duration * track.time_base if track.duration else None
        if length is None and container.duration:
            length = container.duration / 1e6
        self._length = None if length is None else float(length)
        self.recorded = not remote or self._length is not None
        self._timeline = _Timeline(self.rate)
        self._seen = 0
        self.fail: Fail = _ignore

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for `StreamInfo.extra`."""
        return {
            "format": self._container.format.name, "codec": self._track.codec_context.name,
            "length": self._length,
        }  # fmt: skip

    def blocks(self) -> Iterator[Block]:
        """Yield blocks up to the end.

        Raises
        ------
        DeviceLostError
            If a stream breaks, or sends nothing more.
        FormatError
            If a file does, or rate or channels change.
        """
        try:
            for packet in self._container.demux(self._track):
                arrival = now_ns()
                for frame in self._decoded(packet):
                    yield self._block(frame, arrival)
        except self._av.error.FFmpegError as error:
            raise self._broken(_without_password(error)) from error

    def _block(self, frame: Any, arrival: int) -> Block:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if (rate, channels) != (self.rate, self.channels):
            msg = (
                f"mediasound: {channels} channels at {rate} Hz follow {self.channels} at "
                f"{self.rate} Hz; open it again"
            )
            raise FormatError(msg)
        data = _samples(frame, channels, self._encoding)
        time, lost = self._timeline.push(frame, len(data))
        self._seen += len(data) + lost
        return Block(data, time, lost, arrival)

    def _broken(self, error: Exception) -> Exception:
        """Return the error for an input that PyAV cannot read on."""
        why, where = error_line(error), shown(self._where)
        if not self._remote:
            seen = self._seen / self.rate
            return FormatError(f"mediasound: {where!r} cannot be read beyond {seen:.3g} s: {why}")
        # by which FFmpeg ends a wait
        if isinstance(error, self._av.error.ExitError):
            why = f"nothing came for {self._timeout:g} s"
        return DeviceLostError(
            f"mediasound: {where} is lost ({why}): switched off, unplugged or cut"
        )

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except self._av.error.InvalidDataError as error:
            # its samples are missing in the times of those that follow
            what = error_line(error)
            self.fail(OverrunError(f"mediasound: a damaged piece was left out: {what}"))
            return []

    def missing(self) -> str:
        """Return a sentence on what a recording lacks at its end, or ''."""
        if self._cut:
            return self._cut
        if self._length is None or not _ESTIMATED.isdisjoint(
            self._container.format.name.split(",")
        ):
            return ""
        seen = self._seen / self.rate
        if self._length - seen < max(_LEAST_MISSING, _PART_MISSING * self._length):
            return ""
        return f"ends at {seen:.3g} of {self._length:.3g} s; it was cut off or is damaged"

    def release(self) -> None:
        """Close it."""
        self._container.close()


class _Timeline:
    """Times of blocks, by the stamps of the container; samples that they show to be missing.

    Parameters
    ----------
    rate
        Samples per second [Hz].
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        # added to stamps [s]: they begin anew where recordings are joined
        self._shift = 0.0
        self._end: float | None = None
        self._stamped = False

    def push(self, frame: Any, n: int) -> tuple[int, int]:
        """Return the time of the first sample [ns], and the samples missing before it."""
        end, span, lost = self._end, n / self._rate, 0
        if frame.pts is None:
            # as the first one of RTSP
            time = end or 0.0
        else:
            time = float(frame.pts * frame.time_base) + self._shift
            if not self._stamped and end is not None:
                self._shift += end - time
                time = end
            self._stamped = True
            step = 0.0 if end is None else time - end
            # stamps are whole ticks of the container, and what is missing are whole packets
            noise = max(2 * float(frame.time_base), span / 2)
            if end is not None and step < -noise:
                self._shift -= step
                time = end
            elif step > noise:
                lost = round(step * self._rate)
        self._end = time + span
        return round(time * 1e9), lost


def _samples(frame: Any, channels: int, encoding: Encoding) -> NDArray[Any]:
    """Return a frame of PyAV as samples ``(n, channels)``."""
    data = frame.to_ndarray()
    data = data.T if frame.format.is_planar else data.reshape(-1, channels)
    # integers of other widths as those that `encode` takes
    if data.dtype == np.uint8:
        data = (data.astype(np.int16) - 128) << 8
    elif data.dtype == np.int64:
        data = (data >> 32).astype(np.int32)
    return encode(data, encoding)


def _cut_off(path: str) -> str:
    """Return how a WAV file is shorter than its header says, which FFmpeg corrects, or ''."""
    with open(path, "rb") as file:
        head, size = file.read(8), file.seek(0, 2)
    length = int.from_bytes(head[4:], "little") + 8
    if head[:4] != b"RIFF" or not size < length < _UNKNOWN_LENGTH:
        return ""
    return f"has {size} of {length} bytes; it was cut off or is damaged"


def _without_password(error: Exception) -> Exception:
    """Return an error of PyAV, in which stood the URL as it was given."""
    error.args = tuple(shown(arg) if isinstance(arg, str) else arg for arg in error.args)
    return error


def _ignore(_: Exception) -> None:
    """Take an error before anybody listens."""


def open_sound(
    av: Any, where: str, track: int, encoding: Encoding, timeout: float, *, remote: bool
) -> SoundInput:
    """Open a file or a URL, waiting no longer than ``timeout`` [s].

    Raises
    ------
    DeviceNotFoundError
        If nothing answers at the URL.
    FormatError
        If it holds no sound that PyAV can read.
    ParameterError
        If it has no such track.
    """
    options = {"analyzeduration": _LOOKED_AT} if remote else {}
    if where.startswith("rtsp"):
        # by UDP, which is FFmpeg's first choice, packets are lost
        options["rtsp_transport"] = "tcp"
    try:
        container = av.open(where, options=options, timeout=(timeout, timeout) if remote else None)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        what = "sound that PyAV can read"
        if remote:
            raise no_stream("mediasound", where, timeout, what) from _without_password(error)
        msg = f"mediasound: {where!r} is no {what}: {error_line(error)}"
        raise FormatError(msg) from error
    try:
        tracks = container.streams.audio
        if not tracks:
            msg = f"mediasound: {shown(where)} has no sound; for its frames there is Camera"
            raise FormatError(msg)
        if track >= len(tracks):
            there = "1 track" if len(tracks) == 1 else f"{len(tracks)} tracks"
            msg = f"mediasound: {shown(where)} has {there} of sound, not track={track}"
            raise ParameterError(msg)
        return SoundInput(
            av, container, tracks[track], encoding, where, remote=remote, timeout=timeout
        )
    except BaseException:
        container.close()
        raise
