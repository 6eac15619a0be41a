"""Drawings of the largest, the smallest and no numbers, and of labels that could mean something.

Warnings are errors here, so a drawing that overflows fails.
"""

import io
from typing import Any

import numpy as np
import pytest

from rxstream import Chunk, Clip, StreamInfo

BIG = np.finfo(float).max
VALUES: dict[str, list[Any] | np.ndarray[Any, Any]] = {
    "opposite": [1e308, -1e308], "greatest": [BIG, -BIG], "great and equal": [BIG, BIG],
    "infinite": [np.inf, -np.inf], "one infinite": [1.0, np.inf], "no numbers": [np.nan, np.nan],
    "all of them": [1e308, np.nan, -np.inf, 0.0], "least": [5e-324, 0.0],
    "half": np.array([65504, -65504], np.float16),
    "complex": [1e308 + 1e308j, -1e308],
    "long": np.array(["1e4000", "-1e4000"]).astype(np.longdouble),
    "int64": [-(2**63), 2**63 - 1], "uint64": np.array([0, 2**64 - 1], np.uint64),
}  # fmt: skip


def chunk_of(values: Any, shape: tuple[int, ...], repeats: int = 1, **about: Any) -> Chunk:
    array = np.tile(np.asarray(values), repeats)
    data = np.broadcast_to(array.reshape(-1, *[1] * len(shape)), (len(array), *shape)).copy()
    name = about.pop("name", "x")
    return Chunk.regular(data, StreamInfo(name, 1000.0, shape, data.dtype, **about), start=0)


@pytest.mark.parametrize(
    ("shape", "repeats"), [((), 1), ((2,), 2000), ((12,), 1), ((8, 8), 1)],
    ids=["a line", "bands", "a map", "images"],
)  # fmt: skip
@pytest.mark.parametrize("name", VALUES)
def test_numbers_of_any_size_are_drawn(name: str, shape: tuple[int, ...], repeats: int) -> None:
    chunk = chunk_of(VALUES[name], shape, repeats)
    figure: Any = chunk.plot().figure
    figure.savefig(io.BytesIO(), dpi=30)
    page = chunk._repr_html_()
    for path in page.split('d="M')[1:]:
        drawn = path.split('"')[0]
        assert "nan" not in drawn
        assert "inf" not in drawn


LABELS = ["a$b_{$", "_hidden", "$$", r"\frac{", "100 %", "{x}", "<b>", "é µ"]


@pytest.mark.parametrize("label", LABELS)
def test_labels_are_drawn_as_they_are(label: str) -> None:
    names = (label, "other")
    chunk = chunk_of([1.0, 2.0], (2,), name=label, unit=label, channels=names)
    ax: Any = chunk.plot()
    ax.figure.savefig(io.BytesIO(), dpi=30)
    legend = [text.get_text().strip() for text in ax.get_legend().get_texts()]
    assert [text.replace(r"\$", "$") for text in legend] == [*names]
    clip = Clip((label,), (1,), 0, chunk.end, {label: chunk})
    rows: Any = clip.plot()
    rows[0].figure.savefig(io.BytesIO(), dpi=30)
    messages = np.array([(label,), ("b",)], [("$kind_{$", "U20")])
    events = Chunk.stamped(messages, [1, 2], StreamInfo(label, dtype=messages.dtype))
    raster: Any = events.plot()
    raster.figure.savefig(io.BytesIO(), dpi=30)
    shown = [text.get_text().strip().replace(r"\$", "$") for text in raster.get_yticklabels()]
    assert label in shown
