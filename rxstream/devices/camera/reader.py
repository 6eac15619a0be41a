"""The thread that reads frames from one opened input and emits them with their times."""

from collections.abc import Sequence
from math import isnan

import numpy as np

from rxstream.acquisition.source import Emit, Fail
from rxstream.data.stream_info import Reading
from rxstream.devices.camera.clocks import Frame, FrameClock, TimedFrame
from rxstream.devices.camera.inputs import Input
from rxstream.devices.camera.playing import MediaThread

__all__ = ["CameraReader"]


class CameraReader(MediaThread):
    """Reads one opened input until its end.

    Parameters
    ----------
    source, first
        The input, and the frame that has been read already.
    clock
        Assigns times to frames.
    emit
        Takes readings.
    fail, where, paced, remote
        As of `MediaThread`.
    """

    def __init__(
        self, source: Input, first: Frame, clock: FrameClock, emit: Emit, fail: Fail, where: str,
        *, paced: bool = False, remote: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            fail, "camera", where, recorded=source.recorded, remote=remote, paced=paced
        )
        self._source, self._first, self._clock, self._emit = source, first, clock, emit

    def play(self) -> None:
        """Emit frames up to the end."""
        frame: Frame | None = self._first
        while frame is not None and not self.stopped:
            self._deliver(self._clock.push(frame))
            frame = self._source.read()
        self._deliver(self._clock.flush())

    def missing(self) -> str:
        """Return a sentence on the frames that a recording lacks at its end, or ''."""
        return self._source.missing()

    def release(self) -> None:
        """Free the driver."""
        self._source.release()

    def _deliver(self, timed: Sequence[TimedFrame]) -> None:
        """Emit frames; several at once are one reading, so that the last chunk has the newest."""
        if not timed or self.wait_until(timed[0][1]):
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
