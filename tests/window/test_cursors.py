"""Cursors of one log, in any order of steps: each sample comes once, or is reported as lost."""

from typing import Any

import numpy as np
import pytest
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk
from rxstream.window.log import Cursor, Log

# Append a chunk of so many samples; attach a cursor at a time, or now; let one take; pass idly.
APPEND = st.tuples(st.just("append"), st.integers(1, 200))
ATTACH = st.tuples(st.just("attach"), st.one_of(st.none(), st.integers(-50, 1500)))
TAKE = st.tuples(st.just("take"), st.integers(0, 9))
IDLE = st.tuples(st.just("idle"), st.integers(1, 2000))
STEPS = st.lists(st.one_of(APPEND, APPEND, ATTACH, TAKE, TAKE, IDLE), max_size=60)


class Reader:
    """A cursor, and what it has taken; it checks what a subscriber relies on."""

    def __init__(self, log: Log, since: int | None, now: int, policy: Any) -> None:
        self.log, self.policy = log, policy
        self.begin = now if since is None else max(0, since)
        self.reach: int | None = None  # time up to which it was told of everything [ms]
        self.cursor = Cursor(policy, lambda: None, "it")
        log.attach(self.cursor, None if since is None else since * MS)

    def take(self) -> bool:
        chunks = self.log.take(self.cursor)
        for chunk in chunks or ():
            self._check(chunk)
        return bool(chunks)

    def _check(self, chunk: Chunk[Any]) -> None:
        start, end = chunk.covered_from // MS, chunk.end // MS
        if self.reach is None:
            # a part of a past that is gone is a gap from there, or from the first sample
            assert start == self.begin or (start > self.begin and self.policy == "latest")
        else:
            assert start == self.reach
        for gap in chunk.gaps:
            assert gap.reason == "lag"
            assert gap.lost in (None, (gap.end - gap.start) // MS)
            assert gap.lost is not None or self.reach is None
        first = chunk.index
        assert first * MS == chunk.start
        assert np.array_equal(chunk.data, np.arange(first, first + len(chunk)))
        assert first + len(chunk) == end or not len(chunk)
        self.reach = end


@pytest.mark.parametrize("policy", ["gap", "latest"])
@given(STEPS, st.integers(1, 12), st.sampled_from([50, 300, 10_000]))
def test_each_sample_comes_once_or_is_reported(
    policy: Any, steps: list[Any], kept: int, span: int
) -> None:
    now = 0
    log = Log(span * MS, kept * 2000, "ramp", lambda: now)
    readers: list[Reader] = []
    end = 0
    for kind, value in steps:
        if kind == "append":
            log.append(ramp(end, value))
            end += value
            assert log.nbytes <= max(kept * 2000, 200 * 8 + 700)
        elif kind == "attach":
            readers.append(Reader(log, value, end, policy))
        elif kind == "take" and readers:
            readers[value % len(readers)].take()
        elif kind == "idle":
            log.trim_idle()
            now += value * MS
            log.trim_idle()
    log.end()
    for reader in readers:
        while reader.take():
            pass
        assert log.take(reader.cursor) is None
        if reader.begin < end:
            assert reader.reach == end
        else:
            assert reader.reach is None
