"""The picture of a saved moment: sound, pictures and CAN messages over one time axis."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.demo.inputs import TITLES
from rxstream.demo.scene import CAR
from rxstream.demo.story import Moment
from rxstream.formats.can_decode import Decoder
from rxstream.display.reduce import PALETTE
from rxstream.optional import import_optional

__all__ = ["draw_moment"]

_WIDTH, _INNER = 13.0, 12.1  # of the figure, and of what is inside the axes [inch]
_COLUMNS = 1500
_PICTURES = 12
_KINDS = 6  # of CAN messages, where they are not decoded
_EVENT, _GAP = "#c1121f", "#d55e00"


def draw_moment(path: Path, moment: Moment, chunks: Mapping[str, Chunk]) -> None:
    """Write the picture of a moment.

    Parameters
    ----------
    path
        Of the PNG.
    moment
        When and what it was.
    chunks
        What each device gave then, by its key.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    heights = [_height(key, chunk) for key, chunk in chunks.items()]
    figure = import_optional("matplotlib.figure", extra="plot").Figure(
        figsize=(_WIDTH, sum(heights) + 0.3 * len(heights) + 1.0), layout="constrained"
    )
    rows = figure.subplots(
        len(chunks), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    span = (moment.start - moment.event) / 1e9, (moment.end - moment.event) / 1e9
    for axes, (key, chunk) in zip(rows, chunks.items(), strict=True):
        _DRAWINGS[key](axes, chunk, moment, span)
        _mark_gaps(axes, chunk, moment, span)
        axes.axvline(0.0, color=_EVENT, lw=1.5, ls="--")
        title = "camera (▲ when each picture was taken)" if key == "camera" else TITLES[key]
        axes.set_title(title, loc="left", fontsize="medium")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    rows[0].annotate(
        "the event", (0.0, 1.0), (4, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=_EVENT,
    )  # fmt: skip
    rows[-1].set_xlim(*span)
    rows[-1].set_xlabel("time from the event [s]")
    when = np.datetime64(moment.event, "ns").astype("datetime64[ms]")
    figure.suptitle(
        f"{moment.what[0].upper()}{moment.what[1:]} at {str(when).replace('T', ' ')} UTC, and the "
        f"{-span[0]:.1f} s before it, which were still there",
        fontsize="large",
    )
    figure.savefig(path, dpi=100)


def _height(key: str, chunk: Chunk) -> float:
    """Return the height of a row [inch]; pictures keep their proportions."""
    if key != "camera" or not len(chunk):
        return 2.1
    height, width = chunk.data.shape[1:3]
    return min(2.5, max(0.4, _INNER / _PICTURES * float(height) / float(width)))


def _seconds(chunk: Chunk, moment: Moment) -> NDArray[np.float64]:
    seconds: NDArray[np.float64] = (chunk.time - moment.event) / 1e9
    return seconds


def _sound(axes: Any, chunk: Chunk, moment: Moment, span: tuple[float, float]) -> None:
    """Draw the band between the least and the greatest value of each column."""
    values = (chunk.data[:, 0] if chunk.data.ndim > 1 else chunk.data).astype(np.float64)
    edges = np.linspace(*span, _COLUMNS + 1)
    cuts = np.searchsorted(_seconds(chunk, moment), edges)
    low, high = np.full(_COLUMNS, np.nan), np.full(_COLUMNS, np.nan)
    for k in np.flatnonzero(np.diff(cuts)).tolist():
        part = values[cuts[k] : cuts[k + 1]]
        low[k], high[k] = part.min(), part.max()
    axes.fill_between(edges[:-1], low, high, color=PALETTE[0], lw=0.6, step="post")
    unit = {"FS": "of full scale", "": "value"}.get(chunk.info.unit, chunk.info.unit)
    axes.set_ylabel(f"sound [{unit}]" if unit != "value" else "sound")
    most = float(np.nanmax(np.abs(values), initial=0.01))
    axes.set_ylim(-1.1 * most, 1.1 * most)


def _strip(axes: Any, chunk: Chunk, moment: Moment, span: tuple[float, float]) -> None:
    """Put pictures where they belong in time, each in the middle of its place."""
    seconds = _seconds(chunk, moment)
    width = (span[1] - span[0]) / _PICTURES
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([])
    axes.set_ylabel("pictures")
    for k in range(_PICTURES):
        begin = span[0] + k * width
        i, j = np.searchsorted(seconds, (begin, begin + width)).tolist()
        here = [gap.between(*_host(moment, begin, width)).duration for gap in chunk.gaps]
        missing = sum(max(0.0, duration) for duration in here)
        if i == j or missing > width / 2:
            continue  # the place stays empty
        # the first one after the event shows it best
        middle = i if begin - 1e-6 <= 0.0 < begin + width / 2 else (i + j) // 2
        picture = chunk.data[middle]
        if picture.ndim == 3:
            picture = picture if chunk.info.channels[:1] == ("r",) else picture[..., ::-1]
        axes.imshow(
            picture, extent=(begin + 0.02 * width, begin + 0.98 * width, 0.0, 1.0),
            aspect="auto", interpolation="antialiased", cmap="gray",
        )  # fmt: skip
        axes.plot(
            seconds[middle], 0.03, marker="^", color="white", mec="black", ms=6, clip_on=False
        )


def _host(moment: Moment, begin: float, width: float) -> tuple[int, int]:
    """Return the host times [ns] of a place that begins so many seconds from the event."""
    start = moment.event + round(begin * 1e9)
    return start, start + round(width * 1e9)


def _bus(axes: Any, chunk: Chunk, moment: Moment, span: tuple[float, float]) -> None:
    """Draw the engine's speed of the twin; of a real bus, when which message came."""
    seconds = _seconds(chunk, moment)
    if chunk.info.extra.get("simulated"):
        speeds = Decoder(CAR, ["EngineSpeed"]).decode(chunk.data)["EngineSpeed"]
        known = ~np.isnan(speeds)
        axes.plot(seconds[known], speeds[known], color=PALETTE[2], lw=1.5)
        axes.set_ylabel("engine speed [1/min]")
        axes.set_ylim(0.0, 1.1 * float(speeds[known].max(initial=1.0)))
        return
    kinds, counts = np.unique(chunk.data["arbitration_id"], return_counts=True)
    shown = np.sort(kinds[np.argsort(-counts)[:_KINDS]])
    for row, kind in enumerate(shown.tolist()):
        here = seconds[chunk.data["arbitration_id"] == kind]
        axes.vlines(here, row - 0.4, row + 0.4, color=PALETTE[row % len(PALETTE)], lw=0.8)
    axes.set_yticks(range(len(shown)), [f"0x{kind:X}" for kind in shown.tolist()])
    axes.set_ylabel("message")


def _line(axes: Any, chunk: Chunk, moment: Moment, span: tuple[float, float]) -> None:
    axes.plot(_seconds(chunk, moment), chunk.data, color=PALETTE[3], lw=1)
    axes.set_ylabel(f"value [{chunk.info.unit}]")


def _mark_gaps(axes: Any, chunk: Chunk, moment: Moment, span: tuple[float, float]) -> None:
    for gap in chunk.gaps:
        start = max(span[0], (gap.start - moment.event) / 1e9)
        end = min(span[1], (gap.end - moment.event) / 1e9)
        if end <= start:
            continue
        axes.axvspan(start, end, color=_GAP, alpha=0.2, lw=0, zorder=-1)
        why = "unplugged" if gap.reason == "disconnect" else gap.reason
        if end - start > 0.05 * (span[1] - span[0]):
            count = "" if gap.lost is None else f"\n{gap.lost} samples lost"
            axes.text(
                (start + end) / 2, 0.5, why + count, ha="center", va="center", fontsize="small",
                transform=axes.get_xaxis_transform(),
                bbox={"facecolor": "white", "alpha": 0.7, "lw": 0},
            )  # fmt: skip


_DRAWINGS = {"microphone": _sound, "camera": _strip, "can": _bus, "sensor": _line}
