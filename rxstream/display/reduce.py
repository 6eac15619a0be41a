"""Reduction of a chunk to what a drawing of limited size can show."""

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.printable import MAX_NAME, printable

__all__ = [
    "PALETTE", "Envelope", "Kind", "Rows", "count_lines", "envelope", "event_rows", "kind_of",
    "lines", "shown_gaps", "span", "spread", "to_rgb",
]  # fmt: skip

Kind: TypeAlias = Literal["lines", "images", "events"]
Floats: TypeAlias = NDArray[np.float64]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#777777")
"""Colors distinct for people with any color vision, on white and on black (Okabe and Ito)."""

# A sample of less height or width [px] is a table of numbers, not an image.
_MIN_IMAGE_SIZE = 8
# Greatest number that is drawn: an axis needs the difference of two, and some room around it.
_MAX_NUMBER = 1e300
# A gap before the first sample may last for days; it takes at most this share of the samples' time.
_MAX_LEAD = 0.15


def kind_of(chunk: Chunk) -> Kind:
    """Return how to draw a chunk: numbers over time, images, or events."""
    dtype, shape = chunk.data.dtype, chunk.data.shape[1:]
    if dtype.names:
        floats = any(dtype[name].base.kind in "fc" for name in dtype.names)
        return "lines" if floats else "events"
    if dtype.kind not in "biufc":
        return "events"
    if len(shape) in (2, 3) and min(shape[:2]) >= _MIN_IMAGE_SIZE:
        return "images"
    return "lines"


def span(chunk: Chunk) -> tuple[int, int]:
    """Return the interval to draw [ns]; never empty."""
    start, end = chunk.start, chunk.end
    if end <= start:
        return start, start + 1
    return max(chunk.covered_from, start - round((end - start) * _MAX_LEAD)), end


def shown_gaps(chunk: Chunk, low: int, high: int) -> list[tuple[int, int, Gap]]:
    """Return gaps that reach into an interval [ns], each with the start and end of that part."""
    found = []
    for gap in chunk.gaps:
        start, end = max(gap.start, low), min(gap.end, high)
        if end > start or low <= gap.start == gap.end <= high:
            found.append((start, end, gap))
    return found


def spread(n: int, count: int) -> list[int]:
    """Return at most ``count`` of the positions 0 to ``n - 1``, first and last included."""
    positions: list[int] = np.linspace(0, n - 1, min(n, count)).round().astype(int).tolist()
    return positions


# -- numbers ----------------------------------------------------------------------------------


def count_lines(chunk: Chunk) -> int:
    """Return the number of lines of a chunk: one for each number of a sample."""
    return len(_columns(chunk))


def _columns(chunk: Chunk) -> list[tuple[str, str | None, int]]:
    """Return label, field (or None) and position in the field, for each number of a sample."""
    data, info = chunk.data, chunk.info
    if data.dtype.names:
        columns: list[tuple[str, str | None, int]] = []
        for name in data.dtype.names:
            if data.dtype[name].base.kind in "biufc":
                count = int(np.prod(data[name].shape[1:], dtype=np.int64))
                label = printable(name, MAX_NAME)
                labels = [label] if count == 1 else [f"{label}[{i}]" for i in range(count)]
                columns += [(label, name, i) for i, label in enumerate(labels)]
        return columns
    count = int(np.prod(data.shape[1:], dtype=np.int64))
    labels = [str(i) for i in range(count)] if count > 1 else [info.name]
    if len(info.channels) == count:
        labels = list(info.channels)
    return [(label, None, i) for i, label in enumerate(labels)]


def lines(chunk: Chunk, count: int) -> list[tuple[str, NDArray[Any]]]:
    """Return label and values ``(n,)`` of the first lines; of complex ones the magnitude."""
    data, found = chunk.data, []
    for label, name, place in _columns(chunk)[:count]:
        part = data if name is None else data[name]
        width = int(np.prod(part.shape[1:], dtype=np.int64))
        values = part.reshape(len(part), width)[:, place]
        if values.dtype.kind == "c":
            with np.errstate(over="ignore", invalid="ignore"):
                label, values = f"|{label}|", np.abs(values)
        found.append((label, values.astype(np.uint8) if values.dtype.kind == "b" else values))
    return found


class Envelope(NamedTuple):
    """A line reduced to ``m`` points: a band from ``low`` to ``high``, or the samples."""

    x: Floats
    """Positions ``(m,)``, 0 to 1 of the `span`."""
    low: Floats
    high: Floats
    ends: list[int]
    """Ends of the pieces between gaps, as positions in ``x``."""
    exact: bool
    """True where each point is a sample, and ``low`` equals ``high``."""


