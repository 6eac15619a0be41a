"""camera: a camera, a video stream or a video file through OpenCV (``rxstream[video]``)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Time, now_ns, to_ns, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.camera.clocks import (
    ArrivalClock,
    ContainerClock,
    FrameClock,
    RecordedClock,
)
from rxstream.devices.camera.inputs import Color, Input
from rxstream.devices.camera.locations import kind_of, shown
from rxstream.devices.camera.open import (
    no_camera,
    open_camera,
    open_file,
    open_sequence,
    open_stream,
    video_nodes,
)
from rxstream.devices.camera.reader import CameraReader
from rxstream.devices.camera.settings import Settings, check_given
from rxstream.errors import FormatError, ParameterError
from rxstream.optional import import_optional
from rxstream.validation import check_choice, is_whole

__all__ = ["Camera"]

Pace: TypeAlias = Literal["live", "max"]


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera, a live video stream, a video file, or numbered image files.

    Emits uint8 ``(n, height, width, 3)``, for ``"gray"`` ``(n, height, width)``: one frame a
    chunk, but the first chunk of a live stream has those of its first 0.3 s. Frames are irregular
    samples: each has its own time, whatever ``info.rate`` is.

    A live source is read by a thread of its own as fast as frames come, whatever subscribers
    do, so no frame waits in a driver's buffer: the newest is always the last of the device's
    window, which ``ops.latest()`` takes.

    **Times.** The time of a frame is that of the container (the file or stream format) where it
    is right, else the host time of its arrival.

    - A file is trusted: time is ``start`` plus the time in the file.
    - A live stream is trusted as long as its times keep pace with arrival. Its first frames are
      held back for 0.3 s, once, to map its clock to the host clock. If a frame later comes 50 ms
      before its time, or all come 250 ms late for two seconds, frames are stamped on arrival from
      then on, and a warning is logged.
    - JPEG images over HTTP hold no times (FFmpeg invents 25 per second), nor do bare streams
      (``.h264``, ``.mjpeg``) and image files: stamped on arrival, unless ``rate`` is given.
    - A camera's frame has the kernel's stamp (Linux), or that of arrival.
    - Where there is only arrival, and frames have come at their stated rate for three seconds,
      their times are those of the earliest line under the arrivals, with its uncertainty. If the
      rate changes, as with automatic exposure, arrivals count again, and `Chunk.uncertainty` is
      NaN: the delay of such frames is unknown.

    **Settings.** A camera takes size, rate and pixel format together, or something near, and says
    nothing; so what it gives is compared with what was asked, and another size, pixel format, or a
    rate that is off by more than 1 % is a `ParameterError` of ``open`` with both.

    The delay from the lens to the driver is not visible to the library: see
    ``Device(path_delay=)``.

    Attributes
    ----------
    source
        Index of a camera, or its path below ``/dev``; URL of a stream (``rtsp://``, ``http://``,
        ``tcp://``, ``udp://``); path of a file; pattern of image files, ``"name_%04d.png"``.
    size
        Width and height of a camera's frames [pixels]; None: as the driver has it.
    rate
        Frames per second [Hz]. A camera is set to it; for anything else it overrides the
        container: frame ``i`` of a file was taken ``i / rate`` after the first.
    pixel_format
        Form in which a camera sends its frames, four letters: ``"MJPG"`` (compressed, for large
        sizes at full rate), ``"YUYV"``; None: as the driver has it. Frames are decoded to
        ``color`` all the same.
    color
        Order of colors: ``"bgr"`` (OpenCV's), ``"rgb"``, or ``"gray"``.
    backend
        Backend of OpenCV: ``"v4l2"``, ``"ffmpeg"``, ``"gstreamer"``, ``"dshow"``, ``"msmf"``,
        ``"avfoundation"``; None: the usual one.
    start
        Time of the first frame of a recording; None: the time of opening.
    pace
        Pace of a recording. ``"live"``: that of its times, so that a file stands in for a camera;
        ``"max"``: as fast as it can be read. In both it waits for subscribers, which therefore
        get every frame from the moment they subscribe: subscribe before opening to have all.
    timeout
        Longest time for a stream to open, and from frame to frame, until it is lost [s].

    Examples
    --------
    >>> from rxstream.devices.camera import Camera
    >>> Camera("clip.mp4", rate=25.0, pace="max").info.rate
    25.0
    >>> Camera("rtsp://example.org/door", pace="slow")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: pace must be 'live' or 'max', not 'slow'
    """

    source: int | str | os.PathLike[str] = 0
    size: tuple[int, int] | None = None
    rate: float | None = None
    pixel_format: str | None = None
    color: Color = "bgr"
    backend: str | None = None
    start: Time | None = None
    pace: Pace = "live"
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if isinstance(self.source, bool) or not isinstance(self.source, int | str | os.PathLike):
            msg = f"source must be a camera's index, a path or a URL, not {self.source!r}"
            raise ParameterError(msg)
        if isinstance(self.source, int) and self.source < 0:
            msg = f"source must be an index >= 0, not {self.source!r}"
            raise ParameterError(msg)
        if self.source == "":
            msg = "source must be a camera's index, a path or a URL, not ''"
            raise ParameterError(msg)
        check_choice(self.color, Color, "color")
        check_choice(self.pace, Pace, "pace")
        self._check_settings()
        if not (self.backend is None or isinstance(self.backend, str)):
            msg = f"backend must be a name of OpenCV, e.g. 'v4l2', or None, not {self.backend!r}"
            raise ParameterError(msg)
        to_span(self.timeout, "timeout")
        if self.start is not None:
            to_ns(self.start)
        self._check_kind()
        # checks the rate
        _ = self.info

    def _check_settings(self) -> None:
        size, form = self.size, self.pixel_format
        if size is not None:
            pair = isinstance(size, list | tuple) and len(size) == 2
            if not pair or not all(is_whole(n, 1) for n in size):
                msg = f"size must be width and height in pixels, e.g. (1280, 720), not {size!r}"
                raise ParameterError(msg)
            object.__setattr__(self, "size", (int(size[0]), int(size[1])))
        letters = isinstance(form, str) and len(form) == 4 and form.isascii() and form.isprintable()
        if form is not None and not letters:
            msg = f"pixel_format must be four letters, e.g. 'MJPG', not {form!r}"
            raise ParameterError(msg)

    def _check_kind(self) -> None:
        kind = self._kind
        if kind != "camera" and (self.size is not None or self.pixel_format is not None):
            msg = (
                f"size and pixel_format are asked of a camera; {shown(self._where)} has its own: "
                "leave them out, and resize with ops.map_data"
            )
            raise ParameterError(msg)
        if kind == "camera" and (self.start is not None or self.pace != "live"):
            msg = f"start and pace are for recordings; camera {shown(self._where)} is live"
            raise ParameterError(msg)

    @property
    def _where(self) -> int | str:
        return self.source if isinstance(self.source, int) else os.fspath(self.source)

    @property
    def _kind(self) -> str:  # no Literal: jedi fails on a property of that type, see Device.state
        return kind_of(self._where)

    @property
    def live(self) -> bool:
        """True for a camera or a stream, False for a recording, which waits for subscribers."""
        return self._kind in ("camera", "stream")

    @property
    def info(self) -> StreamInfo:
        """Description by the options; the size of the frames is known only when it is open."""
        if self.size is None:
            return self._info((), self.rate, {"shape": "unknown"})
        width, height = self.size
        shape = (height, width, *((3,) if self.color != "gray" else ()))
        return self._info(shape, self.rate, {})

    def _info(
        self, shape: tuple[int, ...], rate: float | None, extra: dict[str, Any]
    ) -> StreamInfo:
        return StreamInfo(
            "camera",
            rate,
            shape,
            np.dtype(np.uint8),
            channels=tuple(self.color[:3]) if len(shape) == 3 else (),
            device_clock="host",
            extra={"source": shown(self._where), **extra},
        )

    def open(self, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:
        """Open it, wait for the first frame, and start reading.

        Raises
        ------
        DeviceNotFoundError
            If there is no such camera or file, or nothing answers at the URL.
        DeviceBusyError
            If the camera is there, but gives no frame.
        FormatError
            If the file is no video, or what answers sends none.
        ParameterError
            If a camera gives another size, rate or pixel format than was asked, OpenCV has no such
            ``backend``, or ``start`` or ``pace`` is given for a live stream.
        MissingExtraError
            If OpenCV is not installed.
        """
        cv2 = import_optional("cv2", extra="video", system="libgl1 libglib2.0-0")
        source = self._connect(cv2)
        try:
            if not source.recorded and (self.start is not None or self.pace != "live"):
                msg = f"start and pace are for recordings; {shown(self._where)} is live"
                raise ParameterError(msg)
            first = source.read()
            if first is None:
                raise self._nothing()
            if self._kind == "camera":
                check_given(self._asked, source, first, shown(self._where))
        except BaseException:
            source.release()
            raise
        info = self._info(first.data.shape, source.rate or self.rate, source.facts())
        reader = CameraReader(
            source, first, self._clock(source), emit, fail, shown(self._where),
            paced=source.recorded and source.timed and self.pace == "live",
            remote=self._kind == "stream",
        )  # fmt: skip
        return reader.start(), info

    @property
    def _asked(self) -> Settings:
        return Settings(self.size, self.rate, self.pixel_format)

    def _connect(self, cv2: Any) -> Input:
        where, kind = self._where, self._kind
        if isinstance(where, int) or kind == "camera":
            return open_camera(cv2, where, self.backend, self.color, self._asked)
        if kind == "stream":
            return open_stream(cv2, where, self.backend, self.color, self.rate, self.timeout)
        if kind == "sequence":
            return open_sequence(cv2, where, self.color, self.rate)
        return open_file(cv2, where, self.backend, self.color, self.rate)

    def _nothing(self) -> Exception:
        if self._kind == "camera":
            return no_camera(self._where)
        msg = f"camera: {shown(self._where)} holds no frame that OpenCV can decode"
        return FormatError(msg)

    def _clock(self, source: Input) -> FrameClock:
        if self._kind == "camera":
            return ArrivalClock(stamped=True, rate=source.rate)
        if not source.timed:
            return ArrivalClock(rate=None if source.recorded else source.rate)
        if source.recorded:
            return RecordedClock(now_ns() if self.start is None else to_ns(self.start))
        return ContainerClock(f"camera {shown(self._where)}")

    @staticmethod
    def discover() -> list[DeviceInfo]:
        """Return the cameras that Linux lists; elsewhere OpenCV finds them only by opening."""
        found = []
        for node in video_nodes():
            about = Path("/sys/class/video4linux", node.name, "name")
            label = about.read_text().strip() if about.is_file() else node.name
            found.append(DeviceInfo(label, {"source": int(node.name[5:])}, str(node)))
        return found
