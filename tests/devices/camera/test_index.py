"""A camera by index: imitated, for the machines of the tests have none."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_taker import WAIT, Taker, fails, times

from rxstream.data.clock import host_clock, now_ns
from rxstream.devices.camera import Camera
from rxstream.devices.camera import open as opening
from rxstream.errors import DeviceBusyError, DeviceLostError, ParameterError

pytestmark = pytest.mark.real

MS = 1_000_000


class FakeCapture:
    """Imitates ``cv2.VideoCapture`` on V4L2: kernel stamps as position, then unplugged."""

    def __init__(self, source: int | str, backend: int, params: list[int]) -> None:
        import cv2

        self.source, self.backend, self.params = source, backend, params
        self.settings: dict[int, float] = {cv2.CAP_PROP_FPS: 30.0}
        self.count = 0
        self.released = False
        self.stamp = 0
        self.taken: list[int] = []
        CAMERAS.append(self)

    def isOpened(self) -> bool:
        return True

    def getBackendName(self) -> str:
        return "V4L2"

    def set(self, prop: int, value: float) -> bool:
        import cv2

        # the nearest that it has, without a word, as V4L2 does
        nearest = {
            cv2.CAP_PROP_FRAME_WIDTH: min(value, 1280.0),
            cv2.CAP_PROP_FRAME_HEIGHT: min(value, 720.0),
            cv2.CAP_PROP_FPS: min(value, 60.0),
        }
        if prop == cv2.CAP_PROP_FOURCC:
            nearest[prop] = value if value == FORMATS["MJPG"] else FORMATS["YUYV"]
        if prop not in nearest or prop in REFUSED:
            return False
        self.settings[prop] = nearest[prop]
        return True

    def get(self, prop: int) -> float:
        import cv2

        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp / MS
        return self.settings.get(prop, -1.0)

    def grab(self) -> bool:
        self.count += 1
        taken = now_ns() - 20 * MS
        self.taken.append(taken)
        self.stamp = taken - host_clock.from_monotonic(0)
        return self.count <= PICTURES

    def retrieve(self) -> tuple[bool, np.ndarray]:
        import cv2

        width = int(self.settings.get(cv2.CAP_PROP_FRAME_WIDTH, 640))
        height = int(self.settings.get(cv2.CAP_PROP_FRAME_HEIGHT, 480))
        return True, np.zeros((height, width, 3), np.uint8)

    def release(self) -> None:
        self.released = True


CAMERAS: list[FakeCapture] = []
PICTURES = 5
REFUSED: set[int] = set()
FORMATS = {
    name: float(int.from_bytes(name.encode(), "little")) for name in ("MJPG", "YUYV", "H264")
}


def test_a_camera_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    CAMERAS.clear()
    camera = Camera(2, size=(1280, 720), rate=60.0, pixel_format="MJPG")
    assert camera.live
    assert camera.info.shape == (720, 1280, 3)
    with Taker().open(camera) as taker:
        readings = taker.take(PICTURES)
        error = taker.errors.get(timeout=WAIT)
    assert isinstance(error, DeviceLostError)
    assert taker.info.rate == 60.0
    assert taker.info.shape == (720, 1280, 3)
    assert taker.info.extra["backend"] == "V4L2"
    assert taker.info.extra["pixel_format"] == "MJPG"
    (capture,) = CAMERAS
    # in times of the host clock, which is compared with the monotonic one as often as it is asked
    assert np.abs(times(readings) - capture.taken[:PICTURES]).max() < MS
    assert capture.source == 2
    assert capture.released
    if sys.platform.startswith("linux"):
        assert capture.backend == cv2.CAP_V4L2
    # the pixel format first: the sizes that there are depend on it
    assert next(iter(capture.settings)) == cv2.CAP_PROP_FPS
    assert list(capture.settings)[1] == cv2.CAP_PROP_FOURCC


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"size": (1920, 1080)},
            r"camera: 2 was asked for size=\(1920, 1080\), and gives size \(1280, 720\); ask for",
        ),
        ({"rate": 240.0}, "asked for rate=240, and gives rate 60;"),
        ({"pixel_format": "H264"}, "asked for pixel_format='H264', and gives pixel_format 'YUYV'"),
        (
            {"size": [1280, 800], "rate": 99},
            r"\(1280, 800\) and rate=99, .* \(1280, 720\) and",
        ),
    ],
)
def test_what_a_camera_gives_instead_is_an_error(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    CAMERAS.clear()
    fails(Camera(2, **options), ParameterError, words)
    assert CAMERAS[0].released


def test_a_rate_that_is_nearly_the_one_asked_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with Taker().open(Camera(2, rate=60.3)) as taker:
        assert taker.info.rate == 60.0


def test_a_driver_that_takes_no_pixel_format(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(f"{__name__}.REFUSED", {cv2.CAP_PROP_FOURCC})
    fails(Camera(2, pixel_format="MJPG"), ParameterError, "gives pixel_format unknown")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 640}, "size must be width and height"), ({"size": (640, 0)}, "size must be"),
        ({"size": (640.5, 480)}, "size must be"), ({"pixel_format": "RGB"}, "four letters"),
        ({"source": "a.mp4", "size": (640, 480)}, "asked of a camera; a.mp4 has its own"),
        ({"source": "rtsp://a", "pixel_format": "MJPG"}, "asked of a camera; rtsp://a has"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Camera(**options)


def test_a_camera_that_is_there_and_gives_nothing_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(f"{__name__}.PICTURES", 0)
    CAMERAS.clear()
    fails(Camera("/dev/null"), DeviceBusyError, "/dev/null is there but gives no frame")
    assert CAMERAS[0].released


def test_discover(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = Camera.discover()
    assert [device.options["source"] for device in found] == [
        int(node.name[5:]) for node in opening.video_nodes()
    ]
    nodes = [Path("/dev/video0"), Path("/dev/video10")]
    monkeypatch.setattr("rxstream.devices.camera.source.video_nodes", lambda: nodes)
    assert [device.options for device in Camera.discover()] == [{"source": 0}, {"source": 10}]
