"""Settings of a camera: what is asked of the driver, and what it really gives."""

from typing import Any, NamedTuple

from rxstream.devices.camera.clocks import Frame
from rxstream.devices.camera.inputs import Color, VideoInput
from rxstream.errors import ParameterError

__all__ = ["CameraInput", "Settings", "ask", "check_given"]

# largest difference of a rate that is the one asked: drivers report 29.97 or 30.00003 for 30
_MAX_RATE_ERROR = 0.01


class Settings(NamedTuple):
    """What is asked of a camera; None: nothing."""

    size: tuple[int, int] | None = None
    """Width and height [pixels]."""
    rate: float | None = None
    """Frames per second [Hz]."""
    pixel_format: str | None = None
    """Four letters of the form in which it sends its frames."""


class CameraInput(VideoInput):
    """An opened camera.

    Parameters
    ----------
    cv2, capture, color
        As of `VideoInput`.
    refused
        Names of the settings that its driver does not take at all.
    """

    def __init__(self, cv2: Any, capture: Any, color: Color, refused: frozenset[str]) -> None:
        super().__init__(cv2, capture, color, None, recorded=False)
        self.refused = refused

    def facts(self) -> dict[str, Any]:
        """Return facts for `StreamInfo.extra`."""
        facts = super().facts()
        return {"backend": facts["backend"], "pixel_format": facts["codec"]}


def ask(cv2: Any, capture: Any, asked: Settings) -> frozenset[str]:
    """Ask an opened camera for settings; return the names of those that its driver refuses."""
    wanted: list[tuple[str, int, float]] = []
    # first the pixel format, on which the sizes and rates depend that there are
    if asked.pixel_format is not None:
        code = float(cv2.VideoWriter.fourcc(*asked.pixel_format))
        wanted.append(("pixel_format", cv2.CAP_PROP_FOURCC, code))
    if asked.size is not None:
        # V4L2 takes them as the second one comes
        wanted.append(("size", cv2.CAP_PROP_FRAME_WIDTH, float(asked.size[0])))
        wanted.append(("size", cv2.CAP_PROP_FRAME_HEIGHT, float(asked.size[1])))
    if asked.rate is not None:
        wanted.append(("rate", cv2.CAP_PROP_FPS, float(asked.rate)))
    answers = [(name, capture.set(prop, value)) for name, prop, value in wanted]
    return frozenset(name for name, taken in answers if not taken)


def check_given(asked: Settings, camera: Any, first: Frame, where: str) -> None:
    """Raise ParameterError if a camera gives something else than it was asked for.

    Parameters
    ----------
    asked
        What was asked.
    camera
        The opened `CameraInput`.
    first
        Its first frame, which shows the size, whatever the driver says.
    where
        Name of the camera in messages.
    """
    height, width = first.data.shape[:2]
    form = camera.codec
    rate = camera.rate
    wrong: list[tuple[str, object, object]] = []
    if asked.size is not None and asked.size != (width, height):
        wrong.append(("size", asked.size, (width, height)))
    if asked.rate is not None and not _is_rate(asked.rate, rate, refused="rate" in camera.refused):
        wrong.append(("rate", f"{asked.rate:g}", f"{rate:g}" if rate else "unknown"))
    # a driver that takes it and cannot say what it sends is believed
    refused = not form and "pixel_format" in camera.refused
    if asked.pixel_format is not None and (refused or form not in ("", asked.pixel_format)):
        given = repr(form) if form else "unknown"
        wrong.append(("pixel_format", repr(asked.pixel_format), given))
    if wrong:
        names = " and ".join(f"{name}={wanted}" for name, wanted, _ in wrong)
        given = " and ".join(f"{name} {found}" for name, _, found in wrong)
        msg = (
            f"camera: {where} was asked for {names}, and gives {given}; ask for what it has "
            "(on Linux: v4l2-ctl --list-formats-ext), or leave it out"
        )
        raise ParameterError(msg)


def _is_rate(asked: float, given: float | None, *, refused: bool) -> bool:
    if given is None:
        return not refused
    return abs(given - asked) <= _MAX_RATE_ERROR * asked
