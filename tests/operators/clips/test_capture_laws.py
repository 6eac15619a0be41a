"""capture: a clip is what `between` would give afterwards, for any events, chunks and threads."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.axis import IrregularAxis
from rxstream.data.clip import Clip
from rxstream.data.gap import GapAt
from rxstream.testing import assert_same, check_operator, infos, recut_by_time, streams

HERE = ImmediateScheduler()
EVENTS = StreamInfo("keys", None, (), np.dtype(np.int64))
FAR = 10**14  # [ns]; beyond every stream made here
BASE = streams()


def shifted(chunks: list[Chunk[Any]]) -> list[Chunk[Any]]:
    """Return a stream that begins at time 0, without chunks of no time."""
    zero, number = chunks[0].covered_from, chunks[0].index
    out = []
    for c in chunks:
        if c.covered_from == c.end:
            continue
        gap_positions = tuple(
            GapAt(at, replace(gap, start=gap.start - zero, end=gap.end - zero))
            for at, gap in c.gap_positions
        )
        number += c.lost
        axis = IrregularAxis(c.time - zero)
        out.append(Chunk(c.data, axis, c.start - zero, c.end - zero, number, c.info, gap_positions))
        number += len(c)
    return out or [keys([], 0, 10)]


def groups(times: list[int], before: int, after: int) -> list[tuple[int, int, list[int]]]:
    """Return what is to be captured when events share clips that overlap."""
    out: list[tuple[int, int, list[int]]] = []
    for t in sorted(times):
        if out and t - before < out[-1][1]:
            out[-1] = (out[-1][0], t + after, [*out[-1][2], t])
        else:
            out.append((t - before, t + after, [t]))
    return out


def heartbeat(start: int, end: int) -> Chunk[Any]:
    return Chunk.stamped(np.empty(0, np.int64), [], EVENTS, start=start, end=end)


def keys(times: list[int], start: int, end: int) -> Chunk[Any]:
    data = np.arange(len(times), dtype=np.int64)
    return Chunk.stamped(data, times, EVENTS, start=start, end=end)


@st.composite
def scenes(
    draw: st.DrawFn,
) -> tuple[list[list[Chunk[Any]]], list[Chunk[Any]], list[int], list[int]]:
    """Return two streams, a stream of events, their times, and who is next."""
    sources = [shifted(draw(BASE)) for _ in range(2)]
    end = max(chunks[-1].end for chunks in sources) + 10**6
    times = draw(st.lists(st.integers(-(10**6), end - 1), max_size=6, unique=True).map(sorted))
    whole = keys(times, -(10**7), end)
    events = recut_by_time([whole], draw(st.lists(st.floats(0, 1), max_size=6)))
    total = len(events) + sum(map(len, sources))
    order = draw(st.lists(st.integers(0, 2), min_size=total, max_size=total))
    return sources, events, times, order


def play(operator: Any, feeds: list[Any], parts: list[list[Chunk[Any]]], order: list[int]) -> None:
    """Give everybody's chunks, next who is next; end them in turn."""
    left = [list(part) for part in parts]
    for k in [*order, *(k for k, part in enumerate(parts) for _ in part)]:
        if left[k]:
            feeds[k].on_next(left[k].pop(0))
    for feed in feeds:
        feed.on_completed()


def captured(
    scene: tuple[Any, ...], before: int, after: int, **options: Any
) -> tuple[list[Clip], list[TimeWindowSubject]]:
    sources, events, _, order = scene
    feeds: list[Any] = [
        TimeWindowSubject(10**6, name=name, clock=lambda: 0) for name in ("mic", "cam")
    ]
    source: Subject[Chunk[Any]] = Subject()
    clips: list[Clip] = []
    ends: list[None] = []
    operator = ops.capture(
        *feeds,
        before=before / 1e9,
        after=after / 1e9,
        max_duration=10**6,
        lateness=10**5,
        **options,
    )
    source.pipe(operator).subscribe(
        clips.append, on_completed=lambda: ends.append(None), scheduler=HERE
    )
    play(operator, [*feeds, source], [*sources, events], order)
    assert ends == [None]
    return clips, feeds


