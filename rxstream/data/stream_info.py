"""Descriptions: `StreamInfo` of a stream, `Reading` of what a source hands over at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rxstream.data.gap import GapReason
from rxstream.errors import ParameterError
from rxstream.validation import checked_name, is_number

__all__ = ["DeviceCounter", "Reading", "StreamInfo"]


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
    kind: Literal["samples", "ticks"] = "samples"

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            msg = f"counter bits must be 1 to 64, not {self.bits!r}"
            raise ParameterError(msg)
        if self.kind == "ticks" and not (self.rate and self.rate > 0):
            msg = f"a counter of ticks needs its rate > 0 Hz, not {self.rate!r}"
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
        Nominal samples per second [Hz], or None for irregular samples.
    shape
        Shape of one sample, e.g. ``(2,)`` for stereo, ``(480, 640, 3)`` for a color frame.
    dtype
        Type of a sample; may be structured.
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
    """

    name: str
    rate: float | None = None
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    unit: str = ""
    channels: tuple[str, ...] = ()
    counter: DeviceCounter | None = None
    quantum: int | None = None
    device_clock: Literal["host", "own"] = "own"
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", checked_name(self.name, "StreamInfo: name"))
        object.__setattr__(self, "unit", checked_name(self.unit, f"{self.name}: unit"))
        if self.rate is not None and not (is_number(self.rate) and self.rate > 0):
            msg = f"rate must be > 0 Hz, or None for irregular samples, not {self.rate!r}"
            raise ParameterError(msg)
        labels = self.channels
        if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
            msg = f"channels must be labels, e.g. ('left', 'right'), not {labels!r}"
            raise ParameterError(msg)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
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
        The device's own counter at the last sample, raw (see `StreamInfo.counter`).
    device_time
        The device's stamps [ns]: int64 ``(n,)``, or one int for the first sample.
    bounds
        Host times [ns] between which the last sample was taken, e.g. of request and response.
    lost
        Samples the device knows it lost right before these.
    reason
        Reason of the gap when ``lost`` is set.
    arrival
        Host time [ns] of arrival, where the source knows it better than "now".
    """

    data: NDArray[Any]
    counter: int | None = None
    device_time: "int | NDArray[np.int64] | None" = None
    bounds: tuple[int, int] | None = None
    lost: int | None = None
    reason: GapReason = "dropped"
    arrival: int | None = None
