"""camera: a camera, a video stream or a video file through OpenCV (``rxstream[video]``)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from rxstream.acquisition.device import Close, Emit, Fail
from rxstream.data.clock import Time, now_ns, to_ns, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.camera.clocks import (
    ArrivalClock,
    ContainerClock,
    PictureClock,
    RecordedClock,
)
from rxstream.devices.camera.open import (
    Kind,
    kind_of,
    no_camera,
    open_camera,
    open_file,
    open_sequence,
    open_stream,
    shown,
    video_nodes,
)
from rxstream.devices.camera.read import Color, Input
from rxstream.devices.camera.run import Run
from rxstream.errors import FormatError, ParameterError
from rxstream.optional import import_optional

if TYPE_CHECKING:
    from rxstream.devices.device_info import DeviceInfo

__all__ = ["Camera"]


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera, a live video stream, a video file, or numbered picture files.

    Emits uint8 ``(n, height, width, 3)``, for ``"gray"`` ``(n, height, width)``: one picture a
    chunk, but in the first chunk of a live stream those of its first 0.3 s. Pictures are irregular
    samples: each has its own time, whatever ``info.rate`` says.

    A live source is read by a thread of its own as fast as pictures come, whatever subscribers
    do, so no picture grows old in a driver's buffer: the newest is always the last of the
    device's history, and ``ops.latest()`` gives that one.

    **Times.** Where the container (the file or stream format) says when a picture was taken, and
    is right, that is its time; else the host time at which it arrived.

    - A file is trusted: time is ``start`` plus its time in the file.
    - A live stream is trusted as long as its times keep pace with arrival. Its first pictures are
      held back for 0.3 s, once, to see how the two clocks lie; if one later comes 50 ms before
      its time, or all come 250 ms late for two seconds, pictures are stamped on arrival from
      there on, and the log says so.
    - JPEG pictures over HTTP hold no times (FFmpeg invents 25 per second), nor do bare streams
      (``.h264``, ``.mjpeg``) and picture files: stamped on arrival, unless ``rate`` is given.
    - A camera's picture has the kernel's stamp (Linux), or that of arrival.
    - Where arrival is all there is and pictures have come at their stated rate for three seconds,
      their times are those of the earliest line under the arrivals, with its uncertainty. If the
      rate changes, as with automatic exposure, arrivals count again. Elsewhere nobody knows how
      late pictures are, and `Chunk.uncertainty` is NaN.

    The delay from the lens to the driver cannot be seen from here: see ``Device(path_delay=)``.

    Attributes
    ----------
    source
        Index of a camera, or its path below ``/dev``; URL of a stream (``rtsp://``, ``http://``,
        ``tcp://``, ``udp://``); path of a file; pattern of picture files, ``"name_%04d.png"``.
    width, height
        What a camera is asked for [pixels]; it takes the nearest it can, see ``device.info``.
    rate
        Pictures per second [Hz]. A camera is asked for it; for anything else it overrides what
        the container says: picture ``i`` of a file was taken ``i / rate`` after the first.
    color
        Order of colors: ``"bgr"`` (OpenCV's), ``"rgb"``, or ``"gray"``.
    api
        The way OpenCV takes: ``"v4l2"``, ``"ffmpeg"``, ``"gstreamer"``, ``"dshow"``, ``"msmf"``,
        ``"avfoundation"``; None: the usual one.
    start
        Time of the first picture of a recording; None: of its opening.
    pace
        Of a recording. ``"live"``: as the container says, so that a file stands in for a camera;
        ``"max"``: as fast as it can be read. In both it waits for subscribers, which therefore
        get every picture from the moment they subscribe: subscribe before opening to have all.
    timeout
        How long a stream may take to open, and from picture to picture, until it is lost [s].

    Examples
    --------
    >>> from rxstream.devices.camera import Camera
    >>> Camera("clip.mp4", rate=25.0, pace="max").info.rate
    25.0
    >>> Camera("rtsp://example.org/door", pace="slow")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: pace must be one of live, max, not 'slow'
    """

    source: int | str | os.PathLike[str] = 0
    width: int | None = None
    height: int | None = None
    rate: float | None = None
    color: Color = "bgr"
    api: str | None = None
    start: Time | None = None
    pace: Literal["live", "max"] = "live"
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
        _one_of("color", self.color, get_args(Color))
        _one_of("pace", self.pace, ("live", "max"))
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value > 0):
                msg = f"{name} must be a number of pixels > 0, not {value!r}"
                raise ParameterError(msg)
        to_span(self.timeout, "timeout")
        if self.start is not None:
            to_ns(self.start)
        self._check_kind()
        _ = self.info  # checks the rate

    def _check_kind(self) -> None:
        kind = self._kind
        if kind != "camera" and (self.width is not None or self.height is not None):
            msg = (
                f"width and height are asked of a camera; {shown(self._where)} has its own size: "
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
    def _kind(self) -> Kind:
        return kind_of(self._where)

    @property
    def live(self) -> bool:
        """Whether it waits for nobody: a camera or a stream, not a file."""
        return self._kind in ("camera", "stream")

    @property
    def info(self) -> StreamInfo:
        """What the options say; the size of the pictures is known only once it is open."""
        if self.width is None or self.height is None:
            return self._info((), self.rate, {"shape": "unknown"})
        shape = (self.height, self.width, *((3,) if self.color != "gray" else ()))
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
        """Open it, wait for the first picture, and start reading.

        Raises
        ------
        DeviceNotFoundError
            If there is no such camera or file, or nothing answers at the URL.
        DeviceBusyError
            If the camera is there, but gives no picture.
        FormatError
            If the file is no video, or what answers sends none.
        ParameterError
            If OpenCV has no such ``api``, or ``start`` or ``pace`` is given for a live stream.
        MissingExtraError
            If OpenCV is not installed.
        """
        cv2 = import_optional("cv2", extra="video", system="libgl1 libglib2.0-0")
        pictures = self._connect(cv2)
        try:
            if not pictures.recorded and (self.start is not None or self.pace != "live"):
                msg = f"start and pace are for recordings; {shown(self._where)} is live"
                raise ParameterError(msg)
            first = pictures.read()
            if first is None:
                raise self._nothing()
        except BaseException:
            pictures.release()
            raise
        info = self._info(first.data.shape, pictures.rate or self.rate, pictures.facts())
        run = Run(pictures, self._clock(pictures), emit, fail, shown(self._where))
        run.paced = pictures.recorded and pictures.timed and self.pace == "live"
        run.remote = self._kind == "stream"
        return run.start(first), info

    def _connect(self, cv2: Any) -> Input:
        where, kind = self._where, self._kind
        if isinstance(where, int) or kind == "camera":
            wanted = {"width": self.width, "height": self.height, "rate": self.rate}
            return open_camera(cv2, where, self.api, self.color, wanted)
        if kind == "stream":
            return open_stream(cv2, where, self.api, self.color, self.rate, self.timeout)
        if kind == "sequence":
            return open_sequence(cv2, where, self.color, self.rate)
        return open_file(cv2, where, self.api, self.color, self.rate)

    def _nothing(self) -> Exception:
        if self._kind == "camera":
            return no_camera(self._where)
        msg = f"camera: {shown(self._where)} holds no picture that OpenCV can decode"
        return FormatError(msg)

    def _clock(self, pictures: Input) -> PictureClock:
        if self._kind == "camera":
            return ArrivalClock(stamped=True, rate=pictures.rate)
        if not pictures.timed:
            return ArrivalClock(rate=None if pictures.recorded else pictures.rate)
        if pictures.recorded:
            return RecordedClock(now_ns() if self.start is None else to_ns(self.start))
        return ContainerClock(f"camera {shown(self._where)}")

    @staticmethod
    def discover() -> "list[DeviceInfo]":
        """Return the cameras that Linux lists; elsewhere OpenCV cannot tell without opening."""
        from rxstream.devices.device_info import DeviceInfo

        found = []
        for node in video_nodes():
            about = Path("/sys/class/video4linux", node.name, "name")
            label = about.read_text().strip() if about.is_file() else node.name
            found.append(DeviceInfo(label, {"source": int(node.name[5:])}, str(node)))
        return found


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        msg = f"{name} must be one of {', '.join(allowed)}, not {value!r}"
        raise ParameterError(msg)
