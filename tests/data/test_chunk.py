"""Chunk: slices, ranges of time, joins, gaps and indices, exactly."""

import copy
import datetime as dt
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, DeviceCounter, Gap, StreamInfo, concat
from rxstream.data.axis import Evidence, IrregularAxis, RegularAxis
from rxstream.errors import ChunkError, ParameterError
from rxstream.testing import infos, streams

EVERY_KIND = st.one_of(infos(), infos(regular=False))
joined = streams(EVERY_KIND).map(concat).filter(lambda whole: whole.covered_from < whole.end)
KEYS = StreamInfo("keys", dtype=np.dtype(np.int64))
filled = joined.filter(len)  # a slice of a chunk without samples is itself


def moments(chunk: Chunk[Any]) -> st.SearchStrategy[int]:
    """Return times in, around and exactly at what is interesting in a chunk."""
    times = [chunk.start, chunk.end, chunk.covered_from, *chunk.time.tolist()]
    times += [t for gap in chunk.gaps for t in (gap.start, gap.end)]
    near = st.builds(int.__add__, st.sampled_from(sorted(set(times))), st.integers(-2, 2))
    return st.one_of(near, st.integers(chunk.covered_from - MS, chunk.end + MS))


def numbers(chunk: Chunk[Any]) -> np.ndarray[Any, Any]:
    """Return the number that each sample made by `streams` tells of itself."""
    data = chunk.data["id"] if chunk.info.dtype.names else chunk.data
    return data.reshape(len(chunk), -1)[:, 0].astype(np.int64) if len(chunk) else np.empty(0, int)


# -- parts and wholes ---------------------------------------------------------------------------


@given(joined, st.data())
def test_parts_in_time_make_the_whole(whole: Chunk[Any], data: st.DataObject) -> None:
    x, y, z = sorted(data.draw(moments(whole)) for _ in range(3))
    assert whole.between(x, y) + whole.between(y, z) == whole.between(x, z)


def test_nothing_of_a_gap_has_the_number_of_what_is_lost_there() -> None:
    a = Chunk.stamped(np.empty(0, np.int64), [], KEYS, start=0, end=1)
    gap = Gap(1, 3, 1, "overrun")
    b = Chunk.stamped(np.arange(1), [3], KEYS, start=3, end=5, index=1, gap=gap)
    assert (a + b).between(2, 2).index == 0
    assert a + b.between(1, 2) + (a + b).between(2, 2) == (a + b).between(0, 2)


@given(joined, st.data())
def test_many_parts_in_time_make_the_whole(whole: Chunk[Any], data: st.DataObject) -> None:
    times = sorted(data.draw(st.lists(moments(whole), min_size=1, max_size=6)))
    edges = [
        whole.covered_from,
        *(min(max(t, whole.covered_from), whole.end) for t in times),
        whole.end,
    ]
    parts = [whole.between(x, y) for x, y in pairwise(edges)]
    assert concat(parts) == whole
    assert sum(part.lost for part in parts) == whole.lost


@given(filled, st.data())
def test_parts_by_sample_make_the_whole(whole: Chunk[Any], data: st.DataObject) -> None:
    i, j, k = sorted(data.draw(st.integers(0, len(whole))) for _ in range(3))
    assert whole[i:j] + whole[j:k] == whole[i:k]


@given(joined, st.data())
def test_a_part_of_a_part_is_a_part(whole: Chunk[Any], data: st.DataObject) -> None:
    w, x, y, z = sorted(data.draw(moments(whole)) for _ in range(4))
    part, direct = whole.between(w, z).between(x, y), whole.between(x, y)
    assert (part.start, part.end) == (direct.start, direct.end)
    np.testing.assert_array_equal(part.time, direct.time)
    np.testing.assert_array_equal(part.data, direct.data)
    # a gap cut twice may round its loss the other way; the sum over all parts is exact
    assert [(at, g.start, g.end) for at, g in part.gap_positions] == [
        (at, g.start, g.end) for at, g in direct.gap_positions
    ]
    for one, other in zip(part.gaps, direct.gaps, strict=True):
        assert abs((one.lost or 0) - (other.lost or 0)) <= 1


@given(joined, st.data())
def test_between_takes_what_numpy_takes(whole: Chunk[Any], data: st.DataObject) -> None:
    x, y = sorted(data.draw(moments(whole)) for _ in range(2))
    part = whole.between(x, y)
    inside = (whole.time >= x) & (whole.time < y)
    np.testing.assert_array_equal(part.time, whole.time[inside])
    np.testing.assert_array_equal(part.data, whole.data[inside])
    assert np.shares_memory(part.data, whole.data) or not len(part)
    if len(part):
        assert part.start <= part.time[0]
        assert part.time[-1] < part.end


