"""A chunk on matplotlib axes."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
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
from rxstream.optional import import_optional
from rxstream.printable import MAX_NAME, counted, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "TimeScale", "draw_numbers", "label_of", "literal", "mark_interval", "new_figure", "plot_chunk",
    "shade_gaps",
]  # fmt: skip

TimeScale: TypeAlias = Callable[[NDArray[np.int64]], NDArray[Any]]
"""Positions on the x axis of times [ns]."""

# Points across an axis: about twice the pixels of a wide figure, so that no edge looks ragged.
_COLUMNS = 2000
# Lines in one axis; more channels become a map of colors.
_MAX_LINES = 8
# Rows of a map that have room for a label each.
_MAX_LABELS = 24
# Frames side by side that are still large enough to recognize something.
_MAX_FRAMES = 6
# Share of the axis that an interval must take to have room for a text.
_MIN_LABELED = 0.05
_GAP_COLOR = "#d55e00"


def plot_chunk(chunk: Chunk, ax: "Axes | None" = None) -> "Axes":
    """Draw a chunk with matplotlib.

    Numbers become lines over UTC time, so that chunks of several devices can share an axis; of
    long chunks, the band between minimum and maximum. More than eight channels become a map of
    colors, events a raster with a row for each kind, images a strip of up to six. Gaps are shaded.
    Numbers beyond 1e300 are drawn there, infinite ones not at all.

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
        The axes; ``ax.figure.savefig(...)`` stores the figure.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    import_optional("matplotlib", extra="plot")
    if ax is None:
        ax = new_figure(9, 3).add_subplot()
    if len(chunk) and kind_of(chunk) == "images":
        _strip(chunk, ax)
        return ax
    if len(chunk):
        draw_numbers(chunk, ax, _utc)
    else:
        _nothing(chunk, ax)
    shade_gaps(chunk, ax, span(chunk), _utc)
    _utc_axis(ax)
    return ax


def new_figure(width: float, height: float) -> "Figure":
    """Return a figure of a size [inch]; one of pyplot's where pyplot is in use."""
    if "matplotlib.pyplot" in sys.modules or _in_notebook():
        pyplot = import_optional("matplotlib.pyplot", extra="plot")
        return cast("Figure", pyplot.figure(figsize=(width, height), layout="constrained"))
    figure = import_optional("matplotlib.figure", extra="plot")
    return cast("Figure", figure.Figure(figsize=(width, height), layout="constrained"))


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def draw_numbers(chunk: Chunk, ax: "Axes", scale: TimeScale) -> None:
    """Draw lines, a map of colors, or a raster of events, whichever fits; no images."""
    if kind_of(chunk) == "events":
        _raster(chunk, ax, scale)
    elif count_lines(chunk) > _MAX_LINES:
        _map(chunk, ax, scale)
    else:
        _lines(chunk, ax, scale)


def literal(text: str, most: int = MAX_NAME) -> str:
    r"""Return a text that matplotlib draws as it is: no mathematics, no hidden label.

    Examples
    --------
    >>> literal("a$b_{$"), literal("_x\n")
    ('a\\$b_{\\$', ' _x\\n')
    """
    text = printable(text, most).replace("$", r"\$")
    # a label that begins with _ is left out of legends
    return f" {text}" if text.startswith("_") else text


def label_of(chunk: Chunk) -> str:
    """Return name and unit of a stream."""
    name, unit = literal(chunk.info.name), literal(chunk.info.unit)
    return f"{name} [{unit}]" if unit else name


def _nothing(chunk: Chunk, ax: "Axes") -> None:
    ax.plot(_utc(np.array(span(chunk))), [0.0, 0.0], alpha=0)
    ax.text(
        0.5, 0.5, f"{literal(chunk.info.name)}: no samples", ha="center", transform=ax.transAxes
    )
    ax.set_yticks([])


def _lines(chunk: Chunk, ax: "Axes", scale: TimeScale) -> None:
    shown = lines(chunk, _MAX_LINES)
    for label, values in shown:
        line = envelope(chunk, values, _COLUMNS)
        # The colors go on where other chunks have been drawn on the same axes.
        color = PALETTE[len(ax.get_lines()) % len(PALETTE)]
        _line(chunk, ax, scale, line, literal(label), color)
    if len(shown) > 1 or ax.get_legend() is not None:
        ax.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=_MAX_LINES, fontsize="small",
            frameon=False, borderaxespad=0.1,
        )  # fmt: skip
    ax.set_ylabel(label_of(chunk))


def _line(
    chunk: Chunk, ax: "Axes", scale: TimeScale, line: Envelope, label: str, color: str
) -> None:
    low, high = span(chunk)
    offsets = np.rint(line.x * (high - low)).astype(np.int64)
    # A NaN between the pieces interrupts the line at a gap.
    inner = line.ends[:-1]
    times = scale(np.insert(offsets + low, inner, offsets[inner] + low))
    upper, lower = np.insert(line.high, inner, np.nan), np.insert(line.low, inner, np.nan)
    if line.exact:
        marker = "." if len(times) <= 100 or _has_single_points(line) else ""
        ax.plot(times, upper, color=color, lw=1, marker=marker, ms=4, label=label)
        return
    ax.fill_between(times, lower, upper, color=color, lw=0.5)
    # of -inf and inf there is no middle
    with np.errstate(invalid="ignore"):
        ax.plot(times, upper / 2 + lower / 2, color=color, lw=1, label=label)


