"""Turn readings into chunks: when each sample was taken, its number, and what is missing.

"Read, then ask the clock" stamps a sample with the time of its *arrival*: wrong by its own length
and by every delay on the way. Here a regular stream goes through a clock model, which finds the
earliest line under the arrivals; stamps that a device has mapped to the host clock are taken as
they are. Either way times only go forward, and what the device lost becomes a `Gap`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from rxstream.acquisition.evidence import CounterCheck, EvidenceCheck, StampReports
from rxstream.acquisition.host_stamps import JITTER, DriverSmoothed, HostStamps
from rxstream.acquisition.placement import (
    ArrivalGrid,
    ArrivalTimes,
    ClockModelled,
    OwnClock,
    Placer,
    Progress,
)
from rxstream.acquisition.reported_loss import ReportedLoss
from rxstream.data.axis import Evidence
from rxstream.data.chunk import Chunk
from rxstream.data.clock import NEVER
from rxstream.data.gap import Gap, GapAt, GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import StampError
from rxstream.printable import get_logger
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent

__all__ = ["Stamper", "Timestamps", "clock_settings"]

Timestamps: TypeAlias = Literal["corrected", "arrival"]

# Readings after an overrun report in which a loss is taken for the one reported: drivers report at
# once, and the loss is sure some readings later.
_OVERRUN_READINGS = 16

# Arrivals this far apart [ns] are looked at: the host may have slept between them. A shorter sleep
# is none, and most readings come sooner.
_PAUSE = 100_000_000
# A source's own arrival may be later than now by this [ns]; more is wrong.
_ARRIVAL_AHEAD = 2_000_000_000

_new_tuple = tuple.__new__
_INT64 = np.dtype(np.int64)
_logger = get_logger(__name__)


def _never_slept() -> int:
    return 0


class Stamper:
    """The stamps of one opening of a stream.

    Parameters
    ----------
    info
        Description of the stream.
    mode
        ``"corrected"``: the clock model; ``"arrival"``: arrival minus length, made monotone.
    settings
        Settings of the clock model; by default made from ``info``.
    live
        Whether the stream comes as it happens: then no stamp can lie after its arrival.
    slept
        Function that returns how long the host has slept so far [ns]; see `HostClock.slept`.
    """

    def __init__(
        self,
        info: StreamInfo,
        mode: Timestamps = "corrected",
        settings: ClockSettings | None = None,
        *,
        live: bool = False,
        slept: Callable[[], int] = _never_slept,
    ) -> None:
        if info.dtype.hasobject:
            _logger.warning(
                "%s: its samples are Python objects: they are kept by reference, and max_bytes "
                "counts them by an estimate; a numeric or structured dtype is exact",
                info.name,
            )
        self._info, self._mode = info, mode
        self._settings = settings or clock_settings(info)
        self._path_delay = round(self._settings.path_delay * 1e9)
        self._check, self._reports = EvidenceCheck(info), StampReports(info.name)
        self._counter = CounterCheck(info, self._reports)
        self._progress = Progress(live=live, reports=self._reports)
        self._loss = ReportedLoss(info)
        self._arrival = 0  # of the last reading [ns]; 0 before the first
        self._now = 0  # host time when it was handed over [ns]
        self._slept, self._slept_before = slept, slept()
        self._lost_asleep: int | None = None  # samples lost in the sleep before the next ones
        self._heard_again: int | None = None  # time of the first heartbeat since `restart` [ns]
        self._expected = 0  # see `Progress.expected`, before this reading
        self._placers: dict[type[Placer], Placer] = {}
        # chosen for readings without stamps; the first one with them changes it
        self._stamps: type = type(None)
        self._placer = self._choose(None)
        self.found: list[ClockEvent | StampError] = []
        """Changes found in times that are out, and stamps set aside; take them, and empty it."""

    def describe(self, info: StreamInfo) -> None:
        """Take another description of the samples, of the same rate and clock."""
        self._info = info

    @property
    def state(self) -> str:
        """State of the clock model, as in `Stamp.state`; raw without one."""
        return self._placer.state

    def restart(self, reason: GapReason, lost: int | None = None) -> None:
        """Expect a hole for this reason before the next reading, of ``lost`` samples if known."""
        self._progress.pending = reason
        self._lost_asleep, self._heard_again = lost, None
        self._loss.restart()
        self._counter.restart()
        for placer in self._placers.values():
            placer.restart()

    def overrun(self) -> None:
        """Call a loss that is found soon an overrun."""
        self._progress.overrun = _OVERRUN_READINGS

    def stamp(self, reading: Reading, data: NDArray[Any], now: int) -> Chunk | None:
        """Return ``data`` ``(n, *shape)``, already in its place, with its times.

        Parameters
        ----------
        reading
            Evidence that came with the data.
        data
            Samples, read-only.
        now
            Host time at which it was handed over [ns]: its arrival, unless it has another.

        Returns
        -------
        chunk
            None for a heartbeat that adds nothing.

        Raises
        ------
        ParameterError
            If a piece of evidence is of the wrong kind.
        """
        n, progress, arrival = len(data), self._progress, reading.arrival
        counter, bounds, lost_before = reading.counter, reading.bounds, reading.lost
        if lost_before is None and reading.reason != "dropped":
            reading = self._note_unnumbered(reading)
        if arrival is None:
            arrival = now
        elif type(arrival) is not int:
            arrival = self._check.whole(arrival, "arrival")
        if not 0 <= arrival - self._arrival <= _PAUSE:
            arrival = self._after_pause(reading, n, arrival, now)
        self._arrival, self._now = arrival, now
        if counter is not None or bounds is not None or lost_before is not None:
            reading = self._checked(reading, n, arrival)
            counter, bounds, lost_before = reading.counter, reading.bounds, reading.lost
        if n == 0:
            return self._heartbeat(reading, arrival)
        if progress.overrun:
            progress.overrun -= 1
        stamps = reading.device_time
        if stamps is not None:
            if type(stamps) is ndarray and stamps.dtype is _INT64 and stamps.shape == (n,):
                stamps = stamps.copy()  # a driver may use it again
            elif type(stamps) is not int:
                stamps = self._check.stamps(stamps, n)
        if type(stamps) is not self._stamps:
            self._stamps, self._placer = type(stamps), self._choose(stamps)
        self._expected = progress.expected
        axis, start, end, lost, reason, state, events = self._placer.place(
            reading, n, arrival, stamps
        )
        # tuple.__new__: as Evidence(...), in a third of the time
        axis.evidence = _new_tuple(
            Evidence, (arrival, n, counter, stamps, bounds, lost_before, state)
        )
        if events:
            self.found += events
        if self._reports.new:
            self._report()
        gap_positions: tuple[GapAt, ...] = ()
        before = progress.end
        if before is not None:
            if reason is None and progress.pending is None:
                start = before
            else:
                gap = self._gap(before, max(start, before), lost, reason)
                start, gap_positions = gap.end, (GapAt(0, gap),)
                progress.index += gap.lost or 0
        index = progress.index
        progress.index, progress.end = index + n, end
        return Chunk(data, axis, start, end, index, self._info, gap_positions)

    def _note_unnumbered(self, reading: Reading) -> Reading:
        """Note that samples were lost before a reading, though nobody knows how many."""
        reading, progress = self._check.check(reading), self._progress
        if progress.end is not None:
            progress.pending = progress.pending or reading.reason
        return reading

    def _after_pause(self, reading: Reading, n: int, arrival: int, now: int) -> int:
        """Return a time of arrival that can be [ns]; expect a gap if the host slept before it."""
        reading, before = self._check.check(reading), self._arrival
        if reading.arrival is not None:
            if arrival.bit_length() > 64:
                self._check.whole(arrival, "arrival")
            back = before - arrival if before else 0
            if arrival - now > _ARRIVAL_AHEAD:
                what = f"Reading.arrival {arrival} lies {(arrival - now) / 1e9:.6g} s in the future"
            elif arrival <= NEVER:
                what = f"Reading.arrival {arrival} is no time that int64 nanoseconds can be"
            elif back > JITTER:
                what = f"Reading.arrival {arrival} goes back by {back / 1e9:.6g} s"
            else:
                what = ""
            if what:
                self._reports.add("arrival", what)
                arrival = before + max(0, now - self._now) if before else now
        if self._progress.live:
            slept = self._slept()
            if slept - self._slept_before >= _PAUSE:
                lost = reading.lost
                if lost is None:
                    lost = self._loss.after_sleep(reading.counter, n, arrival)
                self.restart("suspended", lost)
            self._slept_before = slept
        return arrival

    def _checked(self, reading: Reading, n: int, arrival: int) -> Reading:
        """Return a reading whose evidence, besides stamps, is of the right kind and can be."""
        reading, check = self._check.check(reading), self._counter
        if reading.counter is not None and n:
            known_before = check.gone
            if not check.believes(reading.counter, n, arrival):
                reading = replace(reading, counter=None)
                if not known_before:
                    self._begin_anew()
        bounds = reading.bounds
        if bounds is None or not self._progress.live or bounds[0] <= arrival + JITTER:
            return reading
        after = (bounds[0] - arrival) / 1e9
        what = f"Reading.bounds begin at {bounds[0]}, {after:.6g} s after its arrival"
        self._reports.add("bounds", what)
        return replace(reading, bounds=None)

    def _begin_anew(self) -> None:
        """Do without what the counter showed so far."""
        self._loss.restart()
        for placer in self._placers.values():
            placer.begin_anew()

    def _choose(self, stamps: object) -> Placer:
        """Return the way for readings that carry stamps such as these, or None.

        A way that takes stamps takes readings without them too: it alone knows what came before.
        """
        info, regular = self._info, self._info.period is not None
        corrected, host = self._mode == "corrected", info.device_clock == "host"
        single = isinstance(stamps, int)
        now = self._placer if self._placers else None
        if isinstance(now, HostStamps) or (
            isinstance(now, DriverSmoothed) and (single or stamps is None)
        ):
            return now
        kind: type[Placer]
        if host and stamps is not None and not (regular and single):
            kind = HostStamps
        elif corrected and host and regular and stamps is not None:
            kind = DriverSmoothed
        elif corrected and regular:
            kind = ClockModelled
        elif corrected and not host:
            kind = OwnClock
        else:
            kind = ArrivalGrid if regular else ArrivalTimes
        # one of each: what a way has learnt outlives the readings that took another
        if kind not in self._placers:
            self._placers[kind] = kind(info, self._settings, self._progress, self._loss)
        return self._placers[kind]

    def _gap(self, before: int, start: int, lost: int | None, reason: GapReason | None) -> Gap:
        """Return the gap from ``before`` to ``start`` [ns], and expect it no longer."""
        progress, period = self._progress, self._info.period
        pending, progress.pending = progress.pending, None
        reason = pending or reason or "dropped"
        if progress.overrun and reason == "dropped":
            reason = "overrun"
        if pending == "suspended":
            lost = self._lost_asleep
        elif pending in ("disconnect", "restart"):
            if not lost and period:
                lost = max(0, round((start - max(before, self._expected)) / period))
        elif pending:
            lost = lost or None
        return Gap(before, start, lost, reason)

    def _report(self) -> None:
        self.found += self._reports.new
        self._reports.new = []

    def _heartbeat(self, reading: Reading, arrival: int) -> Chunk | None:
        """Return an empty chunk: no sample until the earliest time that the reading allows."""
        progress = self._progress
        self._report()
        if self._info.period is not None:
            return None
        # bounds may be ahead of arrival, by the noise of a clock
        end = arrival if reading.bounds is None else min(reading.bounds[0], arrival)
        end -= self._path_delay
        if progress.pending is None or self._heard_again is None:
            self._heard_again = arrival - self._path_delay
        start = end if progress.end is None else progress.end  # alive, before its first sample
        if end < start or end == progress.end:
            return None
        gap_positions: tuple[GapAt, ...] = ()
        # after a disconnect the time until now is lost, not silent
        if progress.pending is not None and progress.end is not None:
            # a heartbeat of an earlier time does not end the hole: nobody listened then
            if end < self._heard_again:
                return None
            gap_positions = (GapAt(0, Gap(start, end, None, progress.pending)),)
            start = end
        progress.pending, progress.end = None, end
        return Chunk.empty(
            self._info, start, end, index=progress.index, gap_positions=gap_positions
        )


def clock_settings(info: StreamInfo, path_delay: float = 0.0) -> ClockSettings:
    """Return the settings of the clock model that follow from the description of a stream.

    Parameters
    ----------
    info
        Description of the stream.
    path_delay
        Least delay from a sample to its arrival [s].
    """
    return ClockSettings(
        rate=info.rate, quantum=info.quantum, counter=info.counter, path_delay=path_delay
    )