@given(joined, st.data())
def test_samples_keep_their_times_and_numbers(whole: Chunk[Any], data: st.DataObject) -> None:
    i, j = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    part = whole[i:j]
    np.testing.assert_array_equal(part.time, whole.time[i:j])
    x, y = sorted(data.draw(moments(whole)) for _ in range(2))
    for piece in (part, whole.between(x, y)):
        lost = dict.fromkeys(range(len(piece) + 1), 0)
        for at, gap in piece.gap_positions:
            lost[at] += (gap.lost or 0) if at else 0
        lost_before = np.cumsum([lost[at] for at in range(len(piece))])
        expected = piece.index + np.arange(len(piece)) + lost_before
        if piece.info.dtype != np.int16:  # whose numbers would wrap
            np.testing.assert_array_equal(numbers(piece), expected)


@given(filled, st.data())
def test_an_empty_part_tells_the_next_number(whole: Chunk[Any], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(whole)))
    assert whole[i:i].index == whole[i:].index
    assert len(whole[i:i]) == 0
    assert whole[i:i].start == whole[i:i].end


@given(st.integers(0, 10**18), st.floats(1e-3, 1e7), st.integers(1, 200), st.data())
def test_a_grid_finds_its_own_times(
    origin: int, period: float, count: int, data: st.DataObject
) -> None:
    grid = RegularAxis(origin, period, count, data.draw(st.integers(0, 10**6)))
    times = grid.times()
    i = data.draw(st.integers(0, count - 1))
    assert times[i] == grid.at(i)
    for t in (grid.at(i) - 1, grid.at(i), grid.at(i) + 1):
        assert grid.find(t) == np.searchsorted(times, t)
    a, b = sorted(data.draw(st.integers(0, count)) for _ in range(2))
    np.testing.assert_array_equal(grid.cut(a, b).times(), times[a:b])


# -- joining ------------------------------------------------------------------------------------


def test_chunks_side_by_side_are_joined_without_a_copy() -> None:
    whole = ramp(0, 100)
    back = concat([whole[:30], whole[30:31], whole[31:31], whole[31:]])
    assert back == whole
    assert np.shares_memory(back.data, whole.data)
    assert isinstance(back.axis, RegularAxis)  # the grid has grown together again
    assert not back.data.flags.writeable


def test_chunks_apart_are_joined_by_a_copy_that_is_read_only() -> None:
    back = ramp(0, 10) + ramp(10, 5)
    assert back.data.tolist() == list(range(15))
    assert back.time.tolist() == [MS * k for k in range(15)]
    assert not back.data.flags.writeable


def test_a_gap_between_stays_inside() -> None:
    gap = Gap(10 * MS, 13 * MS, 3, "overrun")
    back = ramp(0, 10) + ramp(13, 5, gap)
    assert back.gap_positions == ((10, gap),)
    assert (back.gap, back.gaps, back.lost) == (None, (gap,), 3)
    assert back.coverage == pytest.approx(15 / 18)
    assert back[10:].gap == gap
    assert back[10:].index == 13
    assert back[:10].end == 10 * MS  # the gap belongs to what comes after it
    assert back[12:].index == 15


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (ramp(5, 5), "begins at 5000000, 5000000 ns before the end"),
        (Chunk.regular(np.zeros(2), StreamInfo("volt", 10.0, (), float), start=10 * MS), "volt"),
    ],
    ids=["overlap", "dtype"],
)
def test_what_does_not_fit_is_not_joined(other: Chunk[Any], words: str) -> None:
    with pytest.raises(ChunkError, match=words):
        concat([ramp(0, 10), other])


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(ChunkError, match="at least one"):
        concat([])


# -- gaps ---------------------------------------------------------------------------------------


@given(st.integers(0, 10**12), st.integers(1, 10**9), st.integers(0, 10**6), st.data())
def test_parts_of_a_gap_add_up(start: int, length: int, lost: int, data: st.DataObject) -> None:
    gap = Gap(start, start + length, lost, "dropped")
    inner = data.draw(st.lists(st.integers(start, start + length), max_size=5))
    edges = [start, *sorted(inner), start + length]
    parts = [gap.between(x, y) for x, y in pairwise(edges)]
    assert sum(part.lost or 0 for part in parts) == lost
    back = parts[0]
    for part in parts[1:]:
        back = back.join(part)
    assert back == gap


