"""`ClockModel`: from the arrival of chunks to the times of their samples."""

from math import inf

from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.timing.online.bounds import LowerBounds
from rxstream.timing.online.counters import DeviceTime
from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.event_detector import EventDetector
from rxstream.timing.online.floor import DelayFloor
from rxstream.timing.online.monotonic import MonotonicStamps
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import Stamp, State

__all__ = ["ClockModel", "Stamp"]

_APART = 0.5  # of a chunk's length: one that comes so long after the last did not wait for it
_PACE = 0.75  # of the device's: what comes more quickly after a silence has waited in it
_OWN_STAMPS = DeviceCounter(64, 1e9, "ticks")


class ClockModel:
    """Tell when each chunk of one stream was taken.

    Feed it every chunk in order. It costs O(1) a chunk, keeps some 70 points, and can be pickled.

    Parameters
    ----------
    settings
        What is known of the stream.

    Raises
    ------
    ParameterError
        If they are no `ClockSettings`.

    Examples
    --------
    Chunks of 100 samples, taken in 0.1 s each; the second comes 30 ms late:

    >>> model = ClockModel(ClockSettings(rate=1000.0))
    >>> for arrival in (100_000_000, 230_000_000, 300_000_000):
    ...     stamp = model.push(100, arrival)
    >>> stamp.last
    300000000
    """

    __slots__ = (
        "_arrival", "_behind", "_clockless", "_device", "_drains", "_floor", "_lower", "_origin",
        "_output", "_renew", "_settings", "_stamped", "_state", "_verdicts",
    )  # fmt: skip

    def __init__(self, settings: ClockSettings) -> None:
        if not isinstance(settings, ClockSettings):
            msg = f"ClockModel needs ClockSettings(rate=48_000.0) or the like, not {settings!r}"
            raise ParameterError(msg)
        rate, quantum = settings.rate, settings.quantum
        self._settings = settings
        self._device = DeviceTime(rate, settings.counter, quantum)
        self._floor = DelayFloor(settings, quantum / rate if quantum and rate else None)
        self._verdicts = EventDetector(settings, self._device, self._floor)
        self._lower: LowerBounds | None = None
        self._output = MonotonicStamps(round(settings.path_delay * 1e9))
        self._clockless = rate is None and settings.counter is None
        self._origin: int | None = None  # host time at which the line begins [ns]
        self._arrival = 0
        self._renew = self._stamped = self._drains = False
        self._behind = 0.0  # by how much what came since a silence came too quickly [s]
        self._state: State = "warming"

    @property
    def state(self) -> str:
        """What the model says of itself; see `Stamp.state`."""
        return self._state

    @property
    def origin(self) -> int | None:
        """Host time of the last begin, where device time is 0 [ns]; None before the first."""
        return self._origin

    @property
    def seconds(self) -> float:
        """Device time since the last begin [s]."""
        return self._device.seconds

    @property
    def line(self) -> LowerEnvelope:
        """The line under the arrivals, for those who want to look inside."""
        return self._floor.line

    @property
    def slope(self) -> float:
        """By which part the device is slower than it says: host time is ``1 + slope`` of its."""
        return self._floor.line.slope

    def restart(self) -> None:
        """Expect the device to begin anew; its rate is remembered, its phase is not."""
        self._renew = self._origin is not None

    def push(
        self,
        count: int,
        arrival: int,
        *,
        counter: int | None = None,
        device_time: int | tuple[int, int] | None = None,
        bounds: tuple[int, int] | None = None,
        lost: int | None = None,
    ) -> Stamp:
        """Take the next chunk, return its times.

        Parameters
        ----------
        count
            Samples in it, at least 1.
        arrival
            Host time at which it arrived [ns].
        counter
            The device's counter at the last sample, raw.
        device_time
            The device's *own* stamp, of the first sample or of the first and last [ns]; used like
            a counter of ns where there is no other. A stamp on the host clock is no such thing:
            give it as `bounds`.
        bounds
            Host times [ns] between which the last sample was taken: request and response, or a
            stamp minus and plus what it may be off.
        lost
            Samples that the device says it lost before this chunk.

        Raises
        ------
        ParameterError
            Without samples.
        """
        if count < 1:
            msg = f"count must be at least 1 sample, not {count}; a silent device has no chunks"
            raise ParameterError(msg)
        verdicts = self._verdicts
        verdicts.next_chunk()
        if bounds is not None:  # nothing is taken after it arrives
            high_ns = min(bounds[1], arrival)
            bounds = (min(bounds[0], high_ns), high_ns)
        if device_time is not None and self._settings.counter is None:
            counter = self._own_stamp(count, device_time)
        if self._clockless:
            return self._between(count, arrival, bounds)
        if self._origin is None or self._renew:
            return self._begin(count, arrival, counter, bounds)
        origin, device, floor = self._origin, self._device, self._floor
        elapsed, self._arrival = (arrival - self._arrival) * 1e-9, arrival
        since = (arrival - origin) * 1e-9
        expected = 0.0
        if counter is not None:
            x = device.seconds
            expected = since - x - floor.line.at(x) + floor.joint.step
        if not device.advance(count, counter, lost or 0, elapsed, expected):
            return self._begin(count, arrival, counter, bounds)
        if device.missing:
            verdicts.tell(device.missing)
        high = since if bounds is None else (bounds[1] - origin) * 1e-9
        x = device.seconds
        excess = high - x - floor.line.at(x)
        fresh = self._is_fresh(elapsed, excess)
        if bounds is None:
            again = verdicts.judge(excess, fresh)
        else:
            again = verdicts.prove((bounds[0] - origin) * 1e-9 - x - floor.line.at(x))
        if again:
            return self._begin(count, arrival, counter, bounds)
        x = device.seconds  # a loss found just now has moved it
        offset = high - x
        floor.add(x, offset, device.step, fresh or bounds is not None)
        last, doubt = floor.at(x), floor.uncertainty(x)
        if bounds is not None:
            low = (bounds[0] - origin) * 1e-9 - x
            last, doubt = self._middle(x, last, low, offset, doubt)
        return self._told(origin + round((x + last) * 1e9), count, arrival, device.passed, doubt)

    def _is_fresh(self, elapsed: float, excess: float) -> bool:
        """Whether a chunk did not wait behind the one before it.

        What waited in a silence comes one by one, and where chunks are short not always at once:
        it is over when one is hardly late; until then they must keep the device's pace.
        """
        passed, floor = self._device.passed, self._floor
        if elapsed > 2 * passed:
            self._drains, self._behind = True, 0.0
            return True
        if self._drains:
            if floor.known and excess < floor.gaps.median:
                self._drains = False
            else:
                behind = self._behind + _PACE * passed - elapsed
                self._behind = min(max(behind, 0.0), passed)
                if behind > 0:
                    return False
        return elapsed >= _APART * passed

    def _begin(
        self, count: int, arrival: int, counter: int | None, bounds: tuple[int, int] | None
    ) -> Stamp:
        """Take the first chunk, or the first after a restart, whose phase is unknown."""
        floor, again = self._floor, self._origin is not None
        if again:
            floor.restart()
            self._verdicts.restart()
        self._device.restart(counter)
        self._origin = self._arrival = arrival
        self._lower, self._renew, self._drains = None, False, False
        last, high, doubt = arrival, 0.0, 3 * floor.line.scale
        if bounds is not None:
            if bounds[1] < arrival:
                floor.bound()
                high = (bounds[1] - arrival) * 1e-9
            last = sum(bounds) // 2
            doubt = (bounds[1] - last) * 1e-9
            self._lower = LowerBounds(floor.line, self._settings.skew_tol)
            self._lower.add(0.0, (bounds[0] - arrival) * 1e-9, floor.line)
        elif again:  # it came late, as most do; the next will not show a leap for that
            last -= round(min(floor.line.scale, self._device.step / 2) * 1e9)
        floor.line.add(0.0, high)
        return self._told(last, count, arrival, 0.0, doubt)

    def _between(self, count: int, arrival: int, bounds: tuple[int, int] | None) -> Stamp:
        """Without any clock of the device there is only the middle of what is possible."""
        last, half = arrival, inf
        if bounds is not None:
            last, half = sum(bounds) // 2, (bounds[1] - bounds[0]) / 2
        return self._output.stamp(last, count, arrival, 0.0, 0.0, half, 0, None, "locked", ())

    def _told(self, last: int, count: int, arrival: int, length: float, doubt: float) -> Stamp:
        floor, verdicts, rate = self._floor, self._verdicts, self._settings.rate
        if floor.gaps.suspicious:
            self._state = "suspect"
        elif floor.warm(self._device.seconds):
            self._state = "locked"
        else:
            self._state = "reacquiring" if floor.renewed else "warming"
        period = 0.0 if rate is None else 1e9 * (1 + floor.line.slope) / rate
        return self._output.stamp(
            last, count, arrival, 1e9 * length, period, 1e9 * doubt,
            verdicts.lost, verdicts.reason, self._state, verdicts.events,
        )  # fmt: skip

    def _own_stamp(self, count: int, stamp: int | tuple[int, int]) -> int:
        """Return the device's own stamp of the last sample [ns], and use it as a counter."""
        if not self._stamped:  # what came before without them is of no use to them
            self._device.use(_OWN_STAMPS)
            self._stamped, self._clockless, self._renew = True, False, self._origin is not None
        if isinstance(stamp, tuple):
            return stamp[1]
        rate = self._settings.rate
        return stamp if rate is None else stamp + round((count - 1) * 1e9 / rate)

    def _middle(
        self, x: float, upper: float, low: float, high: float, doubt: float
    ) -> tuple[float, float]:
        """Return the floor between both lines, and its half width [s]."""
        line = self._floor.line
        if self._lower is None:
            self._lower = LowerBounds(line, self._settings.skew_tol)
        self._lower.add(x, low, line)
        return self._lower.middle(x, upper, line, low, high)
