"""Times of pictures that have no stamp, but come at an even rate."""

from collections import deque

from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

__all__ = ["ConstantRateClock"]

_PROVE = 3_000_000_000  # the rate must hold for so long [ns]
_FEW = 20  # and for so many pictures
_EVEN = 0.005  # by which part it may be off,
_JITTER = 1.5  # and by so many pictures, for the delay of the first and last
_SKEW = 5e-3  # a driver says 30 where it gives 29.97
_SURE = 0.25  # of the time from picture to picture: better than that, or not at all


class ConstantRateClock:
    """The line under the arrivals of pictures, as long as they come at their rate.

    What a camera says of its rate may be far from true, and with automatic exposure it changes
    with the light. So a time is given only where the rate held for three seconds, no picture was
    missing, and the line is sharp; for others, arrival is as good.

    Parameters
    ----------
    rate
        Stated pictures per second [Hz].
    """

    def __init__(self, rate: float) -> None:
        self._period = 1e9 / rate
        self._settings = ClockSettings(rate, quantum=1, skew_tol=_SKEW)
        self._model: ClockModel | None = None
        count = round(_PROVE / self._period)
        self._arrivals: deque[int] = deque(maxlen=max(_FEW, count))
        self._since = 0

    def push(self, arrival: int, lost: int) -> tuple[int, float] | None:
        """Return the time of a picture and half its 95 % interval [ns], or None if in doubt."""
        arrivals = self._arrivals
        arrivals.append(arrival)
        span = arrival - arrivals[0]
        off = abs(span - (len(arrivals) - 1) * self._period)
        if off > _EVEN * span + _JITTER * self._period:
            self._model = None
            return None
        if self._model is None:
            self._model, self._since = ClockModel(self._settings), arrival
        stamp = self._model.push(1, arrival, lost=lost)
        if stamp.reason is not None:
            self._since = arrival
        sure = stamp.state == "locked" and stamp.uncertainty < _SURE * self._period
        if not sure or arrival - self._since < _PROVE or not 0 <= arrival - stamp.last <= span:
            return None
        return stamp.last, stamp.uncertainty
