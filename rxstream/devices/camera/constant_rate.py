"""Times of frames without stamps that come at a constant rate."""

from collections import deque

from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

__all__ = ["ConstantRateClock"]

# shortest time for which the rate must have held [ns]: exposure that adapts to the light has
# changed it by then
_MIN_SPAN = 3_000_000_000
# and the fewest frames, which a slow camera sends in more than that time
_MIN_FRAMES = 20
# largest error of the stated rate: 30 where it is 29.97 is 0.001
_MAX_RATE_ERROR = 5e-3
# and in frame periods, for the delays of the first and the last frame
_MAX_JITTER = 1.5
# largest half width of a time, in frame periods: with more, arrival is as good
_MAX_HALF_WIDTH = 0.25


class ConstantRateClock:
    """The line under the arrivals of frames, as long as they come at their rate.

    The rate that a camera states may be far from true, and with automatic exposure it changes with
    the light. So there is a time only where the rate has held for three seconds, no frame was
    missing, and the line is sharp; elsewhere arrival is as good.

    Parameters
    ----------
    rate
        Stated frames per second [Hz].
    """

    def __init__(self, rate: float) -> None:
        self._period = 1e9 / rate
        self._settings = ClockSettings(rate, quantum=1, skew_tol=_MAX_RATE_ERROR)
        self._model: ClockModel | None = None
        count = round(_MIN_SPAN / self._period)
        self._arrivals: deque[int] = deque(maxlen=max(_MIN_FRAMES, count))
        self._since = 0

    def push(self, arrival: int, lost: int) -> tuple[int, float] | None:
        """Return the time of a frame and the half width of its 95 % interval [ns], or None."""
        arrivals = self._arrivals
        arrivals.append(arrival)
        span = arrival - arrivals[0]
        off = abs(span - (len(arrivals) - 1) * self._period)
        if off > _MAX_RATE_ERROR * span + _MAX_JITTER * self._period:
            self._model = None
            return None
        if self._model is None:
            self._model, self._since = ClockModel(self._settings), arrival
        stamp = self._model.push(1, arrival, lost=lost)
        if stamp.reason is not None:
            self._since = arrival
        sharp = stamp.state == "locked" and stamp.uncertainty < _MAX_HALF_WIDTH * self._period
        if not sharp or arrival - self._since < _MIN_SPAN or not 0 <= arrival - stamp.last <= span:
            return None
        return stamp.last, stamp.uncertainty
