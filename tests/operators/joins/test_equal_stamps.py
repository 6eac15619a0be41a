"""Samples that came with equal stamps: none is lost, none lies outside its chunk."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, StreamInfo, TimeWindowSubject, concat
from rxstream import operators as ops
from rxstream.errors import ChunkError
from rxstream.testing import run_operator

S = 10**9
CAN = StreamInfo("can", None, (), np.dtype(np.int64))
STAMPS = [S, S, S, 2 * S, 2 * S, 3 * S, 3 * S, 3 * S, 3 * S]
WHOLE = Chunk.stamped(np.arange(9), STAMPS, CAN, start=0, end=4 * S)


def pieces(cuts: list[int]) -> list[Chunk[Any]]:
    return [WHOLE[a:b] for a, b in pairwise([0, *sorted(cuts), 9]) if a < b]


EACH = pieces(list(range(1, 9)))
some_cuts = st.lists(st.integers(1, 8), max_size=8, unique=True)


@given(some_cuts)
def test_a_window_of_the_past_has_them_all(cuts: list[int]) -> None:
    subject = TimeWindowSubject(60)
    for chunk in pieces(cuts):
        subject.on_next(chunk)
    assert subject.between(0, 4 * S) == WHOLE
    for k, numbers in enumerate(([0, 1, 2], [3, 4], [5, 6, 7, 8]), 1):
        assert subject.between(k * S, k * S + 10).data.tolist() == numbers
    got: list[int] = []
    here = rx.scheduler.ImmediateScheduler()
    back = subject.pipe(ops.rewind(to=2 * S))
    back.subscribe(lambda c: got.extend(c.data.tolist()), scheduler=here).dispose()
    assert got == [3, 4, 5, 6, 7, 8]
    subject.dispose()


@pytest.mark.parametrize(
    "make", [lambda: ops.rechunk(1), lambda: ops.rechunk(2), lambda: ops.window_by_time(1.0)]
)
@given(cuts=some_cuts)
def test_cuts_between_them_do_not_matter(make: Callable[[], Any], cuts: list[int]) -> None:
    out = run_operator(make(), [WHOLE])
    assert run_operator(make(), pieces(cuts)) == out
    assert concat(out).time.tolist() == WHOLE.time.tolist()
    assert concat(out).data.tolist() == WHOLE.data.tolist()
    for chunk in out:
        if len(chunk):
            assert chunk.start <= chunk.time[0]
            assert chunk.time[-1] < chunk.end


def test_a_window_has_those_of_its_own_second() -> None:
    out = run_operator(ops.window_by_time(1.0), EACH)
    assert [c.data.tolist() for c in out] == [[], [0, 1, 2], [3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("make", [lambda: ops.rechunk(4), lambda: ops.window_by_time(1.0)])
def test_streams_that_were_merged_are_not_taken_for_one(make: Callable[[], Any]) -> None:
    other = Chunk.stamped(np.arange(9), WHOLE.time, StreamInfo("b", dtype=np.dtype(np.int64)))
    merged = run_operator(ops.merge_by_time(rx.of(other)), [WHOLE])
    assert sum(map(len, merged)) == 18
    with pytest.raises(ChunkError, match="of can; use the operator on each stream before"):
        run_operator(make(), merged)


def test_equal_stamps_in_two_chunks_are_not_silently_misplaced() -> None:
    one = Chunk.stamped(np.arange(1), [S], CAN)
    with pytest.raises(ChunkError, match="1 ns before the end of the one before it"):
        run_operator(ops.rechunk(1), [one, one])
