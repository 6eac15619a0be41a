"""Ways to place the samples of a reading in time, one for each kind of evidence.

A `Stamper` chooses one at the first reading. Each way returns a `Placement`: when the samples were
taken, and what was lost before them.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field, replace
from math import nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.evidence import StampReports
from rxstream.acquisition.own_clock import OwnClockCheck
from rxstream.acquisition.reported_loss import ReportedLoss
from rxstream.acquisition.sample_times import RegularTimes, forward
from rxstream.acquisition.strays import FAR, fill_strays
from rxstream.data.axis import IrregularAxis, RegularAxis
from rxstream.data.clock import FOREVER, NEVER
from rxstream.data.gap import GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, Stamp

__all__ = [
    "ArrivalGrid",
    "ArrivalTimes",
    "ClockModelled",
    "OwnClock",
    "Placement",
    "Placer",
    "Progress",
    "Stamps",
]

# Readings whose first sample is remembered, to turn the chunk numbers of a clock model into sample
# numbers. At 1000 readings a second that is 4 s, and a decision takes 1 s.
_REMEMBERED = 4096
# Events that no chunk shows by itself: what was found of the rate.
_OF_PACE = ("rate", "unsteady", "steady")


Stamps: TypeAlias = "int | NDArray[np.int64] | None"
"""Device time of a reading [ns]: of its first sample, of each, or none."""


Placement: TypeAlias = tuple[
    RegularAxis | IrregularAxis, int, int, int | None, GapReason | None, str,
    tuple[ClockEvent, ...],
]  # fmt: skip
"""The place of a reading in time: a plain tuple, since one is made for each reading.

- axis: times of its samples.
- start: time of the first sample by the evidence alone [ns].
- end: end of the last sample, where the next one can lie at the earliest [ns].
- lost: samples lost before it; None if nothing is known of a loss, or not its size.
- reason: of the loss, or None where samples go on from the last reading.
- state: of the clock model; ``"raw"`` without one.
- events: changes that the clock model found with this reading, in numbers of samples.
"""


@dataclass(slots=True)
class Progress:
    """How far a stream has come; kept by the stamper, read by the ways.

    Attributes
    ----------
    end
        End of what is out [ns]; None before the first sample.
    index
        Number of the next sample, lost ones counted in.
    pending
        Reason of the gap to come before the next sample, if one is expected.
    overrun
        Number of readings to come in which a loss is called an overrun.
    live
        Whether arrival bounds what stamps can be; it does not for a recording.
    reports
        Stamps that were set aside.
    expected
        Time of the next sample of a regular stream, where nothing gets lost [ns]; 0 if unknown. It
        may lie after ``end``: the next sample may be there sooner.
    """

    end: int | None = None
    index: int = 0
    expected: int = 0
    pending: GapReason | None = None
    overrun: int = 0
    live: bool = False
    reports: StampReports = field(default_factory=lambda: StampReports(""))


class Placer(ABC):
    """A way to place samples in time.

    Parameters
    ----------
    info
        Description of the stream.
    settings
        Settings of the clock model, and the path delay.
    progress
        State of the stream, kept by the stamper.
    loss
        Finds the losses where no model does.
    """

    __slots__ = ("_loss", "_name", "_path_delay", "_period", "_progress")

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        self._progress, self._loss = progress, loss
        self._name, self._period = info.name, info.period or 1.0
        self._path_delay = round(settings.path_delay * 1e9)

    @property
    def state(self) -> str:
        """State of the clock model, as in `Stamp.state`; raw without one."""
        return "raw"

    def restart(self) -> None:  # noqa: B027 - most have no state that a restart would end
        """Expect the device to begin anew."""

    def begin_anew(self) -> None:  # noqa: B027 - as above
        """Forget what was learnt: the evidence was wrong, and the device goes on."""

    @abstractmethod
    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the ``n`` samples of a reading.

        Parameters
        ----------
        reading
            Evidence that came with them.
        n
            Number of samples.
        arrival
            Host time of arrival [ns].
        stamps
            Device time [ns]: of the first sample, of each in memory of its own, or None.
        """


