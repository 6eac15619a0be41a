"""A video file that can be read at every moment, encoded and written by FFmpeg through PyAV."""

import ctypes
import io
import os
import struct
import weakref
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.sinks.video_codecs import Codec, Container
from rxstream.sinks.video_output import VideoOutput

__all__ = ["VideoFile"]

# a key frame is at least this often [frames]
_MAX_KEY_INTERVAL = 250
# in the head of an AVI file: two counts of frames, each in a chunk of this name
_AVI_COUNTS = ((b"avih", 24, 48), (b"strh", 100, 140))
# in the head of a Matroska file: the room that FFmpeg leaves for the duration, and its element
_NO_DURATION = b"\xec\x01\0\0\0\0\0\0\2\0\0"
_DURATION = b"\x44\x89\x88"


_open_files: "weakref.WeakSet[VideoFile]" = weakref.WeakSet()


class VideoFile:
    """Writes frames at a constant rate; `flush` makes all of them readable, whatever comes then.

    FFmpeg keeps the frames of a Matroska cluster or an MP4 fragment back until it is complete. So
    `flush` writes the ones that wait as a cluster or fragment of their own behind it, which the
    complete one replaces.

    Parameters
    ----------
    av
        The package PyAV.
    path
        Path of the file; an existing one is replaced.
    container, codec
        Format, and codec with its four letters.
    rate
        Frames per second [Hz].
    shape
        Height and width, even.

    Raises
    ------
    ParameterError
        If the codec cannot have frames of that shape, or that rate.
    OSError
        If there is no room for the head of the file.
    """

    def __init__(
        self, av: Any, path: Path, container: Container, codec: tuple[str, Codec], rate: float,
        shape: tuple[int, int],
    ) -> None:  # fmt: skip
        self._av, self._container = av, container
        self._rate = _fraction(rate)
        self._out = VideoOutput(path)
        try:
            self._muxer = av.open(
                self._out, "w", format=container.muxer, options=dict(container.options)
            )
            self._stream = self._add_stream(*codec, shape)
            self._muxer.start_encoding()
            self._head = self._out.push()
        except BaseException as error:
            self._out.close()
            path.unlink(missing_ok=True)
            if isinstance(error, av.error.FFmpegError):
                msg = (
                    f"{path}: FFmpeg cannot write frames of {shape[1]} x {shape[0]} at {rate:g} Hz "
                    f"as {codec[0]}: {error}; give another codec or rate, or smaller frames"
                )
                raise ParameterError(msg) from error
            raise
        _open_files.add(self)
        self._count = self._muxed = 0
        # packets that the muxer has, and the file has not
        self._waiting: list[Any] = []
        self._fragments = 1
        self.failed = False
        """Whether something could not be written."""
        self.samples = 0
        """Frames that can be read."""

    def write(self, frame: NDArray[np.uint8], pixels: str) -> None:
        """Encode a frame ``(height, width[, 3])`` of these pixels, e.g. ``"bgr24"``."""
        picture = self._av.VideoFrame.from_ndarray(frame, format=pixels)
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._count += 1
        self._mux(self._stream.encode(picture))

    def flush(self) -> None:
        """Make all frames readable."""
        self._guard(self._flush)

    def close(self) -> None:
        """Complete the file, or after an error leave it as it is."""
        try:
            if not self.failed:
                self._mux(self._stream.encode())
                self._guard(self._finish)
        finally:
            self._out.close()
            if self.failed:
                # frees it; what it writes goes nowhere
                with suppress(Exception):
                    self._muxer.close()

    # -- inside -------------------------------------------------------------------------------

    def _add_stream(self, letters: str, codec: Codec, shape: tuple[int, int]) -> Any:
        stream = self._muxer.add_stream(codec.encoder, rate=self._rate, options=dict(codec.options))
        stream.height, stream.width, stream.pix_fmt = *shape, codec.pixels
        context = stream.codec_context
        context.time_base = 1 / self._rate
        # threads for parts of one frame; for several frames they would keep frames back
        context.thread_type = "SLICE"
        context.gop_size = min(max(1, round(self._rate)), _MAX_KEY_INTERVAL)
        context.max_b_frames = 0
        if self._container.muxer == "avi":
            context.codec_tag = letters
        return stream

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = packet.duration or 1
            self._guard(self._mux_one, packet)

    def _mux_one(self, packet: Any) -> None:
        before = self._out.tell()
        self._muxer.mux_one(packet)
        if self._container.tail is not None:
            if self._out.tell() != before:
                self._waiting.clear()
                self._fragments += 1
            self._waiting.append(packet)
        self._out.push()
        self._muxed += 1
        self.samples = max(self.samples, self._muxed - len(self._waiting))

    def _flush(self) -> None:
        if self._waiting:
            self._out.set_tail(self._tail())
        self.samples = self._muxed
        self._patch_head()

    def _finish(self) -> None:
        self._muxer.close()
        self._out.push()
        self.samples = self._muxed

    def _guard(self, write: Callable[..., None], *arguments: Any) -> None:
        """Call a function that writes; after an error of it nothing is written any more."""
        try:
            write(*arguments)
        except BaseException:
            self.failed = True
            raise

    def _tail(self) -> bytes:
        """Return the frames that wait as a cluster or fragment."""
        file = io.BytesIO()
        options = dict(self._container.tail or {})
        mp4 = "movflags" in options
        if mp4:
            options["fragment_index"] = str(self._fragments)
        with self._av.open(file, "w", format=self._container.muxer, options=options) as muxer:
            stream = muxer.add_stream_from_template(self._stream)
            stream.time_base = 1 / self._rate
            muxer.start_encoding()
            head = len(file.getvalue())
            for packet in self._waiting:
                packet.stream = stream
                muxer.mux_one(packet)
            first = self._waiting[0].pts
        tail = bytearray(file.getvalue()[head:])
        if mp4:
            _set_fragment_start(tail, first)
        return bytes(tail)

    def _patch_head(self) -> None:
        """Say how many frames there are, for who reads a file that was not completed."""
        if self._container.muxer == "avi":
            for name, at, position in _AVI_COUNTS:
                if self._head[at : at + 4] == name:
                    self._out.patch(position, struct.pack("<L", self.samples))
        elif self._container.muxer == "matroska":
            position = self._head.find(_NO_DURATION)
            if position >= 0:
                duration = float(self.samples * 1000 / self._rate)
                self._out.patch(position, _DURATION + struct.pack(">d", duration))


def _fraction(rate: float) -> Fraction:
    """Return a rate as a fraction of numbers that every format can hold."""
    if rate < 1:
        return 1 / Fraction(1 / rate).limit_denominator(1001)
    return Fraction(rate).limit_denominator(1001)


def _set_fragment_start(fragment: bytearray, time: int) -> None:
    """Set the time of the first frame, in the stream's ticks, in the box ``tfdt``."""
    at = fragment.index(b"tfdt") + 4
    long = fragment[at] == 1
    struct.pack_into(">Q" if long else ">L", fragment, at + 4, time)


if hasattr(os, "register_at_fork"):

    def _keep_for_ever() -> None:
        # FFmpeg waits for the threads of an encoder when it is freed: in a forked child there are
        # none, and it would wait for ever
        for file in _open_files:
            for part in (file._muxer, file._stream, file._stream.codec_context):  # noqa: SLF001
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(part))

    os.register_at_fork(after_in_child=_keep_for_ever)
