"""join_windows: each window holds what `between` gives of each stream, each gap once."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from join_drivers import LONG, cold, play, scenes
from reactivex import Observable
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.data.concat import concat
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators import JoinedWindow
from rxstream.testing import assert_same, check_operator

NOTES = StreamInfo("notes", None, (), np.dtype("U1"))
LENGTHS = st.sampled_from([0.02, 0.1, 1.0])


def patient(duration: float, every: float | None = None) -> Any:
    def make(*others: Observable[Chunk]) -> Any:
        return ops.join_windows(*others, duration=duration, every=every, lateness=LONG)

    return make


def live(**options: Any) -> tuple[Subject[Chunk], Subject[Chunk], list[JoinedWindow]]:
    a, b = Subject[Chunk](), Subject[Chunk]()
    out: list[JoinedWindow] = []
    a.pipe(ops.join_windows(b, **options)).subscribe(out.append)
    return a, b, out


def values(window: JoinedWindow) -> list[Any]:
    return [None if chunk is None else chunk.data.ravel().tolist() for chunk in window.chunks]


def notes(text: str, *times: int, start: int = 0, end: int) -> Chunk[Any]:
    stamps = [t * MS for t in times]
    data = np.array(list(text), "U1")
    return Chunk.stamped(data, stamps, NOTES, start=start * MS, end=end * MS)


@given(scenes(), LENGTHS)
def test_windows_side_by_side_make_the_whole(scene: Any, duration: float) -> None:
    ports, other, turns, others = scene
    out = play(patient(duration), ports, turns)
    assert_same(play(patient(duration), other, others), out)
    assert_same(cold(patient(duration), ports), out)
    for k, port in enumerate(ports):
        whole = concat(port)
        parts = [chunk for window in out if (chunk := window.chunks[k]) is not None]
        assert parts or whole.covered_from == whole.end
        if parts:
            assert concat(parts) == whole
    for window, after in pairwise(out):
        assert window.end <= after.start
    assert all(window.end - window.start == round(duration * 1e9) for window in out)


@given(scenes(), LENGTHS, st.sampled_from([0.3, 0.5, 0.7, 1.5]))
def test_each_window_is_cut_from_the_whole(scene: Any, duration: float, share: float) -> None:
    ports, other, turns, others = scene
    make = patient(duration, duration * share)
    out = play(make, ports, turns)
    assert_same(play(make, other, others), out)
    assert_same(cold(make, ports), out)
    wholes = [concat(port) for port in ports]
    every = round(duration * share * 1e9)
    for before, window in pairwise(out):
        for chunk, whole in zip(window.chunks, wholes, strict=True):
            expected = whole.between(window.start, window.end)
            if chunk is None:
                assert not len(expected)
                continue
            np.testing.assert_array_equal(chunk.data, expected.data)
            np.testing.assert_array_equal(chunk.time, expected.time)
            regularly = window.start - before.start == every
            # a gap without length at the very end is in the window after
            if regularly and share <= 1 and window is not out[-1] and window.end != whole.end:
                assert chunk == expected
    if share <= 1:
        found = {t for window in out for c in window.chunks if c is not None for t in c.time}
        assert found == {t for whole in wholes for t in whole.time}


def test_laws_of_one_stream() -> None:
    check_operator(lambda: ops.join_windows(rx.empty(), duration=0.05), conserves=False)
    check_operator(lambda: ops.join_windows(rx.empty(), duration=0.1, every=0.03), conserves=False)


def test_each_keeps_its_rate() -> None:
    out = play(patient(0.004), [[ramp(0, 10)], [notes("xyz", 1, 5, 6, end=10)]], [])
    assert [values(window) for window in out] == [
        [[0, 1, 2, 3], ["x"]], [[4, 5, 6, 7], ["y", "z"]], [[8, 9], []],
    ]  # fmt: skip
    assert [(w.start // MS, w.end // MS) for w in out] == [(0, 4), (4, 8), (8, 12)]
    last = out[-1].chunks[1]
    assert last is not None
    assert (last.start, last.end) == (8 * MS, 10 * MS)


def test_origin() -> None:
    make = lambda b: ops.join_windows(b, duration=0.004, origin=MS, lateness=LONG)  # noqa: E731
    out = play(make, [[ramp(0, 6)], [ramp(0, 6)]], [])
    assert [window.start // MS for window in out] == [-3, 1, 5]


def test_a_stream_that_has_not_begun_or_is_over_is_none() -> None:
    out = play(patient(0.004), [[ramp(0, 12)], [notes("x", 5, start=4, end=8)]], [])
    assert [values(window)[1] for window in out] == [None, ["x"], None]
    out = play(patient(0.004), [[ramp(0, 4)], []], [])
    assert [values(window) for window in out] == [[[0, 1, 2, 3], None]]
    assert play(patient(0.004), [[], []], []) == []


def test_windows_wholly_in_gaps_of_all_are_reported_by_the_next() -> None:
    gap = Gap(6 * MS, 10**9 * MS, 10**9 - 6, "disconnect")
    ports = [[ramp(0, 6), ramp(10**9, 4, gap)], [notes("x", 1, end=3)]]
    out = play(patient(0.004), ports, [])
    assert [window.start // MS for window in out] == [0, 4, 10**9]
    assert out[1].chunks[0] is not None
    assert out[1].chunks[0].coverage == 0.5
    first, second = (window.chunks[0] for window in out[1:])
    assert first is not None
    assert second is not None
    assert concat((first, second)).lost == gap.lost


def test_a_window_in_which_one_is_silent_comes() -> None:
    out = play(patient(0.004), [[notes("", end=12)], [notes("x", 1, end=12)]], [])
    assert [values(window) for window in out] == [[[], ["x"]], [[], []], [[], []]]


def test_a_silent_stream_is_waited_for_until_lateness() -> None:
    a, _, out = live(duration=0.004, lateness=0.010)
    a.on_next(ramp(0, 14))
    assert not out
    a.on_next(ramp(14, 1))
    assert [values(window) for window in out] == [[[0, 1, 2, 3], None]]


def test_what_is_late_is_reported_by_a_later_window() -> None:
    a, b, out = live(duration=0.004, lateness=0.010)
    b.on_next(notes("x", 1, end=2))
    a.on_next(ramp(0, 14))
    a.on_next(ramp(14, 1))
    assert values(out[0]) == [[0, 1, 2, 3], ["x"]]
    assert out[0].chunks[1] is not None
    assert out[0].chunks[1].end == 2 * MS  # so far it had come
    b.on_next(notes("yz", 3, 5, start=2, end=20).with_data(np.array(["y", "z"])))
    assert values(out[1]) == [[4, 5, 6, 7], ["z"]]
    assert out[1].chunks[1] is not None
    assert out[1].chunks[1].gaps == (Gap(2 * MS, 4 * MS, 1, "lag"),)


def test_overlapping_windows_take_what_is_late_for_one_of_them() -> None:
    a, b, out = live(duration=0.004, every=0.002, lateness=0.010)
    a.on_next(ramp(0, 14))
    a.on_next(ramp(14, 1))
    b.on_next(ramp(0, 1))  # the windows that begin before 2 ms have been given
    b.on_next(ramp(1, 9))
    windows = {window.start // MS: values(window)[1] for window in out}
    assert windows[0] is None
    assert windows[2] == [2, 3, 4, 5]


def test_a_stream_that_is_always_late_is_reported_and_not_kept() -> None:
    a, b, out = live(duration=0.010, lateness=0.010)
    for k in range(500):
        a.on_next(ramp(10 * k, 10))
        if k >= 5:
            b.on_next(ramp(10 * (k - 5), 10))
    a.on_completed()
    b.on_completed()
    late = concat([chunk for window in out if (chunk := window.chunks[1]) is not None])
    assert len(late) + late.lost == 4950
    assert {gap.reason for gap in late.gaps} == {"lag"}


def test_too_many_windows_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rxstream.operators.joins.join_windows._MAX_WINDOWS_PER_CHUNK", 1000
    )  # a million takes long
    far = notes("a", 5000, end=5001)
    with pytest.raises(ChunkError, match="use longer ones"):
        play(patient(0.001), [[far], []], [])
    assert len(play(patient(0.1), [[far], []], [])) == 51


@pytest.mark.parametrize(
    ("others", "options", "message"),
    [
        ((), {"duration": 1}, "needs another stream"),
        (("mic",), {"duration": 1}, "'mic' is no stream"),
        ((rx.empty(),), {"duration": 0}, "duration"),
        ((rx.empty(),), {"duration": 1, "every": -1}, "every"),
        ((rx.empty(),), {"duration": 1, "lateness": 0}, "lateness"),
    ],
)
def test_bad_arguments(others: Any, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ops.join_windows(*others, **options)
