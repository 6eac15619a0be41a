"""Takes what a camera emits, and when."""

import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.camera import Camera
from rxstream.errors import EndOfStream

WAIT = 20.0  # [s]; far more than any of these needs


class Taker:
    """Takes what a source says, and when."""

    def __init__(self) -> None:
        self.readings: queue.Queue[tuple[int, Reading]] = queue.Queue()
        self.errors: queue.Queue[Exception] = queue.Queue()
        self.info = StreamInfo("none")

    def emit(self, reading: Reading | NDArray[Any]) -> None:
        assert isinstance(reading, Reading)
        self.readings.put((now_ns(), reading))

    @contextlib.contextmanager
    def open(self, camera: Camera) -> Iterator["Taker"]:
        close, self.info = camera.open(self.emit, self.errors.put)
        try:
            yield self
        finally:
            close()
            close()  # twice does no harm

    def take(self, count: int) -> list[Reading]:
        return [self.readings.get(timeout=WAIT)[1] for _ in range(count)]

    def rest(self) -> list[Reading]:
        """Return what has come already."""
        return [self.readings.get_nowait()[1] for _ in range(self.readings.qsize())]

    def all(self) -> list[Reading]:
        """Return everything up to the end of the file."""
        error = self.errors.get(timeout=WAIT)
        assert isinstance(error, EndOfStream), error
        return self.rest()


def times(readings: list[Reading]) -> np.ndarray:
    return np.concatenate([np.asarray(reading.device_time) for reading in readings])


def fails(camera: Camera, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        camera.open(lambda _: None, lambda _: None)
