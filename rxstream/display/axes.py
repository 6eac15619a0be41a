"""A chunk on matplotlib axes."""

import sys
from typing import Any

import numpy as np

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
    to_picture,
)
from rxstream.optional import import_optional

__all__ = ["plot_chunk"]

_COLUMNS = 2000
_LINES = 8
_PICTURES = 6
_GAP = "#d55e00"


def plot_chunk(chunk: Any, ax: Any = None) -> Any:
    """Draw a chunk with matplotlib.

    Numbers become lines over UTC time, so that chunks of several devices can share an axis; of
    long chunks, the band between the least and the greatest value. More than eight channels
    become a map of colors, events a raster with a row for each kind, pictures a strip of up to
    six. Gaps are shaded.

    Parameters
    ----------
    chunk
        A chunk.
    ax
        Axes to draw on; by default those of a new figure. It is one of pyplot's where pyplot is in
        use (in a notebook, say) and a plain ``Figure`` elsewhere, so no display is needed.

    Returns
    -------
    ax
        The axes; ``ax.figure.savefig(...)`` stores the picture.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    import_optional("matplotlib", extra="plot")
    if ax is None:
        ax = _new_axes()
    if not len(chunk.data):
        _nothing(chunk, ax)
    elif kind_of(chunk) == "images":
        _strip(chunk, ax)
        return ax
    elif kind_of(chunk) == "events":
        _raster(chunk, ax)
    elif count_lines(chunk) > _LINES:
        _map(chunk, ax)
    else:
        _lines(chunk, ax)
    _time_axis(chunk, ax)
    return ax


def _new_axes() -> Any:
    if "matplotlib.pyplot" in sys.modules or _in_notebook():
        pyplot = import_optional("matplotlib.pyplot", extra="plot")
        return pyplot.subplots(figsize=(9, 3), layout="constrained")[1]
    figure = import_optional("matplotlib.figure", extra="plot")
    return figure.Figure(figsize=(9, 3), layout="constrained").add_subplot()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def _nothing(chunk: Any, ax: Any) -> None:
    ax.plot(np.array(span(chunk), np.int64).astype("datetime64[ns]"), [0.0, 0.0], alpha=0)
    ax.text(0.5, 0.5, f"{chunk.info.name}: no samples", ha="center", transform=ax.transAxes)
    ax.set_yticks([])


def _lines(chunk: Any, ax: Any) -> None:
    shown = lines(chunk, _LINES)
    for label, values in shown:
        line = envelope(chunk, values, _COLUMNS)
        color = PALETTE[len(ax.get_lines()) % len(PALETTE)]  # goes on where others have drawn
        _line(chunk, ax, line, label, color)
    if len(shown) > 1 or ax.get_legend() is not None:
        ax.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=_LINES, fontsize="small",
            frameon=False, borderaxespad=0.1,
        )  # fmt: skip
    unit = f" [{chunk.info.unit}]" if chunk.info.unit else ""
    ax.set_ylabel(f"{chunk.info.name}{unit}")


def _line(chunk: Any, ax: Any, line: Envelope, label: str, color: str) -> None:
    low, high = span(chunk)
    offsets = np.rint(line.x * (high - low)).astype(np.int64)
    inner = line.ends[:-1]  # a NaN between the pieces tears the line
    times = np.insert(offsets + low, inner, offsets[inner] + low).astype("datetime64[ns]")
    upper, lower = np.insert(line.high, inner, np.nan), np.insert(line.low, inner, np.nan)
    if line.exact:
        marker = "." if len(times) <= 100 or _mostly_alone(line) else ""
        ax.plot(times, upper, color=color, lw=1, marker=marker, ms=4, label=label)
        return
    ax.fill_between(times, lower, upper, color=color, lw=0.5)
    ax.plot(times, (upper + lower) / 2, color=color, lw=1, label=label)


def _mostly_alone(line: Envelope) -> bool:
    """Return whether gaps leave single points, which a line does not show."""
    return bool((np.diff([0, *line.ends]) == 1).any())


def _map(chunk: Any, ax: Any) -> None:
    shown = lines(chunk, count_lines(chunk))
    low, high = span(chunk)
    columns = min(_COLUMNS, max(1, len(chunk.data)))
    picture = np.full((len(shown), columns), np.nan)
    for row, (_, values) in zip(picture, shown, strict=True):
        line = envelope(chunk, values, columns)
        place = np.minimum((line.x * columns).astype(int), columns - 1)
        row[place] = (line.low + line.high) / 2
    edges = (low + np.arange(columns + 1) * ((high - low) / columns)).astype("datetime64[ns]")
    mesh = ax.pcolormesh(edges, np.arange(len(shown) + 1) - 0.5, picture, cmap="viridis")
    unit = f" [{chunk.info.unit}]" if chunk.info.unit else ""
    ax.figure.colorbar(mesh, ax=ax, label=f"{chunk.info.name}{unit}", pad=0.01)
    ax.set_ylabel("channel")
    if len(shown) <= 24 and chunk.info.channels:
        ax.set_yticks(range(len(shown)), [label for label, _ in shown])


def _raster(chunk: Any, ax: Any) -> None:
    rows = event_rows(chunk)
    times = chunk.time.astype("datetime64[ns]")
    count = max(1, len(rows.labels))
    for row in range(count):
        here = times[rows.row == row]
        ax.vlines(here, row - 0.4, row + 0.4, color=PALETTE[row % len(PALETTE)], lw=1)
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_yticks(range(len(rows.labels)), rows.labels)
    ax.set_ylabel(f"{chunk.info.name}: {rows.field}" if rows.field else chunk.info.name)


def _strip(chunk: Any, ax: Any) -> None:
    n = len(chunk.data)
    shown = np.unique(np.linspace(0, n - 1, min(n, _PICTURES)).round().astype(int)).tolist()
    pictures = [to_picture(chunk, i) for i in shown]
    height, width = pictures[0].shape[:2]
    space = max(2, width // 40) if len(shown) > 1 else 0
    sheet = np.full((height, len(shown) * (width + space) - space, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        sheet[:, place * (width + space) : place * (width + space) + width] = picture
    ax.imshow(sheet, interpolation="antialiased")
    ax.set_yticks([])
    labels = [
        f"#{chunk[i : i + 1].index}\n{(chunk.axis.at(i) - chunk.start) / 1e9:+.4g} s" for i in shown
    ]
    ax.set_xticks([k * (width + space) + width / 2 for k in range(len(shown))], labels)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    start = str(np.datetime64(int(chunk.start), "ns").astype("datetime64[ms]")).replace("T", " ")
    count = "1 picture" if n == 1 else f"{n} pictures"
    lost = f", {chunk.lost} lost" if chunk.gaps else ""
    ax.set_title(f"{chunk.info.name}: {count} from {start} UTC{lost}", fontsize="medium")


def _time_axis(chunk: Any, ax: Any) -> None:
    dates = import_optional("matplotlib.dates", extra="plot")
    for start, end, _ in shown_gaps(chunk):
        edges = np.array([start, end], np.int64).astype("datetime64[ns]")
        ax.axvspan(*edges, color=_GAP, alpha=0.2, lw=0.8)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    formatter = dates.ConciseDateFormatter(
        locator,
        formats=["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S.%f"],
        zero_formats=["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M:%S"],
        offset_formats=["UTC", "UTC", "%Y UTC", *["%Y-%m-%d UTC"] * 3],
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.margins(x=0)
