"""Open the inputs of a camera, with errors that name the cause and the remedy."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rxstream.devices.camera.inputs import Color, ImageFiles, Input, VideoInput
from rxstream.devices.camera.locations import NUMBER, check_file, no_stream, shown
from rxstream.devices.camera.settings import CameraInput, Settings, ask
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    FormatError,
    ParameterError,
)

__all__ = [
    "open_camera",
    "open_file",
    "open_sequence",
    "open_stream",
    "video_nodes",
]

# cv::utils::logging::LOG_LEVEL_SILENT
_LOG_LEVEL_SILENT = 0
# What OpenCV reads from the environment when it opens something with FFmpeg.
_ENVIRONMENT = {
    # AV_LOG_FATAL: only what ends the process
    "OPENCV_FFMPEG_LOGLEVEL": "8",
    # OpenCV's own default, which 4.11 leaves out: it then waits for a camera to send over UDP
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_flags;prefer_tcp",
}
# the log level of OpenCV belongs to the whole process
_quiet_lock = threading.Lock()


def video_nodes() -> list[Path]:
    """Return the video devices of Linux, in order of their numbers."""
    nodes = Path("/dev").glob("video*")
    return sorted((n for n in nodes if n.name[5:].isdigit()), key=lambda n: int(n.name[5:]))


def open_camera(
    cv2: Any,
    source: int | str,
    backend: str | None,
    color: Color,
    asked: Settings,
) -> CameraInput:
    """Open a camera by index or by its path below ``/dev``, and ask for settings."""
    # on Linux only V4L2 opens cameras: the other backends only complain on stderr
    linux = sys.platform.startswith("linux")
    capture = _capture(cv2, source, _number_of(cv2, backend or ("v4l2" if linux else None)), [])
    if capture is None:
        raise no_camera(source)
    refused = ask(cv2, capture, asked)
    return CameraInput(cv2, capture, color, refused)


def no_camera(source: int | str) -> DeviceError:
    """Return the error for a camera that cannot be opened, or gives no frame."""
    node = f"/dev/video{source}" if isinstance(source, int) else source
    if os.path.exists(node):
        msg = (
            f"camera: {shown(source)} is there but gives no frame; close the program that uses "
            "it, or join the group that may (usermod -aG video $USER)"
        )
        return DeviceBusyError(msg)
    there = ", ".join(str(path) for path in video_nodes()) or "no /dev/video*"
    if not sys.platform.startswith("linux"):
        there = "its index counts from 0; another program may hold it"
    return DeviceNotFoundError(f"camera: there is no camera {shown(source)} ({there})")


def open_file(cv2: Any, path: str, backend: str | None, color: Color, rate: float | None) -> Input:
    """Open a video file."""
    path = path.removeprefix("file://")
    check_file("camera", path, "for its frames give a pattern: 'name_%04d.png'")
    capture = _capture(cv2, path, _number_of(cv2, backend), [])
    if capture is None:
        msg = (
            f"camera: {path!r} ({os.path.getsize(path)} bytes) is no video that OpenCV can read; "
            "an mp4 that was cut off while recording has no index: record to mkv or avi"
        )
        raise FormatError(msg)
    video = VideoInput(cv2, capture, color, rate, recorded=True)
    if _is_raw(path):
        video.distrust()
    return video


def _is_raw(path: str) -> bool:
    """Whether a file is a bare stream of JPEG or MPEG frames without a container."""
    with open(path, "rb") as file:
        head = file.read(5)
    # a start code of MPEG; that of a program stream, which is a container, goes on with BA
    code = head.find(b"\x00\x00\x01")
    return head.startswith((b"\xff\xd8", b"--")) or (code in (0, 1) and head[code + 3] != 0xBA)


def open_sequence(cv2: Any, pattern: str, color: Color, rate: float | None) -> Input:
    """Open image files by a pattern with one ``%d`` in the file name."""
    path = Path(pattern)
    parts = NUMBER.split(path.name)
    if len(parts) != 2:
        msg = f"camera: {pattern!r} must have exactly one number, e.g. 'name_%04d.png'"
        raise ParameterError(msg)
    name = re.compile(re.escape(parts[0]) + r"(\d+)" + re.escape(parts[1]))
    folder = list(path.parent.iterdir()) if path.parent.is_dir() else []
    found = [(int(m[1]), file) for file in folder if (m := name.fullmatch(file.name))]
    if not found:
        msg = f"camera: no file is called {pattern!r} (the folder is {os.getcwd()!r})"
        raise DeviceNotFoundError(msg)
    return ImageFiles(cv2, sorted(found), color, rate)


def open_stream(
    cv2: Any, url: str, backend: str | None, color: Color, rate: float | None, timeout: float
) -> Input:
    """Open a URL or GStreamer pipeline, waiting no longer than ``timeout`` [s]."""
    wait = round(timeout * 1000)
    params = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait,
        # by default FFmpeg takes a thread for each core, and H.264 comes as many frames late
        cv2.CAP_PROP_N_THREADS, 1,
    ]  # fmt: skip
    number = _number_of(cv2, backend or ("gstreamer" if " ! " in url else "ffmpeg"))
    capture = _capture(cv2, url, number, params if number == cv2.CAP_FFMPEG else [])
    if capture is None:
        raise no_stream("camera", url, timeout, "video that OpenCV can read")
    video = VideoInput(cv2, capture, color, rate, recorded=None)
    # JPEG images over HTTP, as most network cameras send them, hold no times
    if url.startswith("http") and video.invented and video.codec == "MJPG":
        video.distrust()
    return video


def _number_of(cv2: Any, backend: str | None) -> int:
    """Return OpenCV's number of a backend."""
    if backend is None:
        return int(cv2.CAP_ANY)
    number = getattr(cv2, f"CAP_{backend.upper()}", None)
    if not isinstance(number, int):
        registry = cv2.videoio_registry
        there = sorted({registry.getBackendName(b).lower() for b in registry.getBackends()})
        msg = f"camera: OpenCV has no backend {backend!r}; it has {', '.join(there)}"
        raise ParameterError(msg)
    return number


def _capture(cv2: Any, source: int | str, number: int, params: list[int]) -> Any | None:
    with quiet(cv2):
        try:
            capture = cv2.VideoCapture(source, number, params)
        except cv2.error:
            # raised where the program has switched on OpenCV's exceptions
            return None
    if capture.isOpened():
        return capture
    capture.release()
    return None


@contextmanager
def quiet(cv2: Any) -> Iterator[None]:
    """Keep OpenCV from writing to stderr what is raised as an error here.

    Its log level belongs to the whole process, so it is restored at once. FFmpeg's is read from
    the environment when OpenCV first uses FFmpeg, and stays. The options of FFmpeg are given there
    too, for want of another way; what is set there already is kept.
    """
    # before OpenCV 4.13 its log level was set at the top of the module
    logging = getattr(cv2.utils, "logging", cv2)
    with _quiet_lock:
        ours = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
        os.environ.update(ours)
        before = logging.setLogLevel(_LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            logging.setLogLevel(before)
            for name in ours:
                del os.environ[name]
