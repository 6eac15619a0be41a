"""How a simulated device misbehaves: delays, stalls, losses."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError

if TYPE_CHECKING:
    from rxstream.devices.simulated.source import Simulated

__all__ = ["Delay", "DelayKind", "Drops", "Stalls", "block_of", "check", "require"]

DelayKind: TypeAlias = Literal["exponential", "lognormal", "uniform"]
"""How the random part of a delay is distributed."""


def require(name: str, value: float, *, zero: bool = True, remedy: str = "") -> None:
    """Raise `ParameterError` unless ``value`` is finite and ``>= 0`` (``> 0`` without `zero`)."""
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        least = ">= 0" if zero else "> 0"
        msg = f"{name} must be {least} and finite, not {value!r}{remedy and '; ' + remedy}"
        raise ParameterError(msg)


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a block takes from its last sample to the host.

    Attributes
    ----------
    floor
        The least delay [s]; no clock model can see it.
    jitter
        Mean of what comes on top, at random [s].
    kind
        How that is distributed: ``"exponential"`` (a quiet machine: most blocks are near the
        floor), ``"lognormal"`` (a camera: none is), ``"uniform"``.
    poll
        The host looks every so often [s]; 0: it is woken at once.
    """

    floor: float = 0.001
    jitter: float = 0.0005
    kind: DelayKind = "exponential"
    poll: float = 0.0

    def __post_init__(self) -> None:
        for name in ("floor", "jitter", "poll"):
            require(f"Delay.{name}", getattr(self, name))
        if self.kind not in get_args(DelayKind):
            msg = (
                f"Delay.kind {self.kind!r} is unknown; take one of {', '.join(get_args(DelayKind))}"
            )
            raise ParameterError(msg)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return delays ``(count,)`` [ns]."""
        if self.kind == "exponential":
            extra = rng.exponential(1.0, count)
        elif self.kind == "lognormal":
            extra = rng.lognormal(-0.18, 0.6, count)  # mean 1
        else:
            extra = rng.uniform(0.0, 2.0, count)
        return (self.floor + self.jitter * extra) * 1e9


@dataclass(frozen=True, slots=True)
class Stalls:
    """The host is busy now and then; what came meanwhile arrives at once, late.

    Attributes
    ----------
    every
        Mean time between two stalls [s].
    length
        Mean length of one [s].
    """

    every: float = 10.0
    length: float = 0.05

    def __post_init__(self) -> None:
        require("Stalls.every", self.every, zero=False)
        require("Stalls.length", self.length)


@dataclass(frozen=True, slots=True)
class Drops:
    """Samples that never arrive.

    Attributes
    ----------
    every
        Mean time between two losses [s].
    least, most
        How much is lost at once, from ... to.
    unit
        Of these: ``"blocks"`` or ``"samples"``.
    reported
        Whether the device says so (`Reading.lost`); a counter, if the twin has one, tells it
        anyway, and without either only the arrival times do.
    """

    every: float = 10.0
    least: int = 1
    most: int = 3
    unit: Literal["blocks", "samples"] = "blocks"
    reported: bool = False

    def __post_init__(self) -> None:
        require("Drops.every", self.every, zero=False)
        if not 1 <= self.least <= self.most:
            msg = f"Drops need 1 <= least <= most, not least={self.least!r}, most={self.most!r}"
            raise ParameterError(msg)
        if self.unit not in ("blocks", "samples"):
            msg = f"Drops.unit must be 'blocks' or 'samples', not {self.unit!r}"
            raise ParameterError(msg)


def block_of(twin: "Simulated") -> int:
    """Return how many samples a reading has, or events at most."""
    if twin.blocksize is not None:
        return twin.blocksize
    return 256 if twin.irregular else max(1, round(twin.rate / 100))


def check(twin: "Simulated") -> None:
    """Raise `ParameterError` for options of a twin that cannot work."""
    require("rate", twin.rate, zero=False, remedy="for events at random use irregular=True")
    require("frequency", twin.frequency)
    require("resolution", twin.resolution, zero=False)
    if twin.stamps not in (None, "own", "host"):
        msg = f"stamps must be None, 'own' or 'host', not {twin.stamps!r}"
        raise ParameterError(msg)
    if twin.duration is not None:
        require("duration", twin.duration, zero=False)
    if twin.blocksize is not None and twin.blocksize < 1:
        msg = f"blocksize must be >= 1, not {twin.blocksize!r}"
        raise ParameterError(msg)
    if any(n < 1 for n in twin.shape):
        msg = f"shape must be of numbers >= 1, not {twin.shape!r}"
        raise ParameterError(msg)
    if twin.channels and (not twin.shape or len(twin.channels) != twin.shape[-1]):
        msg = f"{len(twin.channels)} channel labels do not fit the shape {twin.shape!r}"
        raise ParameterError(msg)
    for name, most in (("ppm", 1e5), ("drift", 1e3), ("wander", 1e3)):
        if not abs(getattr(twin, name)) <= most:
            msg = f"{name} must be within -{most:g} to {most:g}, not {getattr(twin, name)!r}"
            raise ParameterError(msg)
    if isinstance(twin.seed, bool) or not isinstance(twin.seed, int) or twin.seed < 0:
        msg = f"seed must be an integer >= 0, not {twin.seed!r}"
        raise ParameterError(msg)
    before = 0.0
    for at, lasts in twin.unplugs:
        if not (before < at < math.inf and 0 < lasts < math.inf):
            msg = (
                f"unplugs must be pairs (at, for how long) of seconds > 0, one after the other, "
                f"not {twin.unplugs!r}"
            )
            raise ParameterError(msg)
        before = at + lasts
