"""rechunk, select, map_data, samples and gaps: marbles, values, bad arguments."""

from typing import Any

import numpy as np
import pytest
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxstream import Chunk, Gap, Reading, StreamInfo, concat
from rxstream import operators as ops
from rxstream.acquisition.stamper import Stamper
from rxstream.errors import ChunkError, ParameterError
from rxstream.testing import assert_same, recut, run_operator

FLOATS = StreamInfo("x", 1000.0, (), np.dtype(float))

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
STEREO = StreamInfo("stereo", 1000.0, (2,), np.dtype(np.int16), "V", ("left", "right"))
RECORD = StreamInfo("can", None, (), np.dtype([("id", "u4"), ("data", "u1", (8,))]))


def lossy() -> list[Chunk[Any]]:
    gap = Gap(5 * MS, 8 * MS, 3, "dropped")
    return [ramp(0, 5), ramp(8, 6, gap)]


def stereo(n: int = 4) -> Chunk[Any]:
    data = np.arange(2 * n, dtype=np.int16).reshape(n, 2)
    return Chunk.regular(data, STEREO, start=0)


def marble(operator: Any, *chunks: tuple[int, Chunk[Any]]) -> list[tuple[int, Any]]:
    scheduler = TestScheduler()
    hot = scheduler.create_hot_observable(
        *(on_next(t, chunk) for t, chunk in chunks), on_completed(300)
    )
    result = scheduler.start(lambda: hot.pipe(operator))
    assert result.messages[-1].value.kind == "C"
    return [(m.time, m.value.value) for m in result.messages[:-1]]


# -- rechunk ------------------------------------------------------------------------------------


def test_rechunk_marble() -> None:
    got = marble(ops.rechunk(4), (210, ramp(0, 3)), (220, ramp(3, 3)), (230, ramp(6, 4)))
    assert [(t, c.data.tolist()) for t, c in got] == [
        (220, [0, 1, 2, 3]), (230, [4, 5, 6, 7]), (300, [8, 9]),
    ]  # fmt: skip


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=10), st.integers(1, 20), st.integers(1, 20)
)
def test_numpy_agrees(lengths: list[int], size: int, hop: int) -> None:
    starts = np.cumsum([0, *lengths])
    chunks = [ramp(int(s), n) for s, n in zip(starts, lengths, strict=False)]
    total = int(starts[-1])
    out = [c for c in run_operator(ops.rechunk(size, hop=hop), chunks) if len(c) == size]
    want = sliding_window_view(np.arange(total), size)[::hop] if total >= size else []
    assert [c.data.tolist() for c in out] == [w.tolist() for w in want]
    assert all(c.start == c.index * MS for c in out)


def test_by_seconds() -> None:
    out = run_operator(ops.rechunk(duration=0.004, hop=0.002), [ramp(0, 10)])
    assert [c.data[0] for c in out] == [0, 2, 4, 6]
    events = Chunk.stamped(np.zeros(1, RECORD.dtype), [1], RECORD)
    with pytest.raises(ParameterError, match="can has no rate"):
        run_operator(ops.rechunk(duration=1), [events])


def test_a_gap_is_marked_or_splits() -> None:
    marked = run_operator(ops.rechunk(4), lossy())
    assert [c.data.tolist() for c in marked] == [[0, 1, 2, 3], [4, 8, 9, 10], [11, 12, 13]]
    assert marked[1].gap_positions == ((1, Gap(5 * MS, 8 * MS, 3, "dropped")),)
    assert concat(marked) == concat(lossy())
    split = run_operator(ops.rechunk(4, on_gap="split"), lossy())
    assert [c.data.tolist() for c in split] == [[0, 1, 2, 3], [4], [8, 9, 10, 11], [12, 13]]
    assert split[2].gap == Gap(5 * MS, 8 * MS, 3, "dropped")
    assert [c.index for c in split] == [0, 4, 8, 12]


