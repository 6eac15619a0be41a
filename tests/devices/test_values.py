"""Iterable, Function and Playback: what a program has itself, as devices."""

import math
import os
import pickle
import queue
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import eventually

from rxstream import Chunk, Device, StreamInfo
from rxstream import operators as ops
from rxstream.authoring import Reading, now_ns
from rxstream.data.concat import concat
from rxstream.devices import Function, Iterable, Playback
from rxstream.devices.simulated import Simulated
from rxstream.errors import ChunkError, DeviceLostError, DeviceNotFoundError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

DOCS = Path(__file__).parents[2] / "docs" / "devices"
INT = StreamInfo("count", dtype=np.dtype(int))
SECOND = 1_000_000_000


def all_of(source: Any) -> Chunk[Any]:
    """Return all samples of a source that ends."""
    device = Device(source)
    reader = device.reader()
    with device:
        chunks = [chunk for chunk in reader if len(chunk)]
    return concat(chunks)


# -- Iterable -----------------------------------------------------------------------------------


def squares() -> Iterator[int]:
    for k in range(5):
        yield k * k


def endless() -> Iterator[float | None]:
    """Give a number now and then, and else nothing."""
    k = 0
    while True:
        yield float(k) if k % 2 else None
        os.sched_yield()
        k += 1


def test_an_iterable_keeps_the_rules() -> None:
    check_source(lambda: Iterable(endless))


def test_an_iterable_with_a_rate_keeps_the_rules() -> None:
    check_source(lambda: Iterable(tuple(range(5000)), StreamInfo("x", 500.0, dtype=np.dtype(int))))


@pytest.mark.parametrize(
    "values", [[0, 1, 4, 9, 16], squares, squares(), (k * k for k in range(5))]
)
def test_every_value_comes_and_then_it_ends(values: Any) -> None:
    assert all_of(Iterable(values, INT)).data.tolist() == [0, 1, 4, 9, 16]


def test_a_function_makes_a_new_iterable_for_each_opening() -> None:
    source = Iterable(squares, INT)
    assert all_of(source) is not all_of(source)
    assert all_of(source).data.tolist() == [0, 1, 4, 9, 16]


def test_values_are_what_an_author_may_yield() -> None:
    info = StreamInfo("weather", dtype=np.dtype([("place", "U8"), ("celsius", "f4")]))
    rows = [{"place": "roof", "celsius": 20.5, "wind": 3}, ("cellar", 12.0)]
    assert all_of(Iterable(rows, info)).data.tolist() == [("roof", 20.5), ("cellar", 12.0)]


def test_values_may_have_times_of_their_own() -> None:
    info = StreamInfo("events", device_clock="host", dtype=np.dtype(float))
    chunk = all_of(Iterable([(1.0, 5 * SECOND), (2.0, 7 * SECOND)], info))
    assert chunk.time.tolist() == [5 * SECOND, 7 * SECOND]


def test_with_a_rate_times_follow_from_the_number() -> None:
    info = StreamInfo("wave", 100.0, dtype=np.dtype(float))
    before = now_ns()
    blocks = [np.arange(30.0), np.arange(70.0)]
    chunk = all_of(Iterable(blocks, info))
    assert len(chunk) == 100
    assert before <= chunk.time[0] <= now_ns()
    assert np.abs(np.diff(chunk.time) - 10_000_000).max() <= 1
    assert not chunk.gaps


def test_losses_that_an_iterable_counts_are_gaps() -> None:
    info = StreamInfo("wave", 100.0, dtype=np.dtype(float))
    chunk = all_of(Iterable([np.zeros(10), Reading(np.ones(10), lost=5)], info))
    assert [gap.lost for gap in chunk.gaps] == [5]


def test_what_a_generator_raises_is_a_lost_device() -> None:
    def broken() -> Iterator[float]:
        yield 1.0
        raise OSError("unplugged")

    device = Device(Iterable(broken))
    errors: list[Exception] = []
    device.subscribe(lambda _: None, on_error=errors.append)
    with device:
        assert eventually(lambda: errors)
    assert isinstance(errors[0], DeviceLostError)


def test_a_value_that_does_not_fit_is_named() -> None:
    device = Device(Iterable([1, "two"], INT))
    errors: list[Exception] = []
    device.subscribe(lambda _: None, on_error=errors.append)
    with device:
        assert eventually(lambda: errors)
    assert isinstance(errors[0], ChunkError)
    assert "'two' does not fit int64" in str(errors[0])


def test_a_queue_is_a_live_device() -> None:
    values: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def take() -> Iterator[float | None]:
        while True:
            try:
                yield values.get(timeout=0.05)
            except queue.Empty:
                yield None

    with Device(Iterable(take, live=True)) as device, device.reader() as reader:
        values.put(3.5)
        assert reader.read(1, timeout=10).data.tolist() == [3.5]


# -- Function -----------------------------------------------------------------------------------


def half() -> float:
    return 0.5


def test_a_function_keeps_the_rules() -> None:
    check_source(lambda: Function(half, 0.02))


