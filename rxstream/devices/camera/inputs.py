"""Inputs that frames are read from, through OpenCV: an opened capture, or numbered files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.clock import now_ns
from rxstream.devices.camera.clocks import Frame

__all__ = ["Color", "ImageFiles", "Input", "VideoInput"]

Color: TypeAlias = Literal["bgr", "rgb", "gray"]


class Input(Protocol):
    """An opened source of frames."""

    rate: float | None
    """Frames per second [Hz], as requested, or of the driver or container; None: unknown."""
    recorded: bool
    """True for a recording, False for a live source."""
    timed: bool
    """Whether the positions of its frames can be times at all."""

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end, or when the device is gone."""
        ...

    def missing(self) -> str:
        """Return a sentence on the frames that a recording lacks at its end, or ''."""
        ...

    def release(self) -> None:
        """Free the driver."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return facts for `StreamInfo.extra`."""
        ...


class VideoInput:
    """An opened ``cv2.VideoCapture``.

    Parameters
    ----------
    cv2, capture
        The module and the capture.
    color
        Color order that frames are converted to.
    rate
        Overrides the rate of the container [Hz]: frame ``i`` of a recording was taken ``i / rate``
        after the first. None: the container's.
    recorded
        Whether it is a recording; None: it is if the container has a length.
    """

    def __init__(
        self, cv2: Any, capture: Any, color: Color, rate: float | None, recorded: bool | None
    ) -> None:
        self._cv2, self._capture = cv2, capture
        self._code = {"rgb": cv2.COLOR_BGR2RGB, "gray": cv2.COLOR_BGR2GRAY}.get(color)
        claimed = float(capture.get(cv2.CAP_PROP_FPS))
        # a stream without a rate may report its ticks, e.g. 90 kHz
        self._claimed = claimed if 0 < claimed <= 1000 else None
        # OpenCV reports a huge negative count where it is unknown
        count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._count = int(count) if count > 0 else 0
        self.recorded = self._count > 0 if recorded is None else recorded
        self.rate, self._given = rate or self._claimed, rate
        self.timed = True
        self._read, self._position = 0, 0.0
        self._begin = 0  # frames by which the times of the file begin after 0

    @property
    def invented(self) -> bool:
        """Whether the rate is FFmpeg's invention for formats that hold no times."""
        return self._count == 0 and self._claimed == 25.0

    @property
    def codec(self) -> str:
        """Four letters of the codec, or ''."""
        number = int(self._capture.get(self._cv2.CAP_PROP_FOURCC))
        code = (number & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1")
        return code if code.isascii() and code.isprintable() else ""

    def distrust(self) -> None:
        """Ignore the rate and the positions of the container."""
        self.timed = self.recorded and self._given is not None
        self.rate = self._given

    def read(self) -> Frame | None:
        """Return the next frame; None at the end."""
        if not self._capture.grab():
            return None
        # taken before the frame is decoded and converted, which takes milliseconds
        arrival = now_ns()
        good, data = self._capture.retrieve()
        if not good:
            return None
        self._position = position = float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC))
        if self.recorded and self._given is not None:
            position = self._read * 1000.0 / self._given
        if not self._read and self.recorded:
            # OpenCV has it from 4.11 on; elsewhere an unknown property is 0
            self._begin = max(0, int(self._capture.get(getattr(self._cv2, "CAP_PROP_PTS", -1))))
        self._read += 1
        if self._code is not None and data.ndim == 3:
            data = self._cv2.cvtColor(data, self._code)
        return Frame(data, position, arrival)

    def missing(self) -> str:
        """Return a sentence on the frames that are missing at the end, or ''."""
        # a container may count from 0 on, though it was cut out of a longer one
        count = self._count - self._begin
        if not self._count or not self._claimed or self._read >= count:
            return ""
        # Some containers only estimate the count, and sound may go on after the frames: frames are
        # missing only if both their number and their duration are short.
        duration = count / self._claimed
        seen = self._position / 1000.0 + 1.0 / self._claimed
        if duration - seen < max(0.5, 0.02 * duration):
            return ""
        return (
            f"ends after {self._read} of {count} frames, at {seen:.3g} of {duration:.3g} s;"
            " it was cut off or is damaged"
        )

    def release(self) -> None:
        """Close the source."""
        self._capture.release()

    def facts(self) -> dict[str, Any]:
        """Return facts for `StreamInfo.extra`."""
        return {"backend": self._capture.getBackendName(), "codec": self.codec}


class ImageFiles:
    """Numbered image files; a missing number, or an unreadable file, is reported as lost.

    OpenCV's own reader of sequences does not find the first number unless it is small, and ends at
    the first missing number without an error.
    """

    recorded = True

    def __init__(
        self, cv2: Any, files: Sequence[tuple[int, Path]], color: Color, rate: float | None
    ) -> None:
        self._cv2, self._files, self.rate, self.timed = cv2, files, rate, rate is not None
        self._flag = cv2.IMREAD_GRAYSCALE if color == "gray" else cv2.IMREAD_COLOR
        self._swap = color == "rgb"
        self._next = 0
        self._expected = files[0][0]

    def read(self) -> Frame | None:
        """Return the next frame; None at the end."""
        while self._next < len(self._files):
            number, path = self._files[self._next]
            self._next += 1
            data = self._load(path)
            if data is None:
                continue
            lost, self._expected = number - self._expected, number + 1
            position = (number - self._files[0][0]) * 1000.0 / (self.rate or 1.0)
            return Frame(data, position, now_ns(), lost)
        return None

    def _load(self, path: Path) -> NDArray[Any] | None:
        # not cv2.imread: on Windows it fails for paths outside the code page
        coded = np.fromfile(path, np.uint8)
        if not len(coded):
            return None
        data: NDArray[Any] | None = self._cv2.imdecode(coded, self._flag)
        if data is not None and self._swap:
            data = np.ascontiguousarray(data[:, :, ::-1])
        return data

    def missing(self) -> str:
        """Return a sentence on the frames that are missing at the end, or ''."""
        lost = self._files[-1][0] + 1 - self._expected
        return f"lacks its last {lost} frames: their files cannot be read" if lost else ""

    def release(self) -> None:
        """Close the source."""

    def facts(self) -> dict[str, Any]:
        """Return facts for `StreamInfo.extra`."""
        return {"files": len(self._files)}
