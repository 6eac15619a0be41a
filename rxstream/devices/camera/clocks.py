"""Times of frames: those of the container where it is right, else of arrival."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from numpy.typing import NDArray

from rxstream.acquisition.strays import FAR
from rxstream.data.clock import HostClock, host_clock
from rxstream.devices.camera.constant_rate import ConstantRateClock
from rxstream.printable import get_logger

__all__ = ["ArrivalClock", "ContainerClock", "Frame", "FrameClock", "RecordedClock", "TimedFrame"]

_logger = get_logger(__name__)


# a position that lies within so long [ns] before arrival is a stamp of the kernel; anything else
# counts from the opening
_MAX_STAMP_AGE = 1_000_000_000
# positions below this [ms], of either sign, fit into int64 nanoseconds with a start added
_MAX_POSITION = 4.6e12


class Frame(NamedTuple):
    """One frame of the driver."""

    data: NDArray[Any]
    """``(height, width, 3)`` or ``(height, width)``."""
    position: float
    """Its time in the container [ms]; a `FrameClock` decides whether it is right."""
    arrival: int
    """Host time [ns] at which the driver had it."""
    lost: int = 0
    """Frames missing right before it."""


TimedFrame: TypeAlias = tuple[Frame, int]
"""A frame and the host time [ns] at which it was taken."""


class FrameClock(Protocol):
    """Assigns times to frames; the times increase strictly."""

    half_width: float
    """Half width of the 95 % interval of the newest times [ns]; NaN: unknown."""

    def push(self, frame: Frame) -> Sequence[TimedFrame]:
        """Process a frame; return those whose time is decided."""
        ...

    def flush(self) -> Sequence[TimedFrame]:
        """Return what is held back."""
        ...


class RecordedClock:
    """Clock of a file: its container is right, and begins at ``start`` [ns].

    Where positions go far back, another recording was joined to it: its frames keep their distances
    behind the first. A frame without a position comes one frame later than the one before it.

    Parameters
    ----------
    start
        Time of position 0 [ns].
    name
        Name of the file in the log.
    """

    half_width = math.nan

    def __init__(self, start: int, name: str = "camera") -> None:
        # added to positions [ns]: they begin anew where recordings are joined
        self._zero, self._name = start, name
        self._last = start - 1
        self._position: int | None = None  # newest one [ns]
        self._step = 1  # newest distance of frames [ns]
        self._warned = False

    def push(self, frame: Frame) -> Sequence[TimedFrame]:
        """Process one frame; return what is ready."""
        before, position = self._position, self._last + self._step - self._zero
        if abs(frame.position) < _MAX_POSITION:
            position = round(frame.position * 1e6)
            if before is not None and position < before - FAR:
                self._warn(f"the time {position / 1e9:g} s comes after {before / 1e9:g} s")
                self._zero = self._last + self._step - position
            self._position = position
        else:
            self._warn(f"a frame has the time {frame.position:g} ms")
        time = max(self._last + 1, self._zero + position)
        self._step, self._last = time - self._last, time
        return ((frame, time),)

    def _warn(self, found: str) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning("%s: %s; later frames keep their distances", self._name, found)

    def flush(self) -> Sequence[TimedFrame]:
        """Return what is held back."""
        return ()


class ArrivalClock:
    """Clock of a camera, or of a stream without times: the driver's stamp if any, else arrival.

    V4L2 reports the kernel's stamp of each frame, on the monotonic clock, as its position. A
    position within the last second is taken for one. Where arrivals keep to a known rate, the time
    is that of the line under them.

    Parameters
    ----------
    stamped
        Whether positions may be stamps of the kernel.
    rate
        Stated frames per second [Hz], or None.
    """

    def __init__(
        self, *, stamped: bool = False, rate: float | None = None, clock: HostClock = host_clock
    ) -> None:
        self._stamped, self._clock = stamped, clock
        self._steady = None if rate is None else ConstantRateClock(rate)
        self._last = 0
        self.half_width = math.nan

    def push(self, frame: Frame) -> Sequence[TimedFrame]:
        """Process one frame; return what is ready."""
        time, self.half_width = self._time(frame)
        self._last = max(self._last + 1, time)
        return ((frame, self._last),)

    def _time(self, frame: Frame) -> tuple[int, float]:
        arrival = frame.arrival
        if self._stamped and math.isfinite(frame.position):
            stamp = self._clock.from_monotonic(round(frame.position * 1e6))
            if 0 <= arrival - stamp < _MAX_STAMP_AGE:
                return stamp, math.nan
        found = None if self._steady is None else self._steady.push(arrival, frame.lost)
        return (arrival, math.nan) if found is None else found

    def flush(self) -> Sequence[TimedFrame]:
        """Return what is held back."""
        return ()


class ContainerClock:
    """Clock of a live stream: the container's times as long as they keep pace with arrival.

    A frame arrives some delay after it was taken. The delay varies, but never below a floor; so
    the distance ``arrival - position`` has a floor too, which is constant if the container is
    right. The floor of the first 0.3 s (frames that waited in buffers while the stream was opened
    come first, in a burst) maps the container to the host clock; therefore frames are held back
    for that long, once. A frame that is delayed less later on shows that the floor was too high: it
    and those after it lie so much earlier, so no frame lies after its arrival. Upward the mapping
    follows the floor by less than an experiment can see and by more than clocks drift.

    The container is wrong if a frame comes long before its time, if all frames come too late for
    two seconds (a network can delay a few), or if positions stand still or go back. FFmpeg makes
    up 25 frames a second for formats that hold no times. Frames are then stamped on arrival, for
    good.

    Parameters
    ----------
    name
        Name of the stream in the log.
    """

    # time that frames are held back at the beginning [ns]: the burst from the buffers is over
    HOLD = 300_000_000
    # and their size [bytes], which a few uncompressed 4K frames reach sooner
    HOLD_BYTES = 1 << 26
    # how early a frame may come [ns]: so much too high the floor of the first frames may be
    EARLY = 50_000_000
    # how late the least delayed frame of a window may come [ns]
    LATE = 250_000_000
    # shortest window in which a floor is measured [ns], and the fewest frames in it
    WINDOW = 2_000_000_000
    MIN_FRAMES = 5
    # uncertainty of a floor [ns]: smaller changes are not followed
    DEAD_BAND = 2_000_000
    # fastest change of the mapping: more than the 100 ppm of a bad quartz
    MAX_SLEW = 200e-6
    half_width = math.nan

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: list[Frame] = []
        self._bytes = 0
        # host time of position 0 [ns] by the floor of the first frames: what is early or late is so
        # against it; and as far down as less delayed frames have moved it, which gives the times
        self._anchor: int | None = None
        self._zero = 0
        self._floor: int | None = None
        self._count = 0
        self._since = 0
        self._position = -math.inf
        self._last = 0
        self.trusted = True

    def push(self, frame: Frame) -> Sequence[TimedFrame]:
        """Process one frame; return what is ready."""
        if self.trusted and self._anchor is None:
            self._held.append(frame)
            self._bytes += frame.data.nbytes
            early = frame.arrival - self._held[0].arrival < self.HOLD or self._begins_twice
            if early and self._bytes < self.HOLD_BYTES:
                return ()
            return self.flush()
        return (self._stamp(frame),)

    @property
    def _begins_twice(self) -> bool:
        """Whether only two frames have come, at one time: the third shows their distance."""
        held = self._held
        return len(held) == 2 and held[0].position == held[1].position

    def flush(self) -> Sequence[TimedFrame]:
        """Return what is held back."""
        held, self._held = self._held, []
        if len(held) >= 3 and held[0].position == held[1].position:
            # FFmpeg gives the first frame of RTSP no time, and OpenCV that of the next one
            first = 2 * held[1].position - held[2].position
            held[0] = held[0]._replace(position=first)
        if held:
            self._anchor = self._zero = min(_distance(frame) for frame in held)
        return [self._stamp(frame) for frame in held]

    def _stamp(self, frame: Frame) -> TimedFrame:
        problem = self._problem(frame) if self.trusted else ""
        if problem:
            self.trusted = False
            _logger.warning(
                "%s: the times of the container are not right (%s); "
                "frames are stamped on arrival from here on",
                self._name, problem,
            )  # fmt: skip
        time = frame.arrival
        if self.trusted and self._anchor is not None:
            time = self._zero + round(frame.position * 1e6)
        self._last = max(self._last + 1, time)
        return frame, self._last

    def _problem(self, frame: Frame) -> str:
        """Return what is wrong with the container's times, or ''."""
        before, self._position = self._position, frame.position
        begins = before == -math.inf
        if not math.isfinite(frame.position) or (frame.position < 0 and not begins):
            return f"{frame.position:g} ms"
        if frame.position <= before:
            return f"{frame.position:g} ms after {before:g} ms"
        anchor = self._anchor or 0
        distance = _distance(frame)
        if distance < anchor - self.EARLY:
            return f"a frame came {(anchor - distance) / 1e6:.0f} ms before its time"
        self._zero = min(self._zero, distance)
        # a window begins with a frame, so that no stall before it counts as elapsed
        if self._floor is None:
            self._floor, self._since = distance, frame.arrival
        self._floor = min(self._floor, distance)
        self._count += 1
        elapsed = frame.arrival - self._since
        if elapsed < self.WINDOW or self._count < self.MIN_FRAMES:
            return ""
        late, above = self._floor - anchor, self._floor - self._zero
        self._floor, self._count = None, 0
        if late > self.LATE:
            return f"all frames came {late / 1e6:.0f} ms late for {elapsed / 1e9:.1f} s"
        most = round(elapsed * self.MAX_SLEW)
        if abs(late) > self.DEAD_BAND:
            self._anchor = anchor + min(max(late, -most), most)
        if above > self.DEAD_BAND:
            self._zero += min(above, most)
        return ""


def _distance(frame: Frame) -> int:
    position = frame.position if math.isfinite(frame.position) else 0.0
    return frame.arrival - round(position * 1e6)
