"""capture for two hours of virtual time: memory stays flat, and nothing is lost untold."""

import tracemalloc
from typing import Any

import numpy as np
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject
from scenes import KEYS

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.clip import Clip

SECOND = 1_000_000_000
HOURS = 2
LATE = 30  # [s]
RATE = 100


class Faulty:
    """A stream of whole seconds, of which one in a hundred is dropped, and two restarts."""

    def __init__(self, name: str, seed: int) -> None:
        self.info = StreamInfo(name, float(RATE), (), np.dtype(np.int64))
        self.subject = TimeWindowSubject(20, name=name, clock=lambda: 0)
        self.dropped = np.random.default_rng(seed).random(HOURS * 3600) < 0.01
        self.dropped[[0, -1]] = False
        self.dropped[2000:2010] = self.dropped[5000:5010] = True  # somebody pulls the plug
        self._lost = 0

    def second(self, k: int) -> None:
        if self.dropped[k]:
            self._lost += 1
            return
        index, gap = k * RATE, None
        if self._lost:
            why: Any = "restart" if self._lost >= 10 else "dropped"
            gap = Gap((k - self._lost) * SECOND, k * SECOND, self._lost * RATE, why)
            self._lost = 0
        data = np.arange(index, index + RATE)
        self.subject.on_next(Chunk.regular(data, self.info, start=k * SECOND, index=index, gap=gap))


def check(clip: Clip, source: Faulty) -> list[str]:
    """Every sample is there, or lost as the stream told, or missing as the clip tells."""
    chunk = clip[source.info.name]
    wanted = np.arange(-(-clip.start * RATE // SECOND), -(-clip.end * RATE // SECOND))
    missing = [part for part in clip.missing if part.stream == source.info.name]
    for part in missing:
        wanted = wanted[
            (wanted * SECOND < part.start * RATE) | (wanted * SECOND >= part.end * RATE)
        ]
    assert chunk.data.tolist() == wanted[~source.dropped[wanted // RATE]].tolist()
    assert abs(len(chunk) + chunk.lost - len(wanted)) <= 1  # a gap is cut at a whole sample
    return [part.why for part in missing]


def test_two_hours_with_a_silent_and_a_late_partner() -> None:
    mic, bus = Faulty("mic", 1), Faulty("bus", 2)
    silent = TimeWindowSubject(20, name="silent", clock=lambda: 0)
    events: Subject[Any] = Subject()
    clips: dict[bool, list[Clip]] = {False: [], True: []}
    counts = {False: 0, True: 0}
    memory = []
    for patient, lateness in ((False, 5.0), (True, 45.0)):
        operator = ops.capture(
            mic.subject, bus.subject, silent, before=2, after=1, lateness=lateness
        )
        events.pipe(operator).subscribe(clips[patient].append, scheduler=ImmediateScheduler())
    asked = 0
    tracemalloc.start()
    for k in range(HOURS * 3600):
        mic.second(k)
        if k >= LATE:
            bus.second(k - LATE)
        if k % 7 == 3 and 60 < k < HOURS * 3600 - 60:  # apart: each has a clip of its own
            asked += 1
            at = k * SECOND + 123_456_789
            events.on_next(Chunk.stamped(np.array(["a"], "U8"), [at], KEYS))
        for patient, got in clips.items():
            for clip in got:
                assert {m.stream for m in clip.missing} >= {"silent"}
                heard, read = check(clip, mic), check(clip, bus)
                assert read == ([] if patient else ["late"])
                assert not heard or not patient  # nothing comes while it is unplugged
            counts[patient] += len(got)
            got.clear()
        if k in (1200, HOURS * 3600 - 1):
            memory.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert counts == {False: asked, True: asked}
    assert memory[1] < memory[0] + 100_000
