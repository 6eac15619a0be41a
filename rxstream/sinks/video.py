"""video: write frames to a video file, and their times beside it (``rxstream[video]``)."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.sinks.file_sink import FileSink, FileWriter
from rxstream.sinks.frame_times import FrameTimes
from rxstream.sinks.video_codecs import CODECS, CONTAINERS
from rxstream.sinks.video_file import VideoFile
from rxstream.validation import is_positive

__all__ = ["video"]

# frames per second at which a stream without a rate plays [Hz]
_DEFAULT_RATE = 25.0


class video(FileSink):  # noqa: N801 - used like a function
    """Write frames to a video file.

    Takes uint8 frames ``(height, width, 3)``, blue first unless the stream's channels are
    ``("r", "g", "b")``, or gray ones ``(height, width)``. An odd height or width gets one more row
    or column, a copy of the last.

    A video file has a constant rate, a live stream has not. So every frame is written once, and
    the file ``<path>.times.csv`` beside it has the times: columns ``frame`` (from 0), ``time_ns``,
    and for a gap right before the frame ``gap`` (its reason), ``lost`` (frames, empty if unknown),
    ``gap_start_ns``, ``gap_end_ns``. A gap adds nothing to the video. A gap after the last frame
    has a row without frame. No row is written before its frame can be read.

    What came more than a second before can be read, whenever the program is killed. Until it is
    closed an MP4 file is a fragmented one, then a usual one.

    Parameters
    ----------
    path
        Path of the file; its suffix is the format: ``.avi``, ``.mkv``, ``.mov``, ``.mp4``,
        ``.m4v``. An existing file is replaced. Nothing is written before the first frame.
    rate
        Frames per second at which it plays [Hz]; None: the stream's rate, or 25 if it has none.
        At most 1000, which is as fine as the times of avi and mkv are, or 10 000 for the others.
    codec
        ``"MJPG"``, ``"mp4v"`` (also ``"FMP4"``, ``"XVID"``, ``"DIVX"``), ``"H264"`` (``"avc1"``,
        ``"X264"``), or ``"FFV1"``, which is lossless and for avi and mkv only; None: MJPG for avi
        and mkv, else mp4v. All of them give each frame at once: others would keep frames back that
        a killed program loses.

    Raises
    ------
    ParameterError
        If the path, its suffix, the rate or the codec is invalid.
    SinkError
        While it writes, e.g. if the disk is full, or the file was removed.
    MissingExtraError
        With the first chunk, if PyAV is not installed.

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

    suffixes = tuple(CONTAINERS)

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float | None = None,
        codec: str | None = None,
    ) -> None:
        super().__init__(path)
        self._container = CONTAINERS[self.path.suffix.lower()]
        if rate is not None and not is_positive(rate):
            msg = f"rate must be > 0 Hz, not {shown(rate)}"
            raise ParameterError(msg)
        text = codec if isinstance(codec, str) else ""
        self._rate, self._letters = rate, text or self._container.default
        known = isinstance(codec, str | None) and CODECS.get(self._letters.upper())
        if not known or known.encoder not in self._container.codecs.split() or codec == "":
            fit = [c for c, one in CODECS.items() if one.encoder in self._container.codecs.split()]
            msg = (
                f"{self.name}: cannot write codec {shown(codec)} to a {self.path.suffix} file; "
                f"there are {', '.join(fit)}"
            )
            raise ParameterError(msg)
        self._codec = known
        if rate is not None:
            self._check_rate(rate)

    @property
    def times_path(self) -> Path:
        """Path of the file with the times."""
        return self.path.with_name(self.path.name + ".times.csv")

    def paths(self) -> tuple[Path, ...]:
        """Return the paths of both files."""
        return self.path, self.times_path

    def open_file(self, path: Path, chunk: Chunk) -> FileWriter:
        """Check that these are frames, and make the files with the first one."""
        info = chunk.info
        color = len(info.shape) == 3 and info.shape[2] in (1, 3)
        if info.dtype != np.uint8 or not (color or len(info.shape) == 2) or 0 in info.shape:
            msg = (
                f"{self.name}: takes uint8 frames (height, width, 3) or (height, width), not "
                f"{info.dtype} {info.shape} of {info.name}; use ops.map_data before it"
            )
            raise ChunkError(msg)
        rate = float(self._rate or info.rate or _DEFAULT_RATE)
        self._check_rate(rate)
        av = import_optional("av", extra="video")
        try:
            av.codec.Codec(self._codec.encoder, "w")
        except ValueError as error:
            msg = f"{self.name}: this build of PyAV cannot write codec {shown(self._letters)}"
            raise ParameterError(msg) from error
        height, width = (n + n % 2 for n in info.shape[:2])

        def open_video() -> VideoFile:
            codec = self._letters, self._codec
            return VideoFile(av, path, self._container, codec, rate, (height, width))

        writer = _Writer(open_video, self.times_path, info)
        if len(chunk):
            writer.begin()
        return writer

    def _check_rate(self, rate: float) -> None:
        most = min(self._codec.max_rate, self._container.max_rate)
        if rate > most:
            msg = (
                f"{self.name}: {rate:g} frames per second are more than the {most} that times in a "
                f"{self.path.suffix} file can tell apart; give rate= for how fast it shall play: "
                f"the true times are in {self.times_path.name}"
            )
            raise ParameterError(msg)


