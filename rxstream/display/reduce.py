"""What there is to draw of a chunk, reduced to what a picture can show."""

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PALETTE", "Envelope", "Kind", "Rows", "count_lines", "envelope", "event_rows", "kind_of",
    "lines", "shown_gaps", "span", "to_picture",
]  # fmt: skip

Kind: TypeAlias = Literal["lines", "images", "events"]
Floats: TypeAlias = NDArray[np.float64]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#777777")
"""Colours that can be told apart by everybody, on white and on black."""

_PICTURE_LEAST = 8  # pixels; a sample of less in height or width is a table, not a picture
_LEAD = 0.15  # a gap before the first sample takes at most this share of the picture


def kind_of(chunk: Any) -> Kind:
    """Return how to draw a chunk: numbers over time, pictures, or events."""
    dtype, shape = chunk.data.dtype, chunk.data.shape[1:]
    if dtype.names:
        floats = any(dtype[name].base.kind in "fc" for name in dtype.names)
        return "lines" if floats else "events"
    if dtype.kind not in "biufc":
        return "events"
    if len(shape) in (2, 3) and min(shape[:2]) >= _PICTURE_LEAST:
        return "images"
    return "lines"


def span(chunk: Any) -> tuple[int, int]:
    """Return from when to when [ns] to draw."""
    start, end = int(chunk.start), int(chunk.end)
    if end <= start:
        return start, start + 1
    return max(int(chunk.covered_from), start - round((end - start) * _LEAD)), end


def shown_gaps(chunk: Any) -> list[tuple[int, int, str]]:
    """Return gaps as start, end [ns], clipped to the `span`, and what to say of them."""
    low, high = span(chunk)
    found = []
    for gap in chunk.gaps:
        start, end = max(gap.start, low), min(gap.end, high)
        if end > start or low <= gap.start == gap.end <= high:
            found.append((start, end, str(gap)))
    return found


# -- numbers ----------------------------------------------------------------------------------


def count_lines(chunk: Any) -> int:
    """Return how many lines a chunk has in all."""
    return len(_columns(chunk))


def _columns(chunk: Any) -> list[tuple[str, str | None, int]]:
    """Return a label, the field or None, and the place in it, for each number of a sample."""
    data, info = chunk.data, chunk.info
    if data.dtype.names:
        columns = []
        for name in data.dtype.names:
            if data.dtype[name].base.kind in "biufc":
                count = int(np.prod(data[name].shape[1:], dtype=np.int64))
                labels = [name] if count == 1 else [f"{name}[{i}]" for i in range(count)]
                columns += [(label, name, i) for i, label in enumerate(labels)]
        return columns
    count = int(np.prod(data.shape[1:], dtype=np.int64))
    labels = [str(i) for i in range(count)] if count > 1 else [info.name]
    if len(info.channels) == count:
        labels = list(info.channels)
    return [(label, None, i) for i, label in enumerate(labels)]


def lines(chunk: Any, most: int) -> list[tuple[str, NDArray[Any]]]:
    """Return label and values ``(n,)`` of the first ``most`` lines; of complex ones the size."""
    data, found = chunk.data, []
    for label, name, place in _columns(chunk)[:most]:
        part = data if name is None else data[name]
        width = int(np.prod(part.shape[1:], dtype=np.int64))
        values = part.reshape(len(part), width)[:, place]
        if values.dtype.kind == "c":
            label, values = f"|{label}|", np.abs(values)
        found.append((label, values.astype(np.uint8) if values.dtype.kind == "b" else values))
    return found


class Envelope(NamedTuple):
    """A line as a picture can show it: a band from ``low`` to ``high``, or points where equal."""

    x: Floats
    """Where, 0 to 1 of the span, ``(m,)``."""
    low: Floats
    high: Floats
    ends: list[int]
    """Where its pieces end: a gap tears it."""
    exact: bool
    """Whether each point is a sample."""


def envelope(chunk: Any, values: NDArray[Any], columns: int) -> Envelope:
    """Return the least and the greatest value of each of ``columns`` stretches of time.

    Parameters
    ----------
    chunk
        Whose times count.
    values
        ``(n,)``.
    columns
        How many points a picture can show.
    """
    n = len(values)
    low, high = span(chunk)
    torn = np.array([at for at, _ in chunk.gap_positions], np.int64)
    if n <= columns:
        x = (chunk.time - low) / (high - low)
        exact = values.astype(np.float64)
        return Envelope(x, exact, exact, _ends(np.arange(n), torn), True)
    edges = low + (np.arange(columns) * ((high - low) / columns)).astype(np.int64)
    starts = np.array([chunk.axis.find(int(t)) for t in edges], np.int64)
    filled = np.flatnonzero(np.diff(np.append(starts, n)) > 0)
    starts = starts[filled]
    least = np.fmin.reduceat(values, starts).astype(np.float64)
    most = np.fmax.reduceat(values, starts).astype(np.float64)
    return Envelope((filled + 0.5) / columns, least, most, _ends(starts, torn), False)


def _ends(starts: NDArray[np.int64], torn: NDArray[np.int64]) -> list[int]:
    """Return where pieces end, for points that begin at samples ``starts``."""
    piece = torn.searchsorted(starts, side="right")
    return [*(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(starts)]


# -- events -----------------------------------------------------------------------------------


class Rows(NamedTuple):
    """Events by what they are."""

    row: NDArray[np.int64]
    """Row of each event ``(n,)``."""
    labels: list[str]
    """Of each row; empty if there is only one."""
    field: str
    """What the rows tell apart."""


def event_rows(chunk: Any, most: int = 12) -> Rows:
    """Return events in rows by their first field that names something.

    Those beyond the ``most`` frequent share the last row.
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
    if len(values) > most:
        kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
        places = np.full(len(values), most - 1)
        places[kept] = np.arange(most - 1)
        row = places[row]
        labels = [labels[i] for i in kept] + [f"{len(values) - most + 1} others"]
    return Rows(row.astype(np.int64), labels, field)


def _text(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 12 else text[:11] + "…"


# -- pictures ---------------------------------------------------------------------------------


def to_picture(chunk: Any, i: int, height: int | None = None) -> NDArray[np.uint8]:
    """Return sample ``i`` as red, green and blue ``(h, w, 3)`` uint8, no higher than ``height``.

    The order of colors is that of ``info.channels`` (``("B", "G", "R")``), else red first.
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
    values = _to_bytes(np.abs(sample) if sample.dtype.kind == "c" else sample)
    return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values


def _to_bytes(sample: NDArray[Any]) -> NDArray[np.uint8]:
    if sample.dtype == np.uint8:
        return sample
    values = np.nan_to_num(sample.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if sample.dtype.kind == "b" or (sample.dtype.kind == "f" and low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    scaled: NDArray[np.uint8] = ((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return scaled
