"""A chunk in a notebook: one line of facts, and a drawing that needs no library."""

import math
from html import escape
from typing import Any

import numpy as np

from rxstream.data.chunk import Chunk
from rxstream.display.png import data_url
from rxstream.display.reduce import (
    PALETTE,
    Envelope,
    count_lines,
    envelope,
    event_rows,
    kind_of,
    lines,
    shown_gaps,
    span,
    spread,
    to_rgb,
)
from rxstream.printable import counted

__all__ = ["chunk_html"]

# Width of the drawing, and of the labels on its left [px].
_WIDTH, _LEFT = 640, 70
# Points across the drawing: about one a pixel keeps the HTML short.
_COLUMNS = 520
# Channels and frames that are drawn; a notebook should stay readable.
_MAX_CHANNELS = 6
_MAX_FRAMES = 5
# Gaps that are listed one by one.
_MAX_GAPS = 3
_GAP_COLOR = "#d55e00"


def chunk_html(chunk: Chunk) -> str:
    """Return one line of facts and a drawing, as HTML.

    Parameters
    ----------
    chunk
        A chunk; of a long one, each column of pixels shows minimum and maximum.

    Examples
    --------
    >>> from rxstream.data.chunk import Chunk
    >>> from rxstream.data.stream_info import StreamInfo
    >>> info = StreamInfo("ramp", rate=1000.0, dtype=np.int64, unit="V")
    >>> "<svg" in chunk_html(Chunk.regular(np.arange(5), info, start=0))
    True
    """
    body = ""
    if len(chunk.data):
        draw = {"lines": _lanes, "events": _raster, "images": _frames}[kind_of(chunk)]
        body = draw(chunk)
    elif chunk.end > chunk.start:
        body = _svg(16, [_label(_LEFT + 4, 12, "no samples", anchor="start")], chunk)
    return f'<div style="font:13px system-ui,sans-serif">{_facts(chunk)}{body}</div>'


def _facts(chunk: Chunk) -> str:
    info, data = chunk.info, chunk.data
    dtype = "structured" if data.dtype.names else str(data.dtype)
    shape = " × ".join(map(str, data.shape))
    start = np.datetime64(chunk.start, "ns").astype("datetime64[us]")
    rate = "irregular" if info.rate is None else f"{_si(info.rate)}Hz"
    parts = [
        f"{shape} {dtype}",
        f"{str(start).replace('T', ' ')} UTC + {chunk.duration:.6g} s",
        rate,
        f"#{chunk.index}",
    ]
    if info.unit:
        parts.insert(1, f"[{info.unit}]")
    shown = chunk.gaps[:_MAX_GAPS]
    gaps = [f'<span style="color:{_GAP_COLOR}">{escape(str(gap))}</span>' for gap in shown]
    more = len(chunk.gaps) - len(shown)
    if more:
        gaps.append(f"and {counted(more, 'more gap')}, {counted(chunk.lost, 'sample')} lost in all")
    text = " · ".join([escape(part) for part in parts] + gaps)
    return f"<div><b>{escape(info.name)}</b> {text}</div>"


def _si(value: float) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.6g} {prefix}"
    return f"{value:.6g} "


# -- lines ------------------------------------------------------------------------------------


def _lanes(chunk: Chunk) -> str:
    shown = lines(chunk, _MAX_CHANNELS)
    more = count_lines(chunk) - len(shown)
    height = 90 if len(shown) == 1 else 46
    parts, top = [], 4
    for i, (label, values) in enumerate(shown):
        shape = envelope(chunk, values, _COLUMNS)
        color = PALETTE[i % len(PALETTE)]
        parts.append(_lane(shape, top, height - 6, color))
        if len(shown) > 1:
            parts.append(_label(_LEFT - 6, top + height / 2, label[:10], color=color))
        top += height
    if more > 0:
        parts.append(_label(_LEFT + 4, top + 10, f"and {more} more", anchor="start"))
        top += 16
    return _svg(top, parts, chunk)