class _Writer:
    """Writes chunks of frames to a video, and their times beside it."""

    def __init__(
        self, open_video: Callable[[], VideoFile], times_path: Path, info: StreamInfo
    ) -> None:
        self._open, self._times_path = open_video, times_path
        self._pixels = "bgr24"
        if info.shape[2:] != (3,):
            self._pixels = "gray"
        elif info.channels == ("r", "g", "b"):
            self._pixels = "rgb24"
        self._video: VideoFile | None = None
        self._times: FrameTimes | None = None
        # before the next frame
        self._gaps: list[Gap] = []

    @property
    def samples(self) -> int:
        """Frames that can be read, and their times."""
        return 0 if self._times is None else self._times.frames

    def begin(self) -> tuple[VideoFile, FrameTimes]:
        """Make both files, unless they are there."""
        if self._video is None or self._times is None:
            times = FrameTimes(self._times_path)
            try:
                self._video, self._times = self._open(), times
            except BaseException:
                times.remove()
                raise
        return self._video, self._times

    def write(self, chunk: Chunk) -> None:
        gaps, done = chunk.gap_positions, 0
        for i, (time, data) in enumerate(zip(chunk.time.tolist(), chunk.data, strict=True)):
            while done < len(gaps) and gaps[done].position <= i:
                self._gaps.append(gaps[done].gap)
                done += 1
            self._put(time, data)
        self._gaps += [gap for _, gap in gaps[done:]]

    def flush(self) -> None:
        if self._video is not None and self._times is not None:
            self._times.check_there()
            self._video.flush()
            self._times.flush(self._video.samples)

    def close(self) -> None:
        video, times = self._video, self._times
        if video is None or times is None:
            return
        try:
            video.close()
        finally:
            self._close_times(video, times)

    def _put(self, time: int, data: NDArray[np.uint8]) -> None:
        video, times = self.begin()
        video.write(_even(data), self._pixels)
        times.add_frame(time, self._gaps)
        self._gaps.clear()

    def _close_times(self, video: VideoFile, times: FrameTimes) -> None:
        # frames that can be read have their times, whatever has failed
        try:
            times.flush(video.samples)
            if not video.failed:
                times.add_last(self._gaps)
        finally:
            times.close()


def _even(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame of even height and width: the last row or column comes twice."""
    if data.ndim == 3 and data.shape[2] == 1:
        data = data[..., 0]
    height, width = data.shape[:2]
    if height % 2 or width % 2:
        rest = ((0, 0),) * (data.ndim - 2)
        data = np.pad(data, ((0, height % 2), (0, width % 2), *rest), mode="edge")
    return np.ascontiguousarray(data)