SPANS = st.integers(0, 2 * 10**7)


@given(scenes(), SPANS, SPANS.map(lambda n: n + 1))
def test_a_clip_is_what_between_gives_afterwards(
    scene: tuple[Any, ...], before: int, after: int
) -> None:
    clips, feeds = captured(scene, before, after)
    want = groups(scene[2], before, after)
    assert [(clip.start, clip.end, list(clip.times)) for clip in clips] == want
    for clip in clips:
        for feed in feeds:
            check_part(clip, feed)


@given(scenes(), SPANS, SPANS.map(lambda n: n + 1))
def test_each_event_has_a_clip_of_its_own_without_merge(
    scene: tuple[Any, ...], before: int, after: int
) -> None:
    clips, feeds = captured(scene, before, after, merge=False)
    assert [clip.times for clip in clips] == [(t,) for t in scene[2]]
    assert [clip.start for clip in clips] == [t - before for t in scene[2]]
    for clip in clips:
        for feed in feeds:
            check_part(clip, feed)


def check_part(clip: Clip, feed: TimeWindowSubject) -> None:
    """Compare a stream of a clip with its window, which holds everything."""
    name, got = feed.log.name, clip[feed.log.name]
    whole = feed.between(-FAR, FAR)
    low, high = whole.covered_from, whole.end
    if clip.start < high and clip.end > low:
        assert got == feed.between(clip.start, clip.end)
    else:
        assert len(got) == 0
    lacking = []
    if clip.start < low:
        lacking.append((clip.start, min(low, clip.end)))
    if clip.end > high:
        lacking.append((max(high, clip.start), clip.end))
    assert [(part.start, part.end) for part in clip.missing if part.stream == name] == lacking


@given(scenes(), st.booleans())
def test_the_order_of_inputs_does_not_matter(scene: tuple[Any, ...], merge: bool) -> None:
    options = {"before": 3 * 10**6, "after": 4 * 10**6, "merge": merge}
    one, _ = captured(scene, **options)
    other, _ = captured((*scene[:3], sorted(scene[3])), **options)
    last, _ = captured((*scene[:3], sorted(scene[3], reverse=True)), **options)
    assert_same(one, other)
    assert_same(one, last)


def sound() -> TimeWindowSubject:
    """Return a stream of 50 s that is over."""
    mic = TimeWindowSubject(10**6, name="mic", clock=lambda: 0)
    info = StreamInfo("mic", 1000.0, (), np.dtype(np.int64))
    mic.on_next(Chunk.regular(np.arange(50_000), info, start=0))
    mic.on_completed()
    return mic


def now_and_then(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Say which samples are loud: five yes, five no."""
    flat = data.reshape(len(data), math.prod(data.shape[1:]))[:, 0]
    return np.asarray(flat.astype(np.int64) // 5 % 2 == 0)


@pytest.mark.parametrize(
    ("before", "options"),
    [
        (None, {"events": "samples", "lateness": 10**5, "max_duration": 10**6}),
        (None, {"lateness": 10**5, "max_duration": 10**6}),
        (None, {"lateness": 10**5, "max_duration": 0.5, "merge": False}),
        (ops.sessions(0.02), {"events": "chunks", "merge": False}),
        (
            ops.gate(now_and_then, hold=0.01),
            {"events": "chunks", "lateness": 10**5, "max_duration": 10**6},
        ),
    ],
    ids=["samples", "stretches", "each", "sessions", "gate"],
)
def test_laws_of_operators(before: Any, options: dict[str, Any]) -> None:
    """Whatever is in the events: recut, live and again, errors, dispose."""
    mic, kinds = sound(), {"regular": True, "floating": True}
    source = (
        streams(infos(**kinds)) if options.get("merge", True) else streams(infos(regular=False))
    )

    def make() -> Any:
        capture = ops.capture(mic, before=0.01, after=0.02, **options)
        return capture if before is None else rx.compose(before, capture)

    check_operator(make, source=source.map(shifted), conserves=False, examples=25)
