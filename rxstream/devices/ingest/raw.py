"""`Raw`: bodies of binary samples."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import checked_dtype, is_positive

__all__ = ["Raw"]


@dataclass(frozen=True, slots=True)
class Raw:
    """Bodies of binary samples, one after the other, without anything between.

    Attributes
    ----------
    dtype
        Type of a sample on the wire, ``"<i2"``, or its fields, ``[("ms", "<u4"), ("x", "<f4")]``.
        Samples have it in the order of bytes of this computer.
    shape
        Shape of a sample, e.g. ``(3,)``; its values lie together, the last axis first.
    rate
        Samples per second [Hz], by a clock of the sender's own; None: irregular samples.
    unit, channels
        As in `StreamInfo`.
    time
        Field with the sender's stamp; empty: none.
    tick
        Unit of that number [s].

    Examples
    --------
    >>> raw = Raw([("ms", "<u4"), ("x", "<f4")], time="ms", tick=1e-3)
    >>> data = raw.samples(bytes([220, 5, 0, 0, 0, 0, 0, 63]))
    >>> data["x"], raw.stamps(data)
    (array([0.5], dtype=float32), array([1500000000]))
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    rate: float | None = None
    unit: str = ""
    channels: tuple[str, ...] = ()
    time: str = ""
    tick: float = 1.0

    def __init__(
        self,
        dtype: DTypeLike,
        shape: tuple[int, ...] = (),
        rate: float | None = None,
        unit: str = "",
        channels: tuple[str, ...] = (),
        time: str = "",
        tick: float = 1.0,
    ) -> None:
        given = checked_dtype(dtype, "Raw: dtype")
        if given.hasobject or not given.itemsize:
            msg = f"Raw: dtype must be of numbers or text of some bytes, not {given}"
            raise ParameterError(msg)
        stamps = ("", *(name for name in given.names or () if given[name].kind in "iuf"))
        if not isinstance(time, str) or time not in stamps:
            msg = f"Raw: time must name a field that is a number, not {shown(time)}"
            raise ParameterError(msg)
        if not is_positive(tick):
            msg = f"Raw: tick must be > 0 s, not {shown(tick)}"
            raise ParameterError(msg)
        values = (given, shape, rate, unit, channels, time, tick)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)
        info = self.describe("ingest")
        object.__setattr__(self, "shape", info.shape)
        object.__setattr__(self, "channels", info.channels)

    def describe(self, name: str, **more: Any) -> StreamInfo:
        """Return the description of a stream of such samples."""
        return StreamInfo(
            name, self.rate, self.shape, self.dtype.newbyteorder("="), self.unit, self.channels,
            **more,
        )  # fmt: skip

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return self.describe("ingest").sample_bytes

    def samples(self, data: bytes) -> NDArray[Any]:
        """Return whole samples ``(n, *shape)``, of this computer's order of bytes."""
        array = np.frombuffer(data, self.dtype).reshape(-1, *self.shape)
        return array.astype(self.dtype.newbyteorder("="), copy=False)

    def stamps(self, samples: NDArray[Any]) -> NDArray[np.int64] | None:
        """Return the stamps of samples [ns], int64 ``(n,)``; None if they have none.

        Raises
        ------
        ValueError
            If one is no time.
        """
        if not self.time:
            return None
        values = samples[self.time].reshape(len(samples), -1)[:, 0]
        tick = Fraction(self.tick).limit_denominator(10**12) * 10**9
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            msg = f"the time {values[~np.isfinite(values)][0]} is no number"
            raise ValueError(msg)
        # exact, whatever the unit
        exact = [round(Fraction(value) * tick) for value in values.tolist()]
        if any(abs(stamp) >= 1 << 63 for stamp in exact):
            msg = f"{max(exact, key=abs)} ns is no time that int64 can hold"
            raise ValueError(msg)
        return np.array(exact, np.int64)
