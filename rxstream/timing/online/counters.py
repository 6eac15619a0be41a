"""Device time: the device's own clock, in whole samples or ticks."""

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.online.pace import OTHER_RATE
from rxstream.timing.online.tick_losses import TickLosses
from rxstream.timing.online.tick_phase import TickPhase

__all__ = ["REPEATS", "DeviceTime", "is_another_rate", "least_standstill"]

# A counter of samples that repeats itself in so many chunks, one after the other, counts nothing;
# one of ticks does so for this time [ns], and so many of its ticks.
REPEATS = 8
_REPEATS_FOR, _REPEATED_TICKS = 1_000_000_000, 4

# A counter that advances by this much more than the host clock was reset [s]. Below it, chunks
# that waited in a stall would be taken for resets. (study)
_RESET_CLAIM = 0.5
# Weight of a new chunk in the usual distance: an average over some hundred chunks.
_STEP_GAIN = 0.01
# Units of so many a second are nanoseconds: what a stamp is given in, not how coarse it is [Hz].
_NANOSECONDS = 1e9
# Chunks since a pause that come faster by this part of their length have waited in it. (trial)
_CATCHES_UP = 0.1
# Ticks of a declared counter by which a step may be wrong.
_ROUNDED = 2
# Samples that must have accumulated to show another rate.
_ACCUMULATED = 3.0


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
        Samples found missing with the last chunk, as reported by the device or its counter;
        negative if samples came twice, or were not missing after all.
    ahead
        Time by which the last number of a sample exceeds what has come [s].
    aligned
        Whether time goes on by samples from this chunk on, as ticks are coarse.
    turns
        Turns of the counter that the last pause was taken for; chunks that waited in it show that
        they were none.
    step
        Usual time from chunk to chunk [s].
    """

    __slots__ = (
        "_counted", "_losses", "_phase", "_quantum", "_raw", "_since_pause", "_since_tick",
        "_spec", "_ticked", "_turn", "_unit", "_units", "ahead", "aligned", "counts_samples",
        "missing", "passed", "rate", "seconds", "step", "turns",
    )  # fmt: skip

    def __init__(
        self, rate: float | None, counter: DeviceCounter | None, quantum: int | None
    ) -> None:
        self.rate, self._quantum = rate, quantum or 1
        self.use(counter)
        self._phase, self.aligned = TickPhase(), False
        self.passed = self.step = 0.0
        self.missing = 0
        self.restart(None)

    def use(self, counter: DeviceCounter | None) -> None:
        """Set the counter; only before the first chunk or a restart."""
        self._spec = counter
        self.counts_samples = counter is None or counter.kind == "samples"
        self._unit = (counter.rate if counter and counter.rate else self.rate) or 1.0
        self._turn = 1 << (64 if counter is None else counter.bits)

    def successor(self, rate: float, slope: float = 0.0) -> "DeviceTime":
        """Return the time of the same device at another rate [Hz], begun anew.

        Parameters
        ----------
        rate
            Samples per second as found.
        slope
            Fraction by which the device's clock was found to be slow.
        """
        new = DeviceTime(rate, self._spec, self._quantum)
        if not self.counts_samples:
            new._unit = self._unit / (1 + slope)
            new._phase = TickPhase(self._phase.by_samples)
        return new

    def retune(self, rate: float) -> None:
        """Take another rate of the samples [Hz], as found by the device's own clock."""
        self.rate = rate
        # an own stamp of a first sample is turned into that of the last by the rate
        self._begin_counting(None)

    @property
    def numbered(self) -> bool:
        """Whether the device counts: then every loss shows in its numbers."""
        return self._raw is not None

    def true_rate(self, slope: float) -> float:
        """Return the samples per second [Hz] where the device's clock is slow by a fraction."""
        rate = self.rate or 1.0
        if self._ticked > 0 and not self._phase.by_samples:
            rate = self._counted * self._unit / self._ticked
        return rate / (1 + slope)

    def shows_another_rate(self) -> bool:
        """Whether the samples come at another rate than stated, by the device's own clock."""
        if self.rate is None or self._ticked <= 0 or not self._losses.learnt:
            return False
        # time by samples has a line of their rate, that shows it by itself
        if self._phase.by_samples:
            return False
        off = abs(self._ticked / self._unit * self.rate - self._counted)
        return off > OTHER_RATE * self._counted + _ACCUMULATED + 2 * self._losses.tick

    @property
    def coarseness(self) -> float:
        """Time by which a stamp of the device's own clock may be off, as the newest show [s]."""
        if self._spec is None or (self.rate and self._phase.by_samples):
            return 0.0
        if self.rate:
            return max(self._losses.scatter, self._phase.unsure) / self.rate
        # Of samples without a rate nothing shows by how much less than a tick it is.
        return 1 / self._unit if self._unit < _NANOSECONDS else 0.0

    def _begin_counting(self, counter: int | None) -> None:
        self._raw, self.turns = counter, 0
        # length of the chunks since a pause, and by how much faster they came, in units
        self._since_pause = 0.0, 0.0
        self._counted = self._ticked = 0  # samples, lost ones included, and units in their time
        coarseness = 0.0
        if self._spec is not None and self._unit < _NANOSECONDS:
            coarseness = _ROUNDED * (self.rate or 0.0) / self._unit
        self._losses = TickLosses(coarseness, self._quantum)
        # what was seen of the clock stays
        self._phase = TickPhase(self._phase.by_samples)

    def restart(self, counter: int | None) -> None:
        """Start at 0 again, with this counter."""
        self._units, self.seconds, self.ahead = 0, 0.0, 0.0
        self._since_tick = 0.0  # by how much samples are ahead of ticks [s]
        self._begin_counting(counter)

    @property
    def _now(self) -> float:
        return self._units / self._unit + self._since_tick

    def hides(self, late: float, chunks: int) -> bool:
        """Whether the newest chunks are so late [s] by a loss that is hidden in a tick."""
        lost = round(late * (self.rate or 0.0))
        return self._phase.by_samples and lost > 0 and self._phase.rose(lost, chunks)

    def shift(self, seconds: float) -> float:
        """Skip a loss [s], rounded to whole units or samples, and return it [s]."""
        if self.rate and self._phase.by_samples:
            lost = round(seconds * self.rate)
            self._losses.found(lost)
            self._phase.found(lost)
            self._since_tick += lost / self.rate
            self.seconds = self._now
            return lost / self.rate
        units = round(seconds * self._unit)
        self._units += units
        self.seconds = self._now
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
        rate, unit, by_samples = self.rate, self._unit, self._phase.by_samples
        self.missing, self.ahead, self.aligned = lost, 0.0, False
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
            units = self._unwrap(counter, elapsed, expected, self._longest(elapsed, count))
            self._raw = counter
            # A stream that is late already may lack more than has passed since the last chunk.
            if units / unit > self._longest(max(elapsed, expected), count):
                return False
            if rate is not None:
                self.missing = self._missing(units, count, lost)
                if self.counts_samples:
                    self.ahead = (units - count) / rate
        if rate is not None and by_samples:
            self._since_tick += (count + self.missing) / rate - units / unit
        self._units += units
        before, self.seconds = self.seconds, self._now
        self.passed = passed = self.seconds - before
        self.step += (_STEP_GAIN if self.step else 1.0) * (passed - self.step)
        return True

    def distrust(self) -> None:
        """Go on by the number of samples: the last step of the counter was too long."""
        units = round(self.ahead * self._unit)
        bits = 64 if self._spec is None else self._spec.bits
        self._raw = ((self._raw or 0) - units) % (1 << bits)
        self._units -= units
        self.seconds = self._now
        self.passed -= self.ahead
        self.missing, self.ahead, self.turns = 0, 0.0, 0

    @property
    def catches_up(self) -> bool:
        """Whether chunks since a pause that was taken for turns come faster than they are taken."""
        length, ahead = self._since_pause
        return self.turns > 0 and not self._far_apart and ahead >= _CATCHES_UP * length

    def take_back_turn(self, early: float) -> int:
        """Take back a turn of the counter if a chunk is too early by most of it.

        Parameters
        ----------
        early
            Time by which a chunk is too early [s].

        Returns
        -------
        int
            Samples that came too many; 0 if there is no turn to take back.
        """
        size = self._turn
        # Less than half of a turn is a line that is too high, or a shorter delay.
        if self.turns <= 0 or 2 * early * self._unit <= size:
            return 0
        self.turns -= 1
        self._units -= size
        self._ticked -= size
        self.seconds = self._now
        samples = round(size / self._unit * (self.rate or 0.0))
        self._counted -= samples
        return samples

    def _unwrap(self, counter: int, elapsed: float, expected: float, longest: float) -> int:
        """Return the units since the last counter; with turns no more than the ``longest`` [s].

        The counter gives them modulo its size ``m``. Chunks are late, never early: the right
        number of turns leaves an excess of the expected over the found units in ``[-m/4, 3m/4)``.
        So a chunk may be late by up to three quarters of a turn; later by that is one only after a
        pause. If chunks that waited in it come next, they are too early: see `take_back_turn`.
        """
        unit, size = self._unit, self._turn
        units = (counter - (self._raw or 0)) % size
        back = units - size
        # 64 bits never wrap: a small step back is a stamp taken out of order.
        if self._spec is not None and self._spec.bits == 64 and back > -_RESET_CLAIM * unit:
            return back
        most = (longest * unit - units) / size
        turns = min((expected * unit - units) / size + 0.25, most)
        if turns >= 1 and 4 * elapsed * unit >= size:
            self.turns, self._since_pause = int(turns), (0.0, 0.0)
            units += self.turns * size
        elif self.turns and self._keeps_pace(units, elapsed * unit):
            self.turns = 0  # they were right
        return units

    def _keeps_pace(self, units: int, elapsed: float) -> bool:
        """Whether chunks since a pause come as fast as they are taken: none of them has waited.

        Parameters
        ----------
        units
            Length of the newest one.
        elapsed
            Time since the one before it, in units of the counter.
        """
        if self._far_apart:
            return 2 * elapsed > units
        length, ahead = self._since_pause
        self._since_pause = length, ahead = length + units, ahead + units - elapsed
        return 4 * length >= self._turn and ahead < _CATCHES_UP * length

    @property
    def _far_apart(self) -> bool:
        """Whether chunks are so far apart that turns are no exception."""
        return 4 * self.step * self._unit >= self._turn

    def _longest(self, elapsed: float, count: int) -> float:
        """Return the most that a counter may advance in a time of the host without a reset [s].

        Before the second chunk its ``count`` is all that is known of the usual distance: it may
        have waited behind the first.
        """
        step = self.step or (count / self.rate if self.rate else 0.0)
        return elapsed + _RESET_CLAIM + 3 * step

    def _missing(self, units: int, count: int, lost: int) -> int:
        """Return the samples missing before a chunk of ``count``."""
        if self.counts_samples:
            return units - count
        rate = self.rate or 1.0
        passed, phase = units / self._unit * rate, self._phase
        lost += self._losses.add(passed, count + lost, units)
        losses = self._losses
        ahead = phase.add(passed - count - lost, losses.grain, losses.uneven)
        self._since_tick += ahead / rate
        self.aligned = phase.moves
        self._ticked += units
        self._counted += count + lost
        return lost


def is_another_rate(rate: float, stated: float) -> bool:
    """Whether a rate is not the stated one [Hz], nor so near that the line follows by itself."""
    return abs(rate / stated - 1) > OTHER_RATE


def least_standstill(spec: DeviceCounter) -> int:
    """Return for how long a counter must repeat itself to count nothing [ns].

    Examples
    --------
    >>> least_standstill(DeviceCounter(32, 1000.0, "ticks"))
    1000000000
    >>> least_standstill(DeviceCounter(16))
    0
    """
    if spec.kind != "ticks":
        return 0
    return max(_REPEATS_FOR, round(_REPEATED_TICKS / (spec.rate or 1.0) * 1e9))
