"""align where samples without a partner lie scattered among others."""

from typing import Any

import numpy as np
import pytest
import reactivex as rx
from alignment import LONG, aligned, joined
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.data.axis import Evidence, IrregularAxis, RegularAxis
from rxstream.data.equal_stamps import EqualStamps
from rxstream.steps.lift import lift
from rxstream.testing import assert_same, check_operator, recut, run_operator, streams

PARTNER = StreamInfo("other", None, (), np.dtype(np.int64))
FROM_ZERO = streams().map(lambda chunks: [c.shifted(-chunks[0].covered_from) for c in chunks])
CUTS = st.lists(st.integers(0, 40), max_size=5)


def other(*times: int, end: int = 1000) -> Chunk[Any]:
    """Return samples at some milliseconds."""
    return Chunk.stamped(np.array(times), [t * MS for t in times], PARTNER, start=0, end=end * MS)


def missed(start: int, count: int) -> Gap:
    return Gap(start * MS, (start + count) * MS, count, "unmatched")


def test_what_is_decided_at_once_comes_in_one_tuple() -> None:
    ((a, b), *rest) = aligned([[ramp(0, 10)], [other(1, 4, 5, 8)]], [], tolerance=0)
    assert a.data.tolist() == b.data.tolist() == [1, 4, 5, 8]
    assert (
        a.gap_positions
        == b.gap_positions
        == ((0, missed(0, 1)), (1, missed(2, 2)), (3, missed(6, 2)))
    )
    assert (a.start, a.end, a.index) == (1 * MS, 9 * MS, 1)
    assert not a.data.flags.writeable
    assert [len(x) for x, _ in rest] == [0]
    assert rest[0][0].gaps == (missed(9, 1),)


def test_numbers_go_on_after_a_loss_that_nobody_can_count() -> None:
    lost = Gap(4 * MS, 6 * MS, None, "disconnect")
    before, info = ramp(0, 4), ramp(0, 1).info
    after = Chunk.regular(np.arange(4, 8), info, start=6 * MS, index=4, gap=lost)
    for source in ([before, after], [before + after]):
        items = aligned([source, [other(0, 2, 8, 9)]], [], tolerance=0)
        assert [(a.data.tolist(), a.index) for a, _ in items] == [([0, 2], 0), ([6, 7], 6)]
        assert items[1][0].gaps == (Gap(3 * MS, 8 * MS, None, "unmatched"),)


def test_each_sample_keeps_its_evidence_and_its_grid() -> None:
    def reading(k: int) -> Chunk[Any]:
        grid = RegularAxis(
            10 * k * MS, float(MS), 10, 0, 100.0 * k, Evidence(10 * (k + 1) * MS, 10)
        )
        info, data = ramp(0, 1).info, np.arange(10 * k, 10 * k + 10)
        return Chunk(data, grid, grid.at(0), grid.at(10), 10 * k, info)

    pair, *_ = aligned([[reading(0) + reading(1)], [other(2, 7, 12, 17)]], [], tolerance=0)
    parts = pair[0].axis.parts()
    assert [part.uncertainty for part in parts] == [0, 0, 100, 100]
    assert {part.evidence and part.evidence.arrival for part in parts} == {10 * MS, 20 * MS}
    assert all(type(part) is RegularAxis for part in parts)
    events = other(*range(20))
    pair, *_ = aligned([[events], [other(2, 7, 12, 17)]], [], tolerance=0)
    (stamps,) = pair[0].axis.parts()
    assert isinstance(stamps, IrregularAxis)
    assert not stamps.stamps.flags.writeable


@given(streams(), st.sets(st.integers(0, 40), min_size=3), CUTS)
def test_samples_have_the_numbers_they_had(
    source: list[Chunk], chosen: set[int], cuts: list[int]
) -> None:
    all_of_them, undo = run_operator(ops.samples(), source), EqualStamps()
    stamps = [t for chunk in source for t in undo.of(chunk).tolist()]
    end = source[-1].end
    times = sorted({x.time for k, x in enumerate(all_of_them) if k in chosen})
    # of samples with equal stamps, the later ones have the partners of the earlier ones
    have = [
        x for x, stamp in zip(all_of_them, stamps, strict=True)
        if any(stamp <= t <= x.time for t in times)
    ]  # fmt: skip
    partner = Chunk.stamped(
        np.arange(len(times)), times, PARTNER, start=source[0].covered_from - 1, end=end + 1
    )
    whole = aligned([source, [partner]], [], tolerance=0)
    again = aligned([recut(source, cuts), [partner]], [1] * 9, tolerance=0)
    assert_same(joined(whole), joined(again))
    for items in (whole, again):
        got = run_operator(ops.samples(), [a for a, _ in items])
        assert [(x.time, x.index) for x in got] == [(x.time, x.index) for x in have]


class Pick:
    """A step that passes on one chunk of each tuple: RxPY's ``map`` would get no heartbeats."""

    def __init__(self, port: int) -> None:
        self.port = port

    def push(self, items: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        return (items[self.port],)

    def flush(self) -> tuple[Chunk, ...]:
        return ()


def pick(port: int) -> Any:
    return lift(lambda: Pick(port))


@pytest.mark.parametrize("then", [ops.rechunk(3), ops.window_by_time(0.02)])
def test_laws_of_what_follows(then: Any) -> None:
    partner = other(*(k for k in range(1000) if k % 7 < 3 or k % 11 == 0))

    def align(source: Observable[Chunk]) -> Observable[Any]:
        aligned: Observable[Any] = source.pipe(
            ops.align(rx.of(partner), tolerance=0.0008, lateness=LONG), pick(0), then
        )
        return aligned

    check_operator(lambda: align, source=FROM_ZERO, regroups=False, conserves=False, examples=25)


@pytest.mark.parametrize("method", ["nearest", "previous", "linear"])
@pytest.mark.parametrize("port", [0, 1])
def test_laws(method: Any, port: int) -> None:
    partner = other(*(k for k in range(0, 1000, 7) if k % 10 < 7))  # now and then far away

    def align(source: Observable[Chunk]) -> Observable[Any]:
        aligned: Observable[Any] = source.pipe(
            ops.align(rx.of(partner), method=method, tolerance=0.01, lateness=LONG), pick(port)
        )
        return aligned

    check_operator(lambda: align, source=FROM_ZERO, regroups=False, conserves=False, examples=15)
    info = StreamInfo("level", 1000.0, (), np.dtype(float))
    certain = Chunk.regular(np.arange(900.0), info, start=0)
    assert (
        sum(len(c) for c in run_operator(align, [certain])) > 300
    )  # or the laws would say nothing
