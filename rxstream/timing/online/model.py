"""`ClockModel`: from the arrival of chunks to the times of their samples."""

from dataclasses import replace
from math import inf

from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.timing.online.bounds import LowerBounds
from rxstream.timing.online.counters import DeviceTime, is_another_rate
from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.event_detector import EventDetector
from rxstream.timing.online.floor import DelayFloor
from rxstream.timing.online.monotonic import MonotonicStamps
from rxstream.timing.online.pace import Pace
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import Stamp, State

__all__ = ["ClockModel", "Stamp"]

# A chunk that comes after the last one by this part of its length did not wait behind it. (study)
_FRESH_PART = 0.5
# A chunk that comes after the last one by less than this part of its length waited behind it, also
# where the true rate is 4 times the stated one: it says nothing about the rate.
_WAITED_PART = 0.2
# No buffer takes longer than this to empty at such a rate: the device's own is another one [s]. A
# chunk that did not wait speaks so many times against it.
_EMPTIES, _FRESH_WEIGHS = 30.0, 4
# After a silence, chunks that come faster than this part of their length have waited in it. (trial,
# on single samples at 8 kHz) A larger one misses 3 of 582 losses, and errors of cameras grow by a
# quarter.
_DRAIN_PART = 0.75
# A silence: this many lengths of a chunk without one.
_SILENCE = 2
# The uncertainty of a first chunk, in scales of the delay: 95 % of exponential delays are shorter.
_FIRST_WIDTH = 3
# Times are never known better than this [s]: no host clock is read more finely.
_LEAST_WIDTH = 1e-6
# Uncertainty of a rate that was found, as a fraction: of a slope that is just sure.
_FOUND_TOLERANCE = 2e-3
# The same of a slope that was measured for a minute.
_KNOWN_TOLERANCE = 2e-4
# A device's own stamps, taken for a counter.
_OWN_STAMPS = DeviceCounter(64, 1e9, "ticks")


