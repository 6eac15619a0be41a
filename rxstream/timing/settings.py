"""What is known of a stream before its clock model starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.validation import is_number, is_whole

__all__ = ["ClockSettings", "OnStep"]

OnStep: TypeAlias = Literal["auto", "gap", "latency"]


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Settings of the clock model. Most streams need the first four at most.

    Attributes
    ----------
    rate
        Nominal samples per second [Hz]; None for irregular samples.
    quantum
        If samples are lost, multiples of this many are; None if any number may be. With it, gaps
        are sized exactly, and a rise of the least delay by less than that is not taken for a loss.
    counter
        The device's own counter at the last sample of each reading, if it has one.
    path_delay
        The least delay between a sample and its arrival [s]. Nobody can see it in the data; it is
        subtracted from every time.
    skew
        How much slower than stated the device runs, as a fraction (50 ppm fast: ``-50e-6``).
    skew_tol
        How far `skew` may be off, as a fraction; ``1e-2`` for devices without a crystal.
    drift
        How fast the skew may change [1/s].
    window
        Shortest and longest memory [s]; between them the model chooses.
    on_step
        What a lasting rise of the delay is. ``"auto"``: a loss where it is as long as a quantum,
        or the quantum is unknown, else a change of latency. ``"gap"``: always a loss.
        ``"latency"``: never a loss.
    p_false
        Probability that lateness alone is taken for a loss, for each chunk or 10 ms, whichever is
        longer.
    restart_gap
        A jump of at least this [s], and three quanta, is a restart of the device: nothing before
        it can help to time what comes after.
    hold
        For operators: how long a chunk may be held until a suspected gap is decided [s].

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
                msg = f"{name} must be {wanted}, not {value!r}"
                raise ParameterError(msg)


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _at_least_0(value: Any) -> bool:
    return is_number(value) and value >= 0


def _span(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) == 2 and _positive(value[0]) and is_number(value[1])
        and value[0] <= value[1]
    )  # fmt: skip


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("rate", lambda v: v is None or _positive(v), "> 0 Hz, or None for irregular samples"),
    (
        "quantum",
        lambda v: v is None or is_whole(v, 1),
        "a whole number of samples, or None if unknown",
    ),
    (
        "counter",
        lambda v: v is None or isinstance(v, DeviceCounter),
        "an rxstream.DeviceCounter, or None",
    ),
    ("path_delay", _at_least_0, ">= 0 seconds"),
    ("skew", lambda v: is_number(v) and abs(v) < 0.03, "a fraction (50 ppm is 50e-6) within ±0.03"),
    ("skew_tol", lambda v: _positive(v) and v < 0.03, "a fraction (50 ppm is 50e-6), > 0, < 0.03"),
    ("drift", _positive, "> 0 per second (a crystal has 5e-9)"),
    ("window", _span, "(shortest, longest) seconds, 0 < shortest <= longest"),
    ("on_step", lambda v: v in ("auto", "gap", "latency"), "'auto', 'gap' or 'latency'"),
    ("p_false", lambda v: _positive(v) and v < 0.1, "a probability > 0 and < 0.1"),
    ("restart_gap", _positive, "> 0 seconds"),
    ("hold", _at_least_0, ">= 0 seconds"),
)