def test_a_function_is_asked_on_a_schedule_with_exact_bounds() -> None:
    load = Function(os.getloadavg, 0.02, StreamInfo("load", shape=(3,), dtype=np.dtype(float)))
    with Device(load) as device, device.reader() as reader:
        chunk = reader.read(10, timeout=20)
    assert chunk.shape == (10, 3)
    assert chunk.uncertainty < 10_000_000


def test_a_function_that_raises_at_once_is_not_there() -> None:
    def absent() -> float:
        raise OSError("no sensor")

    with pytest.raises(DeviceNotFoundError, match="no sensor"):
        Device(Function(absent, 0.1)).open()


# -- Playback -----------------------------------------------------------------------------------

RAMP = np.arange(2000.0)


def test_a_playback_keeps_the_rules() -> None:
    check_source(lambda: Playback(RAMP, rate=1000.0, start=5 * SECOND))


def test_a_playback_with_times_keeps_the_rules() -> None:
    check_source(lambda: Playback(RAMP, np.arange(2000) * 1_000_000))


def test_a_playback_of_values_that_numpy_prints_rounded_keeps_the_rules() -> None:
    data = np.random.default_rng(1).normal(size=500)
    check_source(lambda: Playback(data, rate=250.0, start=5 * SECOND))


@pytest.mark.parametrize("speed", [20.0, math.inf])
def test_regular_samples_come_at_their_own_times(speed: float) -> None:
    data = np.random.default_rng(1).normal(size=(4410, 2)).astype(np.float32)
    start = np.datetime64("2026-11-30T12:00:00")
    chunk = all_of(Playback(data, rate=44_100 / 8, start=start, speed=speed))
    assert np.array_equal(chunk.data, data)
    assert chunk.info.rate == 44_100 / 8
    first = int(start.astype("M8[ns]").astype(np.int64))
    want = first + np.rint(np.arange(4410) * 8e9 / 44_100).astype(np.int64)
    assert np.abs(chunk.time - want).max() <= 1
    assert not chunk.gaps


@pytest.mark.parametrize("speed", [50.0, math.inf])
def test_irregular_samples_come_at_their_own_times(speed: float) -> None:
    times = np.sort(np.random.default_rng(2).integers(0, 20 * SECOND, 300)) + 10**18
    chunk = all_of(Playback(np.arange(300), times, speed=speed))
    assert np.array_equal(chunk.data, np.arange(300))
    assert np.array_equal(chunk.time, times)
    assert not chunk.gaps


def test_equal_times_are_kept_a_nanosecond_apart() -> None:
    chunk = all_of(Playback(np.arange(4), [5, 5, 5, 9], speed=math.inf))
    assert chunk.time.tolist() == [5, 6, 7, 9]


def test_it_takes_as_long_as_its_times_divided_by_speed() -> None:
    before = now_ns()
    all_of(Playback(np.arange(5), np.arange(5) * SECOND, speed=10.0))
    assert 0.39e9 <= now_ns() - before < 10e9


def test_a_table_of_numbers_gives_channels() -> None:
    index = pd.date_range("2026-01-01", periods=100, freq="250ms", unit="ms")
    table = pd.DataFrame({"x": np.arange(100.0), "y": np.arange(100.0) * 2}, index=index)
    chunk = all_of(Playback(table, speed=math.inf, unit="g"))
    assert chunk.info.channels == ("x", "y")
    assert chunk.info.unit == "g"
    assert np.array_equal(chunk.data, table.to_numpy())
    assert np.array_equal(chunk.time, index.values.astype("M8[ns]").astype(np.int64))


def test_a_mixed_table_gives_fields_and_takes_a_column_as_time() -> None:
    table = pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True),
            "name": ["a", "longer"],
            "n": [1, 2],
            "good": [True, False],
        }
    )
    chunk = all_of(Playback(table, "when", speed=math.inf))
    assert chunk.data.dtype == [("name", "U6"), ("n", "i8"), ("good", "?")]
    assert chunk.data.tolist() == [("a", 1, True), ("longer", 2, False)]
    assert np.diff(chunk.time).tolist() == [86_400 * SECOND]


def test_an_index_with_a_zone_is_moved_to_utc() -> None:
    index = pd.DatetimeIndex(["2026-06-01 12:00"]).tz_localize("Europe/Berlin")
    chunk = all_of(Playback(pd.Series([1.0], index=index), speed=math.inf))
    assert chunk.time[0] == int(np.datetime64("2026-06-01T10:00", "ns").astype(np.int64))


def test_a_column_of_times_with_a_zone_is_moved_to_utc() -> None:
    seen = pd.to_datetime(["2026-01-01T01:00+01:00", "2026-01-01T02:00+01:00"])
    source = Playback(pd.DataFrame({"seen": seen, "x": [1, 2]}), rate=1.0)
    hours = np.datetime_as_string(source.data["seen"], "h").tolist()
    assert hours == ["2026-01-01T00", "2026-01-01T01"]


def test_times_may_be_centuries_apart() -> None:
    times = [-(1 << 63) + 1, 0, (1 << 63) - 1]
    assert Playback(np.zeros(3), times).times.tolist() == times


