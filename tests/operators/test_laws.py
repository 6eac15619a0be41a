"""Every operator goes through the laws of design, on random streams of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rxstream import operators as ops
from rxstream.testing import check_operator, infos, streams

CASES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "rechunk": (lambda: ops.rechunk(4), {}),
    "rechunk-1": (lambda: ops.rechunk(1), {}),
    "rechunk-split": (lambda: ops.rechunk(5, on_gap="split"), {}),
    "rechunk-hop": (lambda: ops.rechunk(5, hop=2), {"conserves": False}),
    "rechunk-hop-split": (lambda: ops.rechunk(3, hop=5, on_gap="split"), {"conserves": False}),
    "rechunk-seconds": (lambda: ops.rechunk(duration=0.08), {"source": streams(infos())}),
    "window": (lambda: ops.window_by_time(0.03), {}),
    "window-irregular": (
        lambda: ops.window_by_time(0.05),
        {"source": streams(infos(regular=False))},
    ),
    "window-sliding": (lambda: ops.window_by_time(0.1, every=0.025), {"conserves": False}),
    "window-odd": (lambda: ops.window_by_time(0.1, every=0.03), {"conserves": False}),
    "window-hopping": (lambda: ops.window_by_time(0.02, every=0.05), {"conserves": False}),
    "window-origin": (lambda: ops.window_by_time(0.05, origin=12_345), {}),
    "window-split": (lambda: ops.window_by_time(0.05, on_gap="split"), {}),
    "window-drop": (lambda: ops.window_by_time(0.05, on_gap="drop"), {"conserves": False}),
    "window-nan": (
        lambda: ops.window_by_time(0.05, on_gap="nan"),
        {"conserves": False, "source": streams(infos(floating=True))},
    ),
    "map_data": (
        lambda: ops.map_data(lambda x: x.copy()),
        {"regroups": False},
    ),
    "map_data-shape": (
        lambda: ops.map_data(lambda x: np.zeros((len(x), 3), np.int8)),
        {"regroups": False},
    ),
    "select": (
        lambda: ops.select(0),
        {"regroups": False, "source": streams(infos(floating=True).filter(lambda i: i.shape))},
    ),
    "gaps": (ops.gaps, {"conserves": False}),
    "samples": (ops.samples, {"conserves": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str) -> None:
    make, options = CASES[name]
    check_operator(make, **options)


def test_the_laws_are_tested_of_every_operator_on_chunks() -> None:
    """Here or in its own file; the others have tests of their own.

    They choose where to begin, depend on arrival, or answer on other threads.
    """
    elsewhere = {
        "latest", "map_async", "map_parallel", "meter", "on_lag", "replay_window", "rewind",
    }  # fmt: skip
    here = {name.split("-")[0].replace("window", "window_by_time") for name in CASES}
    texts = [path.read_text() for path in Path(__file__).parent.rglob("test_*.py")]
    own = {
        name for name in ops.__all__
        if any("check_operator(" in text and f"ops.{name}" in text for text in texts)
    }  # fmt: skip
    operators = {name for name in ops.__all__ if name.islower()}  # a capital: a class
    assert not operators - elsewhere - here - own
