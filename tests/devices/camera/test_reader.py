"""Frames of a live camera, in virtual time: none is stamped after it came."""

from typing import Any

import numpy as np
from fakes import eventually

from rxstream import Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper
from rxstream.devices.camera.clocks import ContainerClock, Frame
from rxstream.devices.camera.reader import CameraReader

T0, MS = 1_700_000_000_000_000_000, 10**6
DATA = np.zeros((2, 2, 3), np.uint8)


class FrameList:
    """A camera that cannot be had here: frames that have arrived already."""

    recorded = False

    def __init__(self, frames: list[Frame]) -> None:
        self.left = frames

    def read(self) -> Frame | None:
        return self.left.pop(0) if self.left else None

    def missing(self) -> str:
        return ""

    def release(self) -> None:
        pass


def test_a_frame_that_was_delayed_less_than_the_first_ones_is_no_fault() -> None:
    """At the start the least delay is not known yet: the clock is ahead by some ms."""
    delay = [9 * MS] * 12 + [9 * MS - 4 * MS * (k % 2) for k in range(60)]
    frames = [Frame(DATA, 40.0 * k, T0 + 40 * MS * k + late) for k, late in enumerate(delay)]
    camera: Any = FrameList(list(frames))
    clock, readings, errors = ContainerClock("test"), list[Reading](), list[Exception]()
    reader = CameraReader(camera, camera.read(), clock, readings.append, errors.append, "x")
    close = reader.start()
    assert eventually(lambda: len(errors) == 1)  # the camera has no more
    close()
    info = StreamInfo("camera", None, DATA.shape, np.dtype(np.uint8), device_clock="host")
    stamper = Stamper(info, live=True)
    chunks = [stamper.stamp(r, np.asarray(r.data), r.arrival or 0) for r in readings]
    times = np.concatenate([chunk.time for chunk in chunks if chunk is not None])
    assert len(times) == len(frames)
    assert stamper.found == []
    assert clock.trusted
    assert (times <= [frame.arrival for frame in frames]).all()
