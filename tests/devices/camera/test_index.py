"""A camera by index: imitated, for the machines of the tests have none."""

import sys
from pathlib import Path

import numpy as np
import pytest
from camera_taker import WAIT, Taker, fails, times

from rxstream.data.clock import host_clock, now_ns
from rxstream.devices.camera import Camera
from rxstream.devices.camera import open as opening
from rxstream.errors import DeviceBusyError, DeviceLostError

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
        CAMERAS.append(self)

    def isOpened(self) -> bool:
        return True

    def getBackendName(self) -> str:
        return "V4L2"

    def set(self, prop: int, value: float) -> bool:
        self.settings[prop] = value
        return True

    def get(self, prop: int) -> float:
        import cv2

        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp / MS
        return self.settings.get(prop, -1.0)

    def grab(self) -> bool:
        self.count += 1
        self.stamp = now_ns() - host_clock.from_monotonic(0) - 20 * MS  # taken 20 ms ago
        return self.count <= PICTURES

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((720, 1280, 3), np.uint8)

    def release(self) -> None:
        self.released = True


CAMERAS: list[FakeCapture] = []
PICTURES = 5


def test_a_camera_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    CAMERAS.clear()
    camera = Camera(2, width=1280, height=720, rate=60.0)
    assert camera.live
    assert camera.info.shape == (720, 1280, 3)
    with Taker().open(camera) as taker:
        readings = taker.take(PICTURES)
        error = taker.errors.get(timeout=WAIT)
    assert isinstance(error, DeviceLostError)
    assert taker.info.rate == 60.0
    assert taker.info.extra["backend"] == "V4L2"
    delay = np.array([reading.arrival for reading in readings]) - times(readings)
    assert delay.min() >= 20 * MS
    assert np.median(delay) < 35 * MS
    (capture,) = CAMERAS
    assert capture.source == 2
    assert capture.released
    if sys.platform.startswith("linux"):
        assert capture.backend == cv2.CAP_V4L2
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280


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