def test_live_and_played_back_give_the_same() -> None:
    live = all_of(Simulated(rate=1000.0, signal="noise", duration=1.0, seed=3))
    again = all_of(Playback(live.data, live.time, speed=math.inf))
    regular = all_of(Playback(live.data, rate=1000.0, start=int(live.time[0]), speed=math.inf))
    assert np.array_equal(live.data, again.data)
    assert np.array_equal(live.time, again.time)
    assert np.array_equal(live.data, regular.data)


def test_between_two_samples_it_says_that_nothing_comes() -> None:
    device = Device(Playback(np.array([1.0, 2.0]), [0, 4 * SECOND], speed=8.0))
    chunks: list[Chunk[Any]] = []
    device.pipe(ops.map_data(np.copy)).with_heartbeats().subscribe(chunks.append)
    with device:
        assert device.wait(20)
    assert [chunk.data.tolist() for chunk in chunks if len(chunk)] == [[1.0], [2.0]]
    beats = [chunk.end for chunk in chunks if not len(chunk)]
    assert any(0 < end < 4 * SECOND for end in beats)


def test_sources_are_plain_values() -> None:
    for source in (
        Iterable((1, 2)),
        Iterable([1, 2]),
        Function(half, 0.1),
        Playback(RAMP, rate=5.0),
    ):
        again = pickle.loads(pickle.dumps(source))
        assert again == source
        assert hash(again) == hash(source)
    assert Playback(RAMP, rate=5.0) != Playback(RAMP + 1, rate=5.0)


# -- what is refused ----------------------------------------------------------------------------

FRAME = pd.DataFrame({"x": [1.0, 2.0], "odd": [1, None]}).astype({"odd": object})

TWICE = pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0]}).set_axis(["x", "x"], axis=1)
FLAGS = pd.DataFrame({"on": pd.array([True, None], "boolean")})
YEARS = np.array(["2026", "9999"], "M8[Y]")
MASKED = np.ma.masked_equal(RAMP, 3.0)

REFUSED: list[tuple[Any, str]] = [
    (lambda: Iterable(5), "values must be an iterable, or a function that returns one, not 5"),
    (lambda: Iterable(RAMP), "give it to Playback"),
    (lambda: Iterable([1], "int"), "info must be a StreamInfo"),
    (lambda: Iterable([1], live=2), "live must be True or False"),
    (lambda: Function(5), "function must be a function, not 5"),
    (lambda: Function(half, 0), "every must be > 0"),
    (lambda: Function(half, 1, StreamInfo("x", 5.0)), "leave out rate=5"),
    (lambda: Playback([1, 2], rate=5.0), "data must be an array"),
    (
        lambda: Playback(np.zeros((3, 2)), rate=5.0, channels=("left",)),
        "channels must be 2 labels, one for each along the last axis of data (3, 2), not ('left',)",
    ),
    (lambda: Playback(RAMP, rate=5.0, channels=("x", "y")), "channels must be 1 label, one for"),
    (lambda: Playback(RAMP, rate=5.0, channels="x"), "channels must be labels, e.g. ('x', 'y')"),
    (lambda: Playback(np.float64(3), rate=5.0), "data must be an array"),
    (lambda: Playback(RAMP), "give times=, or rate="),
    (lambda: Playback(RAMP, RAMP.astype(int), rate=5.0), "not both"),
    (lambda: Playback(RAMP, [1, 2]), "times must be int nanoseconds or datetime64 (2000,)"),
    (lambda: Playback(RAMP, RAMP), "not float64"),
    (lambda: Playback(np.zeros(2), [2, 1]), "sort them first"),
    (lambda: Playback(np.zeros(2), np.array(["2026", "NaT"], "M8[s]")), "sample 1 is NaT"),
    (lambda: Playback(np.zeros(2), YEARS), "the time of sample 1 is none that int64 nanoseconds"),
    (lambda: Playback(np.zeros(2), np.array([0, 2**63], "u8")), "the time of sample 1 is none"),
    (lambda: Playback(MASKED, rate=5.0), "samples of data are masked"),
    (lambda: Playback(TWICE, rate=5.0), "several columns 'x'; rename them"),
    (lambda: Playback(FLAGS, rate=5.0), "row 1 of column 'on' is <NA>, no number"),
    (lambda: Playback(RAMP, rate=5.0, speed=0), "speed must be > 0, or math.inf"),
    (lambda: Playback(RAMP, rate=-5.0), "rate must be > 0"),
    (lambda: Playback(FRAME), "the index of the table has no times"),
    (lambda: Playback(FRAME, rate=1.0), "row 0 of column 'odd' is 1.0, no number and no text"),
    (lambda: Playback(FRAME, "when"), "no column 'when'; it has x, odd"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_wrong_option_is_refused_where_it_is_written(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        make()


@pytest.mark.parametrize("page", ["values", "playback"])
def test_the_page_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, page, "exec"), {"__name__": page})
    assert capsys.readouterr().out
