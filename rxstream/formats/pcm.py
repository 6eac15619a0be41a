"""Sound as numbers of a file: integers of 16, 24 or 32 bits, or floats."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENCODINGS", "Encoding", "encode"]


class Encoding(NamedTuple):
    """How a sample of one channel is stored."""

    width: int
    """Bytes."""
    is_float: bool


# by the names that soundfile has for them
ENCODINGS = {
    "PCM_16": Encoding(2, False),
    "PCM_24": Encoding(3, False),
    "PCM_32": Encoding(4, False),
    "FLOAT": Encoding(4, True),
    "DOUBLE": Encoding(8, True),
}


def encode(data: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    """Return samples as they are stored, little endian.

    Floats have full scale at ±1, integers at their type's limits; what is beyond is clipped.

    Parameters
    ----------
    data
        Samples ``(n,)`` or ``(n, channels)`` of int16, int32, float32 or float64.
    encoding
        How to store them.

    Examples
    --------
    >>> encode(np.array([0.5, -1.0, 2.0]), ENCODINGS["PCM_16"])
    array([ 16384, -32768,  32767], dtype=int16)
    """
    if encoding.is_float:
        wide = f"<f{encoding.width}"
        if data.dtype.kind == "f":
            return np.ascontiguousarray(data, wide)
        return np.ascontiguousarray(data * 0.5 ** (8 * data.dtype.itemsize - 1), wide)
    if data.dtype.kind == "f":
        values = _to_integers(data, 8 * encoding.width)
    else:
        values = _shifted(data, 8 * encoding.width)
    if encoding.width == 3:
        # the lower three of four bytes
        return np.ascontiguousarray(
            np.ascontiguousarray(values, "<i4").view(np.uint8).reshape(*values.shape, 4)[..., :3]
        )
    return np.ascontiguousarray(values, f"<i{encoding.width}")


def _to_integers(data: NDArray[Any], bits: int) -> NDArray[np.int32]:
    full = 2.0 ** (bits - 1)
    within = np.clip(np.nan_to_num(data.astype(np.float64), copy=False), -1.0, 1.0)
    return np.minimum(np.rint(within * full), full - 1).astype(np.int32)


def _shifted(data: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Return integers of one number of bits as those of another."""
    more = bits - 8 * data.dtype.itemsize
    wide = data.astype(np.int32)
    return wide << more if more >= 0 else wide >> -more