# -- select, map_data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "want", "labels"),
    [
        ((0,), [0, 2, 4, 6], ()),
        (("right",), [1, 3, 5, 7], ()),
        ((-1,), [1, 3, 5, 7], ()),
        (("right", "left"), [[1, 0], [3, 2], [5, 4], [7, 6]], ("right", "left")),
        ((slice(0, 1),), [[0], [2], [4], [6]], ("left",)),
    ],
)
def test_select_channels(keys: Any, want: list[Any], labels: tuple[str, ...]) -> None:
    (out,) = run_operator(ops.select(*keys), [stereo()])
    assert out.data.tolist() == want
    assert out.info.channels == labels
    assert out.info.shape == out.data.shape[1:]
    assert out.info.unit == "V"
    assert np.array_equal(out.time, stereo().time)


def test_select_fields() -> None:
    data = np.zeros(3, RECORD.dtype)
    data["id"] = [7, 8, 9]
    chunk = Chunk.stamped(data, [1, 2, 3], RECORD)
    (ids,) = run_operator(ops.select("id"), [chunk])
    assert ids.data.tolist() == [7, 8, 9]
    (payload,) = run_operator(ops.select("data"), [chunk])
    assert payload.info.shape == (8,)
    (both,) = run_operator(ops.select("id", "data"), [chunk])
    assert both.data.dtype.names == ("id", "data")