def _lane(line: Envelope, top: float, height: float, color: str) -> str:
    good = np.isfinite(line.low) & np.isfinite(line.high)
    if not good.any():
        return _label(_LEFT - 6, top + height / 2, "no number")
    low, high = float(line.low[good].min()), float(line.high[good].max())
    room = (high - low) or 1.0
    x = _LEFT + line.x * (_WIDTH - _LEFT)
    with np.errstate(all="ignore"):
        upper = top + height * ((high - line.high) / room if high > low else 0.5 + 0 * line.high)
        lower = top + height * ((high - line.low) / room if high > low else 0.5 + 0 * line.low)
    path, begin = [], 0
    for end in line.ends:
        keep = np.flatnonzero(good[begin:end]) + begin
        path.append(_piece(x[keep], upper[keep], lower[keep], line.exact))
        begin = end
    fill = "none" if line.exact else color
    drawn = (
        f'<path d="{" ".join(path)}" fill="{fill}" stroke="{color}" stroke-width="1" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )
    labels = _label(_LEFT - 6, top + 9, _number(high)) if high > low else ""
    return drawn + labels + _label(_LEFT - 6, top + height, _number(low))


def _piece(x: Any, upper: Any, lower: Any, exact: bool) -> str:
    if not len(x):
        return ""
    points = list(zip(x.tolist(), upper.tolist(), strict=True))
    if not exact:
        points += list(zip(x[::-1].tolist(), lower[::-1].tolist(), strict=True))
    text = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    return f"M{text}{'' if exact and len(points) > 1 else 'Z'}"


def _number(value: float) -> str:
    return f"{value:.4g}"


# -- events and images ------------------------------------------------------------------------


def _raster(chunk: Chunk) -> str:
    rows = event_rows(chunk)
    pitch = 14 if rows.labels else 30
    low, high = span(chunk)
    column = ((chunk.time - low) * (_COLUMNS / (high - low))).astype(np.int64)
    count = max(1, len(rows.labels))
    seen = np.unique(column * count + rows.row)
    path: dict[int, list[str]] = {}
    for place in seen.tolist():
        at, row = divmod(place, count)
        x = _LEFT + (at + 0.5) * (_WIDTH - _LEFT) / _COLUMNS
        path.setdefault(row, []).append(f"M{x:.1f} {4 + row * pitch + 1}v{pitch - 3}")
    parts = [
        f'<path d="{"".join(d)}" stroke="{PALETTE[row % len(PALETTE)]}" stroke-width="1.2"/>'
        for row, d in path.items()
    ]
    parts += [
        _label(_LEFT - 6, 4 + i * pitch + pitch - 4, label) for i, label in enumerate(rows.labels)
    ]
    return _svg(4 + count * pitch, parts, chunk)


def _frames(chunk: Chunk) -> str:
    n = len(chunk.data)
    shown = spread(n, _MAX_FRAMES)
    height = 200 if len(shown) == 1 else 96
    parts = []
    for i in shown:
        image = to_rgb(chunk, i, height)
        since = (chunk.axis.at(i) - chunk.start) / 1e9
        parts.append(
            f'<figure style="display:inline-block;margin:4px 6px 0 0">'
            f'<img src="{data_url(image)}" alt="sample {i}" '
            f'style="max-height:{height}px;max-width:200px"/>'
            f'<figcaption style="font-size:11px;opacity:.7">#{chunk[i : i + 1].index}, '
            f"{since:.4g} s</figcaption></figure>"
        )
    return f"<div>{''.join(parts)}</div>" + (_raster(chunk) if n > 1 or chunk.gaps else "")


# -- the frame --------------------------------------------------------------------------------


def _label(x: float, y: float, text: str, *, anchor: str = "end", color: str = "") -> str:
    style = f'fill="{color}" font-weight="600"' if color else 'fill="currentColor" opacity=".75"'
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="10" {style}>{escape(text)}</text>'


def _svg(height: float, parts: list[str], chunk: Chunk) -> str:
    low, high = span(chunk)
    wide = _WIDTH - _LEFT
    back = []
    for start, end, gap in shown_gaps(chunk, low, high):
        x = _LEFT + wide * (start - low) / (high - low)
        width = max(2.0, wide * (end - start) / (high - low))
        back.append(
            f'<rect x="{min(x, _WIDTH - width):.1f}" y="2" width="{width:.1f}" '
            f'height="{height:.0f}" fill="{_GAP_COLOR}" opacity=".22">'
            f"<title>{escape(str(gap))}</title></rect>"
        )
    ticks = [f'<path d="M{_LEFT} {height + 2:.0f}H{_WIDTH}" stroke="currentColor" opacity=".4"/>']
    for at, text in _ticks((low - chunk.start) / 1e9, (high - chunk.start) / 1e9):
        x = _LEFT + wide * (at - (low - chunk.start) / 1e9) * 1e9 / (high - low)
        ticks.append(f'<path d="M{x:.1f} {height + 2:.0f}v4" stroke="currentColor" opacity=".4"/>')
        anchor = "end" if x > _WIDTH - 20 else "start" if x < _LEFT + 8 else "middle"
        ticks.append(_label(x, height + 16, text, anchor=anchor))
    inside = "".join(back + parts + ticks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height + 20:.0f}" '
        f'style="display:block;width:100%;max-width:{_WIDTH}px">{inside}</svg>'
    )


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return about six round numbers of seconds since the start, each with its label."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    scales = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    unit, name = next(scale for scale in scales if high - low >= scale[0] or scale[1] == "ns")
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [(k * step, f"{k * step / unit:.6g} {name}") for k in range(first, last + 1)]
