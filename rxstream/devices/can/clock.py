"""Host times of CAN messages, by the stamps of their interface."""

import itertools
import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.evidence import StampReports
from rxstream.acquisition.own_clock import OwnClockCheck
from rxstream.data.clock import HostClock, host_clock
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

__all__ = ["BusClock", "Stamps"]

Stamps: TypeAlias = Literal["auto", "host", "device", "arrival"]

# Where the operating system stamps messages in its kernel, or python-can itself as it reads them.
# All others stamp with the adapter's clock: from its own zero, or tied to UTC once, when it was
# opened, and drifting ever since.
_HOST = frozenset(
    {"iscan", "neousys", "robotell", "slcan", "socketcan", "udp_multicast", "virtual"}
)
# A stamp of the wall clock is no older than this when it is read [s]; what is off by more is a
# counter from another zero.
_MAX_AGE = 10.0
# longest delay of a message from the stamp of its adapter to here [ns]; a stamp that goes back by
# more is no reordering, but a reset
_MAX_DELAY = 500_000_000
# stamps beyond this [s] do not fit into int64 nanoseconds, with a duration added to them
_MAX_SECONDS = 4.6e9


class BusClock:
    """Maps the stamps of one opening of a bus to the host clock.

    Parameters
    ----------
    interface
        python-can's name of the interface.
    stamps
        Clock of the stamps; ``"auto"``: found out from the interface and the first message.

    Attributes
    ----------
    reports
        Stamps that cannot be: their messages take the time of arrival.
    """

    def __init__(
        self, interface: str, stamps: Stamps = "auto", clock: HostClock = host_clock
    ) -> None:
        self._interface, self._clock = interface, clock
        self.kind = stamps
        self.reports = StampReports(f"can: {interface}")
        self._check = OwnClockCheck(self.reports, live=True)
        self.half_width = math.nan
        """Half width of the 95 % interval of the newest times [ns]; NaN: unknown."""
        # A bus has no rate, so a step is never a loss: the delay has changed.
        self._model = ClockModel(ClockSettings(None, on_step="latency", skew_tol=200e-6))

    def push(self, stamps: NDArray[np.float64], arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return host times int64 ``(n,)`` [ns].

        Parameters
        ----------
        stamps
            Stamps of python-can, float64 ``(n,)`` [s].
        arrivals
            Host times at which the messages were read, int64 ``(n,)`` [ns].
        """
        good = np.flatnonzero(np.abs(stamps) < _MAX_SECONDS)
        if len(good) < len(stamps):
            wrong = np.delete(stamps, good)[0]
            self.reports.add("beyond", f"the stamp {wrong:g} s of a message is no time")
            times = arrivals.copy()
            if len(good):
                times[good] = self.push(stamps[good], arrivals[good])
            return times
        if self.kind == "auto":
            self.kind = self._find_out(float(stamps[0]), int(arrivals[0]))
        if self.kind == "arrival":
            return arrivals
        own = np.rint(stamps * 1e9).astype(np.int64)
        if self.kind == "host":
            times = own + self._clock.from_realtime(0)
            late = times > arrivals + round(_MAX_AGE * 1e9)
            if late.any():
                ahead = (times - arrivals)[late][0] / 1e9
                self.reports.add("late", f"a message is stamped {ahead:.6g} s after its arrival")
            return np.minimum(times, arrivals)
        return self._map(own, arrivals)

    def quiet(self, asked: int) -> int:
        """Return the host time [ns] before which no message can come any more.

        Parameters
        ----------
        asked
            Host time [ns] at which a read began that found nothing: what was stamped before it lay
            ready.
        """
        return asked - _MAX_DELAY if self.kind == "device" else asked

    def _find_out(self, stamp: float, arrival: int) -> Stamps:
        # python-can's default: the interface has no stamps
        if stamp == 0.0:
            return "arrival"
        age = (arrival - self._clock.from_realtime(0)) / 1e9 - stamp
        if self._interface in _HOST and abs(age) < _MAX_AGE:
            return "host"
        return "device"

    def _map(self, own: NDArray[np.int64], arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map the adapter's clock to the host's, by the messages of least delay."""
        times = arrivals.copy()
        strays = self._check.strays(own, int(arrivals[-1]))
        # where none is in line the adapter may have been reset
        rest = np.flatnonzero(~strays) if not strays.all() else np.arange(len(own))
        if len(rest) < len(own):
            wrong = own[strays][0] / 1e9
            self.reports.add("own", f"the stamp {wrong:g} s is out of line with those around it")
        resets = np.flatnonzero(np.diff(own[rest]) < -_MAX_DELAY) + 1
        edges = [0, *resets.tolist(), len(rest)]
        self.half_width = 0.0
        for i, j in itertools.pairwise(edges):
            part = rest[i:j]
            first, last, arrival = int(own[part[0]]), int(own[part[-1]]), int(arrivals[part[-1]])
            if not self._check.believes(first, last, arrival):
                self.half_width = math.nan
                continue
            if self._check.renewed:
                self._model.restart()
            stamp = self._model.push(j - i, arrival, device_time=last)
            self.half_width = max(self.half_width, stamp.uncertainty)
            behind = (last - own[part]) * (1.0 + self._model.slope)
            times[part] = stamp.last - np.rint(behind).astype(np.int64)
        return np.minimum(times, arrivals)
