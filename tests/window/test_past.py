"""`past` with a warm-up: over the history, a pipeline gives what it gave live."""

import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, Manual, ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rxo
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Device, Gap, Reading, StreamInfo, TimeWindowSubject, concat
from rxstream import operators as ops
from rxstream.errors import NotRewindableError, ParameterError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.lift import lift
from rxstream.testing import recut, streams

pytestmark = pytest.mark.real

here = ImmediateScheduler()
PLAIN = st.just(StreamInfo("plain", 100.0, (), np.int64)) | st.just(
    StreamInfo("events", None, (2,), np.float32)
)
N = 7  # samples that the mean remembers


class RunningMean:
    """The mean of the last N samples, since the beginning or a gap."""

    def __init__(self) -> None:
        self.last: deque[float] = deque(maxlen=N)

    def push(self, chunk: Chunk[Any]) -> Iterable[Chunk[Any]]:
        means = []
        gaps = {at for at, _ in chunk.gap_positions}
        for k, value in enumerate(chunk.data):
            if k in gaps:
                self.last.clear()
            self.last.append(float(np.sum(value)))
            means.append(sum(self.last) / len(self.last))
        if len(chunk) in gaps:
            self.last.clear()
        return [chunk.with_data(np.array(means))]

    def flush(self) -> Iterable[Chunk[Any]]:
        return ()


def filled(chunks: Iterable[Chunk[Any]]) -> tuple[TimeWindowSubject, list[Chunk[Any]]]:
    """Return a window with chunks in it, and what `RunningMean` gave live."""
    subject = TimeWindowSubject(3600, clock=lambda: 0)
    live: list[Chunk[Any]] = []
    keep_heartbeats(subject.pipe(lift(RunningMean))).subscribe(live.append, scheduler=here)
    for chunk in chunks:
        subject.on_next(chunk)
    return subject, live


def collected(source: rx.Observable[Any]) -> list[Any]:
    got: list[Any] = []
    errors: list[Exception] = []
    everything = keep_heartbeats(source)
    everything.subscribe(got.append, errors.append, lambda: got.append("end"))
    assert errors == []
    assert got.pop() == "end"
    return got


@given(streams(PLAIN), st.lists(st.integers(0, 200)), st.data())
def test_a_running_mean_over_the_past_is_what_it_was_live(
    chunks: list[Chunk[Any]], cuts: list[int], data: st.DataObject
) -> None:
    chunks = recut(chunks, cuts)
    subject, live = filled(chunks)
    whole = concat(live)
    begin = data.draw(st.integers(whole.covered_from - MS, whole.end - 1), label="begin")
    # as long as it remembers: N samples before the first one, with whatever gaps are between
    first = max(0, int(np.searchsorted(whole.time, begin)) - N)
    reach = begin - (int(whole.time[first]) if len(whole) else whole.covered_from)
    past = subject.past(start=begin, warmup=max(1, reach) / 1e9)
    again = collected(past.pipe(lift(RunningMean)))
    assert concat(again) == whole.between(begin, whole.end)
    assert concat(collected(past)) == concat(chunks).between(begin, whole.end)


