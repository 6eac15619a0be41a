"""A stream whose samples change shape or type: an operator goes on with it, or names both."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.errors import ChunkError


def chunk(first: int, shape: tuple[int, ...], dtype: str = "f8", gap: Gap | None = None) -> Any:
    info = StreamInfo("cam", 1000.0, shape, np.dtype(dtype))
    data = np.random.default_rng(first).standard_normal((100, *shape)).astype(dtype)
    return Chunk.regular(data, info, start=first * MS, index=first, gap=gap)


def other() -> Any:
    return rx.of(*(chunk(k, (1,)) for k in range(0, 600, 100)))


OPERATORS: dict[str, Callable[[], Any]] = {
    "rechunk": lambda: ops.rechunk(64),
    "rechunk s": lambda: ops.rechunk(duration=0.05),
    "window_by_time": lambda: ops.window_by_time(0.05),
    "window nan": lambda: ops.window_by_time(0.05, on_gap="nan"),
    "sosfilt": lambda: ops.sosfilt(np.array([[0.1, 0.1, 0, 1, -0.8, 0]])),
    "filter_band": lambda: ops.filter_band(10, 100),
    "decimate": lambda: ops.decimate(4),
    "decimate iir": lambda: ops.decimate(4, kind="iir"),
    "rms": lambda: ops.rms(0.03),
    "spectrogram": lambda: ops.spectrogram(0.03),
    "onset": lambda: ops.onset(above=10.0),
    "resample": lambda: ops.resample(500),
    "resample linear": lambda: ops.resample(500, method="linear"),
    "resample onto": lambda: ops.resample(onto=other()),
    "fill_gaps": lambda: ops.fill_gaps("previous"),
    "fill_gaps 0": lambda: ops.fill_gaps(0.0),
    "fill_gaps linear": lambda: ops.fill_gaps("linear"),
    "gate": lambda: ops.gate(lambda x: x.reshape(len(x), -1)[:, 0] > 0),
    "detect_gaps": lambda: ops.detect_gaps(),
    "merge_by_time": lambda: ops.merge_by_time(other()),
    "align": lambda: ops.align(other(), method="linear", tolerance=0.1),
    "align partner": lambda: lambda s: other().pipe(ops.align(s, method="linear", tolerance=0.1)),
    "join_windows": lambda: ops.join_windows(other(), duration=0.05),
    "samples": lambda: ops.samples(),
    "map_data": lambda: ops.map_data(np.abs),
    "gaps": lambda: ops.gaps(),
    "ignore_gaps": lambda: ops.ignore_gaps(),
}


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("shape", "dtype"), [((3,), "f8"), ((2,), "f4")])
@pytest.mark.parametrize("name", OPERATORS)
def test_it_goes_on_or_says_what_changed(
    name: str, shape: tuple[int, ...], dtype: str, lost: bool
) -> None:
    gap = Gap(200 * MS, 300 * MS, 100, "disconnect") if lost else None
    at = 300 if lost else 200
    stream = rx.of(
        chunk(0, (2,)),
        chunk(100, (2,)),
        chunk(at, shape, dtype, gap),
        chunk(at + 100, shape, dtype),
    )
    got, ended = list[Any](), list[Any]()
    stream.pipe(OPERATORS[name]()).subscribe(got.append, ended.append, lambda: ended.append(None))
    (error,) = ended
    for item in got:
        if isinstance(item, Chunk):
            assert item.data.shape[1:] == item.info.shape
            assert item.data.dtype == item.info.dtype
    if error is not None:
        assert isinstance(error, ChunkError), error
        assert "map_data" in str(error)
        for kind in ("(2,) float64", f"{shape} {np.dtype(dtype)}"):
            assert kind in str(error)
