"""detect_gaps: marked gaps pass unchanged, others are found."""

from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import assert_same, check_operator, infos, recut, run_operator, streams

EVENTS = StreamInfo("events", None, (), np.dtype(np.int64))
FRAMES = StreamInfo("frames", 100.0, (), np.dtype(np.int64))


def check(chunks: list[Chunk[Any]], **options: Any) -> tuple[list[Chunk[Any]], list[Gap]]:
    found: list[Gap] = []
    return run_operator(ops.detect_gaps(found.append, **options), chunks), found


def at(start: int, n: int, index: int, info: StreamInfo = INFO) -> Chunk[Any]:
    return Chunk.regular(np.arange(n), info, start=start * MS, index=index)


def events(times: list[int], index: int, start: int, end: int) -> Chunk[Any]:
    stamps = [t * MS for t in times]
    return Chunk.stamped(
        np.array(times, np.int64), stamps, EVENTS, start=start * MS, end=end * MS, index=index
    )


@given(streams())
def test_a_stream_with_all_gaps_marked_passes_unchanged(chunks: list[Chunk[Any]]) -> None:
    out, found = check(chunks)
    assert not found
    assert all(a is b for a, b in zip(out, chunks, strict=True))


def test_the_laws() -> None:
    check_operator(ops.detect_gaps, regroups=False)


def test_the_index_of_a_heartbeat_counts_the_hole_before_it() -> None:
    """So it does not matter for what comes after whether there was one."""
    a, b = at(0, 1, 0), at(2, 1, 2)
    beat = Chunk.stamped(np.empty(0, np.int64), [], INFO, start=1 * MS, end=2 * MS, index=2)
    out, found = check([a, beat, b])
    assert found == [Gap(1 * MS, 2 * MS, 1, "dropped")]
    assert_same(out, check([a, b])[0], joined=True)
    filled = run_operator(ops.fill_gaps("previous"), out)
    assert [c.index for c in filled if len(c)] == [0, 1, 2]
    assert not any(c.gap_positions for c in filled)


@given(
    st.lists(st.booleans(), min_size=1, max_size=40), st.booleans(), st.lists(st.integers(0, 40))
)
def test_what_is_missing_is_found(kept: list[bool], numbered: bool, cuts: list[int]) -> None:
    """Samples are left out, which shows in their index or only in their times."""
    kept = [True, *kept, True]
    chunks, want, before, number = [], [], -1, 0
    for k in np.flatnonzero(kept).tolist():
        lost = k - before - 1
        if lost:
            want.append(Gap((before + 1) * MS, k * MS, lost if numbered else None, "dropped"))
        chunks.append(at(k, 1, k if numbered else number))
        before, number = k, number + 1
    out, found = check(chunks)
    assert found == want
    assert run_operator(ops.gaps(), out) == want
    assert check(out)[1] == []  # now they are marked
    if not numbered:  # in one chunk only the times show it
        again = recut(chunks, cuts)
        assert check(again)[1] == want
        assert_same(check(again)[0], out, joined=True)


@given(streams(infos()))
def test_it_finds_again_what_drop_gaps_took_away(chunks: list[Chunk[Any]]) -> None:
    out, found = check(run_operator(ops.ignore_gaps(), chunks))
    whole = concat(chunks)
    # how many are lost shows by the number of the next sample
    inner = [(p, gap) for p, gap in whole.gap_positions if 0 < p < len(whole)]
    assert sum(gap.lost or 0 for gap in found) == sum(gap.lost or 0 for _, gap in inner)
    assert np.array_equal(concat(out).time, whole.time)
    half = (whole.info.period or 0) / 2
    for _, gap in inner:
        if gap.end - gap.start > half:
            assert any(f.start <= gap.start and gap.end <= f.end for f in merged(found)), gap


def merged(gaps: list[Gap]) -> list[Gap]:
    out: list[Gap] = []
    for gap in gaps:
        if out and out[-1].end >= gap.start:
            out[-1] = out[-1].join(gap)
        else:
            out.append(gap)
    return out


def test_numbers_that_jump_without_time() -> None:
    out, found = check([at(0, 3, 0), at(3, 3, 5)])
    assert found == [Gap(3 * MS, 3 * MS, 2, "dropped")]
    assert out[1].gap == found[0]


def test_numbers_that_go_back_are_a_restart() -> None:
    _, found = check([at(0, 3, 100), at(10, 3, 0), at(13, 3, 3)])
    assert found == [Gap(3 * MS, 10 * MS, None, "restart")]
    _, found = check([events([1], 100, 0, 2), events([3], 0, 2, 4)])
    assert found == [Gap(3 * MS, 3 * MS, None, "restart")]


