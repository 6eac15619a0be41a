"""The clock model over arrays, for recorded arrivals."""

from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rxstream.data.clock import FOREVER, NEVER
from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.timing.columns import int_column, time_column, whole_column
from rxstream.timing.recorded.first_pass import CorrectedTimes, Evidence
from rxstream.timing.recorded.passes import run_offline, run_online
from rxstream.timing.recorded.stuck import stuck_counter
from rxstream.timing.settings import ClockSettings
from rxstream.validation import check_flag

__all__ = ["CorrectedTimes", "correct_arrays"]

# A counter of samples advances by n a chunk, to this fraction in the median: losses are rarer.
_COUNTS_SAMPLES = 0.01
# A counter of ticks has a usual rate to this fraction: arrivals scatter. The nearest two of these
# rates, 44 100 and 48 000 Hz, differ by 8 %.
_NEAR_RATE = 0.05
# Rates of ticks in use [Hz]: powers of ten, clock crystals, sound, MPEG.
_TICK_RATES = [10.0**k for k in range(2, 10)] + [32_768.0, 44_100.0, 48_000.0, 90_000.0]
_REMEDY = "say what it counts with counter_spec=DeviceCounter(...), or leave it out"

# A counter of which nothing is known: any usual ticks are faster.
_UNKNOWN = DeviceCounter(64, 100.0, "ticks")
# All samples together last no longer [s], so that their times are int64: 73 years.
_LONGEST = FOREVER / 2 / 1e9

Ints: TypeAlias = NDArray[np.int64]


def correct_arrays(
    n: ArrayLike,
    arrival: ArrayLike,
    rate: float | None,
    *,
    counter: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    quantum: int | None = None,
    path_delay: float = 0.0,
    online: bool = True,
    counter_spec: DeviceCounter | None = None,
    **settings: Any,
) -> CorrectedTimes:
    """Return true times of chunks whose arrival is known.

    Parameters
    ----------
    n
        Samples of each chunk ``(m,)``, or one number for all.
    arrival
        Arrivals of the chunks ``(m,)`` int [ns], on a clock that never jumps.
    rate
        Nominal samples per second [Hz], or None for irregular samples.
    counter
        The device's counter at the last sample of each chunk ``(m,)`` int, raw. From where it
        stays as it is, or goes to and fro, it is set aside, with one event.
    lower, upper
        Bounds on the time of the last sample ``(m,)`` int [ns]; ``upper`` defaults to `arrival`.
    quantum
        Losses are multiples of this many samples.
    path_delay
        Least delay [s], subtracted from every time.
    online
        Whether each time depends on earlier chunks alone, as in a live stream. Otherwise later
        ones are used too, which is better.
    counter_spec
        Bits of the counter, and its rate if it counts ticks. Without it they are found from the
        data: a counter that advances by `n` a chunk counts samples, one that runs at a usual rate
        (1 kHz, 1 MHz, 90 kHz, ...) ticks; any other is refused.
    **settings
        Further ones of `ClockSettings`.

    Returns
    -------
    CorrectedTimes
        ``first`` and ``last`` [ns], ``uncertainty`` [ns], ``events``.

    Raises
    ------
    ParameterError
        If arrays differ in length or are not of integers, times are not within 146 years of 1970
        or samples last longer than 73 years, a counter is not raw, bounds cross, arrivals go back,
        a setting is unknown, or it is not clear what the counter counts (without a rate, it never
        is).

    Examples
    --------
    >>> arrival = [1_000_000_000, 1_130_000_000, 1_200_000_000]  # the second is 30 ms late
    >>> int(correct_arrays(100, arrival, 1000.0).last[2])
    1200000000
    """
    arrivals = time_column("arrival", arrival)
    counts = _counts(n, len(arrivals))
    if (np.diff(arrivals) < 0).any():
        at = int(np.flatnonzero(np.diff(arrivals) < 0)[0]) + 1
        msg = f"arrival goes back at chunk {at}; give stamps of a monotonic clock, in order"
        raise ParameterError(msg)
    low, high = _bounds(lower, upper, arrivals)
    if low is None:
        arrivals = np.maximum.accumulate(high)
    numbers = None if counter is None else _numbers(counter, len(arrivals), counter_spec)
    if numbers is not None and counter_spec is None:
        # Of a counter that sticks only what comes before shows what it counts.
        stuck = stuck_counter(numbers, counts, arrivals, _UNKNOWN)
        part = slice(None if stuck is None else stuck.since)
        counter_spec = _kind_of(numbers[part], arrivals[part], counts[part], rate)
    check_flag(online, "online")
    known = {field.name for field in fields(ClockSettings)} - {"hold"}
    for name in settings.keys() - known:
        why = "is for operators" if name == "hold" else "is no setting of the clock model"
        msg = f"correct_arrays: {name} {why}; there are {', '.join(sorted(known))}"
        raise ParameterError(msg)
    chosen = ClockSettings(rate, quantum, counter_spec, path_delay=path_delay, **settings)
    _check_reach(counts, chosen.rate, arrivals if low is None else low, path_delay)
    evidence = Evidence(counts, arrivals, numbers, low, high)
    return run_online(chosen, evidence) if online else run_offline(chosen, evidence)