@given(st.integers(1, 40), st.integers(0, 400), st.integers(1, 100))
def test_windows_over_the_past_are_those_that_were_live(size: int, begin: int, piece: int) -> None:
    subject = TimeWindowSubject(3600, clock=lambda: 0)
    windows = ops.window_by_time(size / 1000, every=max(1, size // 2) / 1000)
    live: list[Chunk[Any]] = []
    subject.pipe(windows).subscribe(live.append, scheduler=here)
    for k in range(0, 400, piece):
        subject.on_next(ramp(k, min(piece, 400 - k)))
    t = begin * MS
    past = subject.past(start=t, warmup=2 * size / 1000, cut=False)
    again = collected(past.pipe(windows))
    expected = [window for window in live if window.end > t]
    assert again[: len(expected)] == expected  # at the end come those that are not full yet
    cut = collected(subject.past(start=t, warmup=2 * size / 1000).pipe(windows))
    assert cut[: len(expected)] == [w.between(t, w.end) for w in expected]


def test_one_pipeline_live_and_over_the_past() -> None:
    source = Manual()
    pipeline = rx.compose(ops.rechunk(5), lift(RunningMean))
    live: list[Chunk[Any]] = []
    with Device(source, timestamps="arrival") as device:
        device.pipe(pipeline).subscribe(live.append, scheduler=here)
        for k in range(20):
            source.emit(Reading(np.arange(10 * k, 10 * k + 10), arrival=10**18 + 10 * k * MS))
        again = collected(device.past(0.05, warmup=0.01).pipe(pipeline))
        assert np.array_equal(concat(again).data, concat(live).data[-50:])
        cold = collected(device.past(0.05).pipe(pipeline))
        assert not np.array_equal(concat(cold).data, concat(live).data[-50:])
        assert concat(collected(device.past(0.05, warmup=0.01))).data.tolist() == [*range(150, 200)]


def test_what_is_no_chunk_is_made_of_what_is_left_of_the_warm_up() -> None:
    subject, _ = filled(ramp(10 * k, 10) for k in range(10))
    firsts = rxo.map(lambda chunk: int(chunk.data[0]))
    past = subject.past(0.02, warmup=0.03).pipe(ops.rechunk(5))
    assert collected(past.pipe(firsts)) == [80, 85, 90, 95]


# -- what is no chunk ---------------------------------------------------------------------------


def second(start: int, seconds: float = 1.0) -> Chunk[Any]:
    """Return a second of a stream of 10 Hz that counts the seconds."""
    n = round(10 * seconds)
    data = start + np.arange(n) // 10
    info = StreamInfo("count", 10.0, (), np.int64)
    return Chunk.regular(data, info, start=start * 1000 * MS, index=10 * start)


def counts() -> TimeWindowSubject:
    subject = TimeWindowSubject(60, name="count", clock=lambda: 0)
    for start in range(30):
        subject.on_next(second(start))
    return subject


def newest(chunk: Chunk[Any]) -> int:
    return int(chunk.data[-1])


async def newest_soon(chunk: Chunk[Any]) -> int:
    return newest(chunk)


def eventual(source: rx.Observable[Any]) -> tuple[list[Any], list[Exception]]:
    """Return what comes, on whatever thread, and the errors."""
    got: list[Any] = []
    errors: list[Exception] = []
    over = threading.Event()

    def fail(error: Exception) -> None:
        errors.append(error)
        over.set()

    source.subscribe(got.append, fail, over.set)
    assert over.wait(20)
    return got, errors


FAR: list[Any] = [lambda: ops.map_parallel(newest), lambda: ops.map_async(newest_soon)]


@pytest.mark.parametrize("far", FAR, ids=["map_parallel", "map_async"])
def test_what_comes_from_other_threads_needs_a_time_too(far: Any) -> None:
    past, windows = counts().past(3, warmup=5), ops.window_by_time(1.0)
    got, errors = eventual(past.pipe(windows, far()))
    assert got == []
    assert isinstance(errors[0], ParameterError)
    assert "what operator 2 gives has no time" in str(errors[0])
    assert eventual(past.pipe(windows).pipe(far())) == ([27, 28, 29], [])
    got, errors = eventual(past.pipe(windows, far(), rxo.map(str)))
    assert "what operator 3 gives has no time" in str(errors[0])
    assert got == []


def test_chunks_from_other_threads_are_cut() -> None:
    past = counts().past(3, warmup=5)
    parallel = ops.map_parallel(lambda chunk: chunk.with_data(chunk.data + 100))
    got, errors = eventual(past.pipe(ops.window_by_time(1.0), parallel).pipe(rxo.map(newest)))
    assert (got, errors) == ([127, 128, 129], [])
    got, errors = eventual(past.pipe(ops.window_by_time(2.0), parallel))
    assert ([chunk.data[0] for chunk in got], errors) == ([127, 128], [])
    pairs = ops.map_parallel(lambda chunk: (chunk, chunk))
    got, errors = eventual(past.pipe(ops.window_by_time(2.0), pairs))
    assert ([[len(chunk) for chunk in pair] for pair in got], errors) == ([[10, 10], [20, 20]], [])


def test_windows_of_several_streams_are_left_out_by_their_times() -> None:
    mic, cam = counts(), counts()
    joined = ops.join_windows(cam.past(8), duration=1.0)
    got = collected(mic.past(3, warmup=5).pipe(joined))
    assert [window.start // 10**9 for window in got] == [27, 28, 29]
    assert all(len(chunk) == 10 for window in got for chunk in window.chunks)
    starts = rxo.map(lambda window: window.start // 10**9)
    assert collected(mic.past(3, warmup=5).pipe(joined).pipe(starts)) == [27, 28, 29]
    odd = ops.join_windows(cam.past(8), duration=2.0)
    got = collected(mic.past(3, warmup=5).pipe(odd))  # one that reaches over the start stays whole
    assert [window.start // 10**9 for window in got] == [26, 28]


def test_aligned_chunks_are_cut_together() -> None:
    mic, cam = counts(), counts()
    aligned = rx.compose(ops.window_by_time(1.0), ops.align(cam.past(8)))
    past = mic.past(2.5, warmup=5)
    got = collected(past.pipe(aligned))
    assert all(a.time.tolist() == b.time.tolist() for a, b in got)
    assert [t // MS for a, _ in got for t in a.time.tolist()] == list(range(27_500, 30_000, 100))
    assert [newest(b) for _, b in got] == [27, 28, 29]
    whole = collected(mic.past(2.5, warmup=5, cut=False).pipe(aligned))
    assert [(a.start // MS, a.end // MS) for a, _ in whole] == [
        (27_000, 28_000), (28_000, 29_000), (29_000, 30_000),
    ]  # fmt: skip
    assert [b.start // MS for _, b in whole] == [27_000, 28_000, 29_000]
    numbers = collected(past.pipe(aligned).pipe(rxo.map(lambda pair: newest(pair[1]))))
    assert numbers == [27, 28, 29]


def test_clips_are_left_out_by_their_times() -> None:
    mic = counts()
    keys = TimeWindowSubject(60, name="keys", clock=lambda: 0)
    info = StreamInfo("keys")
    for k in range(30):
        keys.on_next(Chunk.stamped(np.ones(1, "f4"), [k * 1000 * MS], info, index=k))
    clips = ops.capture(mic.past(), before=0.3, after=0.2, merge=False)
    got = collected(keys.past(start=20 * 1000 * MS, warmup=5).pipe(clips))
    assert [clip.times[0] // 10**9 for clip in got] == list(range(20, 30))
    assert (got[0].start, got[0].end) == (19_700 * MS, 20_200 * MS)  # whole


def test_samples_are_left_out_by_their_times() -> None:
    past = counts().past(0.25, warmup=5)
    got = collected(past.pipe(ops.samples()))
    assert [sample.time // MS for sample in got] == [29_800, 29_900]


@pytest.mark.parametrize(
    ("operators", "number"),
    [
        ([rxo.map(newest)], 1),
        ([ops.window_by_time(1.0), rxo.count()], 2),
        ([ops.window_by_time(1.0), rxo.pairwise()], 2),
        ([ops.window_by_time(1.0), rxo.map(lambda chunk: (chunk, 1))], 2),
        ([ops.window_by_time(1.0), rxo.map(lambda _: ())], 2),
        ([ops.window_by_time(1.0), rxo.map(lambda _: re.match("a", "a"))], 2),
    ],
)
def test_results_without_a_time_fail_at_the_first(operators: list[Any], number: int) -> None:
    past = counts().past(3, warmup=5)
    got, errors = eventual(past.pipe(*operators))
    assert (got, len(errors)) == ([], 1)
    assert isinstance(errors[0], ParameterError)
    assert f"what operator {number} gives has no time" in str(errors[0])


def test_results_without_a_time_are_made_in_a_further_pipe() -> None:
    past = counts().past(3, warmup=5)
    windows = past.pipe(ops.window_by_time(1.0))
    assert collected(windows.pipe(rxo.map(newest))) == [27, 28, 29]
    assert collected(windows.pipe(rxo.count())) == [3]
    assert collected(windows.pipe(rxo.pairwise(), rxo.map(lambda p: newest(p[1])))) == [28, 29]
    shared = past.pipe(ops.window_by_time(1.0), rxo.publish(), rxo.ref_count())
    assert collected(shared.pipe(rxo.map(newest))) == [27, 28, 29]
    nested = rxo.flat_map(lambda chunk: rx.of(newest(chunk)))
    assert collected(windows.pipe(nested)) == [27, 28, 29]


def test_a_gap_at_the_start_is_cut() -> None:
    gap = Gap(10 * MS, 30 * MS, 20, "dropped")
    subject, live = filled([ramp(0, 10), ramp(30, 10, gap)])
    again = collected(subject.past(start=20 * MS, warmup=1).pipe(lift(RunningMean)))
    assert concat(again) == concat(live).between(20 * MS, 40 * MS)
    assert again[0].gap == Gap(20 * MS, 30 * MS, 10, "dropped")


def test_errors_and_fluent_style() -> None:
    subject, _ = filled([ramp(0, 10)])
    past = subject.past(0.01, warmup=0.01)
    assert past.pipe() is past
    errors: list[Exception] = []
    past.pipe(ops.map_data(lambda x: 1 / 0)).subscribe(print, errors.append)
    assert isinstance(errors[0], ZeroDivisionError)
    # RxPY 4 has no fluent style
    if hasattr(past, "map"):
        assert collected(subject.past(0.01).map(len)) == [10]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.past(1, warmup=-1), "warmup must be >= 0"),
        (lambda s: s.past(warmup=1), "needs seconds or start="),
        (lambda s: s.past(1, warmup=1).pipe(lambda _: 3), "end in an Observable, not in a int"),
        (lambda s: s.past(1, warmup=1).pipe(ops.rewind(1)), "rewind"),
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises((ParameterError, NotRewindableError), match=words):
        make(TimeWindowSubject(60))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.pipe(ops.rechunk(5), ops.rewind(10)), "device.pipe(ops.rewind(10), ...)"),
        (lambda d: d.pipe(ops.rechunk(5), ops.rewind(10)), "device.past(10, warmup=1).pipe(...)"),
        (lambda d: d.pipe(ops.rechunk(5), ops.rewind(10)), "ops.replay_window(10) right before"),
        (lambda d: d.pipe(ops.rechunk(5), ops.rewind(to=7)), "device.past(start=7, warmup=1)"),
        (lambda d: Subject[Chunk]().pipe(ops.rewind(1)), "a Subject, keeps no past"),
        (lambda d: d.past(5).pipe(ops.rewind(1)), "past(...) is the past already"),
    ],
)
def test_rewind_says_what_to_write_instead(make: Any, words: str) -> None:
    with pytest.raises(NotRewindableError) as raised:
        make(Device(Manual()))
    assert words in str(raised.value)