def envelope(chunk: Chunk, values: NDArray[Any], columns: int) -> Envelope:
    """Return minimum and maximum of the values in each of ``columns`` equal intervals.

    Parameters
    ----------
    chunk
        Its times are those of the values.
    values
        ``(n,)``.
    columns
        Greatest number of points.
    """
    low, high = span(chunk)
    there = np.arange(len(values))  # places of the values in the chunk
    if chunk.info.rate is None and values.dtype.kind == "f" and np.isnan(values).any():
        # Events without this value, as other messages on a bus, do not interrupt its line.
        there = np.flatnonzero(~np.isnan(values))
        values = values[there]
    gap_at = np.array([at for at, _ in chunk.gap_positions], np.int64)
    if len(values) <= columns:
        x = (chunk.time[there] - low) / (high - low)
        exact = _drawable(values)
        return Envelope(x, exact, exact, _ends(there, gap_at), True)
    edges = low + (np.arange(columns) * ((high - low) / columns)).astype(np.int64)
    starts = np.array([chunk.axis.find(int(t)) for t in edges], np.int64)
    if len(there) < len(chunk):
        starts = there.searchsorted(starts)
    filled = np.flatnonzero(np.diff(np.append(starts, len(values))) > 0)
    starts = starts[filled]
    least = _drawable(np.fmin.reduceat(values, starts))
    most = _drawable(np.fmax.reduceat(values, starts))
    return Envelope((filled + 0.5) / columns, least, most, _ends(there[starts], gap_at), False)


def _drawable(values: NDArray[Any]) -> Floats:
    """Return numbers as floats that can be drawn; infinite ones stay so, and are not."""
    # numpy warns of a signalling NaN, which memory that was never written may hold
    with np.errstate(over="ignore", invalid="ignore"):
        floats = values.astype(np.float64)
    return np.where(np.isfinite(floats), floats.clip(-_MAX_NUMBER, _MAX_NUMBER), floats)


def _ends(starts: NDArray[np.int64], gap_at: NDArray[np.int64]) -> list[int]:
    """Return the ends of pieces, for points that begin at samples ``starts``."""
    piece = gap_at.searchsorted(starts, side="right")
    return [*(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(starts)]


# -- events -----------------------------------------------------------------------------------


class Rows(NamedTuple):
    """Events grouped by the value of a field."""

    row: NDArray[np.int64]
    """Row of each event ``(n,)``."""
    labels: list[str]
    """Value shown for each row; empty if there is only one row."""
    field: str
    """Name of the field; empty if there is none."""


def event_rows(chunk: Chunk, count: int = 12) -> Rows:
    """Group events by their first field of text or whole numbers.

    Of more than ``count`` values, the rarest share the last row.
    """
    data, field = chunk.data, ""
    one = Rows(np.zeros(len(data), np.int64), [], "")
    if data.dtype.names:
        names = [name for name in data.dtype.names if data.dtype[name].kind in "SUiu"]
        if not names:
            return one
        field = names[0]
        data = data[field]
    if data.ndim != 1 or data.dtype.kind not in "SUiu" or not len(data):
        return one
    values, row, counts = np.unique(data, return_inverse=True, return_counts=True)
    as_hex = values.dtype.kind in "iu" and field.endswith("id")
    labels = [f"0x{v:X}" if as_hex else _text(v) for v in values.tolist()]
    if len(values) > count:
        kept = np.sort(np.argsort(-counts, kind="stable")[: count - 1])
        places = np.full(len(values), count - 1)
        places[kept] = np.arange(count - 1)
        row = places[row]
        labels = [labels[i] for i in kept] + [f"{len(values) - count + 1} others"]
    return Rows(row.astype(np.int64), labels, field)


def _text(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return printable(text, 12)


# -- images -----------------------------------------------------------------------------------


def to_rgb(chunk: Chunk, i: int, height: int | None = None) -> NDArray[np.uint8]:
    """Return sample ``i`` as red, green and blue ``(h, w, 3)`` uint8, at most ``height`` rows.

    The order of colors is that of ``info.channels`` (``("B", "G", "R")``), else red first. Other
    dtypes than uint8 are scaled to the range of the sample; floats in 0 to 1 from that.
    """
    sample = chunk.data[i]
    step = 1 if height is None else max(1, -(-sample.shape[0] // height))
    sample = sample[::step, ::step]
    if sample.ndim == 3 and sample.shape[2] in (3, 4):
        labels = "".join(chunk.info.channels).upper()
        order = [labels.index(c) for c in "RGB"] if set("RGB") <= set(labels) else [0, 1, 2]
        sample = sample[:, :, order]
    elif sample.ndim == 3:
        sample = sample.mean(axis=2).astype(sample.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        values = _to_bytes(np.abs(sample) if sample.dtype.kind == "c" else sample)
    return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values


def _to_bytes(sample: NDArray[Any]) -> NDArray[np.uint8]:
    if sample.dtype == np.uint8:
        return sample
    values = np.nan_to_num(_drawable(sample), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if sample.dtype.kind == "b" or (sample.dtype.kind == "f" and low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    scaled: NDArray[np.uint8] = ((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return scaled