def test_a_gap_of_unknown_loss_stays_unknown() -> None:
    gap = Gap(0, 10, None, "disconnect")
    assert gap.between(2, 4) == Gap(2, 4, None, "disconnect")
    assert gap.join(Gap(10, 12, 5, "lag")) == Gap(0, 12, None, "disconnect")
    assert str(gap) == "gap of 1e-08 s, unknown number of samples lost (disconnect)"
    assert str(Gap(0, 10, 1, "dropped")) == "gap of 1e-08 s, 1 sample lost (dropped)"


def test_several_gaps_at_one_place_are_told_as_one_and_kept_apart() -> None:
    one, two = Gap(0, 2 * MS, 2, "overrun"), Gap(2 * MS, 5 * MS, 3, "lag")
    chunk = ramp(5, 3, two).with_gap(one)
    assert chunk.gap == Gap(0, 5 * MS, 5, "overrun")
    assert chunk.gaps == (one, two)
    assert chunk.covered_from == 0


# -- making one, and what it refuses ------------------------------------------------------------


def test_a_bad_array_is_refused_with_both_shapes() -> None:
    info = StreamInfo("mic", 10.0, (2,), np.float32)
    with pytest.raises(ChunkError, match=r"mic: samples .* \(3,\), but .* \(n, 2\)"):
        Chunk.regular(np.zeros(3, np.float32), info, start=0)
    with pytest.raises(ChunkError, match="float64"):
        Chunk.regular(np.zeros((3, 2)), info, start=0)


def test_a_chunk_without_a_rate_needs_stamps() -> None:
    with pytest.raises(ParameterError, match="keys has no rate"):
        Chunk.regular(np.zeros(1), StreamInfo("keys", dtype=float), start=0)


@pytest.mark.parametrize(
    ("n", "time", "bounds", "words"),
    [
        (2, [5, 4], {}, "goes back from 5 to 4 at sample 1"),
        (2, [5], {}, r"need time of shape \(2,\)"),
        (0, [], {}, "needs start and end"),
        (1, [5], {"start": 6}, "outside"),
        (1, [5], {"end": 5}, "outside"),
    ],
)
def test_bad_stamps_are_refused(
    n: int, time: list[int], bounds: dict[str, int], words: str
) -> None:
    info = StreamInfo("keys", dtype=np.int64)
    with pytest.raises(ChunkError, match=words):
        Chunk.stamped(np.zeros(n, np.int64), time, info, **bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stamps", "bounds", "expected"),
    [
        ([5, 5, 5], {}, [5, 6, 7]),
        ([5, 5, 6, 9], {"end": 10}, [5, 6, 7, 9]),
        ([2, 8, 9, 9, 9], {"end": 10}, [2, 6, 7, 8, 9]),  # no room for later ones
        ([5, 5, 5], {"start": 3, "end": 6}, [3, 4, 5]),
    ],
)
def test_equal_stamps_are_set_apart(
    stamps: list[int], bounds: dict[str, int], expected: list[int]
) -> None:
    chunk = Chunk.stamped(np.arange(len(stamps)), stamps, KEYS, **bounds)  # type: ignore[arg-type]
    assert chunk.time.tolist() == expected
    assert not chunk.time.flags.writeable
    assert chunk.start == bounds.get("start", expected[0])
    assert chunk.end == bounds.get("end", expected[-1] + 1)
    assert len(chunk.between(expected[0], expected[0] + 1)) == 1
    for k in range(len(chunk) + 1):
        head, tail = chunk[:k], chunk[k:]
        assert head + tail == chunk
        for part in (head, tail):
            if len(part):
                assert part.start <= part.time[0]
                assert part.time[-1] < part.end


def test_the_stamps_of_somebody_else_are_not_touched() -> None:
    stamps = np.array([5, 5, 5])
    Chunk.stamped(np.arange(3), stamps, KEYS)
    assert stamps.tolist() == [5, 5, 5]
    assert stamps.flags.writeable


def test_more_samples_than_nanoseconds_are_refused() -> None:
    with pytest.raises(ChunkError, match=r"4 samples in \[4, 7\): each needs 1 ns"):
        Chunk.stamped(np.arange(4), [5, 5, 5, 5], KEYS, start=4, end=7)
    with pytest.raises(ParameterError, match=r"0\.5 ns apart"):
        Chunk.regular(np.arange(4), KEYS, start=0, period=0.5)


