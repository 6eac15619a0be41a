"""The thread that reads pictures from one opened input, and passes them on with their times."""

import threading
from collections.abc import Sequence
from math import isnan

import numpy as np

from rxstream.acquisition.device import Close, Emit, Fail
from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading
from rxstream.devices.camera.clocks import Picture, PictureClock, Timed
from rxstream.devices.camera.read import Input
from rxstream.errors import DeviceLostError, EndOfStream, OverrunError

__all__ = ["Run"]

_JOIN = 0.5  # [s]


class Run:
    """The reader of one opening.

    Attributes
    ----------
    paced
        Whether to wait until each picture is due.
    remote
        Whether it comes over the network, where a recording that ends early is a lost connection.
    """

    def __init__(
        self, pictures: Input, clock: PictureClock, emit: Emit, fail: Fail, name: str
    ) -> None:
        self._pictures, self._clock, self._name = pictures, clock, name
        self._emit, self._fail = emit, fail
        self._stop = threading.Event()
        self.paced = self.remote = False
        self._zero: int | None = None  # host time [ns] minus picture time, when paced

    def start(self, first: Picture) -> Close:
        """Start the thread, with the picture that has been read already."""
        thread = threading.Thread(
            target=self._run, args=(first,), name="rxstream-camera", daemon=True
        )

        def close() -> None:
            self._stop.set()
            # OpenCV cannot be interrupted while it waits for a picture, nor be released by another
            # thread meanwhile. If no picture comes, its thread is left to end by itself when the
            # driver's time is up; it emits nothing any more.
            if thread is not threading.current_thread():
                thread.join(_JOIN)

        thread.start()
        return close

    def _run(self, first: Picture) -> None:
        picture: Picture | None = first
        try:
            while picture is not None and not self._stop.is_set():
                self._pass_on(self._clock.push(picture))
                picture = self._pictures.read()
            self._pass_on(self._clock.flush())
            if not self._stop.is_set():
                self._end()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is told
            if not self._stop.is_set():
                self._fail(error)
        finally:
            self._pictures.release()

    def _pass_on(self, timed: Sequence[Timed]) -> None:
        """Emit pictures; several at once as one, so that whoever wants the newest has it."""
        if not timed or (self.paced and self._wait_until(timed[0][1])) or self._stop.is_set():
            return
        pictures = [picture for picture, _ in timed]
        data = [picture.data for picture in pictures]
        last, doubt = timed[-1][1], self._clock.doubt
        self._emit(
            Reading(
                np.stack(data) if len(data) > 1 else data[0][np.newaxis],
                device_time=np.array([time for _, time in timed], np.int64),
                bounds=None if isnan(doubt) else (last - round(doubt), last + round(doubt)),
                lost=pictures[0].lost or None,
                arrival=None if self._pictures.recorded else pictures[-1].arrival,
            )
        )

    def _wait_until(self, time: int) -> bool:
        """Wait until a picture is due; return whether the camera was closed meanwhile."""
        now = now_ns()
        if self._zero is None:
            self._zero = now - time
        return self._stop.wait(max(0, self._zero + time - now) / 1e9)

    def _end(self) -> None:
        missing = self._pictures.missing()
        if not self._pictures.recorded or (missing and self.remote):
            msg = f"camera: {self._name} sends no more pictures: switched off, unplugged or cut"
            self._fail(DeviceLostError(msg))
            return
        if missing:
            self._fail(OverrunError(f"camera: {self._name} {missing}"))
        self._fail(EndOfStream(f"camera: end of {self._name}"))
