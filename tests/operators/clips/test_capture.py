"""capture: clips of past and future, the life of a subscription, real threads, bad arguments."""

import copy
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from capture_stage import HERE, KEYS, Scene, key, silence, values
from fakes import INFO, MS, eventually, ramp
from pickling import same
from reactivex.subject import Subject

from rxstream import Chunk, Device, TimeWindowSubject
from rxstream import operators as ops
from rxstream.data.clip import Clip, Missing
from rxstream.devices.simulated import Simulated
from rxstream.errors import ParameterError
from rxstream.operators.clips import capture_step as state


def test_past_and_future_without_a_seam() -> None:
    scene = Scene(merge=False)
    scene.hear(19)
    scene.events.on_next(key(17))
    assert scene.clips == []
    scene.hear(20, step=1)
    assert values(scene.clips[0]) == [12, 13, 14, 15, 16, 17, 18, 19]
    clip = scene.clips[0]
    assert (clip.start, clip.end, clip.times) == (12 * MS, 20 * MS, (17 * MS,))
    assert clip.events[0].data.tolist() == ["a"]
    assert clip.complete
    assert clip["mic"] == scene.mic.between(12 * MS, 20 * MS)


def test_a_clip_is_given_as_soon_as_it_is_whole() -> None:
    scene = Scene(merge=False)
    scene.hear(10)
    scene.events.on_next(key(8))
    scene.hear(11, step=1)
    assert [values(clip) for clip in scene.clips] == [list(range(3, 11))]


def test_overlapping_events_share_a_clip() -> None:
    scene = Scene()
    scene.hear(30)
    scene.events.on_next(key(10))
    scene.events.on_next(key(15))
    scene.events.on_next(silence(16, 22))
    assert scene.clips == []  # another key at 22 would be part of it
    scene.events.on_next(key(24))
    assert [(values(c)[0], values(c)[-1], c.times) for c in scene.clips] == [
        (5, 17, (10 * MS, 15 * MS))
    ]
    scene.events.on_completed()
    assert values(scene.clips[1]) == list(range(19, 27))
    assert scene.ends == [None]


def test_each_event_has_its_own_clip() -> None:
    scene = Scene(merge=False)
    scene.events.on_next(key(10, "a", 11, 12))
    scene.hear(13)
    assert [values(c)[0] for c in scene.clips] == [5]
    scene.hear(30)
    assert [(values(c)[0], values(c)[-1]) for c in scene.clips] == [(5, 12), (6, 13), (7, 14)]


def test_events_out_of_order_widen_a_clip() -> None:
    scene = Scene()
    scene.hear(30)
    scene.events.on_next(key(20))
    scene.events.on_next(key(17))
    scene.events.on_next(key(26))
    scene.events.on_completed()
    assert [(values(c)[0], values(c)[-1], len(c.events)) for c in scene.clips] == [(12, 28, 3)]
    assert list(scene.clips[0].times) == sorted(scene.clips[0].times)


def test_a_session_is_one_event() -> None:
    scene = Scene(events="chunks", merge=False)
    scene.hear(40)
    session = Chunk.stamped(
        np.array(["h", "i"]).astype("U8"), [10 * MS, 20 * MS], KEYS, start=10 * MS, end=21 * MS
    )
    scene.events.on_next(silence(0, 10))
    scene.events.on_next(session)
    assert [values(clip) for clip in scene.clips] == [list(range(5, 24))]
    assert scene.clips[0].events[0] is session