class ArrivalTimes(Placer):
    """Irregular samples, stamped on arrival for want of anything better."""

    __slots__ = ()

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the samples at the arrival, or in the middle of its bounds."""
        last = arrival if reading.bounds is None else min(sum(reading.bounds) // 2, arrival)
        start = last - self._path_delay
        lost, reason = self._loss.push(reading, n, arrival)
        # the same array, made quicker: most buses and keyboards give one sample at a time
        times = np.array((start,), np.int64) if n == 1 else np.full(n, start, np.int64)
        axis = forward(times, self._progress.end, reading.bounds)
        return axis, start, axis.at(n), lost, reason, "raw", ()


class ArrivalGrid(Placer):
    """Regular samples without a clock model: a sample at its arrival, a block before it.

    A block ends when it arrives, so that the next one, which may come sooner, finds room.
    """

    __slots__ = ("_times",)

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        super().__init__(info, settings, progress, loss)
        self._times = RegularTimes(self._period)

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the samples before their arrival, never before the end of what is out."""
        lost, reason = self._loss.push(reading, n, arrival)
        end, progress = arrival - self._path_delay, self._progress
        before, start = progress.end, end if n == 1 else end - round(n * self._period)
        # it goes on exactly at the end of the last one, unless there is a gap
        if before is not None and (start < before or (reason is None and not progress.pending)):
            start = before
        if n == 1:
            axis, after = self._times.by_arrival(before, end, end, 1, nan)
            return axis, start, after, lost, reason, "raw", ()
        end = max(end, start + n)
        grid = RegularAxis(start, (end - start) / n, n, 0, nan)
        return grid, start, end, lost, reason, "raw", ()


