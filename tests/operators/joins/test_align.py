"""align: what comes with what, what is left out and why, and what it holds meanwhile."""

from itertools import groupby
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from alignment import aligned, aligned_cold, joined
from fakes import MS, ramp
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.joins.align_step import Align
from rxstream.operators.joins.join_side import JoinSide
from rxstream.testing import assert_same

HERE = ImmediateScheduler()
PARTNER = StreamInfo("other", None, (), np.dtype(float), "V")


def other(*times: int, start: int = 0, end: int = 1000, info: StreamInfo = PARTNER) -> Chunk[Any]:
    """Return samples at some milliseconds whose values are these."""
    return Chunk.stamped(
        np.array(times, info.dtype), [t * MS for t in times], info, start=start * MS, end=end * MS
    )


def values(items: list[tuple[Chunk, ...]]) -> list[tuple[int, float]]:
    """Return the pairs of values that came."""
    ours, theirs = joined(items)
    return [(int(x), float(y)) for x, y in zip(ours.data, theirs.data, strict=True)]


def why(*ports: list[Chunk], **options: Any) -> list[tuple[list[int], str]]:
    """Return which samples of a ramp are left out, and why."""
    reports: list[Any] = []
    aligned(ports, [], unmatched=reports.append, **{"tolerance": 0.002} | options)
    groups = groupby(reports, lambda item: item.reason)
    return [([int(n) for item in group for n in item.chunk.data], key) for key, group in groups]


def test_the_last_one_not_after() -> None:
    got = aligned([[ramp(0, 6)], [other(1, 4)]], [], method="previous", tolerance=0.002)
    assert values(got) == [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4)]


def test_of_two_as_near_the_earlier() -> None:
    got = aligned([[ramp(0, 6)], [other(1, 3, 5)]], [], tolerance=0.001)
    assert values(got) == [(0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (5, 5)]


def test_of_several_stamped_at_one_time_the_first_then_and_the_last_just_after() -> None:
    at_once = Chunk.stamped(np.array([1.0, 2.0]), [2 * MS] * 2, PARTNER, start=0, end=9 * MS)
    for method in ("nearest", "previous"):
        for port in ([at_once], [at_once[:1], at_once[1:]]):
            for later, value in ((0, 1), (1, 2), (1000, 2)):
                source = ramp(2, 1).shifted(later)
                assert values(aligned([[source], port], [], method=method)) == [(2, value)]


def test_a_line() -> None:
    got = aligned([[ramp(0, 6)], [other(1, 5)]], [], method="linear")
    assert values(got) == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]


def test_the_partner_comes_at_the_times_of_the_source() -> None:
    (a, b, c), *_ = aligned([[ramp(0, 4)], [other(0, 2)], [ramp(0, 4)]], [])
    assert (b.info.name, b.info.unit, b.rate) == ("other", "V", 1000.0)
    assert b.info.dtype == b.data.dtype == np.float64
    assert c == a
    assert (b.start, b.end, b.index, b.time.tolist()) == (a.start, a.end, a.index, a.time.tolist())
    assert not b.data.flags.writeable


def test_what_has_no_partner_is_a_gap_before_what_follows() -> None:
    lossy = [ramp(0, 4), ramp(6, 4, Gap(4 * MS, 6 * MS, 2, "dropped"))]
    got = aligned([lossy, [other(0, 9)]], [0, 1], tolerance=0.001)
    assert [a.data.tolist() for a, _ in got] == [[0, 1], [8, 9]]
    # it goes on over what the source lost, and so is one
    assert got[1][0].gaps == got[1][1].gaps == (Gap(2 * MS, 8 * MS, 6, "unmatched"),)
    assert got[1][0].index == 8


def test_gaps_of_the_source_stay() -> None:
    gap = Gap(4 * MS, 6 * MS, 2, "dropped")
    for order in ([], [True] * 9):
        ours, _ = joined(aligned([[ramp(0, 4), ramp(6, 4, gap)], [other(0, 9)]], order))
        assert ours.gap_positions == ((4, gap),)


def test_a_gap_that_begins_before_the_next_sample_was_due() -> None:
    """As after `resample`, whose grid is not that of what was lost."""
    first = ramp(0, 3).between(0, 2_500_000)
    gap = Gap(first.end, 4_500_000, 2, "dropped")
    lost = Chunk.regular(np.empty(0, np.int64), first.info, start=gap.end, index=5, gap=gap)
    for order in ([], [True] * 9):
        ours, _ = joined(aligned([[first, lost, ramp(5, 3)], [other(*range(9))]], order))
        assert ours.data.ravel().tolist() == [0, 1, 2, 5, 6, 7]
        assert ours.gap_positions == ((3, gap),)


