"""`Gate`: between what an author gives, on whatever thread, and a device."""

import threading
from threading import get_ident
from time import monotonic_ns
from typing import Any

from rxstream.acquisition.source import Emit, Fail
from rxstream.authoring.samples import Samples
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError, RxStreamError

__all__ = ["Gate"]

# Longest wait of `wait_shut` for an `emit` under way [s].
_TIMEOUT = 1.0

# Shortest time between two heartbeats [ns]: a driver that never waits would fill the window with
# them.
_BEAT = 5_000_000


class Gate:
    """Passes readings one at a time until it is shut, and one failure.

    Parameters
    ----------
    info
        Description of the stream.
    emit, fail
        Arguments of ``Source.open``.
    """

    def __init__(self, info: StreamInfo, emit: Emit, fail: Fail) -> None:
        self._emit, self._fail = emit, fail
        self._samples = Samples(info)
        # re-entrant: a subscriber may make the driver emit, or close the device, in the same thread
        self._lock = threading.RLock()
        self._failures = [True]  # taken out by the first: once
        self._shut = False
        self._inside = 0  # thread that emits
        self._beaten = 0  # when the last heartbeat passed [ns]
        self.passed = 0
        """Readings passed so far."""

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        return self._samples.info

    def begin(self, first: Any) -> StreamInfo | None:
        """Take what the first ``yield`` of an author gave, and return the description in it.

        Raises
        ------
        ParameterError
            If it is a value.
        """
        if isinstance(first, StreamInfo):
            self._samples = Samples(first)
            return first
        if first is None:
            return None
        msg = (
            f"{self.info.name}: its first yield gives a value; the first one says that the device "
            "is open: a bare yield, or yield StreamInfo(...)"
        )
        raise ParameterError(msg)

    def reading(self, value: Any) -> Reading:
        """Return what an author gave as a reading; None is a heartbeat.

        Raises
        ------
        ChunkError, ParameterError
            If it does not fit the stream; see `Samples.reading`.
        """
        return self._samples.nothing if value is None else self._samples.reading(value)

    def put(self, value: Any) -> None:
        """Emit what an author gave in a callback; raise what is wrong with it there, too."""
        if self._shut:
            return
        try:
            reading = self.reading(value)
        except RxStreamError as error:
            # drivers may swallow what their callbacks raise
            self.fail(error)
            raise
        self.pass_on(reading)

    def pass_on(self, reading: Reading) -> None:
        """Emit a reading; no heartbeat beside or soon after another, or of a stream with a rate."""
        beats = not len(reading.data)
        if beats and not self._may_beat(reading):
            return
        if not self._lock.acquire(blocking=not beats):
            return
        try:
            if not self._shut:
                self.passed += 1
                before, self._inside = self._inside, get_ident()
                try:
                    self._emit(reading)
                finally:
                    self._inside = before
        finally:
            self._lock.release()

    def _may_beat(self, reading: Reading) -> bool:
        """Whether a heartbeat says something new."""
        if self.info.rate is not None:
            return False
        if reading.bounds is not None:
            return True  # in a time of its own
        now = monotonic_ns()
        if now - self._beaten < _BEAT:
            return False
        self._beaten = now
        return True

    def fail(self, error: Exception) -> None:
        """Report an error, once, after which nothing passes."""
        try:
            self._failures.pop()
        except IndexError:
            return
        self._fail(error)
        self._shut = True

    def shut(self) -> None:
        """Let nothing pass that begins from now on."""
        self._failures.clear()
        self._shut = True

    @property
    def is_shut(self) -> bool:
        """Whether nothing passes any more."""
        return self._shut

    def is_inside(self) -> bool:
        """Whether the calling thread is emitting."""
        return self._inside == get_ident()

    def wait_shut(self) -> None:
        """Wait for an `emit` under way in another thread."""
        if self._lock.acquire(timeout=_TIMEOUT):
            self._lock.release()
