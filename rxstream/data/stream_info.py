"""Descriptions: `StreamInfo` of a stream, `Reading` of what a source hands over at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.gap import GapReason
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import (
    check_choice,
    checked_dtype,
    checked_name,
    checked_shape,
    is_positive,
    is_whole,
)

__all__ = ["RATE_RANGE", "DeviceCounter", "Reading", "StreamInfo", "is_rate"]

RATE_RANGE = 1 / (366 * 86_400), 1e9
"""Least and largest rate of a stream [Hz]: one sample a year, and one each nanosecond."""

_DeviceClock: TypeAlias = Literal["host", "own"]
_CounterKind: TypeAlias = Literal["samples", "ticks"]


def is_rate(value: Any) -> bool:
    """Whether it is a rate that a stream can have [Hz]."""
    return is_positive(value) and RATE_RANGE[0] <= value <= RATE_RANGE[1]


@dataclass(frozen=True, slots=True)
class DeviceCounter:
    """A counter of the device, which comes with each reading.

    Attributes
    ----------
    bits
        Width [bit]; it wraps at ``2 ** bits``.
    rate
        Ticks per second [Hz]; None for a counter of samples.
    kind
        ``"samples"`` (one per sample: a frame or sequence number, a sample count) or ``"ticks"``
        (a timer).
    """

    bits: int
    rate: float | None = None
    kind: _CounterKind = "samples"

    def __post_init__(self) -> None:
        if not (is_whole(self.bits, 1) and self.bits <= 64):
            msg = f"counter bits must be a whole number from 1 to 64, not {shown(self.bits)}"
            raise ParameterError(msg)
        check_choice(self.kind, _CounterKind, "counter kind")
        if self.rate is not None and not is_positive(self.rate):
            msg = f"counter rate must be > 0 Hz, or None, not {shown(self.rate)}"
            raise ParameterError(msg)
        if self.kind == "ticks" and not self.rate:
            msg = f"a counter of ticks needs its rate > 0 Hz, not {shown(self.rate)}"
            raise ParameterError(msg)


def _freeze(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return extra if isinstance(extra, MappingProxyType) else MappingProxyType(dict(extra))


@dataclass(frozen=True, slots=True)
class StreamInfo:
    r"""What is known of a stream before its first sample.

    Attributes
    ----------
    name
        Name for people. It may come from hardware: here, in ``unit`` and in ``channels`` control
        characters are written out (``"\\x1b"``), and of more than 100 characters the middle is
        left out.
    rate
        Nominal samples per second [Hz], from one a year to 1e9, by a clock of the device's own: a
        quartz or a timer that goes on whatever the computer does. None for irregular samples, and
        for those that a program asks for: a loop that reads and sleeps has no rate. A rate is
        tested against the stream; see ``unsteady`` in `ClockEvent`.
    shape
        Shape of one sample, e.g. ``(2,)`` for stereo, ``(480, 640, 3)`` for a color frame.
    dtype
        Type of a sample; may be structured. Samples that are Python objects (``object``) are kept
        by reference, not copied, and ``max_bytes`` counts them, and some of what they hold, by an
        estimate only; a device logs that once.
    unit
        Unit of the values, e.g. ``"V"``, ``"g"``, ``"FS"`` (full scale).
    channels
        Labels along the last axis of a sample.
    counter
        The device's own counter, if each reading carries one.
    quantum
        If the device loses samples, it loses multiples of this many.
    device_clock
        What ``Reading.device_time`` counts: ``"host"``, the adapter has mapped it to the host
        clock; ``"own"``, a clock of its own with its own zero.
    extra
        What else the device says of itself.

    Raises
    ------
    ParameterError
        If a value cannot describe a stream.
    """

    name: str
    rate: float | None = None
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    unit: str = ""
    channels: tuple[str, ...] = ()
    counter: DeviceCounter | None = None
    quantum: int | None = None
    device_clock: _DeviceClock = "own"
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", checked_name(self.name, "StreamInfo: name"))
        object.__setattr__(self, "unit", checked_name(self.unit, f"{self.name}: unit"))
        if self.rate is not None and not is_rate(self.rate):
            msg = (
                f"rate must be > 0 Hz, from one sample a year to 1e9 Hz, or None for irregular "
                f"samples, not {shown(self.rate)}"
            )
            raise ParameterError(msg)
        if self.quantum is not None and not is_whole(self.quantum, 1):
            msg = (
                "quantum must be a whole number of samples >= 1, or None, not "
                f"{shown(self.quantum)}"
            )
            raise ParameterError(msg)
        if self.counter is not None and not isinstance(self.counter, DeviceCounter):
            msg = f"counter must be a DeviceCounter, or None, not {shown(self.counter)}"
            raise ParameterError(msg)
        check_choice(self.device_clock, _DeviceClock, "device_clock")
        labels = self.channels
        if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
            msg = f"channels must be labels, e.g. ('left', 'right'), not {shown(labels)}"
            raise ParameterError(msg)
        if not isinstance(self.extra, Mapping):
            msg = f"extra must be a mapping, e.g. {{'serial': 5}}, not {shown(self.extra)}"
            raise ParameterError(msg)
        object.__setattr__(self, "shape", checked_shape(self.shape, "shape"))
        object.__setattr__(self, "dtype", checked_dtype(self.dtype, "dtype"))
        object.__setattr__(self, "channels", tuple(checked_name(x, "channel") for x in labels))
        object.__setattr__(self, "extra", _freeze(self.extra))

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return partial(StreamInfo, **values | {"extra": dict(self.extra)}), ()

    @property
    def period(self) -> float | None:
        """Nominal time from sample to sample [ns], or None."""
        return None if self.rate is None else 1e9 / self.rate

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        count = 1
        for n in self.shape:
            count *= n
        return count * self.dtype.itemsize

    def like(self, data: NDArray[Any], **changes: Any) -> "StreamInfo":
        """Return it with the shape and dtype of ``data`` ``(n, *shape)``, and ``changes``."""
        if not isinstance(data, np.ndarray) or not data.ndim:
            msg = f"{self.name}: samples must be an array (n, ...), not {shown(data)}"
            raise ParameterError(msg)
        if data.shape[1:] != self.shape:
            changes.setdefault("channels", ())
        return replace(self, shape=data.shape[1:], dtype=data.dtype, **changes)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a source hands over: samples, and every piece of evidence about when they were taken.

    Attributes
    ----------
    data
        ``(n, *shape)``; copied at the door, so a driver may use its buffer again. With ``n = 0``
        it is a heartbeat: nothing before ``bounds[0]`` (or now) is still to come.
    counter
        The device's own counter at the last sample, raw: from 0 to before ``2 ** bits`` (see
        `StreamInfo.counter`).
    device_time
        The device's stamps [ns]: int64 ``(n,)``, or one int for the first sample. One that cannot
        be is set aside and reported once: on the host clock one after its arrival or far behind
        the one before it, on a clock of its own one that does not fit those around it.
    bounds
        Host times [ns] between which the last sample was taken, e.g. of request and response.
    lost
        Samples the device knows it lost right before these, >= 0; None if it does not know.
    reason
        Reason of the gap when ``lost`` is set. Another one than ``"dropped"`` without ``lost``:
        that some were lost, and nobody knows how many; the gap before these has ``lost=None``.
    arrival
        Host time [ns] of arrival, where the source knows it better than "now".

    A device ends with a `ParameterError` if a piece of evidence is of the wrong kind: a float where
    nanoseconds are meant, a negative loss, a counter out of range, or one of a stream whose
    `StreamInfo` has none.
    """

    data: NDArray[Any]
    counter: int | None = None
    device_time: "int | NDArray[np.int64] | None" = None
    bounds: tuple[int, int] | None = None
    lost: int | None = None
    reason: GapReason = "dropped"
    arrival: int | None = None
