"""SlabStore and ChunkBuffer: views stay valid, cuts are exact, memory is bounded."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.data.axis import RegularAxis
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.slab_store import SlabStore
from rxstream.errors import ChunkError
from rxstream.testing import streams

NUMBERS = np.dtype(np.int64)


def tape_of(chunks: list[Chunk[Any]], overlap: int = 0) -> ChunkBuffer[Any]:
    tape: ChunkBuffer[Any] = ChunkBuffer(overlap=overlap)
    for chunk in chunks:
        tape.append(chunk)
    return tape


# -- slabs --------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=60),
    st.sampled_from([0, 1, 10, 60]),
)
def test_a_view_is_never_overwritten(steps: list[tuple[int, bool, bool]], overlap: int) -> None:
    slabs = SlabStore[Any]((2000,), NUMBERS, slab=5, overlap=overlap)  # 16 kB a sample: many slabs
    kept: list[tuple[int, np.ndarray[Any, Any]]] = []
    for n, keep, trim in steps:
        start = slabs.stop
        view = slabs.append(np.broadcast_to(np.arange(start, start + n)[:, None], (n, 2000)))
        if keep:
            kept.append((start, view))
            low = max(slabs.start, start - 30)
            kept.append((low, slabs.view(low, slabs.stop)))
        if trim:
            slabs.trim(slabs.stop - min(slabs.stop, 20))
    for start, view in kept:
        np.testing.assert_array_equal(view[:, 0], np.arange(start, start + len(view)))
        np.testing.assert_array_equal(view[:, -1], np.arange(start, start + len(view)))
        assert not view.flags.writeable


def test_a_slab_is_used_again_only_when_no_view_is_left() -> None:
    slabs = SlabStore[Any]((1000,), NUMBERS, slab=10)
    block = np.zeros((10, 1000), np.int64)
    addresses = []
    for k in range(20):
        block[:] = k
        view = slabs.append(block)
        slabs.trim(slabs.stop)
        if k == 7:
            kept = view
        addresses.append(view.__array_interface__["data"][0])
        del view
    assert (kept == 7).all()
    assert addresses[7] not in addresses[8:]
    assert len(set(addresses)) <= 5  # memory went round


def test_the_newest_samples_lie_in_one_piece() -> None:
    overlap = 50
    slabs = SlabStore[Any]((1000,), NUMBERS, slab=10, overlap=overlap)
    for k in range(100):
        slabs.append(np.full((7, 1000), k))
        if slabs.stop >= overlap:
            newest = slabs.view(slabs.stop - overlap, slabs.stop)
            assert newest.base is not None  # a view
            assert np.shares_memory(newest, slabs.newest)
        slabs.trim(max(0, slabs.stop - overlap))
    assert slabs.nbytes <= 3 * 4 * overlap * 8000


def test_windows_of_pictures_do_not_fill_the_memory() -> None:
    frame = np.zeros((1, 480, 640, 3), np.uint8)
    slabs = SlabStore[Any](frame.shape[1:], frame.dtype, slab=4, overlap=30)
    most = 0
    for _ in range(200):
        slabs.append(frame)
        slabs.trim(max(0, slabs.stop - 30))
        most = max(most, slabs.nbytes)
    assert np.shares_memory(slabs.view(slabs.stop - 30, slabs.stop), slabs.newest)
    assert most <= 4 * 30 * frame.nbytes


def test_a_range_over_slabs_is_copied_and_read_only() -> None:
    slabs = SlabStore[Any]((2000,), NUMBERS, slab=5)
    for k in range(4):
        slabs.append(np.full((5, 2000), k))
    over = slabs.view(3, 12)
    assert over[:, 0].tolist() == [0] * 2 + [1] * 5 + [2] * 2
    assert not over.flags.writeable


def test_memory_is_let_go() -> None:
    slabs = SlabStore[Any]((1000,), NUMBERS, slab=10)
    for _ in range(500):
        slabs.append(np.zeros((10, 1000), np.int64))
        slabs.trim(slabs.stop - 30)
    assert slabs.nbytes <= 6 * 10 * 8000
    assert slabs.start == 4970


# -- tape ---------------------------------------------------------------------------------------


@given(streams(), st.sampled_from([0, 3, 200]), st.data())
def test_a_cut_is_a_slice_of_the_whole(
    chunks: list[Chunk[Any]], overlap: int, data: st.DataObject
) -> None:
    whole, tape = concat(chunks), tape_of(chunks, overlap)
    assert (tape.start, tape.stop, tape.end) == (0, len(whole), whole.end)
    i, j = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    part = tape.cut(i, j)
    assert len(part) == j - i
    np.testing.assert_array_equal(part.time, whole.time[i:j])
    assert part.data.tobytes() == whole.data[i:j].tobytes()
    if i < j:
        expected = whole[i:j]
        assert part.index == expected.index
        assert part.gap_positions == tuple(
            item for item in expected.gap_positions if item[0] < j - i
        )
        assert part.start <= part.time[0]
        assert part.time[-1] < part.end


@given(streams(), st.data())
def test_cuts_do_not_depend_on_the_chunks(chunks: list[Chunk[Any]], data: st.DataObject) -> None:
    whole = concat(chunks)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5))
    edges = sorted({0, *cuts, len(whole)})
    again = [whole[a:b] for a, b in pairwise(edges)] or [whole]
    one, other = tape_of(chunks), tape_of(again)
    i, j = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    if i < j:
        assert one.cut(i, j) == other.cut(i, j)


@given(streams(), st.data())
def test_a_range_of_time_is_that_of_the_whole(
    chunks: list[Chunk[Any]], data: st.DataObject
) -> None:
    whole, tape = concat(chunks), tape_of(chunks)
    marks = [whole.covered_from, whole.end, *whole.time.tolist(), *(g.end for g in whole.gaps)]
    near = st.builds(int.__add__, st.sampled_from(marks), st.integers(-1, 1))
    times = st.one_of(near, st.integers(whole.covered_from, whole.end))
    x, y = sorted(min(max(data.draw(times), whole.covered_from), whole.end) for _ in range(2))
    assert tape.find(x) == np.searchsorted(whole.time, x)
    if whole.covered_from <= x < y < whole.end:  # at the very end a chunk may hold a point gap
        assert tape.between(x, y) == whole.between(x, y)


@given(streams(), st.data())
def test_what_is_kept_stays_the_same_after_a_trim(
    chunks: list[Chunk[Any]], data: st.DataObject
) -> None:
    whole, tape = concat(chunks), tape_of(chunks)
    k = data.draw(st.integers(0, len(whole)))
    i, j = sorted(data.draw(st.integers(k, len(whole))) for _ in range(2))
    before = tape.cut(i, j) if i < j else None
    tape.trim(k)
    assert tape.start == k
    if i < j:
        assert tape.cut(i, j) == before
        assert tape.find(int(whole.time[j - 1])) >= k


@given(streams(gaps=False, most=4), st.data())
def test_what_was_cut_out_does_not_change_when_more_comes(
    chunks: list[Chunk[Any]], data: st.DataObject
) -> None:
    whole = concat(chunks)
    tape: ChunkBuffer[Any] = ChunkBuffer(overlap=50)
    cuts = []
    for chunk in [whole[k : k + 3] for k in range(0, len(whole), 3)]:
        tape.append(chunk)
        i = max(tape.start, tape.stop - data.draw(st.integers(1, 20)))
        part = tape.cut(i, tape.stop)
        cuts.append((i, part, part.time.copy(), part.end))
        tape.trim(max(0, tape.stop - 20))
    for i, part, time, end in cuts:
        np.testing.assert_array_equal(part.time, time)
        np.testing.assert_array_equal(part.data, whole.data[i : i + len(part)])
        assert part.axis.at(len(part)) == end


def test_sliding_windows_are_views_of_one_memory() -> None:
    tape: ChunkBuffer[Any] = ChunkBuffer(overlap=1000)
    chunks = [ramp(10 * k, 10) for k in range(500)]
    copies = 0
    before: Chunk[Any] | None = None
    for chunk in chunks:
        tape.append(chunk)
        if tape.stop < 1000:
            continue
        window = tape.between((tape.stop - 1000) * MS, tape.stop * MS)
        assert len(window) == 1000
        if before is not None:
            copies += not np.shares_memory(window.data, before.data)
        before = window
        tape.trim(tape.stop - 1000)
    assert copies <= 5


def test_one_grid_cut_into_chunks_is_one_part_again() -> None:
    whole = ramp(0, 1000)
    tape = tape_of([whole[k : k + 10] for k in range(0, 1000, 10)])
    assert isinstance(tape.axis(5, 995), RegularAxis)


def test_many_parts_are_kept_as_they_are_and_forgotten_when_past() -> None:
    tape: ChunkBuffer[Any] = ChunkBuffer()
    for k in range(10_000):
        gap = Gap(3 * k * MS, (3 * k + 1) * MS, 1, "dropped") if k else None
        tape.append(ramp(3 * k + 1, 2, gap))
        tape.trim(tape.stop - 20)
    assert len(tape.gap_positions) <= 11
    part = tape.cut(tape.stop - 4, tape.stop)
    assert part.data.tolist() == [3 * 9998 + 1, 3 * 9998 + 2, 3 * 9999 + 1, 3 * 9999 + 2]
    assert part.time.tolist() == [MS * value for value in part.data.tolist()]
    assert part.index == part.data[0]
    held = sum(len(getattr(tape, name)) for name in ("_parts", "_part_starts", "_offsets"))
    assert held < 500


def test_a_gap_that_was_cut_in_two_is_one_again() -> None:
    whole = concat([ramp(0, 10), ramp(15, 10, Gap(10 * MS, 15 * MS, 5, "overrun"))])
    tape = tape_of([whole.between(0, 12 * MS), whole.between(12 * MS, 25 * MS)])
    assert tape.gap_positions == [(10, Gap(10 * MS, 15 * MS, 5, "overrun"))]
    assert tape.cut(0, 20) == whole


def test_an_empty_tape_says_so() -> None:
    tape: ChunkBuffer[Any] = ChunkBuffer()
    assert (tape.start, tape.stop, tape.find(5)) == (0, 0, 0)
    for ask in (lambda: tape.cut(0, 0), lambda: tape.between(0, 1), lambda: tape.data(0, 0)):
        with pytest.raises(ValueError, match="the buffer is empty"):
            ask()


def test_heartbeats_move_the_end_and_nothing_else() -> None:
    info = INFO
    tape = tape_of(
        [
            ramp(0, 3),
            Chunk.stamped(np.empty(0, np.int64), [], info, start=3 * MS, end=9 * MS, index=3),
        ]
    )
    assert (tape.stop, tape.end) == (3, 9 * MS)
    assert tape.between(0, 9 * MS).end == 9 * MS
    tape.append(ramp(9, 1))
    assert tape.find(9 * MS) == 3


def test_a_cut_begins_where_the_sample_before_it_ends_also_after_a_trim() -> None:
    # every chunk has a grid of its own, 1 µs longer than the nominal one
    tape: ChunkBuffer[Any] = ChunkBuffer()
    for k in range(300):
        start = k * (10 * MS + 10_000)
        data = np.arange(10 * k, 10 * k + 10)
        tape.append(Chunk.regular(data, INFO, start=start, index=10 * k, period=MS + 1000.0))
        if k:
            part = tape.cut(10 * k - 10, 10 * k)
            assert (part.start, part.end) == (start - 10 * MS - 10_000, start)
            tape.trim(10 * k)


@pytest.mark.parametrize(
    "hold",
    [
        lambda v: v[3:][2:9],
        lambda v: memoryview(v)[5:9],
        lambda v: memoryview(v).cast("B").cast("q"),
        lambda v: np.frombuffer(v, np.int64),
        lambda v: np.lib.stride_tricks.sliding_window_view(v, 5),
        lambda v: v.view(np.recarray),
        lambda v: v.reshape(10, -1).T[::-1],
    ],
)
def test_a_slab_is_not_used_again_while_anything_looks_at_it(hold: Any) -> None:
    slabs = SlabStore[Any]((), np.dtype(np.int64), slab=8192)
    held: list[tuple[int, Any]] = []
    for k in range(100):
        held.append((k, hold(slabs.append(np.full(1000, k)))))
        slabs.trim(slabs.stop)
        held = held[-20:]
        assert all((np.asarray(view) == number).all() for number, view in held)


def test_a_slab_that_nobody_looks_at_is_used_again() -> None:
    slabs = SlabStore[Any]((), np.dtype(np.int64), slab=8192)
    seen = set()
    for _ in range(100):
        seen.add(slabs.append(np.zeros(1000, np.int64)).__array_interface__["data"][0])
        slabs.trim(slabs.stop)
    assert len(seen) <= 16  # of two slabs


# -- one kind of samples ------------------------------------------------------------------------


def words(at: int, *texts: str, dtype: str | None = None) -> Chunk[Any]:
    data = np.array(texts, dtype)
    info = StreamInfo("keys", dtype=data.dtype)
    return Chunk.stamped(data, range(at, at + len(texts)), info, start=at, end=at + 10, index=at)


def test_samples_of_another_kind_are_refused_and_leave_the_tape_as_it_is() -> None:
    tape = tape_of([words(0, "yes", "no")])
    with pytest.raises(ChunkError, match=r"keys \(\) <U3 and keys \(\) <U7.*astype\('<U7'\)"):
        tape.append(words(10, "perhaps"))
    with pytest.raises(ChunkError, match=r"and ramp \(\) int64; .* before they are merged"):
        tape.append(ramp(10, 3))
    assert (tape.stop, tape.end) == (2, 10)
    pair = StreamInfo("pair", None, (2,))
    tape = tape_of([Chunk.stamped(np.zeros((3, 2), "f4"), [1, 2, 3], pair)])
    one = StreamInfo("pair", None, (1,))
    with pytest.raises(ChunkError, match="to one shape"):
        tape.append(Chunk.stamped(np.ones((2, 1), "f4"), [5, 6], one))
    whole = StreamInfo("pair", None, (2,), np.dtype(np.int16))
    with pytest.raises(ChunkError, match="to one type"):
        tape.append(Chunk.stamped(np.ones((2, 2), "i2"), [5, 6], whole))


def test_a_heartbeat_does_not_settle_what_samples_are() -> None:
    quiet = [
        Chunk.stamped(np.empty((0, 3)), [], StreamInfo("keys", None, (3,), float), start=a, end=b)  # type: ignore[arg-type]
        for a, b in ((0, 5), (15, 20))
    ]
    tape = tape_of([quiet[0], words(5, "yes", "no"), quiet[1]])
    assert (tape.stop, tape.end) == (2, 20)
    out = tape.cut(0, 2, rest=True)
    assert (out.data.tolist(), out.info.dtype, out.info.shape) == (["yes", "no"], "<U3", ())
    assert (out.start, out.end) == (0, 20)
    tape.append(words(20, "yes"))
    assert tape.data(0, 3).tolist() == ["yes", "no", "yes"]


# -- memory that is there -----------------------------------------------------------------------


def test_memory_comes_with_the_samples_and_not_before() -> None:
    tape: ChunkBuffer[Any] = ChunkBuffer(overlap=10**12)
    info = StreamInfo("mic", 48_000.0, (8,))
    block = np.zeros((4800, 8), np.float32)
    for k in range(100):
        tape.append(Chunk.regular(block, info, start=k * 10**8, index=4800 * k))
        slabs: Any = tape._slabs
        assert slabs.nbytes <= 4 * block.nbytes * (k + 2)
    assert np.shares_memory(tape.data(0, tape.stop), slabs.newest)


def test_a_long_first_chunk_does_not_reserve_several_of_its_length() -> None:
    data = np.zeros((3000, 10_000), np.float32)  # 120 MB
    tape: ChunkBuffer[Any] = ChunkBuffer()
    tape.append(Chunk.regular(data, StreamInfo("x", 1000.0, (10_000,)), start=0))
    slabs: Any = tape._slabs
    assert slabs.nbytes < 2 * data.nbytes
