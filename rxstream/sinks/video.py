"""video: write frames to a video file, and their times beside it (``rxstream[video]``)."""

import csv
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, DeviceError, ParameterError
from rxstream.optional import import_optional
from rxstream.sinks.base import Sink
from rxstream.sinks.paths import path_to_write
from rxstream.validation import is_positive

__all__ = ["video"]

# codecs that every build of OpenCV writes, by suffix
_CODECS = {".avi": "MJPG", ".m4v": "mp4v", ".mkv": "MJPG", ".mov": "mp4v", ".mp4": "mp4v"}
# frames per second at which a stream without a rate plays [Hz]
_DEFAULT_RATE = 25.0
_HEADER = ("frame", "time_ns", "gap", "lost", "gap_start_ns", "gap_end_ns")


class video(Sink):  # noqa: N801 - used like a function
    """Write frames to a video file.

    Takes uint8 frames ``(height, width, 3)``, blue first unless the stream's channels are
    ``("r", "g", "b")``, or gray ones ``(height, width)``. An odd height or width gets one more row
    or column, a copy of the last.

    A video file has a constant rate, a live stream has not. So every frame is written once, and
    the file ``<path>.times.csv`` beside it has the times: columns ``frame`` (from 0), ``time_ns``,
    and for a gap right before the frame ``gap`` (its reason), ``lost`` (frames, empty if unknown),
    ``gap_start_ns``, ``gap_end_ns``. A gap adds nothing to the video. A gap after the last frame
    has a row without frame.

    Parameters
    ----------
    path
        Path of the file; its suffix is the format: ``.avi``, ``.mkv``, ``.mov``, ``.mp4``,
        ``.m4v``. An existing file is replaced. Nothing is written before the first frame.
    rate
        Frames per second at which it plays [Hz]; None: the stream's rate, or 25 if it has none.
    codec
        Four letters, e.g. ``"MJPG"``; None: MJPG for avi and mkv, else mp4v. Both are lossy.

    Raises
    ------
    ParameterError
        If the path, its suffix, the rate or the codec is invalid.

    See Also
    --------
    rxstream.devices.camera.Camera : Reads the file again.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> folder = tempfile.mkdtemp()
    >>> camera = Simulated(
    ...     rate=50.0, shape=(48, 64, 3), dtype=np.uint8, signal="video", duration=0.2
    ... )
    >>> with video(folder + "/clip.avi") as sink, Device(camera) as device:
    ...     _ = device.rewind(10).subscribe(sink)
    ...     _ = sink.wait(10)
    >>> sink.samples, sink.times_path.name
    (10, 'clip.avi.times.csv')
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float | None = None,
        codec: str | None = None,
    ) -> None:
        self._path = path_to_write(path, *_CODECS)
        if rate is not None and not is_positive(rate):
            msg = f"rate must be > 0 Hz, not {rate!r}"
            raise ParameterError(msg)
        if codec is not None and not (
            isinstance(codec, str) and len(codec) == 4 and codec.isascii()
        ):
            msg = f"codec must have four letters, e.g. 'MJPG', not {codec!r}"
            raise ParameterError(msg)
        super().__init__(f"video {self._path}")
        self._rate, self._codec = rate, codec or _CODECS[self._path.suffix.lower()]
        self._cv2: Any = None
        self._writer: Any = None
        self._file: TextIO | None = None
        self._count = 0
        self._gap: Gap | None = None

    @property
    def times_path(self) -> Path:
        """Path of the file with the times."""
        return self._path.with_name(self._path.name + ".times.csv")

    def start(self, chunk: Chunk) -> None:
        """Check that these are frames, and load OpenCV."""
        info = chunk.info
        color = len(info.shape) == 3 and info.shape[2] in (1, 3)
        if info.dtype != np.uint8 or not (color or len(info.shape) == 2) or 0 in info.shape:
            msg = (
                f"{self.name}: takes uint8 frames (height, width, 3) or (height, width), not "
                f"{info.dtype} {info.shape} of {info.name}; use ops.map_data before it"
            )
            raise ChunkError(msg)
        self._cv2 = import_optional("cv2", extra="video", system="libgl1 libglib2.0-0")

    def write(self, chunk: Chunk) -> None:
        """Write frames ``(n, height, width[, 3])``, and a row for each."""
        gaps: dict[int, Gap] = {}
        for at, gap in chunk.gap_positions:
            gaps[at] = gaps[at].join(gap) if at in gaps else gap
        for i, (time, data) in enumerate(zip(chunk.time.tolist(), chunk.data, strict=True)):
            self._note(gaps.get(i))
            if self._writer is None:
                self._open(chunk.info)
            self._writer.write(self._prepared(data, chunk.info))
            self._row(self._count, time)
            self._count += 1
        self._note(gaps.get(len(chunk)))

    def finish(self) -> None:
        """Close both files, and check that the video holds every frame."""
        writer, self._writer = self._writer, None
        file, self._file = self._file, None
        if writer is None or file is None:
            return
        writer.release()
        with file:
            # a gap after the last frame
            if self._gap is not None:
                csv.writer(file).writerow(("", "", *_cells(self._gap)))
        self._check()

    def _note(self, gap: Gap | None) -> None:
        """Keep a gap for the next row."""
        if gap is not None:
            self._gap = gap if self._gap is None else self._gap.join(gap)

    def _row(self, number: int, time: int) -> None:
        gap, self._gap = self._gap, None
        csv.writer(self._file).writerow((number, time, *_cells(gap)))  # type: ignore[arg-type]  # it is open

    def _open(self, info: StreamInfo) -> None:
        cv2 = self._cv2
        height, width = (n + n % 2 for n in info.shape[:2])
        registry = cv2.videoio_registry
        ffmpeg = cv2.CAP_FFMPEG in registry.getWriterBackends()
        writer = cv2.VideoWriter(
            str(self._path),
            cv2.CAP_FFMPEG if ffmpeg else cv2.CAP_ANY,
            cv2.VideoWriter.fourcc(*self._codec),
            float(self._rate or info.rate or _DEFAULT_RATE),
            (width, height),
            info.shape[2:] == (3,),
        )
        if not writer.isOpened():
            writer.release()
            msg = (
                f"{self.name}: OpenCV cannot write codec {self._codec!r} to a {self._path.suffix} "
                f"file here; leave codec out for {_CODECS[self._path.suffix.lower()]!r}"
            )
            raise ParameterError(msg)
        self._writer = writer
        # line by line, so that after a crash a row is on disk for every frame that is
        self._file = self.times_path.open("w", newline="", buffering=1, encoding="utf-8")
        csv.writer(self._file).writerow(_HEADER)

    def _prepared(self, data: NDArray[Any], info: StreamInfo) -> NDArray[Any]:
        """Return a frame in the form that OpenCV writes: BGR, of even size."""
        if info.channels == ("r", "g", "b"):
            data = self._cv2.cvtColor(data, self._cv2.COLOR_RGB2BGR)
        height, width = data.shape[:2]
        # OpenCV would cut off the last row or column
        if height % 2 or width % 2:
            edge = self._cv2.BORDER_REPLICATE
            data = self._cv2.copyMakeBorder(data, 0, height % 2, 0, width % 2, edge)
        return np.ascontiguousarray(data)

    def _check(self) -> None:
        """Count the frames in the file, for OpenCV does not report that it cannot write."""
        capture = self._cv2.VideoCapture(str(self._path))
        count = int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        # Matroska has a duration instead of a count, and rounds it
        if abs(count - self._count) > 1:
            msg = f"{self.name}: holds {count} of {self._count} frames; is the disk full?"
            raise DeviceError(msg)


def _cells(gap: Gap | None) -> tuple[object, ...]:
    if gap is None:
        return ("", "", "", "")
    return (gap.reason, "" if gap.lost is None else gap.lost, gap.start, gap.end)
