"""Ways to place samples that carry stamps on the host clock, of an adapter or a driver."""

from math import nan

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.placement import Placement, Placer, Progress, Stamps
from rxstream.acquisition.reported_loss import ReportedLoss
from rxstream.acquisition.sample_times import RegularTimes, forward
from rxstream.acquisition.strays import FAR, Standstill, fill_strays, find_strays, shift_forward
from rxstream.data.axis import IrregularAxis
from rxstream.data.clock import FOREVER, NEVER
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.timing.online.driver import DriverStamps
from rxstream.timing.settings import ClockSettings

__all__ = ["JITTER", "DriverSmoothed", "HostStamps"]

JITTER = 1_000_000
"""Stamps that go back, or come after arrival, by less are noise of the adapter's mapping [ns]."""

# A sound driver's stamps scatter to both sides, by up to a block or two: one that lies after its
# arrival by less may still help to find the line [ns].
_SCATTER = 100_000_000
# The last sample of a block lies no longer than this after its arrival, by the stamp of the first:
# by less it may, as by PortAudio's on PulseAudio. A block that ends by most of its length later was
# stamped at its end: that is sure at once where it is more than stamps scatter, else after so many
# blocks [ns].
_ENDS_LATER, _OF_END_BLOCKS = 20_000_000, 8
# Stamps after their arrival by less are those of the arrival, rounded [ns].
_ROUNDED = 1_000
# A live driver's stamp is no older than this when its block comes [ns].
_OLDEST_BLOCK = 60_000_000_000
# An irregular sample is stamped no longer than this before it arrives: what is older, as by a time
# zone, is an error of the adapter [ns].
_OLDEST = 600_000_000_000
# Nanoseconds in other units of time since the epoch, that may be given by mistake.
_UNITS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}
# Nobody's clock has shown the first year of the epoch since: such a stamp counts from a zero of its
# own, or was never set [ns].
_FIRST_YEAR = 366 * 86_400 * 1_000_000_000


def _beyond(value: int) -> str:
    return f"device_time {value} is no time that int64 nanoseconds since the epoch can be"


def _first_beyond(given: object, strays: NDArray[np.bool_]) -> int:
    """Return the first such stamp as the source gave it."""
    values = np.asarray(given, object).ravel()
    return int(values[int(np.flatnonzero(strays)[0]) if len(values) == len(strays) else 0])


def _of_another_unit(value: int, arrival: int) -> str:
    """Return what is wrong with a stamp of the first year, which no clock of a host shows."""
    for unit, factor in _UNITS.items():
        if abs(value * factor - arrival) < _FIRST_YEAR:
            return f"device_time {value} seems to be in {unit}; give nanoseconds"
    return (
        f"device_time {value} is no time of the host, in nanoseconds since the epoch; of a clock "
        'with a zero of its own say device_clock="own"'
    )


def _late(value: int, arrival: int) -> str:
    return f"device_time {value} lies {(value - arrival) / 1e9:.6g} s after its arrival"


def _back(value: int, before: int) -> str:
    return f"device_time {value} goes back by {(before - value) / 1e9:.6g} s"


def _old(value: int, arrival: int) -> str:
    return f"device_time {value} lies {(arrival - value) / 1e9:.6g} s before its arrival"


def _stays(value: int, passed: int) -> str:
    return f"device_time stays at {value} while {passed / 1e9:.3g} s passed"


