"""The three readers of each device: one stores, one analyses, one shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeAlias

import numpy as np
from reactivex import Observable, compose
from reactivex.operators import do_action

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.demo.analysis import Analysis, Loudness, Motion, Swing, Traffic, decibels
from rxstream.demo.inputs import Input
from rxstream.demo.scene import CAR
from rxstream.sinks import Sink, callback, can_log, csv, video, wav

__all__ = ["Reader", "Readers", "start_readers"]

Operator: TypeAlias = Callable[[Observable[Chunk]], Observable[Chunk]]

_STORES: dict[str, tuple[str, Callable[[Path], Sink]]] = {
    "microphone": ("microphone.wav", wav),
    "camera": ("camera.avi", video),
    "can": ("can.blf", can_log),
    "sensor": ("sensor.csv", csv),
}
_NOUNS = {"microphone": "samples", "camera": "frames", "can": "messages", "sensor": "values"}
_BLOCKS = " ▁▂▃▄▅▆▇█"
# Width of what is shown in the live table [characters].
_WIDTH = 20
# The level at the left end of the bar of the microphone [dB].
_QUIET = -60.0


@dataclass
class Reader:
    """One subscriber of a device."""

    name: str
    """Its name in `SubscriberStats`."""
    sink: Sink
    slow: bool = False
    """True if it is slow on purpose."""
    lag: float = 0.0
    """Greatest lag so far [s]."""
    skipped: int = 0
    """Samples missed because it was too slow."""


@dataclass
class Readers:
    """The readers of one device."""

    input: Input
    path: Path
    """File of the storing reader."""
    analysis: Analysis
    store: Reader
    analyse: Reader
    show: Reader
    shown: list[str]
    """One line to show, replaced by the showing reader."""
    gaps: list[Gap] = field(default_factory=list)
    """All gaps of the storing reader; the window may have forgotten the first."""
    gone: bool = False
    """True if the device was lost, and had not come back at the end."""

    @property
    def all(self) -> tuple[Reader, Reader, Reader]:
        """The three."""
        return self.store, self.analyse, self.show

    @property
    def stored(self) -> str:
        """Content of the file, in words."""
        samples, rate = self.store.sink.samples, self.input.device.info.rate
        size = f"{self.path.stat().st_size / 1e6:.2g} MB" if self.path.exists() else "no file"
        if self.input.key == "microphone" and rate:
            silence = getattr(self.store.sink, "filled", 0) / rate
            lost = f" and {silence:.1f} s of silence where lost" if silence else ""
            return f"{samples / rate:.1f} s of sound{lost}, {size}"
        return f"{samples} {_NOUNS[self.input.key]}, {size}"

    def watch(self) -> None:
        """Note how far each reader is behind."""
        known = {reader.name: reader for reader in self.all}
        for now in self.input.device.stats().subscribers:
            reader = known.get(now.name)
            if reader is not None:
                reader.lag = max(reader.lag, now.lag)
                reader.skipped = now.lost


def start_readers(source: Input, folder: Path, *, slow: float, hurry: Event) -> Readers:
    """Let three readers read a device from its first sample on.

    Parameters
    ----------
    source
        The device, open.
    folder
        Folder of the file.
    slow
        Time that the analysis of a frame takes, in durations of a frame.
    hurry
        When set, it is slow no more.
    """
    name, make_sink = _STORES[source.key]
    draw = _DRAWINGS[source.key]
    shown, gaps = [""], list[Gap]()

    def show(chunk: Chunk) -> None:
        if len(chunk):
            shown[0] = draw(chunk)

    pipeline, analysis = _analysis(source, slow, hurry)
    note_gaps: Operator = do_action(lambda chunk: gaps.extend(chunk.gaps))
    return Readers(
        source,
        folder / name,
        analysis,
        _start(source, "store", note_gaps, make_sink(folder / name)),
        _start(source, "analyse", pipeline, callback(analysis)),
        _start(source, "show", _unchanged, callback(show)),
        shown,
        gaps,
    )


def _analysis(source: Input, slow: float, hurry: Event) -> tuple[Operator, Analysis]:
    """Return the operators of the analysing reader, and what takes their results."""
    if source.key == "microphone":
        return ops.rms(0.2, every=0.1), Loudness()
    if source.key == "camera":
        return _unchanged, Motion(slow, hurry)
    if source.key == "sensor":
        return ops.window_by_time(0.2), Swing()
    # Of a real bus there is no database.
    decode = ops.decode_can(CAR, ["EngineSpeed"]) if source.simulated else _unchanged
    return compose(decode, ops.window_by_time(0.5)), Traffic()


def _unchanged(stream: Observable[Chunk]) -> Observable[Chunk]:
    return stream


def _start(source: Input, what: str, pipeline: Operator, sink: Sink) -> Reader:
    name = f"{source.key}-{what}"
    policy = ops.on_lag("latest" if what == "show" else "gap", name=name)
    # The device is open already; its window is the queue, so nothing has been missed.
    source.device.pipe(ops.rewind(to=0), policy, pipeline).subscribe(sink)
    return Reader(name, sink, slow=(source.key, what) == ("camera", "analyse"))


def _sound(chunk: Chunk) -> str:
    level = decibels(float(np.sqrt(np.mean(np.square(chunk.data, dtype=np.float64)))))
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