def test_a_chunk_without_samples_can_be_joined_whatever_its_dtype() -> None:
    words = StreamInfo("keys", dtype=np.dtype("U3"))
    quiet = Chunk.stamped(np.empty(0, np.int64), [], KEYS, start=0, end=5)
    said = Chunk.stamped(np.array(["yes"]), [7], words, start=5, end=9)
    later = Chunk.stamped(np.empty(0, np.int64), [], KEYS, start=9, end=12, index=1)
    joined = concat((quiet, said, later))
    assert (joined.start, joined.end, joined.info) == (0, 12, words)
    assert joined.data.tolist() == ["yes"]
    assert len(concat((quiet, later.shifted(1)))) == 0


def test_what_cannot_be_joined_says_how_it_could() -> None:
    yes = Chunk.stamped(np.array(["yes"]), [7], StreamInfo("keys", dtype=np.dtype("U3")))
    word = Chunk.stamped(np.array(["perhaps"]), [8], StreamInfo("keys", dtype=np.dtype("U7")))
    other = Chunk.stamped(np.arange(1), [9], StreamInfo("mic", dtype=np.int64))
    pair = Chunk.stamped(np.array([["a", "b"]]), [9], StreamInfo("keys", None, (2,), "U1"))  # type: ignore[arg-type]
    with pytest.raises(ChunkError, match=r"keys \(\) <U3 and keys \(\) <U7.*astype\('<U7'\)"):
        yes + word
    with pytest.raises(ChunkError, match=r"and mic .* on each stream before they are merged"):
        yes + other
    with pytest.raises(ChunkError, match="to one shape"):
        yes + pair


