"""Numbers go on from chunk to chunk, lost samples counted in, wherever a stream was cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk
from rxstream import operators as ops
from rxstream.testing import infos, recut_by_time, run_operator, streams

OPERATORS: dict[str, Any] = {
    "fill_gaps": lambda: ops.fill_gaps(0, limit=0.01),
    "detect_gaps": ops.detect_gaps,
    "map_data": lambda: ops.map_data(abs),
    "rechunk": lambda: ops.rechunk(5),
    "window_by_time": lambda: ops.window_by_time(0.05),
    "sosfilt": lambda: ops.sosfilt([[0.5, 0.5, 0, 1, 0, 0]]),
    "rms": lambda: ops.rms(0.006, every=0.003),
    "decimate": lambda: ops.decimate(4),
    "spectrogram": lambda: ops.spectrogram(0.006),
    "resample": lambda: ops.resample(300),
    "resample-polyphase": lambda: ops.resample(500, method="polyphase"),
    "resample-hold": lambda: ops.resample(300, method="previous"),
}


def check_numbers(chunks: list[Chunk[Any]]) -> None:
    expected: int | None = None
    for chunk in chunks:
        before = [gap.lost or 0 for at, gap in chunk.gap_positions if at == 0 or not len(chunk)]
        assert expected in (None, chunk.index - sum(before)), f"{chunk!r} follows {expected}"
        expected = chunk.index - sum(before) + len(chunk) + chunk.lost


@pytest.mark.parametrize("name", OPERATORS)
@given(
    streams(infos(floating=True).filter(lambda info: info.rate == 1000.0)),
    st.lists(st.floats(0, 1), max_size=6),
)
def test_numbers_go_on(name: str, chunks: list[Chunk[Any]], shares: list[float]) -> None:
    cut = recut_by_time(chunks, shares)
    check_numbers(cut)
    check_numbers(run_operator(OPERATORS[name](), cut))
