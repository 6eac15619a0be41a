"""`Jpeg`: messages that are images, as network cameras send them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.camera.inputs import Color
from rxstream.errors import DeviceLostError
from rxstream.optional import import_optional
from rxstream.printable import get_logger, shown
from rxstream.validation import check_choice

__all__ = ["FrameDecoder", "Jpeg"]

_log = get_logger(__name__)

_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"

# Bytes at the end of an image among which its last marker is: some cameras fill them up.
_TAIL = 1024

# Axes of a frame in color.
_COLORED = 3


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Messages that are JPEG images: frames uint8 ``(height, width, 3)``, or ``(height, width)``.

    Attributes
    ----------
    color
        Order of colors, as of `Camera`: ``"bgr"``, ``"rgb"``, or ``"gray"``.

    Examples
    --------
    >>> Jpeg("rgb").describe(StreamInfo("door"), (480, 640, 3)).channels
    ('r', 'g', 'b')
    """

    color: Color = "bgr"

    def __post_init__(self) -> None:
        check_choice(self.color, Color, "Jpeg: color")

    def describe(self, info: StreamInfo, shape: tuple[int, ...] = ()) -> StreamInfo:
        """Return the description of a stream of such frames; without a shape it is not known."""
        channels = tuple(self.color) if len(shape) == _COLORED else ()
        extra = {name: value for name, value in info.extra.items() if name != "shape"}
        if not shape:
            extra["shape"] = "unknown"
        return replace(info, shape=shape, dtype=np.dtype(np.uint8), channels=channels, extra=extra)


class FrameDecoder:
    """Makes frames of images; what is none is counted, and the first logged.

    Parameters
    ----------
    form
        What frames are.
    name
        Name of the stream.

    Raises
    ------
    MissingExtraError
        If OpenCV is not installed.
    """

    def __init__(self, form: Jpeg, name: str) -> None:
        self._cv2 = cv2 = import_optional("cv2", extra="video", system="libgl1 libglib2.0-0")
        gray = form.color == "gray"
        # as it was taken, whatever a viewer is to turn
        flag = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        self._flags = flag | cv2.IMREAD_IGNORE_ORIENTATION
        self._swap = form.color == "rgb"
        self._name = name
        self.shape: tuple[int, ...] | None = None
        """Shape of the frames; None before the first."""
        self.lost = 0
        """Images that were none since the last frame; set it to 0 as it is reported."""

    def frame(self, data: bytes) -> NDArray[np.uint8] | None:
        """Return an image as a frame ``(*shape)``; None if it is broken.

        Raises
        ------
        DeviceLostError
            If it has another size than those before.
        """
        found = self._decoded(data) if _is_whole(data) else None
        if found is None:
            if not self.lost and self.shape is not None:
                _log.warning(
                    "%s: an image of %d bytes, %s, is broken; such are counted in the gap before "
                    "the next frame", self._name, len(data), shown(data[:20]),
                )  # fmt: skip
            self.lost += 1
            return None
        if self.shape is None:
            self.shape = found.shape
        if found.shape != self.shape:
            msg = (
                f"{self._name}: its frames were {self.shape} and are {found.shape} now; opened "
                "again it goes on with these: give reconnect= to the Device"
            )
            raise DeviceLostError(msg)
        return found

    def reading(self, data: bytes) -> Reading | None:
        """Return an image as a reading, with what was lost before it; None if it is broken."""
        frame = self.frame(data)
        if frame is None:
            return None
        lost, self.lost = self.lost, 0
        return Reading(frame[np.newaxis], lost=lost or None)

    def _decoded(self, data: bytes) -> NDArray[np.uint8] | None:
        try:
            found = self._cv2.imdecode(np.frombuffer(data, np.uint8), self._flags)
        except self._cv2.error:
            return None
        if found is not None and self._swap:
            found = self._cv2.cvtColor(found, self._cv2.COLOR_BGR2RGB)
        return found  # type: ignore[no-any-return]


def _is_whole(data: bytes) -> bool:
    """Whether an image has a beginning and an end; a decoder makes up what is cut off."""
    return data.startswith(_BEGIN) and _END in data[-_TAIL:]
