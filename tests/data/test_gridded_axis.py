"""GriddedAxis: stamps made when asked for, in everything as an array of the same stamps."""

import copy
import pickle
from math import nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, StreamInfo, concat
from rxstream.data.axis import Evidence, IrregularAxis, RegularAxis
from rxstream.data.gridded_axis import GriddedAxis

EVIDENCE = Evidence(5, 3)


def both(
    origin: int, period: float, count: int, first: int, uncertainty: float = 7.0
) -> tuple[GriddedAxis, IrregularAxis]:
    grid = RegularAxis(origin, period, count, first)
    stamps = grid.times()
    stamps.flags.writeable = False
    return (
        GriddedAxis(grid, uncertainty, EVIDENCE),
        IrregularAxis(stamps, uncertainty, EVIDENCE),
    )


def same(one: IrregularAxis, other: IrregularAxis) -> None:
    assert one.count == other.count
    assert one.times().tolist() == other.times().tolist() == one.stamps.tolist()
    assert not one.times().flags.writeable
    assert one.uncertainty == other.uncertainty
    assert one.evidence is other.evidence
    for i in range(one.count + (one.count > 0)):
        assert one.at(i) == other.at(i)
    for i in range(1, one.count + 1):
        assert one.edge(i) == other.edge(i)


periods = st.one_of(st.floats(1.0, 1e9), st.sampled_from([1.0, 1e9 / 48_000, 1e9 / 3, 2.5]))


@given(
    st.integers(-(10**18), 10**18), periods, st.integers(2, 40), st.integers(0, 10**6), st.data()
)
def test_it_is_as_an_array_of_its_stamps(
    origin: int, period: float, count: int, first: int, data: st.DataObject
) -> None:
    gridded, stamped = both(origin, period, count, first)
    same(gridded, stamped)
    i = data.draw(st.integers(0, count))
    j = data.draw(st.integers(i, count))
    same(gridded.cut(i, j), stamped.cut(i, j))
    by = data.draw(st.integers(-(10**9), 10**9))
    same(gridded.shifted(by), stamped.shifted(by))
    chosen = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    same(gridded.take(chosen), stamped.take(chosen))
    near = data.draw(st.sampled_from(stamped.stamps.tolist()))
    for t in (near - 1, near, near + 1):
        assert gridded.find(t) == stamped.find(t)
    (part,) = gridded.parts()
    assert part is gridded


def test_it_is_pickled_and_copied_with_its_evidence() -> None:
    gridded, _ = both(100, 10.0, 3, 0)
    for new in (pickle.loads(pickle.dumps(gridded)), copy.deepcopy(gridded), copy.copy(gridded)):
        assert type(new) is GriddedAxis
        assert new.times().tolist() == [100, 110, 120]
        assert (new.uncertainty, new.evidence) == (7.0, EVIDENCE)


def test_chunks_on_it_equal_those_with_stamps() -> None:
    info = StreamInfo("x", 1e8, (), np.dtype(int))
    one, other = (
        Chunk(np.arange(6), axis, 100, 151, 0, info) for axis in both(100, 10.0, 6, 0, nan)
    )
    assert one == other
    assert one[2:5] == other[2:5]
    assert concat([one[:2], one[2:]]) == other
    assert one.between(110, 131) == other.between(110, 131)