class ClockModel:
    """Estimate when each chunk of one stream was taken.

    Feed it every chunk in order. It costs O(1) a chunk, keeps some 70 points, and can be pickled.

    Parameters
    ----------
    settings
        Properties of the stream.

    Raises
    ------
    ParameterError
        If ``settings`` are no `ClockSettings`.

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
        "_arrival", "_behind", "_clockless", "_detector", "_device", "_drains", "_floor",
        "_goes_on", "_lower", "_origin", "_output", "_pace", "_renew", "_settings", "_stamped",
        "_state", "_stated", "_waited", "_wide",
    )  # fmt: skip

    def __init__(self, settings: ClockSettings) -> None:
        if not isinstance(settings, ClockSettings):
            msg = (
                "ClockModel needs ClockSettings, as ClockSettings(rate=48e3), not "
                f"{shown(settings)}"
            )
            raise ParameterError(msg)
        rate, quantum = settings.rate, settings.quantum
        self._settings, self._stated = settings, rate or 0.0
        self._device = DeviceTime(rate, settings.counter, quantum)
        self._floor = DelayFloor(settings, quantum / rate if quantum and rate else None)
        self._pace = Pace(settings.skew_tol, clocked=settings.counter is not None)
        self._detector = EventDetector(settings, self._device, self._floor, self._pace)
        self._wide = _LEAST_WIDTH
        # Device time at which the line begins anew though the stream goes on [s].
        self._goes_on: float | None = None
        self._lower: LowerBounds | None = None
        self._output = MonotonicStamps(round(settings.path_delay * 1e9))
        self._clockless = rate is None and settings.counter is None
        self._origin: int | None = None  # host time at which the line begins [ns]
        self._arrival = 0
        self._renew = self._stamped = self._drains = False
        self._waited = 0.0  # time in which most chunks have waited [s]
        # Lead of the chunks since a silence over the device's pace [s].
        self._behind = 0.0
        self._state: State = "warming"

    @property
    def state(self) -> str:
        """State of the model; see `Stamp.state`."""
        return self._state

    @property
    def rate(self) -> float | None:
        """Samples per second as stated, or as found if that was wrong [Hz]."""
        return self._settings.rate

    @property
    def pace(self) -> Pace:
        """Whether the line gives the times, for inspection."""
        return self._pace

    @property
    def origin(self) -> int | None:
        """Host time at device time 0 [ns]; None before the first chunk."""
        return self._origin

    @property
    def seconds(self) -> float:
        """Device time of the newest chunk since the first one or the last restart [s]."""
        # the line that begins with the next chunk has a time of its own
        return self._device.seconds if self._goes_on is None else self._goes_on

    @property
    def line(self) -> LowerEnvelope:
        """The line under the arrivals, for inspection."""
        return self._floor.line

    @property
    def slope(self) -> float:
        """Fraction by which the device is slow: a second of its clock takes ``1 + slope`` s."""
        return self._floor.line.slope

    @property
    def coarseness(self) -> float:
        """Time by which a stamp of the device's own clock may be off [s]."""
        return self._device.coarseness

    def restart(self) -> None:
        """Expect a restart before the next chunk: the rate is kept, the phase is not."""
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
        """Return the times of the next chunk.

        Parameters
        ----------
        count
            Samples in it, at least 1.
        arrival
            Host time at which it arrived [ns].
        counter
            The device's counter at the last sample, raw.
        device_time
            Stamp on the device's *own* clock, of the first sample or of the first and last [ns];
            used as a counter of ns where there is no other. Give stamps on the host clock as
            `bounds`.
        bounds
            Host times [ns] between which the last sample was taken: request and response, or a
            stamp minus and plus its error.
        lost
            Samples lost before this chunk, as reported by the device.

        Raises
        ------
        ParameterError
            Without samples.
        """
        if count < 1:
            msg = f"count must be at least 1 sample, not {count}; a silent device has no chunks"
            raise ParameterError(msg)
        detector = self._detector
        detector.next_chunk()
        # No sample is taken after it has arrived.
        if bounds is not None:
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
        if not self._advance(count, counter, lost or 0, elapsed, since):
            return self._begin(count, arrival, counter, bounds)
        x = device.seconds
        if self._pace.given_up:
            return self._without_line(count, arrival, counter, bounds, elapsed)
        high = since if bounds is None else (bounds[1] - origin) * 1e-9
        excess = high - x - floor.line.at(x)
        fresh = self._is_fresh(elapsed, excess)
        if bounds is None:
            again = detector.judge(excess, elapsed - device.passed, fresh)
        else:
            again = detector.infer((bounds[0] - origin) * 1e-9 - x - floor.line.at(x))
        if again:
            return self._begin(count, arrival, counter, bounds)
        # A loss found just now has moved the device's time.
        x = device.seconds
        offset = high - x
        # What is too early by a turn of the counter says nothing about the line.
        if bounds is not None or not device.catches_up or offset >= floor.line.at(x):
            floor.add(x, offset, device.step, fresh or bounds is not None)
        last, half_width = floor.at(x), floor.uncertainty(x)
        if self._settings.rate is not None:
            self._follow_pace(x, since - x, elapsed)
        if device.aligned and not self._renew:
            # points timed by coarse ticks say nothing about those timed by samples
            self._pace.test.restart()
            self._begin_anew(device.successor(device.rate or 1.0))
        if self._pace.by_arrival:
            return self._by_arrival(count, arrival, bounds)
        half_width = max(half_width, self._wide, device.coarseness)
        if bounds is not None:
            low = (bounds[0] - origin) * 1e-9 - x
            last, half_width = self._middle(x, last, low, offset)
        taken = origin + round((x + last) * 1e9)
        return self._stamp(taken, count, arrival, device.passed, half_width)

    def _without_line(
        self, count: int, arrival: int, counter: int | None, bounds: tuple[int, int] | None,
        elapsed: float,
    ) -> Stamp:  # fmt: skip
        """Return the times of a chunk of a stream that keeps to no line."""
        if self._is_outage(elapsed):
            return self._begin(count, arrival, counter, bounds)
        x, since = self._device.seconds, (arrival - (self._origin or 0)) * 1e-9
        self._follow_pace(x, since - x, elapsed)
        return self._by_arrival(count, arrival, bounds)

    def _advance(
        self, count: int, counter: int | None, lost: int, elapsed: float, since: float
    ) -> bool:
        """Move device time on; return whether it goes on, and note what is missing for certain."""
        # Without a line only the chunk before shows when the next one is expected.
        device, floor, expected = self._device, self._floor, elapsed
        if counter is not None and not self._pace.given_up:
            x = device.seconds
            expected = since - x - floor.line.at(x) + floor.latency_step.step
        if not device.advance(count, counter, lost, elapsed, expected):
            return False
        if device.missing:
            self._detector.report(device.missing)
        return True

    def _is_outage(self, elapsed: float) -> bool:
        """Whether the device has begun anew, where there is no line."""
        passed = self._device.passed
        fresh = elapsed >= _FRESH_PART * passed * (1 + self._pace.test.slope)
        return self._detector.is_outage(elapsed - passed, fresh)

    def _follow_pace(self, x: float, late: float, elapsed: float) -> None:
        """Add a chunk at ``x`` [s] that came ``late`` [s] to the test of the rate; act on it."""
        waits = elapsed < _WAITED_PART * self._device.passed
        self._waited = max(self._waited + (elapsed if waits else -_FRESH_WEIGHS * elapsed), 0.0)
        if waits and self._waited < _EMPTIES:
            return
        pace, rate = self._pace, self._settings.rate or 1.0
        if not pace.add(x, late):
            return
        change = pace.decide()
        found = self._device.true_rate(pace.test.slope)
        if change is None and pace.test.verdict == "line" and not pace.by_arrival:
            self._retune(found)
        if change is None:
            self._wide = max(_LEAST_WIDTH, pace.half_width(self._floor.at))
            return
        if change == "rate":
            slow = pace.test.slope
            self._pace.retune()
            self._begin_line(found, 0.0, slow)
        elif change == "steady":
            self._begin_line(rate, pace.test.slope)
        elif change == "line":
            self._begin_line(rate, 0.0)
            return
        # where the device's own clock is wrong its samples may come as stated
        own = not self._device.counts_samples
        if change != "rate" or not own or is_another_rate(found, self._stated):
            self._detector.note_pace(change, found, self._stated)

    def _retune(self, found: float) -> None:
        """Take the rate [Hz] that the device's own clock shows, if it is another one."""
        if self._device.shows_another_rate():
            self._device.retune(found)
            self._settings = replace(self._settings, rate=found)
            self._detector.note_pace("rate", found, self._stated)

    def _begin_line(self, rate: float, skew: float, slow: float = 0.0) -> None:
        """Begin a line with the next chunk, with a rate [Hz] and a slope that were found.

        By a fraction ``slow`` the device's own clock was wrong.
        """
        known = _KNOWN_TOLERANCE if skew else _FOUND_TOLERANCE
        tolerance = max(self._settings.skew_tol, known)
        self._settings = replace(self._settings, rate=rate, skew=skew, skew_tol=tolerance)
        self._begin_anew(self._device.successor(rate, slow))

    def _begin_anew(self, device: DeviceTime) -> None:
        """Begin a line with the next chunk, by a device time that begins with it."""
        self._renew, self._goes_on = True, self._device.seconds
        settings, self._device = self._settings, device
        quantum, rate = settings.quantum, settings.rate
        self._floor = DelayFloor(settings, quantum / rate if quantum and rate else None)
        self._detector = self._detector.successor(settings, self._device, self._floor)

    def _by_arrival(self, count: int, arrival: int, bounds: tuple[int, int] | None) -> Stamp:
        """Stamp a chunk by its arrival alone, or by the middle of its bounds."""
        detector, test = self._detector, self._pace.test
        self._state = "arrival"
        period = 1e9 * (1 + test.slope) / (self._settings.rate or 1.0)
        last, half_width = arrival, 1e9 * max(test.scatter, _LEAST_WIDTH)
        if bounds is not None:
            last, half_width = sum(bounds) // 2, (bounds[1] - bounds[0]) / 2
        return self._output.stamp(
            last, count, arrival, 0.0, period, half_width,
            detector.lost, detector.reason, "arrival", detector.events,
        )  # fmt: skip

    def _is_fresh(self, elapsed: float, excess: float) -> bool:
        """Whether a chunk did not wait behind the one before it.

        Chunks that waited in a silence come one by one, and short ones not always at once. Until
        one of them is hardly late, only those that keep the device's pace are fresh.
        """
        passed, floor = self._device.passed, self._floor
        if elapsed > _SILENCE * passed:
            self._drains, self._behind = True, 0.0
            return True
        if self._drains:
            if floor.known and excess < floor.loss_test.median:
                self._drains = False
            else:
                behind = self._behind + _DRAIN_PART * passed - elapsed
                self._behind = min(max(behind, 0.0), passed)
                if behind > 0:
                    return False
        return elapsed >= _FRESH_PART * passed

    def _begin(
        self, count: int, arrival: int, counter: int | None, bounds: tuple[int, int] | None
    ) -> Stamp:
        """Stamp the first chunk, or the first after a restart: its phase is unknown."""
        floor, again = self._floor, self._origin is not None
        if again:
            floor.restart()
            self._restart_pace(count, arrival)
        self._device.restart(counter)
        self._origin = self._arrival = arrival
        self._lower, self._renew, self._drains = None, False, False
        last, high, half_width = arrival, 0.0, _FIRST_WIDTH * floor.line.scale
        if bounds is not None:
            if bounds[1] < arrival:
                floor.bound()
                high = (bounds[1] - arrival) * 1e-9
            last = sum(bounds) // 2
            half_width = (bounds[1] - last) * 1e-9
            self._lower = LowerBounds(floor.line, self._settings.skew_tol)
            self._lower.add(0.0, (bounds[0] - arrival) * 1e-9, floor.line)
        elif again:
            # It came late, as most do: without this the next one would seem to jump back.
            last -= round(min(floor.line.scale, self._device.step / 2) * 1e9)
        floor.line.add(0.0, high)
        if self._pace.by_arrival:
            return self._by_arrival(count, arrival, bounds)
        return self._stamp(last, count, arrival, 0.0, half_width)

    def _restart_pace(self, count: int, arrival: int) -> None:
        """Go on at device time 0, with the same stream or after a restart of the device."""
        if self._goes_on is not None and self._origin is not None:
            x = self._goes_on + count / (self._settings.rate or 1.0)
            self._pace.test.follow(x, (arrival - self._origin) * 1e-9 - x)
        else:
            self._pace.restart()
            self._detector.restart()
        self._goes_on = None

    def _between(self, count: int, arrival: int, bounds: tuple[int, int] | None) -> Stamp:
        """Stamp a chunk of a device without any clock: the middle of its bounds."""
        last, half = arrival, inf
        if bounds is not None:
            last, half = sum(bounds) // 2, (bounds[1] - bounds[0]) / 2
        return self._output.stamp(last, count, arrival, 0.0, 0.0, half, 0, None, "locked", ())

    def _stamp(
        self, last: int, count: int, arrival: int, length: float, half_width: float
    ) -> Stamp:
        floor, detector, rate = self._floor, self._detector, self._settings.rate
        if floor.loss_test.suspicious:
            self._state = "suspect"
        elif floor.warm(self._device.seconds):
            self._state = "locked"
        else:
            self._state = "reacquiring" if floor.renewed else "warming"
        period = 0.0 if rate is None else 1e9 * (1 + floor.line.slope) / rate
        return self._output.stamp(
            last, count, arrival, 1e9 * length, period, 1e9 * half_width,
            detector.lost, detector.reason, self._state, detector.events,
        )  # fmt: skip

    def _own_stamp(self, count: int, stamp: int | tuple[int, int]) -> int:
        """Return the device's own stamp of the last sample [ns], and use it as a counter."""
        # A line fitted without stamps does not fit them: begin anew.
        if not self._stamped:
            self._device.use(_OWN_STAMPS)
            self._pace.test.clocked = True
            self._stamped, self._clockless, self._renew = True, False, self._origin is not None
        if isinstance(stamp, tuple):
            return stamp[1]
        rate = self._settings.rate
        return stamp if rate is None else stamp + round((count - 1) * 1e9 / rate)

    def _middle(self, x: float, upper: float, low: float, high: float) -> tuple[float, float]:
        """Return the middle of both lines, and its half width [s]."""
        line = self._floor.line
        if self._lower is None:
            self._lower = LowerBounds(line, self._settings.skew_tol)
        self._lower.add(x, low, line)
        return self._lower.middle(x, upper, line, low, high)