def test_a_sample_that_comes_soon_after_the_last_is_no_overlap() -> None:
    """Of a live device a chunk ends when it arrives, and the next sample may come at once."""
    soon = [at(0, 5, 0)._replace(end=4 * MS + 1), at(0, 5, 5).shifted(4 * MS + MS // 4)]
    later = [chunk.shifted(20 * MS)._replace(index=chunk.index + 10) for chunk in soon]
    chunks = [*soon, *later]
    out, found = check(chunks)
    assert [gap.reason for gap in found] == ["dropped"]
    for other in (recut(chunks, []), recut(chunks, range(20))):
        assert_same(check(other)[0], out, joined=True)


def test_time_that_goes_back_is_an_overlap() -> None:
    chunks = [at(0, 5, 0), at(3, 5, 5), at(8, 2, 10)]
    out, found = check(chunks)
    assert found == [Gap(3 * MS, 5 * MS, 0, "overlap")]
    assert [c.time.tolist() for c in out] == [c.time.tolist() for c in chunks]
    _, found = check([events([1, 5], 0, 0, 6), events([3, 8], 2, 3, 9)])
    assert found == [Gap(3 * MS, 5 * MS, 0, "overlap")]


def test_what_is_marked_in_part_is_found_in_part() -> None:
    marked = Gap(5 * MS, 8 * MS, 3, "overrun")
    late = Chunk.regular(np.arange(3), INFO, start=12 * MS, index=12, gap=marked)
    out, found = check([ramp(0, 3), late])
    assert found == [Gap(3 * MS, 5 * MS, 2, "dropped"), Gap(8 * MS, 12 * MS, 4, "dropped")]
    assert [g.start // MS for g in out[1].gaps] == [3, 5, 8]
    assert out[1].covered_from == 3 * MS
    assert out[1].start == 12 * MS
    both = ramp(12, 3, Gap(3 * MS, 12 * MS, None, "disconnect"))  # of unknown size
    assert check([ramp(0, 3), both])[1] == []


def test_a_loss_among_irregular_samples_shows_in_their_numbers() -> None:
    chunks = [events([1, 5], 0, 0, 10), events([], 2, 10, 20), events([25], 4, 20, 30)]
    assert check(chunks)[1] == [Gap(25 * MS, 25 * MS, 2, "dropped")]
    apart = [events([1, 5], 0, 0, 10), events([25], 4, 20, 30)]
    assert check(apart)[1] == [Gap(10 * MS, 20 * MS, 2, "dropped")]
    assert check([apart[0], events([25], 2, 20, 30)])[1] == []  # silence is no loss


def test_a_regular_stream_without_samples_has_one_hole() -> None:
    """Known whole when the next sample has come, or at the end; until then nothing comes out."""
    quiet = [Chunk.empty(INFO, a * MS, b * MS, index=3) for a, b in ((3, 5), (5, 9))]
    out, found = check([at(0, 3, 0), *quiet, at(10, 3, 3)])
    assert found == [Gap(3 * MS, 10 * MS, None, "dropped")]
    assert [c.end // MS for c in out] == [3, 13]
    out, found = check([at(0, 3, 0), *quiet])
    assert found == [Gap(3 * MS, 9 * MS, None, "dropped")]
    assert [c.end // MS for c in out] == [3, 9]
    creeping = [Chunk.empty(INFO, t, t + MS // 3, index=3)
                for t in range(3 * MS, 6 * MS, MS // 3)]  # fmt: skip
    _, found = check([at(0, 3, 0), *creeping])
    assert [gap.start for gap in found] == [3 * MS]
    assert found[0].duration > 0.002


def test_what_is_marked_behind_a_hole_waits_with_it() -> None:
    marked = [Gap(k * MS, (k + 1) * MS, 1, "overrun") for k in range(5, 3005, 2)]
    beats = [Chunk.empty(INFO, gap.end, gap.end + MS, index=0).with_gap(gap) for gap in marked]
    out, found = check([at(0, 3, 0), *beats, at(3005, 3, 3005)])
    assert [chunk.end // MS for chunk in out] == [3, 3008]
    whole = out[1].gap
    assert whole is not None
    assert (whole.start, whole.end, whole.lost) == (3 * MS, 3005 * MS, 3002)
    assert len(out[1].gaps) < 2500  # memory is bounded, nothing is forgotten
    assert sum(gap.lost or 0 for gap in found) == 3002 - len(marked)


def test_frames_with_a_stamp_each_may_wobble() -> None:
    times = np.array([0, 11, 19, 32, 52, 60, 95]) * MS
    frames = Chunk.stamped(np.zeros(7, np.int64), times, FRAMES)
    out, found = check([frames])
    assert found == [Gap(42 * MS, 52 * MS, None, "dropped"), Gap(70 * MS, 95 * MS, None, "dropped")]
    assert [p for p, _ in out[0].gap_positions] == [4, 6]
    assert len(check([frames], tolerance=0.02)[1]) == 1
    assert len(check([frames[:2], frames[2:5], frames[5:]])[1]) == 2


def test_tolerance() -> None:
    jitter = [at(0, 100, 0), at(107, 100, 100), at(195, 100, 200), at(330, 100, 300)]
    assert [g.reason for g in check(jitter)[1]] == ["dropped", "overlap", "dropped"]
    assert check(jitter, tolerance=0.02)[1] == [Gap(295 * MS, 330 * MS, None, "dropped")]


def test_an_observer_may_listen() -> None:
    subject: Subject[Gap] = Subject()
    got: list[Any] = []
    subject.subscribe(got.append, on_completed=lambda: got.append("end"))
    run_operator(ops.detect_gaps(subject), [at(0, 3, 0), at(5, 3, 5)])
    assert got == [Gap(3 * MS, 5 * MS, 2, "dropped")]


def test_an_error_of_the_report_goes_downstream() -> None:
    with pytest.raises(ZeroDivisionError):
        run_operator(ops.detect_gaps(lambda _: 1 / 0), [at(0, 3, 0), at(5, 3, 5)])


def test_bad_arguments_fail_where_the_pipe_is_built() -> None:
    with pytest.raises(ParameterError, match="a function or an observer, not 3"):
        ops.detect_gaps(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="tolerance must be > 0"):
        ops.detect_gaps(tolerance=0)
