"""calibrate: raw values as values of a unit, by scale and offset."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["calibrate"]


class _Calibrate:
    __slots__ = ("_info", "_known", "_offset", "_scale", "_unit")

    def __init__(
        self, scale: NDArray[np.float64], offset: NDArray[np.float64], unit: str | None
    ) -> None:
        self._scale, self._offset, self._unit = scale, offset, unit
        self._known: StreamInfo | None = None
        self._info: StreamInfo | None = None

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._known or self._info is None:
            self._known, self._info = chunk.info, self._described(chunk.info)
        info = self._info
        data = chunk.data.astype(info.dtype)
        # beyond the largest float is infinity, and needs no warning
        with np.errstate(over="ignore", invalid="ignore"):
            data *= self._scale
            data += self._offset
        return (chunk.with_data(data, info),)

    def flush(self) -> tuple[()]:
        return ()

    def _described(self, info: StreamInfo) -> StreamInfo:
        if info.dtype.kind not in "iuf":
            remedy = "choose one by ops.select" if info.dtype.names else "it takes numbers"
            msg = f"calibrate: {info.name} has samples of {info.dtype}; {remedy}"
            raise ChunkError(msg)
        for name, given in (("scale", self._scale), ("offset", self._offset)):
            if given.ndim and info.shape[-1:] != given.shape:
                msg = (
                    f"calibrate: {name} has {len(given)} values, and a sample of {info.name} the "
                    f"shape {info.shape}; give one value, or one for each channel of the last axis"
                )
                raise ChunkError(msg)
        # float32 holds each integer of 16 bits
        dtype = np.result_type(info.dtype, np.float32)
        return replace(info, dtype=dtype, unit=info.unit if self._unit is None else self._unit)


@label
def calibrate(
    scale: float | Sequence[float] = 1.0,
    offset: float | Sequence[float] = 0.0,
    unit: str | None = None,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Make raw values those of a unit: ``scale * value + offset``; times and gaps stay.

    For counts of a converter, an accelerometer, a microphone at a sound input, whose data sheet or
    calibrator gives the scale. That of a microphone which reads an RMS of ``r`` FS at 94 dB is
    ``1 / r``, for its values in Pa.

    .. marble::

        --[100 -50]-----[200]------|
        [ calibrate(0.01, unit="g") ]
        --[1.0 -0.5]----[2.0]------|

    Parameters
    ----------
    scale
        What a step of the raw values is worth; for all, or one for each channel along the last
        axis.
    offset
        What a raw value of 0 is worth; likewise.
    unit
        Unit of the results, e.g. ``"g"``; None: as before.

    Returns
    -------
    operator
        Chunks of floats: float32 of integers of up to 16 bits, float64 of wider ones, floats as
        they are but float16, which becomes float32.

    Raises
    ------
    ParameterError
        If ``scale`` or ``offset`` is no finite number or list of them, or ``scale`` is 0.
    ChunkError
        Downstream, if the samples are no numbers, or have another number of channels.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("vibration", 1600.0, (3,), np.int16, unit="count")
    >>> chunk = Chunk.regular(np.array([[0, 8192, 16384]], np.int16), info, start=0)
    >>> rx.of(chunk).pipe(calibrate(1 / 16384, unit="g")).subscribe(
    ...     lambda c: print(c.data, c.data.dtype, c.info.unit)).dispose()
    [[0.  0.5 1. ]] float32 g
    """
    scales, offsets = _checked(scale, "scale"), _checked(offset, "offset")
    if not np.all(scales):
        msg = f"calibrate: scale must not be 0, not {shown(scale)}"
        raise ParameterError(msg)
    if unit is not None:
        # raises for what is no unit
        StreamInfo("calibrate", unit=unit)
    return lift(lambda: _Calibrate(scales, offsets, unit))


def _checked(value: Any, name: str) -> NDArray[np.float64]:
    """Return a number ``()`` or numbers ``(n,)``; raise ParameterError for what is neither."""
    try:
        given = np.asarray(value)
        numbers = given.astype(np.float64) if given.dtype.kind in "iuf" else np.array(np.nan)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim > 1 or not numbers.size or not np.isfinite(numbers).all():
        msg = f"calibrate: {name} must be a finite number, or one a channel, not {shown(value)}"
        raise ParameterError(msg)
    return numbers
