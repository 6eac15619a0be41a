"""Turn readings into chunks: when each sample was taken, its number, and what is missing.

"Read, then ask the clock" stamps a sample with the time of its *arrival*: wrong by its own length
and by every delay on the way. Here a regular stream goes through a clock model, which finds the
earliest line under the arrivals; stamps that a device has mapped to the host clock are taken as
they are. Either way times only go forward, and what the device lost becomes a `Gap`.
"""

from collections import deque
from dataclasses import replace
from math import isnan, nan
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.reported_loss import ReportedLoss
from rxstream.data.axis import Axis, Evidence, IrregularAxis, RegularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt, GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.timing.online.driver import DriverStamps
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent

__all__ = ["Stamper", "Timestamps"]

Timestamps: TypeAlias = Literal["corrected", "arrival"]
_SOON = 16  # readings
_REMEMBERED = 4096  # readings; a decision never takes so long
_BACKWARD = 1_000_000  # stamps that go back less than this [ns] are noise, not an overlap


class Stamper:
    """The stamps of one session of a stream.

    Parameters
    ----------
    info
        Of the stream.
    mode
        ``"corrected"``: the clock model; ``"arrival"``: arrival minus length, made monotone.
    correction
        Of the clock model; by default made from ``info``.
    """

    def __init__(
        self,
        info: StreamInfo,
        mode: Timestamps = "corrected",
        correction: ClockSettings | None = None,
    ) -> None:
        self._info = info
        self._period = info.period
        self._path_delay = 0 if correction is None else round(correction.path_delay * 1e9)
        self._model: ClockModel | None = None
        self._driver: DriverStamps | None = None
        # events with a clock of their own: the model is made when the first reading carries it
        self._events: ClockSettings | None = None
        if mode == "corrected" and info.period is None and info.device_clock == "own":
            self._events = correction or clock_settings(info)
            if info.counter is not None and info.counter.kind == "samples":  # that is no clock
                self._events = replace(self._events, counter=None)
        if mode == "corrected" and info.period is not None:
            self._model = ClockModel(correction or clock_settings(info))
            if info.device_clock == "host":
                self._driver = DriverStamps(info.period)
        self._end: int | None = None
        self._index = 0
        self._told = ReportedLoss(info)
        self._pending: GapReason | None = None
        self._starts: deque[int] = deque(maxlen=_REMEMBERED)  # index of the first sample of each
        self._pushed = 0
        self.found: list[ClockEvent] = []
        """What the model found out about times that are out; take them, and empty it."""
        self._overrun = 0  # for so many readings a loss is called an overrun

    @property
    def state(self) -> str:
        """What the clock model says of itself: warming, locked, suspect, reacquiring, or raw."""
        if self._driver is not None and self._driver.blocks:
            return self._driver.state
        return "raw" if self._model is None else self._model.state

    def restart(self, reason: GapReason) -> None:
        """Expect a hole for this reason before the next reading."""
        self._pending = reason
        self._told.restart()
        if self._model is not None:
            self._model.restart()
        if self._driver is not None:
            self._driver.restart()

    def overrun(self) -> None:
        """Call a loss that is found soon an overrun."""
        self._overrun = _SOON

    def stamp(self, reading: Reading, data: NDArray[Any], arrival: int) -> Chunk | None:
        """Return ``data`` ``(n, *shape)``, already in its place, with its times."""
        n = len(data)
        if n == 0:
            return self._heartbeat(reading, data, arrival)
        stamps = reading.device_time
        if isinstance(stamps, np.ndarray):  # a driver may use it again
            stamps = stamps.copy()
        evidence = Evidence(arrival, n, reading.counter, stamps, reading.bounds, reading.lost)
        self._overrun = max(0, self._overrun - 1)
        if self._given(reading):
            axis, start, lost, reason = self._trusted(reading, n, arrival, evidence)
        elif self._driver is not None and isinstance(reading.device_time, int):
            axis, start, lost, reason = self._driven(reading, n, reading.device_time, evidence)
        elif self._events is not None and (
            stamps is not None or (self._events.counter and reading.counter is not None)
        ):
            axis, start, lost, reason = self._by_own_clock(reading, n, arrival, evidence)
        elif self._model is not None and self._events is None:
            axis, start, lost, reason = self._modelled(reading, n, arrival, evidence)
        elif self._period is not None:
            axis, start, lost, reason = self._raw(reading, n, arrival, evidence)
        else:
            axis, start, lost, reason = self._at_arrival(reading, n, arrival, evidence)
        return self._finish(reading, data, axis, start, lost, reason)

    def _given(self, reading: Reading) -> bool:
        return (
            self._info.device_clock == "host"
            and reading.device_time is not None
            and (self._period is None or not isinstance(reading.device_time, int))
        )

    def _heartbeat(self, reading: Reading, data: NDArray[Any], arrival: int) -> Chunk | None:
        """Return an empty chunk: nothing until the time the reading tells."""
        if self._period is not None:
            return None
        end = (arrival if reading.bounds is None else reading.bounds[0]) - self._path_delay
        start = end if self._end is None else self._end  # alive, before its first sample
        if end < start or end == self._end:
            return None
        gap_positions: tuple[GapAt, ...] = ()
        if self._pending is not None and self._end is not None:  # it is back; it was not silent
            gap_positions, start = (GapAt(0, Gap(start, end, None, self._pending)),), end
        self._pending = None
        self._end = end
        none = IrregularAxis(np.empty(0, np.int64))
        return Chunk(data, none, start, end, self._index, self._info, gap_positions)

    def _trusted(
        self, reading: Reading, n: int, arrival: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Take stamps that the adapter has mapped to the host clock."""
        stamps = np.array(reading.device_time, dtype=np.int64).reshape(-1) - self._path_delay
        if stamps.shape != (n,):
            stamps = stamps[0] + np.arange(n, dtype=np.int64) * round(self._period or 1)
        lost, reason = self._told.push(reading, n, arrival)
        first = int(stamps[0])
        if self._end is not None and first < self._end - _BACKWARD and reason is None:
            lost, reason = 0, "overlap"
        return self._forward(stamps, evidence), first, lost, reason

    def _at_arrival(
        self, reading: Reading, n: int, arrival: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Stamp irregular samples on arrival, for want of anything better."""
        last = arrival if reading.bounds is None else sum(reading.bounds) // 2
        stamps = np.full(n, last - self._path_delay, np.int64)
        lost, reason = self._told.push(reading, n, arrival)
        return self._forward(stamps, evidence), int(stamps[0]), lost, reason

    def _by_own_clock(
        self, reading: Reading, n: int, arrival: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Map an irregular device's own stamps to the host clock, by the line of the model."""
        model = self._model
        if model is None:
            model = self._model = ClockModel(self._events or clock_settings(self._info))
        own: NDArray[np.int64] | None = None
        if evidence.device_time is not None:  # one for each sample, or one for all
            own = np.broadcast_to(np.asarray(evidence.device_time, np.int64), (n,))
        stamp = model.push(
            n, arrival, counter=reading.counter, bounds=reading.bounds, lost=reading.lost,
            device_time=None if own is None else (int(own[0]), int(own[-1])),
        )  # fmt: skip
        self._starts.append(self._index)
        self._pushed += 1
        if stamp.events:
            self._find_out(stamp.events)
        stamps = np.full(n, stamp.last, np.int64)
        if own is not None:
            stamps += np.rint((own - own[-1]) * (1 + model.slope)).astype(np.int64)
        lost, reason = self._told.push(reading, n, arrival)
        axis = self._forward(stamps, evidence._replace(state=stamp.state), stamp.uncertainty)
        return axis, int(stamps[0]), lost, reason

    def _forward(
        self, stamps: NDArray[np.int64], evidence: Evidence, doubt: float = nan
    ) -> IrregularAxis:
        """Make stamps strictly increasing, from the end of what is out already.

        Without a model only bounds can tell how good they are.
        """
        if self._end is not None and stamps[0] < self._end:
            stamps[0] = self._end
        if len(stamps) > 1 and not (stamps[1:] > stamps[:-1]).all():
            steps = np.arange(len(stamps))
            stamps = np.maximum.accumulate(stamps - steps) + steps
        stamps.flags.writeable = False
        if evidence.bounds is not None and isnan(doubt):
            doubt = (evidence.bounds[1] - evidence.bounds[0]) / 2
        return IrregularAxis(stamps, doubt, evidence)

    def _raw(
        self, reading: Reading, n: int, arrival: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Arrival minus length, never before the end of what is out already."""
        period = self._period or 1.0
        lost, reason = self._told.push(reading, n, arrival)
        end = arrival - self._path_delay
        start = end - round(n * period)
        if self._end is not None and (start < self._end or reason is None):
            start = self._end
        end = max(end, start + n)
        return RegularAxis(start, (end - start) / n, n, 0, nan, evidence), start, lost, reason

    def _modelled(
        self, reading: Reading, n: int, arrival: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Ask the clock model; without a gap, samples go on exactly where the last chunk ended."""
        model = self._model
        if model is None:  # pragma: no cover - the caller has looked
            raise AssertionError
        stamp = model.push(
            n,
            arrival,
            counter=reading.counter,
            device_time=reading.device_time if isinstance(reading.device_time, int) else None,
            bounds=reading.bounds,
            lost=reading.lost,
        )
        self._starts.append(self._index)
        self._pushed += 1
        if stamp.events:
            self._find_out(stamp.events)
        lost: int | None = stamp.lost
        reason: GapReason | None = stamp.reason
        if reading.lost:
            lost, reason = max(reading.lost, lost or 0), reading.reason
        start = stamp.first
        if self._end is not None and (start < self._end or (reason is None and not self._pending)):
            start = self._end
        evidence = evidence._replace(state=stamp.state)
        end = stamp.last + round(stamp.period)
        return self._grid(start, end, n, stamp.uncertainty, evidence), start, lost, reason

    def _find_out(self, events: tuple[ClockEvent, ...]) -> None:
        """Keep what is not told in the stream itself."""
        oldest, name, now = self._pushed - len(self._starts), self._info.name, self._index
        for event in events:
            first = self._starts[max(0, event.first - oldest)]
            moved = event.correction and (event.kind == "overlap" or first < now)
            if moved or event.delay:
                self.found.append(replace(event, first=first, last=now, stream=name))

    def _driven(
        self, reading: Reading, n: int, stamp: int, evidence: Evidence
    ) -> tuple[Axis, int, int | None, GapReason | None]:
        """Smooth the driver's own stamps, e.g. the ADC's."""
        driver, period = self._driver, self._period
        if driver is None or period is None:  # pragma: no cover - the caller has looked
            raise AssertionError
        told, reason = self._told.push(reading, n, evidence.arrival)
        known = told or 0
        end, lost, doubt = driver.push(
            n, stamp - self._path_delay, known, overrun=self._overrun > 0 and not known
        )
        if lost > known:
            reason = reason or "dropped"
        start = end - round(n * period)
        if self._end is not None and (start < self._end or (reason is None and not self._pending)):
            start = self._end
        evidence = evidence._replace(state=driver.state)
        return self._grid(start, end, n, doubt, evidence), start, lost, reason

    def _grid(self, start: int, end: int, n: int, doubt: float, evidence: Evidence) -> RegularAxis:
        """Leave half the nominal length: a late correction may squeeze a chunk, no more.

        By how much it is too late then is in the uncertainty.
        """
        least = start + max(n, round(n * (self._period or 1.0) / 2))
        if least > end:
            doubt += least - end
            end = least
        return RegularAxis(start, (end - start) / n, n, 0, doubt, evidence)

    def _finish(
        self,
        reading: Reading,
        data: NDArray[Any],
        axis: Axis,
        start: int,
        lost: int | None,
        reason: GapReason | None,
    ) -> Chunk:
        before, pending = self._end, self._pending
        gap_positions: tuple[GapAt, ...] = ()
        if before is None:
            before = start
        elif pending is not None or reason is not None:
            self._pending = None
            start = max(start, before)
            reason = pending or reason or "dropped"
            if self._overrun and reason == "dropped":
                reason = "overrun"
            if pending in ("disconnect", "restart") and not lost and self._period:
                lost = round((start - before) / self._period)
            gap_positions = (GapAt(0, Gap(before, start, lost, reason)),)
            self._index += lost or 0
        else:
            start = before
        index = self._index
        self._index += len(data)
        self._end = axis.at(axis.count)
        return Chunk(data, axis, start, self._end, index, self._info, gap_positions)


def clock_settings(info: StreamInfo, path_delay: float = 0.0) -> ClockSettings:
    """Return the settings of the clock model that follow from what a stream says of itself."""
    return ClockSettings(
        rate=info.rate, quantum=info.quantum, counter=info.counter, path_delay=path_delay
    )
