"""capture for hours of virtual time: memory stays flat, and no loss goes unreported."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from capture_stage import KEYS
from faulty_stream import HOURS, RATE, SECOND, SECONDS, Faulty
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.clip import Clip

pytestmark = pytest.mark.soak

LATE = 30  # [s]


def check(clip: Clip, source: Faulty) -> list[str]:
    """Every sample is there, or lost as the stream reports, or missing as the clip lists."""
    chunk = clip[source.info.name]
    wanted = np.arange(-(-clip.start * RATE // SECOND), -(-clip.end * RATE // SECOND))
    missing = [part for part in clip.missing if part.stream == source.info.name]
    for part in missing:
        wanted = wanted[
            (wanted * SECOND < part.start * RATE) | (wanted * SECOND >= part.end * RATE)
        ]
    assert chunk.data.tolist() == wanted[~source.dropped[wanted // RATE]].tolist()
    assert abs(len(chunk) + chunk.lost - len(wanted)) <= 1  # a gap is cut at a whole sample
    return [part.reason for part in missing]


def traced() -> int:
    """Return the traced memory [bytes], without tables of the whole process that grew meanwhile.

    As that of the interned strings: 2 MB at once, after many other tests. No window has so much.
    """
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size for trace in traces if trace.size < 1_000_000)


def test_hours_with_a_silent_and_a_late_partner() -> None:
    sound, messages, silent = (
        TimeWindowSubject(20, name=name, clock=lambda: 0) for name in ("mic", "bus", "silent")
    )
    mic = Faulty("mic", 1, SECONDS, RATE, sound)
    bus = Faulty("bus", 2, SECONDS, RATE, messages)
    events: Subject[Any] = Subject()
    clips: dict[bool, list[Clip]] = {False: [], True: []}
    counts = {False: 0, True: 0}
    memory = []
    for patient, lateness in ((False, 5.0), (True, 45.0)):
        operator = ops.capture(sound, messages, silent, before=2, after=1, lateness=lateness)
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
            memory.append(traced())
    tracemalloc.stop()
    assert counts == {False: asked, True: asked}
    assert memory[1] < memory[0] + 100_000
