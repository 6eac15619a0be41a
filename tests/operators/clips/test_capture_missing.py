"""capture: what a clip lacks, and why it says so."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from capture_stage import HERE, Scene, key, values
from fakes import INFO, MS, ramp
from reactivex.subject import Subject

from rxstream import Chunk, Gap, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.clip import Clip, Missing, MissingReason
from rxstream.errors import DeviceLostError


def test_a_late_event_gets_what_is_left() -> None:
    scene = Scene(history=0.01, merge=False)
    scene.hear(100)
    scene.events.on_next(key(92))
    oldest = scene.mic.between(0, 100 * MS).start
    assert values(scene.clips[0]) == list(range(oldest // MS, 95))
    assert scene.clips[0].missing == (
        Missing("mic", 87 * MS, oldest, "older than the window"),
    )  # fmt: skip
    scene.events.on_next(key(20))
    assert len(scene.clips[1]["mic"]) == 0
    assert scene.clips[1].missing == (
        Missing("mic", 15 * MS, 23 * MS, "older than the window"),
    )  # fmt: skip
    assert "0.008 s from 00:00:00.015000 on (older than the window)" in repr(scene.clips[1])


def test_a_stream_that_had_not_begun() -> None:
    scene = Scene(merge=False)
    scene.events.on_next(key(2))
    scene.hear(10)
    assert values(scene.clips[0]) == [0, 1, 2, 3, 4]
    assert scene.clips[0].missing == (Missing("mic", -3 * MS, 0, "not begun"),)


def test_a_stream_that_ends_or_fails_is_listed() -> None:
    ends: list[tuple[Any, MissingReason]] = [
        (None, "stream ended"), (DeviceLostError("gone"), "stream failed"),
    ]  # fmt: skip
    for error, why in ends:
        scene = Scene(merge=False)
        scene.hear(9)
        scene.events.on_next(key(8))
        if error is None:
            scene.mic.on_completed()
        else:
            scene.mic.on_error(error)
        assert values(scene.clips[0]) == list(range(3, 9))
        assert [(m.start // MS, m.end // MS, m.reason) for m in scene.clips[0].missing] == [
            (9, 11, why)
        ]
        scene.events.on_next(key(9))  # the events go on, and so do their clips
        assert values(scene.clips[1]) == list(range(4, 9))
        assert scene.ends == []


def test_failed_events_give_what_is_there() -> None:
    scene = Scene()
    scene.hear(9)
    scene.events.on_next(key(8))
    boom = RuntimeError("boom")
    scene.events.on_error(boom)
    assert values(scene.clips[0]) == list(range(3, 9))
    assert [m.reason for m in scene.clips[0].missing] == ["events failed"]
    assert scene.ends == [boom]


def test_a_silent_stream_does_not_stall_the_others() -> None:
    mic, cam = (TimeWindowSubject(1000.0, name=n, clock=lambda: 0) for n in ("mic", "cam"))
    events: Subject[Any] = Subject()
    clips: list[Clip] = []
    operator = ops.capture(mic, cam, before=0.005, after=0.003, merge=False, lateness=0.02)
    events.pipe(operator).subscribe(clips.append, scheduler=HERE)
    mic.on_next(ramp(0, 10))
    events.on_next(key(8))
    mic.on_next(ramp(10, 15))
    mic.on_next(ramp(25, 5))
    assert clips == []
    mic.on_next(ramp(30, 1))  # 20 ms after the clip's end, and 21 after the start
    assert values(clips[0]) == list(range(3, 11))
    assert "cam" not in clips[0].streams
    assert clips[0].missing == (Missing("cam", 3 * MS, 11 * MS, "late"),)
    with pytest.raises(KeyError, match=r"cam: 0.008 s from .* \(late\)"):
        clips[0]["cam"]
    with pytest.raises(KeyError, match="no stream 'can'; it has mic"):
        clips[0]["can"]


def test_silent_events_do_not_hold_a_clip() -> None:
    scene = Scene(lateness=0.02)
    scene.hear(10)
    scene.events.on_next(key(8))
    scene.hear(35)
    assert scene.clips == []
    scene.hear(36)  # its end, before, and lateness
    assert values(scene.clips[0]) == list(range(3, 11))


def test_a_gap_of_the_device_stays_in_its_chunk() -> None:
    scene = Scene(merge=False)
    scene.hear(8)
    scene.events.on_next(key(8))
    scene.mic.on_next(ramp(10, 5, Gap(8 * MS, 10 * MS, 2, "dropped")))
    assert values(scene.clips[0]) == [3, 4, 5, 6, 7, 10]
    assert scene.clips[0]["mic"].gap_positions == ((5, Gap(8 * MS, 10 * MS, 2, "dropped")),)
    assert scene.clips[0].complete


def test_memory_is_let_go() -> None:
    """What no open clip wants is held by the window alone; a clip that was given, by its owner."""
    scene = Scene(history=0.01, merge=False, lateness=0.01)
    held: list[weakref.ref[Any]] = []

    def hear(start: int) -> None:
        data = np.arange(start, start + 5)
        held.append(weakref.ref(data))
        scene.mic.on_next(Chunk.regular(data, INFO, start=start * MS, index=start))

    scene.events.on_next(key(7))
    for start in range(0, 500, 5):
        hear(start)
    assert len(scene.clips.pop()["mic"]) == 8
    gc.collect()
    assert sum(ref() is not None for ref in held) <= 4


def test_what_the_window_lost_between_two_events_is_a_gap() -> None:
    """The second event of a clip comes when the window no longer holds what lies before it."""
    scene = Scene(history=0.01, lateness=10.0)
    scene.hear(10)
    scene.events.on_next(key(8))
    scene.hear(100)
    scene.events.on_next(key(13))
    scene.events.on_completed()
    clip = scene.clips[0]
    assert values(clip) == list(range(3, 14))
    assert clip["mic"].gap_positions == ((11, Gap(14 * MS, 16 * MS, 2, "lag")),)
    assert clip.missing == (Missing("mic", 14 * MS, 16 * MS, "older than the window"),)