def test_nothing_fits() -> None:
    (items,) = aligned([[ramp(0, 5)], [other(900)]], [], tolerance=0.001)
    assert [len(chunk) for chunk in items] == [0, 0]
    assert items[0].gaps == (Gap(0, 5 * MS, 5, "unmatched"),)


def test_why_nothing_fits() -> None:
    lost = Gap(4 * MS, 9 * MS, None, "dropped")
    gappy = [other(0, 3, end=4), Chunk.stamped(
        np.array([9.0]), [9 * MS], PARTNER, start=9 * MS, end=20 * MS, gap=lost
    )]  # fmt: skip
    mic = [ramp(0, 25)]
    far = "nothing within tolerance"
    assert why(mic, gappy) == [
        ([6], "gap"), (list(range(12, 20)), far), (list(range(20, 25)), "ended"),
    ]  # fmt: skip
    assert why(mic, gappy, method="previous") == [
        (list(range(4, 9)), "gap"), (list(range(12, 20)), far), (list(range(20, 25)), "ended"),
    ]  # fmt: skip
    assert why([ramp(0, 8)], [other(6, start=5)]) == [([0, 1, 2, 3], "not begun")]
    assert why([ramp(0, 3)], []) == [([0, 1, 2], "ended")]


def test_each_partner_tells_for_itself() -> None:
    reports: list[Any] = []
    report: Subject[Any] = Subject()
    report.subscribe(reports.append)
    ports = [[ramp(0, 3)], [other(0)], [other(2)]]
    (items,) = aligned(ports, [], tolerance=0, method="previous", unmatched=report)
    assert len(items) == 3
    assert not len(items[0])
    assert [str(item) for item in reports] == [
        "2 samples of ramp: other: nothing within tolerance",
        "2 samples of ramp: other: nothing within tolerance",
    ]
    assert [item.chunk.data.tolist() for item in reports] == [[1, 2], [0, 1]]


def test_late() -> None:
    source, late = Subject[Any](), Subject[Any]()
    reports: list[Any] = []
    got: list[Any] = []
    aligned = source.pipe(
        ops.align(late, tolerance=0.002, lateness=0.010, unmatched=reports.append)
    )
    aligned.subscribe(got.append)
    late.on_next(other(0, end=1))
    source.on_next(ramp(0, 16))
    assert not reports  # a long chunk makes no stream late
    source.on_next(ramp(16, 1))
    assert [(t.chunk.data.tolist(), t.reason) for t in reports] == [([3], "late")]
    late.on_next(other(3, 8, start=1, end=20))  # the first comes too late
    assert values(got) == [(0, 0), (1, 0), (2, 0), (4, 3), (5, 3), *((k, 8) for k in range(6, 11))]


def test_offset() -> None:
    got = aligned([[ramp(0, 4)], [other(10, 12)], [other(0, 2)]], [], offset=[-0.010, 0.001])
    a, b, c = joined(got)
    assert a.data.tolist() == [0, 1, 2, 3]
    assert b.data.tolist() == [10, 10, 12, 12]
    assert c.data.tolist() == [0, 0, 0, 2]


def test_a_common_grid() -> None:
    source = [Chunk.regular(np.arange(11.0), StreamInfo("a", 10.0, (), np.dtype(float)), start=0)]
    seconds = Chunk.regular(np.arange(3.0), StreamInfo("b", 1.0, (), np.dtype(float)), start=0)
    a, b = joined(aligned([source, [seconds]], [], rate=4.0, method="linear"))
    np.testing.assert_allclose(a.data, [0, 2.5, 5, 7.5, 10])
    np.testing.assert_allclose(b.data, [0, 0.25, 0.5, 0.75, 1])
    assert a.rate == b.rate == 4.0
    words = StreamInfo("words", 10.0, (), np.dtype("U1"))
    text = [Chunk.regular(np.array(list("abcdefghijk")), words, start=0)]
    a, b = joined(aligned([text, [seconds]], [], rate=4.0, method="linear"))
    assert "".join(a.data) == "acfhk"


@pytest.mark.parametrize("method", ["nearest", "previous"])
def test_any_kind_of_sample(method: Any) -> None:
    kind = np.dtype([("id", int), ("name", "U3")])
    tags = Chunk.stamped(
        np.array([(1, "one"), (2, "two")], kind), [0, 3 * MS], StreamInfo("t", None, (), kind)
    )
    frames = Chunk.regular(
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        StreamInfo("p", 500.0, (3, 4), np.dtype(np.uint8)), start=0,
    )  # fmt: skip
    _, t, p = joined(aligned([[ramp(0, 4)], [tags], [frames]], [], method=method))
    assert t.data["id"].tolist() == ([1, 1, 2, 2] if method == "nearest" else [1, 1, 1, 2])
    assert p.data.shape == (4, 3, 4)
    np.testing.assert_array_equal(p.data, frames.data[[0, 0, 1, 1]])


