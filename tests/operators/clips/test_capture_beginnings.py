"""Partners of capture that begin with nothing, or with a loss of no length: in whatever order."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from capture_stage import key, silence
from fakes import INFO, MS, ramp
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Gap, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.clip import Clip
from rxstream.data.gap import GapAt
from rxstream.testing import assert_same

NOTHING = Gap(5 * MS, 5 * MS, 3, "dropped")
BEGINNINGS: dict[str, list[Chunk[Any]]] = {
    "nothing at all": [],
    "a chunk of no time": [Chunk.empty(INFO, 5 * MS)],
    "a loss of no length": [Chunk.empty(INFO, 5 * MS, gap_positions=(GapAt(0, NOTHING),))],
    "that, and samples": [ramp(5, 10, NOTHING)],
    "no time, that, and samples": [Chunk.empty(INFO, 5 * MS), ramp(5, 10, NOTHING)],
    "that alone, and samples": [
        Chunk.empty(INFO, 5 * MS, index=5, gap_positions=(GapAt(0, NOTHING),)), ramp(5, 10),
    ],
}  # fmt: skip
EVENTS = [key(4), key(8), silence(9, 40)]


def captured(partner: list[Chunk[Any]], turns: tuple[int, ...], *, merge: bool) -> list[Clip]:
    mic = TimeWindowSubject(1000, name="mic", clock=lambda: 0)
    keys: Subject[Any] = Subject()
    clips: list[Clip] = []
    capture = ops.capture(mic, before=0.002, after=0.003, lateness=1000, merge=merge)
    keys.pipe(capture).subscribe(clips.append, scheduler=ImmediateScheduler())
    left, feeds = [iter(EVENTS), iter(partner)], [keys, mic]
    for turn in turns:
        feeds[turn].on_next(next(left[turn]))
    mic.on_completed()
    keys.on_completed()
    return clips


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_order_of_arrival_does_not_matter(name: str, merge: bool) -> None:
    partner = BEGINNINGS[name]
    orders = sorted(set(permutations([0] * len(EVENTS) + [1] * len(partner))))
    first = captured(partner, orders[0], merge=merge)
    assert [clip.times for clip in first] == (
        [(4 * MS, 8 * MS)] if merge else [(4 * MS,), (8 * MS,)]
    )
    for order in orders[1:]:
        assert_same(captured(partner, order, merge=merge), first)


def test_a_stream_that_says_nothing_is_missing_as_one_that_has_ended() -> None:
    for name in ("nothing at all", "a chunk of no time"):
        (clip,) = captured(BEGINNINGS[name], (0,) * 3 + (1,) * len(BEGINNINGS[name]), merge=True)
        assert [(part.start, part.end, part.reason) for part in clip.missing] == [
            (2 * MS, 11 * MS, "stream ended")
        ]
        assert all(len(chunk) == 0 for chunk in clip.streams.values())


def test_a_loss_before_the_first_sample_is_in_the_clip() -> None:
    (clip,) = captured(BEGINNINGS["that, and samples"], (0, 0, 0, 1), merge=True)
    chunk = clip.streams["mic"]
    assert np.array_equal(chunk.data, np.arange(5, 11))
    assert chunk.gaps == (NOTHING,)
