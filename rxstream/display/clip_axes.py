"""The streams of a clip on matplotlib axes, one below the other over one time axis."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.display.axes import (
    TimeScale,
    draw_numbers,
    label_of,
    literal,
    mark_interval,
    new_figure,
    shade_gaps,
)
from rxstream.display.reduce import event_rows, kind_of, to_rgb
from rxstream.errors import ParameterError
from rxstream.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_clip"]

# Size of a new figure: its width, that of the axes in it, and the height of a row [inch].
_WIDTH, _INNER_WIDTH, _ROW_HEIGHT = 13.0, 12.1, 2.1
# Height of a row of frames [inch]; in between they keep their proportions.
_MIN_STRIP, _MAX_STRIP = 0.4, 2.5
# Height of a row of events for each kind, of which a raster has up to twelve [inch].
_KIND_HEIGHT = 0.25
# Frames across a new figure: large enough to see what happens, often enough to see when.
_FRAMES = 12
# Limit of frames across axes of any proportions; each is an image of its own.
_MAX_FRAMES = 40
# Share of the clip between two events that both have room for a label.
_LABEL_WIDTH = 0.08
_EVENT_COLOR, _MISSING_COLOR = "#c1121f", "#bbbbbb"


def plot_clip(clip: Clip, axes: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
    """Draw all streams of a clip over one time axis, one below the other.

    Numbers are lines, of many samples the band between minimum and maximum; messages and other
    events are rasters; frames stand in a strip at the time they were taken. Events are dashed
    lines, gaps are shaded, and what is `Clip.missing` is hatched and says why.

    Parameters
    ----------
    clip
        A clip.
    axes
        Axes to draw on: one for each stream, in their order, then one for each stream that is
        missing as a whole. Default: those of a new figure, as for `Chunk.plot`.

    Returns
    -------
    axes
        The axes; ``axes[0].figure.savefig(...)`` stores the figure. Times are seconds from the
        first event, or from the start of a clip without events.

    Raises
    ------
    ParameterError
        If the number of axes is another.
    MissingExtraError
        If matplotlib is not installed.
    """
    import_optional("matplotlib", extra="plot")
    names = list(dict.fromkeys([*clip.streams, *(part.stream for part in clip.missing)])) or [""]
    chunks = [_named(clip.streams.get(name), name) for name in names]
    rows = _new_axes(chunks) if axes is None else np.ravel(np.asarray(axes, object)).tolist()
    if len(rows) != len(names):
        msg = f"plot needs {len(names)} axes, for {', '.join(names)}, not {len(rows)}"
        raise ParameterError(msg)
    origin = clip.times[0] if clip.times else clip.start
    # an axis has a length, also of a clip of one instant
    shown = clip.start, max(clip.end, clip.start + 1)
    scale: TimeScale = lambda times: (times - origin) / 1e9  # noqa: E731
    for name, chunk, ax in zip(names, chunks, rows, strict=True):
        if chunk is None or not len(chunk):
            ax.set_yticks([])
            ax.set_ylabel(literal(name))
        elif kind_of(chunk) == "images":
            # The layout of a new figure is not known before it is drawn, its plan is.
            box = ax.get_window_extent()
            size = (_INNER_WIDTH, _height(chunk)) if axes is None else (box.width, box.height)
            _filmstrip(chunk, ax, clip, scale, size)
        else:
            draw_numbers(chunk, ax, scale)
        if chunk is not None:
            shade_gaps(chunk, ax, shown, scale)
        for part in clip.missing:
            if part.stream == name:
                mark_interval(
                    ax, (part.start, part.end), shown, scale, f"missing: {part.reason}",
                    facecolor="none", edgecolor=_MISSING_COLOR, hatch="//", lw=0,
                )  # fmt: skip
        _mark_events(clip, ax, scale)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlim(*scale(np.array(shown)).tolist())
    _label_events(clip, rows[0], scale)
    begin = str(np.datetime64(origin, "ns").astype("datetime64[ms]")).replace("T", " ")
    what = "the start" if not clip.times else "the event" if len(clip.times) == 1 else "event 1"
    rows[-1].set_xlabel(f"time from {what} at {begin} UTC [s]")
    return rows


def _named(chunk: Chunk | None, name: str) -> Chunk | None:
    """Return a chunk under the name that its stream has in the clip."""
    return chunk and chunk.with_data(chunk.data, replace(chunk.info, name=name))


def _new_axes(chunks: Sequence[Chunk | None]) -> "list[Axes]":
    heights = [_height(chunk) for chunk in chunks]
    figure = new_figure(_WIDTH, sum(heights) + 0.3 * len(heights) + 0.7)
    rows = figure.subplots(
        len(chunks), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return list(rows[:, 0])


def _height(chunk: Chunk | None) -> float:
    """Return the height of a row [inch]."""
    if chunk is None or not len(chunk):
        return _ROW_HEIGHT / 2
    if kind_of(chunk) == "images":
        height, width = chunk.shape[1:3]
        return min(_MAX_STRIP, max(_MIN_STRIP, _INNER_WIDTH / _FRAMES * height / width))
    if kind_of(chunk) == "events":
        return _KIND_HEIGHT * (2 + len(event_rows(chunk).labels))
    return _ROW_HEIGHT


def _filmstrip(
    chunk: Chunk, ax: "Axes", clip: Clip, scale: TimeScale, size: tuple[float, float]
) -> None:
    """Draw frames where they lie in time, as many as fit side by side into axes of a size.

    Of each interval it is the one in the middle, or the first one at or after an event.
    """
    height, width = chunk.shape[1:3]
    count = min(max(1, round(size[0] / (size[1] * width / height))), _MAX_FRAMES)
    edges = [clip.start + (clip.end - clip.start) * k // count for k in range(count + 1)]
    events = [chunk.axis.find(time) for time in clip.times]
    for start, end in pairwise(edges):
        i, j = chunk.axis.find(start), chunk.axis.find(end)
        if i == j:
            continue
        k = next((event for event in events if i <= event < j), (i + j) // 2)
        low, taken, high = scale(np.array([start, chunk.axis.at(k), end])).tolist()
        space = 0.02 * (high - low)
        ax.imshow(
            to_rgb(chunk, k), extent=(low + space, high - space, 0.0, 1.0), aspect="auto",
            interpolation="antialiased",
        )  # fmt: skip
        ax.plot(taken, 0.03, marker="^", color="white", mec="black", ms=6, clip_on=False)
    ax.set_ylim(0.0, 1.0)
    ax.set_yticks([])
    ax.set_ylabel(label_of(chunk))
    ax.set_title("▲ when each frame was taken", loc="right", fontsize="small")


def _mark_events(clip: Clip, ax: "Axes", scale: TimeScale) -> None:
    """Draw a line at each event, and shade those that last."""
    # A line from bottom to top must not widen the axis.
    low, high = ax.get_ylim()
    across: Any = ax.get_xaxis_transform()
    ax.vlines(
        scale(np.array(clip.times, np.int64)), 0, 1, transform=across, color=_EVENT_COLOR,
        lw=1.5, ls="--",
    )  # fmt: skip
    lasting = [event for event in clip.events if isinstance(event, Chunk) and len(event) > 1]
    starts = scale(np.array([event.start for event in lasting], np.int64)).tolist()
    bars = [(start, event.duration) for start, event in zip(starts, lasting, strict=True)]
    ax.broken_barh(bars, (0, 1), transform=across, color=_EVENT_COLOR, alpha=0.1, lw=0)
    ax.set_ylim(low, high)


def _label_events(clip: Clip, ax: "Axes", scale: TimeScale) -> None:
    """Write above the axes what the events are, as far as there is room."""
    free = clip.start
    for event, time in zip(clip.events, clip.times, strict=True):
        if not free <= time < clip.end:
            continue
        text = event.info.name if isinstance(event, Chunk) else str(event)
        ax.annotate(
            literal(text, 24), (float(scale(np.array(time))), 1.0),
            (4, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=_EVENT_COLOR,
        )  # fmt: skip
        free = time + round(_LABEL_WIDTH * (clip.end - clip.start))
