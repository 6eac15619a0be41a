"""Device time: how far a device has come on its own clock, in whole samples or ticks."""

from rxstream.data.stream_info import DeviceCounter

__all__ = ["DeviceTime"]

_CLAIM = 0.5  # a counter that claims this much more time than has passed was reset [s]


class DeviceTime:
    """The time of the last sample on the device's clock.

    Exact: it counts whole units (samples, ticks, or ns of the device's own stamps) and only ever
    divides the total.

    Parameters
    ----------
    rate
        Nominal samples per second [Hz], or None.
    counter
        The device's counter, or None.
    quantum
        If samples are lost, multiples of this many are.

    Attributes
    ----------
    seconds
        Nominal device time since `restart` [s].
    passed
        By how much the last chunk moved it on [s].
    missing
        Samples that the device said or its counter showed to be missing before the last chunk;
        negative: that came twice.
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
        """Take this for the device's counter; only before the first chunk, or a restart."""
        self._spec = counter
        self.counts_samples = counter is None or counter.kind == "samples"
        self._unit = (counter.rate if counter and counter.rate else self.rate) or 1.0

    @property
    def numbered(self) -> bool:
        """Whether the device counts, so that nothing can be lost unseen."""
        return self._raw is not None

    def restart(self, counter: int | None) -> None:
        """Begin anew at 0 with this counter."""
        self._units, self.seconds, self._raw = 0, 0.0, counter

    def shift(self, seconds: float) -> float:
        """Move on by a loss [s], in whole units; return by how much [s]."""
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
            Samples that the device says it lost before it.
        elapsed
            Host time since the chunk before it [s].
        expected
            Time from the last sample to the arrival [s]; needed with a counter.

        Returns
        -------
        bool
            Whether it can be so; if not, the counter has been reset.
        """
        rate, unit = self.rate, self._unit
        self.missing = lost
        if counter is None or self._raw is None:
            nominal = elapsed if rate is None else (count + lost) / rate
            units = count + lost if unit == rate else round(nominal * unit)
            if self._raw is not None and self._spec is not None:  # this reading came without
                self._raw = (self._raw + units) % (1 << self._spec.bits)
            elif counter is not None:
                self._raw = counter
        else:
            units = self._unwrap(counter, expected)
            self._raw = counter
            if units / unit > elapsed + _CLAIM + 3 * self.step:
                return False
            if rate is not None:
                self.missing = self._missing(units, count)
        self._units += units
        self.seconds = self._units / unit
        self.passed = passed = units / unit
        self.step += (0.01 if self.step else 1.0) * (passed - self.step)
        return True

    def _unwrap(self, counter: int, expected: float) -> int:
        """Return the units since the last counter.

        The counter gives them modulo its size ``m``. Chunks are late, never early, so that of the
        candidates the one is right for which the excess of the expected over the found units lies
        in ``[-m/4, 3m/4)``: late by up to three quarters of a turn is understood.
        """
        size = 1 << (64 if self._spec is None else self._spec.bits)
        units = (counter - (self._raw or 0)) % size
        back = units - size
        if self._spec is not None and self._spec.bits == 64 and back > -_CLAIM * self._unit:
            return back  # stamps that were taken out of order; this one never wraps
        excess = expected * self._unit - units
        return units + max(int((excess / size + 0.25) // 1), 0) * size

    def _missing(self, units: int, count: int) -> int:
        if self.counts_samples:
            return units - count
        rate = self.rate or 1.0
        excess = units / self._unit * rate - count
        # ticks are coarse, and their crystal need not be that of the samples
        if excess < max(0.75, 2 * rate / self._unit + 0.75, 5e-4 * count + 0.75):
            return 0
        return max(round(excess / self._quantum), 1) * self._quantum