def test_no_line_between_words() -> None:
    words = Chunk.stamped(np.array(["a"]), [0], StreamInfo("w", None, (), np.dtype("U1")))
    with pytest.raises(ChunkError, match="no lines"):
        aligned([[ramp(0, 1)], [words]], [], method="linear")


def test_a_silent_partner_for_half_an_hour() -> None:
    """It neither stalls nor fills memory; nor does a source that is silent."""
    partners = [JoinSide(k, None, "nearest", 10**9, 0) for k in (1, 2)]
    step = Align(partners, 10**10, report=True)
    step.push(1, other(0, end=1))
    most = matched = left_out = 0
    for second in range(1800):
        for port in (0, 2):
            for item in step.push(port, ramp(1000 * second, 1000)):
                if isinstance(item, tuple):
                    matched += len(item[0])
                else:
                    left_out += len(item.chunk)
        most = max(most, step.pending)
    assert most < 2 * 12_000 + 10
    assert matched == 1001
    assert left_out >= 1_780_000
    for second in range(1800, 3600):
        step.push(2, ramp(1000 * second, 1000))
        most = max(most, step.pending)
    assert most < 2 * 12_000 + 10


def test_it_ends_with_the_source_when_all_is_decided() -> None:
    source, partner = Subject[Any](), Subject[Any]()
    ends: list[int] = []
    source.pipe(ops.align(partner, tolerance=0.002)).subscribe(on_completed=lambda: ends.append(1))
    source.on_next(ramp(0, 4))
    source.on_completed()
    partner.on_next(other(0, end=2))
    assert not ends
    partner.on_next(other(start=2, end=6))  # a heartbeat
    assert ends


def test_live_is_replay() -> None:
    a, b = (TimeWindowSubject(60, name=name, clock=lambda: 0) for name in "ab")
    live: list[Any] = []
    a.pipe(ops.align(b, tolerance=0.003)).subscribe(live.append, scheduler=HERE)
    for k in range(40):
        gap = Gap(k * 50 * MS, (k * 50 + 3) * MS, 3, "dropped") if k % 7 == 3 else None
        a.on_next(ramp(k * 50 + 3 * bool(gap), 50 - 3 * bool(gap), gap))
        if k % 5:  # in the end as much as a, but later
            b.on_next(ramp(k * 40, 40))
    b.on_next(ramp(1600, 401))
    a.on_completed()
    b.on_completed()
    past: list[Any] = []
    a.past().pipe(ops.align(b.past(), tolerance=0.003)).subscribe(past.append)
    again: list[Any] = []
    a.past().pipe(ops.align(b.rewind(to=0), tolerance=0.003)).subscribe(
        again.append, scheduler=HERE
    )
    assert len(joined(live)[0]) > 1000
    assert_same(joined(live), joined(past))
    assert_same(joined(live), joined(again))


def test_all_at_once_however_late() -> None:
    ports = [[ramp(k * 1000, 1000) for k in range(60)] for _ in range(2)]
    a, b = joined(aligned_cold(ports, lateness=0.5, tolerance=0.001))
    assert a == b
    assert len(a) == 60_000


def test_errors_are_forwarded() -> None:
    for failing in (0, 1):
        ports = [Subject[Any](), Subject[Any]()]
        errors: list[Any] = []
        ports[0].pipe(ops.align(ports[1])).subscribe(on_error=errors.append)
        boom = RuntimeError("boom")
        ports[failing].on_error(boom)
        assert errors == [boom]


@pytest.mark.parametrize(
    ("others", "options", "message"),
    [
        ((), {}, "needs another stream"),
        ((5,), {}, "no stream"),
        ((rx.never(),), {"method": "next"}, "method must be"),
        ((rx.never(),), {"tolerance": -1}, "tolerance must be"),
        ((rx.never(),), {"lateness": -1}, "lateness must be"),
        ((rx.never(),), {"offset": [1, 2]}, "2 offsets for 1 stream"),
        ((rx.never(),), {"offset": "1"}, "offset must be"),
        ((rx.never(),), {"offset": float("nan")}, "offset must be"),
        ((rx.never(),), {"rate": 0}, "rate must be"),
        ((rx.never(),), {"unmatched": 5}, "unmatched must be"),
    ],
)
def test_bad_arguments(others: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ops.align(*others, **options)
