"""merge_by_time: every sample once, in the order of time, whoever comes first."""

import heapq
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, ramp
from hypothesis import given
from join_drivers import LONG, cold, play, scenes
from reactivex import Observable
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.data.concat import concat
from rxstream.errors import ParameterError
from rxstream.testing import check_operator, streams

NOTES = StreamInfo("notes", None, (), np.dtype("U1"))


def patient(*others: Observable[Chunk]) -> Any:
    return ops.merge_by_time(*others, lateness=LONG)


def notes(text: str, *times: float, end: float) -> Chunk[Any]:
    stamps = [round(t * MS) for t in times]
    return Chunk.stamped(np.array(list(text), "U1"), stamps, NOTES, start=0, end=round(end * MS))


def named(ports: list[list[Chunk]]) -> list[list[Chunk]]:
    """Return the streams with names of their own."""
    out = []
    for k, port in enumerate(ports):
        info = port[0].info
        name = StreamInfo(str(k), info.rate, info.shape, info.dtype)
        out.append([chunk.with_data(chunk.data, name) for chunk in port])
    return out


def by_stream(items: list[Chunk], count: int) -> list[Chunk]:
    each: list[list[Chunk]] = [[] for _ in range(count)]
    for item in items:
        each[int(item.info.name)].append(item)
    return [concat(chunks) for chunks in each]


@given(scenes())
def test_all_streams_come_whole_and_in_order(scene: Any) -> None:
    ports, other, turns, others = scene
    ports, other = named(ports), named(other)
    # the oracle: heapq.merge prefers the earlier stream where times are equal
    keyed = [[(t, k) for t in concat(port).time.tolist()] for k, port in enumerate(ports)]
    expected = list(heapq.merge(*keyed))
    for out in (play(patient, ports, turns), play(patient, other, others), cold(patient, ports)):
        got = [(t, int(chunk.info.name)) for chunk in out for t in chunk.time.tolist()]
        assert got == expected
        for stream, port in zip(by_stream(out, len(ports)), ports, strict=True):
            assert stream == concat(port)


def test_laws_of_one_stream() -> None:
    check_operator(lambda: ops.merge_by_time(rx.empty()), regroups=False)
    check_operator(
        lambda: ops.merge_by_time(rx.empty(), lateness=0.001),
        regroups=False,
        source=streams(gaps=False),
    )


def test_a_chunk_is_cut_where_another_comes_between() -> None:
    out = play(patient, [[ramp(0, 6)], [notes("xyz", 1.5, 1.7, 4, end=9)]], [])
    assert ["".join(map(str, chunk.data)) for chunk in out] == ["01", "xy", "234", "z", "5"]
    assert [chunk.index for chunk in out if chunk.info.name == "ramp"] == [0, 2, 5]


def test_it_waits_for_heartbeats() -> None:
    a, b = Subject[Chunk](), Subject[Chunk]()
    out: list[Chunk] = []
    a.pipe(ops.merge_by_time(b)).with_heartbeats().subscribe(out.append)
    a.on_next(ramp(0, 100))
    assert not out
    b.on_next(notes("", end=50))
    assert [len(chunk) for chunk in out] == [50, 0]
    b.on_next(notes("", end=200).between(50 * MS, 200 * MS))
    assert [len(chunk) for chunk in out] == [50, 0, 50, 0]


def test_a_silent_stream_is_waited_for_until_lateness() -> None:
    a, b = Subject[Chunk](), Subject[Chunk]()
    out: list[Chunk] = []
    a.pipe(ops.merge_by_time(b, lateness=0.010)).subscribe(out.append)
    a.on_next(ramp(0, 15))
    a.on_next(ramp(15, 1))
    assert concat(out).data.tolist() == [0, 1, 2, 3, 4]


def test_what_is_late_is_reported() -> None:
    a, b = Subject[Chunk](), Subject[Chunk]()
    out: list[Chunk] = []
    a.pipe(ops.merge_by_time(b, lateness=0.010)).subscribe(out.append)
    a.on_next(ramp(0, 20))
    a.on_next(ramp(20, 1))
    late = notes("abcd", 3, 6, 12, 14, end=15)
    b.on_next(late)
    a.on_completed()
    b.on_completed()
    assert [chunk.data.tolist() for chunk in out] == [
        list(range(10)), [10, 11, 12], ["c"], [13, 14], ["d"], list(range(15, 20)), [20],
    ]  # fmt: skip
    late = concat([chunk for chunk in out if chunk.info == NOTES])
    assert late.gap_positions == ((0, Gap(0, 10 * MS, 2, "lag")),)
    assert late.index == 2


def test_a_stream_that_is_always_late_is_reported_and_not_kept() -> None:
    a, b = Subject[Chunk](), Subject[Chunk]()
    out: list[Chunk] = []
    a.pipe(ops.merge_by_time(b, lateness=0.010)).with_heartbeats().subscribe(out.append)
    for k in range(100):
        a.on_next(ramp(10 * k, 10))
        if k >= 5:
            b.on_next(ramp(10 * (k - 5), 10).shifted(0).with_data(np.ones((10, 1), "f4")))
    a.on_completed()
    b.on_completed()
    late = concat([chunk for chunk in out if chunk.info.shape])
    assert len(late) == 0
    assert late.lost == 950
    assert {gap.reason for gap in late.gaps} == {"lag"}


def test_an_error_tells_whose_it_is() -> None:
    errors: list[Exception] = []
    boom = RuntimeError("boom")
    rx.of(ramp(0, 5)).pipe(ops.merge_by_time(rx.throw(boom))).subscribe(on_error=errors.append)
    assert errors == [boom]
    assert boom.__notes__ == ["merge_by_time: this came from input 1"]


@pytest.mark.parametrize(
    ("others", "options", "message"),
    [
        ((), {}, "needs another stream"),
        (("mic",), {}, "'mic' is no stream"),
        ((rx.empty(),), {"lateness": 0}, "lateness"),
        ((rx.empty(),), {"lateness": -1.0}, "lateness"),
    ],
)
def test_bad_arguments(others: Any, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ops.merge_by_time(*others, **options)