def test_its_own_memory_cannot_be_written_through_it() -> None:
    data = np.arange(5)
    chunk = Chunk.regular(data, INFO, start=0)
    for array in (chunk.data, chunk[1:3].data, np.asarray(chunk), chunk.between(0, MS).data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7
    stamps = Chunk.stamped(data, [1, 2, 3, 4, 5], StreamInfo("keys", dtype=np.int64)).time
    with pytest.raises(ValueError, match="read-only"):
        stamps[0] = 0


def test_as_an_array() -> None:
    chunk = ramp(0, 4)
    assert np.asarray(chunk) is chunk.data
    assert np.asarray(chunk, np.float32).dtype == np.float32
    copy = np.array(chunk)
    copy[0] = 9
    assert chunk.data[0] == 0
    assert np.mean(chunk) == 1.5


@pytest.mark.parametrize("key", [0, slice(None, None, 2), slice(None, None, -1), "x", (0, 1)])
def test_only_slices_are_taken(key: Any) -> None:
    with pytest.raises(TypeError, match=r"chunk\[i:j\]"):
        ramp(0, 4)[key]


def test_slices_count_from_the_end_too() -> None:
    chunk = ramp(0, 10)
    assert chunk[-3:].index == 7
    assert len(chunk[7:3]) == 0
    assert chunk[:] is chunk


def test_times_of_every_kind_are_taken() -> None:
    chunk = ramp(0, 2000)
    second = dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert chunk.between(second, np.datetime64("1970-01-01T00:00:01.500")).data[
        [0, -1]
    ].tolist() == [
        1000,
        1499,
    ]
    with pytest.raises(ParameterError, match="the end is before the start"):
        chunk.between(5, 4)
    with pytest.raises(ParameterError, match="no time zone"):
        chunk.between(dt.datetime(1970, 1, 1), 4)  # noqa: DTZ001 - that is what is refused


def test_equality_is_of_values_not_of_evidence() -> None:
    data = np.array([1.0, np.nan])
    info = StreamInfo("volt", 1000.0, (), np.float64)
    one = Chunk.regular(data, info, start=0)
    seen = RegularAxis(0, MS, 2, 0, 5.0, Evidence(arrival=9, samples=2))
    other = Chunk(one.data, seen, 0, 2 * MS, 0, info)
    assert one == other
    assert (one.arrival, other.arrival, other.uncertainty) == (None, 9, 5.0)
    assert other.evidence[0].samples == 2
    assert one != one[:1]
    assert one != Chunk.regular(data, info, start=1)
    assert one != Chunk.regular(data, info, start=0, index=1)
    assert one != "chunk"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_structured_values_are_compared_field_by_field() -> None:
    dtype = np.dtype([("id", np.uint32), ("value", np.float32, (2,))])
    info = StreamInfo("can", dtype=dtype)
    data = np.zeros(2, dtype)
    data["value"][1] = np.nan
    one = Chunk.stamped(data, [1, 2], info)
    changed = data.copy()
    changed["id"][0] = 1
    assert one == Chunk.stamped(data.copy(), [1, 2], info)
    assert one != Chunk.stamped(changed, [1, 2], info)


def test_evidence_stays_with_its_samples() -> None:
    first = Chunk(np.zeros(2), RegularAxis(0, MS, 2, 0, 1.0, Evidence(7, 2)), 0, 2 * MS, 0, INFO)
    second = Chunk(
        np.zeros(2), RegularAxis(2 * MS, MS, 2, 0, 3.0, Evidence(8, 2)), 2 * MS, 4 * MS, 2, INFO
    )
    both = first + second
    assert [item.arrival for item in both.evidence] == [7, 8]
    assert (both[:2].uncertainty, both[2:].uncertainty, both.uncertainty) == (1.0, 3.0, 3.0)
    assert both[:2].arrival == 7


def test_other_values_at_the_same_times() -> None:
    chunk = ramp(3, 4, Gap(2 * MS, 3 * MS, 1, "dropped"))
    halves = chunk.with_data(np.zeros((4, 2), np.float32))
    assert halves.info.shape == (2,)
    assert halves.info.dtype == np.float32
    assert halves.gap == chunk.gap
    assert (halves.start, halves.end, halves.index) == (chunk.start, chunk.end, chunk.index)
    assert not halves.data.flags.writeable
    with pytest.raises(ChunkError, match="4 samples before, 3 after"):
        chunk.with_data(np.zeros(3))


# -- what a stream says of itself ---------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_cannot_be_is_refused(rate: float) -> None:
    with pytest.raises(ParameterError, match="rate must be > 0 Hz"):
        StreamInfo("x", rate)


@pytest.mark.parametrize("bits", [0, 65])
def test_a_counter_that_cannot_be_is_refused(bits: int) -> None:
    with pytest.raises(ParameterError, match=f"not {bits}"):
        DeviceCounter(bits)


def test_ticks_need_a_rate() -> None:
    with pytest.raises(ParameterError, match="ticks needs its rate"):
        DeviceCounter(32, kind="ticks")


def test_info_cannot_be_changed_but_copied_with_changes() -> None:
    info = StreamInfo("mic", 48_000, [2], "int16", channels=["left", "right"], extra={"os": "x"})  # type: ignore[arg-type]
    assert (info.shape, info.dtype, info.channels) == ((2,), np.dtype(np.int16), ("left", "right"))
    assert (info.sample_bytes, info.period) == (4, 1e9 / 48_000)
    with pytest.raises(TypeError):
        info.extra["os"] = "y"  # type: ignore[index]
    mono = info.like(np.zeros(3, np.float32), unit="Pa")
    assert (mono.shape, mono.dtype, mono.unit, mono.channels) == ((), np.float32, "Pa", ())
    assert info.like(np.zeros((3, 2))).channels == ("left", "right")


@pytest.mark.parametrize("again", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_chunk_travels_to_another_process(again: Any) -> None:
    info = StreamInfo("x", 1000.0, (2,), np.float32, channels=("a", "b"), extra={"serial": "7"})
    regular = Chunk.regular(
        np.ones((50, 2), np.float32), info, start=5, gap=Gap(0, 5, 3, "dropped"), index=3
    )
    events = StreamInfo("keys", None, (), np.dtype([("code", "i4")]), counter=DeviceCounter(16))
    stamped = Chunk.stamped(np.zeros(3, events.dtype), [1, 2, 9], events)
    for chunk in (regular[10:20], stamped, regular[:20] + regular[20:]):
        copied = again(chunk)
        assert copied == chunk
        assert copied.info.extra == chunk.info.extra
        assert copied.evidence == chunk.evidence
        assert not copied.data.flags.writeable
    assert len(pickle.dumps(regular[:1])) < 1000  # not the whole array it was cut from


# -- memory of its own --------------------------------------------------------------------------


@given(joined, st.data())
def test_a_copy_is_equal_and_holds_nothing_else(whole: Chunk[Any], data: st.DataObject) -> None:
    x, y = sorted((data.draw(moments(whole)), data.draw(moments(whole))))
    part = whole.between(x, y)
    own = part.copy()
    assert own == part
    assert own.evidence == part.evidence
    assert (own.covered_from, own.next_index) == (part.covered_from, part.next_index)
    assert own.data.base is None
    assert not own.data.flags.writeable
    for piece in own.axis.parts():
        if isinstance(piece, IrregularAxis):
            base = piece.stamps.base
            assert base is None or base.nbytes == piece.stamps.nbytes
            assert not piece.stamps.flags.writeable