def _has_single_points(line: Envelope) -> bool:
    """Return whether gaps leave single points, which a line does not show."""
    return bool((np.diff([0, *line.ends]) == 1).any())


def _map(chunk: Chunk, ax: "Axes", scale: TimeScale) -> None:
    shown = lines(chunk, count_lines(chunk))
    low, high = span(chunk)
    columns = min(_COLUMNS, max(1, len(chunk)))
    image = np.full((len(shown), columns), np.nan)
    for row, (_, values) in zip(image, shown, strict=True):
        line = envelope(chunk, values, columns)
        column = np.minimum((line.x * columns).astype(int), columns - 1)
        with np.errstate(invalid="ignore"):
            row[column] = line.low / 2 + line.high / 2
    edges = scale((low + np.arange(columns + 1) * ((high - low) / columns)).astype(np.int64))
    mesh = ax.pcolormesh(edges, np.arange(len(shown) + 1) - 0.5, image, cmap="viridis")
    ax.figure.colorbar(mesh, ax=ax, label=label_of(chunk), pad=0.01)
    ax.set_ylabel("channel")
    if len(shown) <= _MAX_LABELS and chunk.info.channels:
        ax.set_yticks(range(len(shown)), [literal(label) for label, _ in shown])


def _raster(chunk: Chunk, ax: "Axes", scale: TimeScale) -> None:
    rows = event_rows(chunk)
    times = scale(chunk.time)
    count = max(1, len(rows.labels))
    for row in range(count):
        here = times[rows.row == row]
        ax.vlines(here, row - 0.4, row + 0.4, color=PALETTE[row % len(PALETTE)], lw=1)
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_yticks(range(len(rows.labels)), [literal(label) for label in rows.labels])
    name, field = literal(chunk.info.name), literal(rows.field)
    ax.set_ylabel(f"{name}: {field}" if field else name)


def _strip(chunk: Chunk, ax: "Axes") -> None:
    n = len(chunk)
    shown = spread(n, _MAX_FRAMES)
    frames = [to_rgb(chunk, i) for i in shown]
    height, width = frames[0].shape[:2]
    space = max(2, width // 40) if n > 1 else 0
    sheet = np.full((height, len(shown) * (width + space) - space, 3), 255, np.uint8)
    for k, frame in enumerate(frames):
        sheet[:, k * (width + space) : k * (width + space) + width] = frame
    ax.imshow(sheet, interpolation="antialiased")
    ax.set_yticks([])
    labels = [
        f"#{chunk[i : i + 1].index}\n{(chunk.axis.at(i) - chunk.start) / 1e9:+.4g} s" for i in shown
    ]
    ax.set_xticks([k * (width + space) + width / 2 for k in range(len(shown))], labels)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    start = str(np.datetime64(chunk.start, "ns").astype("datetime64[ms]")).replace("T", " ")
    count = "1 frame" if n == 1 else f"{n} frames"
    lost = f", {chunk.lost} lost" if chunk.gaps else ""
    ax.set_title(f"{literal(chunk.info.name)}: {count} from {start} UTC{lost}", fontsize="medium")


def shade_gaps(chunk: Chunk, ax: "Axes", shown: tuple[int, int], scale: TimeScale) -> None:
    """Shade the gaps of a chunk on axes that show an interval [ns]."""
    for start, end, gap in shown_gaps(chunk, *shown):
        lost = "" if gap.lost is None else f"\n{counted(gap.lost, 'sample')} lost"
        mark_interval(
            ax, (start, end), shown, scale, gap.reason + lost, color=_GAP_COLOR, alpha=0.2, lw=0.8
        )


def mark_interval(
    ax: "Axes",
    interval: tuple[int, int],
    shown: tuple[int, int],
    scale: TimeScale,
    text: str,
    **style: Any,
) -> None:
    """Mark an interval [ns] over the height of the axes; with a text, if there is room for it."""
    start, end = interval
    low, middle, high = scale(np.array([start, (start + end) // 2, end]))
    ax.axvspan(low, high, **style)
    if end - start > _MIN_LABELED * (shown[1] - shown[0]):
        ax.text(
            middle, 0.5, text, ha="center", va="center", fontsize="small", clip_on=True,
            transform=ax.get_xaxis_transform(), bbox={"facecolor": "white", "alpha": 0.7, "lw": 0},
        )  # fmt: skip


def _utc(times: NDArray[np.int64]) -> NDArray[Any]:
    return times.astype("datetime64[ns]")


def _utc_axis(ax: "Axes") -> None:
    dates = import_optional("matplotlib.dates", extra="plot")
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