def test_what_a_gate_passes_is_one_event_until_it_pauses() -> None:
    mic = TimeWindowSubject(1000.0, name="mic", clock=lambda: 0)
    clips: list[Clip] = []
    gate = ops.gate(lambda data: data // 10 % 3 == 1)  # from 10 to 20, 40 to 50, ...
    operator = ops.capture(mic, before=0.005, after=0.003, events="chunks")
    mic.pipe(gate, operator).subscribe(clips.append, scheduler=HERE)
    for start in range(0, 98, 7):
        mic.on_next(ramp(start, 7))
    mic.on_completed()
    assert [values(clip)[0] for clip in clips] == [5, 35, 65]
    assert [values(clip)[-1] for clip in clips] == [22, 52, 82]
    events = [event for clip in clips for event in clip.events]
    assert [event.data.tolist() for event in events] == [
        list(range(start, start + 10)) for start in (10, 40, 70)
    ]
    assert [(e.start // MS, e.end // MS) for e in events] == [(10, 20), (40, 50), (70, 80)]
    assert [clip.times for clip in clips] == [(10 * MS,), (40 * MS,), (70 * MS,)]


def test_what_a_gate_leaves_out_of_a_stream_is_neither_lost_nor_missing() -> None:
    mic = TimeWindowSubject(1000.0, name="mic", clock=lambda: 0)
    odd = mic.pipe(ops.gate(lambda data: data % 2 == 1), ops.replay_window(1000.0))
    events, clips = Subject[Any](), list[Clip]()
    operator = ops.capture(odd=odd, before=0.004, after=0.006, merge=False)
    subscription = events.pipe(operator).subscribe(clips.append, scheduler=HERE)
    mic.on_next(ramp(0, 10))
    events.on_next(key(9))
    mic.on_next(ramp(10, 10))
    subscription.dispose()
    (clip,) = clips
    assert values(clip, "odd") == [5, 7, 9, 11, 13]
    assert clip["odd"].gaps == ()
    assert clip.complete


def test_by_default_a_stretch_of_a_stream_with_a_rate_is_one_event() -> None:
    mic = TimeWindowSubject(1000.0, name="mic", clock=lambda: 0)
    clips: dict[Any, list[Clip]] = {None: [], "chunks": [], "samples": []}
    gate = ops.gate(lambda data: data // 10 % 3 == 1)
    for events, got in clips.items():
        operator = ops.capture(mic, before=0.005, after=0.003, events=events)
        mic.pipe(gate, operator).subscribe(got.append, scheduler=HERE)
    for start in range(0, 98, 7):
        mic.on_next(ramp(start, 7))
    mic.on_completed()
    assert clips[None] == clips["chunks"]
    assert [len(clip.events) for clip in clips[None]] == [1, 1, 1]
    assert [len(clip.events) for clip in clips["samples"]] == [10, 10, 10]


def test_by_default_a_sample_of_a_stream_without_a_rate_is_one_event() -> None:
    scenes = [Scene(), Scene(events="samples"), Scene(events="chunks")]
    for scene in scenes:
        scene.hear(30)
        scene.events.on_next(key(10, "a", 12))
        scene.events.on_completed()
    assert scenes[0].clips == scenes[1].clips
    assert [len(scene.clips[0].events) for scene in scenes] == [2, 2, 1]


def test_what_is_no_chunk_needs_a_time() -> None:
    scene = Scene(time=lambda item: item["t"] * MS, merge=False)
    scene.hear(20)
    scene.events.on_next({"t": 10, "what": "clap"})
    assert scene.clips[0].events == ({"t": 10, "what": "clap"},)
    assert values(scene.clips[0]) == list(range(5, 13))
    timeless = Scene()
    timeless.events.on_next("clap")
    assert isinstance(timeless.ends[0], ParameterError)
    assert "give its time by" in str(timeless.ends[0])


def test_a_long_clip_comes_in_pieces() -> None:
    scene = Scene(max_duration=0.01)
    scene.hear(50)
    for at in (10, 14, 18, 22, 26, 30):
        scene.events.on_next(key(at))
    assert [(c.part, c.more) for c in scene.clips] == [(0, True), (1, True)]
    scene.events.on_completed()
    assert [(c.start // MS, c.end // MS) for c in scene.clips] == [(5, 15), (15, 25), (25, 33)]
    assert [[t // MS for t in c.times] for c in scene.clips] == [[10, 14], [18, 22], [26, 30]]
    assert [(c.part, c.more) for c in scene.clips] == [(0, True), (1, True), (2, False)]
    heard = [v for c in scene.clips for v in values(c)]
    assert heard == list(range(5, 33))


# -- many events in one clip --------------------------------------------------------------------


def test_a_clip_of_all_samples_that_a_gate_passes() -> None:
    mic = CountedLooks(1000.0, name="mic", clock=lambda: 0)
    clips: list[Clip] = []
    operator = ops.capture(mic, before=0.005, after=0.003, events="samples")
    mic.pipe(ops.gate(lambda data: data >= 100), operator).subscribe(clips.append, scheduler=HERE)
    for start in range(0, 10_000, 500):
        mic.on_next(ramp(start, 500))
    mic.on_completed()
    (clip,) = clips
    assert values(clip) == list(range(95, 10_000))
    assert [int(event.data[0]) for event in clip.events] == list(range(100, 10_000))
    assert all(event == mic.between(*extent(event)) for event in clip.events[::999])
    assert mic.looks < 200  # once or twice for a chunk, not for each sample


class CountedLooks(TimeWindowSubject):
    """Counts how often it is looked into."""

    looks = 0

    def between(self, t0: Any, t1: Any) -> Chunk:
        self.looks += 1
        return super().between(t0, t1)


def extent(event: Chunk) -> tuple[int, int]:
    return event.start, event.end


def test_many_events_that_come_one_by_one() -> None:
    """The work for one more does not grow with those that are there."""
    scene = Scene(max_duration=100)
    scene.hear(40, step=40)
    many = state.CaptureStep(
        [], state.Options(5 * MS, 3 * MS, True, 10**11, 10**9, "samples", None)
    )
    many.push(0, key(0))
    (held,) = (clip.events for clip in many._pending)
    for at in range(1, 500):
        many.push(0, key(at))
    (clip,) = many._pending
    assert clip.events is held  # appended to, not copied
    assert [at for at, _ in held] == [at * MS for at in range(500)]


def test_sessions_in_one_clip_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    follows = state._follows
    monkeypatch.setattr(state, "_follows", lambda *args: asked.append(1) or follows(*args))
    scene = Scene(events="chunks")
    scene.hear(310)
    for start in range(0, 300, 3):  # a key, and a stretch of sound, cut in two; then a pause
        scene.events.on_next(key(start))
        scene.events.on_next(ramp(start, 1))
        scene.events.on_next(ramp(start + 1, 1))
    scene.events.on_completed()
    (clip,) = scene.clips
    assert [len(event) for event in clip.events] == [1, 2] * 100
    assert len(asked) <= 200


def test_late_events_take_their_places_in_a_clip() -> None:
    scene = Scene()
    scene.hear(60)
    for at in (14, 10, 12, 11, 10, 16, 13):
        scene.events.on_next(key(at, f"{at}, {scene.at}"))
        scene.hear(scene.at + 1)
    scene.events.on_completed()
    (clip,) = scene.clips
    assert [t // MS for t in clip.times] == [10, 10, 11, 12, 13, 14, 16]
    assert [event.data[0] for event in clip.events[:2]] == ["10, 61", "10, 64"]
    assert (clip.start, clip.end) == (5 * MS, 19 * MS)


# -- the life of a subscription -----------------------------------------------------------------


def test_cold_events_get_what_live_ones_got() -> None:
    live = Scene()
    live.hear(60)
    keys = [key(10), key(15), key(30), silence(31, 50)]
    for chunk in keys:
        live.events.on_next(chunk)
    live.events.on_completed()
    again: list[Clip] = []
    rx.from_iterable(keys).pipe(ops.capture(live.mic, before=0.005, after=0.003)).subscribe(
        again.append, scheduler=HERE
    )
    assert again == live.clips
    past: list[Clip] = []
    replayed = ops.replay_window(1000)(live.mic.past())
    rx.from_iterable(keys).pipe(ops.capture(mic=replayed, before=0.005, after=0.003)).subscribe(
        past.append, scheduler=HERE
    )
    assert past == live.clips


def test_an_observer_may_cause_the_next_event() -> None:
    scene = Scene(merge=False)
    got: list[int] = []

    def echo(clip: Clip) -> None:
        got.append(clip.times[0] // MS)
        if len(got) < 4:
            scene.events.on_next(key(clip.times[0] // MS + 1))
        else:
            scene.events.on_completed()
        got.append(-1)  # it is not called again before it is done

    scene.hear(40)
    ends: list[None] = []
    scene.events.pipe(ops.capture(scene.mic, before=0.005)).subscribe(lambda _: None).dispose()
    scene.events.pipe(ops.capture(scene.mic, before=0.005, merge=False)).subscribe(
        echo, on_completed=lambda: ends.append(None), scheduler=HERE
    )
    scene.events.on_next(key(10))
    assert got == [10, -1, 11, -1, 12, -1]
    assert ends == [None]


def test_nothing_comes_after_dispose() -> None:
    scene = Scene()
    scene.hear(9)
    scene.events.on_next(key(8))
    scene.subscription.dispose()
    scene.hear(100)
    scene.events.on_completed()
    assert (scene.clips, scene.ends) == ([], [])


def test_on_real_threads_a_clip_is_what_the_device_holds() -> None:
    """Simulated devices in real time, keys from another thread, clips on the threads of streams."""
    mic = Device(Simulated(rate=8000.0, signal="ramp", dtype=np.int64), name="mic", history=30)
    cam = Device(Simulated(rate=50.0, signal="ramp", dtype=np.int64), name="cam", history=30)
    events: Subject[Any] = Subject()
    clips: list[Clip] = []
    with mic, cam:
        assert eventually(lambda: len(mic.last(30)) > 4000 and len(cam.last(30)) > 20)
        operator = ops.capture(mic, cam, before=0.2, after=0.2, merge=False)
        subscription = events.pipe(operator).subscribe(clips.append)
        for _ in range(3):
            now = mic.last(0).end
            events.on_next(Chunk.stamped(np.zeros(1, "U8"), [now], KEYS))
        assert eventually(lambda: len(clips) == 3)
        for clip in clips:
            assert clip.complete
            for name, device in (("mic", mic), ("cam", cam)):
                assert clip[name] == device.between(clip.start, clip.end)
            assert 3100 < len(clip["mic"]) < 3300
        subscription.dispose()


def test_live_is_replay_with_devices() -> None:
    """Sessions of simulated keys, captured as they happen, and again from the windows."""
    mic = Device(Simulated.microphone(), name="mic")
    keys = Device(Simulated.keyboard(rate=10.0, seed=3))
    operator = ops.capture(mic, before=0.1, after=0.1, events="chunks", merge=False)
    live: list[Clip] = []
    again: list[Clip] = []
    with mic:
        with keys:
            keys.rewind(60).pipe(ops.sessions(0.2), operator).subscribe(live.append)
            assert eventually(lambda: len(live) >= 3)
        over = threading.Event()
        keys.past().pipe(ops.sessions(0.2), operator).subscribe(again.append, on_completed=over.set)
        assert over.wait(10)
        assert eventually(lambda: len(live) == len(again))
    assert live == again
    assert all(clip.complete for clip in live[1:])


def test_over_the_past_of_closed_devices() -> None:
    """Two that ran at once, are closed, and ask afterwards: it is what was given live, and ends."""
    mic = Device(Simulated.microphone(), name="mic", history=30)
    keys = Device(Simulated.keyboard(rate=10.0, seed=3), name="keys", history=30)
    options: dict[str, Any] = {"before": 0.1, "after": 0.1, "merge": False}
    live: list[Clip] = []
    with mic, keys:
        keys.rewind(30).pipe(ops.capture(mic, **options)).subscribe(live.append)
        assert eventually(lambda: len(live) >= 4)
        again = collected(keys.past().pipe(ops.capture(mic.past(), **options)))
        assert [clip.times for clip in again][:4] == [clip.times for clip in live][:4]
        assert again[:3] == live[:3]
    for _ in range(2):
        again = collected(keys.past().pipe(ops.capture(mic.past(), **options)))
        assert again[: len(live)] == live
        assert list(again[-1].streams) == ["mic"]
    few = collected(keys.past(0.2).pipe(ops.capture(sound=mic.past(0.05), **options)))
    assert few
    for clip in few:  # beyond what was asked for, its window knows
        assert clip["sound"] == mic.between(clip.start, clip.end)


def test_a_past_looks_back_in_its_window_and_says_what_is_missing() -> None:
    mic = TimeWindowSubject(1.0, name="mic", clock=lambda: 0)
    for start in range(0, 50, 10):
        mic.on_next(ramp(start, 10))
    events = [key(22), key(30), key(48)]
    clips = collected(
        rx.from_iterable(events).pipe(
            ops.capture(
                mic.past(start=20 * MS, end=32 * MS), before=0.005, after=0.003, merge=False
            )
        )
    )
    assert [values(clip) for clip in clips] == [
        list(range(17, 25)), list(range(25, 33)), list(range(43, 50)),
    ]  # fmt: skip
    assert [clip.complete for clip in clips] == [True, True, False]
    assert clips[2].missing == (Missing("mic", 50 * MS, 51 * MS, "stream ended"),)
    with pytest.raises(ParameterError, match="before=5 s is more than 'mic' keeps"):
        ops.capture(mic.past(), before=5)


def collected(stream: rx.Observable[Any]) -> list[Any]:
    """Return what a stream gives that ends while it is subscribed to."""
    got: list[Any] = []
    ends: list[Any] = []
    stream.subscribe(got.append, ends.append, lambda: ends.append(None))
    assert ends == [None]
    return got


# -- bad arguments ------------------------------------------------------------------------------


def test_bad_arguments_fail_where_the_pipe_is_built() -> None:
    mic = TimeWindowSubject(3, name="mic")
    with pytest.raises(ParameterError, match=r"before=5 s is more than 'mic' keeps; make its hist"):
        ops.capture(mic, before=5)
    with pytest.raises(ParameterError, match=r"keeps no past; give the device itself, or put ops"):
        ops.capture(mic.pipe(ops.rechunk(4)), before=1)
    with pytest.raises(ParameterError, match="needs a stream"):
        ops.capture(before=1)
    with pytest.raises(ParameterError, match=r"two streams are called 'mic'; name them"):
        ops.capture(mic, TimeWindowSubject(3, name="mic"), before=1)
    with pytest.raises(ParameterError, match="no option 'befor'"):
        ops.capture(mic, befor=1)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="before or after > 0"):
        ops.capture(mic)
    with pytest.raises(ParameterError, match=r"max_duration=2 is less than before \+ after, 3 s"):
        ops.capture(mic, before=1, after=2, max_duration=2)
    with pytest.raises(ParameterError, match="events must be 'samples' or 'chunks'"):
        ops.capture(mic, before=1, events="session")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="time must be a function"):
        ops.capture(mic, before=1, time="t")  # type: ignore[arg-type]
    for name in ("before", "after", "lateness"):
        with pytest.raises(ParameterError, match=f"{name} must be >= 0"):
            ops.capture(mic, **{"after": 1, name: -1})
    with pytest.raises(ParameterError, match="max_duration must be > 0"):
        ops.capture(mic, before=1, max_duration=0)


def test_a_clip_tells_what_it_is() -> None:
    chunk = ramp(0, 3)
    clip = Clip(("x",), (5,), 0, 3 * MS, {"mic": chunk}, part=1, more=True)
    assert repr(clip) == (
        "<Clip 00:00:00.000000 + 0.003 s, 1 event: mic 3, part 1, more follows>"
    )  # fmt: skip
    assert clip == Clip(("x",), (5,), 0, 3 * MS, {"mic": ramp(0, 3)}, part=1, more=True)
    assert "Clip 00:00" in clip._repr_html_()
    assert clip.duration == 0.003
    with pytest.raises(TypeError):
        clip.streams["mic"] = chunk  # type: ignore[index]
    assert chunk.info == INFO


@pytest.mark.parametrize(
    "again", [lambda c: pickle.loads(pickle.dumps(c)), copy.deepcopy, copy.copy]
)
def test_a_clip_can_be_copied(again: Any) -> None:
    missing = (Missing("cam", 0, MS, "late"),)
    clip = Clip((key(2),), (2 * MS,), 0, 3 * MS, {"mic": ramp(0, 3)}, missing, part=1, more=True)
    other = again(clip)
    assert type(other) is Clip
    assert other == clip
    assert repr(other) == repr(clip)
    with pytest.raises(TypeError):
        other.streams["mic"] = ramp(0, 3)
    assert not other["mic"].data.flags.writeable


def test_clips_are_worked_on_in_processes() -> None:
    mic = TimeWindowSubject(60, name="mic", clock=lambda: 0)
    mic.on_next(ramp(0, 50))
    mic.on_completed()
    got: list[Clip] = []
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        rx.of(key(10), key(30)).pipe(
            ops.capture(mic, before=0.005, after=0.003, merge=False),
            ops.map_parallel(same, pool),
        ).subscribe(got.append)
        assert eventually(lambda: len(got) == 2)
    assert [values(clip) for clip in got] == [list(range(5, 13)), list(range(25, 33))]
    assert all(clip["mic"] == mic.between(clip.start, clip.end) for clip in got)