class HostStamps(Placer):
    """Stamps that the adapter has mapped to the host clock, taken as they are.

    Of a live device a stamp after its arrival, or far behind the one before it, cannot be; its
    sample takes the next stamp that can, or its arrival less the least delay seen. Nor can stamps
    that are minutes old, or that stand still while readings arrive. A recording has
    no arrival: there a stamp is wrong if those around it agree without it. Where all go far back,
    another recording begins, and its stamps keep their distances.
    """

    __slots__ = ("_delay", "_good", "_grid", "_live", "_plain", "_shift", "_still")

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        super().__init__(info, settings, progress, loss)
        self._grid = info.period is not None
        self._live = progress.live
        self._good: int | None = None  # newest stamp believed, path delay taken off [ns]
        self._delay: int | None = None  # least delay from the last sample to its arrival [ns]
        self._shift = 0  # of a recording, since it went back [ns]
        self._still = Standstill()
        self._plain = not self._path_delay  # whether stamps are times

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the samples at their stamps; from a single one on at the nominal distance."""
        lost, reason = self._loss.push(reading, n, arrival)
        end, bounds = self._progress.end, reading.bounds
        if self._plain and end is not None and isinstance(stamps, np.ndarray):
            first, last = stamps.item(0), stamps.item(-1)
            if (
                end <= first
                and last < (arrival + 1 if self._live else FOREVER)
                and (n == 1 or (stamps[1:] > stamps[:-1]).all())
            ):
                delay = self._delay
                self._good = last
                if delay is None or arrival - last < delay:
                    self._delay = arrival - last
                stamps.flags.writeable = False
                uncertainty = nan if bounds is None else (bounds[1] - bounds[0]) / 2
                axis = IrregularAxis(stamps, uncertainty)
                return axis, first, last + 1, lost, reason, "raw", ()
        times, back = self._times(reading, n, arrival, stamps)
        if back and reason is None:
            lost, reason = 0, "overlap"
        start = times.item(0)
        axis = forward(times, end, bounds)
        return axis, start, axis.at(n), lost, reason, "raw", ()

    def _times(
        self, reading: Reading, n: int, arrival: int, stamps: Stamps
    ) -> tuple[NDArray[np.int64], bool]:
        """Return times of their own memory [ns], and whether the stamps go back."""
        if stamps is None:
            return self._guess(n, arrival), False
        given = reading.device_time
        if isinstance(stamps, int):
            step = np.arange(n, dtype=np.int64) * round(self._period)
            stamps = np.int64(min(max(stamps, NEVER), FOREVER)) + step
        strays = (stamps >= FOREVER) | (stamps <= NEVER)
        if strays.any():
            self._progress.reports.add("beyond", _beyond(_first_beyond(given, strays)))
        raw = np.clip(stamps, NEVER, FOREVER) - self._path_delay
        before = self._good
        if self._live:
            strays |= self._impossible(raw, strays, arrival)
            times = self._filled(raw, strays, arrival)
        else:
            times, strays = self._recorded(raw, strays)
        good = raw[~strays]
        if not len(good):
            return times, False
        last = self._good = int(good[-1])
        if self._live:
            delay = max(arrival - last, 0)
            self._delay = delay if self._delay is None else min(delay, self._delay)
        return times, before is not None and int(good[0]) < before - JITTER

    def _impossible(
        self, raw: NDArray[np.int64], strays: NDArray[np.bool_], arrival: int
    ) -> NDArray[np.bool_]:
        """Return which stamps of a live device cannot be, besides those known already."""
        reports = self._progress.reports
        late = (raw + self._path_delay > arrival + JITTER) & ~strays
        if late.any():
            reports.add("late", _late(int(raw[late][0]) + self._path_delay, arrival))
        old = (raw < arrival - _OLDEST) & (raw >= _FIRST_YEAR) & ~strays
        if self._good is not None and self._good >= arrival - _OLDEST:
            old[:] = False  # it goes back, as well
        if old.any():
            reports.add("old", _old(int(raw[old][0]) + self._path_delay, arrival))
        bad = strays | late | old
        rest = np.flatnonzero(~bad)
        # a flipped bit among them, then all that lie far behind the newest
        bad[rest[find_strays(raw[rest], self._good)]] = True
        rest = np.flatnonzero(~bad)
        before = self._good
        if before is None:
            before = _FIRST_YEAR if arrival > 2 * _FIRST_YEAR else NEVER
        newest = np.maximum.accumulate(np.append(before, raw[rest]))[:-1]
        bad[rest[raw[rest] < newest - FAR]] = True
        behind = np.flatnonzero(bad & ~late & ~old & ~strays)
        if len(behind):
            k = int(behind[0])
            value = int(raw[k]) + self._path_delay
            newest_before = max([before, *raw[:k][~bad[:k]].tolist()])
            found = _back(value, newest_before)
            if value < _FIRST_YEAR <= before:
                found = _of_another_unit(value, arrival)
            reports.add("back", found)
        good = raw[~bad]
        last = int(good.max()) if len(good) else NEVER
        passed = self._still.lasts(last, arrival) if len(good) else None
        if passed is not None:
            reports.add("still", _stays(last + self._path_delay, passed))
            self._delay, bad[:] = None, True  # that delay was of such stamps
        return bad

    def _filled(
        self, raw: NDArray[np.int64], strays: NDArray[np.bool_], arrival: int
    ) -> NDArray[np.int64]:
        """Return the times of a live device: none after its arrival."""
        if strays.all():
            return self._guess(len(raw), arrival)
        times = raw
        if strays.any():
            high = int(self._guess(1, arrival)[0])
            times = fill_strays(raw, strays, self._good, high, spread=self._grid)
        return np.minimum(times, arrival)

    def _recorded(
        self, raw: NDArray[np.int64], beyond: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the times of a recording, and which stamps are out of line."""
        reports, end = self._progress.reports, self._progress.end
        rest = np.flatnonzero(~beyond)
        strays = beyond.copy()
        strays[rest[find_strays(raw[rest], self._good)]] = True
        found = raw[strays & ~beyond]
        if len(found):
            reports.add("stray", f"device_time {found[0]} is out of line with those around it")
        times = fill_strays(raw, strays, self._good, None, spread=True) if strays.any() else raw
        if self._shift and end is not None and times[0] >= end:
            self._shift = 0  # it has caught up: its stamps are times again
        before = self._good
        # stamped on arrival until now
        if before is None and end is not None:
            before = end - 1 - self._shift
        times, shift = shift_forward(times, None if before is None else before + 1)
        if shift:
            reports.add("set back", f"the clock of the recording was set back by {shift / 1e9:g} s")
        before_it = self._shift
        self._shift = min(before_it + shift, FOREVER)
        self._plain = self._plain and not self._shift
        return np.minimum(times, FOREVER - before_it) + before_it, strays

    def _guess(self, n: int, arrival: int) -> NDArray[np.int64]:
        """Return times of samples without stamps [ns]."""
        end = self._progress.end
        last = arrival - (self._delay or 0)
        if self._delay is None:
            last -= self._path_delay
        # arrival says nothing of a recording
        if not self._live and end is not None:
            last = end + (round((n - 1) * self._period) if self._grid else 0)
        if not self._grid:
            return np.full(n, last, np.int64)
        back = np.rint(np.arange(n - 1, -1, -1) * self._period).astype(np.int64)
        times: NDArray[np.int64] = last - back
        return times


