"""align where one stream is far ahead, so that what waits lies in many places in memory."""

from typing import Any

import numpy as np
import pytest
from alignment import aligned, joined
from fakes import MS, ramp
from numpy.typing import NDArray

from rxstream import Chunk, StreamInfo
from rxstream.operators.joins.align_step import Align
from rxstream.operators.joins.join_side import JoinSide
from rxstream.operators.joins.timed_buffer import TimedBuffer
from rxstream.testing import recut

COUNT = 40_000


def partner(offset: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return random times [ns] over those of the source, none twice, and values."""
    rng = np.random.default_rng(1)
    steps = rng.integers(1, 2 * MS, COUNT)
    return np.cumsum(steps) - MS // 2 - offset, rng.normal(size=COUNT)


@pytest.mark.parametrize("method", ["nearest", "previous", "linear"])
@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("offset", [0, 3 * MS])
def test_one_is_far_ahead(method: Any, ahead: int, offset: int) -> None:
    stamps, level = partner(offset)
    info = StreamInfo("level", None, (), np.dtype(float))
    whole = Chunk.stamped(level, stamps, info, end=max(int(stamps[-1]), COUNT * MS) + 1)
    ports = recut([ramp(0, COUNT)], range(997, COUNT, 997)), recut([whole], range(89, COUNT, 899))
    items = aligned(
        ports, [ahead] * len(ports[ahead]), method=method, tolerance=1.0, offset=offset / 1e9
    )
    ours, theirs = joined(items)
    times, stamps = ours.time, stamps + offset
    before = stamps.searchsorted(times, "right") - 1
    after = np.minimum(before + 1, COUNT - 1)
    if method == "linear":
        share = (times - stamps[before]) / (stamps[after] - stamps[before])
        np.testing.assert_allclose(
            theirs.data, level[before] + share * (level[after] - level[before])
        )
    else:
        nearer = (before < 0) | (stamps[after] - times < times - stamps[before])
        nearer &= method == "nearest"
        np.testing.assert_array_equal(theirs.data, level[np.where(nearer, after, before)])
    inside = (np.arange(COUNT) * MS > stamps[0]) & (np.arange(COUNT) * MS < stamps[-1])
    assert len(ours) >= np.count_nonzero(inside) > COUNT * 0.9


def test_both_at_once_hold_little() -> None:
    """What has been decided is let go, though a partner may be kept for what comes next."""
    step = Align([JoinSide(1, None, "previous", 10**9, 0)], 10**9, report=False)
    for k in range(2000):
        for port in (1, 0):
            step.push(port, ramp(100 * k, 100))
        assert step.pending < 110


def test_recent_keeps_no_more_slabs_than_it_needs() -> None:
    recent = TimedBuffer()
    for k in range(2000):
        recent.append(ramp(100 * k, 100))
        recent.trim(100 * k)
        assert recent.find((100 * k + 50) * MS) == 100 * k + 50
    assert recent._data.nbytes + recent._times.nbytes < 4 * 65_536
