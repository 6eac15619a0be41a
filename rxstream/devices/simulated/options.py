"""Faults of a simulated device: delays, stalls, losses."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import check_choice, check_flag, is_number, is_whole

__all__ = ["Delay", "DelayKind", "Drops", "Stalls", "block_of", "require"]

DelayKind: TypeAlias = Literal["exponential", "lognormal", "uniform"]
"""Distribution of the random part of a delay."""

DropUnit: TypeAlias = Literal["blocks", "samples"]


# Greatest number of an option: with it, times in nanoseconds are still exact.
_MOST = 1e15


def require(name: str, value: float, *, zero: bool = True, remedy: str = "") -> None:
    """Raise `ParameterError` unless ``value`` is 0 (with `zero`), or above it and below 1e15."""
    if not is_number(value) or not (value > 0 or (zero and value == 0)) or value > _MOST:
        least = ">= 0" if zero else "> 0"
        msg = f"{name} must be {least} and at most {_MOST:g}, not {shown(value)}"
        msg += f"; {remedy}" if remedy else ""
        raise ParameterError(msg)


@dataclass(frozen=True, slots=True)
class Delay:
    """Delay of a block from its last sample to the host.

    Attributes
    ----------
    floor
        The least delay [s]; no clock model can see it.
    jitter
        Mean of the random delay above the floor [s].
    kind
        Distribution of the jitter: ``"exponential"`` (a quiet machine: most blocks are near the
        floor), ``"lognormal"`` (a camera: none is), ``"uniform"``.
    poll
        Interval at which the host polls [s]; 0: it is woken at once.
    """

    floor: float = 0.001
    jitter: float = 0.0005
    kind: DelayKind = "exponential"
    poll: float = 0.0

    def __post_init__(self) -> None:
        for name in ("floor", "jitter", "poll"):
            require(f"Delay.{name}", getattr(self, name))
        check_choice(self.kind, DelayKind, "Delay.kind")

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return delays ``(count,)`` [ns]."""
        if self.kind == "exponential":
            extra = rng.exponential(1.0, count)
        elif self.kind == "lognormal":
            # of mean 1: -0.18 is -0.6**2 / 2
            extra = rng.lognormal(-0.18, 0.6, count)
        else:
            extra = rng.uniform(0.0, 2.0, count)
        return (self.floor + self.jitter * extra) * 1e9


@dataclass(frozen=True, slots=True)
class Stalls:
    """Times at which the host is busy; blocks of that time arrive together, late.

    Attributes
    ----------
    every
        Mean time between two stalls [s].
    length
        Mean length of a stall [s].
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
        Smallest and largest loss, in ``unit``.
    unit
        ``"blocks"`` or ``"samples"``.
    reported
        Whether the device reports losses (`Reading.lost`). A counter shows them anyway; without
        either, only the arrival times do.
    """

    every: float = 10.0
    least: int = 1
    most: int = 3
    unit: DropUnit = "blocks"
    reported: bool = False

    def __post_init__(self) -> None:
        require("Drops.every", self.every, zero=False)
        check_flag(self.reported, "Drops.reported")
        whole = is_whole(self.least, 1) and is_whole(self.most, 1)
        if not whole or not self.least <= self.most < _MOST:
            msg = (
                f"Drops need 1 <= least <= most, not least={shown(self.least)}, "
                f"most={shown(self.most)}"
            )
            raise ParameterError(msg)
        check_choice(self.unit, DropUnit, "Drops.unit")


def block_of(blocksize: int | None, rate: float, *, irregular: bool) -> int:
    """Return the number of samples in a reading, or the largest number of events."""
    if blocksize is not None:
        return blocksize
    return 256 if irregular else max(1, round(rate / 100))
