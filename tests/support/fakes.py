"""Sources driven by the test itself, and small streams of chunks."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from reactivex import Observable
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Gap, Reading, StreamInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import HostClock

MS = 1_000_000
INFO = StreamInfo("ramp", rate=1000.0, dtype=np.dtype(np.int64))


def ramp(start: int, n: int, gap: Gap | None = None, info: StreamInfo = INFO) -> Chunk[Any]:
    """Return n samples whose values are their indices, at 1 kHz from time 0."""
    return Chunk.regular(
        np.arange(start, start + n, dtype=np.int64), info, start=start * MS, index=start, gap=gap
    )


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait until a condition holds; False if it does not within ``timeout`` [s]."""
    tick = threading.Event()
    for _ in range(round(timeout / 0.005)):
        if condition():
            return True
        tick.wait(0.005)
    return bool(condition())


@dataclass
class Manual:
    """A source that the test drives by hand: `emit`, `fail`, and refusing to open."""

    stream: StreamInfo = INFO
    refuse: Exception | None = None
    opened: int = 0
    closed: int = 0
    live: bool = True
    emit: Emit = field(default=lambda _: None)
    fail: Fail = field(default=lambda _: None)
    opening: threading.Event = field(default_factory=threading.Event)

    @property
    def info(self) -> StreamInfo:
        return self.stream

    def open(self, emit: Emit, fail: Fail) -> Close:
        if self.refuse is not None:
            raise self.refuse
        self.emit, self.fail = emit, fail
        self.opened += 1
        self.opening.set()

        def close() -> None:
            self.closed += 1

        return close


class Hanging(Manual):
    """Hangs in open or close until it is released."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.release, self.hangs = where, threading.Event(), threading.Event()

    def _hang(self, where: str) -> None:
        if where == self.where:
            self.hangs.set()
            self.release.wait(20)

    def open(self, emit: Emit, fail: Fail) -> Close:
        self._hang("open")
        if self.opened:
            self._hang("open again")
        close = super().open(emit, fail)

        def closing() -> None:
            self._hang("close")
            close()

        return closing


class HandClock(HostClock):
    """A host clock moved by the test."""

    def __init__(self) -> None:
        self.t = 10**18
        super().__init__(lambda: self.t, lambda: self.t)


def collect(device: Observable[Chunk[Any]]) -> list[Chunk[Any]]:
    """Return the list of the chunks to come, filled in the thread of the device."""
    got: list[Chunk[Any]] = []
    device.subscribe(got.append, lambda error: None, scheduler=ImmediateScheduler())
    return got


def feed(source: Manual, start: int, n: int, arrival: int, **evidence: Any) -> None:
    """Emit ``n`` samples whose values are their indices, at a time of arrival [ns]."""
    data = np.arange(start, start + n, dtype=np.int64)
    source.emit(Reading(data, arrival=arrival, **evidence))
