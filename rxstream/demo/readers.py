"""The three readers of each device: one stores, one analyses, one shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
from reactivex.operators import do_action

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.demo.analysis import Analysis, analysis_of, decibels
from rxstream.demo.inputs import Input
from rxstream.sinks import Sink, callback, can_log, csv, video, wav

__all__ = ["JOBS", "Readers", "start_readers"]

JOBS = "storing", "analysing", "showing"
"""Names of the readers, also in `Device.stats`."""

_STORES: dict[str, tuple[str, Callable[[Path], Sink], str]] = {
    "microphone": ("microphone.wav", wav, "samples"),
    "camera": ("camera.avi", video, "frames"),
    "can": ("can.blf", can_log, "messages"),
    "sensor": ("sensor.csv", csv, "values"),
}
_BLOCKS = " ▁▂▃▄▅▆▇█"
# Width of what is shown in the live table [characters].
_WIDTH = 20
# Level at the left end of the bar of the microphone [dB].
_QUIET = -60.0


@dataclass
class Readers:
    """The readers of one device, by their jobs."""

    input: Input
    path: Path
    """File of the storing reader."""
    analysis: Analysis
    sinks: dict[str, Sink] = field(default_factory=dict)
    shown: str = ""
    """One line to show, replaced by the showing reader."""
    gaps: list[Gap] = field(default_factory=list)
    """All gaps of the storing reader; the window may have forgotten the first."""
    lags: dict[str, float] = field(default_factory=lambda: dict.fromkeys(JOBS, 0.0))
    """Greatest lag of each reader so far [s]."""
    skipped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(JOBS, 0))
    """Samples that each reader missed because it was too slow."""
    gone: bool = False
    """True if the device was lost, and had not come back at the end."""

    @property
    def stored(self) -> str:
        """Content of the file, in words."""
        sink, rate = self.sinks["storing"], self.input.device.info.rate
        size = f"{self.path.stat().st_size / 1e6:.2g} MB" if self.path.exists() else "no file"
        if isinstance(sink, wav) and rate:
            silence = sink.filled / rate
            lost = f" and {silence:.1f} s of silence where lost" if silence else ""
            return f"{sink.samples / rate:.1f} s of sound{lost}, {size}"
        return f"{sink.samples} {_STORES[self.input.key][2]}, {size}"

    def is_slow(self, job: str) -> bool:
        """Return whether a reader is slow on purpose."""
        return (self.input.key, job) == ("camera", "analysing")

    def watch(self) -> None:
        """Note how far each reader is behind."""
        for now in self.input.device.stats().subscribers:
            if now.name in self.sinks:
                self.lags[now.name] = max(self.lags[now.name], now.lag)
                self.skipped[now.name] = now.lost


def start_readers(source: Input, folder: Path, *, slow: float, hurry: Event) -> Readers:
    """Let three readers read a device from its first sample on.

    Parameters
    ----------
    source
        The device, open.
    folder
        Folder of the file.
    slow, hurry
        As for `analysis_of`.
    """
    name, store, _ = _STORES[source.key]
    analyse, analysis = analysis_of(source, slow, hurry)
    readers = Readers(source, folder / name, analysis)
    draw = _DRAWINGS[source.key]

    def show(chunk: Chunk) -> None:
        if len(chunk):
            readers.shown = draw(chunk)

    def note_gaps(chunk: Chunk) -> None:
        readers.gaps.extend(chunk.gaps)

    storing, analysing, showing = store(readers.path), callback(analysis), callback(show)
    readers.sinks = {"storing": storing, "analysing": analysing, "showing": showing}
    # The device is open already; its window is the queue, so nothing has been missed.
    stream = source.device.rewind(to=0)
    stream.pipe(ops.on_lag("gap", name="storing"), do_action(note_gaps)).subscribe(storing)
    stream.pipe(ops.on_lag("gap", name="analysing"), analyse).subscribe(analysing)
    stream.pipe(ops.latest(name="showing")).subscribe(showing)
    return readers


def _sound(chunk: Chunk) -> str:
    level = float(decibels(np.sqrt(np.mean(np.square(chunk.data, dtype=np.float64)))))
    bar = "▇" * round(max(0.0, 1.0 - level / _QUIET) * (_WIDTH - 8))
    return f"{bar:<{_WIDTH - 8}} {level:4.0f} dB"


def _brightness(chunk: Chunk) -> str:
    """Return the brightness of the columns of the newest frame, below its middle."""
    frame = chunk.data[-1]
    rows = frame[frame.shape[0] // 2 :: 8]
    columns = rows.mean(axis=(0, *range(2, rows.ndim)))
    parts = np.array([part.mean() for part in np.array_split(columns, _WIDTH)])
    return "".join(_BLOCKS[int(value / 256 * len(_BLOCKS))] for value in parts)


def _message(chunk: Chunk) -> str:
    message = chunk.data[-1]
    data = bytes(message["data"][: min(4, int(message["dlc"]))]).hex(" ")
    return f"0x{int(message['arbitration_id']):X}: {data}"


def _value(chunk: Chunk) -> str:
    return f"{float(chunk.data[-1]):+.3f} {chunk.info.unit}"


_DRAWINGS: dict[str, Callable[[Chunk], str]] = {
    "microphone": _sound, "camera": _brightness, "can": _message, "sensor": _value,
}  # fmt: skip