class DriverSmoothed(Placer):
    """Stamps of the driver on the host clock, e.g. of the sound card's ADC, made smooth.

    A block without a stamp, or with one that cannot be, is taken to come by the least delay seen.
    """

    __slots__ = ("_delay", "_driver", "_of_end", "_still", "_times", "_whole_period")

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        super().__init__(info, settings, progress, loss)
        self._of_end = 0  # blocks that seem to be stamped at their end, one after the other
        self._driver, self._times = DriverStamps(self._period), RegularTimes(self._period)
        self._whole_period = round(self._period)
        # least delay from the last sample of a block to its arrival [ns]
        self._delay: int | None = None
        self._still = Standstill()

    @property
    def state(self) -> str:
        """State of the line through the stamps: warming, locked."""
        return self._driver.state

    def restart(self) -> None:
        """Expect the device to begin anew."""
        self._driver.restart()

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the samples on the line through the driver's stamps."""
        progress, driver = self._progress, self._driver
        reported, reason = self._loss.push(reading, n, arrival)
        known = reported or 0
        period, length = self._whole_period, round(n * self._period)
        span, least = length - period, self._delay
        # a delay as usual: no call for it
        if (
            type(stamps) is int and least is not None
            and least <= (delay := arrival - stamps - span) < FAR and delay >= -_ENDS_LATER
        ):  # fmt: skip
            self._of_end, stamp = 0, stamps
        else:
            stamp = self._believed(stamps, span, arrival)
        # A driver may mean a time some ms after the arrival, as PortAudio on PulseAudio does; cut
        # there, the times of its blocks would scatter as arrivals do.
        least = self._delay
        kept = progress.live and (least is None or least >= -_ROUNDED)
        limit = arrival - self._path_delay if kept else None
        end, lost, uncertainty = driver.push(
            n, stamp - self._path_delay, known, overrun=progress.overrun > 0 and not known,
            limit=limit, arrival=arrival if progress.live else nan,
        )  # fmt: skip
        if lost > known:
            reason = reason or "dropped"
        first, last, progress.expected = end - length, end - period, end
        before, goes_on = progress.end, not (reason or progress.pending)
        axis, end = self._times.on_line(
            before, first, last, n, self._period, uncertainty,
            FOREVER if limit is None else limit, goes_on=goes_on,
        )  # fmt: skip
        start = before if before is not None and goes_on else axis.at(0)
        return axis, start, end, lost, reason, driver.state, ()

    def _believed(self, stamp: Stamps, span: int, arrival: int) -> int:
        """Return the stamp, or where it cannot be, one by arrival [ns].

        From the first to the last sample it is ``span`` [ns].
        """
        progress = self._progress
        if isinstance(stamp, int) and progress.live and self._is_of_end(stamp, span, arrival):
            stamp -= span
        if isinstance(stamp, int):
            delay, live = arrival - stamp - span, progress.live
            good = stamp <= arrival + _SCATTER and delay < _OLDEST_BLOCK
            passed = self._still.lasts(stamp, arrival) if live and good else None
            if passed is not None:
                progress.reports.add("still", _stays(stamp, passed))
            elif good if live else NEVER < stamp < FOREVER:
                if self._delay is None or delay < self._delay:
                    self._delay = delay
                return stamp
            elif not NEVER < stamp < FOREVER:
                progress.reports.add("beyond", _beyond(stamp))
            elif stamp > arrival:
                progress.reports.add("late", _late(stamp, arrival))
            elif stamp < _FIRST_YEAR < arrival - _FIRST_YEAR:
                progress.reports.add("back", _of_another_unit(stamp, arrival))
            else:
                progress.reports.add("back", _old(stamp, arrival))
        # arrival says nothing of a recording
        if not progress.live and progress.end is not None:
            return progress.end + self._path_delay
        return arrival - span - max(self._delay or 0, 0)

    def _is_of_end(self, stamp: int, span: int, arrival: int) -> bool:
        """Whether stamps are those of the end of blocks whose samples span this time [ns]."""
        after = stamp + span - arrival
        if not max(_ENDS_LATER, span // 2) < after <= span + JITTER:
            self._of_end = 0
            return False
        self._of_end = _OF_END_BLOCKS if after > _SCATTER else self._of_end + 1
        if self._of_end < _OF_END_BLOCKS:
            return False
        found = f"device_time {stamp} of a block that ends {after / 1e9:.6g} s after its arrival"
        self._progress.reports.add(
            "end", f"{found} seems to be of its last sample; device_time is that of the first",
            "the block is taken to end there",
        )  # fmt: skip
        return True
