"""Signals of a simulated device: the value of sample ``k``, from the seed and ``k`` alone."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.formats.can import CAN_DTYPE, CanFlag
from rxstream.formats.keys import KEY_DTYPE
from rxstream.printable import shown

__all__ = ["Signal", "SignalName", "can_frames", "frame_number", "make_values", "typed_keys"]

SignalName: TypeAlias = Literal["sine", "noise", "ramp", "knocks", "video", "zeros"]
"""Signals by name."""

Signal: TypeAlias = "SignalName | Callable[[NDArray[np.int64]], NDArray[Any]]"
"""A name, or a function of the sample numbers ``(n,)`` that returns ``(n, *shape)``."""

# bits of the number that a frame shows: six days at 30 frames a second
_BITS = 24
_TEXT = "the quick brown fox jumps over the lazy dog "


def _mix(seed: int, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 64 random bits for each number, the same ones every time (splitmix64).

    A generator with a state would make a sample depend on those before it, that is, on where the
    stream was opened.
    """
    with np.errstate(over="ignore"):
        z = index.astype(np.uint64) + np.uint64((seed * 0xD1342543DE82EF95 + 1) % 2**64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def make_values(
    name: SignalName,
    index: NDArray[np.int64],
    seconds: NDArray[np.float64],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    seed: int,
    frequency: float,
) -> NDArray[Any]:
    """Return the samples ``(n, *shape)`` of a named signal.

    Parameters
    ----------
    name
        Name of the signal.
    index
        Sample numbers ``(n,)``.
    seconds
        Times of the samples by the device's clock ``(n,)`` [s].
    shape, dtype
        Shape and dtype of one sample.
    seed
        Seed of the noise.
    frequency
        Frequency of the tones [Hz].

    Raises
    ------
    ParameterError
        If the name is unknown, or no such signal can be written in ``dtype`` or ``shape``.
    """
    if name not in get_args(SignalName):
        known = ", ".join(get_args(SignalName))
        msg = f"signal {shown(name)} is unknown; take one of {known}, or give a function"
        raise ParameterError(msg)
    if name == "video":
        return _video(index, shape, dtype)
    out = np.zeros((len(index), *shape), dtype)
    if name == "zeros":
        return out
    if dtype.names:
        for place, field in enumerate(dtype.names):
            part = out[field]
            base, sub = part.dtype, part.shape[1:]
            out[field] = make_values(
                name, index, seconds, sub, base, seed=seed + place, frequency=frequency
            )
        return out
    column = index.reshape(-1, *(1 for _ in shape))
    if name == "ramp" and dtype.kind in "biufcSU":
        out[...] = (column % 2) if dtype.kind == "b" else column.astype(dtype)
        return out
    width = int(np.prod(shape))
    values = _unit_values(name, index, seconds, width, seed, frequency)
    out[...] = _scaled(values, dtype, name).reshape(out.shape)
    return out


def _unit_values(
    name: str,
    index: NDArray[np.int64],
    seconds: NDArray[np.float64],
    width: int,
    seed: int,
    frequency: float,
) -> NDArray[np.float64]:
    """Return values ``(n, width)`` from -1 to 1."""
    place = np.arange(width)
    if name == "noise":
        return _noise(seed, index, width) * 0.25
    # each channel a little later, so that they differ
    if name == "sine":
        turns = np.mod(seconds * frequency, 1.0)[:, None] - place / max(width, 1)
        return 0.5 * np.sin(2 * np.pi * turns)
    # knocks: one a second, ringing for a tenth of it
    since = np.mod(seconds, 1.0)[:, None]
    ring = 0.8 * np.exp(-since / 0.1) * np.sin(2 * np.pi * frequency * since)
    heard: NDArray[np.float64] = np.clip(ring + 0.01 * _noise(seed, index, width), -1.0, 1.0)
    return heard


def _noise(seed: int, index: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """Return nearly Gaussian noise ``(n, width)`` of variance 1, within -3.5 to 3.5."""
    bits = _mix(seed, index[:, None] * width + np.arange(width))
    # four uniform numbers each, whose sum is nearly Gaussian
    parts = np.ascontiguousarray(bits)[..., None].view(np.uint16)
    total: NDArray[np.float64] = parts.sum(axis=-1, dtype=np.float64)
    scaled: NDArray[np.float64] = (total / 65_535 - 2.0) * 3.0**0.5
    return scaled


def _scaled(values: NDArray[np.float64], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    if dtype.kind in "fc":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values > 0
    if dtype.kind == "i":
        return np.rint(values * np.iinfo(dtype).max).astype(dtype)
    if dtype.kind == "u":
        return np.rint((values + 1) / 2 * np.iinfo(dtype).max).astype(dtype)
    msg = (
        f"signal {shown(name)} cannot be written as {dtype}; give a function of the sample numbers"
    )
    raise ParameterError(msg)


def _video(index: NDArray[np.int64], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return frames ``(n, height, width[, channels])`` of stripes that move."""
    if len(shape) not in (2, 3) or shape[0] < 16 or shape[1] < _BITS or dtype.kind not in "uf":
        msg = (
            f"signal 'video' needs the shape (height >= 16, width >= {_BITS}[, channels]) "
            f"and an unsigned or float dtype, not {shape} {dtype}"
        )
        raise ParameterError(msg)
    height, width = shape[:2]
    stripes = _stripes(height, width, shape[2] if len(shape) == 3 else 1)
    out = np.empty((len(index), height, width, stripes.shape[2]), np.uint8)
    for frame, k in zip(out, index.tolist(), strict=True):
        left = 2 * k % width
        frame[...] = stripes[:, left : left + width]
        _draw_ball(frame, k)
        _draw_number(frame, k)
    frames = out.reshape(len(index), *shape)
    if dtype == np.uint8:
        return frames
    if dtype.kind == "f":
        return (frames / 255).astype(dtype)
    scaled: NDArray[Any] = frames.astype(dtype) * dtype.type(np.iinfo(dtype).max // 255)
    return scaled


@lru_cache(maxsize=4)
def _stripes(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Return soft color stripes ``(height, 2 * width, channels)`` that repeat after ``width``."""
    x = np.arange(2 * width) / width
    shade = np.linspace(1.0, 0.45, height)[:, None, None]
    phase = np.arange(channels) / max(channels, 1)
    color = 0.5 + 0.4 * np.cos(2 * np.pi * (2 * x[:, None] + phase))
    return np.rint(255 * shade * color[None]).astype(np.uint8)


def _draw_ball(frame: NDArray[np.uint8], k: int) -> None:
    height, width = frame.shape[:2]
    radius = max(2, height // 10)
    top = _number_rows(height) + radius
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * k / 60)
    row = int(top + swing * max(0, height - top - radius - 1))
    column = width // 2
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    box = frame[max(0, row - radius) : row + radius + 1, column - radius : column + radius + 1]
    inside = (x * x + y * y <= radius * radius)[: box.shape[0], : box.shape[1]]
    box[inside] = 255


def _number_rows(height: int) -> int:
    return max(2, height // 15)


def _draw_number(frame: NDArray[np.uint8], k: int) -> None:
    height, width = frame.shape[:2]
    cell = width // _BITS
    bits = (k >> np.arange(_BITS - 1, -1, -1)) & 1
    row = np.zeros(width, np.uint8)
    row[: cell * _BITS] = np.repeat(bits * 255, cell)
    frame[: _number_rows(height)] = row[None, :, None]


def frame_number(frame: NDArray[Any]) -> int:
    """Read the number of a frame of the signal ``"video"`` from its top row of squares.

    It is there in black and white, so it survives video compression: 24 squares, the highest bit
    first.

    Parameters
    ----------
    frame
        ``(height, width)`` or ``(height, width, channels)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.devices.simulated import Simulated, frame_number
    >>> frame_number(Simulated.camera().data(np.array([1234]))[0])
    1234
    """
    height, width = frame.shape[:2]
    cell = width // _BITS
    row = np.asarray(frame)[_number_rows(height) // 2].reshape(width, -1).mean(axis=1)
    full = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1.0
    bright = row[cell // 2 :: cell][:_BITS] > full / 2
    return int(bright @ (1 << np.arange(_BITS - 1, -1, -1)))


def typed_keys(index: NDArray[np.int64]) -> NDArray[Any]:
    """Return key strokes ``(n,)``: even samples press a letter of a text, odd ones release it."""
    out = np.zeros(len(index), KEY_DTYPE)
    letters = np.array([c if c != " " else "space" for c in _TEXT])
    out["key"] = letters[(index // 2) % len(letters)]
    out["pressed"] = index % 2 == 0
    return out


def can_frames(index: NDArray[np.int64]) -> NDArray[Any]:
    """Return CAN frames ``(n,)`` of a small car: engine, wheels and doors, as `CAN_DTYPE`.

    0x100: engine speed [0.25 /min] and, in byte 7, a counter; 0x200: four wheel speeds
    [0.01 km/h]; 0x310, every eighth frame: one byte of door switches. Little endian.
    """
    out = np.zeros(len(index), CAN_DTYPE)
    out["flags"] = CanFlag.RX
    door, engine = index % 8 == 7, index % 2 == 0
    out["arbitration_id"] = np.where(door, 0x310, np.where(engine, 0x100, 0x200))
    out["dlc"] = np.where(door, 1, 8)
    swing = np.sin(2 * np.pi * index / 5000)
    words = np.zeros((len(index), 4), "<u2")
    words[:, 0] = 4 * (2000 + 1200 * swing)
    words[~engine] = (100 * (60 + 36 * swing[~engine, None] + np.arange(4) / 10)).astype("<u2")
    data = words.view(np.uint8)
    data[engine, 7] = (index[engine] // 2) % 256
    data[door] = 0
    data[door, 0] = (index[door] // 512) % 16
    out["data"][:, :8] = data
    return out
