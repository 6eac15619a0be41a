"""When was a picture taken? By the container where it is right, else when it arrived."""

import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from numpy.typing import NDArray

from rxstream.data.clock import HostClock, host_clock
from rxstream.devices.camera.constant_rate import ConstantRateClock

__all__ = ["ArrivalClock", "ContainerClock", "Picture", "PictureClock", "RecordedClock", "Timed"]

_logger = logging.getLogger(__name__)


class Picture(NamedTuple):
    """One picture as the driver gives it."""

    data: NDArray[Any]
    """``(height, width, 3)`` or ``(height, width)``."""
    position: float
    """Its time in the container [ms]; what it is worth, a `PictureClock` decides."""
    arrival: int
    """Host time [ns] at which the driver had it."""
    lost: int = 0
    """Pictures known to be missing right before it."""


Timed: TypeAlias = tuple[Picture, int]
"""A picture and the host time [ns] at which it was taken."""


class PictureClock(Protocol):
    """Gives pictures their times; the times increase strictly."""

    doubt: float
    """Half width of the 95 % interval of the times given last [ns]; NaN if nobody knows."""

    def push(self, picture: Picture) -> Sequence[Timed]:
        """Take a picture; return those whose time is decided."""
        ...

    def flush(self) -> Sequence[Timed]:
        """Return what is held back."""
        ...


class RecordedClock:
    """A file: its container is right, and begins at ``start`` [ns]."""

    doubt = math.nan

    def __init__(self, start: int) -> None:
        self._start = start
        self._last = start - 1

    def push(self, picture: Picture) -> Sequence[Timed]:
        """Process one frame; return what is ready."""
        position = picture.position if math.isfinite(picture.position) else 0.0
        self._last = max(self._last + 1, self._start + round(position * 1e6))
        return ((picture, self._last),)

    def flush(self) -> Sequence[Timed]:
        """Return what is held back."""
        return ()


class ArrivalClock:
    """A camera, or a stream without times: the driver's own stamp if it has one, else arrival.

    V4L2 gives the kernel's stamp of each picture, on the monotonic clock, as its position. One
    that lies within the last second is taken for that; anything else is no stamp. Where arrivals
    keep to a known ``rate`` [Hz], the time is that of the line under them.
    """

    def __init__(
        self, *, stamped: bool = False, rate: float | None = None, clock: HostClock = host_clock
    ) -> None:
        self._stamped, self._clock = stamped, clock
        self._steady = None if rate is None else ConstantRateClock(rate)
        self._last = 0
        self.doubt = math.nan

    def push(self, picture: Picture) -> Sequence[Timed]:
        """Process one frame; return what is ready."""
        time, self.doubt = self._time(picture)
        self._last = max(self._last + 1, time)
        return ((picture, self._last),)

    def _time(self, picture: Picture) -> tuple[int, float]:
        arrival = picture.arrival
        if self._stamped and math.isfinite(picture.position):
            stamp = self._clock.from_monotonic(round(picture.position * 1e6))
            if 0 <= arrival - stamp < 1_000_000_000:
                return stamp, math.nan
        found = None if self._steady is None else self._steady.push(arrival, picture.lost)
        return (arrival, math.nan) if found is None else found

    def flush(self) -> Sequence[Timed]:
        """Return what is held back."""
        return ()


class ContainerClock:
    """A live stream: the container's times as long as they keep pace with arrival.

    A picture comes some delay after it was taken. The delay varies, but never below a floor; so
    the distance ``arrival - position`` has a floor too, and it stays where it is if the container
    is right. The floor of the first 0.3 s (pictures that waited in buffers while the stream
    was opened come first, in a burst) ties the container to the host clock; therefore pictures
    are held back for that long, once. From there on it follows the floor, slower than any
    experiment can see and faster than clocks drift. If a picture comes before its time, or all of
    them come too late for two seconds (a network can do that to a few), or positions stand still
    or go back, then the container does not tell when pictures were taken (FFmpeg makes up 25 a
    second for formats that hold no times, and goes on with it whatever comes), and pictures are
    stamped on arrival from there on.

    Parameters
    ----------
    name
        Of the stream, for the log.
    """

    HOLD = 300_000_000  # [ns]
    HOLD_BYTES = 1 << 26
    EARLY = 50_000_000  # a picture cannot come before its time, but the floor may be this wrong
    LATE = 250_000_000
    WINDOW = 2_000_000_000
    ENOUGH = 5  # pictures in a window
    DEAD = 2_000_000  # a floor is not known better than this
    SLEW = 200e-6  # more than the 100 ppm of a bad quartz
    doubt = math.nan

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: list[Picture] = []
        self._bytes = 0
        self._anchor: int | None = None  # host time [ns] of position 0
        self._floor: int | None = None
        self._count = 0
        self._since = 0
        self._position = -math.inf
        self._last = 0
        self.trusted = True

    def push(self, picture: Picture) -> Sequence[Timed]:
        """Process one frame; return what is ready."""
        if self.trusted and self._anchor is None:
            self._held.append(picture)
            self._bytes += picture.data.nbytes
            if (
                picture.arrival - self._held[0].arrival < self.HOLD
                and self._bytes < self.HOLD_BYTES
            ):
                return ()
            return self.flush()
        return (self._stamp(picture),)

    def flush(self) -> Sequence[Timed]:
        """Return what is held back."""
        held, self._held = self._held, []
        if held:
            self._anchor = min(_distance(picture) for picture in held)
        return [self._stamp(picture) for picture in held]

    def _stamp(self, picture: Picture) -> Timed:
        why = self._wrong(picture) if self.trusted else ""
        if why:
            self.trusted = False
            _logger.warning(
                "%s: the times of the container are not right (%s); "
                "pictures are stamped on arrival from here on",
                self._name, why,
            )  # fmt: skip
        time = picture.arrival
        if self.trusted and self._anchor is not None:
            time = self._anchor + round(picture.position * 1e6)
        self._last = max(self._last + 1, time)
        return picture, self._last

    def _wrong(self, picture: Picture) -> str:
        """Return what is wrong with the container's times, or ''."""
        before, self._position = self._position, picture.position
        if not math.isfinite(picture.position) or picture.position < 0:
            return f"{picture.position:g} ms"
        if picture.position <= before:
            return f"{picture.position:g} ms after {before:g} ms"
        anchor = self._anchor or 0
        distance = _distance(picture)
        if distance < anchor - self.EARLY:
            return f"a picture came {(anchor - distance) / 1e6:.0f} ms before its time"
        if self._floor is None:  # a window begins with a picture: a stall is not in it
            self._floor, self._since = distance, picture.arrival
        self._floor = min(self._floor, distance)
        self._count += 1
        elapsed = picture.arrival - self._since
        if elapsed < self.WINDOW or self._count < self.ENOUGH:
            return ""
        late = self._floor - anchor
        self._floor, self._count = None, 0
        if late > self.LATE:
            return f"all pictures came {late / 1e6:.0f} ms late for {elapsed / 1e9:.1f} s"
        if abs(late) > self.DEAD:
            most = round(elapsed * self.SLEW)
            self._anchor = anchor + min(max(late, -most), most)
        return ""


def _distance(picture: Picture) -> int:
    position = picture.position if math.isfinite(picture.position) else 0.0
    return picture.arrival - round(position * 1e6)
