"""The thread that reads frames from one opened input and emits them with their times."""

import threading
from collections.abc import Sequence
from math import isnan

import numpy as np

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading
from rxstream.devices.camera.clocks import Frame, FrameClock, TimedFrame
from rxstream.devices.camera.inputs import Input
from rxstream.errors import DeviceLostError, EndOfStream, OverrunError

__all__ = ["CameraReader"]

# longest wait of `close` for the thread [s], which may hang in the driver
_JOIN_TIMEOUT = 0.5


class CameraReader:
    """Reads one opened input until its end.

    Attributes
    ----------
    paced
        Whether to wait until each frame is due.
    remote
        Whether it comes over the network: a recording that ends early is then a lost connection.
    """

    def __init__(self, source: Input, clock: FrameClock, emit: Emit, fail: Fail, name: str) -> None:
        self._source, self._clock, self._name = source, clock, name
        self._emit, self._fail = emit, fail
        self._stop = threading.Event()
        self.paced = self.remote = False
        # host time minus frame time [ns] of a paced recording
        self._zero: int | None = None

    def start(self, first: Frame) -> Close:
        """Start the thread; ``first`` is the frame that has been read already."""
        thread = threading.Thread(
            target=self._run, args=(first,), name="rxstream-camera", daemon=True
        )

        def close() -> None:
            self._stop.set()
            # OpenCV cannot be interrupted while it waits for a frame, nor released by another
            # thread meanwhile. If no frame comes, the thread ends by itself after the driver's
            # timeout; it emits nothing more.
            if thread is not threading.current_thread():
                thread.join(_JOIN_TIMEOUT)

        thread.start()
        return close

    def _run(self, first: Frame) -> None:
        frame: Frame | None = first
        try:
            while frame is not None and not self._stop.is_set():
                self._deliver(self._clock.push(frame))
                frame = self._source.read()
            self._deliver(self._clock.flush())
            if not self._stop.is_set():
                self._end()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            if not self._stop.is_set():
                self._fail(error)
        finally:
            self._source.release()

    def _deliver(self, timed: Sequence[TimedFrame]) -> None:
        """Emit frames; several at once are one reading, so that the last chunk has the newest."""
        if not timed or (self.paced and self._wait_until(timed[0][1])) or self._stop.is_set():
            return
        frames = [frame for frame, _ in timed]
        data = [frame.data for frame in frames]
        times = [time for _, time in timed]
        last, margin = times[-1], self._clock.half_width
        self._emit(
            Reading(
                np.stack(data) if len(data) > 1 else data[0][np.newaxis],
                device_time=np.array(times, np.int64),
                bounds=None if isnan(margin) else (last - round(margin), last + round(margin)),
                lost=frames[0].lost or None,
                arrival=None if self._source.recorded else frames[-1].arrival,
            )
        )

    def _wait_until(self, time: int) -> bool:
        """Wait until a frame is due; return whether the camera was closed meanwhile."""
        now = now_ns()
        if self._zero is None:
            self._zero = now - time
        return self._stop.wait(max(0, self._zero + time - now) / 1e9)

    def _end(self) -> None:
        missing = self._source.missing()
        if not self._source.recorded or (missing and self.remote):
            msg = f"camera: {self._name} sends no more frames: switched off, unplugged or cut"
            self._fail(DeviceLostError(msg))
            return
        if missing:
            self._fail(OverrunError(f"camera: {self._name} {missing}"))
        self._fail(EndOfStream(f"camera: end of {self._name}"))
