"""When was a message on the bus? By the stamp of its interface, on the host clock."""

import itertools
import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
_PLAUSIBLE = 10.0  # a message of the wall clock's is not older than this when it is read [s]
_SILENCE = 500_000_000  # how late a message may come with a stamp of the adapter's [ns]


class BusClock:
    """Maps the stamps of one opening of a bus to the host clock.

    Parameters
    ----------
    interface
        python-can's name of it.
    stamps
        What they are; ``"auto"``: find out from the interface and the first message.
    """

    def __init__(
        self, interface: str, stamps: Stamps = "auto", clock: HostClock = host_clock
    ) -> None:
        self._interface, self._clock = interface, clock
        self.kind = stamps
        self.doubt = math.nan
        """Half width of the 95 % interval of the times given last [ns]; NaN if nobody knows."""
        # stamps of the adapter are never lost samples: what comes later came later
        self._model = ClockModel(ClockSettings(None, on_step="latency", skew_tol=200e-6))

    def push(self, stamps: NDArray[np.float64], arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return host times int64 ``(n,)`` [ns].

        Parameters
        ----------
        stamps
            As python-can gives them, float64 ``(n,)`` [s].
        arrivals
            Host times at which they were read, int64 ``(n,)`` [ns].
        """
        if self.kind == "auto":
            self.kind = self._find_out(float(stamps[0]), int(arrivals[0]))
        if self.kind == "arrival":
            return arrivals
        own = np.rint(stamps * 1e9).astype(np.int64)
        if self.kind == "host":
            return np.minimum(own + self._clock.from_realtime(0), arrivals)
        return self._map(own, arrivals)

    def quiet(self, asked: int) -> int:
        """Return before which host time [ns] nothing can come any more.

        ``asked`` [ns] is when a read began that gave nothing: what was stamped before lay ready.
        """
        return asked - _SILENCE if self.kind == "device" else asked

    def _find_out(self, stamp: float, arrival: int) -> Stamps:
        if stamp == 0.0:
            return "arrival"  # the interface has no stamps
        age = (arrival - self._clock.from_realtime(0)) / 1e9 - stamp
        if self._interface in _HOST and abs(age) < _PLAUSIBLE:
            return "host"
        return "device"

    def _map(self, own: NDArray[np.int64], arrivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tie the adapter's clock to the host's, by the messages that came with least delay."""
        times = np.empty_like(own)
        resets = np.flatnonzero(np.diff(own) < -_SILENCE) + 1
        edges = [0, *resets.tolist(), len(own)]
        self.doubt = 0.0
        for i, j in itertools.pairwise(edges):
            last = int(own[j - 1])
            stamp = self._model.push(j - i, int(arrivals[j - 1]), device_time=last)
            self.doubt = max(self.doubt, stamp.uncertainty)
            behind = (last - own[i:j]) * (1.0 + self._model.slope)
            times[i:j] = stamp.last - np.rint(behind).astype(np.int64)
        return np.minimum(times, arrivals)