@pytest.mark.parametrize(
    ("keys", "chunk", "words"),
    [
        (("middle",), stereo(), "no channel 'middle'; it has left, right"),
        ((2,), stereo(), "channels 0 to 1, not 2"),
        (
            ("speed",),
            Chunk.stamped(np.zeros(1, RECORD.dtype), [1], RECORD),
            "no field 'speed'; it has id",
        ),
        ((0,), ramp(0, 3), "one value per sample"),
    ],
)
def test_select_names_what_there_is(keys: Any, chunk: Chunk[Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        run_operator(ops.select(*keys), [chunk])


def test_map_data_marble() -> None:
    got = marble(ops.map_data(lambda x: x * 2, unit="g"), (210, ramp(0, 2)), (220, ramp(2, 1)))
    assert [(t, c.data.tolist(), c.info.unit) for t, c in got] == [
        (210, [0, 2], "g"),
        (220, [4], "g"),
    ]


def test_map_data_keeps_gaps_and_times_and_follows_the_shape() -> None:
    chunks = lossy()
    out = run_operator(ops.map_data(lambda x: np.stack([x, x], 1).astype(np.float32)), chunks)
    assert out[1].gap == chunks[1].gap
    assert out[0].info.shape == (2,)
    assert out[0].info.dtype == np.float32
    assert np.array_equal(out[1].time, chunks[1].time)


def test_map_data_errors_name_the_place() -> None:
    with pytest.raises(ChunkError, match=r"\(1,\) of \(5,\).*reactivex's map"):
        run_operator(ops.map_data(lambda x: x[:1]), lossy())
    with pytest.raises(ZeroDivisionError) as caught:
        run_operator(ops.map_data(lambda _: 1 / 0), lossy())
    assert "sample 0" in caught.value.__notes__[0]


# -- samples, gaps ------------------------------------------------------------------------------


def test_samples_marble() -> None:
    got = marble(ops.samples(), (210, ramp(0, 2)), (220, ramp(2, 1)))
    assert [(t, s.index, int(s.value), s.time) for t, s in got] == [
        (210, 0, 0, 0), (210, 1, 1, MS), (220, 2, 2, 2 * MS),
    ]  # fmt: skip


def test_samples_have_the_gap_before_them() -> None:
    out = run_operator(ops.samples(), [concat(lossy())])
    assert [s.index for s in out] == [*range(5), *range(8, 14)]
    assert [s.gap is not None for s in out] == [k == 5 for k in range(11)]


def test_gaps_marble() -> None:
    a, b = lossy()
    got = marble(ops.gaps(), (210, a), (220, b))
    assert got == [(220, Gap(5 * MS, 8 * MS, 3, "dropped"))]


def test_a_gap_that_was_cut_comes_once() -> None:
    whole = concat(lossy())
    parts = [
        whole.between(0, 6 * MS),
        whole.between(6 * MS, 7 * MS),
        whole.between(7 * MS, 20 * MS),
    ]
    assert run_operator(ops.gaps(), parts) == [Gap(5 * MS, 8 * MS, 3, "dropped")]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.rechunk(0), "size must be .* not 0"),
        (lambda: ops.rechunk(2.5), "size must be .* not 2.5"),  # type: ignore[arg-type]
        (lambda: ops.rechunk(), "one of them"),
        (lambda: ops.rechunk(3, duration=1), "one of them"),
        (lambda: ops.rechunk(3, hop=0), "hop must be"),
        (lambda: ops.rechunk(duration=-1), "duration must be > 0"),
        (lambda: ops.rechunk(3, on_gap="nan"), "'mark' or 'split'"),  # type: ignore[arg-type]
        (lambda: ops.select(), "select needs"),
        (lambda: ops.select(slice(2), 1), "one slice alone"),
        (lambda: ops.map_data(3), "needs a function"),  # type: ignore[arg-type]
        (lambda: ops.map_data(np.abs, units="g"), "has no units"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


@pytest.mark.parametrize("make", [
    lambda: ops.rms(0.002, every=0.003), lambda: ops.decimate(3), lambda: ops.resample(400),
])  # fmt: skip
def test_chunks_meet_also_on_another_grid(make: Any) -> None:
    """Which does not end where samples were lost, nor where the clock was corrected."""
    fast = Chunk.regular(np.arange(9, 16.0), FLOATS, start=9 * MS, index=9, period=0.999 * MS)
    gap = Gap(fast.end, fast.end + 5 * MS, 5, "dropped")
    slow = Chunk.regular(
        np.arange(21, 40.0), FLOATS, start=gap.end, index=21, gap=gap, period=1.001 * MS
    )
    chunks = run_operator(make(), [Chunk.regular(np.arange(9.0), FLOATS, start=0), fast, slow])
    whole = concat(chunks)
    for size in (1, 4):
        out = run_operator(ops.rechunk(size), chunks)
        again = concat(out)
        assert (again.data.tolist(), again.gap_positions) == (
            whole.data.tolist(),
            whole.gap_positions,
        )
        for chunk in out:
            assert chunk.start <= chunk.time[0] <= chunk.time[-1] < chunk.end
        by_sample = [part for c in chunks for part in recut([c], range(50))]
        assert_same(run_operator(ops.rechunk(size), by_sample), out)


# -- a count waits for no time ------------------------------------------------------------------


def blocks(delay: float, size: int) -> list[Chunk[Any]]:
    """Return blocks of a live device at 100 Hz, each this long [s] after its last sample."""
    info = StreamInfo("live", 100.0, (), np.dtype(float))
    stamper = Stamper(info, live=True)
    out = []
    for k in range(0, 60 * size, size):
        arrival = 10**18 + (k + size - 1) * 10 * MS + round(delay * 1e9)
        values = np.arange(k, k + size, dtype=float)
        values.flags.writeable = False
        chunk = stamper.stamp(Reading(values), values, arrival)
        assert chunk is not None
        out.append(chunk)
    return out


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.05])
@pytest.mark.parametrize("before", [
    ops.map_data(np.negative), ops.filter_band(1, 4), ops.decimate(2), ops.rms(0.1, every=0.03),
    ops.spectrogram(0.1),
])  # fmt: skip
def test_the_nth_sample_completes_a_chunk_at_once(before: Any, delay: float, size: int) -> None:
    counts: list[list[int]] = [[], []]
    source: Subject[Any] = Subject()
    for operators, count in zip(((before,), (before, ops.rechunk(1))), counts, strict=True):
        source.pipe(*operators).subscribe(lambda chunk, count=count: count.append(len(chunk)))
    for chunk in blocks(delay, size):
        source.on_next(chunk)
        assert sum(counts[0]) == sum(counts[1])
    assert sum(counts[1]) > 5
