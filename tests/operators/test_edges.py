"""What only shows at the edges: of windows, of gaps, of chunks."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import MS
from hypothesis import given
from signals import CUTS, HOLES, chunk, lossy

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.data.gap import GapAt
from rxstream.operators.signal.polyphase import PolyphaseResampler
from rxstream.testing import assert_same, recut, run_operator

LEVEL = StreamInfo("level", 1000.0, (), np.dtype(float))


@given(HOLES, CUTS)
def test_windows_filled_with_nan_are_numbered_without_holes(
    holes: list[tuple[int, int]], cuts: list[int]
) -> None:
    chunks = recut(lossy(holes, 50), cuts)
    windows = run_operator(ops.window_by_time(0.02, on_gap="nan"), chunks)
    for one, other in pairwise(windows):
        inside = sum(gap.lost or 0 for at, gap in one.gap_positions if at > 0)
        before = sum(gap.lost or 0 for at, gap in other.gap_positions if at == 0)
        assert other.index == one.index + len(one) + inside + before
    put_in = sum(int(np.isnan(c.data).sum()) for c in windows)
    assert put_in + sum(c.lost for c in windows) == sum(c.lost for c in chunks)


@pytest.mark.parametrize(
    ("length", "lost", "filled"), [(10, 8, 8), (10, None, 10), (2, 100, 0), (10, 20, 20)]
)
def test_a_gap_is_filled_with_what_was_lost_if_that_has_room(
    length: int, lost: int | None, filled: int
) -> None:
    a = Chunk.regular(np.ones(10), LEVEL, start=0)
    gap = Gap(10 * MS, (10 + length) * MS, lost, "dropped")
    b = Chunk.regular(np.ones(10), LEVEL, start=gap.end, index=10 + (lost or 0), gap=gap)
    whole = concat(run_operator(ops.window_by_time(0.1, on_gap="nan"), [a, b]))
    assert np.isnan(whole.data).sum() == filled


def test_a_gate_that_a_gap_closes_was_closed_when_the_gap_began() -> None:
    """It fell below at 10 ms and would have closed at 15 ms, but from 12 ms on that is unknown."""
    values = np.where(np.arange(12) < 10, 9.0, 0.0)
    gap = Gap(12 * MS, 20 * MS, 8, "dropped")
    a = Chunk.regular(values, LEVEL, start=0)
    b = Chunk.regular(np.zeros(10), LEVEL, start=20 * MS, index=20, gap=gap)
    out = run_operator(ops.gate(5, 5, hold=0.005, after=0.009), [a, b])
    assert concat(out).time[-1] == 20 * MS  # before 12 + 9 ms


@given(CUTS)
def test_the_rest_after_an_onset_goes_on_over_chunks(cuts: list[int]) -> None:
    values = np.zeros(400)
    for at in (50, 120, 190, 330):
        values[at : at + 20] = 1.0
    whole = Chunk.regular(values, LEVEL, start=0)
    out = run_operator(ops.onset(0.5, holdoff=0.1), recut([whole], cuts))
    assert (concat(out).time // MS).tolist() == [50, 190, 330]


@pytest.mark.parametrize("on_gap", ["reset", "bridge"])
def test_a_steady_filter_begins_steady(on_gap: str) -> None:
    low = ops.filter_band(None, 20, initial="steady", on_gap=on_gap)  # type: ignore[arg-type]
    out = concat(run_operator(low, [Chunk.regular(np.full(50, 7.0), LEVEL, start=0)]))
    np.testing.assert_allclose(out.data, 7.0)


def test_polyphase_keeps_what_its_filter_needs_and_no_more() -> None:
    step = PolyphaseResampler(300.0)
    most = 0
    for k in range(200):
        step.push(chunk(np.zeros(100), 100 * k))
        buffer = step._buffer
        assert buffer is not None
        most = max(most, buffer.stop - buffer.start)
    assert most < 500


@given(HOLES, CUTS)
def test_no_time_of_polyphase_lies_after_its_stretch(
    holes: list[tuple[int, int]], cuts: list[int]
) -> None:
    for out in run_operator(
        ops.resample(1500.0, method="polyphase"), recut(lossy(holes, 30), cuts)
    ):
        if len(out):
            assert out.time[-1] < out.end


def test_samples_can_be_compared_and_kept_in_sets() -> None:
    """As RxPY's own operators do, e.g. `distinct_until_changed`."""
    info = StreamInfo("imu", 1000.0, (3,), np.dtype(float))
    whole = Chunk.regular(np.arange(6.0).reshape(2, 3), info, start=0)
    one, other = (run_operator(ops.samples(), [whole]) for _ in range(2))
    assert one == other
    assert len({*one, *other}) == 2
    assert one[0] != one[1]
    assert one[0] != 5


@pytest.mark.parametrize("operator", [
    ops.gate(1.0), ops.gate(1.0, before=0.02), ops.ignore_gaps(), ops.fill_gaps("previous"),
    ops.rms(0.002), ops.resample(500.0), ops.resample(500.0, method="polyphase"),
])  # fmt: skip
@pytest.mark.parametrize("begun", [False, True])
def test_time_between_two_gaps_stays_when_they_come_in_one_chunk(
    operator: Any, begun: bool
) -> None:
    """As behind an operator that holds what comes before its first sample."""
    gaps = Gap(5 * MS, 10 * MS, None, "restart"), Gap(30 * MS, 40 * MS, 10, "dropped")
    beats = [
        Chunk.empty(LEVEL, gaps[0].end, gaps[1].start, index=5, gap_positions=(GapAt(0, gaps[0]),)),
        Chunk.empty(LEVEL, gaps[1].end, index=15, gap_positions=(GapAt(0, gaps[1]),)),
    ]
    before = [Chunk.regular(np.zeros(5), LEVEL, start=0)] if begun else []
    after = Chunk.regular(np.arange(20.0), LEVEL, start=40 * MS, index=15)
    out = run_operator(operator, [*before, *beats, after])
    assert_same(run_operator(operator, [*before, concat(beats), after]), out, joined=True)