class ClockModelled(Placer):
    """Regular samples on the line that the clock model finds under their arrivals."""

    __slots__ = (
        "_begins", "_counts", "_model", "_own", "_pushed", "_settings", "_stamped", "_starts",
        "_times",
    )  # fmt: skip

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        super().__init__(info, settings, progress, loss)
        self._settings, self._times = settings, RegularTimes(self._period)
        self._model = ClockModel(settings)
        self._counts = loss.counts
        self._begins = False  # whether the model has forgotten what the stream has not
        back = FAR if info.period is None else 0
        self._own = OwnClockCheck(progress.reports, live=progress.live, back=back)
        self._stamped = False  # whether it has had stamps of the device
        self._pushed = 0  # readings that the model has had
        self._starts: deque[int] = deque(maxlen=_REMEMBERED)  # index of the first sample of each

    @property
    def state(self) -> str:
        """State of the clock model."""
        return self._model.state

    def restart(self) -> None:
        """Expect the device to begin anew."""
        self._model.restart()
        self._own.restart()

    def begin_anew(self) -> None:
        """Forget what was learnt: the evidence was wrong, and the device goes on."""
        self._model, self._begins = ClockModel(self._settings), True
        self._stamped, self._pushed = False, 0
        self._starts.clear()

    def _own_stamps(
        self, stamps: int | NDArray[np.int64], arrival: int
    ) -> int | tuple[int, int] | None:
        """Return the device's own stamp of the first sample, or of first and last [ns].

        None if it is not believed.
        """
        own = self._own
        found: int | tuple[int, int] | None
        if isinstance(stamps, int):
            found = stamps if own.believes(stamps, stamps, arrival) else None
        else:
            edges, strays = own.edges(stamps, arrival)
            found = None if strays is not None and strays[-1] else edges
        if own.given_up:
            self.begin_anew()
        elif own.renewed and found is not None:
            self._model.restart()
        return found

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the samples by the model; without a gap they go on where the last ones ended."""
        own = None if stamps is None else self._own_stamps(stamps, arrival)
        # the model begins anew with the first stamp, and the device does not
        anew = own is not None and not self._stamped and self._pushed > 0
        stamp = self._push(reading, n, arrival, own)
        if reading.bounds is not None:
            numbered = reading.counter is not None
            stamp = self._bounded(stamp, reading.bounds, arrival, numbered=numbered)
        # a slice is a plain tuple, which is taken apart at once
        first, last, period, uncertainty, lost, reason, state, events = stamp[:]
        if own is not None:
            self._stamped = True
            if anew and reason == "restart":
                lost = reason = None
        if reading.lost:
            lost, reason = max(reading.lost, lost or 0), reading.reason
        if self._counts:
            # a way that counts losses itself may come after this one
            self._loss.follow(reading.counter, n + (lost or 0), arrival)
        progress = self._progress
        before, goes_on = progress.end, not (reason or progress.pending)
        begins, self._begins = self._begins, False
        axis: RegularAxis | IrregularAxis
        if state == "arrival":
            axis, end = self._times.by_arrival(before, first, last, n, uncertainty)
        else:
            axis, end = self._times.on_line(
                before, first, last, n, period, uncertainty, arrival - self._path_delay,
                goes_on=goes_on and not begins,
            )  # fmt: skip
        progress.expected = last + round(period)
        start = before if before is not None and goes_on else axis.at(0)
        found = self._in_samples(events) if events else ()
        return axis, start, end, lost, reason, state, found

    def _bounded(
        self, stamp: Stamp, bounds: tuple[int, int], arrival: int, *, numbered: bool
    ) -> Stamp:
        """Return a stamp whose last sample lies within its bounds [ns], which the line may leave.

        Bounds that jump by less than a sample show no loss: such a device is not paced by a clock.
        """
        # bounds may be ahead of arrival, by the noise of a clock
        low, high = (min(bound, arrival) - self._path_delay for bound in bounds)
        last, reason = min(max(stamp.last, low), high), stamp.reason
        if reason == "overlap" and not numbered and not stamp.lost:
            reason = None
        return stamp._replace(
            first=stamp.first + last - stamp.last, last=last, reason=reason,
            uncertainty=min(stamp.uncertainty, float(high - low)),
        )  # fmt: skip

    def _push(
        self, reading: Reading, n: int, arrival: int, device_time: int | tuple[int, int] | None
    ) -> Stamp:
        self._starts.append(self._progress.index)
        self._pushed += 1
        return self._model.push(
            n, arrival, counter=reading.counter, device_time=device_time, bounds=reading.bounds,
            lost=reading.lost,
        )  # fmt: skip

    def _in_samples(self, events: tuple[ClockEvent, ...]) -> tuple[ClockEvent, ...]:
        """Return events in numbers of samples; leave out those that the stream itself shows.

        A gap found at once is in the chunk, at its place.
        """
        oldest, now = self._pushed - len(self._starts), self._progress.index
        found = []
        for event in events:
            first = self._starts[max(0, event.first - oldest)]
            moved = event.correction and (event.kind == "overlap" or first < now)
            if moved or event.delay or event.kind in _OF_PACE:
                found.append(replace(event, first=first, last=now, stream=self._name))
        return tuple(found)


class OwnClock(ClockModelled):
    """Irregular samples with stamps or ticks of the device's own clock, mapped to the host clock.

    Readings that carry neither are stamped on arrival.
    """

    __slots__ = ("_otherwise", "_ticks")

    def __init__(
        self, info: StreamInfo, settings: ClockSettings, progress: Progress, loss: ReportedLoss
    ) -> None:
        counter = settings.counter
        self._ticks = counter is not None and counter.kind == "ticks"
        if not self._ticks:  # numbers of irregular samples are no clock
            settings = replace(settings, counter=None)
        super().__init__(info, settings, progress, loss)
        self._otherwise = ArrivalTimes(info, settings, progress, loss)

    @property
    def state(self) -> str:
        """State of the clock model; raw as long as no reading has brought a stamp."""
        return self._model.state if self._pushed else "raw"

    def place(self, reading: Reading, n: int, arrival: int, stamps: Stamps) -> Placement:
        """Place the last sample by the line of the model, the others by their distance to it."""
        if stamps is None and (not self._ticks or reading.counter is None):
            return self._otherwise.place(reading, n, arrival, None)
        own: NDArray[np.int64] | None = None
        strays: NDArray[np.bool_] | None = None
        edges: tuple[int, int] | None = None
        if stamps is not None:
            # one for each sample, or one for all
            own = (
                np.full(n, min(max(stamps, NEVER), FOREVER), np.int64)
                if isinstance(stamps, int)
                else stamps
            )
            edges, strays = self._own.edges(own, arrival)
            if edges is None and not self._ticks:
                return self._otherwise.place(reading, n, arrival, None)
            if self._own.renewed:
                self._model.restart()
        stamp = self._push(reading, n, arrival, edges)
        # stamps of one time: a nanosecond apart, the last one not after the arrival
        times = np.full(n, stamp.last, np.int64)
        if n > 1 and (own is None or isinstance(stamps, int)):
            times += np.arange(1 - n, 1)
        if own is not None and edges is not None:
            if strays is not None:
                own = np.where(strays, edges[1], own)
            times += np.rint((own - edges[1]) * (1 + self._model.slope)).astype(np.int64)
            if strays is not None:
                times = fill_strays(times, strays, None, arrival - self._path_delay, spread=False)
        lost, reason = self._loss.push(reading, n, arrival)
        start = times.item(0)
        axis = forward(times, self._progress.end, reading.bounds, stamp.uncertainty)
        found = self._in_samples(stamp.events) if stamp.events else ()
        return axis, start, axis.at(n), lost, reason, stamp.state, found
