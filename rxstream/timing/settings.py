"""Properties of a stream that its clock model starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from rxstream.data.stream_info import DeviceCounter, is_rate
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_number, is_positive, is_whole

__all__ = ["ClockSettings", "OnStep"]

OnStep: TypeAlias = Literal["auto", "gap", "latency"]


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Settings of the clock model; most streams need the first four at most.

    Attributes
    ----------
    rate
        Nominal samples per second [Hz]; None for irregular samples.
    quantum
        Losses are multiples of this many samples; None if of any number. With it, gaps are sized
        exactly, and a rise of the least delay by less than a quantum is no loss, as long as the
        line is known better than to 0.7 quanta.
    counter
        The device's own counter at the last sample of each reading, if it has one.
    path_delay
        The least delay between a sample and its arrival [s]. It cannot be seen in the data, and is
        subtracted from every time.
    skew
        Fraction by which the device is slower than stated (50 ppm fast: ``-50e-6``).
    skew_tol
        Uncertainty of `skew`, as a fraction; ``1e-2`` for devices without a crystal.
    drift
        Rate of change of the skew [1/s]; ``5e-9`` for a crystal.
    window
        Shortest and longest memory [s]; between them the model chooses.
    on_step
        Meaning of a lasting rise of the delay. ``"auto"``: a loss where it is as long as a quantum,
        or the quantum is unknown, else a change of latency. ``"gap"``: always a loss.
        ``"latency"``: never a loss.
    p_false
        Probability that lateness alone is taken for a loss, for each chunk or 10 ms, whichever is
        longer.
    restart_gap
        A jump of at least this [s], and three quanta, is a restart of the device: nothing before
        it helps to time what comes after.
    hold
        For operators: longest time that a chunk is held until a suspected gap is decided [s].

    Raises
    ------
    ParameterError
        If a value cannot work.

    Examples
    --------
    >>> ClockSettings(rate=48_000.0, quantum=480).skew_tol
    5e-05
    >>> ClockSettings(rate=0)
    Traceback (most recent call last):
    ...
    rxstream.errors.ParameterError: rate must be > 0 Hz, or None for irregular samples, not 0
    """

    rate: float | None
    quantum: int | None = None
    counter: DeviceCounter | None = None
    path_delay: float = 0.0
    skew: float = 0.0
    skew_tol: float = 50e-6
    drift: float = 5e-9
    window: tuple[float, float] = (10.0, 300.0)
    on_step: OnStep = "auto"
    p_false: float = 1e-6
    restart_gap: float = 1.0
    hold: float = 0.0

    def __post_init__(self) -> None:
        for name, good, wanted in _RULES:
            value = getattr(self, name)
            if isinstance(value, np.generic):
                value = value.item()
                object.__setattr__(self, name, value)
            if not good(value):
                msg = f"{name} must be {wanted}, not {shown(value)}"
                raise ParameterError(msg)


# A device that is off by 3 % is no clock; see `_STEEPEST` in `envelope`.
_MAX_SKEW = 0.03
# Less than any clock keeps.
_LEAST_SKEW = 1e-12
# A century [s]: as long as any duration may be.
_LONGEST = 36_525 * 86_400.0
_FRACTION = "a fraction (50 ppm is 50e-6)"


def _is_at_least_0(value: Any) -> bool:
    return is_number(value) and 0 <= value <= _LONGEST


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and all(map(is_positive, value))
        and value[0] <= value[1]
    )  # fmt: skip


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("rate", lambda v: v is None or is_rate(v), "> 0 Hz, or None for irregular samples"),
    (
        "quantum",
        lambda v: v is None or (is_whole(v, 1) and v < 1 << 31),
        "a whole number of samples, or None if unknown",
    ),
    (
        "counter",
        lambda v: v is None or isinstance(v, DeviceCounter),
        "an rxstream.DeviceCounter, or None",
    ),
    ("path_delay", _is_at_least_0, ">= 0 seconds, at most a century"),
    ("skew", lambda v: is_number(v) and abs(v) < _MAX_SKEW, f"{_FRACTION} within ±{_MAX_SKEW}"),
    (
        "skew_tol",
        lambda v: is_number(v) and _LEAST_SKEW <= v < _MAX_SKEW,
        f"{_FRACTION}, >= {_LEAST_SKEW}, < {_MAX_SKEW}",
    ),
    ("drift", is_positive, "> 0 per second (a crystal has 5e-9)"),
    ("window", _is_range, "(shortest, longest) seconds, 0 < shortest <= longest"),
    (
        "on_step",
        lambda v: isinstance(v, str) and v in get_args(OnStep),
        "'auto', 'gap' or 'latency'",
    ),
    ("p_false", lambda v: is_positive(v) and v < 0.1, "a probability > 0 and < 0.1"),
    ("restart_gap", is_positive, "> 0 seconds"),
    ("hold", _is_at_least_0, ">= 0 seconds, at most a century"),
)