def _check_length(name: str, array: NDArray[np.integer[Any]], length: int) -> None:
    if len(array) != length:
        msg = f"{name} has {len(array)} chunks, arrival has {length}"
        raise ParameterError(msg)


def _counts(n: Any, length: int) -> Ints:
    """Return the samples of each chunk."""
    one = not hasattr(n, "__len__") or (isinstance(n, np.ndarray) and n.ndim == 0)
    counts = int_column("n", [n] if one else n)
    if not one:
        _check_length("n", counts, length)
    if len(counts) and counts.min() < 1:
        msg = f"n must be at least 1 sample a chunk, not {counts.min()}"
        raise ParameterError(msg)
    return np.repeat(counts, length) if one else counts


def _bounds(
    lower: ArrayLike | None, upper: ArrayLike | None, arrival: Ints
) -> tuple[Ints | None, Ints]:
    """Return the bounds on the time of each last sample [ns]; no sample is later than arrival."""
    low, high = None if lower is None else time_column("lower", lower), arrival
    if low is not None:
        _check_length("lower", low, len(arrival))
    if upper is not None:
        latest = time_column("upper", upper)
        _check_length("upper", latest, len(arrival))
        high = np.minimum(latest, arrival)
    if low is not None and (low > high).any():
        at = int(np.flatnonzero(low > high)[0])
        msg = f"lower is after upper, or after arrival, at chunk {at}: {low[at]} > {high[at]}"
        raise ParameterError(msg)
    return low, high


def _numbers(counter: ArrayLike, length: int, spec: DeviceCounter | None) -> Ints:
    """Return the raw counter; that of 64 bits goes on below 0, as int64 does."""
    if spec is not None and not isinstance(spec, DeviceCounter):
        msg = f"counter_spec must be an rxstream.DeviceCounter, or None, not {shown(spec)}"
        raise ParameterError(msg)
    numbers = whole_column("counter", counter)
    _check_length("counter", numbers, length)
    top = (1 << (64 if spec is None else spec.bits)) - 1
    wrong = (numbers < 0) | (numbers > top)
    if wrong.any():
        at = int(np.argmax(wrong))
        msg = (
            f"counter is {numbers[at]} at chunk {at}; give it raw, from 0 to {top}, or another "
            "counter_spec=DeviceCounter(bits)"
        )
        raise ParameterError(msg)
    return numbers.astype(np.int64)


def _check_reach(counts: Ints, rate: float | None, earliest: Ints, path_delay: float) -> None:
    """Raise ParameterError if the times cannot all be int64 [ns]."""
    if not len(counts):
        return
    # Without a rate samples are 1 ns apart at least.
    seconds = float(counts.sum(dtype=np.float64)) / (rate or 1e9)
    if seconds > _LONGEST:
        msg = (
            f"n makes {seconds:.3g} s of samples in all, more than {_LONGEST:.3g} s; check n, "
            f"{counts.max()} at the most, and rate, {rate}"
        )
        raise ParameterError(msg)
    if int(earliest.min()) - path_delay * 1e9 <= NEVER:
        msg = f"path_delay {path_delay} s before {earliest.min()} is no time [ns since 1970]"
        raise ParameterError(msg)


def _kind_of(counter: Ints, arrival: Ints, count: Ints, rate: float | None) -> DeviceCounter:
    """Find what a counter counts, and its bits."""
    top = int(counter.max(initial=0))
    steps = np.diff(counter)
    bits = 64
    # A counter that goes back has wrapped or restarted; one that wraps comes near its end.
    if (steps < 0).any():
        bits = next((b for b in (8, 16, 24, 32) if top < 1 << b and top >= 7 << (b - 3)), 64)
    usual = steps[steps > 0]
    if rate is None:
        what = "may number chunks or count ticks, and irregular samples do not show which"
        if _counts_samples(steps, count):
            what = "numbers samples, which is no clock without a rate"
        raise ParameterError(f"counter {what}; {_REMEDY}")
    if not len(usual) or _counts_samples(steps, count):
        return DeviceCounter(bits)
    speed = float(np.median(usual) / max(float(np.median(np.diff(arrival))), 1.0)) * 1e9
    if bits == 64:
        good = steps > 0
        speed = float(steps[good].sum() / max(int(np.diff(arrival)[good].sum()), 1)) * 1e9
    nearest = min(_TICK_RATES, key=lambda known: abs(known / speed - 1))
    if abs(nearest / speed - 1) > _NEAR_RATE:
        msg = (
            f"counter does not advance by n a chunk, and {speed:.6g} a second is no usual rate of "
            f"ticks; {_REMEDY}"
        )
        raise ParameterError(msg)
    return DeviceCounter(bits, nearest, "ticks")


def _counts_samples(steps: Ints, count: Ints) -> bool:
    return len(steps) == 0 or abs(float(np.median(steps / count[1:])) - 1) < _COUNTS_SAMPLES
