"""A stage for `ops.capture`: a microphone in virtual time, a keyboard, and the clips."""

from typing import Any

import numpy as np
from fakes import MS, ramp
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.clip import Clip

HERE = ImmediateScheduler()
KEYS = StreamInfo("keys", None, (), np.dtype("U8"))


def key(at: int, text: str = "a", *more: int) -> Chunk[Any]:
    """Return keys at some milliseconds."""
    times = [at * MS, *(t * MS for t in more)]
    return Chunk.stamped(np.array([text] * len(times), "U8"), times, KEYS)


def silence(start: int, end: int, info: StreamInfo = KEYS) -> Chunk[Any]:
    """Return a heartbeat, in milliseconds."""
    return Chunk.stamped(np.empty(0, info.dtype), [], info, start=start * MS, end=end * MS)


class Scene:
    """A microphone at 1 kHz, a keyboard, and the clips."""

    def __init__(self, history: float = 1000.0, **options: Any) -> None:
        self.mic = TimeWindowSubject(history, name="mic", clock=lambda: 0)
        self.events: Subject[Any] = Subject()
        self.clips: list[Clip] = []
        self.ends: list[Any] = []
        self.at = 0
        operator = ops.capture(self.mic, **{"before": 0.005, "after": 0.003} | options)
        self.subscription = self.events.pipe(operator).subscribe(
            self.clips.append, self.ends.append, lambda: self.ends.append(None), scheduler=HERE
        )

    def hear(self, until: int, step: int = 4) -> None:
        """Go on to a time [ms]."""
        while self.at < until:
            n = min(step, until - self.at)
            self.mic.on_next(ramp(self.at, n))
            self.at += n


def values(clip: Clip, name: str = "mic") -> list[int]:
    return [int(v) for v in clip[name].data]
