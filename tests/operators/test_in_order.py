"""Chunks that go back, or come twice: refused where they are stored or joined, with both times."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, ramp
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, TimeWindowSubject, concat
from rxstream import operators as ops
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.errors import ChunkError
from rxstream.testing import run_operator

EVENTS = StreamInfo("ramp", None, (), np.dtype(np.int64))
PARTNER = ramp(0, 1000)


def partner() -> Any:
    return rx.of(PARTNER)


def window() -> TimeWindowSubject:
    subject = TimeWindowSubject(60, name="mic")
    subject.on_next(PARTNER)
    subject.on_completed()
    return subject


REFUSING: dict[str, Callable[[], Any]] = {
    "rechunk": lambda: ops.rechunk(1000),
    "window_by_time": lambda: ops.window_by_time(1),
    "window_by_time-drop": lambda: ops.window_by_time(1, on_gap="drop"),
    "gate": lambda: ops.gate(-1),
    "fill_gaps": lambda: ops.fill_gaps(0),
    "scan_data": lambda: ops.scan_data(lambda state, data: (data, state), 0),
    "resample": lambda: ops.resample(10),
    "resample-previous": lambda: ops.resample(10, method="previous"),
    "resample-polyphase": lambda: ops.resample(500, method="polyphase"),
    "resample-onto": lambda: ops.resample(onto=partner()),
    "sosfilt": lambda: ops.sosfilt([[1, 0, 0, 1, 0, 0]]),
    "filter_band": lambda: ops.filter_band(None, 10),
    "decimate": lambda: ops.decimate(2),
    "decimate-iir": lambda: ops.decimate(2, kind="iir"),
    "rms": lambda: ops.rms(0.1),
    "spectrogram": lambda: ops.spectrogram(0.1),
    "onset": lambda: ops.onset(1e6),
    "align": lambda: ops.align(partner()),
    "align-rate": lambda: ops.align(partner(), rate=10),
    "join_windows": lambda: ops.join_windows(partner(), duration=1),
    "merge_by_time": lambda: ops.merge_by_time(partner()),
}
# sessions takes events only
IRREGULAR = {"sessions": lambda: ops.sessions(1)}
# As the partner of another stream.
PARTNERS: dict[str, Callable[[Any], Any]] = {
    "align": ops.align,
    "resample": lambda other: ops.resample(onto=other),
    "join_windows": lambda other: ops.join_windows(other, duration=1),
    "merge_by_time": ops.merge_by_time,
}
# These look at each chunk by itself, or say that it goes back; what is behind them refuses it.
PASSING: dict[str, Callable[[], Any]] = {
    "map_data": lambda: ops.map_data(lambda x: x),
    "calibrate": lambda: ops.calibrate(2.0),
    "select": lambda: ops.select(0),
    "samples": ops.samples,
    "gaps": ops.gaps,
    "ignore_gaps": ops.ignore_gaps,
    "detect_gaps": ops.detect_gaps,
    "meter": lambda: ops.meter(1),
    "timestamp_correct": ops.timestamp_correct,
}
ELSEWHERE = {
    "capture",  # below: its streams refuse, events may come in any order
    "decode_can",  # each message by itself
    "latest", "map_async", "map_parallel",  # each item by itself, chunks or not
    "on_lag", "rewind",  # views of a window, which refuses
    "replay_window",  # its window refuses
}  # fmt: skip

BACK = [ramp(100, 10), ramp(50, 10)]
TWICE = [ramp(100, 10), ramp(100, 10)]
INTO = [ramp(100, 10), ramp(105, 10)]


def events(first: int, n: int) -> Chunk[Any]:
    times = np.arange(first, first + n) * MS
    return Chunk.stamped(np.arange(n), times, EVENTS, end=(first + n) * MS, index=first)


@pytest.mark.parametrize("chunks", [BACK, TWICE, INTO], ids=["back", "twice", "into"])
@pytest.mark.parametrize("name", REFUSING)
def test_refused_by_who_stores_or_joins(name: str, chunks: list[Chunk[Any]]) -> None:
    first, second = chunks
    with pytest.raises(ChunkError, match=rf"ramp goes back.* {second.start}, .*it, {first.end};"):
        run_operator(REFUSING[name](), chunks)


def test_refused_by_sessions() -> None:
    for second in (50, 100, 105):
        with pytest.raises(ChunkError, match="sessions: ramp goes back"):
            run_operator(IRREGULAR["sessions"](), [events(100, 10), events(second, 10)])


@pytest.mark.parametrize("chunks", [BACK, TWICE, INTO], ids=["back", "twice", "into"])
@pytest.mark.parametrize("name", PARTNERS)
def test_refused_of_a_partner(name: str, chunks: list[Chunk[Any]]) -> None:
    with pytest.raises(ChunkError, match=f"{name}: ramp goes back"):
        run_operator(PARTNERS[name](rx.from_iterable(chunks)), [ramp(0, 10), ramp(10, 200)])


@pytest.mark.parametrize("name", PASSING)
def test_passed_by_who_looks_at_each_by_itself(name: str) -> None:
    run_operator(PASSING[name](), [chunk.with_data(chunk.data[:, None]) for chunk in BACK])


def test_detect_gaps_says_that_time_goes_back() -> None:
    out = run_operator(ops.detect_gaps(), BACK)
    assert [gap.reason for chunk in out for gap in chunk.gaps] == ["overlap"]


def test_refused_by_the_streams_of_capture() -> None:
    class Past(TimeWindowSubject):
        """A window that gives everything twice, as a subject of another kind may."""

        def _subscribe_all(self, observer: Any, scheduler: Any = None) -> Any:
            twice = rx.from_iterable([PARTNER, PARTNER])
            return twice.subscribe(observer, scheduler=scheduler)

    errors: list[Exception] = []
    keys: Subject[Any] = Subject()
    past = Past(60, name="mic")
    clips = keys.pipe(ops.capture(past, before=0.01, after=0.01))
    clips.subscribe(on_error=errors.append, scheduler=ImmediateScheduler())
    past.dispose()
    assert "capture: ramp goes back" in str(errors[0])


def test_events_of_capture_may_come_in_any_order() -> None:
    out = run_operator(
        ops.capture(window(), before=0.001, after=0.001), [events(50, 1), events(5, 1)]
    )
    assert [clip.times for clip in out] == [(5 * MS,), (50 * MS,)]


def test_refused_by_windows_and_by_concat() -> None:
    for chunks in (BACK, TWICE, INTO):
        with pytest.raises(ChunkError, match="cannot join: ramp goes back"):
            concat(chunks)
        buffer: ChunkBuffer[Any] = ChunkBuffer()
        buffer.append(chunks[0])
        with pytest.raises(ChunkError, match="cannot join: ramp goes back"):
            buffer.append(chunks[1])
        errors: list[Exception] = []
        replayed = rx.from_iterable(chunks).pipe(ops.replay_window(60))
        replayed.subscribe(on_error=errors.append, scheduler=ImmediateScheduler())
        assert [type(error) for error in errors] == [ChunkError]


def test_overlapping_windows_are_refused_behind() -> None:
    """A gate, or a level, of windows that repeat samples has no meaning."""
    windows = ops.window_by_time(0.02, every=0.01)
    for operator in (ops.gate(0), ops.rms(0.01), ops.filter_band(None, 10)):
        with pytest.raises(ChunkError, match="goes back"):
            run_operator(rx.compose(windows, operator), [ramp(0, 100)])
    means = ops.map_data(lambda x: x - x.mean())
    assert len(run_operator(rx.compose(windows, means), [ramp(0, 100)])) == 11


def test_streams_that_were_merged_are_no_stream() -> None:
    """Samples of one lie within the chunks of the other, and would be taken for late."""
    a, b, c = (ramp(k, 50, info=StreamInfo(name, 1000.0, (), np.dtype(np.int64)))
               for k, name in ((0, "a"), (20, "b"), (40, "c")))  # fmt: skip
    twice = rx.compose(ops.merge_by_time(rx.of(b)), ops.merge_by_time(rx.of(c)))
    with pytest.raises(ChunkError, match="each stream before they are merged"):
        run_operator(twice, [a])
    assert sum(map(len, run_operator(ops.merge_by_time(rx.of(b), rx.of(c)), [a]))) == 150


def test_every_operator_is_in_one_of_the_tables() -> None:
    operators = {name for name in ops.__all__ if name.islower()}
    listed = {name.split("-")[0] for name in (*REFUSING, *IRREGULAR, *PASSING)} | ELSEWHERE
    assert operators == listed
