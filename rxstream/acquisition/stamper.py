"""Turn readings into chunks: when each sample was taken, its number, and what is missing.

"Read, then ask the clock" stamps a sample with the time of its *arrival*: wrong by its own length
and by every delay on the way. Here a regular stream goes through a clock model, which finds the
earliest line under the arrivals; stamps that a device has mapped to the host clock are taken as
they are. Either way times only go forward, and what the device lost becomes a `Gap`.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.placement import (
    ArrivalGrid,
    ArrivalTimes,
    ClockModelled,
    DriverSmoothed,
    HostStamps,
    OwnClock,
    Placer,
    Progress,
)
from rxstream.acquisition.reported_loss import ReportedLoss
from rxstream.data.axis import Evidence
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap, GapAt, GapReason
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent

__all__ = ["Stamper", "Timestamps", "clock_settings"]

Timestamps: TypeAlias = Literal["corrected", "arrival"]

# Readings after an overrun report in which a loss is taken for the one reported: drivers report at
# once, and the loss is sure some readings later.
_OVERRUN_READINGS = 16


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
    """

    def __init__(
        self,
        info: StreamInfo,
        mode: Timestamps = "corrected",
        settings: ClockSettings | None = None,
    ) -> None:
        self._info, self._mode = info, mode
        self._settings = settings or clock_settings(info)
        self._path_delay = round(self._settings.path_delay * 1e9)
        self._progress = Progress()
        self._loss = ReportedLoss(info)
        self._placers: dict[type[Placer], Placer] = {}
        # chosen for readings without stamps; the first one with them changes it
        self._stamps: type = type(None)
        self._placer = self._choose(None)
        self.found: list[ClockEvent] = []
        """Changes found in times that are out; take them, and empty it."""

    @property
    def state(self) -> str:
        """State of the clock model: warming, locked, suspect, reacquiring; raw without one."""
        return self._placer.state

    def restart(self, reason: GapReason) -> None:
        """Expect a hole for this reason before the next reading."""
        self._progress.pending = reason
        self._loss.restart()
        for placer in self._placers.values():
            placer.restart()

    def overrun(self) -> None:
        """Call a loss that is found soon an overrun."""
        self._progress.overrun = _OVERRUN_READINGS

    def stamp(self, reading: Reading, data: NDArray[Any], arrival: int) -> Chunk | None:
        """Return ``data`` ``(n, *shape)``, already in its place, with its times.

        Parameters
        ----------
        reading
            Evidence that came with the data.
        data
            Samples, read-only.
        arrival
            Host time of arrival [ns].

        Returns
        -------
        chunk
            None for a heartbeat that adds nothing.
        """
        n, progress = len(data), self._progress
        if n == 0:
            return self._heartbeat(reading, arrival)
        if progress.overrun:
            progress.overrun -= 1
        stamps = reading.device_time
        if type(stamps) is not self._stamps:
            self._stamps, self._placer = type(stamps), self._choose(stamps)
        axis, start, end, lost, reason, state, events = self._placer.place(reading, n, arrival)
        if isinstance(stamps, np.ndarray):
            stamps = stamps.copy()  # a driver may use it again
        axis.evidence = Evidence(
            arrival, n, reading.counter, stamps, reading.bounds, reading.lost, state
        )
        if events:
            self.found += events
        gap_positions: tuple[GapAt, ...] = ()
        before, pending = progress.end, progress.pending
        if before is not None:
            if reason is None and pending is None:
                start = before
            else:
                gap = self._gap(before, max(start, before), lost, reason)
                start, gap_positions = gap.end, (GapAt(0, gap),)
                progress.index += gap.lost or 0
        index = progress.index
        progress.index, progress.end = index + n, end
        return Chunk(data, axis, start, end, index, self._info, gap_positions)

    def _choose(self, stamps: object) -> Placer:
        """Return the way for readings that carry stamps such as these, or None."""
        info, regular = self._info, self._info.period is not None
        corrected, host = self._mode == "corrected", info.device_clock == "host"
        kind: type[Placer]
        if host and stamps is not None and not (regular and isinstance(stamps, int)):
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
        if pending in ("disconnect", "restart") and not lost and period:
            lost = round((start - before) / period)
        return Gap(before, start, lost, reason)

    def _heartbeat(self, reading: Reading, arrival: int) -> Chunk | None:
        """Return an empty chunk: no sample until the earliest time that the reading allows."""
        progress = self._progress
        if self._info.period is not None:
            return None
        end = (arrival if reading.bounds is None else reading.bounds[0]) - self._path_delay
        start = end if progress.end is None else progress.end  # alive, before its first sample
        if end < start or end == progress.end:
            return None
        gap_positions: tuple[GapAt, ...] = ()
        # after a disconnect the time until now is lost, not silent
        if progress.pending is not None and progress.end is not None:
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
