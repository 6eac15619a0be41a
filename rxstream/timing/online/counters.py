"""Device time: the device's own clock, in whole samples or ticks."""

from rxstream.data.stream_info import DeviceCounter

__all__ = ["DeviceTime"]

# A counter that advances by this much more than the host clock was reset [s]. Below it, chunks
# that waited in a stall would be taken for resets. (study)
_RESET_CLAIM = 0.5
# Weight of a new chunk in the usual distance: an average over some hundred chunks.
_STEP_GAIN = 0.01
# Samples by which ticks must exceed a chunk to show a loss: rounding, two ticks, and 500 ppm by
# which the crystal of the ticks may differ from that of the samples (quartz is within 100 ppm).
_ROUNDING = 0.75
_CRYSTALS_DIFFER = 5e-4


class DeviceTime:
    """Time of the last sample on the device's clock.

    Exact: whole units (samples, ticks, or ns of the device's own stamps) are counted, and only
    the total is divided.

    Parameters
    ----------
    rate
        Nominal samples per second [Hz], or None.
    counter
        The device's counter, or None.
    quantum
        Losses are multiples of this many samples.

    Attributes
    ----------
    seconds
        Nominal device time since `restart` [s].
    passed
        Length of the last chunk, losses included [s].
    missing
        Samples missing before the last chunk, as reported by the device or its counter; negative
        if samples came twice.
    step
        Usual time from chunk to chunk [s].
    """

    __slots__ = (
        "_base", "_counter", "_quantum", "_raw", "_spec", "_unit", "_units", "counts_samples",
        "missing", "passed", "rate", "seconds", "step",
    )  # fmt: skip

    def __init__(
        self, rate: float | None, counter: DeviceCounter | None, quantum: int | None
    ) -> None:
        self.rate, self._quantum = rate, quantum or 1
        self._units = 0
        self.use(counter)
        self._raw: int | None = None
        self.seconds = self.passed = self.step = 0.0
        self.missing = 0

    def use(self, counter: DeviceCounter | None) -> None:
        """Set the counter; only before the first chunk or a restart."""
        self._spec = counter
        self.counts_samples = counter is None or counter.kind == "samples"
        self._unit = (counter.rate if counter and counter.rate else self.rate) or 1.0

    @property
    def numbered(self) -> bool:
        """Whether the device counts: then every loss shows in its numbers."""
        return self._raw is not None

    def restart(self, counter: int | None) -> None:
        """Start at 0 again, with this counter."""
        self._units, self.seconds, self._raw = 0, 0.0, counter

    def shift(self, seconds: float) -> float:
        """Skip a loss [s], rounded to whole units, and return it [s]."""
        units = round(seconds * self._unit)
        self._units += units
        self.seconds = self._units / self._unit
        return units / self._unit

    def advance(
        self, count: int, counter: int | None, lost: int, elapsed: float, expected: float
    ) -> bool:
        """Take the next chunk.

        Parameters
        ----------
        count
            Samples in it.
        counter
            Raw counter at its last sample.
        lost
            Samples lost before it, as reported by the device.
        elapsed
            Host time since the chunk before it [s].
        expected
            Time from the last sample to the arrival [s]; needed with a counter.

        Returns
        -------
        bool
            False if the counter has been reset.
        """
        rate, unit = self.rate, self._unit
        self.missing = lost
        if counter is None or self._raw is None:
            nominal = elapsed if rate is None else (count + lost) / rate
            units = count + lost if unit == rate else round(nominal * unit)
            # Of a reading without its counter the number is known from those before it.
            if self._raw is not None:
                bits = 64 if self._spec is None else self._spec.bits
                self._raw = (self._raw + units) % (1 << bits)
            elif counter is not None:
                self._raw = counter
        else:
            units = self._unwrap(counter, expected)
            self._raw = counter
            if units / unit > elapsed + _RESET_CLAIM + 3 * self.step:
                return False
            if rate is not None:
                self.missing = self._missing(units, count)
        self._units += units
        self.seconds = self._units / unit
        self.passed = passed = units / unit
        self.step += (_STEP_GAIN if self.step else 1.0) * (passed - self.step)
        return True

    def _unwrap(self, counter: int, expected: float) -> int:
        """Return the units since the last counter.

        The counter gives them modulo its size ``m``. Chunks are late, never early: the right
        number of turns leaves an excess of the expected over the found units in ``[-m/4, 3m/4)``.
        So a chunk may be late by up to three quarters of a turn.
        """
        size = 1 << (64 if self._spec is None else self._spec.bits)
        units = (counter - (self._raw or 0)) % size
        back = units - size
        # 64 bits never wrap: a small step back is a stamp taken out of order.
        if self._spec is not None and self._spec.bits == 64 and back > -_RESET_CLAIM * self._unit:
            return back
        excess = expected * self._unit - units
        return units + max(int((excess / size + 0.25) // 1), 0) * size

    def _missing(self, units: int, count: int) -> int:
        if self.counts_samples:
            return units - count
        rate = self.rate or 1.0
        excess = units / self._unit * rate - count
        least = max(2 * rate / self._unit, _CRYSTALS_DIFFER * count) + _ROUNDING
        if excess < least:
            return 0
        return max(round(excess / self._quantum), 1) * self._quantum
