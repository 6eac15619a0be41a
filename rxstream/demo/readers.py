"""The three readers of each device: one stores, one analyses, one shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeAlias

import numpy as np
from reactivex import Observable, abc
from reactivex.operators import do_action

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.demo.analysis import Analysis, Loudness, Motion, Swing, Traffic, decibels
from rxstream.demo.inputs import Input
from rxstream.demo.scene import CAR
from rxstream.sinks.base import Sink
from rxstream.sinks.callback import callback
from rxstream.sinks.can_log import can_log
from rxstream.sinks.csv import csv
from rxstream.sinks.video import video
from rxstream.sinks.wav import wav

__all__ = ["Reader", "Readers", "start_readers"]

View: TypeAlias = Observable[Chunk]

_STORES: dict[str, tuple[str, Callable[[Path], Sink]]] = {
    "microphone": ("microphone.wav", wav),
    "camera": ("camera.avi", video),
    "can": ("can.blf", can_log),
    "sensor": ("sensor.csv", csv),
}
_KINDS = {"microphone": "samples", "camera": "pictures", "can": "messages", "sensor": "values"}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDE = 20  # characters of a picture in one line


@dataclass
class Reader:
    """One subscriber of a device."""

    name: str
    """As in `SubscriberStats`."""
    sink: Sink
    subscription: abc.DisposableBase
    lag: float = 0.0
    """The furthest it was behind [s]."""
    skipped: int = 0
    """Samples that it missed because it was too slow."""
    slow: bool = False
    """On purpose."""


@dataclass
class Readers:
    """Those of one device."""

    input: Input
    path: Path
    """Of the file that is stored."""
    analysis: Analysis
    store: Reader
    analyse: Reader
    show: Reader
    shown: list[str] = field(default_factory=lambda: [""])
    """One line to show, replaced by the showing reader."""
    gaps: list[Gap] = field(default_factory=list)
    """All that the storing reader has met; the window may have forgotten the first."""
    gone: bool = False
    """Whether the device was lost, and had not come back at the end."""

    @property
    def all(self) -> tuple[Reader, Reader, Reader]:
        """The three."""
        return self.store, self.analyse, self.show

    @property
    def stored(self) -> str:
        """What the file holds."""
        samples, rate = self.store.sink.samples, self.input.device.info.rate
        size = f"{self.path.stat().st_size / 1e6:.2g} MB" if self.path.exists() else "no file"
        if self.input.key == "microphone" and rate:
            silence = getattr(self.store.sink, "filled", 0) / rate
            lost = f" and {silence:.1f} s of silence where lost" if silence else ""
            return f"{samples / rate:.1f} s of sound{lost}, {size}"
        return f"{samples} {_KINDS[self.input.key]}, {size}"

    def watch(self) -> None:
        """Take note of how far each is behind."""
        known = {reader.name: reader for reader in self.all}
        for now in self.input.device.stats().subscribers:
            reader = known.get(now.name)
            if reader is not None:
                reader.lag = max(reader.lag, now.lag)
                reader.skipped = now.lost


def start_readers(
    source: Input, folder: Path, *, slow: float, hurry: Event, loud: Callable[[int], object]
) -> Readers:
    """Let three readers read a device from its first sample on.

    Parameters
    ----------
    source
        The device, open.
    folder
        Where to store.
    slow
        How many times longer than a picture lasts its analysis takes.
    hurry
        When set, it is slow no more.
    loud
        Called with the time of each loud moment [ns].
    """
    name, make = _STORES[source.key]
    shown, gaps = [""], list[Gap]()
    draw = _DRAWINGS[source.key]

    def show(chunk: Chunk) -> None:
        if len(chunk):
            shown[0] = draw(chunk)

    analysis: Analysis
    windows: Callable[[View], View] = ops.window_by_time(0.2, every=0.1)
    if source.key == "microphone":
        analysis = Loudness(loud)
    elif source.key == "camera":
        analysis, windows = Motion(slow, hurry), _as_it_is
    elif source.key == "can":
        analysis, windows = Traffic(), _traffic(decode=source.twin is not None)
    else:
        analysis = Swing()
    return Readers(
        source,
        folder / name,
        analysis,
        _start(source, "store", make(folder / name), do_action(lambda c: gaps.extend(c.gaps))),
        _start(source, "analyse", callback(analysis), windows),
        _start(source, "show", callback(show), latest=True),
        shown,
        gaps,
    )


def _as_it_is(view: View) -> View:
    return view


def _traffic(*, decode: bool) -> Callable[[View], View]:
    windows = ops.window_by_time(0.5)
    if not decode:  # a real bus, whose database we do not have
        return windows
    return lambda view: windows(ops.decode_can(CAR, ["EngineSpeed"])(view))


def _start(
    source: Input,
    what: str,
    sink: Sink,
    through: Callable[[View], View] = _as_it_is,
    *,
    latest: bool = False,
) -> Reader:
    name = f"{source.key}-{what}"
    # The device is open already; its window is the queue, so nothing has been missed.
    view = source.device.rewind(to=0).on_lag("latest" if latest else "gap", name=name)
    slow = (source.key, what) == ("camera", "analyse")
    return Reader(name, sink, through(view).subscribe(sink), slow=slow)


def _sound(chunk: Chunk) -> str:
    level = decibels(chunk.data)
    return f"{'▇' * round(max(0.0, level + 60) / 60 * (_WIDE - 8)):<{_WIDE - 8}} {level:4.0f} dB"


def _picture(chunk: Chunk) -> str:
    """Return the brightness of the columns of the middle of the newest picture."""
    picture = chunk.data[-1]
    middle = picture[picture.shape[0] // 2 :: 8].reshape(-1, *picture.shape[1:])
    columns = middle.mean(axis=(0, *range(2, middle.ndim)))
    parts = np.array([part.mean() for part in np.array_split(columns, _WIDE)])
    return "".join(_BLOCKS[int(value / 256 * len(_BLOCKS))] for value in parts)


def _message(chunk: Chunk) -> str:
    message = chunk.data[-1]
    data = bytes(message["data"][: min(4, int(message["dlc"]))]).hex(" ")
    return f"0x{int(message['arbitration_id']):X}: {data}"


def _numbers(chunk: Chunk) -> str:
    return f"{float(chunk.data[-1]):+.3f} {chunk.info.unit}"


_DRAWINGS: dict[str, Callable[[Chunk], str]] = {
    "microphone": _sound, "camera": _picture, "can": _message, "sensor": _numbers,
}  # fmt: skip
