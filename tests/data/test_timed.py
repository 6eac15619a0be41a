"""What has a time."""

import re
from typing import Any

import numpy as np
import pytest
from fakes import MS, ramp

from rxstream import Chunk, Clip, Gap
from rxstream import operators as ops
from rxstream.data.timed import Timed, interval_of, trim_to
from rxstream.operators.values.samples import Sample

CHUNK = ramp(10, 10)
LATER = ramp(30, 10, Gap(20 * MS, 30 * MS, 10, "dropped"))


@pytest.mark.parametrize(
    ("item", "interval"),
    [
        (CHUNK, (10 * MS, 20 * MS)),
        (LATER, (20 * MS, 40 * MS)),  # with the gap before it
        (Clip((), (), 5, 9), (5, 9)),
        (ops.JoinedWindow(5, 9, (CHUNK, None)), (5, 9)),
        (Sample(5, 1.0, 0, None), (5, 6)),
        ((CHUNK, CHUNK.with_data(np.zeros(10))), (10 * MS, 20 * MS)),
        ((CHUNK, LATER), None),
        ((CHUNK, 1), None),
        ((), None),
        ([CHUNK], None),
        (1.5, None),
        (re.match("a", "a"), None),
    ],
)
def test_the_interval_of_an_item(item: Any, interval: tuple[int, int] | None) -> None:
    assert interval_of(item) == interval
    if interval is not None and not isinstance(item, tuple):
        assert isinstance(item, Timed)


def test_chunks_are_trimmed_and_other_items_stay_whole() -> None:
    assert trim_to(CHUNK, 15 * MS) == ramp(15, 5)
    pair: tuple[Chunk[Any], ...] = trim_to((CHUNK, CHUNK), 15 * MS)
    assert pair == (ramp(15, 5), ramp(15, 5))
    clip = Clip((), (), 5, 9)
    assert trim_to(clip, 7) is clip
