"""What only shows at the edges of streams that are joined, grouped or cut into clips."""

from typing import Any

import numpy as np
import pytest
from capture_stage import HERE, KEYS, Scene, key, silence
from fakes import INFO, MS, ramp
from join_drivers import play

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject, concat
from rxstream import operators as ops
from rxstream.data.clip import Clip
from rxstream.operators.clips.clip_buffer import ClipBuffer
from rxstream.operators.cutting.sessions import _Sessions
from rxstream.testing import run_operator

LEVEL = StreamInfo("level", 1000.0, (), np.dtype(float))


@pytest.mark.parametrize("at_once", [False, True])
def test_overlapping_chunks_do_not_repeat_their_end_before_a_gap(at_once: bool) -> None:
    chunks = [ramp(0, 6), ramp(8, 4, Gap(6 * MS, 8 * MS, 2, "dropped"))]
    out = run_operator(
        ops.rechunk(4, hop=2, on_gap="split"), [concat(chunks)] if at_once else chunks
    )
    assert [c.data.tolist() for c in out] == [[0, 1, 2, 3], [2, 3, 4, 5], [8, 9, 10, 11]]


def test_overlapping_chunks_do_not_repeat_a_gap_at_the_end() -> None:
    chunks = [ramp(0, 7), ramp(9, 1, Gap(7 * MS, 9 * MS, 2, "dropped"))]
    out = run_operator(ops.rechunk(4, hop=2), chunks)
    assert [c.data.tolist() for c in out] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 9]]


def test_a_session_without_end_does_not_fill_the_memory() -> None:
    step = _Sessions(pause=1000 * MS, before=0, after=0, max_duration=100 * MS)
    for k in range(500):
        step.push(Chunk.stamped(np.zeros(1), [10 * k * MS], StreamInfo("e", dtype=np.dtype(float))))
    buffer = step._buffer
    assert buffer is not None
    assert buffer.stop - buffer.start <= 20


def test_silence_before_a_message_is_nothing_missing() -> None:
    """Nothing was pressed from 1 to 5 ms, and the window reaches back beyond: nothing was lost."""
    keys = TimeWindowSubject(60, name="keys", clock=lambda: 0)
    events = TimeWindowSubject(60, name="events", clock=lambda: 0)
    clips: list[Clip] = []
    clip = ops.capture(keys, before=0.003, after=0.001)
    _ = events.pipe(clip).subscribe(clips.append, scheduler=HERE)
    for k, at in enumerate((1, 5, 6, 9)):
        keys.on_next(Chunk.stamped(np.array(["k"], "U8"), [at * MS], KEYS, start=at * MS, index=k))
    events.on_next(key(6))
    events.on_completed()
    keys.on_completed()
    assert [c["keys"].time.tolist() for c in clips] == [[5 * MS, 6 * MS]]
    assert clips[0].complete


def test_events_from_the_past_are_waited_for_in_the_beginning() -> None:
    """The microphone is 100 s ahead of the first event: the second shares its clip all the same."""
    scene = Scene(before=0.5, after=0.5, lateness=2.0)
    scene.hear(100_000, step=10_000)
    scene.events.on_next(key(60_000))
    scene.events.on_next(key(60_300))
    scene.events.on_completed()
    assert [clip.times for clip in scene.clips] == [(60_000 * MS, 60_300 * MS)]


def test_a_heartbeat_comes_before_a_sample_at_its_end() -> None:
    a, b = key(10), silence(0, 10, LEVEL)
    ports = [[a, silence(11, 12)], [b, silence(10, 12, LEVEL)]]
    out = play(ops.merge_by_time, ports, [1, 1, 0])
    assert [(c.info.name, c.end // MS) for c in out[:2]] == [("level", 10), ("keys", 10)]


def test_what_lies_between_windows_is_never_late() -> None:
    """The other's first chunk comes when the window of 0 to 10 ms has been given without it."""

    def join(*others: Any) -> Any:
        return ops.join_windows(*others, duration=0.01, every=0.03, lateness=0.005)

    a = [ramp(k, 10) for k in range(0, 90, 10)]
    b = [ramp(12, 23), ramp(35, 55)]
    windows = play(join, [a, b], [0, 0, 0, 1, 1])
    assert [w.start // MS for w in windows] == [0, 30, 60]
    assert [len(w.chunks[1]) for w in windows[1:]] == [10, 10]
    assert not any(c.gap_positions for w in windows[1:] for c in w.chunks)


def test_losses_without_length_at_the_very_end_are_in_the_last_window() -> None:
    def join(*others: Any) -> Any:
        return ops.join_windows(*others, duration=0.01)

    gap = Gap(20 * MS, 20 * MS, 3, "overrun")
    end = ramp(20, 0).with_gap(gap)
    windows = play(join, [[ramp(0, 20), end], [ramp(0, 25)]], [])
    assert sum(w.chunks[0].lost for w in windows) == 3


@pytest.mark.parametrize("method", ["linear", "previous"])
def test_numbers_that_jump_part_a_stretch(method: Any) -> None:
    """As behind a gate: no line is drawn over what was left out."""
    a, b = (
        Chunk.regular(np.full(5, v), LEVEL, start=k * MS, index=k) for k, v in ((0, 0.0), (50, 9.0))
    )
    whole = concat(run_operator(ops.resample(2000.0, method=method), [a, b]))
    assert set(whole.data.tolist()) == {0.0, 9.0}
    assert not ((whole.time > 5 * MS) & (whole.time < 50 * MS)).any()


def test_a_loss_without_length_in_the_future_of_an_event_is_in_its_clip() -> None:
    scene = Scene(merge=False)
    scene.events.on_next(key(10))
    scene.hear(10)
    gap = Gap(10 * MS, 10 * MS, 3, "overrun")
    scene.mic.on_next(ramp(10, 0).with_gap(gap))
    scene.mic.on_next(Chunk.regular(np.arange(13, 23), INFO, start=10 * MS, index=13))
    assert scene.clips[0]["mic"].gaps == (gap,)


def test_a_loss_at_the_end_that_comes_twice_is_one() -> None:
    """The window has it before it is delivered."""
    first = ramp(10, 10).with_gap(Gap(10 * MS, 10 * MS, 3, "overrun"))
    end = ramp(20, 0).with_gap(Gap(20 * MS, 20 * MS, 2, "overrun"))
    last = concat([first, end])
    buffer = ClipBuffer("mic", lambda t0, t1: last.between(t0, t1) if t1 < 20 * MS else last)
    buffer.want(10 * MS, 30 * MS)
    buffer.push(first)
    buffer.push(end)
    buffer.push(ramp(20, 10))
    chunk, _ = buffer.cut(10 * MS, 30 * MS, "late")
    assert chunk is not None
    assert chunk.lost == 5


def test_a_stretch_that_is_cut_short_has_no_later_times() -> None:
    """The loss begins 0.1 ms after the last sample, not a whole period; 1.5 kHz would go on."""
    a = Chunk.regular(np.zeros(20), LEVEL, start=0)
    a = Chunk(a.data, a.axis, a.start, a.end - 900_000, a.index, a.info)
    b = Chunk.regular(np.zeros(20), LEVEL, start=30 * MS, index=30)
    b = b.with_gap(Gap(a.end, 30 * MS, 10, "dropped"))
    for out in run_operator(ops.resample(1500.0, method="polyphase"), [a, b]):
        for at, gap in out.gap_positions:
            assert at == 0 or out.time[at - 1] < gap.start
        assert not len(out) or out.time[-1] < out.end
